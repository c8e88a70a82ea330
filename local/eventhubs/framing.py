"""AMQP 1.0 frames as bytes: what the proton engine leaves out and Event Hubs' clients count on.

Source of the layouts: OASIS AMQP 1.0, part 2 (transport), sections 2.3 and 2.7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from proton import Data

UINT = struct.Struct(">I")
PROTOCOL_HEADER = b"AMQP"
TRANSFER = 0x14
# Fields of each performative.  The official Python client indexes frame fields without looking at their number,
# and proton leaves trailing nulls out, so each outgoing performative is filled up to its full length.
FIELD_COUNTS = {0x10: 10, 0x11: 8, 0x12: 14, 0x13: 11, 0x14: 11, 0x15: 6, 0x16: 3, 0x17: 1, 0x18: 1}
NULL, LIST_EMPTY, LIST_SHORT, LIST_LONG = 0x40, 0x45, 0xC0, 0xD0
# A performative's fields before the payload fit in this many bytes: a transfer carries no long value but its state.
TRANSFER_FIELDS_BYTES = 512
TRANSFER_FORMAT_FIELD = 3


def take_frames(buffer: bytearray) -> Iterator[bytes]:
    """Take each whole frame (or protocol header) off the front of `buffer`; a partial one stays."""
    start = 0
    try:
        while len(buffer) - start >= 8:  # noqa: PLR2004 - both headers are 8 bytes long
            is_header = buffer[start : start + 4] == PROTOCOL_HEADER
            size = 8 if is_header else max(UINT.unpack_from(buffer, start)[0], 8)
            if len(buffer) - start < size:
                break
            yield bytes(buffer[start : start + size])
            start += size
    finally:
        del buffer[:start]


def is_performative(frame: bytes) -> bool:
    """Whether it is an AMQP frame with a body: no protocol header, heartbeat or SASL frame."""
    return frame[:4] != PROTOCOL_HEADER and len(frame) > 8 and frame[5] == 0  # noqa: PLR2004 - see take_frames


def fill_up(frame: bytes) -> bytes:
    """The frame with its performative's list written out to its full number of fields."""
    if not is_performative(frame):
        return frame
    start = frame[4] * 4
    code, form = frame[start + 2], frame[start + 3]
    if form == LIST_EMPTY:
        count, fields, end = 0, start + 4, start + 4
    elif form == LIST_SHORT:
        count, fields, end = frame[start + 5], start + 6, start + 5 + frame[start + 4]
    else:
        count = UINT.unpack_from(frame, start + 8)[0]
        fields, end = start + 12, start + 8 + UINT.unpack_from(frame, start + 4)[0]
    wanted = FIELD_COUNTS.get(code, count)
    if count >= wanted and form != LIST_EMPTY:
        return frame
    body = frame[fields:end] + bytes([NULL]) * (wanted - count)
    head = frame[4 : start + 3] + bytes([LIST_LONG]) + UINT.pack(len(body) + 4) + UINT.pack(wanted)
    rest = head + body + frame[end:]
    return UINT.pack(len(rest) + 4) + rest


class MessageFormats:
    """Remembers the message-format of each delivery, which proton drops.

    Only the first transfer of a delivery names it, so it is kept for each channel and link handle.
    """

    def __init__(self) -> None:
        self._formats: dict[tuple[bytes, int], int | None] = {}
        self.latest: int | None = None

    def observe(self, frame: bytes) -> None:
        """Look at an incoming frame; `latest` is then the format of the delivery a transfer belongs to."""
        start = frame[4] * 4
        if not is_performative(frame) or len(frame) <= start + 2 or frame[start + 2] != TRANSFER:
            return
        fields = decode(frame[start : start + TRANSFER_FIELDS_BYTES]).value
        key = (frame[6:8], int(fields[0]))
        if len(fields) > TRANSFER_FORMAT_FIELD and fields[TRANSFER_FORMAT_FIELD] is not None:
            self._formats[key] = int(fields[TRANSFER_FORMAT_FIELD])
        self.latest = self._formats.get(key)


def decode(encoded: bytes) -> Any:
    """The first value of encoded AMQP data; a described one has `descriptor` and `value`."""
    data = Data()
    data.decode(encoded)
    data.rewind()
    data.next()
    return data.get_object()
