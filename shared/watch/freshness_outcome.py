"""What a freshness check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from shared.watch.freshness_verdicts import (
    Health,
)


@dataclass(frozen=True)
class Compared:
    """Rows of a day (UTC) that were accepted for a table, and how many of them it holds."""

    table: str
    day: date
    uploaded: int
    stored: int

    @property
    def lost(self) -> int:
        """How many are missing at least: a row that was stored twice hides one that was not."""
        return max(0, self.uploaded - self.stored)


@dataclass(frozen=True)
class Outcome:
    """What one check found; `reasons` say what it could not see."""

    checked: datetime
    health: Sequence[Health]
    stored: Sequence[Compared] = ()
    reasons: Sequence[str] = ()
