"""Mutation testing of the pure core: change one thing at a time in a copy, and see whether a unit test notices.

mutmut makes the mutants; this module copies the tree, so that the real one is never touched, draws a seeded sample in
each module, tries each mutant in a new process, and prints what docs/mutation.md keeps.

mutmut's own runner forks from a process that has imported and run everything.  What the core does when it is imported,
or keeps in a cache, is done by then, and a mutant in it would survive whatever the tests say.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
AREAS: Final[Mapping[str, tuple[str, ...]]] = {
    "exports": ("rule_sets", "evaluator", "explain", "linter", "rule_linter", "compiler"),
    "reconcile": ("plan/automation_diff", "plan/planner"),
    "enrich": ("delivery/packing", "records/*"),
}
"""Modules below shared/<area>."""

# Tests that read source text would see the mutants' scaffolding, tests that watch the clock would feel its cost, and
# those that nest as deep as Python's stack allows would meet its calls.
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "exports": (
        *("validation", "cli", "compiler", "evaluator", "explain", "linter", "model", "properties", "yaml_reader"),
        "rule_sets",
    ),
    "reconcile": ("automation_diff", "planner", "saved_plan", "plan_render"),
    "enrich": ("parser", "typed_reader", "resource_ids", "packing", "record_key", "keep_drop_filters", "anything"),
}
"""The unit tests that hold them, tests/unit/<area>/test_<name>.py, those that notice most first."""

_GENERATE: Final = (
    "import pathlib, mutmut.__main__ as m; from mutmut.mutation.trampoline import set_mutant_under_test as u\n"
    "pathlib.Path('mutants').mkdir(exist_ok=True); u('mutant_generation')\n"
    "m.copy_src_dir(); m.copy_also_copy_files(); m.setup_source_paths(); m.create_mutants(1)"
)
_PYTEST: Final = (
    *("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
    *("--deselect", "tests/unit/enrich/test_anything.py::test_any_depth"),
    "--hypothesis-profile=ci",
)
"""Hypothesis' own profile draws the same examples each time and sets no deadline."""
_PATIENCE: Final = 5
"""A mutant may take as many times as long as no mutant does."""
_Z95: Final = 1.96


@dataclass(frozen=True)
class Tally:
    """One module's mutants: how many there are, how many were tried, and what became of those."""

    module: str
    population: int
    outcomes: Sequence[str]

    @property
    def killed(self) -> int:
        """Those that a test failed on, or that ran into the time limit."""
        return len(self.outcomes) - self.outcomes.count("survived")


def interval(killed: int, tried: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share, from 0 to 1; everything is possible when nothing was tried."""
    if not tried:
        return 0.0, 1.0
    share, z2 = killed / tried, _Z95**2
    middle = (share + z2 / (2 * tried)) / (1 + z2 / tried)
    half = _Z95 / (1 + z2 / tried) * math.sqrt(share * (1 - share) / tried + z2 / (4 * tried**2))
    return max(0.0, middle - half), min(1.0, middle + half)


class Area:
    """The mutants of one area, made in `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._tests = [f"tests/unit/{name}/test_{test}.py" for test in TESTS[name]]
        _copy(folder)
        with (folder / "pyproject.toml").open("a") as file:
            file.write(_configuration(name))
        made = self._python("-c", _GENERATE)
        if made.returncode:
            raise SystemExit(f"mutmut made no mutants of {name}:\n{made.stderr[-3000:]}")
        metas = sorted((folder / "mutants" / "shared" / name).rglob("*.py.meta"))
        found = {meta: sorted(json.loads(meta.read_text())["exit_code_by_key"]) for meta in metas}
        self.mutants = {_module(meta): names for meta, names in found.items() if names}
        """By module, their names."""

    def run(self, chosen: Mapping[str, Sequence[str]], children: int) -> list[Tally]:
        """Try the chosen mutants of each module, `children` at a time, and print those that survive."""
        began = time.monotonic()
        without = self._pytest("", None)
        if without.returncode:
            raise SystemExit(f"the tests of {self._name} fail without any mutant:\n{without.stdout[-3000:]}")
        limit = _PATIENCE * (time.monotonic() - began)
        tallies = []
        with ThreadPoolExecutor(children) as pool:
            for module, names in chosen.items():
                outcomes = list(pool.map(lambda name: self._try(name, limit), names))
                tallies.append(Tally(module, len(self.mutants[module]), outcomes))
                print(_row(tallies[-1]), flush=True)
        return tallies

    def _try(self, mutant: str, limit: float) -> str:
        try:
            if self._pytest(mutant, limit).returncode:
                return "killed"
        except subprocess.TimeoutExpired:
            return "timeout"
        shown = self._python("-m", "mutmut", "show", mutant).stdout.splitlines()
        changed = [line for line in shown if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"}]
        print("\n".join([mutant, *changed]), flush=True)
        return "survived"

    def _pytest(self, mutant: str, limit: float | None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"MUTANT_UNDER_TEST": mutant}
        return subprocess.run(
            [sys.executable, *_PYTEST, *self._tests],
            cwd=self._folder / "mutants",
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=limit,
        )

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self._folder, check=False, capture_output=True, text=True)


def _module(meta: Path) -> str:
    return "/".join(meta.parts[meta.parts.index("mutants") + 1 :]).removesuffix(".meta")


def _copy(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _configuration(area: str) -> str:
    beside = ("docs", "exports", "local", "tools", "infra", "function_app.py", "host.json")
    settings = {
        "source_paths": ["shared"],
        "only_mutate": [f"shared/{area}/{module}.py" for module in AREAS[area]],
        "also_copy": [*beside, "requirements.txt", "shared/web/page", "local.settings.sample.json"],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(["", "[tool.mutmut]", *lines, "use_git_change_detection = false", ""])


def _row(tally: Tally) -> str:
    tried = len(tally.outcomes)
    low, high = interval(tally.killed, tried)
    return (
        f"| `{tally.module}` | {tally.population} | {tried} | {tally.killed} | "
        f"{tally.killed / max(tried, 1):.0%} | {low:.0%} to {high:.0%} |"
    )


def _print(tallies: list[Tally]) -> None:
    print("\n| module | mutants | sampled | killed | share | 95 % interval |\n| --- | --: | --: | --: | --: | --- |")
    for tally in tallies:
        print(_row(tally))
    kinds = Counter(outcome for tally in tallies for outcome in tally.outcomes)
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))


def main() -> int:
    """Exit code 0 when at least the asked for share of the mutants tried was killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--area", choices=AREAS, action="append", help="this area only; may be given again")
    parser.add_argument("--only", metavar="MUTANT", action="append", help="this one, as printed; may be given again")
    parser.add_argument("--sample", type=int, help="mutants a module; all without it")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="mutants at the same time")
    parser.add_argument("--at-least", type=float, default=0.8, help="share that must be killed")
    options = parser.parse_args()
    tallies: list[Tally] = []
    for name in options.area or AREAS:
        with tempfile.TemporaryDirectory(prefix=f"mutants-{name}-") as folder:
            area = Area(name, Path(folder))
            chosen = _chosen(area.mutants, options.only, options.sample, options.seed)
            tallies += area.run(chosen, options.children)
    _print(tallies)
    killed, tried = sum(tally.killed for tally in tallies), sum(len(tally.outcomes) for tally in tallies)
    return int(killed < options.at_least * tried or not tried)


def _chosen(
    mutants: Mapping[str, Sequence[str]], only: Sequence[str] | None, sample: int | None, seed: int
) -> dict[str, list[str]]:
    """A module's mutants that are to be tried: what `only` leaves, at most `sample` of them."""
    chosen = {}
    for module, names in mutants.items():
        wanted = [name for name in names if not only or name in only]
        chance = random.Random(f"{seed} {module}")  # noqa: S311 - a sample that can be drawn again
        if wanted:
            chosen[module] = chance.sample(wanted, min(len(wanted), sample or len(wanted)))
    return chosen


if __name__ == "__main__":
    sys.exit(main())
