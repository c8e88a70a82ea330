"""One canary, a step at a time: look at the path, ask for the alert, look at each hop until the verdict is final.

A step may be cut off and done again: what is known is in the state that it gives, and an alert that was asked for
before is looked for before another is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.azure.event_hub import HubUnreadableError
from shared.canary.canary_state import Canary
from shared.canary.hops import BEFORE, Hop, Observation, Obstacle, Reached, Refused, Unseen
from shared.canary.pipeline_notes import Note
from shared.canary.security_alerts import RefusedError, UnansweredError
from shared.canary.stored_alerts import StoredAlerts, UnreadableError
from shared.canary.verdict import Outcome, Verdict, judge
from shared.jobs.canary_ports import BudgetSpentError, Ports

LOOK_SECONDS = 45.0
"""For one look at all hops, whatever the services do."""
ON_THE_WAY = timedelta(hours=1)
"""For which an alert that was generated before a canary may arrive after it began, and is not taken for its own."""


_MEND_RIGHT = "Give the right to simulate alerts on the subscription (docs/canary.md), and ask again."


class CanaryRun:
    """Takes canaries on; `forwards` says whether there is an output hub, `allowed` how long each hop may take."""

    def __init__(
        self, ports: Ports, allowed: Mapping[Hop, timedelta], now: Callable[[], datetime], *, forwards: bool
    ) -> None:
        self._ports = ports
        self._allowed = allowed
        self._now = now
        self._forwards = forwards

    async def step(self, canary: Canary, wanted: str = "") -> tuple[Canary, Verdict]:
        """One step further; the verdict is running as long as there is another."""
        unseen: list[Unseen] = []
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if not canary.checked:
                    canary = await self._checked(canary, wanted)
                elif not canary.asked:
                    canary = await self._asked(canary)
                else:
                    canary, unseen = await self._looked(canary)
        except UnansweredError as error:
            unseen = [Unseen(Hop.SIMULATED, str(error))]
        except TimeoutError:
            unseen = [Unseen(Hop.SIMULATED, "Azure did not answer in time")]
        return canary, self._judged(canary, unseen)

    def _judged(self, canary: Canary, unseen: Sequence[Unseen | Refused]) -> Verdict:
        """What is known by now.

        What was found beforehand counts once all that lies before it was seen: until then it is followed all the same,
        for what arrives is proven to arrive.
        """
        if unseen and not canary.asked and self._now() >= canary.begun + self._allowed[Hop.SIMULATED]:
            unseen = [Refused(Hop.SIMULATED, each.reason) for each in unseen]  # nothing was asked for, and that is all
        hindering = [each for each in canary.obstacles if not each.fault]
        seen: list[Observation] = [*canary.seen, *unseen]
        now = self._now()
        hops = (Hop.STORED, Hop.FORWARDED) if self._forwards and not canary.places else (Hop.STORED,)
        if hindering:
            return judge(canary.begun, now, hops, seen, obstacles=canary.obstacles, allowed=self._allowed)
        verdict = judge(canary.begun, now, hops, seen, allowed=self._allowed)
        if not canary.obstacles or verdict.outcome is Outcome.PROVEN:
            return verdict
        before = BEFORE.get(min((each.hop for each in canary.obstacles), key=[*Hop].index))
        so_far = judge(canary.begun, now, [before] if before else [], seen, allowed=self._allowed)
        if so_far.outcome is Outcome.RUNNING:
            return verdict
        return judge(canary.begun, now, hops, seen, obstacles=canary.obstacles, allowed=self._allowed)

    async def _checked(self, canary: Canary, wanted: str) -> Canary:
        path = await self._ports.path.look(canary.subscription, wanted)
        return replace(
            canary, checked=True, location=path.location, bundle=path.bundle or wanted, obstacles=path.obstacles
        )

    async def _asked(self, canary: Canary) -> Canary:
        """The alert asked for, unless it was before: then the list shows it."""
        try:
            await self._ports.spend(canary.subscription)
        except BudgetSpentError as spent:
            mend = "Ask again later, or raise CANARY_PER_DAY or CANARY_PER_SUBSCRIPTION."
            return replace(canary, obstacles=(Obstacle(Hop.SIMULATED, str(spent), mend, fault=False),))
        if canary.resumed:
            canary = await self._emitted(canary)
            if canary.alerts:
                return replace(canary, asked=True)
        else:  # an alert of another canary a moment ago proves nothing of now
            canary = await self._before(canary)
        try:
            begun = await self._ports.alerts.simulate(canary.subscription, canary.location, canary.bundle)
        except RefusedError as refused:
            if str(refused).startswith("403"):  # the path may be well all the same
                obstacle = Obstacle(Hop.SIMULATED, str(refused), _MEND_RIGHT, fault=False)
                return replace(canary, obstacles=(obstacle,))
            return replace(canary, asked=True).with_seen(Refused(Hop.SIMULATED, str(refused)))
        asked = replace(canary, asked=True, operation=begun.operation)
        return asked.with_seen(Reached(Hop.SIMULATED, self._now())) if begun.done else asked

    async def _looked(self, canary: Canary) -> tuple[Canary, list[Unseen]]:
        """A look at every hop that was not seen yet; one that can't be looked at keeps the others from nothing."""
        unseen: list[Unseen] = []

        async def look(hop: Hop, at: Callable[[Canary], Awaitable[Canary]]) -> None:
            nonlocal canary
            try:
                canary = await at(canary)
            except (UnansweredError, RefusedError, UnreadableError, HubUnreadableError) as error:
                unseen.append(Unseen(hop, str(error)))

        if not _has(canary, Hop.SIMULATED):
            await look(Hop.SIMULATED, self._done)
        if not _has(canary, Hop.EMITTED):
            await look(Hop.EMITTED, self._emitted)
        await look(Hop.ACCEPTED, self._noted)
        if not _has(canary, Hop.STORED):
            await look(Hop.STORED, self._stored)
        if _has(canary, Hop.EMITTED) and not _has(canary, Hop.HUB):
            await look(Hop.HUB, self._in_hub)
        return canary, unseen

    async def _done(self, canary: Canary) -> Canary:
        try:
            done = not canary.operation or await self._ports.alerts.done(canary.operation)
        except RefusedError as refused:
            return canary.with_seen(Refused(Hop.SIMULATED, str(refused)))
        return canary.with_seen(Reached(Hop.SIMULATED, self._now())) if done else canary

    async def _emitted(self, canary: Canary) -> Canary:
        listed = await self._ports.alerts.simulated(canary.subscription, canary.location, canary.since)
        found = {alert: at for alert, at in listed.found.items() if alert not in canary.older}
        if not found:
            if not listed.whole:
                raise UnansweredError("the list of alerts is longer than is read")
            return canary
        ids = tuple(sorted({*canary.alerts, *found}))
        return replace(canary, alerts=ids).with_seen(Reached(Hop.EMITTED, min(found.values())))

    async def _before(self, canary: Canary) -> Canary:
        """The simulated alerts that are there before this canary's; unknown where the list can't be read.

        Those that were generated a while before it may still be on their way to the hub.
        """
        since = canary.since - ON_THE_WAY
        try:
            listed = await self._ports.alerts.simulated(canary.subscription, canary.location, since)
        except RefusedError:
            return canary
        return replace(canary, older=tuple(sorted(listed.found)))

    async def _noted(self, canary: Canary) -> Canary:
        from azure.core.exceptions import AzureError

        try:
            notes = await self._ports.notes.since(canary.subscription, canary.since)
        except AzureError as error:
            raise UnansweredError(f"the pipeline's notes can't be read ({type(error).__name__})") from None
        for note in notes:
            if _own(canary, note.alert):
                places = tuple(dict.fromkeys((*canary.places, *note.places)))
                canary = replace(canary, noted=True, places=places).with_seen(*_told(note))
        return canary

    async def _stored(self, canary: Canary) -> Canary:
        """Look into the table of the place that the row went to."""
        if canary.places:
            return await self._stored_elsewhere(canary)
        canary = await self._stored_here(canary)
        elsewhere = self._ports.elsewhere
        if not canary.noted and not _has(canary, Hop.STORED) and elsewhere and await elsewhere.takes_alerts():
            raise UnreadableError("not known which place it was sent to: the pipeline noted nothing of it")
        return canary

    async def _stored_elsewhere(self, canary: Canary) -> Canary:
        """It is stored once each of its places has it; one that certainly lacks it goes before one that can't say."""
        stored: list[datetime] = []
        unreadable: list[str] = []
        for place in canary.places:
            try:
                look = await self._alerts_at(place)
                rows = await look(canary.subscription, canary.alerts, canary.since, self._now())
            except UnreadableError as error:
                unreadable.append(str(error))
                continue
            own = [row.stored for row in rows if _own(canary, row.alert)]
            if not own:
                return canary
            stored.append(min(own))
        if unreadable:
            raise UnreadableError("; ".join(unreadable))
        return canary.with_seen(Reached(Hop.STORED, max(stored)))

    async def _alerts_at(self, place: str) -> StoredAlerts:
        if self._ports.elsewhere is None:
            raise UnreadableError(f"not known for place {place}: ROUTES_FILE is not set here")
        return await self._ports.elsewhere.alerts_at(place)

    async def _stored_here(self, canary: Canary) -> Canary:
        if self._ports.stored is None:
            raise UnreadableError("WORKSPACE_ID is not set, so nobody can look into the table")
        for row in await self._ports.stored(canary.subscription, canary.alerts, canary.since, self._now()):
            if _own(canary, row.alert):
                hub = [Reached(Hop.HUB, row.enqueued)] if row.enqueued else []
                canary = canary.with_seen(*hub, Reached(Hop.STORED, row.stored))
        return canary

    async def _in_hub(self, canary: Canary) -> Canary:
        """Look into the hub itself, where no note and no row says of the event."""
        events = await self._ports.newest_events(canary.since)
        for body, enqueued in zip(events.bodies, events.enqueued, strict=False):
            if enqueued and enqueued >= canary.since and any(alert.encode() in body for alert in canary.alerts):
                return canary.with_seen(Reached(Hop.HUB, enqueued))
        oldest = min((at for at in events.enqueued if at), default=None)
        if not events.whole and (oldest is None or oldest > canary.since):
            raise HubUnreadableError("the hub holds more than was looked at")
        return canary


def _own(canary: Canary, alert: str) -> bool:
    """Whether an alert is this canary's; where the list can't be read, each that was not there before counts."""
    return alert in canary.alerts if canary.alerts else alert not in canary.older


def _has(canary: Canary, hop: Hop) -> bool:
    return any(isinstance(one, Reached) and one.hop is hop for one in canary.seen)


def _told(note: Note) -> list[Observation]:
    found: list[Observation] = [Reached(Hop.HUB, note.enqueued)]
    if note.accepted:
        found.append(Reached(Hop.ACCEPTED, note.accepted))
    elif note.refused:
        found.append(Refused(Hop.ACCEPTED, note.refused))
    if note.forwarded:
        found.append(Reached(Hop.FORWARDED, note.forwarded))
    elif note.unforwarded:
        found.append(Refused(Hop.FORWARDED, note.unforwarded))
    return found
