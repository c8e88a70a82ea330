"""Exported record -> row -> table: the steps in their order, which no other module knows.

`run` returns only when every record of its batch is accepted or kept as a dead letter, and raises otherwise, so that
the host holds its checkpoint and delivers the batch again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
from isal import igzip

from shared.azure.blob_container import Container, StoreError
from shared.clock import Clock, Deadline
from shared.enrich.dead_letters.dead_letter_format import (
    NO_OUTPUT_HUB,
    Letter,
    failed_again,
    not_forwarded,
    one_line,
    refused,
)
from shared.enrich.dead_letters.dead_letter_store import DeadLetters, LetterFilter, Replay
from shared.enrich.delivery.output_hub import Forward, Outgoing
from shared.enrich.delivery.upload import Delivering
from shared.enrich.invocation.delivery_summary import SERVICE_LEVEL, Observer, ServiceLevel, Summary
from shared.enrich.invocation.freshness_notes import FreshnessNotes
from shared.enrich.invocation.preparation import Preparer, Work
from shared.enrich.invocation.sending_again import (
    all_failed,
    events_of,
    not_accepted,
    not_known,
    not_taken,
    packed,
    without_place,
)
from shared.enrich.invocation.simulated_alerts import Follower, sightings, tell
from shared.enrich.invocation.telemetry import Telemetry
from shared.enrich.records.model import Event, Row

if TYPE_CHECKING:
    from shared.enrich.invocation.routed_delivery import RoutedDelivery

logger = logging.getLogger("defender_export.enrich")
T = TypeVar("T")
OWN_ROWS = 1 / 6
"""Share of the budget for rows about the app itself, which are sent at the end of other work."""


PART_BYTES = 16 << 20
"""Of a batch's events so many bytes are read, packed and sent at a time: 1,000 events of 1 MB take no more memory."""


@dataclass(frozen=True)
class Budget:
    """Seconds from the start of an invocation: until it stops uploading, and until it must have ended."""

    deliver: float
    end: float


class Pipeline:
    """Delivers events, dead letters and the app's own rows; one per process."""

    def __init__(
        self,
        preparer: Preparer,
        deliverer: Delivering,
        dead_letters: DeadLetters,
        oversize: Container,
        budget: Budget,
        *,
        clock: Clock,
        telemetry: Telemetry,
        forward: Forward | None = None,
        routed: RoutedDelivery | None = None,
        observer: Observer | None = None,
        follower: Follower | None = None,
        level: ServiceLevel = SERVICE_LEVEL,
    ) -> None:
        self.dead_letters = dead_letters
        self.routed = routed
        self._preparer = preparer
        self._deliverer = deliverer
        self._oversize = oversize
        self._budget = budget
        self._clock = clock
        self._telemetry = telemetry
        self._forward = forward
        self._follower = follower
        self._level = level
        self._notes = FreshnessNotes(observer, clock) if observer else None

    async def run(
        self, events: Sequence[Event], *, counts_as_seen: bool = True, before: Deadline | None = None
    ) -> Summary:
        """Deliver a batch of events; unless `counts_as_seen`, freshness takes no note of them.

        Uploading ends with the invocation's budget, or `before` a moment where the invocation began earlier.

        Raises:
            shared.azure.blob_container.StoreError: some record is neither accepted nor kept; deliver the batch again.
        """
        clock, summary = self._clock, Summary(level=self._level)
        left = self._budget.deliver if before is None else max(0.0, min(self._budget.deliver, before.left))
        deadline, end = clock.deadline(left), clock.deadline(left + self._budget.end - self._budget.deliver)
        began = clock.monotonic()
        with self._telemetry.invocation("enrich_records", summary):
            summary.count_events(events, clock.now())
            letters: list[Letter] = []
            for part in _parts(events):
                work = await self._preparer.prepare(part, clock.now())
                summary.count_work(work)
                await _within(end, asyncio.gather(*map(self._keep_whole, work.oversize)))
                not_taken = work.letters + await self._send(work, deadline, summary)
                if not_taken:
                    await _within(end, self.dead_letters.write(not_taken))
                if self._follower is not None and any(row.simulated for row in work.parsed.rows):
                    await self._follow(self._follower, work, not_taken)
                letters += not_taken
            summary.finish(letters, clock.monotonic() - began, clock.now())
            if not counts_as_seen:
                summary.sightings.clear()
            await self._observe(summary)
        logger.log(logging.WARNING if letters else logging.INFO, "delivered %s", orjson.dumps(summary.log()).decode())
        return summary

    async def _follow(self, follower: Follower, work: Work, letters: Sequence[Letter]) -> None:
        forwards = self._forward is not None
        now, rows = self._clock.now(), work.parsed.rows
        elsewhere = {place: sent.keys() for place, sent in work.places.items()}
        found = sightings(rows, letters, now, forwards=forwards, own_rows=work.own, elsewhere=elsewhere)
        await tell(follower, found)

    async def replay(self, choice: LetterFilter | None = None) -> Replay:
        """Deliver dead letters again: those that are due, unless `choice` says otherwise.

        Raises:
            shared.azure.blob_container.StoreError: the store is out of reach.
        """
        summary = Summary()

        async def redeliver(letters: Sequence[Letter], deadline: Deadline) -> list[Letter]:
            return await self._redeliver(letters, deadline, summary)

        with self._telemetry.invocation("retry_dead_letters", summary):
            if self.routed is not None:
                await self.routed.unknown()  # keeps routes that could not be kept
            deadline = self._clock.deadline(self._budget.deliver)
            end = self._clock.deadline(self._budget.end)
            replay = await _within(end, self.dead_letters.replay(redeliver, deadline, choice))
            summary.kept = await _within(end, self.dead_letters.kept())
            await self._observe(summary)
        if replay.blobs or replay.skipped or replay.stopped:
            logger.info("replayed %s", orjson.dumps(replay).decode())
        return replay

    async def sink(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Deliver the app's own rows (runs, health) to one of its tables with the same guarantees.

        Raises:
            shared.azure.blob_container.StoreError: some row is neither accepted nor kept.
        """
        end = self._clock.deadline(self._budget.end * OWN_ROWS)
        remaining = await self._upload_rows(table, rows)
        if remaining:
            kept = (msgspec.structs.replace(letter, replays=0, outages=0, sequence=0) for letter in remaining)
            await _within(end, self.dead_letters.write(kept))

    async def offer(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        """Upload rows that are kept elsewhere until they are accepted; gives the places of those that were."""
        remaining = {letter.sequence for letter in await self._upload_rows(table, rows)}
        return [place for place in range(len(rows)) if place not in remaining]

    async def _upload_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> list[Letter]:
        """Upload the app's own rows; gives those not accepted, with their places as sequence."""
        now = self._clock.now()
        encoded = [one_line(orjson.dumps(row, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)) for row in rows]
        letters = [
            Letter(reason="new", table=table, row=row, enqueued=now, failed=now, sequence=place)
            for place, row in enumerate(encoded)
        ]
        return await self._upload_again(letters, self._clock.deadline(self._budget.deliver * OWN_ROWS), Summary())

    async def _keep_whole(self, row: Row) -> None:
        """Keep the whole of a record whose row had to be cut.

        Its content and its key make the name: a repeat replaces it, and no other body does.
        """
        content = sha256(row.whole).hexdigest()[:16]
        name = f"{row.event_time:%Y-%m-%d}/{row.kind}/{content}-{row.record_key}.json.gz"
        await self._oversize.keep(name, igzip.compress(row.whole))

    async def _send(self, work: Work, deadline: Deadline, summary: Summary) -> list[Letter]:
        """Deliver to every place side by side; return what was not taken."""
        if self.routed is None or not work.places:
            return await self._send_own(work, deadline, summary)
        own, elsewhere = await asyncio.gather(
            self._send_own(work, deadline, summary), self.routed.send(work.places, deadline, summary)
        )
        return own + elsewhere

    async def _send_own(self, work: Work, deadline: Deadline, summary: Summary) -> list[Letter]:
        """Upload and forward side by side to the default place."""
        report, not_sent = await asyncio.gather(
            self._deliverer.deliver(work.bodies, deadline), self._send_on(work.forwarded, deadline, summary)
        )
        now = self._clock.now()
        summary.count_report(report)
        return [letter for refusal in report.refused for letter in refused(refusal, now)] + not_sent

    async def _send_on(
        self, rows: Sequence[tuple[Row, Outgoing]], deadline: Deadline, summary: Summary
    ) -> list[Letter]:
        if self._forward is None or not rows:
            return []
        failures = await self._forward.send([outgoing for _, outgoing in rows], deadline)
        summary.forwarded += len(rows) - len(failures)
        return [not_forwarded(*rows[failure.index], failure, self._clock.now()) for failure in failures]

    async def _redeliver(self, letters: Sequence[Letter], deadline: Deadline, summary: Summary) -> list[Letter]:
        """Send letters once more, each to where it was bound; return those not taken, with their counts moved on."""
        by_way: dict[str, list[Letter]] = {"route": [], "events": [], "hub": [], "workspace": []}
        for letter in letters:
            by_way["route" if letter.route else "events" if letter.event is not None else letter.target].append(letter)
        again = await asyncio.gather(
            self._upload_again(by_way["workspace"], deadline, summary),
            self._send_on_again(by_way["hub"], deadline, summary),
            self._send_elsewhere_again(by_way["route"], deadline, summary),
            self._read_again(by_way["events"], deadline, summary),
        )
        return [letter for part in again for letter in part]

    async def _upload_again(self, letters: Sequence[Letter], deadline: Deadline, summary: Summary) -> list[Letter]:
        by_stream, bodies = packed(letters)
        report = await self._deliverer.deliver(bodies, deadline)
        summary.count_report(report)
        return not_accepted(by_stream, report)

    async def _send_on_again(self, letters: Sequence[Letter], deadline: Deadline, summary: Summary) -> list[Letter]:
        if not letters:
            return []
        if self._forward is None:
            return all_failed(letters, NO_OUTPUT_HUB, "the settings name no output hub any more", outage=False)
        failures = await self._forward.send(events_of(letters), deadline)
        summary.forwarded += len(letters) - len(failures)
        return not_taken(letters, failures)

    async def _send_elsewhere_again(
        self, letters: Sequence[Letter], deadline: Deadline, summary: Summary
    ) -> list[Letter]:
        return (
            without_place(letters) if self.routed is None else await self.routed.send_again(letters, deadline, summary)
        )

    async def _read_again(self, letters: Sequence[Letter], deadline: Deadline, summary: Summary) -> list[Letter]:
        """Raw events go the whole way: a later release may read what this one could not."""
        if not letters:
            return []
        if self.routed is not None and await self.routed.unknown():
            return not_known(letters)  # where this raised, letters of other places would wait too
        before = {(letter.partition, letter.sequence): letter for letter in letters}
        work = await self._preparer.prepare([letter.raw_event for letter in letters], self._clock.now())
        await asyncio.gather(*map(self._keep_whole, work.oversize))
        after = work.letters + await self._send(work, deadline, summary)
        return [failed_again(before[letter.partition, letter.sequence], letter) for letter in after]

    async def _observe(self, summary: Summary) -> None:
        """Report to freshness, which does not hold up delivery."""
        if self._notes is not None:
            await self._notes.note(summary.sightings, summary.uploads)


def _parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events in their order, as much at a time as is handled together; at least one part."""
    begin = size = 0
    for index, event in enumerate(events):
        size += len(event.body)
        if size > PART_BYTES and index > begin:
            yield events[begin:index]
            begin, size = index, len(event.body)
    yield events[begin:]


async def _within(end: Deadline, step: Awaitable[T]) -> T:
    """Wait for a step, but not past the end.

    Raises:
        StoreError: time is up.
    """
    try:
        async with asyncio.timeout(max(0.0, end.left)):
            return await step
    except TimeoutError:
        raise StoreError("no time left") from None
