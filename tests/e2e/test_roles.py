"""The deployed roles are enough for everything that the app does, and hold nothing that it does not do.

The app runs under exactly the custom role of `infra/management-group.bicep`, against a Resource Manager that refuses
what a caller's roles do not permit, and each request that it recorded is mapped to an action.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from local.arm import Arm
from local.certs import Certificates
from local.records import generate
from local.stack import LocalAzure
from local.tenant import APP, synthetic_tenant
from local.tenant.destinations import destinations
from local.tenant.roles import custom_role
from local.tenant.state import Tenant
from shared.bootstrap import Services
from shared.enrich.records.model import Event
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.settings import Settings
from tests.integration.reconcile.world import export
from tools.roles import BUILT_IN, Right, custom_actions, permits, rights
from tools.snapshots import committed

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Granted, though no request of the runs below asks for it: who does, or which page says so.
EXCEPTIONS = {
    # Resource Graph shows only rows of types that one may read, and makes no request of its own:
    # learn.microsoft.com/azure/governance/resource-graph/overview#permissions-in-azure-resource-graph
    # Not every such type is an operation of the provider, so they can't be named one by one.
    "Microsoft.Security/*/read": "Resource Graph filters rows by it, and automations and pricings are read by it",
    # Azure's linked checks: whoever writes an export to a workspace needs them there
    # (learn.microsoft.com/azure/defender-for-cloud/continuous-export, required roles and permissions).
    "Microsoft.Security/locations/alerts/simulate/action": "asked for by canaries alone (test_canary.py)",
    "Microsoft.OperationalInsights/workspaces/write": "linked check of a workspace destination",
    "Microsoft.OperationsManagement/solutions/*": "linked check of a workspace without Defender's solution",
}

# Data actions by what the app reaches without Resource Manager.
DATA_ACTIONS = {
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write": "Storage Blob Data Owner",
    "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action": "Storage Queue Data Contributor",
    "Microsoft.Storage/storageAccounts/tableServices/tables/entities/write": "Storage Table Data Contributor",
    "Microsoft.EventHub/namespaces/messages/receive/action": "Azure Event Hubs Data Receiver",
    "Microsoft.EventHub/namespaces/messages/send/action": "Azure Event Hubs Data Sender",
    "Microsoft.Insights/Telemetry/Write": "Monitoring Metrics Publisher",
    "Microsoft.OperationalInsights/workspaces/tables/data/read": "Log Analytics Data Reader",
}


class Seen(NamedTuple):
    """What the app asked Resource Manager for: actions of recorded requests, and every decision on a right."""

    requests: frozenset[str]
    decisions: frozenset[tuple[str, bool]]
    created: int
    deleted: int
    rows: int


def under_the_deployed_role() -> Tenant:
    tenant = synthetic_tenant(3, 8)
    tenant.revoke(APP)
    root = f"/providers/Microsoft.Management/managementGroups/{tenant.home}"
    tenant.assign(APP, root, custom_role("Defender Export (deployed)", *custom_actions()))
    return tenant


async def everything_that_the_app_does(azure: LocalAzure, tenant: Tenant) -> Seen:
    """Plan and apply every kind of destination, repair, remove, list instead of asking the graph, deliver, watch."""
    hub, me = destinations(tenant), Request(Caller("cli", "tester"))
    here = Services(Settings.load())
    keyed = f"eventHub: {{resourceId: {hub.event_hub}, authorizationRule: {hub.key_name}}}"
    files = {
        "trusted": export(tenant, "trusted", automation=", resourceGroup: rg-new, createResourceGroup: true"),
        "keyed": export(tenant, "keyed", destination=keyed),
        "workspace": export(tenant, "workspace", destination=f"logAnalyticsWorkspace: {{resourceId: {hub.workspace}}}"),
    }
    try:
        for name, text in files.items():
            await here.exports.put(name, text)
        applied = await here.reconciler.apply(me)
        await here.exports.delete("keyed")
        removed = await here.reconciler.apply(me)
        await here.reconciler.plan(me)
        batch = [
            Event(event.body, datetime.now(UTC), "0", number)
            for number, event in enumerate(generate(1, [one.id for one in tenant.subscriptions.values()], 50, bad=0.0))
        ]
        await here.pipeline.run(batch)
        await here.check_freshness()
    finally:
        await here.close()
    return seen(azure.arm, applied.counts["Created"], removed.counts["Deleted"], azure.ingestion.rows)


def seen(arm: Arm, created: int = 0, deleted: int = 0, rows: int = 0) -> Seen:
    mine = (request for request in arm.requests if request.principal == APP.object_id)
    decided = ((action, allowed) for who, action, _, allowed in arm.checks if who == APP.object_id)
    return Seen(frozenset(request.action for request in mine), frozenset(decided), created, deleted, rows)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def graph_run(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> AsyncIterator[Seen]:
    tenant = under_the_deployed_role()
    settings = {
        "RECONCILE_MODE": "apply",
        "REGISTER_PROVIDER": "true",
        "MAX_DELETES": "1000",
        "MAX_CHANGE_PERCENT": "100",
    }
    folder: Path = tmp_path_factory.mktemp("azure")
    parts = ("azurite", "arm", "ingestion")
    async with LocalAzure(folder, parts=parts, tenant=tenant, certificates=local_certs, settings=settings) as azure:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in azure.app_settings().items():
                patch.setenv(name, value)
            first = await everything_that_the_app_does(azure, tenant)
            patch.setenv("INVENTORY", "list")
            second = Services(Settings.load())
            try:
                await second.reconciler.plan(Request(Caller("cli", "tester")))
            finally:
                await second.close()
        yield first._replace(requests=seen(azure.arm).requests, decisions=seen(azure.arm).decisions)


async def test_the_run_did_something(graph_run: Seen) -> None:
    assert graph_run.created >= 15
    assert graph_run.deleted >= 5
    assert graph_run.rows >= 50


async def test_nothing_that_the_app_asked_for_was_refused(graph_run: Seen) -> None:
    assert [action for action, allowed in graph_run.decisions if not allowed] == []


async def test_every_recorded_request_is_an_action_of_the_role(graph_run: Seen) -> None:
    granted = custom_actions()
    # Any signed-in caller may ask; the answer holds what the caller may read.
    open_to_all = {"Microsoft.ResourceGraph/resources/read", "Microsoft.ResourceGraph/resources/action"}
    assert [one for one in graph_run.requests - open_to_all if not permits(granted, one)] == []


async def test_the_role_holds_nothing_that_is_not_used_or_explained(graph_run: Seen) -> None:
    used = {action.lower() for action in graph_run.requests}
    unused = {action for action in custom_actions() if action.lower() not in used}
    assert unused == set(EXCEPTIONS)


async def test_a_missing_action_is_found(graph_run: Seen) -> None:
    without = tuple(one for one in custom_actions() if one != "Microsoft.Security/automations/validate/action")
    assert [one for one in graph_run.requests if permits(custom_actions(), one) and not permits(without, one)] == [
        "Microsoft.Security/automations/validate/action"
    ]


def granted() -> set[Right]:
    return {right for snapshot in committed().values() for right in rights(snapshot)}


async def test_every_built_in_role_is_known_and_assigned_for_a_reason() -> None:
    assert all(len(right.reason) > 20 for right in granted())
    assert len(granted()) >= 18


async def test_each_service_that_the_app_reaches_has_its_role() -> None:
    data_actions = {name: data for name, _, data in BUILT_IN.values()}
    whole = [one for one in committed().values() if len(one.of_type("Microsoft.Web/sites")) < 2]  # one app does it all
    mine = {right.role for one in whole for right in rights(one) if right.principal == "the app"} & set(data_actions)
    for action, name in DATA_ACTIONS.items():
        assert {role for role in mine if permits(data_actions[role], action)} == {name}
    assert mine - {"Reader"} == set(DATA_ACTIONS.values())


async def test_no_built_in_role_reaches_beyond_its_resource() -> None:
    wide = {right.role for right in granted() if right.scope.startswith("the ")}
    assert wide == {"Reader", "Defender Export (custom)"}
