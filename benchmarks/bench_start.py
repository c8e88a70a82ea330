"""A cold start: `import function_app` beside `import azure.functions`: `python -m benchmarks.bench_start`.

Each import has a process of its own, in turns; what is compared is the least CPU time of the import statement.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.budgets import Budget

ROOT = Path(__file__).resolve().parent.parent
RATIO = 1.5
MEASURE = "import time; began = time.process_time(); import {module}; print(time.process_time() - began)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when the budget is missed."""
    options = argparse.ArgumentParser(prog="bench_start", description=__doc__.partition("\n")[0])
    options.add_argument("--short", action="store_true", help="few rounds")
    rounds = 3 if options.parse_args(arguments).short else 15
    least = {"azure.functions": float("inf"), "function_app": float("inf")}
    for _ in range(rounds):
        for module, before in least.items():
            code = MEASURE.format(module=module)
            said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 # our own
            least[module] = min(before, float(said.stdout))
    for module, seconds in least.items():
        print(f"  import {module:16}{seconds * 1e3:8.0f} ms of CPU")
    ratio = least["function_app"] / least["azure.functions"]
    budget = Budget("cold start beside the programming model's", f"{ratio:.2f}x", f"{RATIO:g}x", ratio <= RATIO)
    print(budget.line())
    return int(not budget.met)


if __name__ == "__main__":
    sys.exit(main())
