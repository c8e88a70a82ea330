"""The tolerant reader: any casing, any shape, any type, a few times slower than `shapes`.

Names are compared without regard to case.  A value that does not fit its column is converted where nothing is lost,
else it stays in `Raw`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.reader_output import Read, target_type, values_type
from shared.enrich.tables import ColumnType

DEEPEST = 250
"""Levels of nesting; a body deeper than this is refused, before orjson would refuse to write it (254 levels)."""


class UnreadableError(ValueError):
    """The body is not JSON, or not JSON that a table could hold; the message says what is wrong with it."""


def load(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it; lone surrogates, which no UTF-8 can carry, become U+FFFD.

    Raises:
        UnreadableError: not JSON, not UTF-8, or nested deeper than `DEEPEST`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"\\ud" not in body.lower():
            raise UnreadableError(f"not JSON: {error.msg} at {error.pos}") from None
        value = _load_with_surrogates(body)
    if _too_deep(value):
        raise UnreadableError(f"nested deeper than {DEEPEST} levels")
    return value


def _load_with_surrogates(body: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise UnreadableError(f"not JSON: {constant}")

    try:
        return _mend(json.loads(body.decode(), parse_constant=refuse, parse_int=orjson.loads, parse_float=orjson.loads))
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8") from None
    except RecursionError:
        raise UnreadableError(f"nested deeper than {DEEPEST} levels") from None
    except UnreadableError:
        raise
    except ValueError as error:
        raise UnreadableError(f"not JSON: {type(error).__name__}") from None


def _mend(value: Any) -> Any:
    """Replace lone surrogates everywhere."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def read(kind: Kind, record: Mapping[str, Any]) -> Read:
    """Read a parsed record; whatever no column takes is in `rest`, in the record's own nesting."""
    columns: dict[str, Any] = {}
    rest = _walk(record, _tree(kind), columns, kind) if kind.fields else dict(record)
    inputs = {target[1:]: columns.pop(target) for target in list(columns) if target.startswith("@")}
    return Read(values_type(kind)(**columns), rest, **inputs)


@lru_cache
def _tree(kind: Kind) -> dict[str, Any]:
    """The kind's fields as nested dictionaries by lower-cased name."""
    tree: dict[str, Any] = {}
    for path, target in kind.fields.items():
        *parents, leaf = path.lower().split(".")
        level = tree
        for parent in parents:
            level = level.setdefault(parent, {})
        level.setdefault(leaf, target)
    return tree


def _walk(record: Mapping[str, Any], tree: Mapping[str, Any], columns: dict[str, Any], kind: Kind) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for name, value in record.items():
        target = tree.get(name.lower(), "")
        if value is None or (name == "$type" and isinstance(value, str)):
            continue
        if isinstance(target, dict):
            kept = _walk(value, target, columns, kind) if isinstance(value, dict) else value
            if kept or not isinstance(value, dict):
                rest[name] = kept
        elif target == "-" and isinstance(value, str):
            continue
        elif target in {"", "-"} or not _take(columns, target, value, kind):
            rest[name] = value
    return rest


def _take(columns: dict[str, Any], target: str, value: Any, kind: Kind) -> bool:
    """Put a value into its column; False where it does not fit, or another value is there already."""
    converted = convert(value, target_type(kind, target))
    if converted is None:
        return False
    return bool(columns.setdefault(target, converted) == converted)


def convert(value: Any, kind: ColumnType) -> Any:
    """A parsed JSON value as a column's type, or None where something would be lost."""
    if kind == "dynamic" or value is None:
        return value
    if kind == "string":
        return value if isinstance(value, str) else _text(value)
    if kind == "boolean":
        return {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, bool | str) else None
    if kind == "datetime":
        return moment(value)
    return _number(value, kind)


def _text(value: Any) -> str | None:
    if isinstance(value, dict | list):
        return None
    return orjson.dumps(value).decode()


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601 as Azure writes it; one that names no zone is UTC."""
    if not isinstance(value, str) or len(value) < len("2026-01-01"):
        return None
    try:
        read = msgspec.convert(value, datetime)  # as the fast reader: .NET's seventh digit is rounded, not cut
    except msgspec.ValidationError:
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _number(value: Any, kind: ColumnType) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value) if kind == "real" or not isinstance(value, int) else value
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if kind == "real":
        return number
    most = 2**31 if kind == "int" else 2**63
    return int(number) if number == int(number) and -most <= number < most else None
