"""Events to rows on the local Azure, beside the official client receiving alone: `python -m benchmarks.bench_delivery`.

Three contestants, each in a process of its own, against the same emulators on the same cores: the genuine Event Hubs
client that receives and does nothing; the Functions host with `function_app.py`, from hub to table; and the handler
`enrich_records` by itself, called with batches as the worker makes them, in turns with the stock way
(`benchmarks.alternatives`): a ratio of one run, which says the same on any machine.

Of the host's process only the handler is ours: the rest is the local host in Python, which receives, makes messages
for the trigger and keeps checkpoints.  In Azure that is the Functions host, a process of its own in .NET.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.budgets import Budget

if TYPE_CHECKING:
    from local.stack import LocalAzure

ROOT = Path(__file__).resolve().parents[1]
HUB = "defender-export"
PARTITIONS = 4
BATCH = 1_000
BESIDE_STOCK = 2.5
"""Times the CPU of `enrich_records`, event in to body accepted, that the stock way takes for the same batches.

Neither with its decoding of the batch; `bench_invocation` has the whole beside the whole.
"""
MEMORY_BUDGET = 30.0
"""MiB that the host's memory may differ between the second and the last fifth of the records."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> float:
    """Resident MiB of a process now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20


async def fill(azure: LocalAzure, count: int) -> int:
    """Send generated events of every kind; return how many different readable ones there are."""
    from azure.eventhub import EventData
    from azure.eventhub.aio import EventHubProducerClient

    from local.records import generate

    different = set()
    connection = azure.broker.connection_string
    async with EventHubProducerClient.from_connection_string(connection, eventhub_name=HUB) as producer:
        batches = {str(number): await producer.create_batch(partition_id=str(number)) for number in range(PARTITIONS)}
        for number, event in enumerate(generate(1, [], count)):
            if event.fault != "bad":
                different.add(hash(event.body))
            partition = str(number % PARTITIONS)
            try:
                batches[partition].add(EventData(event.body))
            except ValueError:
                await producer.send_batch(batches[partition])
                batches[partition] = await producer.create_batch(partition_id=partition)
                batches[partition].add(EventData(event.body))
        for batch in batches.values():
            await producer.send_batch(batch)
    return len(different)


async def receive(count: int) -> dict[str, float]:
    """The official client alone."""
    from azure.eventhub.aio import EventHubConsumerClient

    from shared.settings import Settings

    received = 0
    done = asyncio.Event()
    began = 0.0

    async def take(_: Any, events: Sequence[Any]) -> None:
        nonlocal received, began
        began = began or time.perf_counter()
        received += len(events)
        if received >= count:
            done.set()

    connection = Settings.load().event_hub_connection
    async with EventHubConsumerClient.from_connection_string(connection, "$Default", eventhub_name=HUB) as client:
        task = asyncio.create_task(
            client.receive_batch(take, max_batch_size=BATCH, prefetch=2 * BATCH, starting_position="-1")
        )
        await done.wait()
        seconds, cpu = time.perf_counter() - began, time.process_time()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return {"seconds": seconds, "cpu": cpu, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def trigger_batches(count: int) -> Iterator[Any]:
    """Batches as the worker makes them from what the host sends."""
    from types import SimpleNamespace

    from azure.functions.eventhub import EventHubTriggerConverter
    from azure.functions.meta import Datum

    from local.records import generate

    events = generate(2, [], count, bad=0)
    enqueued = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for start in range(0, count, BATCH):
        bodies = [event.body for _, event in zip(range(BATCH), events, strict=False)]
        system = [
            {"SequenceNumber": start + n, "Offset": str(n), "PartitionKey": None, "EnqueuedTimeUtc": enqueued}
            for n in range(len(bodies))
        ]
        metadata = {
            "SystemPropertiesArray": Datum(json.dumps(system), "json"),
            "PartitionContext": Datum('{"PartitionId": "0"}', "json"),
        }
        yield EventHubTriggerConverter.decode(
            Datum(SimpleNamespace(bytes=bodies), "collection_bytes"), trigger_metadata=metadata
        )


async def handle(count: int) -> dict[str, float]:
    """The handler alone: CPU time from events in to bodies accepted, on every thread of the process.

    Each batch goes through twice: the first time brings its resources into the context's cache, as a day's traffic
    does.  The median over batches leaves out the odd one that a busy machine slowed down.
    """
    import function_app
    from benchmarks.alternatives import Stock
    from shared.bootstrap import services

    functions = {each.get_function_name(): each for each in function_app.app.get_functions()}
    handler = functions["enrich_records"].get_user_function()
    batches = list(trigger_batches(count))
    for batch in batches:
        await handler(batch)
    found: dict[str, list[float]] = {"cpu": [], "stock": []}
    ways = {"cpu": handler, "stock": Stock(whole=False).run}
    for batch in batches:
        for name, way in ways.items():
            cpu = time.process_time()
            await way(batch)
            found[name].append((time.process_time() - cpu) / len(batch) * 1e6)
    await services().close()
    return {name: statistics.median(costs) for name, costs in found.items()}


def contestant(name: str, count: int, environment: Mapping[str, str]) -> dict[str, float]:
    """What one contestant says of itself."""
    command = [sys.executable, "-m", "benchmarks.bench_delivery", "--contest", name, "--records", str(count)]
    done = subprocess.run(  # noqa: S603 # our own program
        command, env={**os.environ, **environment}, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


@asynccontextmanager
async def host(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[int]:
    """The Functions host with only the data plane's triggers, by its process id."""
    others = ("reconcile_exports", "check_freshness", "run_job", "retry_dead_letters")
    off = {f"AzureWebJobs.{name}.Disabled": "true" for name in others}
    command = ["-m", "local.host", "--app", str(ROOT / "function_app.py"), "--no-timers"]
    with (folder / "host.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            env={**os.environ, **environment, **off},
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        try:
            if process.stdout:
                await process.stdout.readline()
            yield process.pid
        finally:
            process.terminate()
            await process.wait()


async def deliver(azure: LocalAzure, folder: Path, count: int) -> dict[str, float]:
    """From hub to table, watched from outside."""
    from collections import Counter

    accounted = Counter[str]()
    samples: list[tuple[int, float]] = []
    async with host(folder, azure.app_settings()) as pid:
        idle, began = cpu_seconds(pid), time.perf_counter()
        deadline = began + 600
        while time.perf_counter() < deadline:
            await asyncio.sleep(0.25)
            accounted["rows"] = azure.ingestion.rows
            samples.append((accounted["rows"], memory(pid)))
            if accounted["rows"] >= count * 0.98:
                accounted["dead"] = await dead_letters(azure)
                if accounted.total() >= count:
                    break
        seconds, cpu = time.perf_counter() - began, cpu_seconds(pid) - idle
    early = [used for rows, used in samples if 0.2 * count <= rows <= 0.4 * count]
    late = [used for rows, used in samples if rows >= 0.8 * count]
    return {
        **accounted,
        "seconds": seconds,
        "cpu": cpu,
        "memory": max(used for _, used in samples),
        "growth": (max(late) - max(early)) if early and late else 0.0,
    }


async def dead_letters(azure: LocalAzure) -> int:
    """How many dead letters there are."""
    from shared.azure.clients import Clients
    from shared.clock import Clock
    from shared.enrich.invocation.pipeline_factory import dead_letters as store
    from shared.settings import Settings

    settings = Settings.load(azure.app_settings())
    clients = Clients(settings)
    try:
        return sum([blob.letters async for blob in store(settings, clients, Clock()).find()])
    finally:
        await clients.close()


@asynccontextmanager
async def local_azure(folder: Path) -> AsyncIterator[LocalAzure]:
    """The emulators, with this process trusting them and having their identity."""
    from local.certs import Certificates

    certificates = Certificates(folder / "certificates")
    os.environ.update(certificates.environment())  # before aiohttp is imported
    from local.stack import LocalAzure

    async with LocalAzure(folder / "azure", certificates=certificates, partitions=PARTITIONS) as azure:
        os.environ.update(azure.app_settings())
        yield azure


async def compare(count: int) -> int:
    """Print the comparison; 1 when a budget is missed or a record unaccounted for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with local_azure(folder) as azure:
            different = await fill(azure, count)
            settings = azure.app_settings()
            alone = await asyncio.to_thread(contestant, "receive", count, settings)
            whole = await deliver(azure, folder, count)
            await azure.workspace.flush()
            keys = await distinct_keys(azure)
            azure.ingestion.stored.clear()
            handler = await asyncio.to_thread(contestant, "handle", min(count, 40_000), settings)
    print(f"{count:,} records of every kind, from Event Hubs to tables, on {os.cpu_count()} cores with the emulators")
    print(f"  {'':34}{'official client alone':>22}{'enrich_records':>18}")
    print(f"  {'records/s':34}{count / alone['seconds']:22,.0f}{count / whole['seconds']:18,.0f}")
    print(
        f"  {'CPU us/record, whole process':34}{alone['cpu'] / count * 1e6:22,.1f}{whole['cpu'] / count * 1e6:18,.1f}"
    )
    print(f"  {'of which ours, the handler':34}{'':22}{handler['cpu']:18,.1f}")
    print(f"  {'peak memory, MiB':34}{alone['memory']:22,.0f}{whole['memory']:18,.0f}")
    print(f"  {'the stock way, for the same':34}{'':22}{handler['stock']:18,.1f}")
    beside = handler["stock"] / handler["cpu"]
    checks = [
        Budget(
            "enrich_records beside the stock way, neither with decoding",
            f"{beside:.1f}x",
            f"at least {BESIDE_STOCK:g}x",
            beside >= BESIDE_STOCK,
        ),
        Budget(
            "memory while it runs", f"{whole['growth']:.0f} MiB", f"{MEMORY_BUDGET:g}", whole["growth"] <= MEMORY_BUDGET
        ),
        Budget(
            "rows and dead letters",
            f"{whole['rows']:,} + {whole['dead']:,}",
            f"at least {count:,}",
            whole["rows"] + whole["dead"] >= count,
        ),
        Budget("distinct RecordKeys", f"{keys:,}", f"{different:,} different records", keys == different),
    ]
    for check in checks:
        print(check.line())
    return int(not all(check.met for check in checks))


async def distinct_keys(azure: LocalAzure) -> int:
    """RecordKeys in the tables of records."""
    from shared.enrich.tables import TABLES

    total = 0
    for table in TABLES:
        if table.holds_records:
            query = f"SELECT count(DISTINCT RecordKey) FROM {table.name}"  # noqa: S608 # our own names
            total += (await azure.workspace.sql(query)).rows[0][0]
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or be one of the contestants."""
    options = argparse.ArgumentParser(prog="bench_delivery", description=__doc__.partition("\n")[0])
    options.add_argument("--records", type=int, default=100_000)
    options.add_argument("--contest", choices=("receive", "handle"), help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.contest:
        contest = {"receive": receive, "handle": handle}[chosen.contest]
        print(json.dumps(asyncio.run(contest(chosen.records))))
        return 0
    return asyncio.run(compare(chosen.records))


if __name__ == "__main__":
    sys.exit(main())
