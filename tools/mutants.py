"""Mutation testing of the pure core: change one thing at a time in a copy, and see whether a unit test notices.

mutmut makes and runs the mutants; this module copies the tree, so that the real one is never touched, draws a seeded
sample in each module, and prints what docs/mutation.md keeps.
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
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
AREAS: Final[Mapping[str, tuple[str, ...]]] = {
    "exports": ("sources", "evaluate", "explain", "lint", "lint_rule", "compile"),
    "reconcile": ("diff", "plan"),
    "enrich": ("pack", "records/*"),
}
"""Modules below shared/<area>."""

# Tests that read source text would see the mutants' scaffolding, and tests that watch the clock would feel its cost.
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "exports": ("check", "cli", "compile", "evaluate", "explain", "lint", "model", "properties", "reader", "sources"),
    "reconcile": ("diff", "plan", "planfile", "render"),
    "enrich": ("records", "pack", "keys", "filters"),
}
"""The unit tests that hold them, tests/unit/<area>/test_<name>.py."""


_GENERATE: Final = (
    "import pathlib, mutmut.__main__ as m; from mutmut.mutation.trampoline import set_mutant_under_test as u\n"
    "pathlib.Path('mutants').mkdir(exist_ok=True); u('mutant_generation')\n"
    "m.copy_src_dir(); m.copy_also_copy_files(); m.setup_source_paths(); m.create_mutants(1)"
)
_KILLED: Final = {
    1: "killed",
    2: "killed",
    3: "killed",
    4: "killed",
    24: "timeout",
    36: "timeout",
    152: "timeout",
    255: "timeout",
}
_TIMEOUT: Final = 36
_PATIENCE_SECONDS: Final = 300
_Z95: Final = 1.96


@dataclass(frozen=True)
class Tally:
    """One module's mutants: how many there are, how many were tried, and what became of those."""

    module: str
    population: int
    outcomes: Mapping[str, str]

    @property
    def killed(self) -> int:
        """Those that a test failed on, or that ran into the time limit."""
        return sum(outcome in {"killed", "timeout"} for outcome in self.outcomes.values())

    def survivors(self) -> list[str]:
        """The names of the others."""
        return sorted(name for name, outcome in self.outcomes.items() if outcome not in {"killed", "timeout"})


def interval(killed: int, tried: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share, from 0 to 1; everything is possible when nothing was tried."""
    if not tried:
        return 0.0, 1.0
    share, z2 = killed / tried, _Z95**2
    middle = (share + z2 / (2 * tried)) / (1 + z2 / tried)
    half = _Z95 / (1 + z2 / tried) * math.sqrt(share * (1 - share) / tried + z2 / (4 * tried**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def run(area: str, sample: int | None, seed: int, children: int, folder: Path, *, anew: bool) -> list[Tally]:
    """Try mutants of one area in `folder`, at most `sample` a module (None: all).

    What survives mutmut's own run is tried once more in a new process; with `anew` everything is tried that way alone.
    """
    _copy(folder)
    with (folder / "pyproject.toml").open("a") as file:
        file.write(_configuration(area))
    _mutmut(folder, "-c", _GENERATE)
    metas = sorted((folder / "mutants" / "shared" / area).rglob("*.py.meta"))
    names = {meta: sorted(_outcomes(meta)) for meta in metas}
    chance = random.Random(seed)  # noqa: S311 - a sample that can be drawn again
    chosen = {
        meta: chance.sample(found, min(len(found), sample or len(found))) for meta, found in names.items() if found
    }
    wanted = [name for found in chosen.values() for name in found]
    if not anew:
        _mutmut(folder, "-m", "mutmut", "run", "--max-children", str(children), *wanted)
    codes = {name: code for meta in chosen for name, code in _outcomes(meta).items()}
    if _alone(folder, area, "") != 0:
        raise SystemExit(f"the tests of {area} fail without any mutant")
    left = [name for name in wanted if codes[name] not in _KILLED]
    with ThreadPoolExecutor(children) as pool:
        codes |= dict(zip(left, pool.map(lambda name: _alone(folder, area, name), left), strict=True))
    return [_tally(meta, len(names[meta]), {name: codes[name] for name in found}) for meta, found in chosen.items()]


def _alone(folder: Path, area: str, mutant: str) -> int:
    """The exit code of the area's tests in a new process.

    mutmut forks from a process that has imported and run everything: what the core does when it is imported, or keeps
    in a cache, is done by then, and a mutant in it would survive whatever the tests say.
    """
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *_test_files(area))
    environment = os.environ | {"MUTANT_UNDER_TEST": mutant}
    try:
        return subprocess.run(
            command,
            cwd=folder / "mutants",
            check=False,
            capture_output=True,
            env=environment,
            timeout=_PATIENCE_SECONDS,
        ).returncode
    except subprocess.TimeoutExpired:
        return _TIMEOUT


def _tally(meta: Path, population: int, codes: Mapping[str, int | None]) -> Tally:
    outcomes = {name: _KILLED.get(code or 0, "survived") for name, code in codes.items()}
    parts = meta.parts[meta.parts.index("mutants") + 1 :]
    return Tally("/".join(parts).removesuffix(".meta"), population, outcomes)


def _outcomes(meta: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
    return found


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
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": _test_files(area),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return "\n".join(["", "[tool.mutmut]", *lines, "use_git_change_detection = false", "timeout_multiplier = 5.0", ""])


def _test_files(area: str) -> list[str]:
    return [f"tests/unit/{area}/test_{name}.py" for name in TESTS[area]]


def _mutmut(folder: Path, *arguments: str) -> None:
    log = folder / "mutmut.log"
    with log.open("a") as output:
        done = subprocess.run([sys.executable, *arguments], cwd=folder, check=False, stdout=output, stderr=output)
    if done.returncode:
        raise SystemExit(f"mutmut ended with {done.returncode}:\n{log.read_text()[-3000:]}")


def _differences(folder: Path, names: list[str]) -> Iterator[str]:
    for name in names:
        command = [sys.executable, "-m", "mutmut", "show", name]
        shown = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True).stdout
        yield f"{name}\n" + "\n".join(
            line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}
        )


def _print(tallies: list[Tally]) -> None:
    print("| module | mutants | sampled | killed | share | 95 % interval |\n| --- | --: | --: | --: | --: | --- |")
    for tally in tallies:
        low, high = interval(tally.killed, len(tally.outcomes))
        tried = len(tally.outcomes)
        print(
            f"| `{tally.module}` | {tally.population} | {tried} | {tally.killed} | "
            f"{tally.killed / max(tried, 1):.0%} | {low:.0%} to {high:.0%} |"
        )
    kinds = Counter(outcome for tally in tallies for outcome in tally.outcomes.values())
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))


def main() -> int:
    """Exit code 0 when at least the asked for share of the mutants tried was killed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--area", choices=AREAS, action="append", help="this area only; may be given again")
    parser.add_argument("--sample", type=int, help="mutants a module; all without it")
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="mutants at the same time")
    parser.add_argument("--anew", action="store_true", help="each mutant in a new process; slower for large samples")
    parser.add_argument("--at-least", type=float, default=0.8, help="share that must be killed")
    options = parser.parse_args()
    tallies: list[Tally] = []
    for area in options.area or AREAS:
        with tempfile.TemporaryDirectory(prefix=f"mutants-{area}-") as name:
            found = run(area, options.sample, options.seed, options.children, Path(name), anew=options.anew)
            tallies += found
            for difference in _differences(Path(name), [name for tally in found for name in tally.survivors()]):
                print(difference, end="\n\n", flush=True)
    _print(tallies)
    killed, tried = sum(tally.killed for tally in tallies), sum(len(tally.outcomes) for tally in tallies)
    return int(killed < options.at_least * tried)


if __name__ == "__main__":
    sys.exit(main())
