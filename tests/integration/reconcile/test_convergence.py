"""G11, G12, G14: whatever the faults, two runs make the tenant as declared, and the next writes nothing."""

import json
import random
from datetime import timedelta

import pytest

from local.arm import Arm
from local.azurite import StorageAccount
from local.certs import Certificates
from local.faults import KINDS
from local.tenant import Tenant, synthetic_tenant
from local.tenant.destinations import destinations
from shared.reconcile.plan.model import Action
from tests.integration.reconcile.world import World, world

LAG_SECONDS = 90


def misbehave(arm: Arm, seed: int, rate: float) -> None:
    """Every fault at the same rate, and Resource Graph behind by half a minute."""
    arm.faults.reseed(seed)
    for kind in KINDS:
        arm.faults.add(kind, rate=rate, seconds=0.01, retry_after=2)
    arm.graph_lag = 30
    arm.registration_delay = 3


async def declare(here: World) -> None:
    """Four exports: by management group and by tag, to the hub with and without a key, and to the workspace."""
    into = destinations(here.tenant)
    keyed = f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"
    await here.put("prod-alerts", groups="contoso-prod")
    await here.put(
        "findings",
        groups="contoso-nonprod",
        content="recommendations: {minimumSeverity: Medium, findings: {}}",
        destination=keyed,
    )
    await here.put(
        "important",
        scope=", tags: {criticality: high}, exclude: {tags: {defender-export: 'off'}}",
        automation=", resourceGroup: rg-important, tags: {team: soc}",
        content="secureScore: {controls: true}",
        destination=f"logAnalyticsWorkspace: {{resourceId: {into.workspace}}}",
    )
    await here.put("sandbox", groups="contoso-sandbox", content="attackPaths: {minimumRiskLevel: High}")


def expected(tenant: Tenant) -> set[str]:
    """The ids that should be there, said without the app's own code."""
    ids = set()
    for one in tenant.subscriptions.values():
        above = {group.name for group in tenant.ancestors(one.management_group)}
        if one.state != "Enabled":
            continue
        groups = f"/subscriptions/{one.id}/resourcegroups/".lower()
        tail = "/providers/microsoft.security/automations/defender-export-"
        if "contoso-prod" in above:
            ids.add(f"{groups}rg-defender-export{tail}prod-alerts")
        if "contoso-nonprod" in above:
            ids.add(f"{groups}rg-defender-export{tail}findings")
        if "contoso-sandbox" in above:
            ids.add(f"{groups}rg-defender-export{tail}sandbox")
        if "contoso" in above and one.tags.get("criticality") == "high" and one.tags.get("defender-export") != "off":
            ids.add(f"{groups}rg-important{tail}important")
    return ids


async def converges(here: World, seed: int, rate: float) -> None:
    foreign = json.dumps(here.foreign(), sort_keys=True)
    await declare(here)
    misbehave(here.arm, seed, rate)
    for _ in range(2):
        await here.apply()
        here.tenant.advance(LAG_SECONDS)
    here.arm.faults.clear()
    here.arm.requests.clear()
    third = await here.apply()
    assert here.writes() == [], third.row()["Problems"]
    assert set(here.ours()) == expected(here.tenant)
    for document in here.ours().values():
        (action,) = document["properties"]["actions"]
        target = action.get("eventHubResourceId") or action.get("workspaceResourceId")
        assert target.lower() in {
            destinations(here.tenant).event_hub.lower(),
            destinations(here.tenant).workspace.lower(),
        }
    assert json.dumps(here.foreign(), sort_keys=True) == foreign
    read_only = sum(one.state != "Enabled" for one in here.tenant.subscriptions.values())
    assert third.plan.counts[Action.BLOCKED] <= read_only * 2
    assert third.plan.writes == ()


async def _three_hundred(seed: int, certs: Certificates, storage: StorageAccount) -> None:
    tenant = synthetic_tenant(seed, 300, resources=1)
    # Waits follow one another on the moved clock, where in real time they overlap; so the budget is no limit here.
    budget, timeout = timedelta(hours=10), timedelta(hours=20)
    async with world(
        tenant, certs, storage, register_provider=True, apply_budget=budget, function_timeout=timeout
    ) as here:
        await converges(here, seed, rate=0.05)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.soak)])
async def test_two_runs_converge_under_every_fault_and_the_next_writes_nothing(
    seed: int, local_certs: Certificates, storage: StorageAccount
) -> None:
    await _three_hundred(seed, local_certs, storage)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
async def test_many_seeds_converge(seed: int, local_certs: Certificates, storage: StorageAccount) -> None:
    await _three_hundred(seed, local_certs, storage)


async def test_one_subscriptions_failure_stays_its_own(local_certs: Certificates, storage: StorageAccount) -> None:
    tenant = synthetic_tenant(3, 20, untidy=False)
    unlucky = random.Random(3).choice(
        sorted(one.id for one in tenant.subscriptions.values() if one.tenant_id == tenant.home)
    )
    async with world(tenant, local_certs, storage) as here:
        await here.put("soc")
        here.arm.faults.add("error", matching=f"PUT /subscriptions/{unlucky}.*automations", status=500)
        report = await here.apply()
        assert [(outcome.id.subscription_id, outcome.status) for outcome in report.outcomes if outcome.reason] == [
            (unlucky, "failed")
        ]
        assert report.counts["Created"] == 19
        assert report.outcome == "Partial"
