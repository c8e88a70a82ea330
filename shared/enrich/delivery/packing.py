"""Rows to request bodies, byte-exact: JSON arrays of at most 1,000,000 bytes, in order, compressed.

Azure takes 1 MB a call, compressed and uncompressed, and silently truncates a value over 64 KB (limits of the Logs
Ingestion API).  Neither says whether a KB is 1,000 or 1,024 bytes, so a body stays under the smaller reading.  A value
is counted in bytes of UTF-8, a string without its quotes and escapes and a dynamic value as its JSON text: no reading
of "64 KB" is stricter.  What is too long is cut here, named in TruncatedColumns, and handed out whole.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Self

from isal import isal_zlib

from shared.enrich.delivery.truncation import BRACKETS, VALUE_LIMIT, fit
from shared.enrich.records.model import Row

BODY_LIMIT = 1_000_000
"""Most bytes of a body, both before and after compression."""
COMPRESSION_LEVEL = 1
"""Of isal's 0 to 3: level 1 is the fastest that still compresses JSON well."""

_GZIP = 31
"""zlib's window bits for a gzip header and trailer."""


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
            fitting = fit(encoded[index], limit - BRACKETS)
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
