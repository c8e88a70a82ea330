"""What a caller asks for beside the body: numbers, words, pages, preconditions and keys, each within its limits."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from shared.web.problems import BAD_REQUEST, ApiError

if TYPE_CHECKING:
    import azure.functions as func

Row = TypeVar("Row")

MAX_PAGE = 1_000
_MAX_WAIT_SECONDS = 200
_MAX_KEY = 200
_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"|[\x21\x23-\x7e]{1,200}')
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}={0,2}")


def number(request: func.HttpRequest, name: str, default: int, maximum: int, minimum: int = 0) -> int:
    """A whole number from the query string.

    Raises:
        ApiError: 400 when it is none, or outside `minimum` to `maximum`.
    """
    text = request.params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
        raise ApiError(BAD_REQUEST, f"'{name}' must be a whole number from {minimum} to {maximum}.")
    return int(text)


def choice(request: func.HttpRequest, name: str, *allowed: str) -> str:
    """One of the `allowed` words from the query string; the first one by default.

    Raises:
        ApiError: 400 for any other word.
    """
    text: str = request.params.get(name, allowed[0])
    if text not in allowed:
        raise ApiError(BAD_REQUEST, f"'{name}' must be {' or '.join(filter(None, allowed))}.")
    return text


def wait_seconds(request: func.HttpRequest) -> int:
    """How long the caller wants to wait for the answer: `?wait=`, 0 to 200 seconds.

    The front end of Azure Functions cuts an HTTP request after 230 s.
    """
    return number(request, "wait", 0, _MAX_WAIT_SECONDS)


class Condition(NamedTuple):
    """What a write asks of the stored version: that it is `match` (`*`: any), or that there is none (`absent`)."""

    match: str | None
    absent: bool

    def holds(self, etag: str | None) -> bool:
        """Whether a stored version of this ETag (None: there is none) is the one the caller means."""
        if self.absent:
            return etag is None
        return self.match is None or (etag is not None and self.match.strip('"') in {"*", etag.strip('"')})


def condition(request: func.HttpRequest) -> Condition:
    """The precondition in `If-Match` or `If-None-Match` (RFC 9110, 13.1), as far as a write can use one.

    Raises:
        ApiError: 400 for a weak ETag, a list of them, both headers at once, or `If-None-Match` other than `*`.
    """
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if match is not None and none_match is not None:
        raise ApiError(BAD_REQUEST, "Send If-Match or If-None-Match, not both.")
    if none_match not in {None, "*"}:
        raise ApiError(BAD_REQUEST, "If-None-Match takes only *, which means: create, never replace.")
    if match is not None and not _ETAG.fullmatch(match):
        raise ApiError(BAD_REQUEST, "If-Match takes one ETag as this API gave it, or *.")
    return Condition(match, none_match == "*")


def idempotency_key(request: func.HttpRequest) -> str:
    """The caller's `Idempotency-Key`, or empty.

    Raises:
        ApiError: 400 when it is empty, longer than 200 characters or not printable ASCII.
    """
    key: str | None = request.headers.get("idempotency-key")
    if key is None:
        return ""
    if not re.fullmatch(rf"[\x21-\x7e]{{1,{_MAX_KEY}}}", key):
        raise ApiError(BAD_REQUEST, f"Idempotency-Key takes 1 to {_MAX_KEY} visible ASCII characters.")
    return key


def limit(request: func.HttpRequest, default: int = MAX_PAGE) -> int:
    """How many rows a page has: `?limit=`.

    Raises:
        ApiError: 400 when it is no number from 1 to 1,000.
    """
    return number(request, "limit", default, MAX_PAGE, minimum=1)


def after(request: func.HttpRequest, pattern: str) -> str:
    """What the page before ended with, out of `?continuation=`; empty for the first page.

    Raises:
        ApiError: 400 for a continuation token that this API did not give.
    """
    token = request.params.get("continuation", "")
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii") if _TOKEN.fullmatch(token) else ""
    except (binascii.Error, UnicodeError):
        text = ""
    if not re.fullmatch(pattern, text):
        raise ApiError(BAD_REQUEST, "The continuation token is not one that this API gave; start without one.")
    return text


def continuation(last: str) -> str:
    """The token of the page after the one that ended with `last`."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def page(request: func.HttpRequest, rows: Sequence[Row]) -> tuple[Sequence[Row], str]:
    """The asked page of `rows` and the token of the next one (empty on the last).

    Raises:
        ApiError: 400 for a bad `limit` or a continuation token that this API did not give.
    """
    size = limit(request)
    start = int(after(request, "[0-9]{1,9}") or 0)
    end = start + size
    return rows[start:end], continuation(str(end)) if end < len(rows) else ""
