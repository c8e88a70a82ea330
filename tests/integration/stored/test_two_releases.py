"""This release and a next one, which writes newer formats of letters, jobs and reports, on one storage and lease."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.storage.blob.aio import BlobServiceClient

from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import synthetic_tenant
from shared import __version__
from shared.watch.hub_lag import read_marks
from tests.integration.reconcile.world import export
from tests.integration.stored.release_driver import event

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("release_driver.py")
NEXT = "2.0.0"
HUB = "defender-export"
OFTEN = {"RECONCILE_MODE": "apply", "RECONCILE_SCHEDULE": "*/15 * * * * *", "DEAD_LETTER_SCHEDULE": "*/15 * * * * *"}
THIS, LATER = "this", "later"


@dataclass
class Releases:
    """Two releases on one local Azure."""

    azure: LocalAzure
    paths: Mapping[str, Path]
    folder: Path
    sent: int = 0
    hosts: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def host(self, release: str) -> asyncio.subprocess.Process:
        """The release's own app in a host: its timers, its queue and the hub, beside whichever others run."""
        command = ["-m", "local.host", "--app", str(self.paths[release] / "function_app.py")]
        log = os.open(self.folder / f"{release}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--host-file",
            str(self.folder / "host.json"),
            cwd=self.paths[release],
            env={**self.environment(release), **OFTEN},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        os.close(log)
        self.hosts.append(process)
        assert process.stdout
        assert await asyncio.wait_for(process.stdout.readline(), 120), (self.folder / f"{release}.log").read_text()
        return process

    async def send(self, number: int) -> None:
        """So many more events to the hub, over all its partitions."""
        connection = self.azure.broker.connection_string
        async with EventHubProducerClient.from_connection_string(connection, eventhub_name=HUB) as producer:
            for each in range(self.sent, self.sent + number):
                body = event(each).body
                await producer.send_batch([EventData(body)], partition_id=str(each % 4))
        self.sent += number

    async def all_read(self) -> None:
        """Wait until the checkpoints are at the hub's end."""
        ends = {name: len(one.events) - 1 for name, one in self.azure.broker.hubs[HUB].partitions.items()}
        async with BlobServiceClient.from_connection_string(self.azure.azurite.main.connection_string) as blobs:
            marks = blobs.get_container_client("azure-webjobs-eventhub")

            async def at_the_end() -> bool:
                return await read_marks(marks, f"/{HUB}/$default/checkpoint/") == ends

            await eventually(at_the_end, 180)

    async def dead_letters(self) -> list[dict[str, str]]:
        """The metadata of each blob of letters."""
        async with BlobServiceClient.from_connection_string(self.azure.azurite.main.connection_string) as blobs:
            container = blobs.get_container_client("dead-letters")
            return [one.metadata or {} async for one in container.list_blobs(include=["metadata"])]

    def environment(self, release: str) -> dict[str, str]:
        return {**os.environ, **self.azure.app_settings(), "PYTHONPATH": f"{self.paths[release]}{os.pathsep}{ROOT}"}

    async def start(self, release: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(DRIVER),
            *arguments,
            cwd=self.paths[release],
            env=self.environment(release),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def do(self, release: str, *arguments: str) -> Any:
        process = await self.start(release, *arguments)
        out, error = await process.communicate()
        assert process.returncode == 0, error.decode()[-3000:]
        answer = json.loads(out.decode().splitlines()[-1])
        assert answer["release"] == {THIS: __version__, LATER: NEXT}[release]
        return answer["done"]

    def stored(self) -> set[str]:
        bodies = (json.loads(stored.body) for stored in self.azure.ingestion.stored)
        return {row["RecommendationId"] for body in bodies for row in body if "RecommendationId" in row}

    def out(self) -> set[str]:
        """Logs Ingestion refuses everybody from now on; gives who was let in."""
        let_in = set(self.azure.ingestion.publishers)
        self.azure.ingestion.publishers.clear()
        return let_in


def later_release(folder: Path) -> Path:
    """A copy of the app that writes, and reads, the next format of letters, jobs and reports."""
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "function_app.py", folder)
    formats = folder / "shared" / "stored_format.py"
    text = formats.read_text()
    for kind in ("dead letters", "job", "run report", "baseline"):
        text, times = re.subn(
            rf'(StoredFormat\("{kind}", )(\d+),', lambda found: f"{found[1]}{int(found[2]) + 1},", text
        )
        assert times == 1, kind
    formats.write_text(text)
    version = folder / "shared" / "__init__.py"
    version.write_text(version.read_text().replace(__version__, NEXT))
    return folder


@pytest.fixture
async def releases(local_certs: Certificates, tmp_path: Path) -> AsyncIterator[Releases]:
    tenant = synthetic_tenant(1, 3, untidy=False)
    parts = ("azurite", "eventhubs", "identity", "arm", "ingestion")
    async with LocalAzure(tmp_path / "azure", parts=parts, certificates=local_certs, tenant=tenant) as azure:
        client = azure.azurite.main.connection_string
        from shared.exports.store import ExportStore

        async with BlobServiceClient.from_connection_string(client) as blobs:
            await ExportStore(blobs.get_container_client("export-configs")).put("soc", export(tenant, "soc"))
        config = json.loads((ROOT / "host.json").read_text())
        config["extensions"]["eventHubs"] |= {"maxWaitTime": "00:00:01", "maxEventBatchSize": 10}
        (tmp_path / "host.json").write_text(json.dumps(config))
        running = Releases(azure, {THIS: ROOT, LATER: later_release(tmp_path / "later")}, tmp_path)
        try:
            yield running
        finally:
            await stop(*running.hosts)


async def stop(*hosts: asyncio.subprocess.Process) -> None:
    """As kill -9."""
    for process in hosts:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await holds():
                return
            await asyncio.sleep(1)


@pytest.mark.parametrize("order", [(THIS, LATER), pytest.param((LATER, THIS), marks=pytest.mark.soak)], ids="-".join)
async def test_what_each_wrote_is_read_by_the_other_or_refused_by_name(
    releases: Releases, order: tuple[str, str]
) -> None:
    let_in = releases.out()
    for number, release in enumerate(order):
        await releases.do(release, "events", f"{number * 10}-10")
    jobs = {release: await releases.do(release, "submit", "plan") for release in order}
    runs = {release: (await releases.do(release, "apply"))["run"] for release in order}
    releases.azure.ingestion.publishers |= let_in

    shown = await releases.do(THIS, "runs")
    assert shown[runs[LATER]][0] == "Unreadable"
    assert NEXT in shown[runs[LATER]][1]
    assert shown[runs[THIS]][0] in {"Succeeded", "Partial"}
    assert (await releases.do(LATER, "runs"))[runs[THIS]] == shown[runs[THIS]]

    await releases.do(THIS, "work", jobs[LATER])
    states = await releases.do(THIS, "jobs")
    assert states[jobs[LATER]][0] == "queued"
    assert NEXT in states[jobs[LATER]][1]
    await releases.do(LATER, "work", jobs[THIS])
    await releases.do(LATER, "work", jobs[LATER])
    assert {state for state, _ in (await releases.do(LATER, "jobs")).values()} == {"succeeded"}

    replay = await releases.do(THIS, "replay")
    assert replay["unreadable"] >= 1
    assert all(NEXT in trouble for trouble in (await releases.do(THIS, "letters")).values())
    await releases.do(LATER, "replay")
    assert await releases.do(LATER, "letters") == {}
    assert releases.stored() == {f"a{number}" for number in range(20)}


@pytest.mark.soak
async def test_ten_kills_in_turn_lose_nothing_and_leave_one_writer(releases: Releases) -> None:
    chance = random.Random(7)
    let_in = releases.out()
    for number, release in enumerate((THIS, LATER) * 5):
        await releases.do(release, "events", f"{number * 10}-10")
    releases.azure.ingestion.publishers |= let_in
    releases.azure.ingestion.faults.add("latency", seconds=0.2)
    killed = 0
    for turn in range(10):
        release = (THIS, LATER)[turn % 2]
        doomed = [await releases.start(release, step) for step in ("replay", "apply")]
        other = await releases.start((THIS, LATER)[1 - turn % 2], "apply")
        await asyncio.sleep(chance.uniform(0.8, 3))
        for process in doomed:
            killed += process.returncode is None
            if process.returncode is None:
                process.kill()
            await process.wait()
        await other.communicate()
    assert killed >= 5
    releases.azure.ingestion.faults.clear()
    await asyncio.sleep(62)  # the leases of those that were killed
    for release in (THIS, LATER):
        await releases.do(release, "replay")
    assert await releases.do(LATER, "letters") == {}
    assert releases.stored() == {f"a{number}" for number in range(100)}
    report = await releases.do(THIS, "apply")
    assert report["outcome"] in {"Succeeded", "Partial"}, report
    mine = [one for one in releases.azure.tenant.all_automations() if "defender-export-instance" in one["tags"]]
    assert len(mine) == len({one["id"].lower() for one in mine}) > 0


async def both_releases_on_one_hub(releases: Releases, order: tuple[str, str], kills: int) -> None:
    """Each takes the hub over from the other by kill -9, at the end side by side; the rule refuses all until then."""
    let_in = releases.out()
    for turn in range(kills):
        await releases.send(30)
        process = await releases.host(order[turn % 2])
        await releases.all_read()
        await stop(process)
    assert {"1", "2"} == {one["format"] for one in await releases.dead_letters()}
    first, *others = [await releases.host(order[0])]
    releases.azure.ingestion.publishers |= let_in
    jobs = {release: await releases.do(release, "submit", "replay") for release in order}
    if order[0] == THIS:  # whose host hands the later release's job back for minutes
        await releases.do(LATER, "work", jobs[LATER])
    others.append(await releases.host(order[1]))
    known = {f"a{number}" for number in range(releases.sent)}

    async def all_stored() -> bool:
        """What met the refusals last is due only after minutes: an operator asks for a replay, which takes all."""
        for release in order:
            await releases.do(release, "replay")
        return releases.stored() == known and not await releases.dead_letters()

    async def all_done() -> bool:
        states = await releases.do(LATER, "jobs")
        return {states[job][0] for job in jobs.values()} == {"succeeded"}

    await eventually(all_stored, 300)
    await eventually(all_done, 60)
    await stop(first, *others)
    ended = {"Succeeded", "Partial"}
    outcomes = await releases.do(LATER, "runs")
    if not {outcome for outcome, _ in outcomes.values()} & ended:  # each was killed, or met the lease of one that was
        await asyncio.sleep(62)
        await releases.do(LATER, "apply")
        outcomes = await releases.do(LATER, "runs")
    assert {outcome for outcome, _ in outcomes.values()} & ended
    seen = await releases.do(THIS, "runs")
    assert seen.keys() == outcomes.keys()
    told = {run: (one, outcomes[run][0]) for run, (one, _) in seen.items()}
    assert {run: both for run, both in told.items() if both[0] not in {both[1], "Unreadable"}} == {}
    assert all(NEXT in why for outcome, why in seen.values() if outcome == "Unreadable")
    written = Counter(path for method, path in puts(releases) if method == "PUT")
    assert written, "the exports were created"
    assert set(written.values()) == {1}, "by one writer, once each"
    assert not [path for method, path in puts(releases) if method == "DELETE"]


def puts(releases: Releases) -> list[tuple[str, str]]:
    """The writes of automations, each as method and path."""
    asked = releases.azure.arm.requests
    return [(one.method, one.path.lower()) for one in asked if "/automations/" in one.path and one.method != "GET"]


async def test_one_hub_is_handed_from_this_release_to_the_next_and_shared(releases: Releases) -> None:
    await both_releases_on_one_hub(releases, (THIS, LATER), kills=2)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("order", [(THIS, LATER), (LATER, THIS)], ids="-".join)
async def test_ten_kills_on_one_hub_lose_nothing_in_either_order(releases: Releases, order: tuple[str, str]) -> None:
    await both_releases_on_one_hub(releases, order, kills=10)
