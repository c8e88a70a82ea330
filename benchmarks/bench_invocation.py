"""The whole invocation, decoding of the programming model included: `python -m benchmarks.bench_invocation`.

A batch as the worker's library gets it (a collection of bytes, metadata as the host sends it) to bodies accepted over
TLS by the local Logs Ingestion.  CPU time of one process on all its threads.  Contestants take turns on the same
batches, so each ratio comes from one run; decoding includes reading what the pipeline takes of each event, because ours
does its work there; medians are shown with their quartiles.  Events come from `local.records`.
The stand-in for the worker is the genuine converter with a plain object in the place of the protobuf message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.bench_delivery import ROOT, local_azure
from benchmarks.budgets import Budget

TIMES = {
    "no zone": "2026-11-22T10:00:00.992",
    "Z": "2026-11-22T10:00:00.123Z",
    "+00:00": "2026-11-22T10:00:00.123+00:00",
}
SIZES = (1_000, 100, 10, 1)
WHOLE, DECODING = 1.3, 1 / 8
SMALL = {100: 2.5, 10: 8.0}


def trigger(bodies: Sequence[bytes], enqueued: str) -> tuple[Any, dict[str, Any]]:
    """A batch and its metadata as the worker's library hands them to the converter."""
    from azure.functions.meta import Datum

    system = [
        {"SequenceNumber": number, "Offset": str(number), "PartitionKey": None, "EnqueuedTimeUtc": enqueued}
        for number in range(len(bodies))
    ]
    metadata = {
        "SystemPropertiesArray": Datum(json.dumps(system), "json"),
        "PartitionContext": Datum('{"PartitionId": "0"}', "json"),
    }
    return Datum(SimpleNamespace(bytes=bodies), "collection_bytes"), metadata


async def measure(records: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds of CPU a record by contestant, one figure a batch of 1,000 or run of smaller batches."""
    from azure.functions.eventhub import EventHubTriggerConverter

    own = EventHubTriggerConverter.decode_multiple_events  # before the app puts its own there
    import function_app
    from local.records import generate
    from shared.bootstrap import services
    from shared.enrich.invocation.trigger_decoding import decode
    from shared.enrich.invocation.trigger_events import from_trigger

    functions = {each.get_function_name(): each for each in function_app.app.get_functions()}
    handler = functions["enrich_records"].get_user_function()
    bodies = [event.body for event in generate(2, [], records, bad=0)]
    found: dict[str, list[float]] = {}

    def note(name: str, began: float, count: int) -> None:
        found.setdefault(name, []).append((time.process_time() - began) / count * 1e6)

    def batches(size: int) -> Iterable[list[bytes]]:
        return (bodies[start : start + size] for start in range(0, len(bodies), size))

    for each in batches(1_000):  # brings the resources into the context's cache
        await handler(own(*trigger(each, TIMES["no zone"])))
    for _ in range(rounds):
        for each in batches(1_000):
            for zone, text in TIMES.items():
                given = trigger(each, text)
                began = time.process_time()
                events = own(*given)
                from_trigger(events)
                note(f"decoding, the model's, {zone}", began, len(each))
                began = time.process_time()
                from_trigger(decode(*given))
                note(f"decoding, ours, {zone}", began, len(each))
            began = time.process_time()
            await handler(events)
            note("handler alone", began, len(each))
            given = trigger(each, TIMES["no zone"])
            began = time.process_time()
            await handler(decode(*given))
            note("whole, 1000", began, len(each))
            began = time.process_time()
            await handler(own(*given))
            note("whole, the model's decoding, 1000", began, len(each))
        for size in SIZES[1:]:
            some = [trigger(each, TIMES["no zone"]) for each in list(batches(size))[: max(10, 200 // size)]]
            began = time.process_time()
            for given in some:
                await handler(decode(*given))
            note(f"whole, {size}", began, size * len(some))
    await services().close()
    return found


async def compare(records: int, rounds: int) -> dict[str, list[float]]:
    """Measure in a process of its own, so that the emulators' work is not counted."""
    command = [sys.executable, "-m", "benchmarks.bench_invocation", "--contest"]
    with tempfile.TemporaryDirectory() as name:
        async with local_azure(Path(name)):  # sets the environment that the process inherits
            done = await asyncio.to_thread(
                subprocess.run,
                [*command, "--records", str(records), "--rounds", str(rounds)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
    said: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return said


def judge(found: dict[str, list[float]]) -> list[Budget]:
    """The budgets, each a ratio of medians of one run."""
    middle = {name: statistics.median(costs) for name, costs in found.items()}
    whole = middle["whole, 1000"] / middle["handler alone"]
    budgets = [Budget("whole beside the handler alone", f"{whole:.2f}x", f"{WHOLE:g}x", whole <= WHOLE)]
    for zone in TIMES:
        share = middle[f"decoding, ours, {zone}"] / middle[f"decoding, the model's, {zone}"]
        budgets.append(
            Budget(f"decoding beside the model's ({zone})", f"{share:.1%}", f"{DECODING:.1%}", share <= DECODING)
        )
    for size, most in SMALL.items():
        ratio = middle[f"whole, {size}"] / middle["whole, 1000"]
        budgets.append(Budget(f"batches of {size} beside 1,000", f"{ratio:.1f}x", f"{most:g}x", ratio <= most))
    return budgets


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when a budget is missed."""
    options = argparse.ArgumentParser(prog="bench_invocation", description=__doc__.partition("\n")[0])
    options.add_argument("--records", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--contest", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.contest:
        print(json.dumps(asyncio.run(measure(chosen.records, chosen.rounds))))
        return 0
    found = asyncio.run(compare(chosen.records, chosen.rounds))
    print("CPU, us a record: median (quartiles, number of figures)")
    for name, costs in found.items():
        low, middle, high = statistics.quantiles(costs, n=4)
        print(f"  {name:36}{middle:10,.1f} ({low:,.1f} to {high:,.1f}, {len(costs)})")
    budgets = judge(found)
    for budget in budgets:
        print(budget.line())
    return int(not all(budget.met for budget in budgets))


if __name__ == "__main__":
    sys.exit(main())
