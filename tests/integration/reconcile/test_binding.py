"""Between review and apply: whatever was edited, nothing of it is written."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from local.tenant.destinations import destinations
from shared.reconcile.apply.executor import Status
from shared.reconcile.plan.model import Action, Plan
from shared.reconcile.plan.saved_plan import StalePlan, plan_as_dict, plan_from_dict
from shared.reconcile.run import Request
from tests.integration.reconcile.world import INSTANCE, ME, World, world

SIZE = 3


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


async def reviewed(here: World) -> Plan:
    """A plan as somebody read it: from a file."""
    return plan_from_dict(json.loads(json.dumps(plan_as_dict((await here.plan()).plan, INSTANCE))), INSTANCE)


def edits(here: World) -> dict[str, dict[str, Any]]:
    into = destinations(here.tenant)
    first = min(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)
    return {
        "destination": {"destination": f"logAnalyticsWorkspace: {{resourceId: {into.workspace}}}"},
        "way in": {"destination": f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"},
        "filter": {"content": "alerts: {minimumSeverity: Low}"},
        "no filter": {"content": "alerts: {}"},
        "more sources": {"content": "{alerts: {minimumSeverity: Medium}, recommendations: {}}"},
        "frequency": {"content": "{frequency: [streaming, snapshot], secureScore: {}}"},
        "scope": {"scope": f", exclude: {{subscriptions: [{first}]}}"},
        "resource groups": {"scope": ", resourceGroups: [rg-app]"},
        "several resource groups": {"scope": ", resourceGroups: [rg-app, rg-data]"},
        "name": {"automation": ", name: another"},
        "group": {"automation": ", resourceGroup: rg-another"},
        "tags": {"automation": ", tags: {team: soc}"},
        "no leave to make the group": {"automation": ", createResourceGroup: false"},
        "switched off": {"enabled": False},
    }


EDITS = (
    "destination", "way in", "filter", "no filter", "more sources", "frequency", "scope", "resource groups",
    "several resource groups", "name", "group", "tags", "no leave to make the group", "switched off",
)  # fmt: skip


def test_the_list_of_edits_is_whole() -> None:
    from local.tenant import Tenant

    class Shown:
        tenant: Tenant = synthetic_tenant(1, SIZE, untidy=False)

    here: Any = Shown()
    assert set(edits(here)) == set(EDITS)


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_after_the_review_of_a_create_is_refused(here: World, edit: str) -> None:
    await here.put("soc")
    plan = await reviewed(here)
    await here.put("soc", **edits(here)[edit])
    with pytest.raises(StalePlan):
        await here.reconciler().apply(Request(ME, reviewed=plan))
    assert here.writes() == []


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_after_the_review_of_an_update_is_refused(here: World, edit: str) -> None:
    await here.put("soc")
    await here.apply()
    await here.put("soc", content="alerts: {minimumSeverity: High}")
    plan = await reviewed(here)
    assert plan.counts[Action.UPDATE] == SIZE
    await here.put("soc", **edits(here)[edit])
    here.arm.requests.clear()
    if edit == "no leave to make the group":  # its group is there: nothing else would be done than was reviewed
        await here.put("soc", content="alerts: {minimumSeverity: Low}")
    with pytest.raises(StalePlan):
        await here.reconciler().apply(Request(ME, reviewed=plan))
    assert here.writes() == []


async def test_a_file_that_was_put_again_as_it_was_is_no_edit(here: World) -> None:
    await here.put("soc")
    plan = await reviewed(here)
    await here.put("soc")
    assert (await here.reconciler().apply(Request(ME, reviewed=plan))).counts["Created"] == SIZE


async def test_an_automation_that_changed_since_the_review_is_left_alone_though_discovery_lags(here: World) -> None:
    await here.put("soc")
    await here.apply()
    await here.put("soc", content="alerts: {minimumSeverity: High}")
    plan = await reviewed(here)
    here.tenant.advance(3600)
    here.arm.graph_lag = 1800
    document = min(here.ours().values(), key=lambda one: one["id"])
    edited = here.tenant.set_automation(
        {**document, "properties": {**document["properties"], "isEnabled": False, "description": "hands off for now"}}
    )
    report = await here.reconciler().apply(Request(ME, reviewed=plan))
    assert (report.counts["Updated"], report.counts["NotReached"]) == (SIZE - 1, 1)
    assert here.automations()[document["id"].lower()] == edited
    (left,) = [outcome for outcome in report.outcomes if outcome.status is Status.NOT_REACHED]
    assert "after the plan was made" in left.reason
