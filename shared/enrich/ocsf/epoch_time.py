"""Times as OCSF counts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_milliseconds(moment: datetime) -> int:
    """Whole milliseconds from 1970 to an aware time, exactly: a float would lose them far from today."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
