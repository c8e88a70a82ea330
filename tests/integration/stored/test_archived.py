"""Blobs of runs that a lifecycle rule moved to the Archive tier: nothing can be read from them, and runs go on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from tests.integration.reconcile.world import World, world
from tests.integration.stored.test_reconcile import changed


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, 2, untidy=False), local_certs, storage) as running:
        yield running


async def archive(here: World, container_name: str) -> list[str]:
    """Move every blob of a container that can be to the Archive tier; gives their names."""
    container = here.clients.blobs.get_container_client(container_name)
    names = [blob.name async for blob in container.list_blobs() if blob.blob_type == "BlockBlob"]
    for name in names:
        await container.get_blob_client(name).set_standard_blob_tier("Archive")
    return names


async def test_runs_go_on_where_all_that_was_reported_is_archived(here: World) -> None:
    await here.put("a")
    first = await here.apply()
    assert {"latest.json", "owned.json", "left-scopes.json"} <= {*await archive(here, here.settings.reports_container)}
    await here.put("b")
    report = await here.apply()
    assert changed(here, report) == {"Created": 2}
    assert "rehydrate" in str(report.summary())
    shown = await here.reconciler().reports.read(first.run_id)
    assert shown is not None
    assert (shown["outcome"], "rehydrate" in shown["reason"]) == ("Unreadable", True)


async def test_nothing_is_deleted_by_files_that_are_archived_and_the_cure_is_named(here: World) -> None:
    for name in ("a", "b"):
        await here.put(name)
    await here.apply()
    await here.store.delete("b")
    assert "number.json" in await archive(here, here.settings.exports_container)
    report = await here.apply()
    assert "Deleted" not in changed(here, report)
    assert report.outcome == "Partial"
    assert "rehydrate" in str(report.summary())
