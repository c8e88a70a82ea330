"""Tables as answers: a page as JSON, or as CSV that no spreadsheet runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.shown_text import as_csv
from shared.web import request_parameters
from shared.web.serialization import CSV, JSON, accepted, answer

if TYPE_CHECKING:
    import azure.functions as func


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
