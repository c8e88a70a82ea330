"""Subscriptions, management groups, resource groups, providers, hubs, workspaces, roles, locks: genuine clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization.aio import AuthorizationManagementClient
from azure.mgmt.eventhub import EventHubManagementClient as SyncEventHubManagementClient
from azure.mgmt.eventhub.aio import EventHubManagementClient
from azure.mgmt.loganalytics.aio import LogAnalyticsManagementClient
from azure.mgmt.managementgroups.aio import ManagementGroupsMgmtClient
from azure.mgmt.resource.locks.aio import ManagementLockClient
from azure.mgmt.resource.resources import ResourceManagementClient as SyncResourceManagementClient
from azure.mgmt.resource.resources.aio import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient as SyncSubscriptionClient
from azure.mgmt.resource.subscriptions.aio import SubscriptionClient
from azure.mgmt.security.aio import SecurityManagementClient

from local.arm import Arm
from local.tenant import APP, CUSTOMER_TENANT, OWNER_PRINCIPAL, Subscription, Tenant, destinations

from .conftest import Make, Rest

HUB_GROUP, NAMESPACE, HUB, RULE = "rg-security-monitoring", "evhns-defender", "defender-export", "defender-send"


async def test_a_caller_sees_its_own_and_delegated_subscriptions_but_no_other_tenants(
    client: Make, tenant: Tenant, home: Subscription
) -> None:
    subscriptions = client(SubscriptionClient).subscriptions
    seen = {one.subscription_id: one async for one in subscriptions.list()}
    delegated = [one.id for one in tenant.subscriptions.values() if one.tenant_id == CUSTOMER_TENANT]
    assert len(seen) == 12 + 3
    assert [seen[one].tenant_id for one in delegated] == [CUSTOMER_TENANT] * 3
    assert seen[delegated[0]].managed_by_tenants[0].tenant_id == tenant.home
    assert (await subscriptions.get(home.id)).display_name == "sub-management"
    with pytest.raises(ResourceNotFoundError):
        await subscriptions.get("00000000-0000-4000-8000-000000000000")


async def test_the_synchronous_clients_work_too(in_thread: Callable[..., Awaitable[Any]], home: Subscription) -> None:
    seen = await in_thread(SyncSubscriptionClient, (), lambda one: len(list(one.subscriptions.list())))
    group = await in_thread(
        SyncResourceManagementClient, (home.id,), lambda one: one.resource_groups.get(HUB_GROUP).location
    )
    keys = await in_thread(
        SyncEventHubManagementClient,
        (home.id,),
        lambda one: one.event_hubs.list_keys(HUB_GROUP, NAMESPACE, HUB, RULE).key_name,
    )
    assert (seen, group, keys) == (15, "westeurope", RULE)


async def test_management_groups_nest_and_list_what_is_below_them(client: Make, tenant: Tenant) -> None:
    groups = client(ManagementGroupsMgmtClient)
    names = {one.name async for one in groups.management_groups.list()}
    prod = await groups.management_groups.get("contoso-prod", expand="children", recurse=True)
    below = [one async for one in groups.management_groups.get_descendants("contoso-landing-zones")]
    subscriptions = {
        one.id
        for one in tenant.subscriptions.values()
        if "contoso-landing-zones" in {group.name for group in tenant.ancestors(one.management_group)}
    }
    assert {"contoso", "contoso-prod-corp", tenant.home} <= names
    assert {one.name for one in prod.children} >= {"contoso-prod-corp", "contoso-prod-online"}
    assert prod.details.parent.name == "contoso-landing-zones"
    assert subscriptions == {one.name for one in below if one.type.endswith("/subscriptions")}


async def test_a_put_of_an_existing_resource_group_resets_its_tags(
    client: Make, tenant: Tenant, home: Subscription
) -> None:
    groups = client(ResourceManagementClient, home.id).resource_groups
    created = await groups.create_or_update("rg-new", {"location": "westeurope", "tags": {"owner": "me"}})
    again = await groups.create_or_update("rg-new", {"location": "westeurope"})
    patched = await groups.update("rg-new", {"tags": {"owner": "you"}})
    listed = [one.name async for one in groups.list()]
    assert (created.tags, again.tags, patched.tags) == ({"owner": "me"}, {}, {"owner": "you"})
    assert "rg-new" in listed
    assert await groups.check_existence("rg-new")
    assert not await groups.check_existence("rg-never")
    await (
        await client(ResourceManagementClient, home.id, principal=OWNER_PRINCIPAL).resource_groups.begin_delete(
            "rg-new"
        )
    ).result()
    assert tenant.resource_group(home.id, "rg-new") is None


async def test_a_provider_is_registered_after_a_while(
    client: Make, arm: Arm, tenant: Tenant, home: Subscription
) -> None:
    arm.registration_delay = 60
    tenant.set_registration(home.id, "Microsoft.Security", "NotRegistered")
    providers = client(ResourceManagementClient, home.id).providers
    started = await providers.register("Microsoft.Security")
    tenant.advance(61)
    done = await providers.get("Microsoft.Security")
    assert (started.registration_state, done.registration_state) == ("Registering", "Registered")


async def test_hubs_rules_keys_and_their_rotation(client: Make, tenant: Tenant, home: Subscription) -> None:
    reader = client(EventHubManagementClient, home.id)
    owner = client(EventHubManagementClient, home.id, principal=OWNER_PRINCIPAL)
    namespace = await reader.namespaces.get(HUB_GROUP, NAMESPACE)
    hub = await reader.event_hubs.get(HUB_GROUP, NAMESPACE, HUB)
    rules = {
        one.name: one.rights async for one in reader.event_hubs.list_authorization_rules(HUB_GROUP, NAMESPACE, HUB)
    }
    network = await reader.namespaces.get_network_rule_set(HUB_GROUP, NAMESPACE)
    before = await reader.event_hubs.list_keys(HUB_GROUP, NAMESPACE, HUB, RULE)
    rotated = await owner.event_hubs.regenerate_keys(HUB_GROUP, NAMESPACE, HUB, RULE, {"keyType": "PrimaryKey"})
    after = await reader.event_hubs.list_keys(HUB_GROUP, NAMESPACE, HUB, RULE)
    made = await owner.event_hubs.create_or_update_authorization_rule(
        HUB_GROUP, NAMESPACE, HUB, "new", {"properties": {"rights": ["Listen"]}}
    )
    root = await owner.namespaces.list_keys(HUB_GROUP, NAMESPACE, "RootManageSharedAccessKey")

    assert namespace.name == NAMESPACE
    assert hub.partition_count == 4
    assert rules == {RULE: ["Send"], "listen-only": ["Listen"]}
    assert network.trusted_service_access_enabled is True
    assert before.primary_connection_string.endswith(f"SharedAccessKey={before.primary_key};EntityPath={HUB}")
    assert before.primary_key != after.primary_key == rotated.primary_key
    assert before.secondary_key == after.secondary_key
    assert made.rights == ["Listen"]
    assert "EntityPath" not in root.primary_connection_string
    assert [one.name async for one in reader.namespaces.list()] == [NAMESPACE]
    assert [one.name async for one in reader.event_hubs.list_by_namespace(HUB_GROUP, NAMESPACE)] == [HUB]
    await owner.event_hubs.delete_authorization_rule(HUB_GROUP, NAMESPACE, HUB, "new")
    with pytest.raises(ResourceNotFoundError):
        await reader.event_hubs.get_authorization_rule(HUB_GROUP, NAMESPACE, HUB, "new")


async def test_workspaces_and_their_solutions(client: Make, rest: Rest, tenant: Tenant, home: Subscription) -> None:
    workspaces = client(LogAnalyticsManagementClient, home.id).workspaces
    assert {one.name async for one in workspaces.list()} == {"law-security", "law-plain"}
    assert (await workspaces.get(HUB_GROUP, "law-security")).customer_id
    path = f"{home.scope}/resourceGroups/{HUB_GROUP}/providers/Microsoft.OperationsManagement/solutions"
    listed = await rest("GET", path, version="2015-11-01-preview")
    one = await rest("GET", path + "/Security(law-security)", version="2015-11-01-preview")
    none = await rest("GET", path + "/Security(law-plain)", version="2015-11-01-preview")
    assert {one["name"] for one in listed.body["value"]} == {
        "Security(law-security)",
        "SecurityCenterFree(law-security)",
    }
    assert one.body["properties"]["workspaceResourceId"] == destinations(tenant).workspace
    assert none.status == 404


async def test_defender_plans_can_be_read_and_switched(client: Make, home: Subscription) -> None:
    reader = client(SecurityManagementClient, home.id).pricings
    owner = client(SecurityManagementClient, home.id, principal=OWNER_PRINCIPAL).pricings
    scope = f"subscriptions/{home.id}"
    await owner.update(scope, "StorageAccounts", {"properties": {"pricingTier": "Free"}})
    plans = {one.name: one.properties.pricing_tier for one in (await reader.list(scope)).value}
    assert plans["StorageAccounts"] == "Free"
    assert plans["VirtualMachines"] == "Standard"
    assert (await reader.get(scope, "StorageAccounts")).properties.pricing_tier == "Free"


async def test_roles_can_be_listed_assigned_and_taken_away(client: Make, tenant: Tenant, home: Subscription) -> None:
    roles = client(AuthorizationManagementClient, home.id, principal=OWNER_PRINCIPAL)
    reader = [one async for one in roles.role_definitions.list(home.scope, filter="roleName eq 'Reader'")]
    newcomer = "dddddddc-0000-4000-8000-000000000001"
    name = "eeeeeeee-0000-4000-8000-000000000001"
    made = await roles.role_assignments.create(
        home.scope, name, {"properties": {"roleDefinitionId": reader[0].id, "principalId": newcomer}}
    )
    listed = [
        one.principal_id
        async for one in roles.role_assignments.list_for_scope(home.scope, filter=f"principalId eq '{newcomer}'")
    ]
    assert made.principal_id == newcomer
    assert listed == [newcomer]
    assert tenant.allowed(newcomer, "Microsoft.Security/automations/read", home.scope)
    await roles.role_assignments.delete(home.scope, name)
    assert not tenant.allowed(newcomer, "Microsoft.Security/automations/read", home.scope)


async def test_a_caller_can_ask_what_it_may_do(client: Make, home: Subscription) -> None:
    mine = client(AuthorizationManagementClient, home.id).permissions.list_for_resource_group(HUB_GROUP)
    actions = {action async for one in mine for action in one.actions}
    assert "Microsoft.Security/automations/write" in actions
    assert "Microsoft.EventHub/namespaces/eventhubs/authorizationRules/listKeys/action" in actions


async def test_locks_are_listed_with_those_above_and_stop_what_they_say(
    client: Make, arm: Arm, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    locks = client(ManagementLockClient, home.id, principal=OWNER_PRINCIPAL).management_locks
    await locks.create_or_update_by_scope(home.scope[1:], "keep", {"level": "CanNotDelete"})
    group = f"{home.scope}/resourceGroups/rg-app"
    listed = [one.name async for one in locks.list_at_resource_group_level("rg-app")]
    doomed = f"{group}/providers/Microsoft.Security/automations/x"
    tenant.set_automation({"id": doomed, "location": "westeurope", "tags": {}, "properties": {}})
    refused = await rest("DELETE", doomed)
    await locks.create_or_update_by_scope(group[1:], "frozen", {"level": "ReadOnly"})
    frozen = await rest("PUT", group, {"location": "westeurope"}, version="2021-04-01")
    await locks.delete_by_scope(group[1:], "frozen")
    await locks.delete_by_scope(home.scope[1:], "keep")
    allowed = await rest("DELETE", doomed)
    assert listed == ["keep"]
    assert (refused.status, refused.code) == (409, "ScopeLocked")
    assert (frozen.status, frozen.code) == (409, "ScopeLocked")
    assert allowed.status == 200


async def test_errors_are_cloud_errors_that_the_clients_understand(client: Make, home: Subscription) -> None:
    automations = client(SecurityManagementClient, home.id).automations
    with pytest.raises(HttpResponseError) as refused:
        await automations.create_or_update("rg-app", "export", {"location": "westeurope", "properties": {}})
    assert refused.value.status_code == 400
    assert refused.value.error is not None
    assert refused.value.error.code == "BadRequest"
    assert [one.target for one in refused.value.error.details] == [
        "properties.scopes",
        "properties.sources",
        "properties.actions",
    ]
    assert APP.object_id not in str(refused.value)
