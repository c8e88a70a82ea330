"""The shapes of records: how they are built, in what form it can be given out, and by what it is counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from shared.enrich.records.body_unwrapping import parts_of, recognise
from shared.enrich.records.json_values import encoded
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.enrich.records.tolerant_reader import UnreadableError, load
from shared.enrich.shapes.invented_values import Invention
from shared.enrich.shapes.shape_digest import digest_of
from shared.enrich.shapes.shape_request import MOST_BYTES, MOST_RECORDS
from shared.enrich.tables import TABLES

MOST_ALIKE = 3
"""Elements of a list that are kept of one structure."""
_DIGITS = re.compile(r"\d+")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TABLES = frozenset(table.name for table in TABLES)


@dataclass(frozen=True)
class Met:
    """What was met: the body of an event or a whole record, or the row of `table`."""

    body: bytes
    table: str = ""


@dataclass
class Shape:
    """One structure among what was met.

    `shape` is its digest, by which the metric counts too; `kind` the kind of record, or the table of a row; `record`
    the first that was met with every value invented.  `columns` are those that the record fills, and `differs` those
    that `record` fills otherwise: with none of these it can become a golden as it is.
    """

    shape: str
    kind: str
    record: dict[str, Any]
    columns: tuple[str, ...]
    differs: tuple[str, ...] = ()
    records: int = 0
    largest: int = 0


@dataclass
class Shapes:
    """The shapes met, by kind and digest; `withheld` are the names of members that the records do not show.

    `unreadable` counts, by reason, what holds no record or can't be read; `more` says that there is more than was read.
    """

    found: dict[tuple[str, str], Shape] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)
    unreadable: Counter[str] = field(default_factory=Counter)
    more: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON, the most frequent shape first, fit to be given out: without the names in `withheld`."""
        ordered = sorted(self.found.values(), key=lambda shape: (-shape.records, shape.kind, shape.shape))
        return {
            "value": [{**vars(shape), "columns": [*shape.columns], "differs": [*shape.differs]} for shape in ordered],
            "unreadable": dict(self.unreadable),
            "more": self.more,
        }


class _Record(NamedTuple):
    """A record, or a row and its `table`; `size` in bytes."""

    content: dict[str, Any]
    size: int
    table: str = ""


def shapes_of(met: Iterable[Met], names: Iterable[str] = (), most: int = MOST_RECORDS) -> Shapes:
    """The shapes of what was met.

    Args:
        met: bodies and rows.
        names: names of members to show although they are not public, in any casing.
        most: records that are looked at; no more either once they have `MOST_BYTES` together.
    """
    shown = frozenset(name.lower() for name in names)
    shapes = Shapes()
    count, size = 0, 0
    for record in (record for each in met for record in _records(each, shapes)):
        if count >= most or size >= MOST_BYTES:
            shapes.more = True
            break
        _count(shapes, record, shown)
        count, size = count + 1, size + record.size
    return shapes


def _records(met: Met, shapes: Shapes) -> Iterator[_Record]:
    """The records in what was met."""
    if met.table:
        try:
            yield _Record(load(met.body), len(met.body), met.table if met.table in _TABLES else "an unknown table")
        except UnreadableError as error:
            shapes.unreadable[str(error)] += 1
        return
    for part in parts_of(met.body):
        if part.record is None:
            shapes.unreadable[part.reason] += 1
        else:
            yield _Record(part.record, len(part.body))


def _count(shapes: Shapes, record: _Record, names: frozenset[str]) -> None:
    key = record.table or recognise(record.content).name, digest_of(record.content)
    if key not in shapes.found:
        shapes.found[key] = _shape(shapes, record, *key, names)
    shape = shapes.found[key]
    shape.records += 1
    shape.largest = max(shape.largest, record.size)


def _shape(shapes: Shapes, record: _Record, kind: str, digest: str, names: frozenset[str]) -> Shape:
    invention = Invention(names)
    invented = _shortened(invention.value(record.content))
    shapes.withheld |= invention.withheld
    if record.table:
        filled = sorted(name for name, value in invented.items() if value is not None)
        return Shape(digest, kind, invented, tuple(filled))
    (_, before), (after_kind, after) = _parsed(record.content), _parsed(invented)
    differs = before ^ after | ({"RecordKind"} if after_kind != kind else set())
    return Shape(digest, kind, invented, tuple(sorted(before)), tuple(sorted(differs)))


def _parsed(record: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The kind of a record, and the columns that it fills."""
    parsed = _parser().parse([Event(encoded(record), _NOW)], _NOW)
    if len(parsed.rows) != 1:
        return "", set()
    (row,) = parsed.rows
    return row.kind, {name for name, value in json.loads(row.json).items() if value is not None}


@lru_cache(1)
def _parser() -> Parser:
    return Parser()


def _shortened(value: Any) -> Any:
    """Without the elements of long lists that are built as others before them."""
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    if not isinstance(value, list):
        return value
    alike: Counter[str] = Counter()
    kept = []
    for item in map(_shortened, value):
        form = json.dumps(_form(item), sort_keys=True)
        alike[form] += 1
        if alike[form] <= MOST_ALIKE:
            kept.append(item)
    return kept


def _form(value: Any) -> Any:
    """How an invented value is built: its names, and its texts without what tells one from another."""
    if isinstance(value, dict):
        return {name: _form(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_form(item) for item in value]
    if isinstance(value, str):
        return _DIGITS.sub("0", value)
    return type(value).__name__
