"""The local Log Analytics workspace: one DuckDB table per custom table, filled in bulk, queryable while it fills.

DuckDB lets one process own a file.  This is that owner: writes go through one thread, queries through another.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import duckdb
import pyarrow as pa

from local.kql_built_ins import function_with_built_ins, with_built_ins
from shared.enrich.tables import TABLES, Column, ColumnType, Table

WORKSPACE_ID = "99999999-9999-4999-8999-999999999999"
# The type that duckdb-kql gives each KQL type; datetimes are UTC.
DUCKDB_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "long": "BIGINT",
    "real": "DOUBLE",
    "boolean": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
}
STANDARD_COLUMNS = '"_TimeReceived" TIMESTAMP, "TenantId" VARCHAR, "Type" VARCHAR'
# What a workspace says of itself: https://learn.microsoft.com/azure/azure-monitor/logs/monitor-workspace
LOG_OPERATION = Table(
    "_LogOperation",
    (
        Column("TimeGenerated", "datetime", "When it happened."),
        Column("Category", "string", "Ingestion, Agent or Data collection."),
        Column("Operation", "string", "What it is about, such as Data collection stopped."),
        Column("Level", "string", "Info, Warning or Error."),
        Column("Detail", "string", "What happened, such as OverQuota."),
    ),
    "LogOperation",
    "Azure's own.",
)
MEMORY = "512MB"
WAITING_BATCHES = 16

Columns = Callable[[], pa.Table]


class Result(NamedTuple):
    """A query's answer: column names, their DuckDB types, and the rows."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


class _Batch(NamedTuple):
    table: str
    columns: Columns
    received: datetime


class Workspace:
    """A workspace as an async context manager; without a `file` it lives in memory.

    `functions` are definitions of stored KQL functions (`Name(parameters) { body }`), as the deployment makes them.
    """

    def __init__(
        self,
        file: Path | None = None,
        *,
        tables: Iterable[Table] = TABLES,
        functions: Sequence[str] = (),
        workspace_id: str = WORKSPACE_ID,
    ) -> None:
        self.workspace_id = workspace_id
        self.tables = {table.name: table for table in tables}
        self._held = {LOG_OPERATION.name: LOG_OPERATION} | self.tables
        self.functions = [f"function {text.removeprefix('function ')}" for text in functions]
        self._file = file
        self._waiting: queue.Queue[_Batch | Future[None] | None] = queue.Queue(WAITING_BATCHES)
        self._queries = ThreadPoolExecutor(1, "workspace-query")
        self._writer = threading.Thread(target=self._write, name="workspace-writer", daemon=True)
        self._failure: Exception | None = None

    async def __aenter__(self) -> Self:
        self._database = duckdb.connect(str(self._file or ":memory:"), config={"threads": 1, "memory_limit": MEMORY})
        self._database.execute("SET TimeZone='UTC'")
        for table in self._held.values():
            columns = ", ".join(f'"{column.name}" {DUCKDB_TYPES[column.type]}' for column in table.columns)
            self._database.execute(f'CREATE TABLE IF NOT EXISTS "{table.name}" ({columns}, {STANDARD_COLUMNS})')
        self._catalog = self._database.execute("SELECT current_database()").fetchall()[0][0]
        self._reader = self._database.cursor()
        self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._enqueue(None)
        await asyncio.to_thread(self._writer.join)
        self._queries.shutdown()
        self._reader.close()
        self._database.close()

    async def append(self, table: str, columns: Columns, received: datetime) -> None:
        """Store rows soon; `columns` is called in the writer's thread and gives them as an Arrow table."""
        await self._enqueue(_Batch(table, columns, received))

    async def flush(self) -> None:
        """Return once every row appended so far can be queried; raises what went wrong while writing."""
        written: Future[None] = Future()
        await self._enqueue(written)
        await asyncio.wrap_future(written)

    async def sql(self, query: str, parameters: Sequence[object] = ()) -> Result:
        """Answer a query in SQL, over everything appended so far.

        Raises:
            duckdb.Error: the query is wrong.
        """
        await self.flush()
        return await self._ask(lambda connection: connection.execute(query, list(parameters)))

    async def kql(
        self,
        query: str,
        timespan: tuple[datetime | None, datetime | None] = (None, None),
        now: datetime | None = None,
    ) -> Result:
        """Answer a query in KQL, over rows whose TimeGenerated lies in `timespan` (start, end; None is open).

        `now` is what `now()` and `ago()` go by, where it is not the clock.

        Raises:
            duckdb.Error, duckdb_kql.KqlError: the query is wrong, or uses what duckdb-kql cannot translate.
        """
        import duckdb_kql

        def run(connection: duckdb.DuckDBPyConnection) -> Any:
            self._narrow(connection, *timespan)
            functions = [function_with_built_ins(definition) for definition in self._named_in(query)]
            text = with_built_ins(query)
            return duckdb_kql.kql(connection, text, allow_write=False, functions=functions, query_now=now)

        await self.flush()
        return await self._ask(run)

    def _named_in(self, query: str) -> list[str]:
        """The stored functions that a query uses, or that those use: each one takes long to parse."""
        left = {text.removeprefix("function ").partition("(")[0].strip(): text for text in self.functions}
        used: list[str] = []
        texts = [query]
        while texts:
            text = texts.pop()
            names = [name for name in left if name in text]
            texts += [left[name] for name in names]
            used += [left.pop(name) for name in names]
        return used

    async def _ask(self, run: Callable[[duckdb.DuckDBPyConnection], Any]) -> Result:
        def ask() -> Result:
            with self._reader.cursor() as connection:
                connection.execute("SET TimeZone='UTC'")
                answer = run(connection)
                described = answer.description or []
                return Result([d[0] for d in described], [str(d[1]) for d in described], answer.fetchall())

        return await asyncio.get_running_loop().run_in_executor(self._queries, ask)

    def _narrow(self, connection: duckdb.DuckDBPyConnection, start: datetime | None, end: datetime | None) -> None:
        """Hide rows outside the timespan behind temporary views, which names find before tables."""
        bounds = [("<=", start), (">", end)]
        hidden = [f"TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S.%f}' {sign} TimeGenerated" for sign, edge in bounds if edge]
        for table in self._held if hidden else ():
            connection.execute(
                f'CREATE TEMP VIEW "{table}" AS FROM "{self._catalog}".main."{table}" WHERE {" AND ".join(hidden)}'
            )

    async def _enqueue(self, item: _Batch | Future[None] | None) -> None:
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            await asyncio.to_thread(self._waiting.put, item)

    def _write(self) -> None:
        """The writer's thread: take what waits, insert it table by table, tell those who wait for it."""
        connection = self._database.cursor()
        connection.execute("SET TimeZone='UTC'")
        ended = False
        while not ended:
            taken = [self._waiting.get()]
            while not self._waiting.empty() and len(taken) < WAITING_BATCHES:
                taken.append(self._waiting.get())
            ended = None in taken
            try:
                self._insert(connection, [item for item in taken if isinstance(item, _Batch)])
            except Exception as error:  # noqa: BLE001 - the thread goes on; flush raises it
                self._failure = error
            for item in taken:
                if isinstance(item, Future):
                    self._tell(item)
        connection.close()

    def _tell(self, written: Future[None]) -> None:
        if self._failure:
            written.set_exception(self._failure)
        else:
            written.set_result(None)

    def _insert(self, connection: duckdb.DuckDBPyConnection, batches: list[_Batch]) -> None:
        by_table: dict[str, list[pa.Table]] = {}
        for batch in batches:
            rows = batch.columns()
            received = pa.repeat(pa.scalar(batch.received, pa.timestamp("us", tz="UTC")), len(rows))
            by_table.setdefault(batch.table, []).append(rows.append_column("_TimeReceived", received))
        for name, parts in by_table.items():
            arriving = pa.concat_tables(parts)
            connection.register("arriving", arriving)
            standard = f"'{self.workspace_id}' AS TenantId, '{name}' AS Type"
            connection.execute(f'INSERT INTO "{name}" BY NAME SELECT *, {standard} FROM arriving')  # noqa: S608 - our own names
            connection.unregister("arriving")
