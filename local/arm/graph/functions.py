"""Scalar functions, comparisons and aggregates of the query language: what they take, give and do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

Row = dict[str, Any]
Evaluate = Callable[[Row], Any]


class Expression(NamedTuple):
    """A compiled expression: how to evaluate it on a row, its type, whether it is a literal, and which bare column."""

    evaluate: Evaluate
    type: str
    literal: bool = False
    column: str = ""


def text(value: Any) -> str:
    """A value as `tostring` gives it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return str(value)


def number(value: Any) -> float | int | None:
    """A value as a number, or None."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if "." in str(value) else int(str(value))
    except ValueError:
        return None


def moment(value: Any) -> datetime | None:
    """A value as a point in time, or None."""
    if isinstance(value, datetime):
        return value
    try:
        parsed = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _integer(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _real(value: Any) -> float | None:
    found = number(value)
    return None if found is None else float(found)


def _boolean(value: Any) -> bool | None:
    return {"true": True, "false": False, "1": True, "0": False}.get(text(value).lower())


def _dynamic(value: Any) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def _split(value: Any, separator: Any, index: Any = None) -> list[str]:
    parts = text(value).split(text(separator))
    return parts if index is None else parts[int(index) : int(index) + 1]


def _substring(value: Any, start: Any, length: Any = None) -> str:
    whole = text(value)[int(start) :]
    return whole if length is None else whole[: int(length)]


def _extract(pattern: Any, group: Any, value: Any) -> str:
    match = re.search(text(pattern), text(value))
    return (match[int(group)] or "") if match else ""


def _bag(*pairs: Any) -> Row:
    return {text(name): value for name, value in zip(pairs[0::2], pairs[1::2], strict=True)}


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None and value != ""), None)


SCALARS: dict[str, tuple[Callable[..., Any], str, int, int]] = {
    # name: what it does, the type it gives ("first" is that of its last argument), fewest and most arguments
    "tolower": (lambda value: text(value).lower(), "string", 1, 1),
    "toupper": (lambda value: text(value).upper(), "string", 1, 1),
    "tostring": (text, "string", 1, 1),
    "toint": (_integer, "long", 1, 1),
    "tolong": (_integer, "long", 1, 1),
    "todouble": (_real, "real", 1, 1),
    "toreal": (_real, "real", 1, 1),
    "tobool": (_boolean, "bool", 1, 1),
    "todatetime": (moment, "datetime", 1, 1),
    "datetime": (moment, "datetime", 1, 1),
    "now": (lambda: datetime.now(UTC), "datetime", 0, 0),
    "parse_json": (_dynamic, "dynamic", 1, 1),
    "todynamic": (_dynamic, "dynamic", 1, 1),
    "isempty": (lambda value: text(value) == "", "bool", 1, 1),
    "isnotempty": (lambda value: text(value) != "", "bool", 1, 1),
    "isnull": (lambda value: value is None, "bool", 1, 1),
    "isnotnull": (lambda value: value is not None, "bool", 1, 1),
    "not": (lambda value: not value, "bool", 1, 1),
    "strcat": (lambda *values: "".join(map(text, values)), "string", 1, 64),
    "strlen": (lambda value: len(text(value)), "long", 1, 1),
    "split": (_split, "dynamic", 2, 3),
    "substring": (_substring, "string", 2, 3),
    "extract": (_extract, "string", 3, 3),
    "replace_string": (lambda value, old, new: text(value).replace(text(old), text(new)), "string", 3, 3),
    "array_length": (_length, "long", 1, 1),
    "coalesce": (_coalesce, "last", 2, 64),
    "iff": (lambda test, yes, no: yes if test else no, "last", 3, 3),
    "iif": (lambda test, yes, no: yes if test else no, "last", 3, 3),
    "bag_pack": (_bag, "dynamic", 2, 64),
    "pack": (_bag, "dynamic", 2, 64),
    "bag_keys": (lambda value: list(value) if isinstance(value, dict) else None, "dynamic", 1, 1),
}


def _has(value: Any, term: Any) -> bool:
    return _term(text(term).lower()).search(text(value).lower()) is not None


def _term(term: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(term)}(?![^\W_])")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if left is None or right is None:
        return text(left) == text(right) if isinstance(left, str) or isinstance(right, str) else False
    if isinstance(left, str) or isinstance(right, str):
        return text(left) == text(right)
    return bool(left == right)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if isinstance(left, datetime) or isinstance(right, datetime):
            left, right = moment(left), moment(right)
        elif not (isinstance(left, str) and isinstance(right, str)):
            left, right = number(left), number(right)
        return left is not None and right is not None and test(left, right)

    return compare


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": _same,
    "!=": lambda left, right: not _same(left, right),
    "=~": lambda left, right: text(left).lower() == text(right).lower(),
    "!~": lambda left, right: text(left).lower() != text(right).lower(),
    "has": _has,
    "!has": lambda left, right: not _has(left, right),
    "contains": lambda left, right: text(right).lower() in text(left).lower(),
    "!contains": lambda left, right: text(right).lower() not in text(left).lower(),
    "contains_cs": lambda left, right: text(right) in text(left),
    "startswith": lambda left, right: text(left).lower().startswith(text(right).lower()),
    "!startswith": lambda left, right: not text(left).lower().startswith(text(right).lower()),
    "endswith": lambda left, right: text(left).lower().endswith(text(right).lower()),
    "!endswith": lambda left, right: not text(left).lower().endswith(text(right).lower()),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}


def _numbers(values: Iterable[Any]) -> list[float | int]:
    return [found for found in map(number, values) if found is not None]


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({orjson.dumps(value): value for value in values if value is not None}.values())


def _average(values: list[Any]) -> float | None:
    found = _numbers(values)
    return sum(found) / len(found) if found else None


AGGREGATES: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    # name: what it makes of the values of a group, and the type ("same" is its argument's)
    "count": (len, "long"),
    "countif": (lambda values: sum(1 for value in values if value), "long"),
    "dcount": (lambda values: len(_distinct(values)), "long"),
    "make_list": (lambda values: [value for value in values if value is not None], "dynamic"),
    "make_set": (_distinct, "dynamic"),
    "min": (lambda values: min((value for value in values if value is not None), default=None), "same"),
    "max": (lambda values: max((value for value in values if value is not None), default=None), "same"),
    "sum": (lambda values: sum(_numbers(values)), "real"),
    "avg": (_average, "real"),
    "take_any": (lambda values: next((value for value in values if value is not None), None), "same"),
    "any": (lambda values: next((value for value in values if value is not None), None), "same"),
}
