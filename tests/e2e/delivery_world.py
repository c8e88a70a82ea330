"""The whole data plane: hub, host in a process of its own, Logs Ingestion, storage; and a sender."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from local.certs import Certificates
from local.stack import LocalAzure
from shared.azure.blob_container import ChangedError
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.invocation.pipeline_factory import dead_letters
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MOST_EVENTS = 250
"""Events of an invocation: few enough that most end between two kills, whatever the weather."""
LISTENING = {"enrich_records", "retry_dead_letters"}
OTHERS = {"reconcile_exports", "check_freshness", "close_gone", "refresh_cves", "run_job"}
HUB = "defender-export"


@dataclass
class DataPlane:
    """Open to tests."""

    azure: LocalAzure
    folder: Path
    changes: Mapping[str, str]
    host: asyncio.subprocess.Process | None = None
    sent: list[tuple[str, int, bytes]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """The host's environment."""
        off = {f"AzureWebJobs.{name}.Disabled": "true" for name in OTHERS}
        return {**os.environ, **self.azure.app_settings(), **off, **self.changes}

    async def start_host(self) -> None:
        """Start the host as a process of its own; it takes its partitions by itself."""
        config = json.loads((ROOT / "host.json").read_text())
        config["extensions"]["eventHubs"] |= {"maxWaitTime": "00:00:01", "maxEventBatchSize": MOST_EVENTS}
        file = self.folder / "host.json"
        file.write_text(json.dumps(config))
        command = ["-m", "local.host", "--app", str(ROOT / "function_app.py"), "--host-file", str(file)]
        self.host = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=self._log(), env=self.settings, cwd=ROOT
        )
        assert self.host.stdout
        await asyncio.wait_for(self.host.stdout.readline(), 60)

    async def kill_host(self) -> None:
        """As kill -9."""
        if self.host and self.host.returncode is None:
            with suppress(ProcessLookupError):
                self.host.kill()
            await self.host.wait()

    def _log(self) -> int:
        return os.open(self.folder / "host.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def send(self, bodies: Sequence[bytes], partitions: int = 4) -> None:
        """Send events, partition by partition in turn, and remember where each one went."""
        producer = EventHubProducerClient.from_connection_string(self.azure.broker.connection_string, eventhub_name=HUB)
        async with producer:
            for partition in range(partitions):
                name = str(partition)
                first = len(self.azure.broker.hubs[HUB].partitions[name].events)
                own = bodies[partition::partitions]
                self.sent += [(name, first + number, body) for number, body in enumerate(own)]
                batch = await producer.create_batch(partition_id=name)
                for body in own:
                    try:
                        batch.add(EventData(body))
                    except ValueError:
                        await producer.send_batch(batch)
                        batch = await producer.create_batch(partition_id=name)
                        batch.add(EventData(body))
                await producer.send_batch(batch)

    def stored(self) -> list[dict[str, Any]]:
        """Place, key and enqueued time of every row accepted, as often as it was."""
        return [
            {
                "partition": row["PartitionId"],
                "sequence": row["SequenceNumber"],
                "key": row["RecordKey"],
                "enqueued": row["EnqueuedTime"],
            }
            for stored in list(self.azure.ingestion.stored)
            for row in json.loads(stored.body)
        ]

    async def dead(self) -> list[dict[str, Any]]:
        """Place of every dead letter."""
        settings = Settings.load(self.settings)
        clients = Clients(settings)
        try:
            store = dead_letters(settings, clients, Clock())
            letters = []
            async for blob in store.find():
                # A replay of the app may take a blob away between listing and reading.
                with contextlib.suppress(ChangedError):
                    letters += await store.read(blob.name)
        finally:
            await clients.close()
        return [{"partition": letter.partition, "sequence": letter.sequence} for letter in letters]

    async def settled(self, seconds: float) -> None:
        """Wait until every event is stored or dead, or for so long: the checker will tell."""
        wanted = {(partition, sequence) for partition, sequence, _ in self.sent}
        seen: set[tuple[str, int]] = set()
        done = 0
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            for stored in self.azure.ingestion.stored[done:]:
                seen |= {(row["PartitionId"], row["SequenceNumber"]) for row in json.loads(stored.body)}
                done += 1
            if len(wanted - seen) < len(wanted) // 10:
                dead = {(letter["partition"], letter["sequence"]) for letter in await self.dead()}
                if not wanted - seen - dead:
                    return
            await asyncio.sleep(1)


@asynccontextmanager
async def data_plane(folder: Path, certificates: Certificates, **changes: str) -> AsyncIterator[DataPlane]:
    """Everything but the host, which tests start and kill."""
    async with LocalAzure(folder / "azure", certificates=certificates) as azure:
        world = DataPlane(azure, folder, changes)
        kept = {name: os.environ.get(name) for name in azure.app_settings()}
        os.environ.update(azure.app_settings())
        try:
            yield world
        finally:
            await world.kill_host()
            for name, value in kept.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
