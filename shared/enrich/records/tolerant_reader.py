"""The tolerant reader: any casing, any shape, any type, a few times slower than `typed_reader`.

Names are compared without regard to case.  A value that does not fit its column is converted where nothing is lost,
else it stays in `Raw`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial, reduce
from operator import attrgetter, getitem
from typing import Any, NamedTuple

import msgspec
import orjson

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.json_values import encoded
from shared.enrich.records.reader_output import Read, Trail, keep, target_type, values_type
from shared.enrich.tables import ColumnType

LONGEST_INTEGER = 300
"""Digits; a longer integer lies beyond the range of a double and is kept as a text."""
DEEPEST = 250
"""Levels of nesting; a body deeper than this is refused, before orjson would refuse to write it (254 levels)."""


class UnreadableError(ValueError):
    """The body is not JSON, or not JSON that a table could hold; the message says what is wrong with it."""


def load(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it.

    Lone surrogates, which no UTF-8 can carry, become U+FFFD; integers keep all their digits; a number beyond the range
    of a double, which no table holds, becomes a text.

    Raises:
        UnreadableError: not JSON, not UTF-8, or nested deeper than `DEEPEST`.
    """
    try:
        value = _load_exactly(body) if _LONG_NUMBER.search(body) else orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"\\ud" not in body.lower() and not _LARGE_EXPONENT.search(body):
            raise UnreadableError(f"not JSON: {error.msg} at {error.pos}") from None
        value = _load_exactly(body)
    if _too_deep(value):
        raise UnreadableError(f"nested deeper than {DEEPEST} levels")
    return value


_LONG_NUMBER = re.compile(rb"(?:[:\[,]|^)\s*-?[0-9]{19}")
_LARGE_EXPONENT = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{300}")


def _load_exactly(body: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise UnreadableError(f"not JSON: {constant}")

    try:
        return _mend(json.loads(body.decode(), parse_constant=refuse, parse_int=_integer, parse_float=_real))
    except UnicodeDecodeError:
        raise UnreadableError("not UTF-8") from None
    except RecursionError:
        raise UnreadableError(f"nested deeper than {DEEPEST} levels") from None
    except UnreadableError:
        raise
    except ValueError as error:
        raise UnreadableError(f"not JSON: {type(error).__name__}") from None


def _integer(text: str) -> int | str:
    """An integer with all its digits; Python refuses to read more than 4,300, which stay a text."""
    return int(text) if len(text) <= LONGEST_INTEGER else text


def _real(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


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
    found: dict[str, list[_Found]] = {}
    if not kind.fields:
        return Read(values_type(kind)(), dict(record), record, {})
    rest = _walk(record, _tree(kind), found, ())
    columns: dict[str, Any] = {}
    origins: dict[str, list[tuple[Trail, Callable[[Any], Any]]]] = {}
    for target, several in found.items():
        several.sort(key=_RANK)
        of_type = target_type(kind, target)
        for each in several:
            converted = convert(each.value, of_type)
            if converted is None or columns.setdefault(target, converted) != converted:
                rest = keep(rest, each.trail, each.value)
            elif target.startswith("@"):
                origins.setdefault(target[1:], []).append((each.trail, partial(_at, each.trail)))
    inputs = {name: columns.pop(f"@{name}") for name in origins}
    return Read(values_type(kind)(**columns), rest, record, origins, **inputs)


def _at(trail: Trail, record: Any) -> Any:
    return reduce(getitem, trail, record)


class _Found(NamedTuple):
    """A field with a value: its place in the order of the mapping, the names that lead to it, and the value."""

    rank: int
    trail: Trail
    value: Any


_RANK = attrgetter("rank")


@lru_cache
def _tree(kind: Kind) -> dict[str, Any]:
    """The kind's fields as nested dictionaries by lower-cased name; leaves are the rank and what it maps to."""
    tree: dict[str, Any] = {}
    for rank, (path, target) in enumerate(kind.fields.items()):
        *parents, leaf = path.lower().split(".")
        level = tree
        for parent in parents:
            level = level.setdefault(parent, {})
        level.setdefault(leaf, (rank, target))
    return tree


_UNKNOWN = (0, "")


def _walk(
    record: Mapping[str, Any], tree: Mapping[str, Any], found: dict[str, list[_Found]], trail: Trail
) -> dict[str, Any]:
    """Note the fields that feed something, by target; returns what is left."""
    rest: dict[str, Any] = {}
    for name, value in record.items():
        below = tree.get(name.lower(), _UNKNOWN)
        if value is None or (name == "$type" and isinstance(value, str)):
            continue
        if isinstance(below, dict):
            kept = _walk(value, below, found, (*trail, name)) if isinstance(value, dict) else value
            if kept or not isinstance(value, dict):
                rest[name] = kept
        elif below[1]:
            found.setdefault(below[1], []).append(_Found(below[0], (*trail, name), value))
        else:
            rest[name] = value
    return rest


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
    return str(value) if type(value) is int else encoded(value).decode()


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601 as Azure writes it; one that names no zone is UTC.

    None for other values, and for times that UTC does not have: .NET's first and last in zones east and west of it.
    """
    if not isinstance(value, str) or len(value) < len("2026-01-01"):
        return None
    try:
        read = msgspec.convert(value, datetime)  # as the fast reader: .NET's seventh digit is rounded, not cut
    except msgspec.ValidationError:
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return None
    if read.tzinfo is None:
        return read.replace(tzinfo=UTC)
    try:
        read.astimezone(UTC)
    except OverflowError:
        return None
    return read


def _number(value: Any, kind: ColumnType) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        exact = Decimal(value.strip() if isinstance(value, str) else value)
        number = float(exact)
    except (ValueError, OverflowError, InvalidOperation):
        return None
    if not exact.is_finite() or not math.isfinite(number):
        return None
    if kind == "real":
        return number if type(value) is float or Decimal(repr(number)) == exact else None
    most = 2**31 if kind == "int" else 2**63
    return int(exact) if exact == exact.to_integral_value() and -most <= exact < most else None
