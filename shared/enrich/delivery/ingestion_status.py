"""What an answer of the Logs Ingestion API means for the rows that were sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What to do next with a body."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # the service is busy or out of reach: the same body again, later
    RENEW = "renew"  # the token is not accepted: once more with a fresh one
    OUTAGE = "outage"  # the rule, the role or the app's identity: no body would pass
    POISON = "poison"  # a row in this body
    TOO_LARGE = "too-large"  # this body, or a row in it


# Codes of a 400 that concern the rule and not the rows: bisecting would only multiply the requests.
_RULE_CODES = frozenset({"InvalidStream", "InvalidDcrImmutableId", "InvalidApiVersion"})
_TRANSIENT = frozenset({408, 425, 429})
_OUTAGE = frozenset({403, 404, 405, 410})


NO_TOKEN = "NoToken"  # noqa: S105  # nosec B105 # a code of an answer


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `status` 0 means that none came, `retry_after` is in seconds as asked for."""

    status: int
    code: str = ""
    message: str = ""
    retry_after: float | None = None
    permanent: bool = False  # no answer came, and none will: the client itself can't be built
    systematic: bool = False  # the service refuses whatever it is sent for this stream

    @property
    def throttled(self) -> bool:
        """Whether the service asks for fewer requests."""
        return self.status == 429  # noqa: PLR2004 # Too Many Requests

    @property
    def verdict(self) -> Verdict:
        """Classify by status (domain rules: Logs Ingestion API), and by code where a status has two meanings."""
        if 200 <= self.status < 300:  # noqa: PLR2004 # any success; the API says 204, its documentation also 200 and 202
            return Verdict.ACCEPTED
        if self.status == 401:  # noqa: PLR2004 # Unauthorized
            return Verdict.RENEW
        if self.status == 413:  # noqa: PLR2004 # Content Too Large
            return Verdict.TOO_LARGE
        if self.permanent or self.systematic or self.status in _OUTAGE or self.code in _RULE_CODES:
            return Verdict.OUTAGE
        if 400 <= self.status < 500 and self.status not in _TRANSIENT:  # noqa: PLR2004 # the request's own fault
            return Verdict.POISON
        return Verdict.RETRY

    @property
    def reason(self) -> str:
        """Why rows were not accepted, in a word: the folder of their dead letter."""
        if self.permanent:
            return "not-configured"
        if self.systematic:
            return "stream-refused"
        if self.code == NO_TOKEN:
            return "no-token"
        named = {401: "no-access", 403: "no-access", 404: "not-found", 429: "throttled"}.get(self.status)
        if named:
            return named
        by_verdict = {Verdict.RETRY: "unavailable", Verdict.POISON: "refused", Verdict.OUTAGE: "not-found"}
        return by_verdict.get(self.verdict, self.verdict.value)
