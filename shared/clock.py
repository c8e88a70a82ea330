"""Time as an injected value: the current time, durations, and waiting; tests move all three."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


def utc_text(moment: datetime, timespec: str = "auto") -> str:
    """The moment as answers and stored documents have it: RFC 3339 in UTC, ending in `Z`.

    `timespec` is that of `datetime.isoformat`.
    """
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec)}Z"


def utc_moment(text: str) -> datetime:
    """The moment that a text names, in UTC.

    Raises:
        ValueError: it names none, has no zone, or lies outside the years that Python counts.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


@dataclass(frozen=True)
class Clock:
    """Wall-clock time in UTC, monotonic seconds, and sleep by seconds."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def deadline(self, seconds: float) -> Deadline:
        """The moment `seconds` from now."""
        return Deadline(self.monotonic() + seconds, self)


@dataclass(frozen=True)
class Deadline:
    """A moment after which nothing new is begun."""

    at: float
    clock: Clock

    @property
    def left(self) -> float:
        """Seconds until then; zero or less when it has passed."""
        return self.at - self.clock.monotonic()

    def sooner(self, seconds: float) -> Deadline:
        """The moment `seconds` from now, but no later than this one."""
        return Deadline(min(self.at, self.clock.monotonic() + seconds), self.clock)
