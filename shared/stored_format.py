"""The one rule for everything that is stored: what this release reads, and what it leaves as it is.

Each stored thing carries the number of its format and the release that wrote it.  A format that is the same or older
is read.  One that is newer or can't be read is kept and shown, never changed or deleted, and decides nothing.
Commit 43a9e6c wrote no format: that counts as format 0.  docs/stored-formats.md lists every stored thing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared import __version__

FORMAT: Final = "format"
RELEASE: Final = "release"
MAX_SHOWN: Final = 5


class KeptAsIs(ValueError):  # noqa: N818 - names the state of what is stored
    """Something stored that this release does not read and so leaves as it is; the message says why and what helps."""


@dataclass(frozen=True)
class StoredFormat:
    """A kind of stored thing; `number` is the format that this release writes and the newest that it reads.

    With `strict` an unknown member in a known format counts as newer: something is sent, written or deleted by it.
    """

    kind: str
    number: int
    strict: bool


FORMATS: Final[Mapping[str, StoredFormat]] = {
    each.kind: each
    for each in (
        StoredFormat("store number", 1, strict=True),
        StoredFormat("tombstone", 1, strict=True),
        StoredFormat("accepted file", 1, strict=False),
        StoredFormat("dead letters", 1, strict=True),
        StoredFormat("job", 1, strict=False),
        StoredFormat("job message", 1, strict=False),
        StoredFormat("job result", 1, strict=False),
        StoredFormat("idempotency key", 1, strict=False),
        StoredFormat("run report", 2, strict=False),
        StoredFormat("baseline", 1, strict=False),
        StoredFormat("changes of a day", 1, strict=False),
        StoredFormat("approval", 1, strict=True),
        StoredFormat("left scopes", 1, strict=False),
        StoredFormat("ownership record", 1, strict=True),
        StoredFormat("freshness answer", 1, strict=False),
        StoredFormat("last seen", 1, strict=False),
        StoredFormat("gone pass", 1, strict=False),
        StoredFormat("cve refresh", 1, strict=False),
        StoredFormat("open counts", 1, strict=False),
        StoredFormat("writer's mark", 1, strict=False),
        StoredFormat("saved plan", 3, strict=True),
        StoredFormat("deployment", 1, strict=False),
        StoredFormat("run lease", 1, strict=False),
        StoredFormat("whole record", 1, strict=False),
        StoredFormat("audit note", 1, strict=False),
        StoredFormat("quota", 1, strict=False),
        StoredFormat("canary note", 1, strict=False),
        StoredFormat("canary", 1, strict=False),
        StoredFormat("notices", 1, strict=True),
        StoredFormat("accepted routes", 1, strict=False),
    )
}


def stamp(kind: str) -> dict[str, Any]:
    """The members that every stored thing of this kind begins with."""
    return {FORMAT: FORMATS[kind].number, RELEASE: __version__}


def stamp_texts(kind: str) -> dict[str, str]:
    """The same as texts, for a blob's metadata."""
    return {name: str(value) for name, value in stamp(kind).items()}


def admit(kind: str, document: Any, known: Collection[str] = ()) -> int:
    """The format of something stored, an object or a blob's metadata; 0 where none is named.

    `known` are its members, apart from format and release; they matter to a strict kind alone.

    Raises:
        KeptAsIs: it is of a newer format, of none that there is, or holds members that this release does not know.
    """
    if not isinstance(document, Mapping):
        raise KeptAsIs(f"this {kind} holds no object: nothing is done with it; put it right or remove it")
    number = _number(document.get(FORMAT, 0))
    if number is None:
        raise KeptAsIs(f"this {kind} names a format that is no number: nothing is done with it")
    mine = FORMATS[kind]
    if number > mine.number:
        raise KeptAsIs(f"this {kind} has format {number}, this release reads up to {mine.number}: {needs(document)}")
    unknown = sorted({str(name) for name in document} - {*known, FORMAT, RELEASE}) if mine.strict else []
    if unknown:
        named = ", ".join(name[:40] for name in unknown[:MAX_SHOWN])
        raise KeptAsIs(f"this {kind} has members that this release does not know ({named}): {needs(document)}")
    return number


def read_object(kind: str, data: bytes | str, known: Collection[str] = ()) -> dict[str, Any]:
    """A stored JSON object.

    Raises:
        KeptAsIs: as `admit`, and for what is no JSON object.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise KeptAsIs(f"this {kind} is no JSON: nothing is done with it; put it right or remove it") from None
    admit(kind, document, known)
    found: dict[str, Any] = document
    return found


def needs(document: Mapping[str, Any]) -> str:
    """Which release to run for something that this one does not read."""
    written_by = str(document.get(RELEASE) or "")[:40]
    if written_by and written_by != __version__:
        return f"run release {written_by}, which wrote it, or a later one"
    return "run the release that wrote it, or a later one"


def _number(value: Any) -> int | None:
    """A format's number, from JSON or from a blob's metadata."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 9:  # noqa: PLR2004 - digits
        return int(value)
    return None
