"""What a caller asks for beside the body: numbers, words, pages, preconditions and keys, each within its limits.

What is unknown, repeated, empty or no possible value is refused, never passed over: a misspelt parameter would
otherwise widen what is asked for (Azure REST API guidelines, "collections-error-on-unknown-parameter").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from shared.exports.suggestions import suggest
from shared.web.problems import BAD_REQUEST, ApiError

if TYPE_CHECKING:
    import azure.functions as func

Row = TypeVar("Row")
SortKey = tuple[str, ...]

MAX_PAGE = 1_000
API_VERSIONS = ("2026-11-26",)
PAGING = ("limit", "continuation")
# The platform reads the function key from `code`, its name from `clientId`, in any casing.
PLATFORM_PARAMETERS = frozenset({"code", "clientid"})
_COMMON = "api-version"
_MAX_WAIT_SECONDS = 200
_MAX_KEY = 200
_TAG = r'(?:W/)?"[!#-~]{0,200}"'
# A tag may come without its quotes, as a shell easily loses them.
ENTITY_TAGS = rf"(?:[!#-+\--~]{{1,200}}|{_TAG}(?: ?, ?{_TAG}){{0,49}})"
_CURSOR = r"[A-Za-z0-9_-]{1,2000}={0,2}"  # compiled when it is first needed: not at the start
_SHOWN = 60
_limits: ContextVar[tuple[str, ...]] = ContextVar("limits", default=())


def check_names(request: func.HttpRequest, known: Collection[str]) -> None:
    """Refuse what this route does not take: unknown or mis-cased parameters, repeated ones, empty ones.

    Raises:
        ApiError: 400 with the nearest known name, or with the versions of the API that exist.
    """
    allowed = sorted({*known, _COMMON})
    given = parse_qsl(urlsplit(request.url).query, keep_blank_values=True, max_num_fields=None)
    counts = Counter(name for name, _ in given) or Counter(request.params)
    values = dict(given) | dict(request.params)
    for name, count in counts.items():
        if name.lower() in PLATFORM_PARAMETERS:
            continue
        if name not in allowed:
            advice = suggest(name, allowed) or f"It takes {', '.join(allowed)}."
            raise ApiError(BAD_REQUEST, f"This route has no parameter {shown(name)}. {advice}")
        if count > 1:
            raise ApiError(BAD_REQUEST, f"'{name}' is given {count} times; give it once.")
        if not values[name]:
            raise ApiError(BAD_REQUEST, f"'{name}' is empty; leave it out to ask for everything.")
    version = values.get(_COMMON)
    if version is not None and version not in API_VERSIONS:
        raise ApiError(BAD_REQUEST, f"There is no such api-version; there is {', '.join(API_VERSIONS)}.")


def shown(text: str) -> str:
    """A caller's text as a refusal may repeat it: visible ASCII in quotes, short."""
    return f"'{re.sub(r'[^!-~ ]|[<>&]', '?', text[:_SHOWN])}'"


def word(request: func.HttpRequest, name: str, allowed: Collection[str]) -> str:
    """One of the `allowed` words from the query string; empty when it is left out.

    Raises:
        ApiError: 400 for any other word, with the nearest.
    """
    text: str | None = request.params.get(name)
    if text is None:
        return ""
    if text not in allowed:
        raise ApiError(
            BAD_REQUEST, f"'{name}' must be {' or '.join(sorted(allowed))}. {suggest(text, allowed)}".strip()
        )
    return text


def guid(request: func.HttpRequest, name: str) -> str:
    """An id in lower case; empty when it is left out.

    Raises:
        ApiError: 400 when it is no GUID.
    """
    text: str | None = request.params.get(name)
    if text is None:
        return ""
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ApiError(BAD_REQUEST, f"'{name}' must be an id such as 00000000-0000-0000-0000-000000000000.")
    return text.lower()


def day(request: func.HttpRequest, name: str = "day") -> str:
    """A day of the calendar as YYYY-MM-DD; empty when it is left out.

    Raises:
        ApiError: 400 when it is written otherwise, or there is no such day.
    """
    text: str | None = request.params.get(name)
    if text is None:
        return ""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) and date.fromisoformat(text):
            return text
    except ValueError:
        pass
    raise ApiError(BAD_REQUEST, f"'{name}' must be a day of the calendar as YYYY-MM-DD.")


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
    """A precondition (RFC 9110, 13.1): `If-Match` and `If-None-Match`, each None when it was not sent."""

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None

    def holds(self, etag: str | None) -> bool:
        """Whether a representation with this ETag (None: there is none) is one that the caller means to change."""
        return self.matches(etag) and self.is_new(etag)

    def matches(self, etag: str | None) -> bool:
        """Whether `If-Match` is true, by the strong comparison: a weak tag matches nothing."""
        return self.match is None or (etag is not None and ("*" in self.match or etag in self.match))

    def is_new(self, etag: str | None) -> bool:
        """Whether `If-None-Match` is true, by the weak comparison; a read for which it is false answers 304."""
        if self.none_match is None or etag is None:
            return True
        return "*" not in self.none_match and etag not in {tag.removeprefix("W/") for tag in self.none_match}


def condition(request: func.HttpRequest) -> Condition:
    """The precondition in `If-Match` and `If-None-Match`.

    Raises:
        ApiError: 400 when either is neither `*` nor a list of ETags.
    """
    return Condition(_tags(request, "If-Match"), _tags(request, "If-None-Match"))


def _tags(request: func.HttpRequest, name: str) -> tuple[str, ...] | None:
    text: str | None = request.headers.get(name.lower())
    if text is None:
        return None
    text = text.strip(" ")
    if not re.fullmatch(ENTITY_TAGS, text):
        raise ApiError(BAD_REQUEST, f"{name} takes ETags as this API gave them, or *.")
    if text == "*":
        return ("*",)
    return tuple(re.findall(_TAG, text)) or (f'"{text}"',)


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
        ApiError: 400 for a continuation token that this API did not give for this list and these filters.
    """
    token = request.params.get("continuation")
    if token is None:
        return ""
    try:
        padded = token + "=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode() if re.fullmatch(_CURSOR, token) else ""
    except (binascii.Error, UnicodeError):
        text = ""
    bound, _, last = text.partition(".")
    if not re.fullmatch(pattern, last):
        raise ApiError(BAD_REQUEST, "The continuation token is not one that this API gave; start without one.")
    if bound != _binding(request):
        raise ApiError(
            BAD_REQUEST, "The continuation token is of another list or other filters; keep them, or start without one."
        )
    return last


def continuation(request: func.HttpRequest, last: str) -> str:
    """The token of the page after the one that ended with `last`, good for this list with these filters only."""
    return base64.urlsafe_b64encode(f"{_binding(request)}.{last}".encode()).decode().rstrip("=")


@contextmanager
def bound_to(limits: Collection[str]) -> Iterator[None]:
    """Have tokens belong to readers with the same limiting roles."""
    before = _limits.set(tuple(sorted(limits)))
    try:
        yield
    finally:
        _limits.reset(before)


def _binding(request: func.HttpRequest) -> str:
    """What a token belongs to: the route, every parameter that chooses rows, and the roles that limit the reader."""
    apart = {*PAGING, _COMMON, "maxAge"}
    chosen = sorted(
        (name, value)
        for name, value in request.params.items()
        if name not in apart and name.lower() not in PLATFORM_PARAMETERS
    )
    route = urlsplit(request.url).path.rstrip("/").lower()
    limits = _limits.get()
    parts = [route, chosen, *([limits] if limits else [])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def page(request: func.HttpRequest, rows: Sequence[Row], key: Callable[[Row], SortKey]) -> tuple[Sequence[Row], str]:
    """The asked page of `rows` in the order of `key`, and the token of the next one (empty on the last).

    A token names the last key shown, not a position: rows that come or go between two pages hide no other.

    Raises:
        ApiError: 400 for a bad `limit` or a continuation token that this API did not give.
    """
    size = limit(request)
    ordered = sorted(rows, key=key)
    start = _start(after(request, r"\[.{0,1500}\]|"), ordered, key)
    shown_rows = ordered[start : start + size]
    if start + size >= len(ordered):
        return shown_rows, ""
    last = key(shown_rows[-1])
    ties = start + size - bisect_left(ordered, last, key=key)
    return shown_rows, continuation(request, json.dumps([ties, *last], separators=(",", ":")))


def _start(text: str, ordered: Sequence[Row], key: Callable[[Row], SortKey]) -> int:
    if not text:
        return 0
    try:
        ties, *parts = json.loads(text)
    except (ValueError, RecursionError):
        ties, parts = None, []
    if not isinstance(ties, int) or not parts or not all(isinstance(part, str) for part in parts):
        raise ApiError(BAD_REQUEST, "The continuation token is not one that this API gave; start without one.")
    last = tuple(parts)
    begin = bisect_left(ordered, last, key=key)
    start = begin
    while start < len(ordered) and start - begin < ties and key(ordered[start]) == last:
        start += 1
    return start


def weights(header: str) -> dict[str, float]:
    """What an `Accept` header names, in lower case, each with its weight (RFC 9110, 12.4.2); the greatest counts."""
    named: dict[str, float] = {}
    for entry in header.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = next((_weight(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        named[name] = max(weight, named.get(name, 0.0))
    return named


def _weight(text: str) -> float:
    return float(text) if re.fullmatch(r"0(\.\d{0,3})?|1(\.0{0,3})?", text) else 0.0
