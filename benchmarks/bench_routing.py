"""What routes cost: `python -m benchmarks.bench_routing`.

The pipeline from events to bodies accepted over TLS by the local Logs Ingestion, by one process that takes its turns on
the same batches: without routes, with rules that send nothing elsewhere, with one that sends a half elsewhere, and with
one that copies all.  CPU time of that process on all its threads; a second place means a second body and request.
There is no budget: off, nothing of it runs.
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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bench_delivery import BATCH, ROOT, local_azure

RULES = 100
"""By group and tag, none of which a record meets: the longest way through a file."""
OFF = "without routes"


def rules() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The files that are compared, by what they do."""
    unmet = [
        {"name": f"unit-{number}", "managementGroups": [f"unit-{number}"], "subscriptionTags": {"unit": ["none"]}}
        for number in range(RULES)
    ]
    missing = [{**rule, "instead": ["other"]} for rule in unmet]
    half = {"name": "half", "kinds": ["Assessment", "SecureScore"], "instead": ["other"]}
    return {
        f"{RULES} rules that no row meets": missing,
        "some kinds elsewhere": [*missing, half],
        "a copy of all": [*missing, {"name": "all", "also": ["other"]}],
    }


async def measure(records: int, rounds: int, place: Mapping[str, str], folder: Path) -> dict[str, list[float]]:
    """Microseconds of CPU a record, by what the file does, one figure a batch; and milliseconds of the first load."""
    import yaml

    from local.records import generate
    from shared.bootstrap import Services
    from shared.enrich.records.model import Event
    from shared.settings import Settings

    settings = Settings.load()
    contestants = {OFF: Services(settings)}
    for number, (what, listed) in enumerate(rules().items()):
        path = folder / f"routes-{number}.yaml"
        path.write_text(
            yaml.safe_dump({"version": 1, "places": [{"name": "other", "rule": dict(place)}], "rules": listed})
        )
        contestants[what] = Services(replace(settings, routes_file=str(path)))
    found: dict[str, list[float]] = {}
    for services in contestants.values():
        if services.pipeline.routed is not None:
            began = time.process_time()
            await services.pipeline.routed.load()
            found.setdefault("loading a file, ms", []).append((time.process_time() - began) * 1e3)
    now = datetime.now(UTC)
    events = [Event(event.body, now, "0", number) for number, event in enumerate(generate(2, [], records, bad=0))]
    batches = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
    for turn in range(rounds + 1):
        for batch in batches:
            for what, services in contestants.items():
                began = time.process_time()
                summary = await services.pipeline.run(batch)
                if turn:  # the first turn brings the resources into each context's cache
                    found.setdefault(what, []).append((time.process_time() - began) / len(batch) * 1e6)
                if summary.letters:
                    raise RuntimeError(f"{what}: {dict(summary.letters)}")
    for services in contestants.values():
        await services.close()
    return found


async def compare(records: int, rounds: int) -> dict[str, list[float]]:
    """Measure in a process of its own, so that the emulators' work is not counted."""
    from local.places import further_place

    command = [sys.executable, "-m", "benchmarks.bench_routing", "--records", str(records), "--rounds", str(rounds)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            local_azure(folder) as azure,
            further_place(folder, azure.tokens, azure.certificates) as other,
        ):
            place = json.dumps({"endpoint": other.endpoint, "immutableId": other.rule_id})
            done = await asyncio.to_thread(
                subprocess.run,
                [*command, "--place", place, "--folder", name],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
    said: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the costs."""
    options = argparse.ArgumentParser(prog="bench_routing", description=__doc__.partition("\n")[0])
    options.add_argument("--records", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--place", default="", help=argparse.SUPPRESS)
    options.add_argument("--folder", default="", help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.place:
        place, folder = json.loads(chosen.place), Path(chosen.folder)
        print(json.dumps(asyncio.run(measure(chosen.records, chosen.rounds, place, folder))))
        return 0
    found = asyncio.run(compare(chosen.records, chosen.rounds))
    print("CPU, us a record: median (quartiles, number of figures)")
    for name, costs in found.items():
        low, middle, high = statistics.quantiles(costs, n=4) if len(costs) > 1 else costs * 3
        print(f"  {name:36}{middle:10,.1f} ({low:,.1f} to {high:,.1f}, {len(costs)})")
    off = statistics.median(found[OFF])
    for name in rules():
        print(f"  {name} costs {statistics.median(found[name]) - off:.1f} us a record more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
