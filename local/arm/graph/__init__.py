"""Resource Graph: queries over the tenant in pages, with its quota, its lag and its limits.

Sources: Microsoft's pages on paging results, on throttled requests, and the texts of refusals that users have posted.
"""

from __future__ import annotations

import base64
import binascii
import math
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from local.arm.calls import ArmError, Call, Document, Operation, Reply
from local.arm.graph.functions import Row
from local.arm.graph.lexer import QueryError
from local.arm.graph.plan import Query, Run
from local.arm.graph.query import compiled
from local.arm.graph.tables import Roles, Tables
from local.tenant import Subscription, Tenant

VERSIONS = ("2024-04-01", "2022-10-01", "2021-03-01")
MAX_ROWS = 1000
MAX_BYTES = 16_777_216
QUOTA = 15
QUOTA_SECONDS = 5.0
SUBSCRIPTION_LIMIT = 10_000


class ResourceGraph:
    """Answers `POST /providers/Microsoft.ResourceGraph/resources`.

    `alter` is what tests make of the rows of an answer before it is cut into pages: some missing, twice, or blank.
    """

    def __init__(self, tenant: Tenant, now: Callable[[], float]) -> None:
        self.alter: Callable[[list[Row]], list[Row]] = lambda rows: rows
        self.subscription_limit = SUBSCRIPTION_LIMIT
        self._tenant = tenant
        self._now = now
        self._tables = Tables(tenant)
        self._windows: dict[str, tuple[float, int]] = {}
        self._chance = random.Random(0)
        self._answer: tuple[Any, list[Row]] = (None, [])

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Its row in ARM's table of operations."""
        path = "/providers/Microsoft.ResourceGraph/resources"
        action = "Microsoft.ResourceGraph/resources/read"
        return (Operation("POST", path, action, VERSIONS, self.query, reads=True, open=True),)

    def query(self, call: Call) -> Reply:
        """One page of one query."""
        headers = self._quota(call) if call.arm.throttling else {}
        body = call.document()
        text = body.get("query")
        if not isinstance(text, str) or not text.strip():
            raise _bad_request("InvalidQuery", "The query is empty.")
        options = body.get("options") or {}
        top, skip = _limits(options)
        try:
            query = compiled(text)
        except QueryError as error:
            raise _parser_failure(error) from error
        subscriptions, cut = self._scope(call, body)
        whole = not body.get("subscriptions")
        rows = self.alter(self._rows(call, query, text, subscriptions, whole=whole))
        start = max(skip, _offset(options.get("$skipToken"), text))
        page = rows[start : start + top]
        more = start + top < len(rows)
        answer: Document = {
            "totalRecords": len(rows),
            "count": len(page),
            "data": _table(query, page) if options.get("resultFormat", "").lower() == "table" else page,
            "facets": [],
            "resultTruncated": "true" if more and not query.pageable else "false",
        }
        if more and query.pageable:
            answer["$skipToken"] = _token(start + top, text)
        raw = orjson.dumps(answer)
        if len(raw) > MAX_BYTES:
            raise _bad_request(
                "ResponsePayloadTooLarge",
                f"Response payload size is {len(raw)}, and has exceeded the limit of {MAX_BYTES}. "
                "Please consider querying less data at a time and make paginated call if needed.",
            )
        headers["x-ms-tenant-subscription-limit-hit"] = "true" if cut else "false"
        return Reply(200, raw, headers)

    def _rows(
        self, call: Call, query: Query, text: str, subscriptions: list[Subscription], *, whole: bool
    ) -> list[Row]:
        tenant, caller, lag = self._tenant, call.caller.object_id, call.arm.graph_lag
        seen = (text, caller, tuple(one.id for one in subscriptions), tenant.version, whole, len(tenant.cve_details))
        if self._answer[0] == seen and not lag:
            return self._answer[1]
        roles = Roles(tenant, caller)

        def table(name: str, types: frozenset[str] | None) -> list[Row]:
            # Only an order by unique keys makes pages stable: rows come in another order each time.
            rows = list(self._tables.rows(name, types, subscriptions, roles, lag))
            if whole and name == "securityresources":
                rows += self._tables.cves(types, roles)
            turn = self._chance.randrange(len(rows)) if rows else 0
            return rows[turn:] + rows[:turn]

        run = Run(table)
        rows = query.rows(run)
        self._answer = (seen if run.certain and not lag else None, rows)
        return rows

    def _scope(self, call: Call, body: Document) -> tuple[list[Subscription], bool]:
        """The subscriptions that a query looks at, and whether some were left out for being too many."""
        lag = call.arm.graph_lag
        known = self._tenant.subscriptions
        roles = Roles(self._tenant, call.caller.object_id)
        named, groups = body.get("subscriptions"), body.get("managementGroups")
        if named and groups:
            raise _bad_request("InvalidScope", "Give subscriptions or managementGroups, not both.")
        candidates = (
            [found for one in named if (found := known.get(str(one), lag))] if named else list(known.values(lag))
        )
        wanted = {str(one).lower() for one in groups or ()}
        inside = {
            name: not wanted or any(one.name.lower() in wanted for one in self._tenant.ancestors(name))
            for name in self._tenant.management_groups
        }
        seen = [
            one
            for one in candidates
            if call.caller.tenant_id in {one.tenant_id, *one.managed_by}
            and roles.touches(one)
            and inside[one.management_group.lower()]
        ]
        if not seen:
            given = ", ".join(map(str, named or groups or ()))
            raise _bad_request(
                "NoValidSubscriptionsInQueryRequest",
                f"There must be at least one subscription that is eligible to contain resources. Given: '{given}'.",
            )
        return seen[: self.subscription_limit], len(seen) > self.subscription_limit

    def _quota(self, call: Call) -> dict[str, str]:
        now, caller = self._now(), call.caller.object_id
        began, used = self._windows.get(caller, (now, 0))
        if now - began >= QUOTA_SECONDS:
            began, used = now, 0
        seconds = max(1, math.ceil(began + QUOTA_SECONDS - now))
        self._windows[caller] = (began, used + 1)
        headers = {
            "x-ms-user-quota-remaining": str(max(0, QUOTA - used - 1)),
            "x-ms-user-quota-resets-after": f"00:00:{seconds:02}",
        }
        if used >= QUOTA:
            raise ArmError(
                429,
                "RateLimiting",
                _support(),
                details=[
                    {
                        "code": "RateLimiting",
                        "message": "Client application has been throttled and should not attempt to repeat the request "
                        "until an amount of time has elapsed. Please see help for how to handle throttled requests: "
                        "https://aka.ms/resourcegraph-throttling",
                    }
                ],
                headers={**headers, "Retry-After": str(seconds)},
            )
        return headers


def _limits(options: Document) -> tuple[int, int]:
    top, skip = options.get("$top", MAX_ROWS), options.get("$skip", 0)
    if not isinstance(top, int) or not 1 <= top <= MAX_ROWS:
        raise _bad_request("InvalidTop", f"$top must lie between 1 and {MAX_ROWS}.")
    if not isinstance(skip, int) or skip < 0:
        raise _bad_request("InvalidSkip", "$skip must not be negative.")
    return top, skip


def _token(offset: int, query: str) -> str:
    return base64.b64encode(orjson.dumps([offset, binascii.crc32(query.encode())])).decode()


def _offset(token: Any, query: str) -> int:
    if token is None:
        return 0
    try:
        offset, digest = orjson.loads(base64.b64decode(token, validate=True))
    except (TypeError, ValueError) as error:
        raise _bad_request("InvalidSkipToken", "The $skipToken is not one of this service's.") from error
    if digest != binascii.crc32(query.encode()):
        raise _bad_request("InvalidSkipToken", "The $skipToken belongs to another query.")
    return int(offset)


def _table(query: Query, page: list[Row]) -> Document:
    kinds = {"dynamic": "object", "long": "integer", "real": "number", "bool": "boolean"}
    return {
        "columns": [{"name": name, "type": kinds.get(kind, kind)} for name, kind in query.schema.items()],
        "rows": [[row[name] for name in query.schema] for row in page],
    }


def _support() -> str:
    when = datetime.now(UTC).isoformat()
    return f"Please provide below info when asking for support: timestamp = {when}, correlationId = {uuid.uuid4()}."


def _bad_request(code: str, message: str, **more: Any) -> ArmError:
    return ArmError(400, "BadRequest", _support(), details=[{"code": code, "message": message, **more}])


def _parser_failure(error: QueryError) -> ArmError:
    return ArmError(
        400,
        "BadRequest",
        _support(),
        details=[
            {
                "code": "InvalidQuery",
                "message": "Query is invalid. Please refer to the documentation for the Azure Resource Graph service "
                "and fix the error before retrying.",
            },
            {
                "code": "ParserFailure",
                "message": str(error),
                "characterPositionInLine": error.position,
                "token": error.token,
            },
        ],
    )
