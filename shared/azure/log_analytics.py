"""Queries of a Log Analytics workspace: the whole answer or none.

A query that exceeds a limit of the query API (500,000 rows, about 100 MB, ten minutes) is answered with 200, a part of
the rows and an error beside them.  Sources: learn.microsoft.com/azure/azure-monitor/service-limits (query API) and
/azure/azure-monitor/logs/api/response-format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient


async def whole_answer(
    client: LogsQueryClient,
    workspace_id: str,
    query: str,
    timespan: tuple[datetime, datetime] | None,
    *,
    seconds: int | None = None,
) -> Sequence[Mapping[str, Any]]:
    """Every row of a query's first table, by column name; `seconds` is how long the service may take.

    Raises:
        azure.core.exceptions.AzureError: there is no answer, or only a part of one.
    """
    from azure.core.exceptions import HttpResponseError
    from azure.monitor.query import LogsQueryResult

    answer = await client.query_workspace(workspace_id, query, timespan=timespan, server_timeout=seconds)
    if not isinstance(answer, LogsQueryResult):
        raise HttpResponseError("Log Analytics gave only a part of the answer")
    if not answer.tables:
        raise HttpResponseError("Log Analytics answered without a table")
    table = answer.tables[0]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]
