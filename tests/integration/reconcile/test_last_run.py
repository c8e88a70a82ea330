"""What `ready` says of the last run when runs only met another one's lease."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.reconcile.apply.run_lock import RunLease
from shared.web.health_check import CHECKS, NotWell
from tests.integration.reconcile.world import World, world


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, 2, untidy=False), local_certs, storage) as running:
        await running.put("soc")
        yield running


async def test_runs_that_only_met_the_lease_are_no_runs(here: World) -> None:
    services: Any = SimpleNamespace(reconciler=here.reconciler(), settings=here.settings)
    container = here.clients.blobs.get_container_client(here.settings.reports_container)
    async with RunLease(container, {"run": "another"}):
        for _ in range(4):
            assert (await here.reconciler(reconcile_mode="apply").tick()).outcome == "Skipped"
    with pytest.raises(NotWell, match="came to write: another run is writing"):
        await CHECKS["lastRun"](services)
    await here.reconciler(reconcile_mode="apply").tick()
    async with RunLease(container, {"run": "another"}):
        assert (await here.reconciler(reconcile_mode="apply").tick()).outcome == "Skipped"
    assert "Succeeded" in await CHECKS["lastRun"](services)
