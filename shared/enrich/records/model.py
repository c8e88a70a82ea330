"""What goes into the reading of records and what comes out of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

OLDEST, NEWEST = timedelta(days=2) - timedelta(hours=1), timedelta(days=1) - timedelta(hours=1)
"""How far TimeGenerated may lie before and after now: Azure's two days and one day, less an hour for delivery."""


class Event(NamedTuple):
    """One event of the hub: its body, when it was enqueued (aware), its partition and sequence number there."""

    body: bytes
    enqueued: datetime
    partition: str = ""
    sequence: int = 0


class Row(msgspec.Struct, gc=False):
    """One row on its way to a table.

    `json` is the row as a JSON object in UTF-8; the context adds its columns there.  It is encoded as soon as it is
    read, while its parts are in the processor's cache, which halves the cost.  `event` is where it came from, `whole`
    its record as sent (the event's body, or its share of it); ids are in lower case, empty where there is none.
    `located`, `tagged` and `tenanted` say that the record itself gave Location, Tags and SourceTenantId, `simulated`
    that it is an alert that nothing has caused (docs/canary.md).
    """

    table: str
    kind: str
    record_key: str
    record_id: str
    subscription: str
    resource: str
    group: str
    located: bool
    tagged: bool
    event_time: datetime
    snapshot: bool
    json: bytes
    event: Event
    whole: bytes
    tenanted: bool = True
    simulated: bool = False


class BadRecord(NamedTuple):
    """What no row can be made of: the reason in words (never the contents), the event, and its bytes."""

    reason: str
    event: Event
    body: bytes


@dataclass
class Parsed:
    """A batch read; rows of a kind are in the order of the events.

    `dropped` counts by kind what filters left out; `left_out` says by (subscription, kind, whether a snapshot's) when
    the newest of it was enqueued, since it arrived all the same.
    """

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    left_out: dict[tuple[str, str, bool], datetime] = field(default_factory=dict)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What the reading of one batch shares: the times that Azure accepts as TimeGenerated, and what was left out."""

    oldest: datetime
    newest: datetime
    now: datetime
    left_out: dict[tuple[str, str, bool], datetime]

    @classmethod
    def begun(cls, now: datetime) -> Batch:
        """A batch that is read at this moment."""
        return cls(now - OLDEST, now + NEWEST, now, {})

    def accepted(self, event_time: datetime, enqueued: datetime) -> datetime:
        """The first of the record's time, the time of enqueuing and now that lies inside."""
        if self.oldest <= event_time <= self.newest:
            return event_time
        return enqueued if self.oldest <= enqueued <= self.newest else self.now
