"""Read JSON strictly (RFC 8259, and I-JSON of RFC 7493 where that one leaves a choice)."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 40
_DIGITS = 18
_SHOWN = 60
_NUMBER_TOO_LONG = f"holds a whole number of more than {_DIGITS} digits: send it as a text"


class UnreadableJsonError(ValueError):
    """The text is no JSON that can be taken; the message continues "the body ..."."""


def read_json(content: bytes) -> Any:
    """The value that UTF-8 JSON stands for; a byte order mark before it is passed over.

    Raises:
        UnreadableJsonError: it is no JSON, repeats a key, nests deeper than 40 levels, or holds what can't be kept:
            NaN, infinities, whole numbers of more than 18 digits, half a surrogate pair.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableJsonError("is not UTF-8") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
        )
    except UnreadableJsonError:
        raise
    except RecursionError:
        raise UnreadableJsonError(f"is nested more than {MAX_DEPTH} levels deep") from None
    except json.JSONDecodeError as error:
        raise UnreadableJsonError(f"is not valid JSON: {error.msg} at line {error.lineno}") from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UnreadableJsonError(f"gives the key '{re.sub('[^!-~ ]', '?', name[:_SHOWN])}' twice")
        found[name] = value
    return found


def _constant(name: str) -> NoReturn:
    raise UnreadableJsonError(f"holds {name}, which is no JSON")


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise UnreadableJsonError(_NUMBER_TOO_LONG)
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise UnreadableJsonError("holds a number that is too large")
    return value


def _check(value: Any) -> None:
    """Depth and text, without recursion."""
    waiting = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, str):
            if not each.isascii() and re.search("[\ud800-\udfff]", each):
                raise UnreadableJsonError("holds half a surrogate pair, which no UTF-8 text can hold")
        elif isinstance(each, dict | list):
            if depth > MAX_DEPTH:
                raise UnreadableJsonError(f"is nested more than {MAX_DEPTH} levels deep")
            children = (*each, *each.values()) if isinstance(each, dict) else each
            waiting += [(child, depth + 1) for child in children]
