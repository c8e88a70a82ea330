"""RecordKey: which change of which record a row is.

| kind | made of |
| --- | --- |
| Alert | SystemAlertId, Status, ProcessingEndTime |
| Assessment | id, status code, StatusChangeDate |
| SubAssessment | id, status code, TimeGenerated |
| the others | id, digest of the record, hour of enqueuing |

The kind, IsSnapshot and Action are always in it; a snapshot's or a backfill's key also has the day of enqueuing, so
that weekly history survives.  Offsets and sequence numbers never are: duplicates collapse whatever caused them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

KEY_LENGTH = 32
"""Hexadecimal digits of a RecordKey: 128 bits of a SHA-256."""

_ENVELOPE = frozenset(
    {"securityeventdataenrichment", "assessmenteventdataenrichment", "subassessmenteventdataenrichment"}
)


def record_key(values: Any, enqueued: datetime, record: Callable[[], Any]) -> str:
    """The RecordKey of a row whose RecordKind, RecordId, Action, IsSnapshot and own columns are set.

    Args:
        values: the row.
        enqueued: when Event Hubs took the event.
        record: gives the parsed record, asked for only where the kind has no time of its own.
    """
    kind = values.RecordKind
    action = values.Action or ""
    own = _OWN.get(kind)
    parts = own(values) if own else None
    if parts is None:
        parts = f"{_digest(record())}\n{enqueued.astimezone(UTC):%Y-%m-%dT%H}"
    day = ""
    if values.IsSnapshot or action == "Backfill":
        day = enqueued.astimezone(UTC).date().isoformat()
    text = f"{kind}\n{values.RecordId}\n{action}\n{values.IsSnapshot}\n{day}\n{parts}"
    return sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat() if moment.tzinfo is not UTC else moment.isoformat()


def _state(state: str | None, moment: datetime | None) -> str | None:
    return f"{(state or '').lower()}\n{_stamp(moment)}" if moment is not None else None


_OWN: Mapping[str, Callable[[Any], str | None]] = {
    "Alert": lambda values: _state(values.Status, values.ProcessingEndTime),
    "Assessment": lambda values: _state(values.RecommendationState, values.StatusChangeDate),
    "SubAssessment": lambda values: _state(values.RecommendationState, values.SubAssessmentTimeGeneration),
}


def _digest(record: Any) -> str:
    """Digest of a record without its enrichment, whatever the order of its names."""
    if isinstance(record, dict):
        record = {name: value for name, value in record.items() if name.lower() not in _ENVELOPE}
    return sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()
