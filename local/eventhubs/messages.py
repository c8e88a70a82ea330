"""Encoded AMQP messages as bytes: cut into sections, unpacked from a batch, stamped by the broker.

The sections a sender wrote are passed on byte by byte; only the broker's own annotations are written in.
Source of the layouts: OASIS AMQP 1.0, part 3 (messaging), section 3.2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from proton import symbol

from local.eventhubs.framing import UINT, decode

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, DATA = 0x70, 0x71, 0x72, 0x75
SECTION_CODES = range(0x70, 0x79)
# The message-format of an Event Hubs batch: each data section holds one whole encoded message.
BATCH_FORMAT = 0x80013700
PARTITION_KEY = symbol("x-opt-partition-key")
SHORT_FORMS = (0xA0, 0xA1, 0xC0, 0xC1)
LONG_FORMS = (0xB0, 0xB1, 0xD0, 0xD1)
LIST_EMPTY, MAP_SHORT = 0x45, 0xC1


@dataclass(frozen=True)
class Section:
    """Where one section lies in an encoded message: [start, end), its content [content, end)."""

    code: int
    form: int
    start: int
    content: int
    end: int


def sections(message: bytes) -> list[Section]:
    """The sections of an encoded message.

    Raises:
        ValueError: these bytes are no AMQP message.
    """
    found: list[Section] = []
    at = 0
    try:
        while at < len(message):
            section = _section(message, at)
            found.append(section)
            at = section.end
    except (IndexError, struct.error) as error:
        raise ValueError("The message ends in the middle of a section.") from error
    if at > len(message):
        raise ValueError("The message ends in the middle of a section.")
    return found


def _section(message: bytes, start: int) -> Section:
    if message[start] != 0:
        raise ValueError("An AMQP section starts with a descriptor.")
    code, at = (message[start + 2], start + 3) if message[start + 1] == 0x53 else (message[start + 9], start + 10)  # noqa: PLR2004 - smallulong
    if code not in SECTION_CODES:
        raise ValueError("This is no section of an AMQP message.")
    form = message[at]
    if form == LIST_EMPTY:
        return Section(code, form, start, at + 1, at + 1)
    if form in SHORT_FORMS:
        return Section(code, form, start, at + 2, at + 2 + message[at + 1])
    if form in LONG_FORMS:
        return Section(code, form, start, at + 5, at + 5 + UINT.unpack_from(message, at + 1)[0])
    return Section(code, form, start, at + 1, len(message))  # a bare amqp-value is the last section


def events_of(message: bytes, message_format: int | None) -> list[bytes]:
    """The encoded events that one transfer carries: one, or those of a batch."""
    if message_format != BATCH_FORMAT:
        return [message]
    return [message[part.content : part.end] for part in sections(message) if part.code == DATA]


def partition_key(message: bytes) -> str | None:
    """The partition key a sender asked for, if any."""
    for part in sections(message):
        if part.code == MESSAGE_ANNOTATIONS:
            key = decode(message[part.start : part.end]).value.get(PARTITION_KEY)
            return None if key is None else str(key)
    return None


def _key(name: str) -> bytes:
    return b"\xa3" + bytes([len(name)]) + name.encode()


_SEQUENCE_NUMBER, _OFFSET, _ENQUEUED = _key("x-opt-sequence-number"), _key("x-opt-offset"), _key("x-opt-enqueued-time")


def stamp(message: bytes, sequence_number: int, offset: int, enqueued_ms: int) -> bytes:
    """The message with the broker's annotations added to the sender's own."""
    header, own, entries, rest = b"", b"", 0, 0
    for part in sections(message):
        if part.code > MESSAGE_ANNOTATIONS:
            break
        if part.code == HEADER:
            header = message[part.start : part.end]
        elif part.code == MESSAGE_ANNOTATIONS:
            width = 1 if part.form == MAP_SHORT else 4
            entries = int.from_bytes(message[part.content : part.content + width], "big")
            own = message[part.content + width : part.end]
        rest = part.end
    place = str(offset).encode()
    added = (
        _SEQUENCE_NUMBER + b"\x81" + struct.pack(">q", sequence_number)
        + _OFFSET + b"\xa1" + bytes([len(place)]) + place
        + _ENQUEUED + b"\x83" + struct.pack(">q", enqueued_ms)
    )  # fmt: skip
    size = UINT.pack(len(own) + len(added) + 4) + UINT.pack(entries + 6)
    return header + b"\x00\x53" + bytes([MESSAGE_ANNOTATIONS]) + b"\xd1" + size + own + added + message[rest:]
