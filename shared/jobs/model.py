"""What a job is, and what may happen to it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

KINDS = ("plan", "reconcile", "preview", "backfill", "replay", "discard", "accept", "claim", "gone", "canary")
FINAL = frozenset({"succeeded", "failed", "dead", "cancelled"})
STATES = frozenset({"queued", "running", *FINAL})

# A worker writes several heartbeats within STALE_AFTER; one that misses it is gone, and the queue's next delivery may
# take the job over.
STALE_AFTER = timedelta(seconds=90)
# A job whose worker stopped and that no other took over by DEAD_AFTER is marked dead.
DEAD_AFTER = timedelta(minutes=30)
# A message that no worker could take goes to the poison queue in minutes; a queue is never this long.
LOST_AFTER = timedelta(hours=24)
# In a row and without getting any further: a host may be ended often while a long job goes on.
MAX_ATTEMPTS = 5
ID_PATTERN = "[0-9]{13}-[0-9a-f]{8}"

_END_OF_TIME_MS = 10**13


@dataclass(frozen=True)
class Job:
    """One piece of work: what was asked, by whom, and how far it is.

    `state` is queued, running, succeeded, failed, dead or cancelled.  `cursor` is where an interrupted attempt goes on.
    `stuck` counts the attempts since it last got further.  `origin` is from where it was asked for.  `cancelled_by`
    asked for its end, which comes with the next heartbeat.  `release` wrote it last.  `trouble` says why this release
    leaves it as it is, and what helps; empty when it does not.
    """

    id: str
    kind: str
    arguments: Mapping[str, Any]
    actor: str
    created: datetime
    state: str = "queued"
    attempt: int = 0
    stuck: int = 0
    started: datetime | None = None
    heartbeat: datetime | None = None
    finished: datetime | None = None
    progress: str = ""
    cursor: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: str = ""
    cancelled_by: str = ""
    release: str = ""
    trouble: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL

    def quiet_for(self, now: datetime) -> timedelta:
        """How long ago its last heartbeat was written; zero unless it is running."""
        if self.state != "running" or self.heartbeat is None:
            return timedelta()
        return now - self.heartbeat


def said_dead(job: Job, now: datetime) -> Job | None:
    """The job marked dead when no worker can finish it any more; None before, or where it is left as it is."""
    if job.trouble:
        return None
    if job.quiet_for(now) > DEAD_AFTER:
        if job.cancelled_by:
            return cancelled(job, now)
        return replace(job, state="dead", finished=now, error="Its worker stopped and none took it over.")
    if job.state == "queued" and now - (job.heartbeat or job.created) > LOST_AFTER:
        return replace(job, state="dead", finished=now, error="No worker took it from the queue; start it again.")
    return None


def cancelled(job: Job, now: datetime) -> Job:
    """The job, ended on request; what it had done by then stays done."""
    done = "what it had done by then stays" if job.attempt else "it had not begun"
    return replace(job, state="cancelled", finished=now, error=f"Cancelled by {job.cancelled_by}; {done}.")


def new_id(now: datetime) -> str:
    """An id that sorts newest first, as Table Storage lists rows by key."""
    return f"{oldest_id(now)}{secrets.token_hex(4)}"


def oldest_id(now: datetime) -> str:
    """What sorts right before the ids of this moment, and after those of every later one."""
    return f"{_END_OF_TIME_MS - int(now.astimezone(UTC).timestamp() * 1000):013d}-"
