"""Exported records to rows: `Parser.parse` takes events and gives rows, bad records and counts.

    parser = Parser()
    parsed = parser.parse([Event(body, enqueued, "0", 17)], now)
    await context.enrich(parsed.rows)            # optional: fills the context columns
    encoded = [row.encode() for row in parsed.rows]

Two readers share one mapping (`fields`): `shapes` is fast and strict, `anyshape` takes everything else.  `derive`
works out the columns that are not copied, `keys` the RecordKey.  Nothing here raises for anything a body may hold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec
import orjson

from shared.enrich.records import anyshape
from shared.enrich.records.anyshape import UnreadableError
from shared.enrich.records.derive import DERIVE
from shared.enrich.records.fields import BY_NAME, BY_TYPE, KINDS, OTHER, Kind
from shared.enrich.records.keys import record_key
from shared.enrich.records.shapes import Read, Shape

__all__ = ["BadRecord", "Event", "Kept", "Parsed", "Parser", "Row"]

RawMode = Literal["rest", "whole"]
Kept = Callable[[Kind, bool, Any], bool]
"""Says whether a record is kept: its kind, whether it is a snapshot's, and the parsed record."""

OLDEST, NEWEST = timedelta(days=2) - timedelta(hours=1), timedelta(days=1) - timedelta(hours=1)
"""How far TimeGenerated may lie before and after now: Azure's two days and one day, less an hour for delivery."""

_TYPE = re.compile(rb'"([tT])ype":\s?"([^"\\]+)"')


class Event(NamedTuple):
    """One event of the hub: its body, when it was enqueued (aware), its partition and sequence number there."""

    body: bytes
    enqueued: datetime
    partition: str = ""
    sequence: int = 0


class Row(msgspec.Struct, gc=False):
    """One row on its way to a table; `values` has the table's columns as attributes, None where there is no value.

    `event` is where it came from, `whole` its record as sent (the event's body, or its share of it).
    """

    table: str
    values: Any
    event: Event
    whole: bytes

    @property
    def kind(self) -> str:
        """The RecordKind."""
        return self.values.RecordKind  # type: ignore[no-any-return] # always set to text by the parser

    @property
    def record_key(self) -> str:
        """The RecordKey."""
        return self.values.RecordKey  # type: ignore[no-any-return] # always set to text by the parser

    @property
    def record_id(self) -> str:
        """The RecordId."""
        return self.values.RecordId  # type: ignore[no-any-return] # always set to text by the parser

    @property
    def subscription(self) -> str:
        """The subscription id in lower case, or an empty text."""
        return self.values.SubscriptionId or ""

    @property
    def event_time(self) -> datetime:
        """The record's own time, or when it was enqueued."""
        return self.values.EventTime  # type: ignore[no-any-return] # always set by the parser

    @property
    def snapshot(self) -> bool:
        """Whether the weekly snapshot sent it."""
        return bool(self.values.IsSnapshot)

    def encode(self) -> bytes:
        """The row as one JSON object in UTF-8."""
        return _encode(self.values)


class BadRecord(NamedTuple):
    """What no row can be made of: the reason in words (never the contents), the event, and its bytes."""

    reason: str
    event: Event
    body: bytes


class Whole(msgspec.Struct, gc=False):
    """A record as sent, parsed when first asked for."""

    body: bytes
    parsed: Any = None

    def record(self) -> Any:
        """The record as Python has JSON."""
        if self.parsed is None:
            self.parsed = orjson.loads(self.body)
        return self.parsed


@dataclass
class Parsed:
    """A batch read: rows and bad records in the order of the events; `dropped` counts by kind what filters left out."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


_encode = msgspec.json.Encoder().encode


def _lower_first(name: str) -> str:
    return name


def _upper_first(name: str) -> str:
    """PascalCase, but for the enrichment, which keeps its case."""
    return name if name.endswith("EventDataEnrichment") else name[0].upper() + name[1:]


class Parser:
    """Reads events.

    Args:
        raw: `rest` keeps in Raw what no column carries, `whole` the record as sent.
        drop_columns: columns to leave out of every row; Raw does not take them over.
        kept: by kind name, the cost filter to ask; kinds without one are all kept.
    """

    def __init__(
        self, *, raw: RawMode = "rest", drop_columns: Sequence[str] = (), kept: Mapping[str, Kept] | None = None
    ) -> None:
        self._whole = raw == "whole"
        self._drop = {
            kind.name: [name for name in drop_columns if name in kind.table.types and name != "TimeGenerated"]
            for kind in KINDS
        }
        self._kept = dict(kept or {})
        self._shapes = {
            (letter, kind.type.encode()): (kind, Shape(kind, case))
            for kind in KINDS
            if kind.type and kind.name != "Alert"
            for letter, case in ((b"t", _lower_first), (b"T", _upper_first))
        }
        self._alert = BY_NAME["Alert"], Shape(BY_NAME["Alert"], _lower_first)

    def parse(self, events: Iterable[Event], now: datetime) -> Parsed:
        """Read a batch.

        Args:
            events: what the hub delivered.
            now: decides whether Azure would accept a record's own time as TimeGenerated.
        """
        parsed = Parsed()
        for event in events:
            found = self._guess(event.body)
            read = _try(found[1], event.body) if found else None
            if found and read is not None:
                self._add(parsed, found[0], self._finish(found[0], read, event, Whole(event.body), now))
            else:
                self._patiently(event, now, parsed)
        return parsed

    def _guess(self, body: bytes) -> tuple[Kind, Shape] | None:
        """The shape that a body seems to have; reading it finds out."""
        if b'"SystemAlertId"' in body:
            return self._alert
        found = _TYPE.search(body)
        return self._shapes.get((found[1], found[2].lower())) if found else None

    def _patiently(self, event: Event, now: datetime, parsed: Parsed) -> None:
        try:
            value = anyshape.load(event.body)
        except UnreadableError as error:
            parsed.bad.append(BadRecord(str(error), event, event.body))
            return
        records, alone = _records(value)
        for record in records:
            whole = Whole(event.body if alone else orjson.dumps(record), record)
            if isinstance(record, dict) and record:
                kind = recognise(record)
                read = anyshape.read(kind, _flat(record) if kind.name == "Alert" else record)
                self._add(parsed, kind, self._finish(kind, read, event, whole, now))
            else:
                parsed.bad.append(BadRecord("not a JSON object with members", event, whole.body))

    def _add(self, parsed: Parsed, kind: Kind, row: Row | None) -> None:
        if row is None:
            parsed.dropped[kind.name] += 1
        else:
            parsed.rows.append(row)

    def _finish(self, kind: Kind, read: Read, event: Event, whole: Whole, now: datetime) -> Row | None:
        """Derive, key, stamp and filter one record; None where a filter drops it."""
        values = read.values
        own_time = DERIVE[kind.name](read)
        values.RecordKind = kind.name
        if values.IsSnapshot is None:
            values.IsSnapshot = False
        values.RecordId = _record_id(kind, read, whole.body)
        values.RecordKey = record_key(values, event.enqueued, whole.record)
        values.EventTime = moment = own_time or event.enqueued
        if not now - OLDEST <= moment <= now + NEWEST:
            moment = event.enqueued if now - OLDEST <= event.enqueued <= now + NEWEST else now
        values.TimeGenerated = moment
        values.EnqueuedTime = event.enqueued
        values.PartitionId = event.partition
        values.SequenceNumber = event.sequence
        kept = self._kept.get(kind.name)
        if kept is not None and not kept(kind, values.IsSnapshot, whole.record()):
            return None
        if self._whole:
            values.Raw = whole.record()
        elif read.rest:
            values.Raw = read.rest
        for name in self._drop[kind.name]:
            setattr(values, name, None)
        return Row(kind.table.name, values, event, whole.body)


def _try(shape: Shape, body: bytes) -> Read | None:
    """What the shape reads; None where the body does not fit it, or is not UTF-8, which values passed as bytes hide."""
    try:
        if not body.isascii():
            body.decode()
        return shape.read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _flat(alert: dict[str, Any]) -> dict[str, Any]:
    """An alert as Resource Graph has it, its fields under `properties`, laid flat as exports have it."""
    inner = next((name for name in alert if name.lower() == "properties" and isinstance(alert[name], dict)), None)
    return {name: value for name, value in alert.items() if name != inner} | alert[inner] if inner else alert


def recognise(record: Mapping[str, Any]) -> Kind:
    """The kind of a parsed record, by its fields or its type, without regard to case."""
    lowered = {name.lower(): value for name, value in record.items()}
    if "systemalertid" in lowered:
        return BY_NAME["Alert"]
    if isinstance(lowered.get("attackpath"), dict):
        return BY_NAME["AttackPath"]
    named = lowered.get("type")
    return BY_TYPE.get(named.lower().strip("/"), OTHER) if isinstance(named, str) else OTHER


def _records(value: Any) -> tuple[list[Any], bool]:
    """The records in a parsed body, and whether it was one alone: arrays and `{"records": [...]}` are taken too."""
    if isinstance(value, dict) and len(value) == 1:
        (name, inner), *_ = value.items()
        if name.lower() == "records" and isinstance(inner, list):
            return inner, False
    return (value, False) if isinstance(value, list) else ([value], True)


def _record_id(kind: Kind, read: Read, body: bytes) -> str:
    """The record's own id in lower case; a record without one is told by its content."""
    values = read.values
    if kind.name == "Alert":
        named = values.SystemAlertId
    elif kind.name == "AttackPath":
        named = read.inputs.id or values.AttackPathId
    elif kind.name == "Other":
        named = next(
            (value for name, value in read.rest.items() if name.lower() == "id" and isinstance(value, str)), None
        )
    else:
        named = read.inputs.id
    return named.lower() if named else sha256(body).hexdigest()[:32]
