"""The workspace answers SQL while it fills, and KQL through the genuine query client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import pyarrow as pa
import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsQueryStatus
from azure.monitor.query.aio import LogsQueryClient

from local.certs import Certificates
from local.http import CONTROL
from local.logs_query import AUDIENCES, LogsQuery
from local.tokens import TokenAuthority
from local.workspace import WORKSPACE_ID, Workspace
from tests.integration.test_ingestion import APP, MintingCredential

TABLE = "DefenderSecureScores_CL"
DAY = datetime(2026, 3, 4, tzinfo=UTC)
BY_DAY = (
    f"{TABLE} | where TimeGenerated between (datetime(2026-03-03) .. datetime(2026-03-06))"
    " | summarize Rows = count() by Day = bin(TimeGenerated, 1d) | order by Day asc"
)
COUNT = "SELECT count(*) FROM DefenderSecureScores_CL"


async def fill(workspace: Workspace, times: Sequence[datetime]) -> None:
    rows = pa.table({"TimeGenerated": times, "RecordKey": [f"k{n}" for n in range(len(times))]})
    await workspace.append(TABLE, lambda: rows, DAY)


@pytest.fixture
def tokens() -> TokenAuthority:
    return TokenAuthority()


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with Workspace(
        functions=["Since(start:datetime) { DefenderSecureScores_CL | where TimeGenerated >= start }"]
    ) as ws:
        yield ws


@pytest.fixture
async def logs_query(
    workspace: Workspace, tokens: TokenAuthority, local_certs: Certificates
) -> AsyncIterator[LogsQuery]:
    async with LogsQuery(workspace, tokens, local_certs, readers=[APP.object_id]) as running:
        yield running


@pytest.fixture
async def client(logs_query: LogsQuery, tokens: TokenAuthority) -> AsyncIterator[LogsQueryClient]:
    credential = MintingCredential(tokens)
    async with LogsQueryClient(credential, endpoint=f"{logs_query.endpoint}/v1", audience=AUDIENCES[0]) as querying:
        yield querying


async def ask(client: LogsQueryClient, query: str, timespan: Any = None) -> list[list[Any]]:
    answer = await client.query_workspace(WORKSPACE_ID, query, timespan=timespan)
    assert answer.status == LogsQueryStatus.SUCCESS
    return [list(row) for row in answer.tables[0].rows]


class TestSql:
    async def test_every_row_appended_before_a_query_is_in_its_answer(self, workspace: Workspace) -> None:
        for expected in range(10, 200, 10):
            await fill(workspace, [DAY] * 10)
            assert (await workspace.sql(COUNT)).rows == [(expected,)]

    async def test_a_file_keeps_its_rows(self, tmp_path: Path) -> None:
        file = tmp_path / "workspace.duckdb"
        async with Workspace(file) as first:
            await fill(first, [DAY])
        async with Workspace(file) as second:
            assert (await second.sql(COUNT)).rows == [(1,)]

    async def test_a_wrong_query_is_an_error(self, workspace: Workspace) -> None:
        with pytest.raises(duckdb.Error):
            await workspace.sql("SELECT nothing FROM nowhere")

    async def test_rows_that_cannot_be_written_are_an_error_and_never_silent(self) -> None:
        async with Workspace() as workspace:
            await workspace.append(TABLE, lambda: pa.table({"Nowhere": ["x"]}), DAY)
            with pytest.raises(duckdb.Error):
                await workspace.flush()

    async def test_people_can_ask_a_running_one_over_the_wire(
        self, workspace: Workspace, logs_query: LogsQuery, local_certs: Certificates
    ) -> None:
        await fill(workspace, [DAY])
        route = f"{logs_query.endpoint}{CONTROL}/sql"
        tls = local_certs.client_context()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
            async with session.post(
                route, data="SELECT RecordKey, TimeGenerated FROM DefenderSecureScores_CL"
            ) as answer:
                assert (await answer.json())["rows"] == [["k0", "2026-03-04 00:00:00"]]
            async with session.post(route, data="SELECT") as answer:
                assert answer.status == 400


class TestKql:
    async def test_rows_by_table_and_day(self, workspace: Workspace, client: LogsQueryClient) -> None:
        await fill(workspace, [DAY, DAY + timedelta(hours=23), DAY + timedelta(days=1), DAY + timedelta(days=9)])
        assert await ask(client, BY_DAY) == [[DAY, 2], [DAY + timedelta(days=1), 1]]

    async def test_the_timespan_of_the_request_narrows_the_query(
        self, workspace: Workspace, client: LogsQueryClient
    ) -> None:
        await fill(workspace, [DAY, DAY + timedelta(days=1)])
        count = f"{TABLE} | count"
        assert await ask(client, count) == [[2]]
        assert await ask(client, count, (DAY, DAY + timedelta(days=1))) == [[1]]
        assert await ask(client, count, (DAY + timedelta(hours=1), timedelta(days=1))) == [[1]]
        assert await ask(client, count, timedelta(days=1)) == [[0]]

    async def test_several_tables_are_counted_in_one_query(self, workspace: Workspace, client: LogsQueryClient) -> None:
        await fill(workspace, [DAY])
        query = f"union withsource=TableName {TABLE}, DefenderAlerts_CL | summarize Rows = count() by TableName"
        assert await ask(client, query) == [[TABLE, 1]]

    async def test_types_are_named_as_log_analytics_names_them(
        self, workspace: Workspace, client: LogsQueryClient
    ) -> None:
        await fill(workspace, [DAY])
        columns = "TimeGenerated, RecordKey, MaxScore, Weight, CurrentScore, IsSnapshot, Tags"
        answer = await client.query_workspace(
            WORKSPACE_ID, f"{TABLE} | project {columns}, Age = now() - TimeGenerated", timespan=None
        )
        assert answer.status == LogsQueryStatus.SUCCESS
        types = ["datetime", "string", "int", "long", "real", "bool", "dynamic", "timespan"]
        assert list(answer.tables[0].columns_types) == types

    async def test_stored_functions_can_be_called(self, workspace: Workspace, client: LogsQueryClient) -> None:
        await fill(workspace, [DAY, DAY + timedelta(days=1)])
        assert await ask(client, "Since(datetime(2026-03-05)) | project RecordKey") == [["k1"]]

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            (f"{TABLE} | wherex", "SyntaxError"),
            (f"{TABLE} | where Nowhere == 1", "SemanticError"),
            ("Nowhere_CL | count", "SemanticError"),
            (f"{TABLE} | make-series count() on TimeGenerated step 1d", "SemanticError"),
            (f".set-or-replace Copy <| {TABLE}", "SemanticError"),
        ],
        ids=["syntax", "unknown column", "unknown table", "not translatable here", "a command"],
    )
    async def test_what_cannot_be_answered_is_refused(self, client: LogsQueryClient, query: str, code: str) -> None:
        with pytest.raises(HttpResponseError, match="BadArgumentError") as refused:
            await ask(client, query)
        assert refused.value.status_code == 400
        assert code in str(refused.value)

    async def test_access_is_checked(
        self, client: LogsQueryClient, logs_query: LogsQuery, tokens: TokenAuthority
    ) -> None:
        with pytest.raises(HttpResponseError, match="WorkspaceNotFoundError"):
            await client.query_workspace("88888888-8888-4888-8888-888888888888", BY_DAY, timespan=None)
        logs_query.readers.clear()
        with pytest.raises(HttpResponseError, match="InsufficientAccessError"):
            await ask(client, BY_DAY)
        credential = MintingCredential(tokens)
        endpoint = f"{logs_query.endpoint}/v1"
        async with LogsQueryClient(credential, endpoint=endpoint, audience="https://monitor.azure.com") as wrong:
            with pytest.raises(HttpResponseError, match="InvalidAuthenticationTokenAudience"):
                await ask(wrong, BY_DAY)

    async def test_queries_and_writes_do_not_wait_for_each_other_forever(
        self, workspace: Workspace, client: LogsQueryClient
    ) -> None:
        async def write() -> None:
            for _ in range(40):
                await fill(workspace, [DAY] * 5)

        async def read() -> None:
            for _ in range(3):
                await ask(client, BY_DAY)

        await asyncio.gather(write(), read(), read())
        assert await ask(client, BY_DAY) == [[DAY, 200]]
