"""When records of a subscription and kind last arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

Key = tuple[str, str]  # subscription id in lower case, kind (the streaming event source's name)


@dataclass(frozen=True)
class Seen:
    """When records of a subscription and kind last arrived, and the times that waiting for them is counted from.

    A snapshot is waited for from `expected` on, until it is `withdrawn`; at `idle` there was nothing to send.
    """

    streaming: datetime | None = None
    snapshot: datetime | None = None
    expected: datetime | None = None
    withdrawn: datetime | None = None
    idle: datetime | None = None

    @property
    def last(self) -> datetime | None:
        """The newer of the two arrivals."""
        return max((time for time in (self.streaming, self.snapshot) if time), default=None)

    @property
    def expected_since(self) -> datetime | None:
        """Since when a snapshot is waited for; None when it is not."""
        return None if self.expected and self.withdrawn and self.withdrawn >= self.expected else self.expected

    def waiting_since(self, now: datetime) -> datetime:
        """The last snapshot, or since when one is waited for."""
        since = self.expected_since
        return now if since is None else max(since, self.snapshot or since)
