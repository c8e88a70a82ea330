"""How Resource Graph answers: pages, and its quota."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from shared.accept.findings import Difference, Form, NotSeen
from shared.accept.wire import Answer
from shared.accept.world import World

_PATH: Final = "/providers/Microsoft.ResourceGraph/resources"
_VERSION: Final = "2022-10-01"
_QUERY: Final = "resourcecontainers | where type =~ 'microsoft.resources/subscriptions' | project id | order by id asc"
_PAGE: Final = Form(
    "a page of Resource Graph",
    (200,),
    {"totalRecords": int, "count": int, "data": list, "facets": list, "resultTruncated": str, "$skipToken": str},
    optional=frozenset({"$skipToken"}),
)
_MOST_PAGES, _AT_ONCE = 5, 25
_QUOTA: Final = ("x-ms-user-quota-remaining", "x-ms-user-quota-resets-after")
_THROTTLED, _OK = 429, 200


async def _page(world: World, options: dict[str, Any], **how: Any) -> Answer:
    body = {"query": _QUERY, "options": {"resultFormat": "objectArray", **options}}
    answer: Answer = await world.arm("POST", _PATH, _VERSION, json=body, **how)
    return answer


async def paging(world: World) -> list[Difference]:
    """Pages of one row, which together have each row once."""
    whole = await _page(world, {"$top": 1000}, form=_PAGE)
    rows = whole.body.get("data") if isinstance(whole.body, dict) else None
    if whole.status != _OK or not isinstance(rows, list):
        return [Difference("a query of Resource Graph", "rows", whole.error, whole.status)]
    if len(rows) < 2:  # noqa: PLR2004 - one page needs no other
        raise NotSeen("fewer than two subscriptions are visible, so that there is one page")
    found: list[Difference] = []
    if whole.body.get("totalRecords") != len(rows):
        found.append(Difference("totalRecords of a whole answer", "the number of its rows", whole.body["totalRecords"]))
    pages = min(len(rows), _MOST_PAGES)
    seen: list[Any] = []
    options: dict[str, Any] = {"$top": 1}
    for _ in range(pages):
        page = await _page(world, options, form=_PAGE)
        body = page.body if isinstance(page.body, dict) else {}
        seen += body.get("data") or []
        if not (token := body.get("$skipToken")):
            break
        options = {"$top": 1, "$skipToken": token}
    if seen != rows[:pages]:
        found.append(Difference(f"{pages} pages of one row", "the first rows, each once", {"count": len(seen)}))
    return found


async def quota(world: World) -> list[Difference]:
    """The headers that count down, and the refusal when nothing is left."""
    for answer in await asyncio.gather(*(_page(world, {"$top": 1}, as_is=True) for _ in range(_AT_ONCE))):
        lacking = [name for name in _QUOTA if not answer.header(name)]
        if lacking:
            return [Difference("an answer of Resource Graph", f"headers {', '.join(lacking)}", "none", answer.status)]
        if answer.status == _THROTTLED:  # the rest say the same
            asks = answer.header("Retry-After")
            return [] if asks else [Difference("a 429 of Resource Graph", "Retry-After", "none", answer.status)]
        if answer.status != _OK:
            return [Difference("a query of Resource Graph", "200 or 429", answer.error, answer.status)]
    raise NotSeen(f"{_AT_ONCE} queries at once were all answered")
