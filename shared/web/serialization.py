"""Requests in, answers out: bodies within limits, content negotiation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.web import request_parameters
from shared.web.json_reader import UnreadableJsonError, read_json
from shared.web.problems import BAD_REQUEST, NOT_ACCEPTABLE, SECURITY_HEADERS, TOO_LARGE, UNSUPPORTED_MEDIA, ApiError

if TYPE_CHECKING:
    import azure.functions as func

MAX_JOB_BYTES = 131_072  # 1,000 names in each list of a job
MAX_BODY_BYTES = 1_000_000
JSON = "application/json"
YAML = "application/yaml"
YAML_TYPES = (YAML, "application/x-yaml", "text/yaml", "text/x-yaml")
CSV = "text/csv"

_ALIASES = dict.fromkeys(YAML_TYPES, YAML)


def body(request: func.HttpRequest, *types: str) -> bytes:
    """The request's body, of one of the content types.

    Raises:
        ApiError: 413 over 1,000,000 bytes, 415 for another content type.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and len(declared) < 20 and int(declared) > MAX_BODY_BYTES:  # noqa: PLR2004 - digits of 2**64
        raise ApiError(TOO_LARGE, f"Send at most {MAX_BODY_BYTES:,} bytes.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise ApiError(
            UNSUPPORTED_MEDIA,
            "Send the body as it is, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    content: bytes = request.get_body()
    if len(content) > MAX_BODY_BYTES:
        raise ApiError(TOO_LARGE, f"Send at most {MAX_BODY_BYTES:,} bytes.")
    if media_type(request) not in types:
        raise ApiError(UNSUPPORTED_MEDIA, f"Send the body as {' or '.join(types)}.")
    return content


def media_type(request: func.HttpRequest) -> str:
    """The content type of the request's body, without parameters; empty when it has none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()  # type: ignore[no-any-return] # headers are texts


def json_body(request: func.HttpRequest) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object.

    Raises:
        ApiError: 400 when it is not one JSON object that says everything once, and as `body` does.
    """
    if not request.get_body():
        return {}
    content = body(request, JSON)
    if len(content) > MAX_JOB_BYTES:
        raise ApiError(TOO_LARGE, f"Send at most {MAX_JOB_BYTES:,} bytes.")
    try:
        document = read_json(content)
    except UnreadableJsonError as error:
        raise ApiError(BAD_REQUEST, f"The body {error}.") from None
    if not isinstance(document, dict):
        raise ApiError(BAD_REQUEST, "The body must be one JSON object.")
    return document


def accepted(request: func.HttpRequest, *offered: str) -> str:
    """The content type to answer with: the one the caller weighs most, the first offered among equals.

    For each type offered the most specific range of `Accept` counts (RFC 9110, 12.5.1).

    Raises:
        ApiError: 406 when the caller accepts none of them.
    """
    ranges: dict[str, float] = {}
    for kind, weight in request_parameters.weights(request.headers.get("accept", "") or "*/*").items():
        known = _ALIASES.get(kind, kind)
        ranges[known] = max(weight, ranges.get(known, 0.0))
    found = [
        next((ranges[each] for each in (offer, offer.partition("/")[0] + "/*", "*/*") if each in ranges), 0.0)
        for offer in offered
    ]
    best = max(found)
    if best == 0:
        raise ApiError(NOT_ACCEPTABLE, f"Accept {' or '.join(offered)}.")
    return offered[found.index(best)]


def where_known(**members: Any) -> dict[str, Any]:
    """Members of an answer that it leaves out where they are None: generators make an empty class of a null object."""
    return {name: value for name, value in members.items() if value is not None}


def answer(
    document: Any, *, status: int = 200, kind: str = JSON, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """An answer: JSON from any document, or text as it is for other content types."""
    import azure.functions as func

    # Escaped to ASCII, a lone surrogate of a hand-written file is still JSON.
    content = json.dumps(document, default=str, separators=(",", ":")) if kind == JSON else document
    return func.HttpResponse(
        content, status_code=status, mimetype=kind, charset="utf-8", headers={**SECURITY_HEADERS, **(headers or {})}
    )
