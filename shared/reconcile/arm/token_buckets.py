"""Pace requests to Azure Resource Manager's token buckets, so that no request is answered with 429.

Per subscription and principal: reads 250 and 25 more a second, writes 200 and 10 more a second; across subscriptions
fifteen times that (Azure Resource Manager throttling, 2024 limits).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from shared.clock import Clock

ACROSS = 15
# Our clock and the server's run apart, and the buckets may hold others' requests too.
HEADROOM = 0.97
# Waits end at multiples of this many seconds, so that several requests are let go at once: one by one they cost a fifth
# more CPU.  Tokens that flow in meanwhile are not lost, and a run takes no longer.
STEP = 0.25


@dataclass(frozen=True)
class Rate:
    """A bucket's size in requests and how many a second flow back in."""

    size: float
    refill: float

    def times(self, factor: float) -> Rate:
        """The same bucket, larger."""
        return Rate(self.size * factor, self.refill * factor)


READS = Rate(250, 25)
WRITES = Rate(200, 10)


class _Bucket:
    """Tokens, which may be taken ahead of time: taking one gives how long to wait for it."""

    __slots__ = ("_rate", "_tokens", "_updated")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.size
        self._updated = now

    def take(self, now: float) -> float:
        """Take one token and return the seconds until it is there; turns are served in the order of asking."""
        self._refill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate.refill)

    def drain(self, now: float) -> None:
        """Count the bucket as empty, as the server's answer says."""
        self._refill(now)
        self._tokens = min(self._tokens, 0.0)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._rate.size, self._tokens + (now - self._updated) * self._rate.refill)
        self._updated = now


class Pacer:
    """Waits before a request until its subscription's bucket and the one across subscriptions have a token."""

    def __init__(self, clock: Clock, reads: Rate = READS, writes: Rate = WRITES) -> None:
        self._clock = clock
        self._rates = {False: reads.times(HEADROOM), True: writes.times(HEADROOM)}
        now = clock.monotonic()
        self._across = {write: _Bucket(rate.times(ACROSS), now) for write, rate in self._rates.items()}
        self._own: dict[tuple[str, bool], _Bucket] = {}

    async def turn(self, subscription_id: str, *, write: bool) -> None:
        """Return when the request may be sent."""
        now = self._clock.monotonic()
        wait = max(self._bucket(subscription_id, write, now).take(now), self._across[write].take(now))
        if wait > 0:
            step = ceil((now + wait) / STEP) * STEP
            await self._clock.sleep(step - now)

    def throttled(self, subscription_id: str, *, write: bool) -> None:
        """Learn from a 429 of the server: others use the same bucket."""
        now = self._clock.monotonic()
        self._bucket(subscription_id, write, now).drain(now)

    def _bucket(self, subscription_id: str, write: bool, now: float) -> _Bucket:
        key = (subscription_id.lower(), write)
        if key not in self._own:
            self._own[key] = _Bucket(self._rates[write], now)
        return self._own[key]
