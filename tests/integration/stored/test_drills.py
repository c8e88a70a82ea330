"""Disasters, played with the commands of docs/operate.md in their order: what is lost is what the page says."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.identity import Identity
from local.tenant import APP, synthetic_tenant
from shared.cli import main
from tests.integration.reconcile.world import INSTANCE, World, world
from tests.integration.stored.test_reconcile import lose_store, other

__all__ = ["other"]
SIZE = 3
PAGE = Path(__file__).parents[3] / "docs" / "operate.md"


def commands(*headings: str) -> list[list[str]]:
    """The commands of the page's sections of these headings, in order."""
    text = PAGE.read_text()
    found = []
    for heading in headings:
        section = text.partition(f"### {heading}\n")[2].partition("\n### ")[0]
        for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
            found += [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("defender-export ")]
    assert found, headings
    return found


@pytest.fixture
async def here(
    local_certs: Certificates, storage: StorageAccount, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[World]:
    """Three exports in force, signed in as the command line is, in an empty folder."""
    async with (
        world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running,
        Identity(running.tokens, local_certs, system_assigned=APP) as identity,
    ):
        environment = identity.environment() | {
            "INSTANCE_ID": INSTANCE,
            "ARM_ENDPOINT": running.arm.endpoint,
            "ARM_AUDIENCE": running.arm.endpoint,
            "AzureWebJobsStorage": storage.connection_string,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        for name in ("a", "b", "c"):
            await running.put(name)
        assert (await running.apply()).counts["Created"] == 3 * SIZE
        yield running


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


async def follow(*headings: str) -> None:
    """Carry out what the page says."""
    for command in commands(*headings):
        assert await run(*command) == 0, command


def undisturbed(here: World) -> bool:
    """Whether no automation was deleted or written."""
    return here.writes() == []


async def test_the_account_is_lost(here: World) -> None:
    await follow("Back up")
    await lose_store(here)
    here.arm.requests.clear()
    assert (await here.apply()).counts["Deleted"] == 0
    await follow("Something is lost")
    assert undisturbed(here)
    report = await here.apply()
    assert (report.outcome, report.counts["Unchanged"]) == ("Succeeded", 3 * SIZE)
    assert undisturbed(here)
    assert [entry.name for entry in await here.store.list()] == ["a", "b", "c"]


async def test_one_file_is_lost_and_the_others_go_on(here: World) -> None:
    await follow("Back up")
    for blob in ("current/b.yaml", "accepted/b.yaml"):
        await here.store._container.delete_blob(blob)
    here.arm.requests.clear()
    report = await here.apply()
    assert undisturbed(here)
    assert report.counts["Blocked"] == SIZE
    await follow("Something is lost")
    assert (await here.apply()).outcome == "Succeeded"
    assert undisturbed(here)


async def test_yesterdays_files_are_restored_and_meant(here: World) -> None:
    await follow("Back up")
    await here.put("a", content="alerts: {minimumSeverity: High}")
    await here.store.delete("c")
    await here.apply()
    container = here.store._container
    async for blob in container.list_blobs():
        await container.delete_blob(blob.name)
    for name in ("a", "b"):
        text = await asyncio.to_thread(Path(f"backup/{name}.yaml").read_bytes)
        await container.upload_blob(f"current/{name}.yaml", text)
    here.arm.requests.clear()
    assert "put back to an earlier state" in (await here.apply()).reason
    assert undisturbed(here)
    await follow("Files of yesterday were restored")
    report = await here.apply()
    assert (report.counts["Updated"], report.counts["Deleted"]) == (SIZE, 0)


async def test_another_region_takes_over_and_gives_back(
    here: World, other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follow("Back up")
    first = here.settings.storage_connection
    for place, app, rest in ((other.settings.storage_connection, other, here), (first, here, other)):
        monkeypatch.setenv("AzureWebJobsStorage", place)
        await follow("Another region")
        report = await app.apply()
        assert (report.outcome, report.counts["Deleted"], report.counts["Created"]) == ("Succeeded", 0, 0)
        assert "another app writes for this instance" in (await rest.apply()).reason
    assert len(here.ours()) == 3 * SIZE


async def test_an_export_whose_file_was_lost_is_ended_by_name(here: World) -> None:
    for blob in ("current/b.yaml", "accepted/b.yaml"):
        await here.store._container.delete_blob(blob)
    assert await run("exports", "delete", "b", "--yes") == 0
    assert (await here.apply()).counts["Deleted"] == SIZE
    assert await run("exports", "delete", "../b", "--yes") == 1


@pytest.mark.soak
async def test_ten_losses_in_a_row_cost_nothing(here: World) -> None:
    await follow("Back up")
    for _ in range(10):
        await lose_store(here)
        assert (await here.apply()).counts["Deleted"] == 0
        await follow("Something is lost")
        assert (await here.apply()).outcome == "Succeeded"
    assert len(here.ours()) == 3 * SIZE
