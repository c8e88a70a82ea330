"""Guards count over the whole tenant and over a day, however a run is narrowed."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.reconcile.plan.change_limits import raised
from shared.reconcile.report.last_run_state import DAY_BLOB
from shared.reconcile.run import Request
from tests.integration.reconcile.world import ME, World, world

SIZE = 12
A_DAY = 24 * 3600


@pytest.fixture
async def settled(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        await running.put("soc")
        assert (await running.apply()).outcome == "Succeeded"
        yield running


def places(here: World) -> list[str]:
    return sorted({key.split("/")[2] for key in here.ours()})


def disable(here: World, subscriptions: list[str]) -> None:
    for document in list(here.ours().values()):
        if document["id"].split("/")[2].lower() in subscriptions:
            here.tenant.set_automation({**document, "properties": {**document["properties"], "isEnabled": False}})


def disabled(here: World) -> int:
    return sum(not document["properties"]["isEnabled"] for document in here.ours().values())


async def test_twelve_narrowed_runs_repair_no_more_than_one_whole_run(settled: World) -> None:
    disable(settled, places(settled))
    assert (await settled.apply()).counts["Updated"] == 0
    for subscription in places(settled):
        report = await settled.reconciler().apply(Request(ME, subscriptions=[subscription]))
        assert (report.counts["Updated"], report.outcome) == (0, "Blocked")
    assert disabled(settled) == SIZE


async def test_nor_do_they_delete_more(settled: World) -> None:
    await settled.put("other", content="secureScore: {}")
    await settled.store.delete("soc")
    before = len(settled.ours())
    assert (await settled.apply()).counts["Deleted"] == 0
    for subscription in places(settled):
        report = await settled.reconciler().apply(Request(ME, subscriptions=[subscription], exports=["soc"]))
        assert report.counts["Deleted"] == 0
    assert len(settled.ours()) == before + SIZE


async def test_what_was_repaired_within_a_day_counts_and_after_it_no_more(settled: World) -> None:
    first, second = places(settled)[:3], places(settled)[3:6]
    disable(settled, first)
    assert (await settled.apply()).counts["Updated"] == 3
    settled.tenant.advance(A_DAY / 2)
    disable(settled, second)
    held = await settled.apply()
    assert held.counts["Updated"] == 0
    assert "6 updates within 24 hours (3 of them before this run)" in held.reason
    settled.tenant.advance(A_DAY / 2 + 60)
    assert (await settled.apply()).counts["Updated"] == 3


async def test_one_that_drifts_again_and_again_counts_once(settled: World) -> None:
    for _ in range(4):
        disable(settled, places(settled)[:2])
        assert (await settled.apply()).counts["Updated"] == 2


async def test_what_somebody_let_through_does_not_count_later(settled: World) -> None:
    disable(settled, places(settled))
    lifted = Request(ME, guards=partial(raised, percent=100))
    assert (await settled.reconciler().apply(lifted)).counts["Updated"] == SIZE
    disable(settled, places(settled)[:3])
    assert (await settled.apply()).counts["Updated"] == 3


async def test_a_record_that_cannot_be_read_holds_deletes_and_says_so(settled: World) -> None:
    container = settled.clients.blobs.get_container_client(settled.settings.reports_container)
    await container.upload_blob(DAY_BLOB, b'{"format": 1, "deletes": 7}', overwrite=True)
    await settled.put("other", content="secureScore: {}")
    await settled.store.delete("soc")
    report = await settled.apply(max_deletes=SIZE)
    assert (report.counts["Deleted"], report.outcome) == (0, "Partial")
    assert DAY_BLOB in report.reason


async def test_on_fifty_subscriptions_edits_pass_and_drift_waits(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    async with world(synthetic_tenant(1, 50, untidy=False), local_certs, storage) as here:
        await here.put("soc")
        await here.apply()
        await here.put("soc", content="alerts: {minimumSeverity: High}")
        edited = await here.apply()
        assert (edited.counts["Updated"], edited.plan.guards) == (50, ())
        drifted = places(here)[:11]
        disable(here, drifted)
        held = await here.apply()
        assert (held.counts["Updated"], held.outcome) == (0, "Blocked")
        done = 0
        for number in range(10):
            here.tenant.advance(3600)
            part = drifted[number : number + 1] if number < 9 else drifted[9:]
            done += (await here.reconciler().apply(Request(ME, subscriptions=part))).counts["Updated"]
        assert (done, disabled(here)) == (0, 11)
