"""Texts that others wrote, as a terminal, a page or a spreadsheet may show them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(text: str) -> str:
    """`text` without what would steer a terminal or turn a line round: live automations are written by others."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV (RFC 4180); a cell that a spreadsheet would take for a formula is made text.

    Source: owasp.org/www-community/attacks/CSV_Injection.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row.get(column)) for column in columns])
    return out.getvalue()


def cell(value: Any) -> str:
    """One cell of `as_csv`."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode()
    # A negative number is data; text that begins like a formula is not.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text
