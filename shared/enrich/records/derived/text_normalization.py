"""Small changes of text that several kinds need."""

from __future__ import annotations


def whole_link(text: str | None) -> str | None:
    """A portal link made whole: exports leave the scheme out."""
    return f"https://{text}" if text and text.startswith("portal.") else text


def lower_or_none(text: str | None) -> str | None:
    """A text in lower case; None for none and for an empty one."""
    return text.lower() if text else None
