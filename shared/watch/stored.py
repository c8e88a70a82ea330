"""How many rows the tables hold, asked of Log Analytics: a 204 only means that rows were accepted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

log = logging.getLogger(__name__)

# Rows of one table over a day; ingestion_time() is when the row arrived, which is what was counted at upload.
QUERY = "{table} | where ingestion_time() >= datetime({start}) and ingestion_time() < datetime({end}) | count"


class StoredRows:
    """Counts of rows by table, for the tables that the app writes records to."""

    def __init__(self, client: LogsQueryClient, workspace_id: str, tables: tuple[str, ...]) -> None:
        self._client = client
        self._workspace_id = workspace_id
        self._tables = tables

    async def __call__(self, day: date) -> Mapping[str, int] | None:
        """Rows of a day (UTC) by table, in one batch; None when the workspace does not answer for every table."""
        from azure.core.exceptions import AzureError
        from azure.monitor.query import LogsBatchQuery, LogsQueryResult

        start = datetime.combine(day, time(), UTC)
        window = (start - timedelta(days=3), start + timedelta(days=2))
        bounds = {"start": start.isoformat(), "end": (start + timedelta(days=1)).isoformat()}
        queries = [
            LogsBatchQuery(self._workspace_id, QUERY.format(table=table, **bounds), timespan=window)
            for table in self._tables
        ]
        try:
            answers = await self._client.query_batch(queries)
        except AzureError as error:
            log.warning("rows stored can't be counted: %s", type(error).__name__)
            return None
        counts: dict[str, int] = {}
        for table, answer in zip(self._tables, answers, strict=True):
            if not isinstance(answer, LogsQueryResult):
                log.warning("rows stored in %s can't be counted", table)
                return None
            counts[table] = int(answer.tables[0].rows[0][0])
        return counts
