"""Context over the wire: the app's own client and queries against the local Resource Graph."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from local.arm import Arm
from local.certs import Certificates
from local.tenant import APP, Tenant, synthetic_tenant
from local.tokens import TokenAuthority
from shared.azure.resource_graph import Graph
from shared.clock import Clock
from shared.enrich.context import context_factory
from shared.enrich.context.resource_context import PAUSE, Context
from shared.enrich.invocation.preparation import Preparer
from shared.enrich.records.model import Event, Row
from shared.enrich.records.parser import Parser
from shared.settings import Settings
from tests.integration.reconcile.world import LocalClients, MintedCredential
from tests.unit.enrich.builders import alert, event

SUBSCRIPTIONS = 300
EVENTS = 1000
PATIENCE = 0.4
BATCHES, PAUSES = 4, 5
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@dataclass
class Place:
    """A tenant with its ARM, a context over it, and its resources."""

    tenant: Tenant
    arm: Arm
    graph: Graph
    context: Context
    resources: list[dict[str, Any]]


@asynccontextmanager
async def place(certs: Certificates) -> AsyncIterator[Place]:
    tenant = synthetic_tenant(7, SUBSCRIPTIONS, untidy=False)
    tokens = TokenAuthority()
    async with Arm(tenant, tokens, certs) as arm:
        settings = Settings.load({"ARM_ENDPOINT": arm.endpoint})
        clients = LocalClients(settings, MintedCredential(tokens, APP))
        graph = Graph(clients, Clock(sleep=hurried))
        try:
            yield Place(tenant, arm, graph, context_factory.context(settings, graph), readable(tenant))
        finally:
            await clients.close()


def readable(tenant: Tenant) -> list[dict[str, Any]]:
    """The resources of the home tenant's subscriptions."""
    return [
        resource
        for subscription in tenant.subscriptions.values()
        if subscription.tenant_id == tenant.home
        for kind in tenant.types_in(subscription.id)
        if kind.startswith(("microsoft.compute", "microsoft.storage", "microsoft.keyvault", "microsoft.sql"))
        for resource in tenant.resources_of(subscription.id, kind)
    ]


@pytest.fixture
async def here(local_certs: Certificates) -> AsyncIterator[Place]:
    async with place(local_certs) as made:
        yield made


def events_on(resources: list[dict[str, Any]], count: int) -> list[Event]:
    chosen = [resources[number * len(resources) // count]["id"] for number in range(count)]
    return [event(alert(AzureResourceId=one, SystemAlertId=str(number))) for number, one in enumerate(chosen)]


def rows_on(resources: list[dict[str, Any]], count: int = EVENTS) -> list[Row]:
    return Parser().parse(events_on(resources, count), NOW).rows


async def test_a_thousand_events_of_300_subscriptions_cost_four_requests_cold_and_none_warm(here: Place) -> None:
    rows = rows_on(here.resources)
    assert len({row.subscription for row in rows}) >= SUBSCRIPTIONS - 10
    await here.context.enrich(rows)
    assert 0 < here.graph.requests <= 4
    before = here.graph.requests
    again = rows_on(here.resources)
    await here.context.enrich(again)
    assert here.graph.requests == before
    assert [row.json for row in again] == [row.json for row in rows]


async def test_the_columns_are_those_of_the_tenant(here: Place) -> None:
    rows = rows_on(here.resources, 50)
    await here.context.enrich(rows)
    for row in rows:
        got = orjson.loads(row.json)
        subscription = here.tenant.subscription(row.subscription)
        above = here.tenant.ancestors(subscription.management_group)
        assert got["SubscriptionName"] == subscription.name
        assert set(got["ManagementGroupPath"].split("/")) == {group.name for group in above}
        assert got["ManagementGroupPath"].endswith(subscription.management_group)
        resource = here.tenant.resource(got["ResourceId"])
        assert resource is not None
        assert got["Location"].lower() == str(resource["location"]).lower()
        assert got.get("Tags", {}) == (resource.get("tags") or {})


async def hurried(seconds: float) -> None:
    """A pause between two attempts, a thousand times shorter."""
    await asyncio.sleep(seconds / 1000)


class Skipping:
    """Monotonic seconds, some of which a test skips."""

    skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


async def seconds(preparer: Preparer, events: list[Event], batches: int, *, known: bool) -> float:
    """How long some batches take, each of which has its columns of context, or none of them."""
    started = time.perf_counter()
    for _ in range(batches):
        work = await preparer.prepare(events, NOW)
        assert {b"SubscriptionName" in row.json for row in work.parsed.rows} == {known}
    return time.perf_counter() - started


async def until(holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not await holds():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before"},
        {"kind": "error", "status": 503},
        {"kind": "error", "status": 400},
        {"kind": "throttle", "retry_after": 120},
        {"kind": "hang", "seconds": 1.2 * PATIENCE},
    ],
    ids=["down", "failing", "refusing", "throttling", "slow"],
)
async def test_rows_go_on_at_full_rate_without_context_while_resource_graph_is_out_and_it_recovers_by_itself(
    here: Place, fault: dict[str, Any]
) -> None:
    """Side by side, one process that knows every resource and one that knows none; three times as slow is noise."""
    events = events_on(here.resources, 500)
    warm = Preparer(Parser, lambda: here.context)
    await seconds(warm, events, 1, known=True)

    here.arm.faults.add(**fault)
    clock = Skipping()
    context = Context(here.context._query, patience=PATIENCE, clock=clock)
    cold = Preparer(Parser, lambda: context)
    first = await seconds(cold, events, 1, known=False)
    took: dict[str, list[float]] = {"well": [], "out": []}
    for _ in range(PAUSES):
        clock.skipped += PAUSE
        took["well"].append(await seconds(warm, events, BATCHES, known=True))
        took["out"].append(await seconds(cold, events, BATCHES, known=False))
    well, out = statistics.median(took["well"]), statistics.median(took["out"])  # one stall of the machine is no rate
    rows = BATCHES * len(events)
    measured = f"{rows / out:,.0f} rows/s, {rows / well:,.0f} with context; the first batch took {first:.2f} s"
    assert out < 3 * well, measured
    assert first < PATIENCE + 1, measured

    async def failed() -> bool:
        return context.counts.failures > 0

    async def recovered() -> bool:
        rows = Parser().parse(events, NOW).rows
        await context.enrich(rows)
        return all(b"SubscriptionName" in row.json for row in rows)

    await until(failed, "no failure was counted")
    here.arm.faults.clear()
    clock.skipped += PAUSE
    await until(recovered, "context did not come back")


async def test_with_more_subscriptions_than_one_answer_covers_those_of_the_batch_are_named(here: Place) -> None:
    here.arm.subscription_limit = 20
    last = [*dict.fromkeys(one["id"].split("/")[2] for one in here.resources)][-15:]
    far = [one for one in here.resources if one["id"].split("/")[2] in last]
    rows = rows_on(far, 30)
    await here.context.enrich(rows)
    assert all(b"SubscriptionName" in row.json for row in rows)
    assert here.context.counts.failures == 0
    before = here.graph.requests
    await here.context.enrich(rows_on([one for one in here.resources if one not in far], 15))
    assert here.graph.requests - before <= 2, "no answer is asked for twice any more"
