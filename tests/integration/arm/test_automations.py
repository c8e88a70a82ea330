"""Microsoft.Security/automations through the genuine clients: all seven operations, both api-versions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.security import SecurityManagementClient as SyncSecurityManagementClient
from azure.mgmt.security.aio import SecurityManagementClient
from azure.mgmt.security.models import Automation

from local.arm import Arm
from local.tenant import APP, Subscription, Tenant, destinations

from .conftest import GROUP, V2019, Make, Rest, automation, automation_path, connection_string


async def test_all_seven_operations_through_the_asynchronous_client(
    client: Make, arm: Arm, tenant: Tenant, home: Subscription
) -> None:
    automations = client(SecurityManagementClient, home.id).automations
    body = Automation(automation(tenant, home))

    assert (await automations.validate(GROUP, "export", body)).is_valid
    created = await automations.create_or_update(GROUP, "export", body)
    read = await automations.get(GROUP, "export")
    patched = await automations.update(GROUP, "export", {"properties": {"isEnabled": False}})
    in_group = [one.name async for one in automations.list_by_resource_group(GROUP)]
    everywhere = [one.name async for one in automations.list()]
    await automations.delete(GROUP, "export")

    assert created.name == read.name == "export"
    assert read.properties.actions[0].sas_policy_name == "defender-send"
    assert read.properties.actions[0].connection_string is None
    assert patched.properties.is_enabled is False
    assert patched.properties.sources == read.properties.sources
    assert in_group == ["export"]
    assert "export" in everywhere
    with pytest.raises(ResourceNotFoundError):
        await automations.get(GROUP, "export")
    assert [(one.method, one.status) for one in arm.requests] == [
        ("POST", 200),
        ("PUT", 201),
        ("GET", 200),
        ("PATCH", 200),
        ("GET", 200),
        ("GET", 200),
        ("DELETE", 200),
        ("GET", 404),
    ]
    assert {one.query["api-version"] for one in arm.requests} == {"2023-12-01-preview"}


async def test_all_seven_operations_through_the_synchronous_client(
    in_thread: Callable[..., Awaitable[Any]], tenant: Tenant, home: Subscription
) -> None:
    body = Automation(automation(tenant, home))

    def work(security: SyncSecurityManagementClient) -> list[Any]:
        automations = security.automations
        return [
            automations.validate(GROUP, "export", body).is_valid,
            automations.create_or_update(GROUP, "export", body).name,
            automations.get(GROUP, "export").name,
            automations.update(GROUP, "export", {"tags": {"a": "b"}}).tags,
            [one.name for one in automations.list_by_resource_group(GROUP)],
            "export" in [one.name for one in automations.list()],
            automations.delete(GROUP, "export"),
        ]

    seen = await in_thread(SyncSecurityManagementClient, (home.id,), work)
    assert seen == [True, "export", "export", {"a": "b"}, ["export"], True, None]


async def test_put_answers_201_then_200_and_delete_200_then_204(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    path, body = automation_path(home), automation(tenant, home)
    assert [(await rest("PUT", path, body)).status for _ in range(2)] == [201, 200]
    assert [(await rest("DELETE", path)).status for _ in range(2)] == [200, 204]


async def test_lists_come_in_pages_with_a_next_link(
    client: Make, arm: Arm, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    arm.page_size = 2
    for number in range(5):
        await rest("PUT", automation_path(home, f"export-{number}"), automation(tenant, home))
    page = await rest("GET", f"{home.scope}/providers/Microsoft.Security/automations")
    assert len(page.body["value"]) == 2
    assert page.body["nextLink"].startswith(arm.endpoint)
    followed = [one.name async for one in client(SecurityManagementClient, home.id).automations.list()]
    assert followed == [f"export-{number}" for number in range(5)]


async def test_the_old_version_knows_no_patch_and_no_attack_paths_but_keeps_the_trusted_flag(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    path = automation_path(home)
    hub = destinations(tenant).event_hub
    trusted = [{"actionType": "EventHub", "eventHubResourceId": hub, "isTrustedServiceEnabled": True}]
    await rest("PUT", path, automation(tenant, home, actions=trusted), version=V2019)
    read = await rest("GET", path, version=V2019)
    paths = automation(tenant, home, sources=[{"eventSource": "AttackPaths"}])

    assert read.body["properties"]["actions"][0]["isTrustedServiceEnabled"] is True
    assert (await rest("PATCH", path, {"tags": {}}, version=V2019)).status == 405
    assert (await rest("PUT", path, paths, version=V2019)).status == 400
    assert (await rest("PUT", path, paths)).status == 200


async def test_write_only_fields_are_kept_out_of_every_answer(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    path = automation_path(home)
    written = await rest("PUT", path, automation(tenant, home))
    read = await rest("GET", path)
    listed = await rest("GET", f"{home.scope}/providers/Microsoft.Security/automations")
    assert "c2VjcmV0" not in str([written.body, read.body, listed.body])
    assert tenant.secrets[path.lower()].connection_strings == (connection_string(),)


async def test_a_patch_keeps_the_secret_of_actions_it_does_not_name(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    path = automation_path(home)
    await rest("PUT", path, automation(tenant, home))
    patched = await rest("PATCH", path, {"properties": {"isEnabled": False}})
    assert patched.body["properties"]["actions"][0]["sasPolicyName"] == "defender-send"
    assert patched.body["tags"] == {"managed-by": "defender-export"}
    assert tenant.secrets[path.lower()].connection_strings == (connection_string(),)


async def test_a_put_of_what_a_get_returned_is_refused_because_the_secret_is_missing(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    path = automation_path(home)
    await rest("PUT", path, automation(tenant, home))
    read = await rest("GET", path)
    again = await rest("PUT", path, {name: read.body[name] for name in ("location", "tags", "properties")})
    assert again.status == 400
    assert again.body["error"]["target"] == "properties.actions[0].connectionString"


async def test_if_match_guards_updates_and_deletes(
    client: Make, tenant: Tenant, home: Subscription, rest: Rest
) -> None:
    path = automation_path(home)
    first = await rest("PUT", path, automation(tenant, home))
    second = await rest("PUT", path, automation(tenant, home), headers={"If-Match": first.body["etag"]})
    stale = await rest("PUT", path, automation(tenant, home), headers={"If-Match": first.body["etag"]})
    fresh = await rest("PUT", path, automation(tenant, home), headers={"If-None-Match": "*"})
    gone = await rest("DELETE", path, headers={"If-Match": first.body["etag"]})
    assert (second.status, stale.status, fresh.status, gone.status) == (200, 412, 412, 412)
    automations = client(SecurityManagementClient, home.id).automations
    with pytest.raises(HttpResponseError) as refused:
        await automations.create_or_update(
            GROUP,
            "export",
            automation(tenant, home),
            headers={"If-Match": first.body["etag"]},
        )
    assert refused.value.status_code == 412


async def test_a_provider_that_ignores_if_match_overwrites_silently(
    arm: Arm, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    arm.ignore_if_match = True
    path = automation_path(home)
    await rest("PUT", path, automation(tenant, home))
    assert (await rest("PUT", path, automation(tenant, home), headers={"If-Match": '"stale"'})).status == 200


async def test_reads_may_show_ids_and_locations_in_another_form(
    arm: Arm, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    hub = destinations(tenant).event_hub
    shown = []
    for number in range(12):
        path = automation_path(home, f"export-{number}")
        await rest("PUT", path, automation(tenant, home))
        shown.append((await rest("GET", path)).body)
    hubs = {one["properties"]["actions"][0]["eventHubResourceId"] for one in shown}
    assert len(hubs) > 1
    assert {one.lower() for one in hubs} == {hub.lower()}
    assert {one["location"] for one in shown} == {"westeurope", "West Europe"}
    arm.recase = False
    await rest("PUT", automation_path(home, "exact"), automation(tenant, home))
    exact = (await rest("GET", automation_path(home, "exact"))).body
    assert exact["properties"]["actions"][0]["eventHubResourceId"] == hub


async def test_paths_are_matched_without_regard_to_case_and_keep_the_first_spelling(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    await rest("PUT", automation_path(home, "Export"), automation(tenant, home))
    again = await rest("PUT", automation_path(home, "export").upper(), automation(tenant, home))
    assert again.status == 200
    assert again.body["name"] == "Export"


async def test_a_resource_group_must_exist(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    missing = await rest("PUT", automation_path(home, group="rg-nowhere"), automation(tenant, home))
    assert (missing.status, missing.code) == (404, "ResourceGroupNotFound")


async def test_an_automation_can_not_be_moved_by_a_write(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    await rest("PUT", automation_path(home), automation(tenant, home))
    moved = await rest("PUT", automation_path(home), {**automation(tenant, home), "location": "northeurope"})
    spelled = await rest("PUT", automation_path(home), {**automation(tenant, home), "location": "West Europe"})
    assert (moved.status, moved.code, spelled.status) == (409, "InvalidResourceLocation", 200)


async def test_every_request_is_recorded_with_principal_action_version_and_status(
    arm: Arm, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    await rest("PUT", automation_path(home), automation(tenant, home))
    await rest("POST", automation_path(home) + "/validate", automation(tenant, home), version=V2019)
    seen = [(one.principal, one.action, one.query["api-version"], one.status) for one in arm.requests]
    assert seen == [
        (APP.object_id, "Microsoft.Security/automations/write", "2023-12-01-preview", 201),
        (APP.object_id, "Microsoft.Security/automations/validate/action", "2019-01-01-preview", 200),
    ]


async def test_a_test_can_change_automations_behind_the_apps_back(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    await rest("PUT", automation_path(home), automation(tenant, home))
    [mine] = tenant.automations(home.id)
    mine["properties"]["isEnabled"] = False
    before = (await rest("GET", automation_path(home))).body
    tenant.set_automation(mine)
    after = (await rest("GET", automation_path(home))).body
    assert (before["properties"]["isEnabled"], after["properties"]["isEnabled"]) == (True, False)
    assert before["etag"] != after["etag"]
    assert tenant.delete_automation(mine["id"])
    assert (await rest("GET", automation_path(home))).status == 404
