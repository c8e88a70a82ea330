"""RecordKey: which change of which record a row is.

| kind | made of |
| --- | --- |
| Alert | SystemAlertId, Status (Active is New), ProcessingEndTime; digest of severity and entities |
| Assessment | id, status code, StatusChangeDate; digest of severity, cause, risk, attack paths, CVE ids, fix |
| SubAssessment | id, status code, TimeGenerated; digest of severity, cause, CVE ids, score, fix |
| the others | id, digest of the content, hour of enqueuing |

The content is the kind's own columns and what no column carries, so that casing and order of names say nothing, nor
does the casing of ids, texts and entities in a digest, nor how entities are numbered.  The kind, IsSnapshot and Action
are always in it; a snapshot's or a backfill's key also has the day of enqueuing, so that weekly history survives.
An alert has no snapshot: one that a backfill read is the same change as the one that was streamed.
Offsets and sequence numbers never are: duplicates collapse whatever caused them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.json_values import loaded_exactly
from shared.enrich.records.reader_output import Read
from shared.enrich.tables import FIRST, SPINE

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
OWN_TIME: Mapping[str, str] = {kind: moment for kind, (_, moment) in _OWN.items()}
"""By kind: the column of its own time; a row that has it has a key that what no column carries has no part in."""
_STANDS_STILL: Mapping[str, tuple[str, ...]] = {
    "Alert": ("AlertSeverity", "Entities"),
    "Assessment": (
        "RecommendationSeverity",
        "StateCause",
        "RiskLevel",
        "RiskFactors",
        "AttackPathsReferences",
        "CveIds",
        "CvssScore",
        "FixStatus",
        "FixedVersion",
        "SoftwareVersions",
    ),
    "SubAssessment": ("RecommendationSeverity", "Cause", "CveIds", "CvssScore", "Patchable", "FixStatus"),
}
"""By kind: what may change while state and time stand still."""
_NO_CHANGE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "SecureScoreControl": tuple(("properties", "definition", name) for name in ("id", "name", "type")),
    "AttackPath": (("properties", "refreshinterval"), ("attackpath", "refreshinterval")),
}
"""By kind: paths in Raw that say nothing about the state of a record."""
_SHORT = 200
"""Bytes of a JSON text that is likely to come again."""
_USUAL_CASING = {"ascscore": "ascScore"}

KeyOf = Callable[[Read, datetime], str]
"""Gives the RecordKey of a row whose RecordId, Action, IsSnapshot and own columns are set, enqueued then."""
_encode = msgspec.json.Encoder().encode


def key_of(kind: Kind) -> KeyOf:
    """What gives the keys of a kind."""
    by_content = _by_content(kind)
    return _by_own_time(kind.name, attrgetter(*_OWN[kind.name]), by_content) if kind.name in _OWN else by_content


def _by_own_time(name: str, own: Callable[[Any], tuple[Any, Any]], by_content: KeyOf) -> KeyOf:
    """Keys of a kind whose records say when they became what they are; those that don't have a key by content."""
    standing = attrgetter(*_STANDS_STILL[name])
    is_alert = name == "Alert"

    def key(read: Read, enqueued: datetime) -> str:
        values = read.values
        state, moment = own(values)
        if moment is None:
            return by_content(read, enqueued)
        if moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        action, snapshot = values.Action, values.IsSnapshot
        state = state.lower() if state else None
        content = standing(values)
        if is_alert:
            action = None if action == "Backfill" else action
            state = "new" if state == "active" else state
            severity, entities = content
            still = [severity.lower() if severity else severity, canonical_entities(entities)]
        else:
            still = [
                value.lower() if type(value) is str else None if value is None else _standing(value)
                for value in content
            ]
        day = _day(enqueued) if snapshot or action == "Backfill" else None
        said = _encode((name, values.RecordId, action, snapshot, day, state, moment, still))
        return sha256(said).hexdigest()[:KEY_LENGTH]

    return key


def _by_content(kind: Kind) -> KeyOf:
    """Keys by all that a record says, whatever the casing and order of its names, and the hour of enqueuing."""
    name = kind.name
    # columns of later releases take part only where they have a value: keys of all other records stay as they were
    added = [column.name for column in kind.table.columns[len(SPINE) :] if column.since != FIRST]
    own = [column for column in kind.table.columns[len(SPINE) :] if column.since == FIRST]
    plain = _getter([column.name for column in own if column.type != "dynamic"])
    dynamic = [column.name for column in own if column.type == "dynamic"]
    no_change = _NO_CHANGE.get(name, ())

    def key(read: Read, enqueued: datetime) -> str:
        values, rest = read.values, read.rest
        action, snapshot = values.Action, values.IsSnapshot
        if name == "Alert" and action == "Backfill":
            action = None
        utc = enqueued if enqueued.tzinfo is UTC else enqueued.astimezone(UTC)
        day = utc.date() if snapshot or action == "Backfill" else None
        said = _encode((name, values.RecordId, action, snapshot, day, utc.date(), utc.hour, _cased(name, plain, read)))
        nested = [_canonical(loaded_exactly(getattr(values, name))) for name in dynamic]
        if rest:
            rest = {name: value for name, value in _canonical(rest).items() if name not in _ENVELOPE}
            for path in no_change:
                _without(rest, path)
            rest = _pruned(rest)
        later = ((name, getattr(values, name)) for name in added)
        new = {name: _canonical(loaded_exactly(value)) for name, value in later if value is not None}
        if new:
            rest = rest | {"": new}
        if rest or nested:
            said += _sorted([nested, rest])
        return sha256(said).hexdigest()[:KEY_LENGTH]

    return key


def _cased(name: str, plain: Callable[[Any], tuple[Any, ...]], read: Read) -> tuple[Any, ...]:
    """A row's own columns that are no objects; those that follow the casing of an id or name, in one casing."""
    own = plain(read.values)
    if name == "RegulatoryCompliance":
        return tuple([text.lower() if isinstance(text, str) else text for text in own])
    if name == "SecureScore" and read.name and own[0]:
        return (_USUAL_CASING.get(own[0].lower(), own[0].lower()), *own[1:])
    if name == "Alert":
        return tuple(["New" if text == "Active" else text for text in own])
    return own


def _without(rest: dict[str, Any], path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        rest = rest.get(name) or {}
        if not isinstance(rest, dict):
            return
    rest.pop(path[-1], None)


def _pruned(rest: dict[str, Any]) -> dict[str, Any]:
    """Without empty texts and objects that nothing is left in."""
    kept = {name: _pruned(value) if type(value) is dict else value for name, value in rest.items()}
    return {name: value for name, value in kept.items() if value not in ("", {})}


def _sorted(value: Any) -> bytes:
    """JSON with sorted names; integers may be of any length."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return msgspec.json.encode(value, order="sorted")


def canonical_entities(value: Any) -> list[str] | None:
    """An alert's entities as sorted texts in lower case, without the numbers by which they refer to each other.

    A reference is replaced by the texts and numbers of the entity that it names.
    """
    lowered = _lowered(value) if isinstance(value, Raw) else None
    if lowered is None:
        entities = loaded_exactly(value)
        if not isinstance(entities, list):
            return None if entities is None else [_sorted(_settled(entities)).decode()]
        numbered: dict[str, Any] = {}
        lowered = [_numbered(entity, numbered) for entity in entities]
        if numbered:
            lowered = [_referred(entity, numbered) for entity in lowered]
    return sorted([_sorted(entity).decode() for entity in lowered])


_ASCII = bytes(range(128))
_BEYOND_64_BITS = 2.0**63


def _lowered(value: Raw) -> list[Any] | None:
    """The entities as `_numbered` and `_referred` give them, from a text whose ASCII is lowered as a whole.

    None where that can't be, and where it holds something else than a list: escaped characters have no case yet, of
    names that differ by case alone a null would count, and integers beyond 64 bits have become floats.
    """
    text = bytes(value).lower()
    if b"\\u" in text:
        return None
    others = "" if text.isascii() else text.translate(None, _ASCII).decode()
    if others.lower() != others:
        return None
    entities = orjson.loads(text)
    if type(entities) is not list:
        return None
    numbered: dict[str, Any] = {}
    references: list[tuple[Any, Any, Any]] = []
    if not _survey(entities, numbered, references):
        return None
    if numbered:
        scalars: dict[str, Any] = {}
        for holder, name, number in references:
            key = str(number)
            if key not in scalars:
                named = numbered.get(key, {})
                scalars[key] = {member: inner for member, inner in named.items() if type(inner) not in _NESTED}
            holder[name] = scalars[key]
    return entities


def _survey(holder: Any, numbered: dict[str, Any], references: list[tuple[Any, Any, Any]]) -> bool:
    """Note the entities below an object or list by their numbers, and where one is referred to; drop their types.

    False where there is a null, a number or type that is none, or a float that may be an integer beyond 64 bits.
    """
    for name, inner in holder.items() if type(holder) is dict else enumerate(holder):
        kind = type(inner)
        if kind is str:
            continue
        if kind is dict:
            number = inner.pop("$id", None)
            if type(number) in _NESTED or type(inner.pop("$type", "")) is not str:
                return False
            if "$ref" in inner:
                references.append((holder, name, inner["$ref"]))
            if not _survey(inner, numbered, references):
                return False
            if number is not None:
                numbered[str(number)] = inner
        elif (
            inner is None
            or (kind is float and abs(inner) >= _BEYOND_64_BITS)
            or (kind is list and not _survey(inner, numbered, references))
        ):
            return False
    return True


def _numbered(value: Any, numbered: dict[str, Any]) -> Any:
    """The same in lower case and without nulls; notes each entity by its number."""
    kind = type(value)
    if kind is str:
        return value.lower()
    if kind is list:
        return [_numbered(item, numbered) for item in value]
    if kind is not dict:
        return value
    named = {}
    for name, inner in value.items():
        if type(inner) is str:
            named[name.lower()] = inner.lower()
        elif inner is not None:
            named[name.lower()] = _numbered(inner, numbered)
    named.pop("$type", None)
    number = named.pop("$id", None)
    if number is not None:
        numbered[str(number)] = named
    return named


def _referred(value: Any, numbered: Mapping[str, Any]) -> Any:
    if type(value) is list:
        return [_referred(item, numbered) if type(item) in _NESTED else item for item in value]
    if type(value) is not dict:
        return value
    if "$ref" in value:
        named = numbered.get(str(value["$ref"]), {})
        return {name: inner for name, inner in named.items() if type(inner) not in _NESTED}
    for name, inner in value.items():
        if type(inner) in _NESTED:
            value[name] = _referred(inner, numbered)
    return value


def _canonical(value: Any) -> Any:
    """A value with its names in lower case and without the names of .NET types, which not every casing has."""
    if type(value) is dict:
        return {
            name.lower(): _canonical(inner) if type(inner) in _NESTED else inner
            for name, inner in value.items()
            if name != "$type"
        }
    return [_canonical(item) if type(item) in _NESTED else item for item in value] if type(value) is list else value


def _standing(value: Any) -> Any:
    """A column's value as `_settled` has it."""
    if type(value) is Raw:
        text = bytes(value)
        return _settled_text(text) if len(text) <= _SHORT else _settled(loaded_exactly(value))
    if type(value) is list and len(value) == 1 and type(value[0]) is str:
        return [value[0].lower()]
    return _settled(value)


@lru_cache(1024)
def _settled_text(text: bytes) -> Any:
    """The same of a short JSON text, such as risk factors: few of them differ.  Nothing may change what it gives."""
    return _settled(loaded_exactly(Raw(text)))


def _settled(value: Any) -> Any:
    """A parsed value whose texts are in lower case, whose lists are in one order, and without nulls in objects."""
    kind = type(value)
    if kind is str:
        return value.lower()
    if kind is dict:
        return {name.lower(): _settled(inner) for name, inner in value.items() if inner is not None and name != "$type"}
    if kind is list:
        settled = [_settled(item) for item in value]
        return sorted(settled, key=_sorted) if len(settled) > 1 else settled
    return value


def _day(enqueued: datetime) -> date:
    return enqueued.date() if enqueued.tzinfo is UTC else enqueued.astimezone(UTC).date()


def _getter(columns: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads the columns of a row, however few they are."""
    if len(columns) > 1:
        return attrgetter(*columns)
    return lambda values: tuple([getattr(values, column) for column in columns])
