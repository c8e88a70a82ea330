"""The `_Distinct` and `_Current` functions, executed over rows of the app's own parser and compared with SQL."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import pytest_asyncio

from local.records import generate
from local.streams import Losses, Stream
from local.workspace import Result, Workspace
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.enrich.tables import TABLES, Table
from tests.unit.infra.test_history import called
from tools.infra import library

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

RECORD_TABLES = [table for table in TABLES if table.holds_records]
SUBSCRIPTIONS = [f"{number:08}-0000-4000-8000-000000000000" for number in range(4)]
SHARES = dict.fromkeys((table.kind for table in RECORD_TABLES), 1)
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=20)  # the functions look back from now
STEP = timedelta(minutes=3)


def events() -> Iterator[Event]:
    """Every kind, with what the functions are for: duplicates, states that follow one another, late ones, deletes."""
    stream = generate(11, SUBSCRIPTIONS, 2000, start=START, kinds=SHARES, duplicates=0.1, late=0.1, bad=0.0, every=STEP)
    for number, event in enumerate(stream):
        enqueued, partition = START + number * STEP, str(number % 4)
        yield Event(event.body, enqueued, partition, number)
        if number % 7 == 0:  # of every kind, whatever chance brings: Defender sends some events twice
            yield Event(event.body, enqueued + STEP / 2, partition, 20_000 + number)
        if number % 5 == 0:
            # The resource is gone; the record still tells the state that it had.
            gone = event.body.replace(b'"Write"', b'"Delete"').replace(b'"Insert"', b'"Delete"')
            yield Event(gone, enqueued + STEP / 3, partition, 10_000 + number)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workspace() -> AsyncIterator[Workspace]:
    parsed = Parser().parse(events(), now=START + timedelta(days=7))
    async with Workspace() as opened:
        for table in RECORD_TABLES:
            stream, losses = Stream(table), Losses()
            body = b"[" + b",".join(row.json for row in parsed.rows if row.table == table.name) + b"]"
            read = stream.read(body, losses)
            await opened.append(table.name, partial(stream.columns, read, START, losses), START)
        yield opened


def comparable(result: Result, table: Table) -> Counter[tuple[str, ...]]:
    """Rows without regard to the order of rows and columns."""
    places = [result.columns.index(column.name) for column in table.columns]
    return Counter(tuple(str(row[place]) for place in places) for row in result.rows)


async def ask(workspace: Workspace, kql: str) -> Result:
    workspace.functions = called(kql)
    return await workspace.kql(kql)


def first(rows: str, by: str, order: str) -> str:
    """The first row of each group, in SQL."""
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {by} ORDER BY {order}) AS place FROM ({rows})"
    return f"SELECT * EXCLUDE place FROM ({ranked}) WHERE place = 1"


def distinct_rows(table: Table) -> str:
    by_event = first(f'FROM "{table.name}"', "RecordId, PartitionId, SequenceNumber, EventTime", "EnqueuedTime")
    return first(by_event, "RecordKey", "EnqueuedTime")


def current_rows(table: Table) -> str:
    """What no later delete hides, the newest by its own time; all dates of these rows are dates that can be."""
    gone = f'SELECT RecordId, max((EnqueuedTime, SequenceNumber, EventTime)) AS g FROM "{table.name}"'
    gone += " WHERE Action = 'Delete' GROUP BY ALL"
    there = f'SELECT r.* FROM "{table.name}" r LEFT JOIN ({gone}) USING (RecordId)'
    there += " WHERE Action IS DISTINCT FROM 'Delete' AND (g IS NULL OR"
    there += " ((EnqueuedTime, SequenceNumber) > (g[1], g[2]) AND EventTime >= g[3]))"
    return first(there, "RecordId", "EventTime DESC, EnqueuedTime DESC, SequenceNumber DESC")


@pytest.mark.parametrize("table", RECORD_TABLES, ids=lambda table: table.name)
async def test_distinct_leaves_one_row_per_key(workspace: Workspace, table: Table) -> None:
    answer = await ask(workspace, f"{table.name.removesuffix('_CL')}_Distinct()")
    expected = await workspace.sql(distinct_rows(table))
    everything = await workspace.sql(f'SELECT count(*) FROM "{table.name}"')
    assert comparable(answer, table) == comparable(expected, table)
    assert 0 < len(answer.rows) < everything.rows[0][0]  # there were duplicates to leave out


@pytest.mark.parametrize("table", RECORD_TABLES, ids=lambda table: table.name)
async def test_current_leaves_the_newest_row_per_record_without_deletes(workspace: Workspace, table: Table) -> None:
    answer = await ask(workspace, f"{table.name.removesuffix('_CL')}_Current()")
    expected = await workspace.sql(current_rows(table))
    assert comparable(answer, table) == comparable(expected, table)
    assert answer.rows


async def test_the_rows_have_deletes_to_leave_out(workspace: Workspace) -> None:
    deleted = {
        table.kind: (await workspace.sql(f"SELECT count(*) FROM \"{table.name}\" WHERE Action = 'Delete'")).rows[0][0]
        for table in RECORD_TABLES
    }
    assert deleted["Assessment"] > 10
    assert deleted["Alert"] == 0  # alerts carry no action


async def test_a_function_that_takes_the_oldest_row_would_be_found(workspace: Workspace) -> None:
    table = RECORD_TABLES[1]
    wrong = f"{table.name} | summarize arg_min(EnqueuedTime, *) by RecordId | where Action != 'Delete'"
    answers = [
        comparable(await workspace.kql(wrong), table),
        comparable(await workspace.sql(current_rows(table)), table),
    ]
    assert answers[0] != answers[1]


async def test_compliance_by_standard_is_what_sql_says(workspace: Workspace) -> None:
    query = next(query for query in library() if query.name == "compliance-by-standard")
    answer = await ask(workspace, query.text)
    expected = await workspace.sql(
        "SELECT ComplianceStandard, SubscriptionId,"
        " count(*) FILTER (State = 'Passed'), count(*) FILTER (State = 'Failed')"
        f" FROM ({current_rows(RECORD_TABLES[5])}) WHERE State IN ('Passed', 'Failed') GROUP BY ALL"
    )
    places = [answer.columns.index(name) for name in ("ComplianceStandard", "SubscriptionId", "Passed", "Failed")]
    assert {tuple(row[place] for place in places) for row in answer.rows} == set(expected.rows)
    assert len(answer.rows) > 5
