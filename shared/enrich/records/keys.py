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

import msgspec
import orjson
from msgspec import Raw

from shared.enrich.records.fields import Kind
from shared.enrich.records.reading import Read
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
    day = utc.date() if snapshot or action == "Backfill" else None
    own = _OWN.get(kind.name)
    state, moment = own(values) if own else (None, None)
    if moment is not None:
        moment = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        state = state.lower() if state else ""
        said = _encode((kind.name, values.RecordId, action, snapshot, day, state, moment))
    else:
        said = _encode((kind.name, values.RecordId, action, snapshot, day, utc.date(), utc.hour)) + _content(kind, read)
    return sha256(said).hexdigest()[:KEY_LENGTH]


_encode = msgspec.json.Encoder().encode
_OWN: Mapping[str, Callable[[Any], tuple[Any, Any]]] = {
    "Alert": attrgetter("Status", "ProcessingEndTime"),
    "Assessment": attrgetter("RecommendationState", "StatusChangeDate"),
    "SubAssessment": attrgetter("RecommendationState", "SubAssessmentTimeGeneration"),
}
"""By kind: the state, and when it became so."""


@lru_cache
def _own_columns(kind: Kind) -> Callable[[Any], tuple[Any, ...]]:
    """Reads a kind's own columns."""
    return attrgetter(*(column.name for column in kind.table.columns[len(SPINE) :]), "RecordId")


def _content(kind: Kind, read: Read) -> bytes:
    """What a record says, whatever the casing and order of its names."""
    own = [orjson.loads(memoryview(v)) if isinstance(v, Raw) else v for v in _own_columns(kind)(read.values)]
    rest = {name: value for name, value in read.rest.items() if name.lower() not in _ENVELOPE} if read.rest else {}
    return orjson.dumps([own, rest], option=orjson.OPT_SORT_KEYS)
