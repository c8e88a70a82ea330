"""RecordKey: which change of which record a row is.

| kind | made of |
| --- | --- |
| Alert | SystemAlertId, Status, ProcessingEndTime |
| Assessment | id, status code, StatusChangeDate |
| SubAssessment | id, status code, TimeGenerated |
| the others | id, digest of the content, hour of enqueuing |

The content is the kind's own columns and what no column carries, so that casing and order of names say nothing.  The
kind, IsSnapshot and Action are always in it; a snapshot's or a backfill's key also has the day of enqueuing, so
that weekly history survives.  Offsets and sequence numbers never are: duplicates collapse whatever caused them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any

import orjson
from msgspec import Raw

from shared.enrich.records.fields import Kind
from shared.enrich.records.shapes import Read
from shared.enrich.tables import SPINE

_ENVELOPE = frozenset(
    {"securityeventdataenrichment", "assessmenteventdataenrichment", "subassessmenteventdataenrichment"}
)
KEY_LENGTH = 32
"""Hexadecimal digits of a RecordKey: 128 bits of a SHA-256."""


def record_key(kind: Kind, read: Read, enqueued: datetime) -> str:
    """The RecordKey of a row whose RecordId, Action, IsSnapshot and own columns are set."""
    values = read.values
    action, snapshot = values.Action or "", values.IsSnapshot
    utc = enqueued if enqueued.tzinfo is UTC else enqueued.astimezone(UTC)
    day = utc.date() if snapshot or action == "Backfill" else ""
    own = _OWN.get(kind.name)
    change = own(values) if own else None
    text = f"{kind.name}\n{values.RecordId}\n{action}\n{snapshot}\n{day}\n{change}"
    if change is None:
        content = f"{text}\n{utc.isoformat(timespec='hours')}\n".encode() + _content(kind, read)
    else:
        content = text.encode()
    return sha256(content).hexdigest()[:KEY_LENGTH]


def _state(state: str | None, moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return f"{(state or '').lower()}\n{(moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat()}"


_OWN: Mapping[str, Callable[[Any], str | None]] = {
    "Alert": lambda values: _state(values.Status, values.ProcessingEndTime),
    "Assessment": lambda values: _state(values.RecommendationState, values.StatusChangeDate),
    "SubAssessment": lambda values: _state(values.RecommendationState, values.SubAssessmentTimeGeneration),
}


@lru_cache
def _own_columns(kind: Kind) -> tuple[Callable[[Any], tuple[Any, ...]], bool]:
    """Reads a kind's own columns, and whether one of them is dynamic."""
    own = kind.table.columns[len(SPINE) :]
    dynamic = any(column.type == "dynamic" for column in own)
    return attrgetter(*(column.name for column in own), "RecordId"), dynamic


def _content(kind: Kind, read: Read) -> bytes:
    """What a record says, whatever the casing and order of its names."""
    columns, dynamic = _own_columns(kind)
    own = columns(read.values)
    if dynamic:
        own = tuple(orjson.loads(memoryview(value)) if isinstance(value, Raw) else value for value in own)
    rest = {name: value for name, value in read.rest.items() if name.lower() not in _ENVELOPE}
    return orjson.dumps([own, rest], option=orjson.OPT_SORT_KEYS)
