"""Small questions about values of records, whichever reader they come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw


def loaded(value: Any) -> Any:
    """A dynamic value parsed, whichever reader it came from."""
    return orjson.loads(memoryview(value)) if isinstance(value, Raw) else value


_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def loaded_exactly(value: Any) -> Any:
    """The same with all digits of integers beyond 64 bits, of which orjson makes floats."""
    if not isinstance(value, Raw):
        return value
    text = bytes(value)
    parsed = orjson.loads(text)
    return json.loads(text) if _LONG_NUMBER.search(text) else parsed


def decoded(value: Any) -> Any:
    """The same, and a text that holds an object or a list parsed, since some tables have such values as texts."""
    value = loaded(value)
    if not isinstance(value, str) or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError):
        return value


def encoded(value: Any) -> bytes:
    """A parsed value as JSON; integers may be of any length."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return msgspec.json.encode(value)


def mapping(value: Any) -> dict[str, Any]:
    """The object with its names in lower case; empty where it is none."""
    if value is None:
        return {}
    value = loaded(value)
    return {name.lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The list; empty where it is none."""
    value = loaded(value)
    return value if isinstance(value, list) else []


def first_text(named: Mapping[str, Any], name: str) -> str | None:
    """A text that is not empty."""
    value = named.get(name)
    return value if isinstance(value, str) and value else None


def is_empty(value: Any) -> bool:
    """Whether a dynamic value, from either reader, is missing, null, or an object, list or text with nothing in it."""
    if isinstance(value, Raw):
        return bytes(value) in {b"null", b"{}", b"[]", b'""'}
    return not value
