"""A request that names what nobody knows, and answers of Resource Graph that leave something out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import CUSTOMER_TENANT, synthetic_tenant
from local.tokens import HOME_TENANT
from shared.exports.scope_findings import UnknownName
from shared.reconcile.run import Request
from tests.integration.reconcile.world import ME, World, world


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, 3, untidy=False), local_certs, storage) as running:
        await running.put("soc")
        assert (await running.apply()).outcome == "Succeeded"
        running.arm.requests.clear()
        yield running


@pytest.mark.parametrize(
    ("narrowed", "said"),
    [
        ({"exports": ["sco"]}, "Did you mean soc?"),
        ({"exports": ["soc", "nope"]}, "no export named nope"),
        ({"subscriptions": ["not-a-guid"]}, "no subscription not-a-guid"),
        ({"management_groups": ["contosso"]}, "Did you mean contoso?"),
        ({"management_groups": ["contoso", "nope"]}, "management group nope"),
    ],
)
@pytest.mark.parametrize("inventory", ["graph", "list"])
async def test_an_unknown_name_is_refused_with_the_nearest_one(
    here: World, narrowed: dict[str, Any], said: str, inventory: str
) -> None:
    for run in (here.reconciler(inventory=inventory).plan, here.reconciler(inventory=inventory).apply):
        with pytest.raises(UnknownName, match=said.replace("?", "[?]")):
            await run(Request(ME, **narrowed))
    assert here.writes() == []


@pytest.mark.parametrize("empty", [{"exports": []}, {"subscriptions": ()}, {"management_groups": set()}])
def test_an_empty_list_does_not_mean_all(empty: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="empty"):
        Request(ME, **empty)


async def test_a_row_that_comes_twice_is_planned_once_and_deletes_nothing(here: World) -> None:
    await here.put("other")
    await here.store.delete("soc")
    here.arm.graph.alter = lambda rows: [*rows, *rows[:1]]
    report = await here.apply()
    assert report.outcome == "Partial"
    assert "came twice" in report.reason
    assert (report.counts["Created"], report.counts["Deleted"]) == (3, 0)
    assert not any("both claim" in item.reason for item in report.plan.items)


@pytest.mark.parametrize("inventory", ["graph", "list"])
async def test_a_group_is_that_of_the_tenant_before_its_name(
    local_certs: Certificates, storage: StorageAccount, inventory: str
) -> None:
    tenant = synthetic_tenant(1, 3, untidy=False)
    tenant.add_management_group("contoso", "A customer's own", CUSTOMER_TENANT, key="customers")
    theirs = [one for one in tenant.subscriptions.values() if one.tenant_id == CUSTOMER_TENANT]
    for one in theirs:
        tenant.add_subscription(replace(one, management_group="customers"))
    async with world(tenant, local_certs, storage) as here:
        await here.put("soc")
        reconciler = here.reconciler(inventory=inventory)
        report = await reconciler.plan(Request(ME, management_groups=[f"{HOME_TENANT}/Contoso"]))
        assert report.plan.items
        assert {item.id.key[0] for item in report.plan.items}.isdisjoint(one.id for one in theirs)
        # Lists show groups of the app's own tenant alone, so of another's nothing is known there.
        known = inventory == "graph"
        with pytest.raises(UnknownName, match="2 tenants have" if known else "no visible subscription"):
            await reconciler.plan(Request(ME, management_groups=["contoso" if known else f"{CUSTOMER_TENANT}/contoso"]))
