"""Requests in, answers out: bodies within limits, content negotiation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.web.problems import BAD_REQUEST, NOT_ACCEPTABLE, SECURITY_HEADERS, TOO_LARGE, UNSUPPORTED_MEDIA, ApiError

if TYPE_CHECKING:
    import azure.functions as func

MAX_BODY_BYTES = 1_000_000
JSON = "application/json"
YAML = "application/yaml"
CSV = "text/csv"


def body(request: func.HttpRequest, *types: str) -> bytes:
    """The request's body, of one of the content types.

    Raises:
        ApiError: 413 over 1,000,000 bytes, 415 for another content type.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and len(declared) < 20 and int(declared) > MAX_BODY_BYTES:  # noqa: PLR2004 - digits of 2**64
        raise ApiError(TOO_LARGE, f"Send at most {MAX_BODY_BYTES:,} bytes.")
    content: bytes = request.get_body()
    if len(content) > MAX_BODY_BYTES:
        raise ApiError(TOO_LARGE, f"Send at most {MAX_BODY_BYTES:,} bytes.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in types:
        raise ApiError(UNSUPPORTED_MEDIA, f"Send the body as {' or '.join(types)}.")
    return content


def json_body(request: func.HttpRequest) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object.

    Raises:
        ApiError: 400 when it is not a JSON object, and as `body` does.
    """
    if not request.get_body():
        return {}
    content = body(request, JSON)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ApiError(BAD_REQUEST, "The body is not valid JSON in UTF-8.") from None
    if not isinstance(document, dict):
        raise ApiError(BAD_REQUEST, "The body must be one JSON object.")
    return document


def accepted(request: func.HttpRequest, *offered: str) -> str:
    """The content type to answer with: the caller's first choice among those offered; the first one by default.

    Raises:
        ApiError: 406 when the caller accepts none of them.
    """
    header = request.headers.get("accept", "") or "*/*"
    choices: list[tuple[float, str]] = []
    for entry in header.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = next((_weight(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        choices.append((-weight, kind))
    for weight, kind in sorted(choices, key=lambda choice: choice[0]):
        for offer in offered:
            if weight < 0 and (kind in {offer, "*/*"} or kind == offer.partition("/")[0] + "/*"):
                return offer
    raise ApiError(NOT_ACCEPTABLE, f"Accept {' or '.join(offered)}.")


def _weight(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.\d{0,3})?", text) else 0.0


def answer(
    document: Any, *, status: int = 200, kind: str = JSON, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """An answer: JSON from any document, or text as it is for other content types."""
    import azure.functions as func

    # Escaped to ASCII, a lone surrogate of a hand-written file is still JSON.
    content = json.dumps(document, default=str) if kind == JSON else document
    return func.HttpResponse(
        content, status_code=status, mimetype=kind, charset="utf-8", headers={**SECURITY_HEADERS, **(headers or {})}
    )
