"""Context over the wire: the app's own client and queries against the local Resource Graph."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
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
from shared.enrich import configure, context
from shared.enrich.context import Context
from shared.enrich.records import Parser, Row
from shared.graph import Graph
from shared.settings import Settings
from tests.integration.reconcile.world import LocalClients, MintedCredential
from tests.unit.enrich.builders import alert, event

SUBSCRIPTIONS = 300
EVENTS = 1000
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
        graph = Graph(clients)
        try:
            yield Place(tenant, arm, graph, configure.context(settings, graph), readable(tenant))
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


def rows_on(resources: list[dict[str, Any]], count: int = EVENTS) -> list[Row]:
    chosen = [resources[number * len(resources) // count]["id"] for number in range(count)]
    events = [event(alert(AzureResourceId=one, SystemAlertId=str(number))) for number, one in enumerate(chosen)]
    return Parser().parse(events, NOW).rows


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


@pytest.mark.parametrize(
    "fault", [{"kind": "error", "status": 503}, {"kind": "throttle", "retry_after": 120}, {"kind": "drop_before"}]
)
async def test_rows_go_on_without_context_while_resource_graph_fails_and_it_recovers(
    here: Place, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "PAUSE", 0.2)
    patient = Context(here.context._query, patience=0.3)
    here.arm.faults.add(**fault)
    started = time.monotonic()
    for _ in range(10):
        rows = rows_on(here.resources, 100)
        await patient.enrich(rows)
        assert not any(b"SubscriptionName" in row.json for row in rows)
    assert time.monotonic() - started < 10 * 0.3 + 5
    here.arm.faults.clear()


async def test_it_recovers_by_itself(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "PAUSE", 0.05)
    here.arm.faults.add("error", status=400)
    await here.context.enrich(rows_on(here.resources, 10))
    assert here.context.counts.failures > 0
    here.arm.faults.clear()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows = rows_on(here.resources, 10)
        await here.context.enrich(rows)
        if all(b"SubscriptionName" in row.json for row in rows):
            return
        await asyncio.sleep(0.01)
    pytest.fail("context did not come back")
