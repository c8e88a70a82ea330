"""The nearest known name for one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache


def suggest(value: str, known: Iterable[str]) -> str:
    """The known name that is closest to `value`, as a question; empty when none is close."""
    return _suggest(value[:200].lower(), tuple(known))


@lru_cache(maxsize=512)
def _suggest(value: str, known: tuple[str, ...]) -> str:
    lowered = {name.lower(): name for name in known}
    close = get_close_matches(value, lowered, n=1)
    return f"Did you mean {lowered[close[0]]}?" if close else ""
