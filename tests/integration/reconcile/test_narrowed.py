"""A request that names what nobody knows, and answers of Resource Graph that leave something out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
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
