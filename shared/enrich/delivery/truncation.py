"""Values over Azure's limit of 64 KB are cut, so that Azure does not truncate them silently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw

BRACKETS = 2
VALUE_LIMIT = 65_536
"""Most bytes of one value."""

_values = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def fit(text: bytes, limit: int) -> bytes:
    """Cut a row's values until none is over 64 KB and the row is within `limit`; `text` itself where none is.

    Names what was cut in TruncatedColumns.  Escapes can make JSON six times as long as its text, and a row has many
    columns, so the bound on values halves until the row fits.  Numbers, booleans and null can't be shortened: a row
    that is over a small `limit` with nothing else in it stays so.
    """
    values = _values(text)
    if len(text) <= limit and all(len(value) <= VALUE_LIMIT for value in values.values()):
        return text  # most long rows: no value is long even with its quotes and escapes
    before = values.pop("TruncatedColumns", None)
    named = dict.fromkeys((before and orjson.loads(bytes(before))) or ())
    bound = VALUE_LIMIT
    while True:
        if shorter := dict(_shorter(values, bound)):
            values |= shorter
            named |= dict.fromkeys(shorter)
            text = _encode({**values, "TruncatedColumns": list(named)})
        if len(text) <= limit or bound == 0:
            return text
        bound //= 2


def _shorter(values: Mapping[str, Raw], bound: int) -> Iterator[tuple[str, Raw]]:
    """The values that are over the bound, shortened; all others stay the bytes that they are, with all their digits."""
    for name, raw in values.items():
        if len(raw) > bound and _length(value := orjson.loads(bytes(raw))) > bound:
            yield name, Raw(orjson.dumps(shorten(value, bound)))


def _length(value: Any) -> int:
    """Bytes of a value as the limit counts them; 0 for one that can't be shortened."""
    if isinstance(value, str):
        return len(value.encode())
    return len(orjson.dumps(value)) if isinstance(value, list | dict) else 0


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
