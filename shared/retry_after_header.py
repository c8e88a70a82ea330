"""How long a service may make the app wait: what it asks for, within bounds.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 60.0
"""Whatever a service asks for, it is tried again at least once a minute: one wrong header must not cost a day."""


def asked_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by `Retry-After` in either of its forms (RFC 9110, 10.2.3), uncapped; None if it says nothing.

    A date is compared with the service's own `Date`, since the clock here may be wrong.
    """
    value = headers.get("Retry-After")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = _date(value)
        if moment is None:
            return None
        seconds = (moment - (_date(headers.get("Date") or "") or now)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def capped(seconds: float) -> float:
    """A pause that was asked for, but no longer than a minute."""
    return min(seconds, LONGEST_SECONDS)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
