"""What one invocation did, in numbers: for metrics, the log line and freshness.  No record contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from shared.enrich.dead_letters.dead_letter_format import Letter
from shared.enrich.delivery.packing import Body
from shared.enrich.delivery.upload import Report
from shared.enrich.invocation.preparation import Work
from shared.enrich.records.model import Event

Sightings = dict[tuple[str, str, bool], datetime]
"""(subscription, kind, whether a snapshot's) -> the newest enqueued time."""
Uploads = Counter[tuple[str, date]]
"""(table, day of arrival in UTC) -> rows accepted."""
Observer = Callable[
    [Mapping[tuple[str, str, bool], datetime], Mapping[tuple[str, date], int], datetime], Awaitable[None]
]
"""Told once an invocation: sightings, uploads, now."""


@dataclass(frozen=True)
class ServiceLevel:
    """Of all events so many percent are to be delivered within so long of their enqueuing."""

    late_after: timedelta = timedelta(minutes=15)
    percent: float = 99.0


SERVICE_LEVEL = ServiceLevel()


@dataclass
class Summary:
    """Counts of one invocation.

    `places` counts rows by place of the file of routes and what became of them: `accepted` or `dead_letters`.
    `lag` is seconds that the newest event waited, by partition; `age` seconds from the oldest event's enqueuing to its
    delivery; `context` look-ups by outcome; `unplaced` records of no known kind by shape; `kept` the letters in the
    store by reason and state, where they were counted; `late` the events that missed the `level`, `late_allowed` how
    many of them it lets be late.
    """

    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    forwarded: int = 0
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    oversize: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes_sent: int = 0
    lag: dict[str, float] = field(default_factory=dict)
    context: Counter[str] = field(default_factory=Counter)
    unplaced: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] | None = None
    oldest: datetime | None = None
    age: float = 0.0
    seconds: float = 0.0
    sightings: Sightings = field(default_factory=dict)
    uploads: Uploads = field(default_factory=Counter)
    level: ServiceLevel = SERVICE_LEVEL
    late: int = 0
    late_allowed: float = 0.0
    waited: Sequence[Event] = field(default=(), repr=False)

    def count_events(self, events: Sequence[Event], now: datetime) -> None:
        """How many, and how long the newest of each partition has waited."""
        self.events += len(events)
        # Events of a partition come in order; a backfill's are of none, and wait for nothing.
        newest = {event.partition: event.enqueued for event in events if event.partition}
        self.lag = {partition: (now - enqueued).total_seconds() for partition, enqueued in newest.items()}
        self.oldest = min((event.enqueued for event in events if event.partition), default=None)
        self.waited = events

    def count_work(self, work: Work) -> None:
        """Records by kind, and when each subscription last sent, whatever the cost filters left out of it."""
        sightings = self.sightings
        sightings.update(work.parsed.left_out)
        for row in work.parsed.rows:
            self.kinds[row.kind] += 1
            if row.simulated:  # what was asked for does not show that anything flows by itself
                continue
            key = (row.subscription, row.kind, row.snapshot)
            seen = sightings.get(key)
            if seen is None or row.event.enqueued > seen:
                sightings[key] = row.event.enqueued
        self.dropped += work.parsed.dropped
        self.oversize += len(work.oversize)
        self.context += work.context
        self.unplaced += work.unplaced

    def count_report(self, report: Report[Body]) -> None:
        """Rows accepted by table and day, and what that took."""
        for (stream, day), rows in report.days.items():
            table = stream.removeprefix("Custom-")
            self.accepted[table] += rows
            self.uploads[table, day] += rows
        self._count_requests(report)

    def count_place(self, place: str, report: Report[Body]) -> None:
        """The same at a place of the file of routes; a table there is named after it."""
        for (stream, day), rows in report.days.items():
            self.count_arrived(place, stream.removeprefix("Custom-"), day, rows)
        self._count_requests(report)

    def count_arrived(self, place: str, what: str, day: date, rows: int) -> None:
        """Rows that a place took on a day, by table or as events of its hub."""
        self.places[place, "accepted"] += rows
        self.uploads[f"{place}.{what}", day] += rows

    def _count_requests(self, report: Report[Body]) -> None:
        self.requests += report.requests
        self.retries += report.retries
        self.throttled += report.throttled
        self.bytes_sent += report.bytes_sent

    def finish(self, letters: Iterable[Letter], seconds: float, now: datetime) -> None:
        """Dead letters by reason, and how long it all took."""
        for letter in letters:
            self.letters[letter.reason] += 1
            if letter.route:
                self.places[letter.route, "dead_letters"] += 1
        self.seconds = seconds
        if self.oldest is not None:
            self.age = (now - self.oldest).total_seconds()
            self._count_late(now - self.level.late_after)

    def _count_late(self, limit: datetime) -> None:
        enqueued = [event.enqueued for event in self.waited if event.partition]
        self.late = sum(each < limit for each in enqueued)
        self.late_allowed = len(enqueued) * (100 - self.level.percent) / 100

    def log(self) -> dict[str, object]:
        """Fields of the structured log line."""
        by_place: dict[str, dict[str, int]] = {}
        for (place, outcome), rows in self.places.items():
            by_place.setdefault(place, {})[outcome] = rows
        return {
            "events": self.events,
            "records": sum(self.kinds.values()),
            "dropped": sum(self.dropped.values()),
            "accepted": sum(self.accepted.values()),
            "dead_letters": dict(self.letters),
            "forwarded": self.forwarded,
            **({"places": by_place} if by_place else {}),
            "requests": self.requests,
            "retries": self.retries,
            "bytes": self.bytes_sent,
            "seconds": round(self.seconds, 3),
        }
