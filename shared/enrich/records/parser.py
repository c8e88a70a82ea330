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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from shared.enrich.records import tolerant_reader
from shared.enrich.records.field_mapping import BY_NAME, BY_TYPE, KINDS, OTHER, Kind
from shared.enrich.records.model import BadRecord, Batch, Event, Parsed, Row
from shared.enrich.records.reader_selection import ReaderSelection
from shared.enrich.records.row_builder import RecordFilter, RowBuilder
from shared.enrich.records.tolerant_reader import UnreadableError
from shared.enrich.records.typed_reader import Shape

__all__ = ["BadRecord", "Event", "Parsed", "Parser", "RecordFilter", "Row"]

RawMode = Literal["rest", "whole"]

_UNFIT = (msgspec.MsgspecError, ValueError, RecursionError, orjson.JSONEncodeError)
"""What the fast reader says of what it can't read: ValueError of other than UTF-8, the last two of too deep nesting.

orjson's error is a TypeError itself, so a mistake of ours that raises one would only make reading slower: which records
are read fast is tested.
"""


class Parser:
    """Reads events.

    Args:
        raw: `rest` keeps in Raw what no column carries, `whole` the record as sent.
        drop_columns: columns to leave out of every row; Raw does not take them over.
        kept: by kind name, the cost filter to ask; kinds without one are all kept.
    """

    def __init__(
        self, *, raw: RawMode = "rest", drop_columns: Sequence[str] = (), kept: Mapping[str, RecordFilter] | None = None
    ) -> None:
        filters = kept or {}
        self._finish = {
            kind.name: RowBuilder(kind, whole=raw == "whole", drop=drop_columns, kept=filters.get(kind.name))
            for kind in KINDS
        }
        self._selection = ReaderSelection()

    def parse(self, events: Iterable[Event], now: datetime) -> Parsed:
        """Read a batch.

        Args:
            events: what the hub delivered.
            now: decides whether Azure would accept a record's own time as TimeGenerated.
        """
        parsed, batch = Parsed(), Batch.begun(now)
        alike: dict[Shape | None, list[Event]] = {}
        for event in events:
            alike.setdefault(self._selection.detect_shape(event.body), []).append(event)
        for shape, similar in alike.items():  # kind by kind: code and types stay in the CPU cache
            for event in self._read_typed(shape, similar, batch, parsed) if shape else similar:
                self._read_tolerantly(event, batch, parsed)
        parsed.left_out = batch.left_out
        return parsed

    def _read_typed(self, shape: Shape, events: Iterable[Event], batch: Batch, parsed: Parsed) -> Iterator[Event]:
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

    def _read_tolerantly(self, event: Event, batch: Batch, parsed: Parsed) -> None:
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
