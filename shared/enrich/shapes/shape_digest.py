"""What shapes are told apart by: the public names of a record and the types of their values, no more of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from shared.enrich.records.tolerant_reader import UnreadableError, load
from shared.enrich.shapes.public_words import NAMES

UNKNOWN_NAME = "*"
"""Stands in a structure for a name that is not public."""
DEEPEST = 8
"""Levels that tell shapes apart."""
LENGTH = 8
"""Hexadecimal digits."""


def digest_of(record: Mapping[str, Any]) -> str:
    """What tells the structure of a record: its public names and the types of their values."""
    return sha256(_written(_structure(record, DEEPEST)).encode()).hexdigest()[:LENGTH]


def digest_of_bytes(record: bytes) -> str:
    """The same of a record as sent; `unreadable` where it is none."""
    try:
        value = load(record)
    except UnreadableError:
        return "unreadable"
    return digest_of(value) if isinstance(value, dict) else "unreadable"


def _structure(value: Any, depth: int) -> Any:
    """Names and types; nulls count as left out, elements of a list once each structure."""
    if isinstance(value, dict):
        if depth == 0:
            return "object"
        named: dict[str, list[Any]] = {}
        for name, inner in value.items():
            if inner is not None:
                shown = name.lower() if name.lower() in NAMES else UNKNOWN_NAME
                named.setdefault(shown, []).append(_structure(inner, depth - 1))
        return {name: _distinct(inner) for name, inner in named.items()}
    if isinstance(value, list):
        return "list" if depth == 0 else ["list", *_distinct([_structure(item, depth - 1) for item in value])]
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "null" if value is None else "number"


def _distinct(structures: list[Any]) -> list[Any]:
    """Each once, in an order of their own, whichever came first."""
    written = {_written(one): one for one in structures}
    return [written[text] for text in sorted(written)]


def _written(structure: Any) -> str:
    return json.dumps(structure, sort_keys=True, separators=(",", ":"))
