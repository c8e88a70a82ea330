"""Figures over time as page, command, API and report show them: a day or month without a value is not known.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from shared.clock import utc_text
from shared.watch.cis_benchmark import CIS
from shared.watch.trend_functions import MEASURES

UNITS = {
    "coverage": "%", "silent time": "hours", "silent share": "%", "time to repair": "hours", "secure score": "%",
}  # fmt: skip
STANDS_ON = {
    "coverage": "subscriptions judged",
    "silent time": "hours watched",
    "silent share": "hours watched",
    "time to repair": "repairs",
    "secure score": "subscriptions",
}
_ONLY_BY_MONTH = "time to repair"


class Figure(NamedTuple):
    """One figure: `period` is a month (2026-11) or a day (2026-11-28), `name` the requirement of a coverage.

    `value` is None where it is not known, `over` what it stands on, `days` on how many days of the period it is known.
    """

    period: str
    measure: str
    name: str
    value: float | None
    over: float
    days: int


@dataclass(frozen=True)
class Figures:
    """Figures from a day on; `problem` says in a sentence why there are none, `not_counted` what they leave out."""

    since: datetime
    until: datetime
    months: Sequence[Figure] = ()
    days: Sequence[Figure] = ()
    problem: str = ""
    not_counted: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """As API and command give them."""
        return {
            "since": utc_text(self.since),
            "until": utc_text(self.until),
            "problem": self.problem,
            "notCounted": list(self.not_counted),
            "months": [_shown(figure) for figure in self.months],
            "days": [_shown(figure) for figure in self.days],
        }


def first_month(now: datetime, months: int) -> datetime:
    """The beginning (UTC) of the first of so many months, of which that of `now` is the last."""
    number = now.year * 12 + now.month - months
    return now.replace(
        year=number // 12, month=number % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )  # fmt: skip


def months_filled(rows: Iterable[Mapping[str, Any]], first: datetime, months: int) -> list[Figure]:
    """Every figure of every month from the first on."""
    number = first.year * 12 + first.month - 1
    periods = [f"{each // 12:04}-{each % 12 + 1:02}" for each in range(number, number + months)]
    return list(_filled(rows, periods, "%Y-%m", MEASURES))


def days_filled(rows: Iterable[Mapping[str, Any]], first: datetime, until: datetime) -> list[Figure]:
    """Every figure of every day from the first on, but those that only a month has."""
    periods = [f"{first + timedelta(days=number):%Y-%m-%d}" for number in range((until - first).days + 1)]
    return list(_filled(rows, periods, "%Y-%m-%d", [each for each in MEASURES if each != _ONLY_BY_MONTH]))


def _filled(
    rows: Iterable[Mapping[str, Any]], periods: Sequence[str], form: str, measures: Iterable[str]
) -> Iterator[Figure]:
    found = {(row["Period"].strftime(form), row["Measure"], row["Name"] or ""): row for row in rows}
    asked = sorted({name for _, measure, name in found if measure == "coverage"} - {CIS.name})
    for measure in measures:
        for name in (CIS.name, *asked) if measure == "coverage" else ("",):
            for period in periods:
                row = found.get((period, measure, name))
                if row is None:
                    yield Figure(period, measure, name, None, 0, 0)
                else:
                    value = None if row["Value"] is None else float(row["Value"])
                    yield Figure(period, measure, name, value, float(row["Over"]), int(row["Days"]))


def _shown(figure: Figure) -> dict[str, Any]:
    return {
        **figure._asdict(), "unit": UNITS[figure.measure], "standsOn": STANDS_ON[figure.measure],
    }  # fmt: skip


FIGURES_SHOWN = ("problem", "notCounted", "since", "until", "months")
"""What the report for auditors has of a document of figures."""
HEAD = ("Period", "Figure", "Value", "Known on", "Stands on")


def line(figure: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """A figure in words, as of a table with that head."""
    known = f"{figure['days']} day{'' if figure['days'] == 1 else 's'}" if figure["days"] else ""
    measure = f"{figure['measure']}, {figure['name']}" if figure["name"] else figure["measure"]
    over = f"{figure['over']:,g} {figure['standsOn']}" if known else ""
    return figure["period"], measure, _worded(figure), known, over


def _worded(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "none repaired" if figure["days"] else "not known"
    return f"{figure['value']:.2f} {figure['unit']}"
