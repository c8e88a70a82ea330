"""Every benchmark, one after the other, each in a process of its own, and one table of the budgets at the end.

python -m benchmarks [names]     those whose names contain one of these, all when none is given
python -m benchmarks --short     with few records, in about two minutes
python -m benchmarks --write     and write docs/benchmarks.md
python -m benchmarks --resume    without those that have been measured on the same code (.local/benchmarks)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from benchmarks.budgets import Budget, budgets_in

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
REASONS = HERE / "missed.md"
KEPT = HERE.parent / ".local" / "benchmarks"
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


@dataclass(frozen=True)
class Outcome:
    """What a benchmark printed, its exit code, and what the machine had to do besides."""

    text: str
    code: int
    when: str


def measured_code() -> str:
    """What identifies the code that is measured; empty where it is changed and not committed, or in no repository."""
    own = sorted(f"benchmarks/{path.name}" for path in HERE.glob("*.py") if path.name != Path(__file__).name)
    parts = ["shared", "local", "function_app.py", *own]
    try:
        if _git("status", "--porcelain", *parts):
            return ""
        return sha256(_git("rev-parse", *(f"HEAD:{each}" for each in parts)).encode()).hexdigest()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=HERE.parent, text=True)  # noqa: S603, S607 # our arguments


def run(name: str, arguments: Sequence[str]) -> Outcome:
    """Run one benchmark, showing what it prints."""
    print(f"\n{name}", flush=True)
    load = f", load average {os.getloadavg()[0]:.1f} before it" if hasattr(os, "getloadavg") else ""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:  # noqa: S603 # our own
        for line in process.stdout or ():
            print(line, end="", flush=True)
            said.append(line)
    return Outcome("".join(said), process.returncode, f"{datetime.now(UTC):%Y-%m-%d %H:%M}{load}")


def run_or_resume(name: str, arguments: Sequence[str], code: str, *, resume: bool) -> Outcome:
    """What is kept of this benchmark on this code, or a run of it, which is kept."""
    of = [code, *arguments]
    kept = KEPT / f"{name}.json"
    if resume and code and kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["of"] == of:
            outcome = Outcome(**found["outcome"])
            print(f"\n{name}, measured {outcome.when}\n{outcome.text}", end="", flush=True)
            return outcome
    outcome = run(name, arguments)
    if code:
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"of": of, "outcome": asdict(outcome)}), encoding="utf-8")
    return outcome


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


def page(budgets: Sequence[Budget], outcomes: Mapping[str, Outcome], *, short: bool = False) -> str:
    """`docs/benchmarks.md`."""
    length = ", the short versions" if short else ""
    measured = f"{datetime.now(UTC):%Y-%m-%d} on {machine()}{length}"
    head = "Written by `python -m benchmarks --write`; each benchmark's docstring says what is counted on each side."
    parts = [f"# Benchmarks\n\n{head}\n\nMeasured {measured}.\n\n{table(budgets)}\n"]
    if not all(budget.met for budget in budgets) and REASONS.exists():
        parts.append(f"\n## Why budgets are missed\n\n{REASONS.read_text(encoding='utf-8').strip()}\n")
    for name, outcome in outcomes.items():
        parts.append(f"\n## {name}\n\n{outcome.when}\n\n```text\n{outcome.text.strip()}\n```\n")
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 1 when one misses its budget or fails."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    options.add_argument("names", nargs="*", help="parts of benchmarks' names")
    options.add_argument("--short", action="store_true")
    options.add_argument("--write", action="store_true")
    options.add_argument("--resume", action="store_true")
    chosen = options.parse_args(arguments)
    budgets: list[Budget] = []
    outcomes: dict[str, Outcome] = {}
    failed = []
    code = measured_code()
    for name in sorted(path.stem for path in HERE.glob("bench_*.py")):
        if not chosen.names or any(part in name for part in chosen.names):
            length = SHORT.get(name, ()) if chosen.short else ()
            outcome = outcomes[name] = run_or_resume(name, length, code, resume=chosen.resume)
            budgets += budgets_in(outcome.text)
            if outcome.code:
                failed.append(name)
    print(f"\n{table(budgets)}\n\n{machine()}, {datetime.now(UTC):%Y-%m-%d}")
    if failed:
        print(f"missed or failed: {', '.join(failed)}; what is accepted, and why:\n\n{REASONS.read_text('utf-8')}")
    else:
        print("every budget is met")
    if chosen.write:
        PAGE.write_text(page(budgets, outcomes, short=chosen.short), encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
