"""Errors as RFC 9457 `application/problem+json`, each with a stable `type`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import azure.functions as func

NAMESPACE = "urn:defender-export:problem:"


@dataclass(frozen=True)
class ProblemType:
    """One documented way to fail: callers branch on `uri`, people read `title`."""

    slug: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        """The stable identifier that callers may compare."""
        return NAMESPACE + self.slug


BAD_REQUEST = ProblemType("bad-request", 400, "The request can't be understood")
INVALID_EXPORT = ProblemType("invalid-export", 422, "The export is not valid")
UNAUTHENTICATED = ProblemType("unauthenticated", 401, "The sign-in is missing or can't be used")
FORBIDDEN = ProblemType("forbidden", 403, "The caller lacks the app role")
NOT_FOUND = ProblemType("not-found", 404, "There is no such thing")
CONFLICT = ProblemType("conflict", 409, "The request contradicts an earlier one")
CHANGED = ProblemType("changed-meanwhile", 412, "It has changed since it was read")
TOO_LARGE = ProblemType("too-large", 413, "The body is too large")
UNSUPPORTED_MEDIA = ProblemType("unsupported-media-type", 415, "The body's content type is not understood")
NOT_ACCEPTABLE = ProblemType("not-acceptable", 406, "None of the accepted content types can be given")
TOO_MANY = ProblemType("too-many-requests", 429, "More is asked for than one deployment does at a time")
UNAVAILABLE = ProblemType("unavailable", 503, "Something the answer depends on can't be reached")
INTERNAL = ProblemType("internal", 500, "The app failed")

ALL = (
    BAD_REQUEST,
    INVALID_EXPORT,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    CONFLICT,
    CHANGED,
    TOO_LARGE,
    UNSUPPORTED_MEDIA,
    NOT_ACCEPTABLE,
    TOO_MANY,
    UNAVAILABLE,
    INTERNAL,
)

RETRY_LATER = {"Retry-After": "10"}

# Every answer is data for a program: nothing in it may run, be framed, be sniffed or be kept by a cache.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ApiError(Exception):
    """A refusal with its problem type; `detail` says what to do and never repeats the caller's input verbatim."""

    def __init__(
        self,
        problem: ProblemType,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions

    def response(self) -> func.HttpResponse:
        """The answer on the wire."""
        import azure.functions as func

        body = {
            "type": self.problem.uri,
            "title": self.problem.title,
            "status": self.problem.status,
            "detail": self.detail,
            **self.extensions,
        }
        return func.HttpResponse(
            json.dumps(body),
            status_code=self.problem.status,
            mimetype="application/problem+json",
            headers={**SECURITY_HEADERS, **self.headers},
        )
