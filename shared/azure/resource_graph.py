"""Azure Resource Graph: whole answers, page by page, within its quota, and with the reason where rows may be missing.

A page holds at most 1,000 rows and 16 MB.  Pages are stable only when the query is ordered by a unique key, so a query
without `order by` is refused here.  Callers with more than 10,000 subscriptions see only the first 10,000, and an
answer that lost a page looks like any other; both make an answer incomplete, never an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from shared.azure.retry_backoff import clock_seconds, retried, status_of
from shared.clock import Clock, Deadline
from shared.fail_points import touching
from shared.retry_after_header import capped

if TYPE_CHECKING:
    from shared.azure.clients import Clients

API_VERSION = "2022-10-01"
PAGE_ROWS = 1000
TOO_LARGE = "ResponsePayloadTooLarge"
REQUEST_SECONDS = 30.0  # for one request with its token; Resource Graph itself ends a query before that
PAGE_SECONDS = 120.0  # for one page with all its retries
THROTTLED = 429
REFUSED = "Resource Graph refused the query"
NO_SUBSCRIPTION = "NoValidSubscriptionsInQueryRequest"  # who asks has no right in any subscription
_REFUSED = frozenset({400, 404, 413, 422})
LIMIT_HIT = "Resource Graph shows only the first 10,000 subscriptions"


@dataclass(frozen=True)
class GraphAnswer:
    """The rows of a query; `complete` is False when some may be missing, and `reasons` says why."""

    rows: list[dict[str, Any]]
    complete: bool = True
    reasons: tuple[str, ...] = ()


@dataclass
class GraphPages:
    """One query being read: iterate for lists of rows, then look at `reasons`, empty when nothing is missing."""

    _graph: Graph
    _body: dict[str, Any]
    _deadline: Deadline | None = None
    _skip: int = 0
    reasons: list[str] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        from azure.core.exceptions import AzureError

        seen, total, token, top = self._skip, 0, "", PAGE_ROWS
        while True:
            if self._deadline is not None and self._deadline.left <= 0:
                self.reasons.append("there was no time left to read all of Resource Graph's answer")
                return
            options: dict[str, Any] = {"$top": top, "resultFormat": "objectArray"}
            if token:
                options["$skipToken"] = token
            elif self._skip:
                options["$skip"] = self._skip
            try:
                answer = await self._graph.page({**self._body, "options": options}, self.reasons, self._deadline)
            except AzureError as error:
                if top > 1 and _too_large(error):
                    top //= 4
                    continue
                self.reasons.append(_why(error))
                return
            rows = answer["data"]
            seen += len(rows)
            total = max(total, int(answer.get("totalRecords") or 0))
            yield rows
            token = answer.get("$skipToken") or ""
            if not token:
                break
        if seen < total:
            self.reasons.append(f"Resource Graph gave {seen} of {total} rows")
        elif str(answer.get("resultTruncated")).lower() == "true":
            self.reasons.append("Resource Graph cut its answer short")


def _page(content: bytes) -> dict[str, Any]:
    """An answer with its rows.

    Raises:
        azure.core.exceptions.DecodeError: it is something else, such as a proxy's page or an error in a 200.
    """
    from azure.core.exceptions import DecodeError

    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DecodeError(message="its answer holds no list of rows")
    found: dict[str, Any] = answer
    return found


def _why(error: Exception) -> str:
    if status_of(error) == THROTTLED:
        return "Resource Graph throttled this app for longer than it could wait"
    if status_of(error) in _REFUSED:  # what it says goes on with a time and an id, so that no two of them are the same
        codes = _codes(error)
        code = NO_SUBSCRIPTION if NO_SUBSCRIPTION in codes else next(iter(codes), status_of(error))
        return f"{REFUSED} ({code})"
    # The SDK says code and message once more, in lines of their own.
    said, *_ = [*str(getattr(error, "message", error)).strip().splitlines(), ""]
    return f"Resource Graph did not answer: {said}"


def _too_large(error: Exception) -> bool:
    """Whether an answer was refused for its size, at most 16 MB: then fewer rows may fit."""
    return TOO_LARGE in _codes(error)


def _codes(error: Exception) -> list[str]:
    """The code of a refusal, then those of its details, which tell more."""
    detail = getattr(error, "error", None)
    codes = (getattr(one, "code", None) for one in (detail, *(getattr(detail, "details", None) or ())))
    return [str(code) for code in codes if code]


class Graph:
    """Queries over Azure Resource Manager's pipeline; `requests` counts the pages asked for."""

    def __init__(self, clients: Clients, clock: Clock | None = None) -> None:
        self._clients = clients
        self._clock = clock or Clock()
        self._resume_at = 0.0
        self.requests = 0

    async def query(
        self,
        kql: str,
        *,
        subscriptions: Sequence[str] | None = None,
        management_groups: Sequence[str] | None = None,
        deadline: Deadline | None = None,
    ) -> GraphAnswer:
        """All rows of a query, over everything the app may read unless narrowed.

        Raises:
            ValueError: the query has no order.
        """
        pages = self.pages(kql, subscriptions=subscriptions, management_groups=management_groups, deadline=deadline)
        rows = [row async for page in pages for row in page]
        return GraphAnswer(rows, not pages.reasons, tuple(pages.reasons))

    def pages(
        self,
        kql: str,
        *,
        subscriptions: Sequence[str] | None = None,
        management_groups: Sequence[str] | None = None,
        deadline: Deadline | None = None,
        skip: int = 0,
    ) -> GraphPages:
        """The same, page by page, for answers too large to hold, without the first `skip` rows.

        Raises:
            ValueError: the query has no order.
        """
        if "order by" not in kql and "| summarize" not in kql:
            raise ValueError("a query over several pages needs an order by a unique key")
        body: dict[str, Any] = {"query": kql}
        if subscriptions is not None:
            body["subscriptions"] = list(subscriptions)
        if management_groups is not None:
            body["managementGroups"] = list(management_groups)
        return GraphPages(self, body, deadline, skip)

    async def page(self, body: dict[str, Any], reasons: list[str], deadline: Deadline | None = None) -> dict[str, Any]:
        """One page as Resource Graph answers it; what its headers say is missing goes to `reasons`.

        Raises:
            azure.core.exceptions.AzureError: none came within two minutes, or before the deadline, or it is no page.
        """
        from azure.core.exceptions import ServiceResponseTimeoutError
        from azure.core.rest import HttpRequest

        end = deadline.sooner(PAGE_SECONDS) if deadline else self._clock.deadline(PAGE_SECONDS)

        url = f"{self._clients.arm_endpoint}/providers/Microsoft.ResourceGraph/resources"

        async def ask() -> Any:
            await self._keep_quota(end)
            self.requests += 1
            request = HttpRequest("POST", url, params={"api-version": API_VERSION}, json=body)
            try:
                async with asyncio.timeout(max(0.0, min(REQUEST_SECONDS, end.left))):
                    with touching("graph.query"):
                        response = await self._clients.arm.send_request(request)
            except TimeoutError:
                raise ServiceResponseTimeoutError("no answer in time") from None
            self._note_quota(response.headers)
            response.raise_for_status()
            return response

        response = await retried(ask, self._clock, deadline=end.at)
        if (
            response.headers.get("x-ms-tenant-subscription-limit-hit", "").lower() == "true"
            and LIMIT_HIT not in reasons
        ):
            reasons.append(LIMIT_HIT)
        return _page(response.content)

    async def _keep_quota(self, end: Deadline) -> None:
        wait = self._resume_at - self._clock.monotonic()
        if wait > 0:
            await self._clock.sleep(min(wait, max(0.0, end.left)))

    def _note_quota(self, headers: Any) -> None:
        """Wait out the window once its quota is used up (15 queries in 5 seconds for a user)."""
        try:
            if int(headers["x-ms-user-quota-remaining"]) > 0:
                return
            asked = capped(
                clock_seconds(headers["x-ms-user-quota-resets-after"])
            )  # once, not before each query of a day
            self._resume_at = self._clock.monotonic() + asked
        except (KeyError, ValueError):
            return
