"""The nearest known name for one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(value: str, known: Iterable[str]) -> str:
    """The known name that is closest to `value`, as a question; empty when none is close."""
    lowered = {name.lower(): name for name in known}
    close = get_close_matches(value[:200].lower(), lowered, n=1)
    return f"Did you mean {lowered[close[0]]}?" if close else ""
