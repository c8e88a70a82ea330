"""Time as delivery sees it, so that tests can move it."""

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
    """The hour, a steady count of seconds, and a way to wait."""

    now: Callable[[], datetime] = _utc_now
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def deadline(self, seconds: float) -> Deadline:
        """The moment `seconds` from now."""
        return Deadline(self.seconds() + seconds, self)


@dataclass(frozen=True)
class Deadline:
    """A moment after which nothing new is begun."""

    at: float
    clock: Clock

    @property
    def left(self) -> float:
        """Seconds until then; zero or less when it has passed."""
        return self.at - self.clock.seconds()

    def sooner(self, seconds: float) -> Deadline:
        """The moment `seconds` from now, but no later than this one."""
        return Deadline(min(self.at, self.clock.seconds() + seconds), self.clock)
