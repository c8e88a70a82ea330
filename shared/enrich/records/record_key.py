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

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.json_values import loaded
from shared.enrich.records.reader_output import Read
from shared.enrich.tables import SPINE

_ENVELOPE = frozenset(
    {"securityeventdataenrichment", "assessmenteventdataenrichment", "subassessmenteventdataenrichment"}
)
_NESTED = frozenset({dict, list})
KEY_LENGTH = 32
"""Hexadecimal digits of a RecordKey: 128 bits of a SHA-256."""
_OWN: Mapping[str, tuple[str, str]] = {
    "Alert": ("Status", "ProcessingEndTime"),
    "Assessment": ("RecommendationState", "StatusChangeDate"),
    "SubAssessment": ("RecommendationState", "SubAssessmentTimeGeneration"),
}
"""By kind: the columns of its state, and of when it became so."""

KeyOf = Callable[[Read, datetime], str]
"""Gives the RecordKey of a row whose RecordId, Action, IsSnapshot and own columns are set, enqueued then."""
_encode = msgspec.json.Encoder().encode


def key_of(kind: Kind) -> KeyOf:
    """What gives the keys of a kind."""
    by_content = _by_content(kind)
    return _by_own_time(kind.name, attrgetter(*_OWN[kind.name]), by_content) if kind.name in _OWN else by_content


def _by_own_time(name: str, own: Callable[[Any], tuple[Any, Any]], by_content: KeyOf) -> KeyOf:
    """Keys of a kind whose records say when they became what they are; those that don't have a key by content."""

    def key(read: Read, enqueued: datetime) -> str:
        values = read.values
        state, moment = own(values)
        if moment is None:
            return by_content(read, enqueued)
        if moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        action, snapshot = values.Action, values.IsSnapshot
        day = _day(enqueued) if snapshot or action == "Backfill" else None
        said = _encode((name, values.RecordId, action, snapshot, day, state.lower() if state else None, moment))
        return sha256(said).hexdigest()[:KEY_LENGTH]

    return key


def _by_content(kind: Kind) -> KeyOf:
    """Keys by all that a record says, whatever the casing and order of its names, and the hour of enqueuing."""
    name = kind.name
    own = kind.table.columns[len(SPINE) :]
    plain = _getter([column.name for column in own if column.type != "dynamic"])
    dynamic = [column.name for column in own if column.type == "dynamic"]

    def key(read: Read, enqueued: datetime) -> str:
        values, rest = read.values, read.rest
        action, snapshot = values.Action, values.IsSnapshot
        utc = enqueued if enqueued.tzinfo is UTC else enqueued.astimezone(UTC)
        day = utc.date() if snapshot or action == "Backfill" else None
        said = _encode((name, values.RecordId, action, snapshot, day, utc.date(), utc.hour, plain(values)))
        nested = [_canonical(loaded(getattr(values, name))) for name in dynamic]
        if rest:
            rest = {name: value for name, value in _canonical(rest).items() if name not in _ENVELOPE}
        if rest or nested:
            said += orjson.dumps([nested, rest], option=orjson.OPT_SORT_KEYS)
        return sha256(said).hexdigest()[:KEY_LENGTH]

    return key


def _canonical(value: Any) -> Any:
    """A value with its names in lower case and without the names of .NET types, which not every casing has."""
    if type(value) is dict:
        return {
            name.lower(): _canonical(inner) if type(inner) in _NESTED else inner
            for name, inner in value.items()
            if name != "$type"
        }
    return [_canonical(item) if type(item) in _NESTED else item for item in value] if type(value) is list else value


def _day(enqueued: datetime) -> date:
    return enqueued.date() if enqueued.tzinfo is UTC else enqueued.astimezone(UTC).date()


def _getter(columns: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the columns of a row, however few they are."""
    if len(columns) > 1:
        return attrgetter(*columns)
    return lambda values: tuple([getattr(values, column) for column in columns])
