"""Context fills columns in few queries, remembers, and never holds a row up."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from shared.enrich.context.resource_context import (
    CACHED_BYTES,
    PAUSE,
    QUERIES,
    Context,
    IncompleteAnswerError,
    Known,
    RefusedError,
    Tagging,
)
from shared.enrich.records.model import Row
from tests.unit.enrich.builders import NOW, PARSER, alert, assessment, event
from tests.unit.enrich.golden.base import SUB, VM

GROUP = f"/subscriptions/{SUB}/resourceGroups/RG-Web"
CONTEXT_COLUMNS = {"SubscriptionName", "ManagementGroupPath", "Owner", "AssetEnvironment", "Criticality", "Tags"}


class Graph:
    """Resource Graph by hand: rows by id, and a log of what was asked."""

    def __init__(self, *rows: Mapping[str, Any]) -> None:
        self.rows = {row["id"].lower(): row for row in rows}
        self.queries: list[str] = []
        self.fails = False
        self.refused: set[str] = set()
        self.hidden: set[str] = set()
        self.gate: asyncio.Event | None = None

    async def __call__(self, kql: str, _: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        self.queries.append(kql)
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise ConnectionError
        asked = [one.replace("\\'", "'") for one in re.findall(r"'((?:[^'\\]|\\.)*)'", kql)]
        if "*" in self.refused or self.refused.intersection(asked):
            raise RefusedError
        table = "resourcecontainers" if kql.startswith("resourcecontainers") else "resources"
        found = [row for key in asked if (row := self.rows.get(key)) and row["table"] == table]
        if self.hidden.intersection(asked):
            raise IncompleteAnswerError(
                "some are hidden", [row for row in found if row["id"].lower() not in self.hidden]
            )
        return found


class Now:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def subscription(**tags: str) -> dict[str, Any]:
    chain = [{"name": "prod", "displayName": "P"}, {"name": "corp"}, {"name": "root"}]
    return {
        "table": "resourcecontainers", "id": f"/subscriptions/{SUB}", "name": "Web shop", "tags": tags, "chain": chain
    }  # fmt: skip


def group(**tags: str) -> dict[str, Any]:
    return {"table": "resourcecontainers", "id": GROUP, "name": "RG-Web", "tags": tags, "location": "westeurope"}


def machine(**tags: str) -> dict[str, Any]:
    return {"table": "resources", "id": VM, "name": "Web01", "tags": tags, "location": "northeurope"}


def rows(*records: Any) -> list[Row]:
    return PARSER.parse([event(record) for record in records], NOW).rows


async def enriched(context: Context, record: Any) -> dict[str, Any]:
    (row,) = rows(record)
    await context.enrich([row])
    loaded: dict[str, Any] = orjson.loads(row.json)
    return {name: value for name, value in loaded.items() if value is not None}


async def test_names_path_and_tags_are_filled() -> None:
    got = await enriched(Context(Graph(subscription(), group(), machine(Owner="web team"))), alert())
    assert got["SubscriptionName"] == "Web shop"
    assert got["ManagementGroupPath"] == "root/corp/prod"
    assert got["Tags"] == {"Owner": "web team"}
    assert got["Owner"] == "web team"
    assert got["Location"] == "northeurope"


async def test_what_the_record_says_itself_is_left_alone() -> None:
    record = assessment() | {"tags": {"a": "b"}}
    (row,) = rows(record)
    await Context(Graph(machine(owner="x"))).enrich([row])
    assert row.json.count(b'"Tags"') == row.json.count(b'"Location"') == 1
    got = orjson.loads(row.json)
    assert (got["Location"], got["Tags"], got["Owner"]) == ("westeurope", {"a": "b"}, "x")


@pytest.mark.parametrize(
    ("machine_tags", "group_tags", "subscription_tags", "owner"),
    [
        ({"owner": "m"}, {"owner": "g"}, {"owner": "s"}, "m"),
        ({}, {"OWNER": "g"}, {"owner": "s"}, "g"),
        ({"other": "x"}, {}, {"owner": "s"}, "s"),
        ({"owner": ""}, {"team": "t"}, {}, "t"),
        ({"team": "t", "owner": "o"}, {}, {}, "o"),
        ({}, {}, {}, None),
    ],
)
async def test_tags_are_inherited_from_the_nearest(
    machine_tags: Any, group_tags: Any, subscription_tags: Any, owner: str | None
) -> None:
    graph = Graph(subscription(**subscription_tags), group(**group_tags), machine(**machine_tags))
    got = await enriched(Context(graph, Tagging(owner=["Owner", "team"])), alert())
    assert got.get("Owner") == owner


async def test_left_out_columns_stay_out() -> None:
    got = await enriched(Context(Graph(subscription(), machine(owner="x")), drop_columns=["Owner"]), alert())
    assert "Owner" not in got
    assert "SubscriptionName" in got


async def test_nothing_is_asked_twice_not_even_what_does_not_exist() -> None:
    graph = Graph(subscription())
    context = Context(graph)
    await context.enrich(rows(alert()))
    asked = len(graph.queries)
    assert asked == 2
    await context.enrich(rows(alert()))
    assert len(graph.queries) == asked


async def test_a_thousand_events_of_300_subscriptions_cost_at_most_four_queries_cold_and_none_warm() -> None:
    graph = Graph()
    context = Context(graph)
    many = []
    for number in range(1000):
        subscription_id = f"00000000-0000-4000-8000-{number % 300:012}"
        resource = f"/subscriptions/{subscription_id}/resourceGroups/g{number}/providers/Microsoft.Web/sites/s{number}"
        many.append(alert(AzureResourceId=resource, SystemAlertId=str(number)))
    await context.enrich(rows(*many))
    assert 0 < len(graph.queries) <= 4
    asked = len(graph.queries)
    await context.enrich(rows(*many))
    assert len(graph.queries) == asked
    assert (context.counts.queries, context.counts.failures) == (asked, 0)


async def test_batches_at_the_same_time_share_one_flight() -> None:
    graph = Graph(subscription(), machine())
    context = Context(graph)
    first, second = rows(alert()), rows(alert())
    await asyncio.gather(context.enrich(first), context.enrich(second))
    assert len(graph.queries) == 2
    assert first[0].json == second[0].json
    assert b"Web shop" in first[0].json


async def test_a_stale_entry_is_served_while_it_is_looked_up_again() -> None:
    now = Now()
    graph = Graph(subscription(), machine(owner="old"))
    context = Context(graph, ttl=60, clock=now)
    await enriched(context, alert())
    graph.rows[VM.lower()] = machine(owner="new")
    graph.gate = asyncio.Event()
    now.seconds = 61
    assert (await asyncio.wait_for(enriched(context, alert()), 1))["Owner"] == "old"
    graph.gate.set()
    await asyncio.sleep(0.01)
    assert (await enriched(context, alert()))["Owner"] == "new"


@pytest.mark.parametrize("ttls", [2.1, 168])
async def test_an_entry_long_out_of_date_is_waited_for(ttls: float) -> None:
    now = Now()
    graph = Graph(subscription(), machine(owner="old"))
    context = Context(graph, ttl=60, clock=now)
    await enriched(context, alert())
    graph.rows[VM.lower()] = machine(owner="new")
    graph.rows[GROUP.lower()] = group(env="prod")  # not there before
    now.seconds = ttls * 60
    got = await enriched(context, alert())
    assert (got["Owner"], got["AssetEnvironment"]) == ("new", "prod")


async def test_an_entry_long_out_of_date_is_served_where_no_answer_comes() -> None:
    now = Now()
    graph = Graph(subscription(), machine(owner="old"))
    context = Context(graph, ttl=60, clock=now)
    await enriched(context, alert())
    graph.fails = True
    now.seconds = 1000
    assert (await enriched(context, alert()))["Owner"] == "old"
    assert (await enriched(context, alert()))["Owner"] == "old", "in the pause, too"


def other(number: int) -> str:
    return f"{GROUP}/providers/Microsoft.Web/sites/site-{number}"


def site(number: int) -> dict[str, Any]:
    return {"table": "resources", "id": other(number), "name": "s", "tags": {"owner": "ann"}, "location": "northeurope"}


@pytest.mark.parametrize("bad", [{0}, {499}, {999}, {3, 500, 998}])
async def test_an_id_for_which_a_query_is_refused_costs_no_other_its_context(bad: set[int]) -> None:
    graph = Graph(subscription(), *map(site, range(1000)))
    graph.refused = {other(number).lower() for number in bad}
    context = Context(graph)
    batch = rows(*(alert(AzureResourceId=other(number), SystemAlertId=str(number)) for number in range(1000)))
    await context.enrich(batch)
    owners = [orjson.loads(row.json).get("Owner") for row in batch]
    assert [number for number, owner in enumerate(owners) if owner != "ann"] == sorted(bad)
    assert context.counts.failures == 0
    assert context.counts.queries <= 3 + 21 * len(bad)
    before = context.counts.queries
    await context.enrich(batch)
    assert context.counts.queries == before, "it is taken as not there, for as long as any other"


async def test_where_every_query_is_refused_it_is_an_outage_of_few_queries() -> None:
    now = Now()
    graph = Graph(subscription(), machine(owner="ann"))
    graph.refused = {"*"}
    context = Context(graph, clock=now)
    assert not CONTEXT_COLUMNS & set(await enriched(context, alert()))
    assert (context.counts.queries, context.counts.failures) == (4, 2)
    graph.refused = set()
    now.seconds = PAUSE
    assert (await enriched(context, alert()))["Owner"] == "ann", "nothing was taken as not there"


async def test_more_refused_ids_than_one_flight_can_find_are_found_by_the_next() -> None:
    now = Now()
    graph = Graph(subscription(), *map(site, range(1000)))
    graph.refused = {other(number).lower() for number in range(0, 1000, 100)}
    context = Context(graph, clock=now)
    batch = rows(*(alert(AzureResourceId=other(number), SystemAlertId=str(number)) for number in range(1000)))
    for _ in range(5):
        await context.enrich(batch)
        now.seconds += PAUSE
    assert sum(b'"Owner":"ann"' in row.json for row in batch) == 990


async def test_of_an_answer_that_lacks_rows_those_that_came_are_used_and_no_other_is_taken_as_not_there() -> None:
    now = Now()
    graph = Graph(subscription(), machine(owner="ann"), site(1))
    graph.hidden = {other(1).lower()}
    context = Context(graph, clock=now)
    batch = rows(alert(), alert(AzureResourceId=other(1), SystemAlertId="1"))
    await context.enrich(batch)
    assert [orjson.loads(row.json).get("Owner") for row in batch] == ["ann", None]
    assert context.known_of(batch[1])[2] is None
    graph.hidden = set()
    now.seconds = PAUSE
    assert (await enriched(context, alert(AzureResourceId=other(1))))["Owner"] == "ann"


@pytest.mark.parametrize(
    "odd", [{"chain": [None, {"name": "corp"}, {"name": 7}, "x"]}, {"name": ["a"]}, {"tenantId": 7}, {"tags": [1]}]
)
async def test_one_odd_row_of_an_answer_costs_no_other_its_context(odd: dict[str, Any]) -> None:
    context = Context(Graph(subscription() | odd, machine(owner="ann"), group(env="prod")))
    got = await enriched(context, alert())
    assert (got["Owner"], got["AssetEnvironment"]) == ("ann", "prod")
    assert context.counts.failures == 0


async def test_resource_graph_down_costs_columns_not_rows_and_it_recovers_by_itself() -> None:
    now = Now()
    graph = Graph(subscription(), machine())
    graph.fails = True
    context = Context(graph, clock=now)
    got = await enriched(context, alert())
    assert got["RecordKind"] == "Alert"
    assert not CONTEXT_COLUMNS & set(got)
    assert context.counts.failures == 2
    asked = len(graph.queries)
    graph.fails = False
    now.seconds = PAUSE - 1
    assert not CONTEXT_COLUMNS & set(await enriched(context, alert()))
    assert len(graph.queries) == asked  # nothing is asked during the pause
    now.seconds = PAUSE
    assert CONTEXT_COLUMNS & set(await enriched(context, alert()))


async def test_a_slow_resource_graph_holds_one_batch_up_for_its_patience_and_none_after() -> None:
    now = Now()
    graph = Graph(subscription(), machine())
    graph.gate = asyncio.Event()
    context = Context(graph, clock=now, patience=0.05)
    assert not CONTEXT_COLUMNS & set(await enriched(context, alert()))
    loop = asyncio.get_running_loop()
    before = loop.time()
    for _ in range(20):
        await enriched(context, alert())
    assert loop.time() - before < 0.05 * 20
    assert len(graph.queries) == 2
    graph.gate.set()
    await asyncio.sleep(0.01)
    assert CONTEXT_COLUMNS & set(await enriched(context, alert()))  # the late answer was not thrown away


async def test_each_further_pause_costs_a_tenth_of_the_patience() -> None:
    now = Now()
    graph = Graph()
    graph.gate = asyncio.Event()
    context = Context(graph, clock=now, patience=0.5)
    await enriched(context, alert())
    loop = asyncio.get_running_loop()
    before = loop.time()
    for _ in range(4):
        now.seconds += PAUSE
        await enriched(context, alert())
    assert 4 * 0.05 <= loop.time() - before < 0.5


async def test_an_answer_in_time_gives_the_whole_patience_back() -> None:
    now = Now()
    graph = Graph(machine(), machine(owner="web team") | {"id": f"{VM}-b"})
    graph.gate = asyncio.Event()
    context = Context(graph, clock=now, patience=0.3)
    await enriched(context, alert())
    graph.gate.set()
    await asyncio.sleep(0.01)
    graph.gate.clear()
    now.seconds = PAUSE
    asyncio.get_running_loop().call_later(0.1, graph.gate.set)
    assert (await enriched(context, alert(AzureResourceId=f"{VM}-b")))["Owner"] == "web team"


async def test_ids_are_escaped_in_queries_and_odd_ones_are_not_asked_for() -> None:
    graph = Graph()
    context = Context(graph)
    quoted = f"/subscriptions/{SUB}/resourceGroups/g/providers/Microsoft.Web/sites/a') | union secrets //"
    await context.enrich(rows(alert(AzureResourceId=quoted)))
    (asked,) = [query for query in graph.queries if query.startswith("resources\n")]
    assert "a\\') | union secrets" in asked
    odd = [quoted + "\n", quoted + "x" * 2000]
    graph.queries.clear()
    await Context(graph).enrich(rows(*(alert(AzureResourceId=one) for one in odd)))
    assert not [query for query in graph.queries if query.startswith("resources\n")]


async def test_a_row_without_a_subscription_asks_for_nothing() -> None:
    graph = Graph()
    await Context(graph).enrich(rows({"type": "x"}))
    assert graph.queries == []


def test_queries_have_an_order() -> None:
    assert all("order by id" in query for query in QUERIES)


def tagged(number: int, tags: int, length: int) -> Known:
    told = {f"{number}-{each}": "x" * length for each in range(tags)}
    return Known(
        0.0, found=True, encoded_tags=bytes(memoryview(orjson.dumps(told)))
    )  # without what orjson has left over


def test_the_cache_is_bounded_in_bytes_however_long_tags_are() -> None:
    known = Context(Graph())._known
    for number in range(700):
        known[f"{VM}-{number}"] = tagged(number, 50, 5_000)
    assert known.currsize <= CACHED_BYTES
    assert 400 < len(known) < 700


@pytest.mark.parametrize(("tags", "length"), [(0, 0), (3, 20), (50, 200)])
def test_what_an_entry_takes_is_estimated_well(tags: int, length: int) -> None:
    known = Context(Graph())._known
    tracemalloc.start()
    try:
        for number in range(1_000):
            known[f"{VM}-{number}"] = tagged(number, tags, length + number % 2)  # each string an object of its own
        assert 0.4 < tracemalloc.get_traced_memory()[0] / known.currsize < 1.2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("named", "expected"), [(None, "tenant-9"), ("tenant-1", "tenant-1")])
async def test_a_record_that_names_no_tenant_has_its_subscriptions(named: str | None, expected: str) -> None:
    graph = Graph(subscription() | {"tenantId": "tenant-9"})
    record = assessment() | {"tenantId": named}
    assert (await enriched(Context(graph), record))["SourceTenantId"] == expected
    assert "SourceTenantId" not in await enriched(Context(Graph(subscription())), assessment() | {"tenantId": None})
