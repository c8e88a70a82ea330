"""The records in an event's body, however a pipeline has wrapped them.

Taken apart are: a byte order mark, UTF-16 and UTF-32, gzip and zlib, base64, NULs at the end; JSON lines and objects
one after another; arrays; `records`, `value` and `data` with lists; envelopes of Event Grid, CloudEvents, Logic Apps,
Splunk and Beats; a JSON text in a JSON text.  An envelope is taken off only where a record of Microsoft.Security is
inside: any other object is a record itself, of an unknown kind.

What no record can be read from is handed back with the reason.  Nothing is ever passed over: each body gives at least
one part.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shared.enrich.records.field_mapping import BY_NAME, BY_TYPE, OTHER, Kind
from shared.enrich.records.json_values import encoded
from shared.enrich.records.tolerant_reader import UnreadableError, load

MOST_BYTES = 32_000_000
"""Of a body that was compressed; Event Hubs takes a megabyte of it, or twenty in dedicated clusters."""
MOST_WRAPPINGS = 8
NO_OBJECT = "not a JSON object with members"
NO_RECORD = "no record in it: an empty list"


class Part(NamedTuple):
    """A record, or why there is none; `body` are its bytes."""

    record: dict[str, Any] | None
    body: bytes
    reason: str = ""


def parts_of(body: bytes) -> list[Part]:
    """The records in a body, and what can't be read."""
    try:
        text = _plain(body)
    except UnreadableError as error:
        return [Part(None, body, str(error))]
    try:
        value = load(text)
    except UnreadableError as error:
        return _one_after_another(text, body, error)
    if isinstance(value, dict) and recognise(value) is not OTHER:
        return [Part(value, body if text is body else text)]
    return list(_unwrapped(value, text))


def recognise(record: Mapping[str, Any]) -> Kind:
    """The kind of a parsed record, by its whole type or else its fields, without regard to case.

    A row of the table SecurityAlert, which a workspace exports, has an alert's id and is none.
    """
    lowered = {name.lower(): value for name, value in record.items()}
    named = lowered.get("type")
    kind = BY_TYPE.get(named.lower().strip("/")) if isinstance(named, str) else None
    if kind is not None:
        return kind
    if "systemalertid" in lowered and not (isinstance(named, str) and named.lower() == "securityalert"):
        return BY_NAME["Alert"]
    return BY_NAME["AttackPath"] if isinstance(lowered.get("attackpath"), dict) else OTHER


_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_GZIP = b"\x1f\x8b"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"PK\x03\x04": "ZIP",
    b"Obj\x01": "Avro",
    b"PAR1": "Parquet",
}
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}\s*")


def _plain(body: bytes) -> bytes:
    """JSON in UTF-8, as far as the first bytes tell.

    Raises:
        UnreadableError: compressed in a way that can't be read here, or damaged.
    """
    for _ in range(MOST_WRAPPINGS):
        start = body[:4]
        if start[:1] in {b"{", b"["} and start[1:2] != b"\x00" and not body.endswith(b"\x00"):
            return body
        if start[:2] == _GZIP or start[:2] in _ZLIB:
            body = _decompressed(body)
        elif start in _OTHERS:
            raise UnreadableError(f"not JSON: {_OTHERS[start]}")
        elif encoding := _encoding(body):
            body = _decoded(body, encoding)
        elif body.endswith(b"\x00"):
            body = body.rstrip(b"\x00 \r\n\t")
        elif _BASE64.fullmatch(body) and (inner := _from_base64(body)) is not None:
            body = inner
        else:
            return body
    return body


def _encoding(body: bytes) -> str | None:
    """The encoding that a byte order mark, or NULs beside the first character, tell."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return encoding
    if body[:1] in {b"{", b"["} and body[1:2] == b"\x00":
        return "utf-32-le" if body[1:4] == b"\x00\x00\x00" else "utf-16-le"
    return "utf-16-be" if body[:1] == b"\x00" and body[1:2] in {b"{", b"["} else None


def _decoded(body: bytes, encoding: str) -> bytes:
    """Without its mark, in UTF-8."""
    mark = next((mark for mark, named in _BYTE_ORDER_MARKS if named == encoding and body.startswith(mark)), b"")
    if encoding == "utf-8":
        return body[len(mark) :]
    try:
        return body[len(mark) :].decode(encoding).encode()
    except UnicodeError:
        raise UnreadableError(f"not {encoding.upper()}") from None


def _decompressed(body: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        text = reader.decompress(body, MOST_BYTES)
    except zlib.error:
        raise UnreadableError("not JSON: compressed, and damaged") from None
    if reader.unconsumed_tail:
        raise UnreadableError(f"not JSON: more than {MOST_BYTES} bytes when decompressed")
    if not reader.eof:
        raise UnreadableError("not JSON: compressed, and cut short")
    if reader.unused_data.strip(b"\x00"):
        text += _decompressed(reader.unused_data)  # gzip files may follow one another
        if len(text) > MOST_BYTES:
            raise UnreadableError(f"not JSON: more than {MOST_BYTES} bytes when decompressed")
    return text


def _from_base64(text: bytes) -> bytes | None:
    """What base64 stands for, where it is JSON or compressed; None for any other text."""
    try:
        inner = base64.b64decode(text.strip().translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except binascii.Error:
        return None
    return inner if inner[:1] in {b"{", b"["} or inner[:2] == _GZIP or inner[:3] == b"\xef\xbb\xbf" else None


_BETWEEN = re.compile(r"[\s,\x1e\x00\ufeff]*")


def _one_after_another(text: bytes, body: bytes, error: UnreadableError) -> list[Part]:
    """Values that follow one another, as JSON lines do; what can't be read from some point on is one part."""
    try:
        whole = text.decode()
    except UnicodeDecodeError:
        return [Part(None, body, str(error))]
    decoder = json.JSONDecoder()
    parts: list[Part] = []
    place = _BETWEEN.match(whole).end()  # type: ignore[union-attr] # matches anywhere
    while place < len(whole):
        try:
            _, end = decoder.raw_decode(whole, place)
            one = whole[place:end].encode()
            value = load(one)
        except (ValueError, RecursionError) as reason:
            if not parts:
                return [Part(None, body, str(error))]
            said = str(reason) if isinstance(reason, UnreadableError) else "not JSON behind other records"
            following = whole.find("\n", place) + 1
            end = following or len(whole)
            parts.append(Part(None, whole[place:end].encode(), said))
        else:
            parts += _unwrapped(value, one)
        place = _BETWEEN.match(whole, end).end()  # type: ignore[union-attr] # matches anywhere
    return parts or [Part(None, body, str(error))]


_RECORDS = "records"
_WRAPPERS = frozenset(
    {
        _RECORDS, "value", "data", "body", "event", "message", "payload", "contentdata", "content", "$content",
        "data_base64", "record",
    }
)  # fmt: skip


def _unwrapped(value: Any, text: bytes | None = None, depth: int = 0) -> Iterator[Part]:
    """The records in a parsed value; `text` are its bytes where it was read from them alone."""
    if isinstance(value, list) and depth < MOST_WRAPPINGS:
        if not value:
            yield Part(None, text if text is not None else encoded(value), NO_RECORD)
        for item in value:
            yield from _unwrapped(item, None, depth + 1)
    elif isinstance(value, str) and depth < MOST_WRAPPINGS:
        inner = _parsed(value)
        if isinstance(inner, dict | list | str) and inner != value:
            yield from _unwrapped(inner, None, depth + 1)
        else:
            yield Part(None, text if text is not None else encoded(value), f"{NO_OBJECT}: a text")
    elif isinstance(value, dict) and value:
        inside = _inside(value, depth) if recognise(value) is OTHER else None
        if inside is None:
            yield Part(value, text if text is not None else encoded(value))
        else:
            yield from inside
    else:
        yield Part(None, text if text is not None else encoded(value), NO_OBJECT)


def _inside(envelope: dict[str, Any], depth: int) -> list[Part] | None:
    """What an envelope holds, in each of its members that hold records; None where the object is none."""
    lowered = {name.lower(): value for name, value in envelope.items()}
    if depth >= MOST_WRAPPINGS or _is_of_security(lowered):
        return None
    found, empty = [], False
    for name, inner in envelope.items():
        if name.lower() not in _WRAPPERS or not isinstance(inner, dict | list | str):
            continue
        listed = name.lower() == _RECORDS and isinstance(inner, list)
        if not inner:
            empty |= listed
            continue
        parts = list(_unwrapped(inner, None, depth + 1))
        whole = listed and (len(lowered) == 1 or any(isinstance(item, dict | str) for item in inner))
        if whole or any(part.record is not None and _is_of_security(part.record) for part in parts):
            found.append(parts)
    if not found:
        return [Part(None, encoded(envelope), NO_RECORD)] if empty else None
    return _each_once(found)


def _each_once(members: list[list[Part]]) -> list[Part]:
    """The parts of several members; what two of them hold alike, as a value and as its text, is one part."""
    parts, bodies = [*members[0]], {part.body for part in members[0]}
    for member in members[1:]:
        parts += [part for part in member if part.body not in bodies]
        bodies |= {part.body for part in member}
    return parts


def _is_of_security(record: Mapping[str, Any]) -> bool:
    """A record of a known kind, or of another that Microsoft.Security names."""
    if recognise(record) is not OTHER:
        return True
    lowered = {name.lower(): value for name, value in record.items()}
    named, own = lowered.get("type"), lowered.get("id")
    if isinstance(named, str) and named.lower().strip("/").startswith("microsoft.security/"):
        return True
    if isinstance(named, str) and named.lower() == "securityalert" and "systemalertid" in lowered:
        return True
    return isinstance(own, str) and "/providers/microsoft.security/" in own.lower() and "data" not in lowered


def _parsed(text: str) -> Any:
    """The value of a text that is JSON, or base64 of JSON; the text itself where it is neither."""
    try:
        encoded = text.encode()
        plain = _plain(encoded)
        if plain is encoded and text.lstrip()[:1] not in {"{", "[", '"'}:
            return text
        return load(plain)
    except (UnreadableError, UnicodeEncodeError):
        return text
