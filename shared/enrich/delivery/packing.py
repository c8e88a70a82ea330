"""Rows to request bodies, byte-exact: JSON arrays of at most 1,000,000 bytes, in order, compressed.

Azure takes 1 MB a call, compressed and uncompressed, and cuts a value over 64 KB without a word (limits of the Logs
Ingestion API).  Neither says whether a KB is 1,000 or 1,024 bytes, so a body stays under the smaller reading.  A value
is counted in bytes of UTF-8, a string without its quotes and escapes and a dynamic value as its JSON text: no reading
of "64 KB" is stricter.  What is too long is cut here, named in TruncatedColumns, and handed out whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Self

import msgspec
import orjson
from isal import isal_zlib

from shared.enrich.records.model import Row

BODY_LIMIT = 1_000_000
"""Most bytes of a body, both before and after compression."""
VALUE_LIMIT = 65_536
"""Most bytes of one value."""
COMPRESSION_LEVEL = 1
"""Of isal's 0 to 3: level 1 is the fastest that still compresses JSON well."""

_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_GZIP = 31
"""zlib's window bits for a gzip header and trailer."""
_BRACKETS = 2


@dataclass(frozen=True, slots=True)
class Encoded:
    """The rows of one table and their JSON, index by index."""

    stream: str
    rows: Sequence[Row]
    json: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Body:
    """A packed request body: rows `start` to `stop` of `batch`, the gzip `data`, and its `size` before compression."""

    batch: Encoded
    start: int
    stop: int
    data: bytes = field(repr=False)
    size: int

    @classmethod
    def of(cls, batch: Encoded, start: int, stop: int) -> Self:
        """Join and compress encoded rows."""
        parts = list(batch.json[start:stop])
        parts[0] = b"[" + parts[0]
        parts[-1] += b"]"
        text = b",".join(parts)  # the one copy of a megabyte
        return cls(batch, start, stop, isal_zlib.compress(text, COMPRESSION_LEVEL, _GZIP), len(text))

    @property
    def stream(self) -> str:
        """The stream they go to."""
        return self.batch.stream

    @property
    def rows(self) -> Sequence[Row]:
        """The rows in it."""
        return self.batch.rows[self.start : self.stop]

    def __len__(self) -> int:
        return self.stop - self.start

    def part(self, start: int, stop: int) -> Self:
        """A body of some of its rows, counted from this body's first; nothing is encoded again."""
        return type(self).of(self.batch, self.start + start, self.start + stop)


@dataclass(frozen=True, slots=True)
class Packed:
    """Bodies in the order of the rows, table by table; `oversize` are rows whose `whole` belongs in Blob Storage."""

    bodies: list[Body]
    oversize: list[Row]


def pack(rows: Iterable[Row], limit: int = BODY_LIMIT) -> Packed:
    """Encode rows and pack them into bodies of at most `limit` bytes, as full as their order allows."""
    by_table: dict[str, list[Row]] = {}
    for row in rows:
        by_table.setdefault(row.table, []).append(row)
    bodies: list[Body] = []
    oversize: list[Row] = []
    for table, own in by_table.items():
        encoded = [row.json for row in own]
        for index in [index for index, text in enumerate(encoded) if len(text) > VALUE_LIMIT]:
            fitting = fit(encoded[index], limit - _BRACKETS)
            if fitting is not encoded[index]:
                encoded[index] = own[index].json = fitting
                oversize.append(own[index])
        bodies += pack_encoded(Encoded(f"Custom-{table}", own, encoded), limit)
    return Packed(bodies, oversize)


def pack_encoded(batch: Encoded, limit: int = BODY_LIMIT) -> Iterator[Body]:
    """Pack encoded rows, none of which is over the limit by itself."""
    ends = [0, *accumulate([len(text) + 1 for text in batch.json])]  # each row with its comma, or the last bracket
    start = 0
    while start < len(batch.json):
        stop = max(start + 1, bisect_right(ends, ends[start] + limit - 1) - 1)
        yield from _within(Body.of(batch, start, stop), limit)
        start = stop


def _within(body: Body, limit: int) -> Iterator[Body]:
    """The body, or its halves where gzip made it larger than it was: so does text that can't be compressed."""
    if len(body.data) <= limit or len(body) == 1:
        yield body
    else:
        half = len(body) // 2
        yield from _within(body.part(0, half), limit)
        yield from _within(body.part(half, len(body)), limit)


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
    room = bound - _BRACKETS + 1
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
