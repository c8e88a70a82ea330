"""A cold start: what a process just started pays, beside `import azure.functions`: `python -m benchmarks.bench_start`.

Each step has a process of its own, in turns, and what is compared is the least CPU time from the start of the process
to the end of the step: the import of `function_app`, the first event to its row, the first HTTP answer that reads
storage, the first tick of the timer in plan mode over a tenant of 40 subscriptions.  Services are the local Azure.
`--beside FOLDER` measures another checkout in the same turns; then no step may cost more than it does there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench_delivery import local_azure
from benchmarks.budgets import Budget

ROOT = Path(__file__).resolve().parent.parent
RATIO = 1.5
NOISE = 1.05
"""What two runs of the same code differ by at most, of the least of as many rounds."""
BASE = "import azure.functions"
HANDLERS = """
import asyncio, json, time
from types import SimpleNamespace
import azure.functions as func
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum
import function_app
handlers = {each.get_function_name(): each.get_user_function() for each in function_app.app.get_functions()}
"""
EVENT = (
    HANDLERS
    + """
record = {"type": "Microsoft.Security/secureScores", "tenantId": "5c6e4337-15ba-4bdd-9772-19d30e7a269f",
          "id": "/subscriptions/00000000-0000-4000-8000-000000000001"
                "/providers/Microsoft.Security/secureScores/ascScore", "name": "ascScore",
          "properties": {"score": {"max": 50, "current": 20.5, "percentage": 0.41}, "weight": 100}}
system = [{"SequenceNumber": 1, "Offset": "1", "PartitionKey": None, "EnqueuedTimeUtc": "2026-11-22T10:00:00.992"}]
metadata = {"SystemPropertiesArray": Datum(json.dumps(system), "json"),
            "PartitionContext": Datum('{"PartitionId": "0"}', "json")}
batch = Datum(SimpleNamespace(bytes=[json.dumps(record).encode()]), "collection_bytes")
asyncio.run(handlers["enrich_records"](EventHubTriggerConverter.decode(batch, trigger_metadata=metadata)))
"""
)
HTTP = (
    HANDLERS
    + """
request = func.HttpRequest("GET", "https://localhost/api/exports", headers={}, params={}, route_params={}, body=b"")
answer = asyncio.run(handlers["list_exports"](request))
assert answer.status_code == 200, answer.get_body()
"""
)
TICK = (
    HANDLERS
    + """
asyncio.run(handlers["reconcile_exports"](None))
"""
)
STEPS = {
    "import function_app": "import function_app",
    "first event to row": EVENT,
    "first HTTP answer": HTTP,
    "first tick": TICK,
}


def seconds(code: str, root: Path) -> float:
    """CPU time of a process that runs `code` in a checkout, until the code has ended."""
    said = subprocess.run(  # noqa: S603 # our own
        [sys.executable, "-c", f"import time\n{code}\nprint(time.process_time())"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return float(said.stdout.splitlines()[-1])


def measure(rounds: int, beside: Path | None) -> dict[tuple[str, str], float]:
    """The least of each step, here and beside."""
    least: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for name, code in {BASE: BASE, **STEPS}.items():
            for where, root in (("here", ROOT), ("beside", beside)):
                if root is not None and (name != BASE or where == "here"):
                    taken = seconds(code, root)
                    least[name, where] = min(taken, least.get((name, where), taken))
    return least


async def compare(rounds: int, beside: Path | None) -> dict[tuple[str, str], float]:
    """Measure against the local Azure."""
    with tempfile.TemporaryDirectory() as name:
        async with local_azure(Path(name)):
            return await asyncio.to_thread(measure, rounds, beside)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when a budget is missed."""
    options = argparse.ArgumentParser(prog="bench_start", description=__doc__.partition("\n")[0])
    options.add_argument("--short", action="store_true", help="few rounds")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--beside", type=Path, help="another checkout of this project")
    chosen = options.parse_args(arguments)
    least = asyncio.run(compare(2 if chosen.short else chosen.rounds, chosen.beside))
    base = least[BASE, "here"]
    print(f"  {BASE:24}{base * 1e3:8.0f} ms of CPU, with the start of the interpreter")
    budgets = []
    for name in STEPS:
        here, there = least[name, "here"], least.get((name, "beside"))
        known = f", beside {there * 1e3:,.0f} ms ({there / base:.2f}x)" if there else ""
        print(f"  {name:24}{here * 1e3:8.0f} ms ({here / base:.2f}x{known})")
        if there:
            ratio = here / there
            budgets.append(Budget(f"{name} beside {chosen.beside.name}", f"{ratio:.2f}x", "1x", ratio <= NOISE))
    ratio = least["import function_app", "here"] / base
    budgets.append(Budget("cold start beside the programming model's", f"{ratio:.2f}x", f"{RATIO:g}x", ratio <= RATIO))
    for budget in budgets:
        print(budget.line())
    return int(not all(budget.met for budget in budgets))


if __name__ == "__main__":
    sys.exit(main())
