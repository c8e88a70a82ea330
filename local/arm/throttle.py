"""ARM's throttling: token buckets for each subscription and principal, and fifteen times that across them.

Source of the figures: the Azure Resource Manager throttling page (reads 250 + 25/s, writes and deletes 200 + 10/s).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from local.arm.calls import ArmError

ACROSS_SUBSCRIPTIONS = 15


@dataclass(frozen=True)
class Limit:
    """A bucket's size in requests, and how many a second flow in."""

    size: float
    refill: float

    def times(self, factor: float) -> Limit:
        """The limit scaled."""
        return Limit(self.size * factor, self.refill * factor)


LIMITS = {"reads": Limit(250, 25), "writes": Limit(200, 10), "deletes": Limit(200, 10)}
_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}


@dataclass
class Bucket:
    """A token bucket that starts full."""

    limit: Limit
    tokens: float
    filled: float

    def refill(self, now: float) -> None:
        """Let in what has flowed since the last look."""
        self.tokens = min(self.limit.size, self.tokens + (now - self.filled) * self.limit.refill)
        self.filled = now

    def wait(self) -> float:
        """Seconds until a token is there."""
        return max(0.0, (1 - self.tokens) / self.limit.refill)


class Throttle:
    """The buckets of every subscription and principal; `now` gives epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self.refused = 0

    def take(self, method: str, subscription: str, principal: str) -> dict[str, str]:
        """Take one token from both buckets; the headers that say what is left.

        `subscription` is empty for a request at tenant scope.

        Raises:
            ArmError: 429 with Retry-After when a bucket is empty.
        """
        kind = _KINDS.get(method, "writes")
        limit = LIMITS[kind]
        own = self._bucket(kind, subscription or "tenant", principal, limit)
        across = self._bucket(kind, "*", principal, limit.times(ACROSS_SUBSCRIPTIONS))
        wait = max(own.wait(), across.wait())
        scope = "subscription" if subscription else "tenant"
        if wait > 0:
            self.refused += 1
            raise _refusal(kind, subscription, principal, wait, scope)
        own.tokens -= 1
        across.tokens -= 1
        return {
            f"x-ms-ratelimit-remaining-{scope}-{kind}": str(int(own.tokens)),
            f"x-ms-ratelimit-remaining-{scope}-global-{kind}": str(int(across.tokens)),
        }

    def _bucket(self, kind: str, subscription: str, principal: str, limit: Limit) -> Bucket:
        now = self._now()
        bucket = self._buckets.setdefault((kind, subscription, principal), Bucket(limit, limit.size, now))
        bucket.refill(now)
        return bucket


def _refusal(kind: str, subscription: str, principal: str, wait: float, scope: str) -> ArmError:
    seconds = math.ceil(wait)
    code = "SubscriptionRequestsThrottled" if scope == "subscription" else "TenantRequestsThrottled"
    return ArmError(
        429,
        code,
        f"Number of '{kind}' requests for {scope} '{subscription}' actor '{principal}' exceeded. Please try again "
        f"after '{seconds}' seconds after additional tokens are available. "
        "Refer to https://aka.ms/arm-throttling for additional information.",
        headers={"Retry-After": str(seconds), f"x-ms-ratelimit-remaining-{scope}-{kind}": "0"},
    )
