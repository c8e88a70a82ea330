"""Azure Resource Graph: whole answers, page by page, within its quota, and with the reason where rows may be missing.

A page holds at most 1,000 rows and 16 MB.  Pages are stable only when the query is ordered by a unique key, so a query
without `order by` is refused here.  Callers with more than 10,000 subscriptions see only the first 10,000, and an
answer that lost a page looks like any other; both make an answer incomplete, never an error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from shared.azure.retry import clock_seconds, retried
from shared.clock import Clock

if TYPE_CHECKING:
    from shared.azure.clients import Clients

API_VERSION = "2022-10-01"
PAGE_ROWS = 1000
TOO_LARGE = "ResponsePayloadTooLarge"


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
    reasons: list[str] = field(default_factory=list)

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        from azure.core.exceptions import AzureError

        seen, total, token, top = 0, 0, "", PAGE_ROWS
        while True:
            options: dict[str, Any] = {"$top": top, "resultFormat": "objectArray"}
            if token:
                options["$skipToken"] = token
            try:
                answer = await self._graph.page({**self._body, "options": options}, self.reasons)
            except AzureError as error:
                if top > 1 and _too_large(error):
                    top //= 4
                    continue
                self.reasons.append(f"Resource Graph did not answer: {getattr(error, 'message', error)}")
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


def _too_large(error: Exception) -> bool:
    """Whether an answer was refused for its size, at most 16 MB: then fewer rows may fit."""
    detail = getattr(error, "error", None)
    return TOO_LARGE in {getattr(one, "code", None) for one in (detail, *(getattr(detail, "details", None) or ()))}


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
    ) -> GraphAnswer:
        """All rows of a query, over everything the app may read unless narrowed.

        Raises:
            ValueError: the query has no order.
        """
        pages = self.pages(kql, subscriptions=subscriptions, management_groups=management_groups)
        rows = [row async for page in pages for row in page]
        return GraphAnswer(rows, not pages.reasons, tuple(pages.reasons))

    def pages(
        self,
        kql: str,
        *,
        subscriptions: Sequence[str] | None = None,
        management_groups: Sequence[str] | None = None,
    ) -> GraphPages:
        """The same, page by page, for answers too large to hold.

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
        return GraphPages(self, body)

    async def page(self, body: dict[str, Any], reasons: list[str]) -> dict[str, Any]:
        """One page as Resource Graph answers it; what its headers say is missing goes to `reasons`."""
        from azure.core.rest import HttpRequest

        url = f"{self._clients.arm_endpoint}/providers/Microsoft.ResourceGraph/resources"

        async def ask() -> Any:
            await self._keep_quota()
            self.requests += 1
            request = HttpRequest("POST", url, params={"api-version": API_VERSION}, json=body)
            response = await self._clients.arm.send_request(request, retry_total=0)
            self._note_quota(response.headers)
            response.raise_for_status()
            return response

        response = await retried(ask, self._clock)
        limit_hit = "Resource Graph shows only the first 10,000 subscriptions"
        if (
            response.headers.get("x-ms-tenant-subscription-limit-hit", "").lower() == "true"
            and limit_hit not in reasons
        ):
            reasons.append(limit_hit)
        answer: dict[str, Any] = orjson.loads(response.content)
        return answer

    async def _keep_quota(self) -> None:
        wait = self._resume_at - self._clock.monotonic()
        if wait > 0:
            await self._clock.sleep(wait)

    def _note_quota(self, headers: Any) -> None:
        """Wait out the window once its quota is used up (15 queries in 5 seconds for a user)."""
        try:
            if int(headers["x-ms-user-quota-remaining"]) > 0:
                return
            self._resume_at = self._clock.monotonic() + clock_seconds(headers["x-ms-user-quota-resets-after"])
        except (KeyError, ValueError):
            return
