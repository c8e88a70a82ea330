"""One look of the timer: what is news, kept before it is sent, and sent to each receiver beside the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.clock import Clock
from shared.notify.events import Event, Followed, Observed, follow
from shared.notify.http_sender import Answer
from shared.notify.messages import DIGEST, Message, body, of_digest, of_event, row
from shared.notify.outbox import with_news
from shared.notify.rules import MAIL, Rules
from shared.notify.state import BusyError, Standing, State, StoredState, Waiting

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.notify.http_sender import HttpSender

log = logging.getLogger(__name__)

RECEIVER_SECONDS: Final = 60.0
"""For all that waits for one receiver, in one look."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
REFUSALS: Final = 3
"""Messages refused in a row after which a receiver is left for the next look."""


class Look(NamedTuple):
    """What was seen, and the runs that were looked at for it."""

    observed: Observed
    runs: tuple[str, ...]


class Placed(NamedTuple):
    """Events with their subscription's groups and owner, and whether these could be read."""

    events: Sequence[Event]
    known: bool


Observe = Callable[[State, datetime], Awaitable[Look]]
Place = Callable[[Sequence[Event]], Awaitable[Placed]]
Offer = Callable[[str, Sequence[dict[str, Any]]], Awaitable[Collection[int]]]


class Looks(NamedTuple):
    """How it looks, and how it finds out where subscriptions lie and whose they are."""

    observe: Observe
    place: Place


@dataclass(frozen=True)
class Deployment:
    """What messages say of the app: its name, and the address of its page."""

    instance_id: str
    link: str = ""


class Notifier:
    """Sends what is news by the rules; `offer` sends rows, and is None where the app sends none."""

    def __init__(
        self,
        container: ContainerClient,
        looking: Looks,
        sender: HttpSender,
        offer: Offer | None,
        deployment: Deployment,
        *,
        clock: Clock,
        receiver_seconds: float = RECEIVER_SECONDS,
    ) -> None:
        self._stored = StoredState(container)
        self._observe, self._place = looking
        self._sender = sender
        self._offer = offer
        self._deployment = deployment
        self._clock = clock
        self._seconds = receiver_seconds

    async def look(self, rules: Rules) -> None:
        """Look once, and send what waits.

        Raises:
            shared.stored_format.KeptAsIs: what is kept can't be read.
            azure.core.exceptions.AzureError: the storage does not answer.
        """
        try:
            await self._look(rules)
        except BusyError as busy:
            log.warning("notices: %s", busy)

    async def _look(self, rules: Rules) -> None:
        now = self._clock.now()
        state = await self._stored.read(now)
        if state.claimed and now < state.claimed:
            raise BusyError("another process sends them, or was killed while it did")
        marks = await self._stored.marks()
        state = state.without(marks)
        seen = await self._observe(state, now)
        followed = follow(state.open, seen.observed, now)
        placed = True
        if rules.by_place and followed.begun:
            events, placed = await self._place(followed.begun)
            known = {each.key: each for each in events}
            followed = Followed(
                tuple(known.get(each.key, each) for each in followed.open), tuple(events), followed.ended
            )
        claimed = now + timedelta(seconds=2 * self._seconds)
        news = replace(followed, muted=seen.observed.muted)
        state = with_news(replace(state, runs=seen.runs, claimed=claimed), news, rules, now, placed=placed)
        await self._stored.write(state)  # before anything is sent, so that a repeat bears the same id
        await self._stored.forget(marks)
        sent, standings = await self._send_all(state, rules)
        await self._stored.write(replace(state.without(sent), claimed=None, standings=standings))
        await self._stored.forget(sent)

    async def _send_all(self, state: State, rules: Rules) -> tuple[frozenset[str], dict[str, Standing]]:
        channels = {each.name: each.channel for each in rules.receivers}
        sent: set[str] = set()
        standings = {name: each for name, each in state.standings.items() if name in channels}
        async with asyncio.TaskGroup() as group:
            for name, channel in channels.items():
                waiting = [each for each in state.waiting if each.receiver == name]
                standing = standings.get(name, Standing())
                if waiting and (standing.due is None or standing.due <= self._clock.now()):
                    group.create_task(self._send_to(channel, waiting, standing, sent, standings))
        return frozenset(sent), standings

    async def _send_to(
        self,
        channel: str,
        waiting: Sequence[Waiting],
        standing: Standing,
        sent: set[str],
        standings: dict[str, Standing],
    ) -> None:
        """Send to one receiver, oldest first, within its own time; nothing that it does reaches another."""
        name = waiting[0].receiver
        try:
            failed = await self._send_in_turn(channel, waiting, sent)
        except Exception as error:  # noqa: BLE001 - whatever it is concerns this receiver alone
            failed = Answer(taken=False, again=True, why=type(error).__name__)
        if failed is None:
            standings.pop(name, None)
            return
        log.warning("notices for %s wait: %s", name, failed.why)
        some = any(each.mark in sent for each in waiting)
        failures = 1 if some else standing.failures + 1
        pause = max(timedelta(seconds=failed.pause), min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE))
        standings[name] = Standing(failures, self._clock.now() + pause if failed.again or not some else None)

    async def _send_in_turn(self, channel: str, waiting: Sequence[Waiting], sent: set[str]) -> Answer | None:
        """Send until the receiver's time is over: what is sent by then is noted, never cut off between the two."""
        failed, refused, end = None, 0, self._clock.deadline(self._seconds)
        for each in waiting:
            if end.left <= 0:
                return Answer(taken=False, again=True, why="it takes too long")
            answer = await self._send(channel, each)
            if answer.taken:
                sent.add(each.mark)
                await self._noted(each)
                refused = 0
                continue
            failed, refused = answer, refused + 1
            if answer.again or refused == REFUSALS:
                break
        return failed

    async def _noted(self, waiting: Waiting) -> None:
        from azure.core.exceptions import AzureError

        try:
            await self._stored.mark(waiting)
        except AzureError as error:  # the state that is written at the end has it too
            log.warning("a notice that was sent could not be noted: %s", type(error).__name__)

    async def _send(self, channel: str, waiting: Waiting) -> Answer:
        message = _message(waiting)
        if channel != MAIL:
            return await self._sender.send(
                waiting.receiver,
                body(message, channel, self._deployment.instance_id, self._deployment.link),
                f"{message.id}.{message.phase}",
            )
        if self._offer is None:
            return Answer(taken=False, again=True, why="there is no data collection rule to write a row to")
        from shared.watch.health_rows import HEALTH_TABLE

        written = row(message, waiting.receiver, self._deployment.instance_id, self._clock.now())
        taken = bool(await self._offer(HEALTH_TABLE, [written]))
        return Answer(taken=taken, again=not taken, why="" if taken else "the row was not accepted")


def _message(waiting: Waiting) -> Message:
    if waiting.phase == DIGEST:
        return of_digest(waiting.id, waiting.day, waiting.events, waiting.still)
    return of_event(waiting.events[0])
