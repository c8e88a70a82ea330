"""This release and a next one, which writes newer formats of letters, jobs and reports, on one storage and lease."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import synthetic_tenant
from shared import __version__
from tests.integration.reconcile.world import export

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("release_driver.py")
NEXT = "2.0.0"
THIS, LATER = "this", "later"


@dataclass
class Releases:
    """Two releases on one local Azure."""

    azure: LocalAzure
    paths: Mapping[str, Path]

    async def start(self, release: str, *arguments: str) -> asyncio.subprocess.Process:
        environment = {**os.environ, **self.azure.app_settings(), "PYTHONPATH": str(self.paths[release])}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            str(DRIVER),
            *arguments,
            cwd=self.paths[release],
            env=environment,
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
    formats = folder / "shared" / "stored_format.py"
    text = formats.read_text()
    for kind in ("dead letters", "job", "run report", "baseline"):
        text, times = re.subn(rf'StoredFormat\("{kind}", 1,', f'StoredFormat("{kind}", 2,', text)
        assert times == 1, kind
    formats.write_text(text)
    version = folder / "shared" / "__init__.py"
    version.write_text(version.read_text().replace(__version__, NEXT))
    return folder


@pytest.fixture
async def releases(local_certs: Certificates, tmp_path: Path) -> AsyncIterator[Releases]:
    tenant = synthetic_tenant(1, 3, untidy=False)
    parts = ("azurite", "identity", "arm", "ingestion")
    async with LocalAzure(tmp_path / "azure", parts=parts, certificates=local_certs, tenant=tenant) as azure:
        client = azure.azurite.main.connection_string
        from azure.storage.blob.aio import BlobServiceClient

        from shared.exports.store import ExportStore

        async with BlobServiceClient.from_connection_string(client) as blobs:
            await ExportStore(blobs.get_container_client("export-configs")).put("soc", export(tenant, "soc"))
        yield Releases(azure, {THIS: ROOT, LATER: later_release(tmp_path / "later")})


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
