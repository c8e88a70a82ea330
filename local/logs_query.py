"""The Log Analytics query API over the local workspace, in KQL, and a control route for SQL.

KQL is translated by duckdb-kql; what it cannot translate is refused with 400, as a wrong query is.  An answer of too
many rows or bytes comes as a part, with 200 and an error beside it.  Sources:
learn.microsoft.com/azure/azure-monitor/service-limits (query API), /azure/azure-monitor/logs/api/response-format (the
error of a part), github.com/Azure/azure-sdk-for-python/issues/25137 (one that a user received).
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import msgspec
from aiohttp import web

from local.certs import Certificates
from local.http import CONTROL, RECORDED, Emulator
from local.tokens import HOME_TENANT, TokenAuthority, TokenRejectedError
from local.workspace import Result, Workspace

AUDIENCES = ("https://api.loganalytics.io", "https://api.loganalytics.azure.com")
KQL_TYPES = {
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "DATE": "datetime",
    "VARCHAR": "string",
    "JSON": "dynamic",
    "DOUBLE": "real",
    "FLOAT": "real",
    "BOOLEAN": "bool",
    "INTEGER": "int",
    "BIGINT": "long",
    "HUGEINT": "long",
    "INTERVAL": "timespan",
    "UUID": "guid",
}


MAX_ROWS = 500_000
MAX_BYTES = 104_857_600
REQUESTS, WINDOW_SECONDS = 200, 30.0
_TOO_LARGE = "E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003"


@dataclass
class Limits:
    """What one answer may hold, and how many requests one caller may make in a window."""

    rows: int = MAX_ROWS
    size: int = MAX_BYTES
    requests: int = REQUESTS


@dataclass
class FurtherWorkspace:
    """A workspace behind the same endpoint: who may read it, in which tenant it lies."""

    workspace: Workspace
    readers: set[str] = field(default_factory=set)
    tenant_id: str = HOME_TENANT


class LogsQuery(Emulator):
    """The query endpoint, over TLS; `readers` are the object ids that may read the workspace.

    `further` are other workspaces that it answers for, by their ids.
    """

    def __init__(
        self,
        workspace: Workspace,
        tokens: TokenAuthority,
        certificates: Certificates,
        *,
        readers: Iterable[str] = (),
        tenant_id: str = HOME_TENANT,
    ) -> None:
        super().__init__(certificates.server_context())
        self.workspace = workspace
        self.readers = set(readers)
        self.further: dict[str, FurtherWorkspace] = {}
        self._tokens = tokens
        self._tenant_id = tenant_id
        self.limits = Limits()
        self._windows: dict[str, tuple[float, int]] = {}
        self.app.router.add_post("/v1/workspaces/{workspace}/query", self._query)
        self.app.router.add_post(CONTROL + "/sql", self._control_sql)

    async def _query(self, request: web.Request) -> web.Response:
        try:
            claims = self._tokens.verify(request.headers.get("Authorization"), *AUDIENCES)
        except TokenRejectedError as rejected:
            return _error(401, rejected.code, str(rejected))
        request[RECORDED].principal = claims.object_id
        own = FurtherWorkspace(self.workspace, self.readers, self._tenant_id)
        asked_of = {self.workspace.workspace_id: own, **self.further}.get(request.match_info["workspace"].lower())
        if asked_of is None:
            return _error(404, "WorkspaceNotFoundError", "The workspace could not be found")
        if claims.tenant_id != asked_of.tenant_id or claims.object_id not in asked_of.readers:
            message = "The provided credentials have insufficient access to perform the requested operation"
            return _error(403, "InsufficientAccessError", message)
        wait = self._take(claims.object_id)
        if wait:
            refused = _error(429, "ThrottledError", "The rate of requests is exceeded")
            refused.headers["Retry-After"] = str(wait)
            return refused
        try:
            asked = await request.json()
            query, timespan = str(asked["query"]), _interval(asked.get("timespan"))
        except (ValueError, KeyError, TypeError) as error:
            return _bad_request("InvalidRequest", f"The request is not understood: {error}")
        return await self._run(asked_of.workspace, query, timespan)

    def _take(self, caller: str) -> int:
        """Count one request of a caller; seconds to wait where there were too many in this window, else 0."""
        now = time.monotonic()
        began, used = self._windows.get(caller, (now, 0))
        if now - began >= WINDOW_SECONDS:
            began, used = now, 0
        if used >= self.limits.requests:
            return math.ceil(began + WINDOW_SECONDS - now)
        self._windows[caller] = (began, used + 1)
        return 0

    async def _run(
        self, workspace: Workspace, query: str, timespan: tuple[datetime | None, datetime | None]
    ) -> web.Response:
        from duckdb_kql import KqlError, KqlSyntaxError

        try:
            result = await workspace.kql(query, timespan)
        except KqlSyntaxError as error:
            return _bad_request("SyntaxError", str(error))
        except (KqlError, duckdb.Error) as error:
            return _bad_request("SemanticError", str(error))
        return web.json_response(_answer(_table(result), self.limits))

    async def _control_sql(self, request: web.Request) -> web.Response:
        try:
            result = await self.workspace.sql(await request.text())
        except duckdb.Error as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(result._asdict(), dumps=lambda value: json.dumps(value, default=str))


def _answer(table: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """The whole answer, or as much of it as the limits let through with the error that says so."""
    rows, size = table["rows"], 0
    if len(rows) <= limits.rows and len(json.dumps(rows)) <= limits.size:
        return {"tables": [table]}
    for count, row in enumerate(rows):
        size += len(json.dumps(row))
        if count == limits.rows or size > limits.size:
            what = f"{limits.rows} records" if count == limits.rows else f"{limits.size} bytes"
            said = f"The results of this query exceed the set limit of {what}, so not all records were returned"
            inner = {"code": "-2133196797", "message": f"{said} ({_TOO_LARGE}).", "severity": 2}
            detail = {
                "code": "EngineError",
                "message": "Something went wrong processing your query on the server.",
                "innererror": {**inner, "severityName": "Error"},
            }
            message = "There were some errors when processing your query."
            error = {"code": "PartialError", "message": message, "details": [detail]}
            return {"tables": [{**table, "rows": rows[:count]}], "error": error}
    return {"tables": [table]}


def _table(result: Result) -> dict[str, Any]:
    types = [KQL_TYPES.get(kind, "decimal" if kind.startswith("DECIMAL") else "string") for kind in result.types]
    columns = [{"name": name, "type": kind} for name, kind in zip(result.columns, types, strict=True)]
    rows = [[_value(value) for value in row] for row in result.rows]
    return {"name": "PrimaryResult", "columns": columns, "rows": rows}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        clock = f"{value.seconds // 3600:02}:{value.seconds % 3600 // 60:02}:{value.seconds % 60:02}"
        ticks = f".{value.microseconds * 10:07}" if value.microseconds else ""
        return f"{value.days}.{clock}{ticks}" if value.days else clock + ticks
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _interval(timespan: str | None) -> tuple[datetime | None, datetime | None]:
    """The start and end of an ISO 8601 interval: start/end, start/duration, duration/end, or a duration until now."""
    if not timespan:
        return None, None
    head, _, tail = timespan.partition("/")
    end = datetime.now(UTC) if not tail or tail.startswith("P") else _utc(tail)
    if head.startswith("P"):
        return end - _duration(head), end
    start = _utc(head)
    return start, start + _duration(tail) if tail.startswith("P") else end


def _duration(text: str) -> timedelta:
    return msgspec.convert(text, timedelta)


def _utc(text: str) -> datetime:
    moment = msgspec.convert(text, datetime)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bad_request(code: str, message: str) -> web.Response:
    inner = {"code": code, "message": message}
    return _error(400, "BadArgumentError", "The request had some invalid properties", innererror=inner)


def _error(status: int, code: str, message: str, **more: Any) -> web.Response:
    body = {"error": {"message": message, "code": code, "correlationId": str(uuid.uuid4()), **more}}
    return web.json_response(body, status=status)
