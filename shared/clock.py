"""Time as an injected value: the current time, durations, and waiting; tests move all three."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


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
