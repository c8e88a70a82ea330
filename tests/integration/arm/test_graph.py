"""Resource Graph: what the app asks, in pages, filtered by access, refusing what is not emulated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.resourcegraph import ResourceGraphClient as SyncResourceGraphClient
from azure.mgmt.resourcegraph.aio import ResourceGraphClient
from azure.mgmt.resourcegraph.models import QueryRequest, QueryRequestOptions

from local.arm import Arm
from local.arm.graph import MAX_BYTES
from local.tenant import APP, CUSTOMER_TENANT, OTHER_TENANT, OWNER_PRINCIPAL, Subscription, Tenant
from local.tenant.roles import READER, custom_role
from local.tokens import Principal

from .conftest import Answer, Make, Rest, automation, automation_path

PATH = "/providers/Microsoft.ResourceGraph/resources"
SUBSCRIPTIONS = (
    "resourcecontainers | where type == 'microsoft.resources/subscriptions' "
    "| project subscriptionId, name, tenantId, state = tostring(properties.state), tags, "
    "chain = properties.managementGroupAncestorsChain | order by subscriptionId asc"
)
AUTOMATIONS = (
    "resources | where type =~ 'microsoft.security/automations' "
    "| project id, name, subscriptionId, resourceGroup, location, tags, properties | order by id asc"
)
KINDS = (
    "microsoft.security/assessments",
    "microsoft.security/assessments/subassessments",
    "microsoft.security/locations/alerts",
    "microsoft.security/securescores",
    "microsoft.security/securescores/securescorecontrols",
    "microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments",
    "microsoft.security/attackpaths",
)

Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def ask(rest: Rest) -> Ask:
    async def post(query: str, *, principal: Principal = APP, **body: Any) -> Answer:
        options = {name: body.pop(name) for name in ("options",) if name in body}
        return await rest("POST", PATH, {"query": query, **options, **body}, version="2022-10-01", principal=principal)

    return post


async def test_the_genuine_clients_page_through_a_query(
    client: Make, in_thread: Callable[..., Awaitable[Any]], tenant: Tenant
) -> None:
    graph = client(ResourceGraphClient)
    seen: list[str] = []
    token = None
    while True:
        options = QueryRequestOptions(top=4, skip_token=token, result_format="objectArray")
        page = await graph.resources(QueryRequest(query=SUBSCRIPTIONS, management_groups=["contoso"], options=options))
        seen += [row["subscriptionId"] for row in page.data]
        token = page.skip_token
        if not token:
            break
    expected = sorted(one.id for one in tenant.subscriptions.values() if one.tenant_id == tenant.home)
    assert seen == expected
    assert page.total_records == len(expected)
    assert page.result_truncated == "false"

    counted = await in_thread(
        SyncResourceGraphClient, (), lambda one: one.resources(QueryRequest(query=AUTOMATIONS)).total_records
    )
    assert counted == len(list(tenant.all_automations()))


async def test_subscriptions_come_with_state_tags_and_their_chain_nearest_parent_first(
    ask: Ask, tenant: Tenant
) -> None:
    rows = (await ask(SUBSCRIPTIONS, managementGroups=["contoso-landing-zones"])).body["data"]
    assert rows
    for row in rows:
        known = tenant.subscription(row["subscriptionId"])
        assert (row["name"], row["state"], row["tags"]) == (known.name, known.state, known.tags)
        chain = [one["name"] for one in row["chain"]]
        assert chain[0] == known.management_group
        assert chain[-2:] == ["contoso", tenant.home]
        assert "contoso-landing-zones" in chain


async def test_the_published_sample_with_mv_expand_finds_the_same_subscriptions(ask: Ask) -> None:
    sample = (
        "resourcecontainers\n| where type == 'microsoft.resources/subscriptions'\n"
        "| mv-expand mg = properties.managementGroupAncestorsChain\n| where mg.name =~ 'CONTOSO-PROD'\n"
        "| where properties.state =~ 'Enabled'\n"
        "| project subscriptionId, name, state = tostring(properties.state), tags\n| order by subscriptionId asc"
    )
    scoped = await ask(SUBSCRIPTIONS + " | where state == 'Enabled'", managementGroups=["contoso-prod"])
    expanded = await ask(sample)
    assert [one["subscriptionId"] for one in expanded.body["data"]] == [
        one["subscriptionId"] for one in scoped.body["data"]
    ]


async def test_automations_appear_as_reads_show_them_with_types_and_groups_in_lower_case(
    ask: Ask, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    await rest("PUT", automation_path(home, group="rg-app"), automation(tenant, home))
    read = (await rest("GET", automation_path(home))).body
    query = "resources | where type =~ 'Microsoft.Security/Automations' and name == 'export'"
    [row] = (await ask(query, subscriptions=[home.id])).body["data"]
    assert row["type"] == "microsoft.security/automations"
    assert row["location"] == "westeurope"
    assert row["resourceGroup"] == "rg-app"
    assert (row["id"], row["properties"], row["tags"]) == (read["id"], read["properties"], read["tags"])
    assert row["tenantId"] == tenant.home


async def test_resources_and_groups_can_be_looked_up_by_id_in_any_case(
    ask: Ask, tenant: Tenant, home: Subscription
) -> None:
    resource = tenant.resources_of(home.id, "Microsoft.Compute/virtualMachines")[0]
    found = await ask(
        f"resources | where id in~ ('{resource['id'].upper()}', '/nowhere') "
        "| project id, name, type, tags, location, resourceGroup, subscriptionId | order by id asc"
    )
    group = f"{home.scope}/resourceGroups/RG-APP"
    groups = await ask(
        "resourcecontainers | where type == 'microsoft.resources/subscriptions/resourcegroups' "
        f"| where id in~ ('{group}') | project id, tags, location"
    )
    assert [one["id"] for one in found.body["data"]] == [resource["id"]]
    assert [one["id"].lower() for one in groups.body["data"]] == [group.lower()]


@pytest.mark.parametrize("kind", KINDS)
async def test_security_records_of_every_kind_can_be_read_and_counted(kind: str, ask: Ask) -> None:
    rows = await ask(
        f"securityresources | where type =~ '{kind}' | project id, name, type, tenantId, subscriptionId, "
        "resourceGroup, location, tags, properties | order by id asc"
    )
    counts = await ask(
        f"securityresources | where type =~ '{kind}' | summarize count() by subscriptionId, type "
        "| order by subscriptionId asc"
    )
    assert rows.body["totalRecords"] > 0
    assert {one["type"] for one in rows.body["data"]} == {kind}
    assert sum(one["count_"] for one in counts.body["data"]) == rows.body["totalRecords"]


async def test_answers_are_filtered_by_access(ask: Ask, tenant: Tenant, home: Subscription) -> None:
    narrow = Principal("ffffffff-0000-4000-8000-000000000002", "ffffffff-0000-4000-8000-00000000000b")
    refused = await ask(AUTOMATIONS, principal=narrow)
    tenant.assign(narrow, f"{home.scope}/resourceGroups/rg-app", READER)
    in_group = await ask("resources | project id, resourceGroup | order by id asc", principal=narrow)
    tenant.assign(narrow, home.scope, custom_role("Vaults", "Microsoft.KeyVault/vaults/read"))
    by_type = await ask("resources | distinct type, resourceGroup", principal=narrow)
    assert refused.status == 400
    assert refused.body["error"]["details"][0]["code"] == "NoValidSubscriptionsInQueryRequest"
    assert {one["resourceGroup"] for one in in_group.body["data"]} == {"rg-app"}
    assert ("microsoft.keyvault/vaults", "rg-data") in {
        (one["type"], one["resourceGroup"]) for one in by_type.body["data"]
    }


async def test_delegated_subscriptions_are_seen_without_a_scope_and_other_tenants_never(ask: Ask) -> None:
    everywhere = {one["tenantId"] for one in (await ask(SUBSCRIPTIONS)).body["data"]}
    below = {one["tenantId"] for one in (await ask(SUBSCRIPTIONS, managementGroups=["contoso"])).body["data"]}
    owner = {one["tenantId"] for one in (await ask(SUBSCRIPTIONS, principal=OWNER_PRINCIPAL)).body["data"]}
    assert CUSTOMER_TENANT in everywhere
    assert CUSTOMER_TENANT not in below
    assert OTHER_TENANT not in everywhere | below | owner


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "empty"),
        ("virtualmachines | take 1", "table 'virtualmachines'"),
        ("resources | make-series count() on x", "operator 'make-series'"),
        ("resources | where colour == 'red'", "'colour'"),
        ("resources | where Name == 'x'", "'Name'"),
        ("resources | where name == 'x", "unexpected character"),
        ("resources | where name == 'x' matches regex 'y'", "expected '|'"),
        ("resources | where frobnicate(name)", "function 'frobnicate'"),
        ("resources | where tolower(name, id) == 'x'", "takes 1 to 1 arguments"),
        ("resources | where name.first == 'x'", "has no members"),
        ("resources | order by properties.state", "dynamic"),
        ("resources | summarize count() by properties.state", "dynamic"),
        ("resources | summarize median(name)", "aggregate 'median'"),
        ("resources | mv-expand name", "dynamic value"),
        ("resources | project-away colour", "'colour'"),
        ("resources | join kind=fullouter (resourcecontainers) on id", "kind=inner"),
        ("resources | union resourcecontainers", "operator 'union'"),
        ("let x = 1", "table 'let'"),
        ("resources | take many", "whole number"),
        ("resources project id", "expected '|'"),
    ],
)
async def test_an_unknown_query_is_refused_never_guessed(query: str, words: str, ask: Ask) -> None:
    refused = await ask(query)
    assert (refused.status, refused.code) == (400, "BadRequest")
    details = refused.body["error"]["details"]
    assert details[0]["code"] == "InvalidQuery"
    assert words in details[-1]["message"]


async def test_a_join_brings_the_subscriptions_name_to_its_resources(ask: Ask, tenant: Tenant) -> None:
    rows = await ask(
        "resources | where type == 'microsoft.keyvault/vaults' | join kind=leftouter (resourcecontainers "
        "| where type == 'microsoft.resources/subscriptions' | project subscriptionId, subscriptionName = name, "
        "owner = tostring(tags.owner)) on subscriptionId | project id, subscriptionId, subscriptionName, owner "
        "| order by id asc"
    )
    assert rows.body["data"]
    for row in rows.body["data"]:
        known = tenant.subscription(row["subscriptionId"])
        assert (row["subscriptionName"], row["owner"]) == (known.name, known.tags["owner"])


async def test_top_skip_and_table_format(ask: Ask) -> None:
    query = "resources | project name, tags | order by name asc"
    whole = (await ask(query)).body
    part = (await ask(query, options={"$top": 2, "$skip": 3})).body
    table = (await ask(query, options={"resultFormat": "table", "$top": 1})).body
    assert part["data"] == whole["data"][3:5]
    assert table["data"]["columns"] == [{"name": "name", "type": "string"}, {"name": "tags", "type": "object"}]
    assert (await ask(query, options={"$top": 1001})).status == 400
    assert (await ask(query, options={"$skipToken": "forged"})).status == 400


async def test_a_skip_token_belongs_to_its_query(ask: Ask) -> None:
    first = await ask("resources | project id | order by id asc", options={"$top": 1})
    other = await ask(
        "resources | project name | order by name asc", options={"$skipToken": first.body["$skipToken"], "$top": 1}
    )
    assert other.status == 400


@pytest.mark.parametrize("query", ["resources | project properties", "resources | project id | take 20"])
async def test_no_skip_token_where_resource_graph_can_not_page(query: str, ask: Ask) -> None:
    page = (await ask(query, options={"$top": 5})).body
    assert "$skipToken" not in page
    assert page["resultTruncated"] == "true"


async def test_an_answer_over_16_megabytes_is_refused(ask: Ask, tenant: Tenant, home: Subscription, rest: Rest) -> None:
    big = {"note": "x" * (MAX_BYTES // 10)}
    for number in range(11):
        tenant.put_resource(
            {
                "id": f"{home.scope}/resourceGroups/rg-app/providers/Microsoft.Web/sites/big{number}",
                "name": f"big{number}",
                "type": "Microsoft.Web/sites",
                "properties": big,
            }
        )
    query = "resources | where name startswith 'big' | project id, properties | order by id asc"
    refused = await ask(query)
    smaller = await ask(query, options={"$top": 5})
    assert refused.status == 400
    assert refused.body["error"]["details"][0]["code"] == "ResponsePayloadTooLarge"
    assert (smaller.status, smaller.body["totalRecords"]) == (200, 11)


async def test_more_than_the_limit_of_subscriptions_sets_the_flag(arm: Arm, ask: Ask) -> None:
    arm.subscription_limit = 5
    cut = await ask(SUBSCRIPTIONS)
    arm.subscription_limit = 10_000
    whole = await ask(SUBSCRIPTIONS)
    assert (cut.body["totalRecords"], cut.headers["x-ms-tenant-subscription-limit-hit"]) == (5, "true")
    assert (whole.body["totalRecords"], whole.headers["x-ms-tenant-subscription-limit-hit"]) == (15, "false")


async def test_the_quota_is_fifteen_queries_in_five_seconds(ask: Ask, tenant: Tenant) -> None:
    answers = [await ask("resources | count") for _ in range(16)]
    assert [int(one.headers["x-ms-user-quota-remaining"]) for one in answers] == [*range(14, -1, -1), 0]
    assert [one.status for one in answers] == [200] * 15 + [429]
    assert (answers[-1].code, answers[-1].headers["Retry-After"]) == ("RateLimiting", "5")
    assert answers[0].headers["x-ms-user-quota-resets-after"] == "00:00:05"
    tenant.advance(5)
    assert (await ask("resources | count")).status == 200


async def test_a_query_is_recorded_with_its_action_and_takes_no_write_token(arm: Arm, ask: Ask) -> None:
    answer = await ask("resources | count")
    assert arm.requests[-1].action == "Microsoft.ResourceGraph/resources/read"
    assert not [name for name in answer.headers if name.startswith("x-ms-ratelimit")]


async def test_the_client_reports_a_refused_query(client: Make) -> None:
    with pytest.raises(HttpResponseError) as refused:
        await client(ResourceGraphClient).resources(QueryRequest(query="resources | evaluate magic()"))
    assert refused.value.status_code == 400
