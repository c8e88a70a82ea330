"""Exported records to rows: `Parser.parse` takes events and gives rows, bad records and counts.

    parser = Parser()
    parsed = parser.parse([Event(body, enqueued, "0", 17)], now)
    await context.enrich(parsed.rows)            # optional: fills the context columns
    packed = pack(parsed.rows)

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
from shared.enrich.records.keys import KEY_LENGTH, record_key
from shared.enrich.records.shapes import Read, Shape

__all__ = ["BadRecord", "Event", "Kept", "Parsed", "Parser", "Row"]

RawMode = Literal["rest", "whole"]
Kept = Callable[[Kind, bool, Any], bool]
"""Says whether a record is kept: its kind, whether it is a snapshot's, and the parsed record."""

OLDEST, NEWEST = timedelta(days=2) - timedelta(hours=1), timedelta(days=1) - timedelta(hours=1)
"""How far TimeGenerated may lie before and after now: Azure's two days and one day, less an hour for delivery."""

TYPE_WITHIN = 512
"""Bytes at the beginning of a body in which the fast reader looks for its type; exports put it there."""
_TYPE = re.compile(rb'"([tT])ype":\s?"([^"\\]+)"')


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
    `located` and `tagged` say that the record itself gave Location and Tags.
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


class BadRecord(NamedTuple):
    """What no row can be made of: the reason in words (never the contents), the event, and its bytes."""

    reason: str
    event: Event
    body: bytes


class Window(NamedTuple):
    """The times that Azure accepts as TimeGenerated."""

    oldest: datetime
    newest: datetime
    now: datetime

    @classmethod
    def around(cls, now: datetime) -> Window:
        """The window at this moment."""
        return cls(now - OLDEST, now + NEWEST, now)

    def accepted(self, event_time: datetime, enqueued: datetime) -> datetime:
        """The first of the record's time, the time of enqueuing and now that lies inside."""
        if self.oldest <= event_time <= self.newest:
            return event_time
        return enqueued if self.oldest <= enqueued <= self.newest else self.now


class Whole(msgspec.Struct, gc=False):
    """A record as sent, parsed when first asked for."""

    body: bytes
    parsed: Any = None

    def record(self) -> Any:
        """The record as Python has JSON."""
        if self.parsed is None:
            self.parsed = orjson.loads(self.body)
        return self.parsed

    def raw(self) -> Any:
        """The record for a row: its bytes where they are known to be sound JSON, else as parsed."""
        return msgspec.Raw(self.body) if self.parsed is None else self.parsed


@dataclass
class Parsed:
    """A batch read; rows of a kind are in the order of the events.  `dropped` counts by kind what filters left out."""

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
        parsed, window = Parsed(), Window.around(now)
        alike: dict[tuple[Kind, Shape] | None, list[Event]] = {}
        for event in events:
            alike.setdefault(self.guess(event.body), []).append(event)
        for found, similar in alike.items():  # kind by kind: code and types stay in the processor's cache
            for event in similar:
                read = _try(found[1], event.body) if found else None
                if found and read is not None:
                    self._add(parsed, found[0], self._finish(found[0], read, event, Whole(event.body), window))
                else:
                    self._patiently(event, window, parsed)
        return parsed

    def guess(self, body: bytes) -> tuple[Kind, Shape] | None:
        """The shape that a body seems to have; reading it finds out."""
        found = _TYPE.search(body, 0, TYPE_WITHIN)
        if found:
            return self._shapes.get((found[1], found[2].lower()))
        return self._alert if b'"SystemAlertId"' in body else None

    def _patiently(self, event: Event, window: Window, parsed: Parsed) -> None:
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
                self._add(parsed, kind, self._finish(kind, read, event, whole, window))
            else:
                parsed.bad.append(BadRecord("not a JSON object with members", event, whole.body))

    def _add(self, parsed: Parsed, kind: Kind, row: Row | None) -> None:
        if row is None:
            parsed.dropped[kind.name] += 1
        else:
            parsed.rows.append(row)

    def _finish(self, kind: Kind, read: Read, event: Event, whole: Whole, window: Window) -> Row | None:
        """Derive, key, stamp and filter one record; None where a filter drops it."""
        values = read.values
        own_time = DERIVE[kind.name](read)
        values.RecordKind = kind.name
        snapshot = values.IsSnapshot = bool(values.IsSnapshot)
        record_id = values.RecordId = values.RecordId or sha256(whole.body).hexdigest()[:KEY_LENGTH]
        values.EnqueuedTime = enqueued = event.enqueued
        key = values.RecordKey = record_key(kind, read, enqueued)
        values.EventTime = event_time = own_time or enqueued
        values.TimeGenerated = window.accepted(event_time, enqueued)
        values.PartitionId = event.partition
        values.SequenceNumber = event.sequence
        if kind.name in self._kept and not self._kept[kind.name](kind, snapshot, whole.record()):
            return None
        if self._whole:
            values.Raw = whole.raw()
        elif read.rest:
            values.Raw = read.rest
        subscription, resource, group = values.SubscriptionId or "", values.ResourceId or "", values.ResourceGroup or ""
        located = values.Location is not None
        if isinstance(values.Tags, msgspec.Raw) and bytes(values.Tags) == b"null":
            values.Tags = None
        tagged = values.Tags is not None
        for name in self._drop[kind.name]:
            setattr(values, name, None)
        json = _encode(values)
        return Row(
            kind.table.name,
            kind.name,
            key,
            record_id,
            subscription,
            resource,
            group,
            located,
            tagged,
            event_time,
            snapshot,
            json,
            event,
            whole.body,
        )


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
