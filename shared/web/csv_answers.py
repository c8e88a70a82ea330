"""Tables as answers: a page as JSON, or as CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.web import request_parameters
from shared.web.serialization import CSV, JSON, accepted, answer

if TYPE_CHECKING:
    import azure.functions as func

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(
    request: func.HttpRequest,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    key: Sequence[str],
    **extra: Any,
) -> func.HttpResponse:
    """Rows as a JSON page `{"value": [...], "continuation": "..."}`, or the same page as CSV by `Accept`.

    The columns in `key` order the rows and tell them apart.
    """
    kind = accepted(request, JSON, CSV)
    shown, token = request_parameters.page(request, rows, lambda row: tuple(str(row[name]) for name in key))
    if kind == CSV:
        return csv_page(shown, columns, token, complete=extra.get("complete"))
    return answer({**extra, "value": list(shown), "continuation": token})


def csv_page(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], token: str, *, complete: bool | None = None
) -> func.HttpResponse:
    """A page as CSV; the token of the next one is in the header `Continuation`, `Complete` is about what was read."""
    headers = {"Continuation": token} if token else {}
    if complete is not None:
        headers["Complete"] = str(complete).lower()
    return answer(as_csv(rows, columns), kind=CSV, headers=headers)


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV (RFC 4180); a cell that a spreadsheet would take for a formula is made text.

    Source: owasp.org/www-community/attacks/CSV_Injection.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = text.encode("utf-8", "replace").decode()
    # A negative number is data; text that begins like a formula is not.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text
