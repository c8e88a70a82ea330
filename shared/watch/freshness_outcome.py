"""What a freshness check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from shared.watch.freshness_verdicts import (
    Health,
)


@dataclass(frozen=True)
class Delay:
    """Seconds from the hub to the table for the events of a day: median, 95th and 99th percentile, and who was late."""

    events: int
    p50: float
    p95: float
    p99: float
    late: int

    def on_time_percent(self, lost: int) -> float:
        """The share of events that were not late; of those that are not in the table none was on time."""
        return 100 * (self.events - self.late) / (self.events + lost)


@dataclass(frozen=True)
class InTable:
    """What a table holds of a day (UTC); without a delay where no row came from the hub."""

    rows: int = 0
    delay: Delay | None = None


@dataclass(frozen=True)
class StoredDay:
    """What the workspace tells of a day, by table; `trouble` is why it does not.

    `operations` is what it says of limits that it met while it took rows in.  Where rows are routed to further places,
    `elsewhere` is what each workspace of those tells, by the names of its places, and `with_default` names those whose
    rows lie in this one; `renamed` are tables that have other names in a further one.
    """

    tables: Mapping[str, InTable] = field(default_factory=dict)
    trouble: str = ""
    operations: Sequence[str] = ()
    elsewhere: Mapping[tuple[str, ...], StoredDay] = field(default_factory=dict)
    with_default: tuple[str, ...] = ()
    renamed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Compared:
    """Rows of a day (UTC) that were accepted for a table, how many of them it holds, and what explains the rest."""

    table: str
    day: date
    uploaded: int
    stored: int
    delay: Delay | None = None
    because: str = ""

    @property
    def lost(self) -> int:
        """How many are missing at least: a row that was stored twice hides one that was not."""
        return max(0, self.uploaded - self.stored)


@dataclass(frozen=True)
class Outcome:
    """What one check found; `reasons` say what it could not see.

    `not_compared` says of which places it is not known whether their rows are stored, which no verdict rests on.
    """

    checked: datetime
    health: Sequence[Health]
    stored: Sequence[Compared] = ()
    reasons: Sequence[str] = ()
    not_compared: Sequence[str] = ()
