"""The secure score of all subscriptions where their scores lie in several workspaces.  Pure.

Each workspace says what stands in it by day (`trend_functions.standing_scores`); of a subscription that moved from one
to another, the newest score counts.  The formula is that of `trend_functions.SCORE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

MEASURE = "secure score"


class DayScore(NamedTuple):
    """The score of a day in percent, and of how many subscriptions."""

    day: datetime
    percentage: float
    subscriptions: int


def by_day(standing: Iterable[Sequence[Mapping[str, Any]]]) -> list[DayScore]:
    """The score of each day from what stands in each workspace."""
    newest: dict[tuple[datetime, str], Mapping[str, Any]] = {}
    for rows in standing:
        for row in rows:
            key = (row["Day"], str(row["SubscriptionId"]).lower())
            if key not in newest or row["OrderTime"] > newest[key]["OrderTime"]:
                newest[key] = row
    sums: dict[datetime, list[float]] = {}
    for (day, _), row in newest.items():
        weight = float(row["Weight"])
        total = sums.setdefault(day, [0.0, 0.0, 0])
        total[0] += float(row["CurrentScore"]) / float(row["MaxScore"]) * weight
        total[1] += weight
        total[2] += 1
    return [
        DayScore(day, round(100 * part / whole, 2), int(count)) for day, (part, whole, count) in sorted(sums.items())
    ]


def in_days(rows: Iterable[Mapping[str, Any]], scores: Iterable[DayScore]) -> list[Mapping[str, Any]]:
    """Figures by day with these scores in place of one workspace's."""
    return [*_without(rows), *(_row(one.day, one, 1) for one in scores)]


def in_months(rows: Iterable[Mapping[str, Any]], scores: Iterable[DayScore]) -> list[Mapping[str, Any]]:
    """Figures by month with these scores in place of one workspace's: that of the last day that is known."""
    months: dict[datetime, list[DayScore]] = {}
    for one in scores:
        months.setdefault(one.day.replace(day=1), []).append(one)
    return [*_without(rows), *(_row(month, max(days), len(days)) for month, days in months.items())]


def _without(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (row for row in rows if row["Measure"] != MEASURE)


def _row(period: datetime, score: DayScore, days: int) -> Mapping[str, Any]:
    known = {"Period": period, "InstanceId": "", "Measure": MEASURE, "Name": ""}
    return {**known, "Value": score.percentage, "Over": score.subscriptions, "Days": days}
