"""G15: one writer."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.reconcile.apply.run_lock import LEASE_BLOB, MARGIN_SECONDS, LeaseHeld, RunLease
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from tests.integration.reconcile.world import world

SHORTEST_LEASE_SECONDS = 15
ROOT = Path(__file__).parents[3]


async def until(seen: Callable[[], bool]) -> None:
    while not seen():  # noqa: ASYNC110 - the server has no event to wait for
        await asyncio.sleep(0.005)


async def test_of_two_runs_at_once_one_writes_and_the_other_names_it(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    async with world(synthetic_tenant(1, 6, untidy=False), local_certs, storage) as here:
        await here.put("soc")
        here.arm.faults.add("latency", seconds=0.2, matching="^PUT")
        reconciler = here.reconciler(apply_concurrency=1)
        first = asyncio.create_task(reconciler.apply(Request(Caller("timer", "reconcile_exports"))))
        await until(lambda: bool(here.writes()))
        second = await here.reconciler().apply(Request(Caller("cli", "alice")))
        written = await first
        assert (second.outcome, list(second.outcomes)) == ("Skipped", [])
        assert written.run_id in second.reason
        assert "actor reconcile_exports" in second.reason
        assert (written.outcome, written.counts["Created"]) == ("Succeeded", 6)
        assert (await here.apply()).outcome == "Succeeded"


async def test_a_plan_needs_no_lease(local_certs: Certificates, storage: StorageAccount) -> None:
    async with world(synthetic_tenant(1, 3, untidy=False), local_certs, storage) as here:
        await here.put("soc")
        reconciler = here.reconciler()
        container = here.clients.blobs.get_container_client(here.settings.reports_container)
        async with RunLease(container, {"run": "x"}):
            assert (await reconciler.plan(Request(Caller("cli", "alice")))).counts["Created"] == 3


HOLD = """
import asyncio, sys
from azure.storage.blob.aio import BlobServiceClient
from shared.reconcile.apply.run_lock import RunLease

async def hold(connection, seconds):
    async with BlobServiceClient.from_connection_string(connection) as blobs:
        async with RunLease(blobs.get_container_client("locks"), {"run": "doomed"}, seconds=seconds):
            print("held", flush=True)
            await asyncio.sleep(600)

asyncio.run(hold(sys.argv[1], int(sys.argv[2])))
"""


async def test_a_killed_runs_lease_is_taken_over(local_certs: Certificates, storage: StorageAccount) -> None:
    async with world(synthetic_tenant(1, 1, untidy=False), local_certs, storage) as here:
        container = here.clients.blobs.get_container_client("locks")
        await container.create_container()
        arguments = [sys.executable, "-c", HOLD, storage.connection_string, str(SHORTEST_LEASE_SECONDS)]
        doomed = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        assert doomed.stdout is not None
        assert await doomed.stdout.readline() == b"held\n"
        doomed.kill()
        await doomed.wait()
        killed = time.monotonic()
        with pytest.raises(LeaseHeld) as refusal:
            async with RunLease(container, {"run": "heir"}):
                pass
        assert refusal.value.holder == {"run": "doomed"}
        while True:
            try:
                async with RunLease(container, {"run": "heir"}) as lease:
                    assert lease.valid()
                    break
            except LeaseHeld:
                assert time.monotonic() - killed < SHORTEST_LEASE_SECONDS + 30
                await asyncio.sleep(0.5)


async def test_no_write_may_begin_when_too_little_of_the_lease_is_left(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    now = [0.0]
    async with world(synthetic_tenant(1, 1, untidy=False), local_certs, storage) as here:
        container = here.clients.blobs.get_container_client("locks")
        await container.create_container()
        async with RunLease(container, {"run": "x"}, monotonic=lambda: now[0]) as lease:
            assert lease.valid()
            now[0] = 59.0 - MARGIN_SECONDS
            assert lease.valid()
            now[0] = 60.0 - MARGIN_SECONDS
            assert not lease.valid()
        now[0] = 0.0
        assert not lease.valid()


async def test_a_run_that_lost_its_lease_stops_writing(local_certs: Certificates, storage: StorageAccount) -> None:
    async with world(synthetic_tenant(1, 6, untidy=False), local_certs, storage) as here:
        await here.put("soc")
        container = here.clients.blobs.get_container_client(here.settings.reports_container)
        reconciler = here.reconciler(apply_concurrency=1)

        async def steal() -> None:
            from azure.storage.blob.aio import BlobLeaseClient

            await until(lambda: bool(here.ours()))
            await BlobLeaseClient(container.get_blob_client(LEASE_BLOB)).break_lease(0)

        here.arm.faults.add("latency", seconds=0.4, matching="^PUT.*automations")
        reconciler.renew_seconds = 0.1
        report, _ = await asyncio.gather(reconciler.apply(Request(Caller("cli", "alice"))), steal())
        assert report.counts["NotReached"] > 0
        assert report.counts["Created"] < 6
        assert "does not hold the lease" in report.reason or report.outcome == "Partial"
