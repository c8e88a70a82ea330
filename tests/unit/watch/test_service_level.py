"""A day's service level: what was accepted and is not in the table was not on time."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from shared.watch.freshness_outcome import Compared, Delay, Outcome
from shared.watch.health_rows import comparison_rows

DAY = date(2026, 11, 21)


def level(uploaded: int, stored: int, late: int) -> tuple[str, str, float]:
    """Verdict, reason and share on time of a day of events that were stored, so many of them late."""
    one = Compared("DefenderAlerts_CL", DAY, uploaded, stored, Delay(stored, 1.0, 2.0, 3.0, late))
    rows = comparison_rows(Outcome(datetime(2026, 11, 22, 3, tzinfo=UTC), (), [one]), "i", 99.0)
    (found,) = [row for row in rows if row["CheckName"] == "service level"]
    return found["Verdict"], found["Reason"], found["Details"]["onTimePercent"]


@pytest.mark.parametrize(
    ("uploaded", "stored", "late", "verdict", "percent"),
    [
        (1000, 1000, 0, "met", 100.0),
        (1000, 1003, 10, "met", 99.003),
        (1000, 1000, 20, "missed", 98.0),
        (1000, 500, 0, "missed", 50.0),
        (1000, 995, 0, "met", 99.5),
        (1000, 991, 5, "missed", 98.6),
    ],
)
def test_rows_that_are_not_stored_were_not_on_time(
    uploaded: int, stored: int, late: int, verdict: str, percent: float
) -> None:
    told, reason, on_time = level(uploaded, stored, late)
    assert told == verdict
    assert on_time == pytest.approx(percent, abs=0.001)
    lost = max(0, uploaded - stored)
    assert (f"{lost} accepted rows are not in the table" in reason) == (verdict == "missed" and lost > 0)
