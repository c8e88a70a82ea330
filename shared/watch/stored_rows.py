"""What the tables hold of a day, and how late it came, by Log Analytics: a 204 only means that rows were accepted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from shared.watch.freshness_outcome import Delay, InTable, StoredDay

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

log = logging.getLogger(__name__)

# _TimeReceived is when Azure took a row in, which is what was counted at upload; TimeGenerated is the record's own, and
# ingestion_time() when the row could first be read.  A backfill's rows waited in no hub.
QUERY = """
union {tables}
| where _TimeReceived >= datetime({start}) and _TimeReceived < datetime({end})
| extend Seconds = iff(Action == 'Backfill', real(null), (ingestion_time() - EnqueuedTime) / 1s)
| summarize Rows = count(), Events = countif(isnotnull(Seconds)), P50 = percentile(Seconds, 50),
    P95 = percentile(Seconds, 95), P99 = percentile(Seconds, 99), Late = countif(Seconds > {late}) by Type
""".strip()
# https://learn.microsoft.com/azure/azure-monitor/logs/monitor-workspace: the daily cap says OverQuota, the rate limit
# and the limits of a table's columns have operations of their own.
OPERATIONS = """
_LogOperation
| where Category =~ 'Ingestion' and Level in~ ('Warning', 'Error')
| summarize Detail = take_any(Detail) by Operation
""".strip()
# A row is counted once its answer is read, and so may have been received a little before the day it is counted for.
_ANSWERS_TAKE = timedelta(minutes=2)
# How far TimeGenerated may lie before and after the time a row is received.
_OLDEST, _NEWEST = timedelta(days=2), timedelta(days=1)


_LONGEST_DETAIL = 200
_EXPLAINED = {
    403: "this app may not query the workspace (role Log Analytics Data Reader)",
    404: "there is no such workspace: WORKSPACE_ID names one that is gone or was moved",
}


def query(tables: tuple[str, ...], day: date, late_after: timedelta) -> tuple[str, tuple[datetime, datetime]]:
    """The query for the rows of a day (UTC) by table, and the timespan to ask it over."""
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    start = end - timedelta(days=1) - _ANSWERS_TAKE
    bounds = {"start": start.isoformat(), "end": end.isoformat(), "late": late_after.total_seconds()}
    text = QUERY.format(tables=", ".join(tables), **bounds)
    return text, (start - _OLDEST, end + _NEWEST)


class StoredRows:
    """What the tables hold that the app writes records to; events are late after so long."""

    def __init__(
        self, client: LogsQueryClient, workspace_id: str, tables: tuple[str, ...], late_after: timedelta
    ) -> None:
        self._client = client
        self._workspace_id = workspace_id
        self._tables = tables
        self._late_after = late_after

    async def __call__(self, day: date) -> StoredDay:
        """Rows of a day (UTC) by table, with their delay; where no answer is whole, the reason alone."""
        text, timespan = query(self._tables, day, self._late_after)
        rows, trouble = await self._ask(text, timespan)
        if trouble:
            return StoredDay(trouble=trouble)
        found = {str(row["Type"]): _in_table(row) for row in rows}
        told, _ = await self._ask(OPERATIONS, timespan)
        return StoredDay({table: found.get(table, InTable()) for table in self._tables}, operations=tuple(_said(told)))

    async def _ask(self, text: str, timespan: tuple[datetime, datetime]) -> tuple[Sequence[Mapping[str, Any]], str]:
        from azure.core.exceptions import AzureError
        from azure.monitor.query import LogsQueryResult

        try:
            answer = await self._client.query_workspace(self._workspace_id, text, timespan=timespan)
        except AzureError as error:
            status: int = getattr(error, "status_code", None) or 0
            return (), f"rows stored can't be counted: {_EXPLAINED.get(status, type(error).__name__)}"
        if not isinstance(answer, LogsQueryResult):
            return (), "rows stored can't be counted: the workspace's answer is partial"
        if not answer.tables:
            return (), "rows stored can't be counted: the workspace's answer holds no table"
        table = answer.tables[0]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows], ""


def _in_table(row: Mapping[str, Any]) -> InTable:
    events = int(row["Events"])
    if not events:
        return InTable(int(row["Rows"]))
    p50, p95, p99 = (round(float(row[name]), 3) for name in ("P50", "P95", "P99"))
    return InTable(int(row["Rows"]), Delay(events, p50, p95, p99, int(row["Late"])))


def _said(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in sorted(rows, key=lambda row: str(row["Operation"])):
        yield f"{row['Operation']}: {str(row['Detail'])[:_LONGEST_DETAIL]}"
