"""Nothing is lost, and duplicates share their key, wherever the process is killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.eventhubs import EventHubsBroker
from local.stack import LocalAzure
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.invocation.pipeline_factory import dead_letters
from shared.fail_points import POINTS
from shared.settings import Settings
from tests.integration.enrich.conftest import MARK, assessments

BAD = {5, 23}
COUNT = 40
REPLAY_POINTS = {"blob.list", "blob.get", "blob.lease", "blob.release", "blob.delete", "blob.replace", "blob.describe"}
# Context is a stand-in here, its own point around the look-up is context.enrich; nothing here is immutable; the others
# are no part of delivery.
ELSEWHERE = {
    "graph.query", "permissions.read", "blob.exists", "hub.properties", "hub.receive", "ready.endpoint", "app.request",
    "canary.ask", "canary.noted", "canary.notes", "canary.notes-expire", "canary.keep", "canary.history",
    "canary.history-expire", "notify.send",
}  # fmt: skip
EVENTS = [(event.body.decode(), event.sequence) for event in assessments(range(COUNT), marked=BAD)]
EVENTS.append(("not json", COUNT))


class Warm:
    """The forking process."""

    def __init__(self, process: subprocess.Popen[str], certificates: Certificates) -> None:
        self.certificates = certificates
        self._process = process

    async def do(self, order: dict[str, Any]) -> int:
        return await asyncio.to_thread(self._do, json.dumps(order))

    def _do(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def warm(local_certs: Certificates) -> Iterator[Warm]:
    command = [sys.executable, "-m", "tests.e2e.crashing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Warm(process, local_certs)
        assert process.stdin is not None
        process.stdin.close()


@dataclass
class Plant:
    azure: LocalAzure
    broker: EventHubsBroker
    settings: dict[str, str]
    clients: Clients
    warm: Warm

    async def order(self, do: str, kill_at: str = "", nth: int = 1) -> int:
        order = {"do": do, "settings": self.settings, "events": EVENTS, "kill_at": kill_at, "nth": nth}
        return await self.warm.do(order)

    async def a_minute_passes(self) -> None:
        """What it brings: the leases of the killed run out."""
        blobs = self.clients.blobs.get_container_client(Settings.load(self.settings).dead_letters_container)
        with suppress(ResourceNotFoundError):
            async for blob in blobs.list_blobs():
                with suppress(HttpResponseError):
                    await BlobLeaseClient(blobs.get_blob_client(blob.name)).break_lease(0)

    def stored(self) -> list[dict[str, Any]]:
        return [row for body in self.azure.ingestion.stored for row in json.loads(body.body)]

    async def dead(self) -> set[int]:
        store = dead_letters(Settings.load(self.settings), self.clients, Clock())
        return {letter.sequence async for blob in store.find() for letter in await store.read(blob.name)}

    async def spill_for_the_hub(self) -> None:
        """The letters of the workspace once more, bound for the output hub."""
        store = dead_letters(Settings.load(self.settings), self.clients, Clock())
        letters = [letter async for blob in store.find() for letter in await store.read(blob.name) if letter.table]
        await store.write(
            msgspec.structs.replace(letter, target="hub", reason="hub-unavailable", outage=True) for letter in letters
        )

    def route_to_the_hub(self) -> None:
        """A file of routes that copies all rows to a hub."""
        path = self.azure.folder / "routes.yaml"
        place = {"name": "soc", "hub": {"name": "other"}}
        path.write_text(json.dumps({"version": 1, "places": [place], "rules": [{"name": "all", "also": ["soc"]}]}))
        connections = json.dumps({"soc": self.broker.connection_string})
        self.settings |= {"ROUTES_FILE": str(path), "ROUTE_CONNECTIONS": connections}

    def forwarded(self) -> bytes:
        """What the output hub holds, as it is on the wire."""
        partitions = self.broker.hubs["other"].partitions.values()
        return b"".join(event for partition in partitions for event in partition.events)


@pytest.fixture
async def plant(
    storage: StorageAccount, broker: EventHubsBroker, warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Plant]:
    async with LocalAzure(tmp_path, parts=("ingestion",), certificates=warm.certificates) as azure:
        azure.ingestion.poison = MARK.encode()
        settings = azure.app_settings() | storage.identity_settings()
        settings |= {"EventHubConnection": broker.connection_string}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        clients = Clients(Settings.load(settings))
        try:
            yield Plant(azure, broker, settings, clients, warm)
        finally:
            await clients.close()


async def accounted_for(plant: Plant) -> None:
    """Every event is a row or a dead letter; after the service is mended, every readable one is a row."""
    kept = {row["SequenceNumber"] for row in plant.stored()} | await plant.dead()
    assert kept == set(range(COUNT + 1))
    plant.azure.ingestion.poison = b""
    await plant.a_minute_passes()
    for _ in range(2):
        assert await plant.order("replay") == 0
        await plant.a_minute_passes()
    keys = {row["SequenceNumber"]: set[str]() for row in plant.stored()}
    for row in plant.stored():
        keys[row["SequenceNumber"]].add(row["RecordKey"])
    assert sorted(keys) == list(range(COUNT))
    assert all(len(own) == 1 for own in keys.values())
    assert len(set.union(*keys.values())) == COUNT
    assert await plant.dead() == {COUNT}
    if plant.settings.get("FORWARD_EVENT_HUB") or plant.settings.get("ROUTES_FILE"):
        assert all(row["RecordId"].encode() in plant.forwarded() for row in plant.stored())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", [point for point in POINTS if point not in REPLAY_POINTS | ELSEWHERE])
async def test_a_kill_while_a_batch_is_delivered_loses_nothing(plant: Plant, point: str, when: str) -> None:
    if point.startswith("hub."):
        plant.settings |= {"FORWARD_EVENT_HUB": "other"}
    if point.startswith("routes."):
        plant.route_to_the_hub()
    if point == "ingestion.token":
        plant.azure.ingestion.faults.add("expire_token", times=1)
    assert await plant.order("run", f"{point}:{when}") == -9
    assert await plant.order("run") == 0  # the checkpoint did not move: the host delivers the batch again
    await accounted_for(plant)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", sorted(REPLAY_POINTS | {"ingestion.upload", "blob.put", "hub.send"}))
async def test_a_kill_in_the_middle_of_a_replay_loses_nothing(plant: Plant, point: str, when: str) -> None:
    publishers = set(plant.azure.ingestion.publishers)
    plant.azure.ingestion.publishers.clear()
    assert await plant.order("run") == 0
    plant.azure.ingestion.publishers |= publishers
    if point == "hub.send":
        plant.settings |= {"FORWARD_EVENT_HUB": "other"}
        await plant.spill_for_the_hub()
    if point in {"blob.delete", "blob.release"}:
        plant.azure.ingestion.poison = b""
    assert await plant.order("replay", f"{point}:{when}") == -9
    plant.azure.ingestion.poison = MARK.encode()
    await plant.a_minute_passes()
    assert await plant.order("replay") == 0
    await accounted_for(plant)


@pytest.mark.parametrize("nth", [2, 5, 9])
async def test_a_kill_while_bad_rows_are_searched_for_loses_nothing(plant: Plant, nth: int) -> None:
    assert await plant.order("run", "ingestion.upload:after", nth) == -9
    assert await plant.order("run") == 0
    await accounted_for(plant)
