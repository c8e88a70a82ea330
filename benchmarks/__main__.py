"""Every benchmark, one after the other, each in a process of its own, and one table of the budgets at the end.

python -m benchmarks [names]     those whose names contain one of these, all when none is given
python -m benchmarks --short     with few records, in about two minutes
python -m benchmarks --write     and write docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.budgets import Budget, budgets_in

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
REASONS = HERE / "missed.md"
SHORT: Mapping[str, Sequence[str]] = {
    "bench_delivery": ["--records", "4000"],
    "bench_enrich": ["--short"],
    "bench_invocation": ["--records", "3000", "--rounds", "3"],
    "bench_plan": ["--subscriptions", "500"],
    "bench_routing": ["--records", "3000", "--rounds", "3"],
    "bench_scale": ["--sizes", "10", "100"],
    "bench_shapes": ["--short"],
    "bench_start": ["--short"],
}
"""What makes each benchmark short."""


def run(name: str, arguments: Sequence[str]) -> tuple[str, int]:
    """Run one benchmark, showing what it prints; return that and its exit code."""
    print(f"\n{name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:  # noqa: S603 # our own
        for line in process.stdout or ():
            print(line, end="", flush=True)
            said.append(line)
    return "".join(said), process.returncode


def table(budgets: Sequence[Budget]) -> str:
    """Budget, measured and verdict, as Markdown."""
    lines = ["| what | budget | measured | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {budget.what} | {budget.budget} | {budget.measured} | {'met' if budget.met else '**missed**'} |"
        for budget in budgets
    ]
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if sys.platform == "linux" else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def page(budgets: Sequence[Budget], outputs: Mapping[str, str], *, short: bool = False) -> str:
    """`docs/benchmarks.md`."""
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    length = ", the short versions" if short else ""
    measured = f"{datetime.now(UTC):%Y-%m-%d} on {machine()}, {load}{length}"
    head = "Written by `python -m benchmarks --write`; each benchmark's docstring says what is counted on each side."
    parts = [f"# Benchmarks\n\n{head}\n\nMeasured {measured}.\n\n{table(budgets)}\n"]
    if not all(budget.met for budget in budgets) and REASONS.exists():
        parts.append(f"\n## Why budgets are missed\n\n{REASONS.read_text(encoding='utf-8').strip()}\n")
    for name, text in outputs.items():
        parts.append(f"\n## {name}\n\n```text\n{text.strip()}\n```\n")
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 1 when one misses its budget or fails."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    options.add_argument("names", nargs="*", help="parts of benchmarks' names")
    options.add_argument("--short", action="store_true")
    options.add_argument("--write", action="store_true")
    chosen = options.parse_args(arguments)
    budgets: list[Budget] = []
    outputs: dict[str, str] = {}
    failed = []
    for name in sorted(path.stem for path in HERE.glob("bench_*.py")):
        if not chosen.names or any(part in name for part in chosen.names):
            outputs[name], code = run(name, SHORT.get(name, ()) if chosen.short else ())
            budgets += budgets_in(outputs[name])
            if code:
                failed.append(name)
    print(f"\n{table(budgets)}\n\n{machine()}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"missed or failed: {', '.join(failed)}" if failed else "every budget is met")
    if chosen.write:
        PAGE.write_text(page(budgets, outputs, short=chosen.short), encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
