"""Disasters, played with the commands of docs/operate.md in their order: what is lost is what the page says."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path

import azure.functions as func
import pytest
from azure.storage.blob.aio import BlobServiceClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.identity import Identity
from local.tenant import APP, synthetic_tenant
from local.tenant.destinations import DEFENDER, add_hub, add_workspace, destinations
from local.tenant.roles import EVENT_HUBS_DATA_SENDER, OWNER, READER
from local.tokens import Principal
from shared.audit.deed import END
from shared.bootstrap import Services
from shared.cli import main
from shared.settings import Settings
from shared.watch.hub_lag import read_marks
from shared.web.authorization import Actor
from shared.web.exports import delete_export
from shared.web.routing import Call
from tests.integration.reconcile.world import INSTANCE, World, world
from tests.integration.stored.test_reconcile import lose_store, other

__all__ = ["other"]
SIZE = 3
STORAGE = "AzureWebJobsStorage"
DOCS = Path(__file__).parents[3] / "docs"
OPERATE, DEPLOY = DOCS / "operate.md", DOCS / "deploy.md"


def commands(*headings: str, page: Path = OPERATE) -> list[str]:
    """The commands of a page's sections of these headings, in order."""
    text = page.read_text()
    found = []
    for heading in headings:
        section = re.split(r"\n##+ ", re.split(rf"\n##+ {heading}\n", text)[1])[0]
        for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL):
            found += [line.strip() for line in block.splitlines() if line.strip()]
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


def words(command: str) -> list[str]:
    """A command of a page as typed, and agreed to: nobody is there to be asked."""
    found = shlex.split(os.path.expandvars(command))
    return [*found, "--yes"] if found[:2] == ["defender-export", "apply"] and "--yes" not in found else found


async def follow(*headings: str, page: Path = OPERATE, only: str = "") -> None:
    """Carry out what the page says, or of that only the commands that begin so."""
    for command in (one for one in commands(*headings, page=page) if one.startswith(only)):
        name, *arguments = words(command)
        if name == "defender-export":
            assert await run(*arguments) == 0, command
        elif name == "sed":
            assert await (await asyncio.create_subprocess_shell(command)).wait() == 0, command
        else:
            assert arguments[:3] == ["storage", "blob", "delete-batch"], command
            options = dict(zip(arguments[3::2], arguments[4::2], strict=True))
            await delete_batch(options["--source"], options["--pattern"])


async def delete_batch(container: str, pattern: str) -> None:
    """What `az storage blob delete-batch` does: it deletes every blob whose whole name the pattern matches."""
    async with BlobServiceClient.from_connection_string(os.environ[STORAGE]) as blobs:
        client = blobs.get_container_client(container)
        names = [name async for name in client.list_blob_names() if fnmatch(name, pattern)]
        for name in names:
            await client.delete_blob(name)


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


async def test_a_tear_down_leaves_no_export_and_no_automation_of_ours(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = next(here.tenant.all_automations())
    somebodys = here.tenant.set_automation({**one, "id": f"{one['id']}-2", "name": f"{one['name']}-2", "tags": {}})
    monkeypatch.setenv("MAX_DELETES", str(3 * SIZE))
    for name in ("a", "b", "c"):
        monkeypatch.setenv("EXPORT", name)
        await follow("Tear down", page=DEPLOY, only="defender-export exports delete")
    for step in ("apply", "plan"):
        await follow("Tear down", page=DEPLOY, only=f"defender-export {step}")
    assert "nothing to change" in capsys.readouterr().out.splitlines()[-1]
    assert here.ours() == {}
    assert [each["id"] for each in here.tenant.all_automations()] == [somebodys["id"]]


@pytest.mark.soak
async def test_ten_losses_in_a_row_cost_nothing(here: World) -> None:
    await follow("Back up")
    for _ in range(10):
        await lose_store(here)
        assert (await here.apply()).counts["Deleted"] == 0
        await follow("Something is lost")
        assert (await here.apply()).outcome == "Succeeded"
    assert len(here.ours()) == 3 * SIZE


async def send(here: World, **exports: str) -> None:
    """These exports instead of the ones in force."""
    for name in ("a", "b", "c"):
        await here.store.delete(name)
    for name, destination in exports.items():
        await here.put(name, destination=destination)
    assert (await here.apply()).outcome == "Succeeded"
    here.arm.requests.clear()


def targets(here: World) -> set[str]:
    """Where automations of ours send to, in lower case."""
    actions = (action for one in here.ours().values() for action in one["properties"]["actions"])
    return {(one.get("eventHubResourceId") or one["workspaceResourceId"]).lower() for one in actions}


def only_updates(here: World, number: int) -> bool:
    methods = [method for method, _ in here.writes()]
    return methods.count("PUT") == number and "DELETE" not in methods


@pytest.mark.soak
async def test_a_hub_of_another_name(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = destinations(here.tenant).event_hub
    new = add_hub(here.tenant, f"{old}-2")
    here.tenant.assign(DEFENDER, new, EVENT_HUBS_DATA_SENDER)  # step 1 of the page
    monkeypatch.setenv("OLD_HUB", old)
    monkeypatch.setenv("NEW_HUB", new)
    here.arm.requests.clear()
    await follow("A hub of another name")
    assert only_updates(here, 3 * SIZE)
    assert targets(here) == {new.lower()}
    assert (await here.apply()).outcome == "Succeeded"


@pytest.mark.soak
async def test_another_workspace(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    into = destinations(here.tenant)
    old, subscription = into.workspace, into.workspace.split("/")[2]
    new = add_workspace(here.tenant, subscription, into.workspace.split("/")[4], "log-defender-2")
    monkeypatch.setenv("OLD_WORKSPACE", old)
    monkeypatch.setenv("NEW_WORKSPACE", new)
    await send(here, d=f"logAnalyticsWorkspace: {{resourceId: {old}}}")
    await follow("Another workspace")
    assert only_updates(here, SIZE)
    assert targets(here) == {new.lower()}
    assert (await here.apply()).outcome == "Succeeded"


async def test_a_hub_made_anew_is_read_from_its_start(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = here.clients.blobs.get_container_client("azure-webjobs-eventhub")
    await checkpoints.create_container()
    for hub in ("defender-export", "other"):
        for partition in ("0", "1"):
            name = f"ns.servicebus.windows.net/{hub}/$default/checkpoint/{partition}"
            await checkpoints.upload_blob(name, b"", metadata={"offset": "99", "sequencenumber": "7"})
    monkeypatch.setenv("STORAGE", "local")
    monkeypatch.setenv("HUB", "defender-export")
    await follow("Another hub")
    assert await read_marks(checkpoints, "/defender-export/$default/checkpoint/") == {}
    assert await read_marks(checkpoints, "/other/$default/checkpoint/") == {"0": 7, "1": 7}


@pytest.mark.soak
async def test_a_new_identity(here: World, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    anew = Principal("dddddddd-0000-4000-8000-000000000001", "dddddddd-0000-4000-8000-00000000000a")
    root = f"/providers/Microsoft.Management/managementGroups/{here.tenant.home}"
    here.tenant.revoke(APP)
    here.arm.requests.clear()
    async with Identity(here.tokens, local_certs, system_assigned=anew) as identity:
        for name, value in identity.environment().items():
            monkeypatch.setenv(name, value)
        here.tenant.assign(anew, f"/subscriptions/{next(iter(here.ours())).split('/')[2]}", READER)
        await run("apply")  # with a part of the rights
        assert undisturbed(here)
        for one in here.tenant.subscriptions.values():  # those of customers delegate anew
            here.tenant.assign(anew, one.scope, OWNER)
        here.tenant.assign(anew, root, READER)
        await follow("New identity")
    assert undisturbed(here)
    assert len(here.ours()) == 3 * SIZE


async def test_the_api_ends_an_export_whose_file_was_lost_and_no_other(here: World) -> None:
    for blob in ("current/b.yaml", "accepted/b.yaml"):
        await here.store._container.delete_blob(blob)
    services = Services(Settings.load())
    try:

        async def delete(name: str) -> func.HttpResponse:
            request = func.HttpRequest("DELETE", "https://app/api/exports/x", route_params={"name": name}, body=b"")
            return await delete_export(Call(request, services, Actor("key", "127.0.0.1"), {}))

        assert (await delete("nobody")).status_code == 204
        assert (await delete("b")).status_code == 204
        ended = [(deed.deed, deed.target, deed.actor) for deed in await services.trail.deeds() if deed.deed == END]
        assert ended == [(END, "b", "key:127.0.0.1")]
    finally:
        await services.close()
    report = await here.apply()
    assert report.counts["Deleted"] == SIZE
    assert {one["tags"]["defender-export-name"] for one in here.ours().values()} == {"a", "c"}
    records = [name async for name in here.store._container.list_blob_names(name_starts_with="deleted/")]
    assert records == ["deleted/b.json"]  # none for a name that nothing has
