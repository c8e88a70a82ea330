"""Parses events of the hub into rows: `Parser.parse` gives rows, bad records and counts.

    parser = Parser()
    parsed = parser.parse([Event(body, enqueued, "0", 17)], now)
    await context.enrich(parsed.rows)            # optional: fills the context columns
    packed = pack(parsed.rows)

Two readers share one mapping (`field_mapping`): `typed_reader` is fast and strict, `tolerant_reader` takes everything
else, after `bodies` has found the records.  `derived` works out the columns that are not copied, `carried` keeps what
they leave over, `record_key` makes the RecordKey and `row_builder` the row.  Nothing here raises for anything a body
may hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec
import orjson

from shared.enrich.records import tolerant_reader
from shared.enrich.records.body_unwrapping import parts_of, recognise
from shared.enrich.records.field_mapping import KINDS
from shared.enrich.records.model import BadRecord, Batch, Event, Parsed, Row
from shared.enrich.records.reader_selection import ReaderSelection
from shared.enrich.records.row_builder import RecordFilter, RowBuilder
from shared.enrich.records.typed_reader import Shape

__all__ = ["BadRecord", "Event", "Parsed", "Parser", "RecordFilter", "Row", "recognise"]

RawMode = Literal["rest", "whole"]

_UNFIT = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, orjson.JSONEncodeError)
"""What the fast reader says of what it can't read.

ValueError of other than UTF-8, OverflowError of times that UTC does not have, the others of too deep nesting.

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
        for part in parts_of(event.body):
            if part.record is None:
                parsed.bad.append(BadRecord(part.reason, event, part.body))
                continue
            kind = recognise(part.record)
            read = tolerant_reader.read(kind, part.record)
            row = self._finish[kind.name].row(read, event, batch, part.body, part.record)
            if row is not None:
                parsed.rows.append(row)
            else:
                parsed.dropped[kind.name] += 1
