"""Values over Azure's limit of 64 KB are cut, so that Azure does not truncate them silently."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

BRACKETS = 2
VALUE_LIMIT = 65_536
"""Most bytes of one value."""

_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def fit(text: bytes, limit: int) -> bytes:
    """Cut a row's values until none is over 64 KB and the row is within `limit`; `text` itself where none is.

    Names what was cut in TruncatedColumns.  Escapes can make JSON six times as long as its text, and a row has many
    columns, so the bound on values halves until the row fits.
    """
    if len(text) <= limit and all(len(value) <= VALUE_LIMIT for value in _values(text).values()):
        return text  # most long rows: no value is long even with its quotes and escapes
    bound = VALUE_LIMIT
    while True:
        row: dict[str, Any] = orjson.loads(text)
        shorter = {name: shorten(value, bound) for name, value in row.items() if _length(value) > bound}
        if shorter:
            named = dict.fromkeys([*(row.get("TruncatedColumns") or ()), *shorter])
            text = orjson.dumps(row | shorter | {"TruncatedColumns": list(named)})
        if len(text) <= limit or bound == 0:
            return text
        bound //= 2


def _length(value: Any) -> int:
    """Bytes of a value as the limit counts them."""
    return len(value.encode()) if isinstance(value, str) else len(orjson.dumps(value))


def shorten(value: Any, bound: int) -> Any:
    """As much of a value as takes at most `bound` bytes: the beginning of text, the first elements or members."""
    if isinstance(value, str):
        return value.encode()[:bound].decode(errors="ignore")
    room = bound - BRACKETS + 1
    if isinstance(value, list):
        kept: list[Any] = []
        for item in value:
            room -= len(orjson.dumps(item)) + 1
            if room < 0:
                break
            kept.append(item)
        return kept
    members: dict[str, Any] = {}
    for name, item in value.items():
        length = len(orjson.dumps({name: item})) - 1
        if length <= room:
            room -= length
            members[name] = item
    return members
