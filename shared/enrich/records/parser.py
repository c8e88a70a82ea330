"""Parses events of the hub into rows: `Parser.parse` gives rows, bad records and counts.

    parser = Parser()
    parsed = parser.parse([Event(body, enqueued, "0", 17)], now)
    await context.enrich(parsed.rows)            # optional: fills the context columns
    packed = pack(parsed.rows)

Two readers share one mapping (`fields`): `shapes` is fast and strict, `anyshape` takes everything else.  `derive`
works out the columns that are not copied, `keys` the RecordKey, and `finish` makes the row.  Nothing here raises for
anything a body may hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from shared.enrich.records import tolerant_reader
from shared.enrich.records.field_mapping import BY_NAME, BY_TYPE, KINDS, OTHER, Kind
from shared.enrich.records.model import BadRecord, Batch, Event, Parsed, Row
from shared.enrich.records.row_builder import Finish, Kept
from shared.enrich.records.tolerant_reader import UnreadableError
from shared.enrich.records.typed_reader import Shape

__all__ = ["BadRecord", "Event", "Kept", "Parsed", "Parser", "Row"]

RawMode = Literal["rest", "whole"]

TYPE_WITHIN = 512
"""Bytes at the beginning of a body in which the fast reader looks for its type; exports put it there."""
NEAR = 160
"""Bytes in which a camelCase record has its type; other places are looked into only when it is not here."""
MARK = 40
"""Bytes from `"type":"` on that tell the types apart; what they stand for is remembered."""
HEAD = 16
"""Bytes that a body begins with, remembered likewise where no type is near: alerts of one exporter begin alike."""
MOST_MARKS = 256
_UNFIT = (msgspec.MsgspecError, ValueError, RecursionError, orjson.JSONEncodeError)
"""What the fast reader says of what it can't read: ValueError of other than UTF-8, the last two of too deep nesting.

orjson's error is a TypeError itself, so a mistake of ours that raises one would only make reading slower: which records
are read fast is tested.
"""
_TYPE = re.compile(rb'"([tT]ype"):\s*"([^"\\]+)"')


def _as_mapped(name: str) -> str:
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
        filters = kept or {}
        self._finish = {
            kind.name: Finish(kind, whole=raw == "whole", drop=drop_columns, kept=filters.get(kind.name))
            for kind in KINDS
        }
        self._shapes = {
            f'{letter}ype":"{kind.type}'.encode(): Shape(kind, case)
            for kind in KINDS
            if kind.type and kind.name != "Alert"
            for letter, case in (("t", _as_mapped), ("T", _upper_first))
        }
        self._alert = Shape(BY_NAME["Alert"], _as_mapped)
        self._path = self._shapes[f'type":"{BY_NAME["AttackPath"].type}'.encode()]
        self._met: dict[bytes, Shape] = {}

    def parse(self, events: Iterable[Event], now: datetime) -> Parsed:
        """Read a batch.

        Args:
            events: what the hub delivered.
            now: decides whether Azure would accept a record's own time as TimeGenerated.
        """
        parsed, batch = Parsed(), Batch.begun(now)
        alike: dict[Shape | None, list[Event]] = {}
        for event in events:
            alike.setdefault(self.guess(event.body), []).append(event)
        for shape, similar in alike.items():  # kind by kind: code and types stay in the processor's cache
            for event in self._fast(shape, similar, batch, parsed) if shape else similar:
                self._patiently(event, batch, parsed)
        return parsed

    def guess(self, body: bytes) -> Shape | None:
        """The shape that a body seems to have; reading it finds out."""
        start = body.find(b'"type":"', 0, NEAR)
        if start < 0:
            shape = self._met.get(body[:HEAD])
            if shape is not None:
                return shape
            start = body.find(b'"Type":"', 0, TYPE_WITHIN)
            if start < 0:
                start = body.find(b'"type":"', 0, TYPE_WITHIN)
        mark = body[start : start + MARK] if start >= 0 else body[:HEAD]
        shape = self._met.get(mark)
        if shape is None:
            shape = self._search(body)
            if shape is not None and (start < 0) == (shape is self._alert):
                if len(self._met) == MOST_MARKS:
                    self._met.clear()
                self._met[mark] = shape
        return shape

    def _search(self, body: bytes) -> Shape | None:
        """The shape by the type in any casing, its name in two, or by what only one kind has."""
        if b'"SystemAlertId"' in body:
            return self._alert
        found = _TYPE.search(body, 0, TYPE_WITHIN)
        shape = self._shapes.get(found[1] + b':"' + found[2].lower()) if found else None
        return shape or (self._path if b'"attackPath"' in body else None)

    def _fast(self, shape: Shape, events: Iterable[Event], batch: Batch, parsed: Parsed) -> Iterator[Event]:
        """Read events by their shape; yields those that do not fit it."""
        read, finish, keep = shape.read, self._finish[shape.kind.name].row, parsed.rows.append
        for event in events:
            body = event.body
            try:
                row = finish(read(body), event, batch, body)
            except _UNFIT:
                yield event
                continue
            if row is not None:
                keep(row)
            else:
                parsed.dropped[shape.kind.name] += 1

    def _patiently(self, event: Event, batch: Batch, parsed: Parsed) -> None:
        try:
            value = tolerant_reader.load(event.body)
        except UnreadableError as error:
            parsed.bad.append(BadRecord(str(error), event, event.body))
            return
        records, alone = _records(value)
        for record in records:
            body = event.body if alone else orjson.dumps(record)
            if isinstance(record, dict) and record:
                kind = recognise(record)
                read = tolerant_reader.read(kind, _flat(record) if kind.name == "Alert" else record)
                row = self._finish[kind.name].row(read, event, batch, body, record)
                if row is not None:
                    parsed.rows.append(row)
                else:
                    parsed.dropped[kind.name] += 1
            else:
                parsed.bad.append(BadRecord("not a JSON object with members", event, body))


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
