"""How many rows the tables hold, asked of Log Analytics: a 204 only means that rows were accepted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

log = logging.getLogger(__name__)

# _TimeReceived is when Azure took a row in, which is what was counted at upload; TimeGenerated is the record's own.
QUERY = """
union {tables}
| where _TimeReceived >= datetime({start}) and _TimeReceived < datetime({end})
| summarize Rows = count() by Type
""".strip()
# A row is counted once its answer is read, and so may have been received a little before the day it is counted for.
_ANSWERS_TAKE = timedelta(minutes=2)
# How far TimeGenerated may lie before and after the time a row is received.
_OLDEST, _NEWEST = timedelta(days=2), timedelta(days=1)


def query(tables: tuple[str, ...], day: date) -> tuple[str, tuple[datetime, datetime]]:
    """The query for the rows of a day (UTC) by table, and the timespan to ask it over."""
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    start = end - timedelta(days=1) - _ANSWERS_TAKE
    text = QUERY.format(tables=", ".join(tables), start=start.isoformat(), end=end.isoformat())
    return text, (start - _OLDEST, end + _NEWEST)


class StoredRows:
    """Counts of rows by table, for the tables that the app writes records to."""

    def __init__(self, client: LogsQueryClient, workspace_id: str, tables: tuple[str, ...]) -> None:
        self._client = client
        self._workspace_id = workspace_id
        self._tables = tables

    async def __call__(self, day: date) -> Mapping[str, int] | None:
        """Rows of a day (UTC) by table; None when the workspace gives no whole answer."""
        from azure.core.exceptions import AzureError
        from azure.monitor.query import LogsQueryResult

        text, timespan = query(self._tables, day)
        try:
            answer = await self._client.query_workspace(self._workspace_id, text, timespan=timespan)
        except AzureError as error:
            log.warning("rows stored can't be counted: %s", type(error).__name__)
            return None
        if not isinstance(answer, LogsQueryResult):
            log.warning("rows stored can't be counted: the answer is partial")
            return None
        found = {str(row["Type"]): int(row["Rows"]) for row in answer.tables[0].rows}
        return {table: found.get(table, 0) for table in self._tables}
