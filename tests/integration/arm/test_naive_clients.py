"""What Azure does to clients that do not expect it: each test shows a naive client failing, and why."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.resourcegraph.aio import ResourceGraphClient
from azure.mgmt.resourcegraph.models import QueryRequest, QueryRequestOptions
from azure.mgmt.security.aio import SecurityManagementClient

from local.arm import Arm
from local.arm.calls import ArmError
from local.tenant import AUTOMATIONS, Subscription, Tenant

from .conftest import GROUP, Make, Rest, automation, automation_path


async def read_pages(graph: ResourceGraphClient, query: str, top: int) -> list[str]:
    """Every page of a query by its skip token, as any client would."""
    rows: list[str] = []
    token = None
    while True:
        options = QueryRequestOptions(top=top, skip_token=token)
        page = await graph.resources(QueryRequest(query=query, options=options))
        rows += [row["id"] for row in cast("list[dict[str, str]]", page.data)]
        token = page.skip_token
        if not token:
            return rows


async def test_buckets_a_client_without_pacing_is_throttled_after_200_writes(
    arm: Arm, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    path, body = automation_path(home), automation(tenant, home)
    answers = [await rest("PUT", path, body) for _ in range(205)]
    refused = [one for one in answers if one.status == 429]
    assert len(refused) == 5
    assert refused[0].code == "SubscriptionRequestsThrottled"
    assert refused[0].headers["Retry-After"] == "1"
    assert answers[0].headers["x-ms-ratelimit-remaining-subscription-writes"] == "199"
    assert (await rest("GET", path)).status == 200  # reads have a bucket of their own
    tenant.advance(1)
    assert [(await rest("PUT", path, body)).status for _ in range(11)] == [200] * 10 + [429]


async def test_buckets_across_subscriptions_hold_fifteen_times_as_much(arm: Arm) -> None:
    for subscription in range(15):
        for _ in range(200):
            arm.throttle.take("PUT", f"subscription-{subscription}", "me")
    with pytest.raises(ArmError, match="'writes' requests for subscription 'untouched'"):
        arm.throttle.take("PUT", "untouched", "me")
    arm.throttle.take("PUT", "subscription-0", "another")
    arm.throttle.take("GET", "subscription-0", "me")


async def test_buckets_can_be_switched_off(arm: Arm, rest: Rest, tenant: Tenant, home: Subscription) -> None:
    arm.throttling = False
    answers = [await rest("PUT", automation_path(home), automation(tenant, home)) for _ in range(205)]
    assert {one.status for one in answers} == {200, 201}


async def test_quota_a_client_that_asks_at_once_for_everything_is_refused(client: Make) -> None:
    graph = client(ResourceGraphClient)
    query = QueryRequest(query="resources | count")
    answers = await asyncio.gather(*[graph.resources(query) for _ in range(20)], return_exceptions=True)
    assert sum(isinstance(one, HttpResponseError) and one.status_code == 429 for one in answers) == 5


async def test_lag_a_client_that_reads_right_after_its_write_does_not_find_it(
    arm: Arm, client: Make, tenant: Tenant, home: Subscription
) -> None:
    arm.read_delay = 30
    automations = client(SecurityManagementClient, home.id).automations
    await automations.create_or_update(GROUP, "export", automation(tenant, home))
    with pytest.raises(ResourceNotFoundError):
        await automations.get(GROUP, "export")
    assert [one.name async for one in automations.list()] == []
    tenant.advance(31)
    assert (await automations.get(GROUP, "export")).properties.is_enabled is True
    await automations.update(GROUP, "export", {"properties": {"isEnabled": False}})
    assert (await automations.get(GROUP, "export")).properties.is_enabled is True
    await automations.delete(GROUP, "export")
    assert (await automations.get(GROUP, "export")).name == "export"
    tenant.advance(31)
    with pytest.raises(ResourceNotFoundError):
        await automations.get(GROUP, "export")


async def test_lag_resource_graph_still_shows_what_arm_has_deleted_and_not_what_it_has_created(
    arm: Arm, client: Make, tenant: Tenant, home: Subscription
) -> None:
    arm.graph_lag = 60
    query = "resources | where type =~ 'microsoft.security/automations' | project id | order by id asc"
    graph = client(ResourceGraphClient)
    automations = client(SecurityManagementClient, home.id).automations
    before = await read_pages(graph, query, 1000)
    await automations.create_or_update(GROUP, "export", automation(tenant, home))
    tenant.delete_automation(before[0])
    tenant.change_subscription(home.id, tags={"env": "new"})
    tags = f"resourcecontainers | where id == '{home.scope}' | project id, tags"
    assert await read_pages(graph, query, 1000) == before
    assert (await graph.resources(QueryRequest(query=tags))).data[0]["tags"] != {"env": "new"}
    tenant.advance(61)
    after = await read_pages(graph, query, 1000)
    assert {one.lower() for one in after} == {one.lower() for one in before[1:]} | {automation_path(home).lower()}
    assert (await graph.resources(QueryRequest(query=tags))).data[0]["tags"] == {"env": "new"}


async def test_paging_without_a_unique_order_repeats_some_rows_and_misses_others(arm: Arm, client: Make) -> None:
    arm.throttling = False
    graph = client(ResourceGraphClient)
    for naive in ("resources | project id", "resources | order by location asc | project id"):
        seen = await read_pages(graph, naive, 10)
        assert len(set(seen)) < len(seen), naive
    whole = await read_pages(graph, "resources | project id | order by id asc", 10)
    assert len(whole) == len(set(whole))
    assert len(whole) == (await graph.resources(QueryRequest(query="resources | count"))).data[0]["Count"]


async def test_truncation_a_client_that_reads_only_the_first_page_misses_the_rest(
    client: Make, tenant: Tenant, home: Subscription
) -> None:
    for number in range(1001):
        name = f"export-{number:04}"
        tenant.seed_resource(
            {"id": automation_path(home, name), "name": name, "type": AUTOMATIONS, "location": "westeurope"}
        )
    page = await client(ResourceGraphClient).resources(
        QueryRequest(query="resources | where name startswith 'export-' | project id | order by id asc")
    )
    assert (page.count, page.total_records, page.result_truncated) == (1000, 1001, "false")
    assert page.skip_token


async def test_truncation_a_tenant_over_the_limit_looks_smaller_than_it_is(arm: Arm, client: Make) -> None:
    arm.subscription_limit = 5
    query = "resourcecontainers | where type == 'microsoft.resources/subscriptions' | project id | order by id asc"
    flagged: list[str] = []
    page = await client(ResourceGraphClient).resources(
        QueryRequest(query=query),
        raw_response_hook=lambda one: flagged.append(one.http_response.headers["x-ms-tenant-subscription-limit-hit"]),
    )
    assert (page.total_records, page.skip_token, page.result_truncated) == (5, None, "false")
    assert flagged == ["true"]


async def test_unregistered_subscriptions_refuse_even_a_read(
    client: Make, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    tenant.set_registration(home.id, "Microsoft.Security", "NotRegistered")
    automations = client(SecurityManagementClient, home.id).automations
    with pytest.raises(HttpResponseError) as refused:
        [one async for one in automations.list()]
    written = await rest("PUT", automation_path(home), automation(tenant, home))
    assert refused.value.status_code == 404
    assert refused.value.error is not None
    assert refused.value.error.code == "Subscription Not Registered"
    assert (written.status, written.code) == (404, "Subscription Not Registered")
    await rest("POST", f"{home.scope}/providers/Microsoft.Security/register", version="2021-04-01")
    assert (await rest("PUT", automation_path(home), automation(tenant, home))).status == 201
