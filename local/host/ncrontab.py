"""NCRONTAB expressions: six fields with seconds first, every field must match, Sunday is 0, times are UTC.

Cron libraries differ in what counts here: NCRONTAB joins day-of-month and day-of-week with AND.
Source: Azure Functions documentation, "Timer trigger: NCRONTAB expressions".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
HORIZON_DAYS = 8 * 366  # the longest gap there can be lies between two 29ths of February around a common century


@dataclass(frozen=True)
class Schedule:
    """When a timer fires: the allowed values of each field, in order."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @classmethod
    def parse(cls, expression: str) -> Schedule:
        """Read an expression of six fields, or of five, which means at second 0.

        Raises:
            ValueError: it is none.
        """
        fields = expression.split()
        if len(fields) == len(LIMITS) - 1:
            fields = ["0", *fields]
        if len(fields) != len(LIMITS):
            raise ValueError(f"'{expression}' is no NCRONTAB expression: it has {len(fields)} fields, not six.")
        return cls(*(_values(field, *limits) for field, limits in zip(fields, LIMITS, strict=True)))

    def after(self, moment: datetime) -> datetime:
        """The first occurrence after `moment`.

        Raises:
            ValueError: there is none, as on a 31st of February.
        """
        start = moment.replace(microsecond=0) + timedelta(seconds=1)
        for offset in range(HORIZON_DAYS):
            day = start.date() + timedelta(days=offset)
            weekday = day.isoweekday() % 7
            if day.day not in self.days or day.month not in self.months or weekday not in self.weekdays:
                continue
            earliest = (start.hour, start.minute, start.second) if offset == 0 else (0, 0, 0)
            time = self._time_from(earliest)
            if time:
                return datetime(day.year, day.month, day.day, *time, tzinfo=moment.tzinfo)
        raise ValueError("The schedule never occurs.")

    def _time_from(self, earliest: tuple[int, int, int]) -> tuple[int, int, int] | None:
        for hour in self.hours:
            if hour < earliest[0]:
                continue
            for minute in self.minutes:
                if (hour, minute) < earliest[:2]:
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= earliest:
                        return hour, minute, second
        return None


def _values(field: str, low: int, high: int) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else _number(first)
        end = high if first == "*" or (step and not last) else _number(last or first)
        if high == LIMITS[-1][1] and end == high + 1:  # Sunday may be written 7
            found.add(0)
            end = high
        if not low <= start <= end <= high and not (start == high + 1 and found):
            raise ValueError(f"'{field}' must lie between {low} and {high}.")
        found.update(range(start, end + 1, int(step or 1)))
    return tuple(sorted(found))


def _number(text: str) -> int:
    name = text.lower()[:3]
    return MONTHS.get(name) or DAYS.get(name, -1) if name in MONTHS or name in DAYS else int(text)
