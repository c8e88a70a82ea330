"""Policy assignments that write an export again are named where this app takes it over, with what ends that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from local.tenant.ids import management_group_id
from shared.reconcile.discover.export_policies import EXPORT_POLICIES
from tests.integration.reconcile.world import World, world

HUB_POLICY, _, WORKSPACE_POLICY = EXPORT_POLICIES
NAMED = ", name: {}, adopt: true"
SIZE = 3


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


def home(here: World) -> list[str]:
    return sorted(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)


def assign(here: World, scope: str, definition: str, **properties: Any) -> str:
    place = f"{scope}/providers/Microsoft.Authorization/policyAssignments/export"
    here.tenant.policies[place] = {
        "id": place,
        "name": "export",
        "properties": {"scope": scope, "policyDefinitionId": definition, "displayName": "Exports", **properties},
    }
    return place


def built_in(guid: str) -> str:
    return f"/providers/Microsoft.Authorization/policyDefinitions/{guid}"


async def as_policy_wrote(here: World, name: str = "ExportToEventHub") -> None:
    """The export is there in every subscription, made by somebody else, and declared to be taken over."""
    await here.put("soc", automation=f", name: {name}")
    await here.apply()
    for document in here.ours().values():
        here.tenant.set_automation({**document, "tags": {}})
    await here.reconciler().reports._container.delete_blob("owned.json")
    await here.put("soc", automation=NAMED.format(name))


async def told(here: World) -> list[str]:
    plan = (await here.plan()).plan
    return [warning for warning in plan.warnings if "policy assignment" in warning]


async def test_an_assignment_above_is_named_once_with_how_to_exclude_and_disable_it(here: World) -> None:
    await as_policy_wrote(here)
    root = management_group_id(here.tenant.home)
    place = assign(here, root, built_in(HUB_POLICY))
    (sentence,) = await told(here)
    assert f"{place} (Exports) writes exporttoeventhub again" in sentence
    assert f" and {SIZE - 1} more: exclude each" in sentence
    assert f"az policy exemption create --name defender-export --policy-assignment {place}" in sentence
    assert f"az policy assignment update --name export --scope {root} --enforcement-mode DoNotEnforce" in sentence


@pytest.mark.parametrize(
    ("definition", "properties"),
    [
        (built_in(WORKSPACE_POLICY), {}),
        (built_in("00000000-0000-4000-8000-000000000000"), {}),
        (built_in(HUB_POLICY), {"enforcementMode": "DoNotEnforce"}),
        (built_in(HUB_POLICY), {"parameters": {"effect": {"value": "Disabled"}}}),
        (built_in(HUB_POLICY), {"parameters": {"resourceGroupName": {"value": "rg-other"}}}),
    ],
)
async def test_one_that_does_not_write_it_is_not_named(
    here: World, definition: str, properties: dict[str, Any]
) -> None:
    await as_policy_wrote(here)
    assign(here, management_group_id(here.tenant.home), definition, **properties)
    assert await told(here) == []


async def test_one_of_a_subscription_is_named_for_that_one(here: World) -> None:
    await as_policy_wrote(here)
    assign(here, f"/subscriptions/{home(here)[1]}", built_in(HUB_POLICY))
    (sentence,) = await told(here)
    assert f" in {home(here)[1]}: exclude" in sentence


async def test_where_it_is_excluded_it_is_not_named(here: World) -> None:
    await as_policy_wrote(here)
    everywhere = [f"/subscriptions/{one}" for one in home(here)]
    root = management_group_id(here.tenant.home)
    assign(here, root, built_in(HUB_POLICY), notScopes=everywhere[:-1])
    (sentence,) = await told(here)
    assert f" in {home(here)[-1]}: exclude" in sentence
    assign(here, root, built_in(HUB_POLICY), notScopes=everywhere)
    assert await told(here) == []


async def test_an_initiative_is_looked_into(here: World) -> None:
    await as_policy_wrote(here, "ExportToEventHub")
    root = management_group_id(here.tenant.home)
    initiative = f"{root}/providers/Microsoft.Authorization/policySetDefinitions/soc"
    here.tenant.policy_sets[initiative.lower()] = {
        "id": initiative,
        "properties": {"policyDefinitions": [{"policyDefinitionId": built_in(HUB_POLICY)}]},
    }
    assign(here, root, initiative)
    (sentence,) = await told(here)
    assert "writes exporttoeventhub again" in sentence


async def test_what_it_stripped_of_its_tags_names_it_and_what_is_in_force_does_not(here: World) -> None:
    await here.put("soc", automation=", name: ExportToEventHub")
    await here.apply()
    assign(here, management_group_id(here.tenant.home), built_in(HUB_POLICY))
    here.arm.requests.clear()
    assert await told(here) == []
    assert not any("policyassignments" in seen.path.lower() for seen in here.arm.requests)
    for document in here.ours().values():
        here.tenant.set_automation({**document, "tags": {}})
    assert len(await told(here)) == 1


async def test_import_names_it(here: World) -> None:
    await as_policy_wrote(here)
    assign(here, management_group_id(here.tenant.home), built_in(HUB_POLICY))
    reconciler = here.reconciler()
    inventory = await reconciler.discover()
    (sentence,) = await reconciler.policies_behind([live.id for live in inventory.automations], inventory)
    assert "az policy exemption create" in sentence
