"""What a data collection rule makes of a body: JSON array in, typed columns out, every loss counted.

Rules from the Logs Ingestion API's documentation: columns match by exact case, undeclared ones are dropped, values of
another type become null, fields end at 64 KB, and TimeGenerated holds only from two days back to one day ahead.
Where the documentation is silent about a conversion (a number sent for a string), this side is strict: null.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shared.enrich.tables import RESERVED_COLUMNS, Column, Table

MAX_FIELD_BYTES = 64 * 1024
OLDEST, NEWEST = timedelta(days=2), timedelta(days=1)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,44}")

_JSON_TYPES: dict[str, Any] = {
    "string": str | None,
    "int": Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | None,
    "long": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None,
    "real": float | None,
    "boolean": bool | None,
    "datetime": datetime | None,
    "dynamic": msgspec.Raw,
}
ARROW_TYPES = {
    "string": pa.string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "dynamic": pa.string(),
}
_NOTHING = msgspec.Raw(b"null")
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Loss(NamedTuple):
    """Something that a 204 did not say: `reason` is undeclared, reserved, type, truncated, time or dropped row."""

    table: str
    column: str
    reason: str


Losses = Counter[Loss]


class BodyError(ValueError):
    """The body is not a JSON array of objects: Azure answers 400."""


class Stream:
    """One stream declaration.

    Raises:
        ValueError: on construction, a column breaks Azure's rules for names or types.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        for column in table.columns:
            _check(column)
        fields = [
            (f"c{place}", _JSON_TYPES[column.type], _NOTHING if column.type == "dynamic" else None)
            for place, column in enumerate(table.columns)
        ]
        names = {f"c{place}": column.name for place, column in enumerate(table.columns)}
        row: Any = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
        self._row, self._rows = row, msgspec.json.Decoder(list[row])
        self._fields = {column.name: (f"c{place}", column.type) for place, column in enumerate(table.columns)}
        self._values = {kind: msgspec.json.Decoder(type_) for kind, type_ in _JSON_TYPES.items()}

    def read(self, body: bytes, losses: Losses, *, converts: bool = False) -> list[Any]:
        """The rows of a body, one object each with a field per column; adds to `losses`.

        With `converts` a number that is sent for a text becomes one.

        Raises:
            BodyError: not UTF-8, not JSON, or not an array of objects.
        """
        try:
            str(body, "utf-8")
            if b"\\ud" in body.lower():
                orjson.loads(body)  # half a surrogate pair inside a dynamic value, which the decoder below skips over
            return self._rows.decode(body)
        except msgspec.ValidationError:
            return self._read_leniently(body, losses, converts=converts)
        except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError) as error:
            raise BodyError(str(error)) from error

    def _read_leniently(self, body: bytes, losses: Losses, *, converts: bool) -> list[Any]:
        try:
            objects = _OBJECTS.decode(body)
        except msgspec.DecodeError as error:
            raise BodyError(str(error)) from error
        return [self._row(**self._typed(values, losses, converts=converts)) for values in objects]

    def _typed(self, values: dict[str, msgspec.Raw], losses: Losses, *, converts: bool) -> dict[str, Any]:
        typed = {}
        for name, raw in values.items():
            if name not in self._fields:
                losses[Loss(self.table.name, name, "reserved" if name in RESERVED_COLUMNS else "undeclared")] += 1
                continue
            field, kind = self._fields[name]
            quotes = b'"' if converts and kind == "string" and bytes(raw)[:1].isdigit() else b""
            try:
                typed[field] = self._values[kind].decode(quotes + bytes(raw) + quotes)
            except msgspec.ValidationError:
                typed[field] = _date(raw) if kind == "datetime" else None
                if typed[field] is None:
                    losses[Loss(self.table.name, name, "type")] += 1
        return typed

    def columns(self, rows: Sequence[Any], arrived: datetime, losses: Losses) -> pa.Table:
        """The rows as one Arrow table, cut and dated as the service does; adds to `losses`."""
        arrays = {}
        for place, column in enumerate(self.table.columns):
            values: list[Any] = list(map(attrgetter(f"c{place}"), rows))
            if column.name == "TimeGenerated":
                values = self._dated(values, arrived, losses)
            elif column.type == "dynamic":
                values = [None if (text := bytes(raw)) == b"null" else text for raw in values]
            array = pa.array(values, ARROW_TYPES[column.type] if column.type != "dynamic" else pa.binary())
            if (
                column.type in {"string", "dynamic"}
                and (pc.max(pc.binary_length(array)).as_py() or 0) > MAX_FIELD_BYTES
            ):
                array = self._cut(array, column, losses)
            arrays[column.name] = array.cast(ARROW_TYPES[column.type])
        return pa.table(arrays)

    def _dated(self, values: list[datetime | None], arrived: datetime, losses: Losses) -> list[datetime]:
        oldest, newest = arrived - OLDEST, arrived + NEWEST
        dated = []
        for value in values:
            aware = value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
            if aware is not None and not oldest <= aware <= newest:
                losses[Loss(self.table.name, "TimeGenerated", "time")] += 1
                aware = None
            dated.append(aware or arrived)
        return dated

    def _cut(self, array: Any, column: Column, losses: Losses) -> Any:
        shorten: Callable[[bytes], bytes] = _cut_json if column.type == "dynamic" else _cut_text
        values = []
        for value in array.cast(pa.binary()).to_pylist():
            too_long = value is not None and len(value) > MAX_FIELD_BYTES
            losses[Loss(self.table.name, column.name, "truncated")] += too_long
            values.append(shorten(value) if too_long else value)
        return pa.array(values, pa.binary())


def _check(column: Column) -> None:
    if column.name in RESERVED_COLUMNS or not _NAME.fullmatch(column.name):
        raise ValueError(f"{column.name!r} is no name for a column of a custom table")
    if column.type not in _JSON_TYPES:
        raise ValueError(f"{column.type!r} is no type of a stream's column")


def _date(raw: msgspec.Raw) -> datetime | None:
    """A date without a time is a datetime to the service too."""
    try:
        return datetime.fromisoformat(msgspec.json.decode(raw, type=str)).replace(tzinfo=UTC)
    except ValueError:
        return None


def _cut_text(value: bytes) -> bytes:
    return value[:MAX_FIELD_BYTES].decode(errors="ignore").encode()


def _cut_json(value: bytes) -> bytes:
    """What is left of a cut dynamic value is no JSON any more: it stays as a string."""
    return msgspec.json.encode(_cut_text(value).decode())
