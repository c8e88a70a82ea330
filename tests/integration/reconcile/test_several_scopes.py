"""Exports of several resource groups against an Azure that takes one scope an automation."""

from collections.abc import AsyncIterator

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.clock import Clock
from shared.exports.compiler import compile_automation
from shared.exports.model import parse_export
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.model import ResourceId
from shared.reconcile.plan.provenance_tags import Writer, digest, mark_tags
from tests.integration.reconcile.world import INSTANCE, World, export, world

SIZE = 4
GROUPS = ", resourceGroups: [rg-payments, rg-identity]"


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


def scopes(here: World) -> dict[str, list[str]]:
    """The scopes of each of ours, by the automation's name, in one of the subscriptions."""
    first = min(document["id"].split("/")[2] for document in here.ours().values())
    return {
        document["name"]: [scope["scopePath"].rpartition("/")[2] for scope in document["properties"]["scopes"]]
        for document in here.ours().values()
        if first in document["id"]
    }


async def as_before(here: World) -> None:
    """What an earlier release wrote and Azure took: one automation with both scopes."""
    config = parse_export(export(here.tenant, "pay", scope=GROUPS))
    for document in list(here.ours().values()):
        here.tenant.delete_automation(document["id"])
    for one in here.tenant.subscriptions.values():
        if one.tenant_id == here.tenant.home:
            body = compile_automation(config, one.id, INSTANCE)
            place = f"{one.scope}/resourceGroups/rg-defender-export/providers/Microsoft.Security/automations"
            marks = mark_tags(Writer(here.reconciler().writer_name, 1), digest(body), {}, here.clock.now())
            here.tenant.set_automation(
                {"id": f"{place}/defender-export-pay", "name": "defender-export-pay", **body}
                | {"tags": body["tags"] | marks}
            )


async def test_two_resource_groups_become_two_automations_that_azure_takes(here: World) -> None:
    await here.put("pay", scope=GROUPS)
    report = await here.apply()
    assert (report.outcome, report.counts["Created"], report.counts["Failed"]) == ("Succeeded", 2 * SIZE, 0)
    assert scopes(here) == {
        "defender-export-pay-rg-identity": ["rg-identity"],
        "defender-export-pay-rg-payments": ["rg-payments"],
    }
    here.arm.requests.clear()
    assert (await here.apply()).counts["Unchanged"] == 2 * SIZE
    assert here.writes() == []


async def test_the_local_azure_refuses_an_automation_with_several_scopes(here: World) -> None:
    await here.put("pay", scope=GROUPS)
    await here.apply()
    body = compile_automation(parse_export(export(here.tenant, "pay", scope=GROUPS)), "s", INSTANCE)
    place = next(iter(here.ours()))
    subscription = place.split("/")[2]
    scoped = [{"scopePath": f"/subscriptions/{subscription}/resourceGroups/{group}"} for group in ("rg-a", "rg-b")]
    arm = Arm(here.clients, Clock(), Pacer(Clock()))
    refusal = await arm.validate(
        ResourceId.parse(place), {**body, "properties": {**body["properties"], "scopes": scoped}}
    )
    assert "exactly one scope" in refusal


async def test_what_azure_took_before_stays_until_its_file_changes(here: World) -> None:
    await here.put("pay", scope=GROUPS)
    await here.apply()
    await as_before(here)
    before = here.ours()
    here.arm.requests.clear()
    report = await here.apply()
    assert (report.outcome, report.counts["Unchanged"], here.writes()) == ("Succeeded", SIZE, [])
    assert here.ours() == before
    await here.put("pay", scope=GROUPS, content="alerts: {minimumSeverity: High}")
    report = await here.apply(max_deletes=SIZE)
    assert (report.counts["Created"], report.counts["Deleted"], report.counts["Failed"]) == (2 * SIZE, SIZE, 0)
    assert set(scopes(here)) == {"defender-export-pay-rg-identity", "defender-export-pay-rg-payments"}


async def test_somebody_elses_is_adopted_by_its_tags_and_stays_as_it_is(here: World) -> None:
    await here.put("pay", scope=GROUPS)
    await here.apply()
    await as_before(here)
    for document in list(here.ours().values()):
        here.tenant.set_automation({**document, "tags": {"made-by": "portal"}})
    await here.put("pay", scope=GROUPS, automation=", adopt: true")
    report = await here.apply()
    assert (report.outcome, report.counts["Adopted"]) == ("Succeeded", SIZE)
    assert {method for method, path in here.writes() if path.endswith("/defender-export-pay")} == {"PATCH"}
    assert scopes(here) == {"defender-export-pay": ["rg-identity", "rg-payments"]}
    assert all(document["tags"]["made-by"] == "portal" for document in here.ours().values())
    assert (await here.apply()).counts["Unchanged"] == SIZE
