"""Who gets in: tokens, roles as real 403s, other tenants, linked scopes, disabled and denied."""

from __future__ import annotations

import pytest

from local.arm import Arm
from local.tenant import (
    APP,
    CROSS_TENANT_APP,
    CROSS_TENANT_APP_THERE,
    CUSTOMER_TENANT,
    OTHER_TENANT,
    OWNER_PRINCIPAL,
    Subscription,
    Tenant,
    destinations,
)
from local.tenant.roles import READER, SECURITY_ADMIN, custom_role
from local.tokens import Principal, TokenAuthority

from .conftest import ARM_AUDIENCE, Answer, Rest, automation, automation_path, deny_exports

GROUPS = "2021-04-01"
STRANGER = Principal("ffffffff-0000-4000-8000-000000000001", "ffffffff-0000-4000-8000-00000000000a")


def outcome(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


async def test_a_token_is_required_and_must_be_meant_for_arm(
    rest: Rest, arm: Arm, tenant: Tenant, tokens: TokenAuthority, home: Subscription
) -> None:
    async def with_token(token: str) -> Answer:
        return await rest("GET", home.scope, version="2022-12-01", headers={"Authorization": f"Bearer {token}"})

    none = await rest("GET", home.scope, version="2022-12-01", principal=None)
    foreign = await with_token(tokens.mint(APP, "https://monitor.azure.com")[0])
    own = await with_token(tokens.mint(APP, arm.endpoint)[0])
    old, _ = tokens.mint(APP, ARM_AUDIENCE)
    tenant.advance(3601)
    expired = await with_token(old)
    assert outcome(none) == (401, "AuthenticationFailed")
    assert none.headers["WWW-Authenticate"].startswith("Bearer ")
    assert outcome(foreign) == (401, "InvalidAuthenticationTokenAudience")
    assert own.status == 200
    assert outcome(expired) == (401, "ExpiredAuthenticationToken")


async def test_a_missing_role_is_a_403_that_names_action_and_scope(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    tenant.assign(STRANGER, home.scope, READER)
    body = automation(tenant, home)
    read = await rest("GET", f"{home.scope}/providers/Microsoft.Security/automations", principal=STRANGER)
    refused = await rest("PUT", automation_path(home), body, principal=STRANGER)
    assert read.status == 200
    assert outcome(refused) == (403, "AuthorizationFailed")
    assert "'Microsoft.Security/automations/write'" in refused.message
    assert automation_path(home) in refused.message
    assert STRANGER.object_id in refused.message


async def test_security_admin_can_neither_create_resource_groups_nor_list_keys(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    tenant.assign(STRANGER, home.scope, SECURITY_ADMIN)
    hub = destinations(tenant).event_hub
    group = await rest(
        "PUT", f"{home.scope}/resourceGroups/rg-x", {"location": "westeurope"}, version=GROUPS, principal=STRANGER
    )
    keys = await rest(
        "POST", f"{hub}/authorizationRules/defender-send/listKeys", version="2024-01-01", principal=STRANGER
    )
    linked = await rest("PUT", automation_path(home), automation(tenant, home), principal=STRANGER)
    assert outcome(group) == (403, "AuthorizationFailed")
    assert outcome(keys) == (403, "AuthorizationFailed")
    assert outcome(linked) == (403, "LinkedAuthorizationFailed")


async def test_a_role_at_a_management_group_or_resource_group_reaches_only_what_is_below(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    mine = custom_role("Lists groups", "Microsoft.Resources/subscriptions/resourceGroups/read")
    tenant.assign(STRANGER, f"{home.scope}/resourceGroups/rg-app", mine)
    inside = await rest("GET", f"{home.scope}/resourceGroups/rg-app", version=GROUPS, principal=STRANGER)
    beside = await rest("GET", f"{home.scope}/resourceGroups/rg-data", version=GROUPS, principal=STRANGER)
    tenant.assign(STRANGER, "/providers/Microsoft.Management/managementGroups/contoso-platform", mine)
    below = await rest("GET", f"{home.scope}/resourceGroups/rg-data", version=GROUPS, principal=STRANGER)
    assert (inside.status, beside.status, below.status) == (200, 403, 200)


async def test_every_decision_is_kept_linked_ones_too(arm: Arm, rest: Rest, tenant: Tenant, home: Subscription) -> None:
    await rest("PUT", automation_path(home), automation(tenant, home))
    keys = "Microsoft.EventHub/namespaces/eventhubs/authorizationRules/listKeys/action"
    assert arm.checks == {
        (APP.object_id, "Microsoft.Security/automations/write", automation_path(home), True),
        (APP.object_id, keys, destinations(tenant).event_hub, True),
    }


@pytest.mark.parametrize(("workspace", "needed"), [("law-security", "read"), ("law-plain", "action")])
async def test_a_workspace_needs_rights_on_its_solution(
    workspace: str, needed: str, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    target = destinations(tenant).workspace.replace("law-security", workspace)
    body = automation(tenant, home, actions=[{"actionType": "Workspace", "workspaceResourceId": target}])
    tenant.assign(STRANGER, home.scope, SECURITY_ADMIN)
    tenant.assign(STRANGER, target, custom_role("Writes", "Microsoft.OperationalInsights/workspaces/write"))
    before = await rest("PUT", automation_path(home), body, principal=STRANGER)
    solution = custom_role("Solves", f"Microsoft.OperationsManagement/solutions/{needed}")
    tenant.assign(STRANGER, target.partition("/providers/")[0], solution)
    after = await rest("PUT", automation_path(home), body, principal=STRANGER)
    assert outcome(before) == (403, "LinkedAuthorizationFailed")
    assert f"Microsoft.OperationsManagement/solutions/{needed}" in before.message
    assert after.status == 201


def in_other_tenant(tenant: Tenant) -> str:
    return next(
        str(one["id"])
        for one in tenant.resources.values()
        if one["type"] == "Microsoft.EventHub/namespaces/eventhubs" and "/evhns-partner/" in one["id"]
    )


class TestAnotherTenantsDestination:
    async def put(
        self, rest: Rest, tenant: Tenant, home: Subscription, auxiliary: str = "", who: Principal = CROSS_TENANT_APP
    ) -> Answer:
        actions = [
            {
                "actionType": "EventHub",
                "eventHubResourceId": in_other_tenant(tenant),
                "isTrustedServiceEnabled": True,
            }
        ]
        headers = {"x-ms-authorization-auxiliary": auxiliary} if auxiliary else {}
        body = automation(tenant, home, actions=actions)
        return await rest("PUT", automation_path(home), body, principal=who, headers=headers)

    async def test_needs_an_auxiliary_token_of_that_tenant(
        self, rest: Rest, tenant: Tenant, tokens: TokenAuthority, home: Subscription
    ) -> None:
        there, _ = tokens.mint(CROSS_TENANT_APP_THERE, ARM_AUDIENCE)
        here, _ = tokens.mint(CROSS_TENANT_APP, ARM_AUDIENCE)
        assert outcome(await self.put(rest, tenant, home)) == (403, "LinkedAuthorizationFailed")
        assert outcome(await self.put(rest, tenant, home, f"Bearer {here}")) == (403, "LinkedAuthorizationFailed")
        assert (await self.put(rest, tenant, home, f"Bearer {there}")).status == 201
        assert (await self.put(rest, tenant, home, f"Bearer {here}, Bearer {there}")).status == 200

    async def test_every_auxiliary_token_must_be_unexpired(
        self, rest: Rest, tenant: Tenant, tokens: TokenAuthority, home: Subscription
    ) -> None:
        old, _ = tokens.mint(CROSS_TENANT_APP_THERE, ARM_AUDIENCE)
        tenant.advance(3601)
        good, _ = tokens.mint(CROSS_TENANT_APP_THERE, ARM_AUDIENCE)
        refused = await self.put(rest, tenant, home, f"Bearer {good}, Bearer {old}")
        assert outcome(refused) == (401, "InvalidAuxiliaryTokens")
        assert "The '1' out of '2' auxiliary tokens" in refused.message

    async def test_the_principal_must_be_known_there(
        self, rest: Rest, tenant: Tenant, tokens: TokenAuthority, home: Subscription
    ) -> None:
        unknown = Principal("99999999-0000-4000-8000-000000000001", CROSS_TENANT_APP.app_id, OTHER_TENANT)
        refused = await self.put(rest, tenant, home, "Bearer " + tokens.mint(unknown, ARM_AUDIENCE)[0])
        assert outcome(refused) == (401, "InvalidAuxiliaryTokens")

    async def test_at_most_three_auxiliary_tokens_are_taken(
        self, rest: Rest, tenant: Tenant, tokens: TokenAuthority, home: Subscription
    ) -> None:
        token = "Bearer " + tokens.mint(CROSS_TENANT_APP_THERE, ARM_AUDIENCE)[0]
        assert (await self.put(rest, tenant, home, ", ".join([token] * 3))).status == 201
        assert outcome(await self.put(rest, tenant, home, ", ".join([token] * 4))) == (400, "InvalidAuxiliaryTokens")


async def test_a_subscription_of_another_tenant_is_closed_unless_delegated(rest: Rest, tenant: Tenant) -> None:
    other = next(one for one in tenant.subscriptions.values() if one.tenant_id == OTHER_TENANT)
    delegated = next(one for one in tenant.subscriptions.values() if one.tenant_id == CUSTOMER_TENANT)
    closed = await rest("GET", other.scope, version="2022-12-01", principal=OWNER_PRINCIPAL)
    written = await rest("PUT", automation_path(delegated), automation(tenant, delegated))
    assert outcome(closed) == (401, "InvalidAuthenticationTokenTenant")
    assert written.status == 201


async def test_a_disabled_subscription_is_read_only(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    await rest("PUT", automation_path(home), automation(tenant, home))
    tenant.change_subscription(home.id, state="Disabled")
    refused = await rest("DELETE", automation_path(home))
    assert outcome(refused) == (409, "ReadOnlyDisabledSubscription")
    assert (await rest("GET", automation_path(home))).status == 200
    tenant.change_subscription(home.id, state="Warned")
    assert (await rest("DELETE", automation_path(home))).status == 200


async def test_a_deny_policy_is_listed_and_refuses_the_write(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    deny_exports(tenant, "/providers/Microsoft.Management/managementGroups/contoso")
    listed = await rest(
        "GET", f"{home.scope}/providers/Microsoft.Authorization/policyAssignments", version="2024-05-01"
    )
    refused = await rest("PUT", automation_path(home), automation(tenant, home))
    group = await rest("PUT", f"{home.scope}/resourceGroups/rg-y", {"location": "westeurope"}, version=GROUPS)
    assert [one["name"] for one in listed.body["value"]] == ["no-exports"]
    assert outcome(refused) == (403, "RequestDisallowedByPolicy")
    assert group.status == 201
