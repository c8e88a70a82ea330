"""What Azure will get, committed: `infra/*.json` compiled, and a snapshot beside each file of `infra/parameters/`.

`python -m tools.snapshots` writes them and prints what changed; `--check` only says what is out of date (exit code 1).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.compiler import Compiler, find

ROOT = Path(__file__).parents[1]
INFRA = ROOT / "infra"
PARAMETERS = INFRA / "parameters"
_LONGEST = 120  # characters of a value in a difference
TEMPLATES = ("main", "management-group")


@dataclass(frozen=True)
class Snapshot:
    """What one parameter file would deploy: resources by id, and outputs."""

    name: str
    resources: Mapping[str, dict[str, Any]]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """The resources of one type."""
        return [one for one in self.resources.values() if one["type"] == kind]


def parse(name: str, text: str) -> Snapshot:
    """A snapshot's text as data.

    Raises:
        ValueError: the evaluation said something, or two resources have one id.
    """
    document = json.loads(text)
    if document["diagnostics"]:
        raise ValueError(f"{name}: {document['diagnostics']}")
    resources = {one["id"]: one for one in document["predictedResources"]}
    if len(resources) != len(document["predictedResources"]):
        raise ValueError(f"{name}: two resources have one id")
    return Snapshot(name, resources)


def path_of(parameters: Path) -> Path:
    """Where the snapshot of a `.bicepparam` file lies: beside it, as `bicep snapshot` has it."""
    return parameters.with_suffix(".snapshot.json")


def parameter_files(folder: Path = PARAMETERS) -> list[Path]:
    """The project's own parameter files; `mine*.bicepparam` are a user's, and not looked at."""
    return sorted(path for path in folder.glob("*.bicepparam") if not path.name.startswith("mine"))


def committed(folder: Path = PARAMETERS) -> dict[str, Snapshot]:
    """The committed snapshots by the name of their parameter file."""
    found = [file for path in parameter_files(folder) if (file := path_of(path)).is_file()]
    return {name: parse(name, path.read_text()) for path in found if (name := path.name.removesuffix(".snapshot.json"))}


def written(compiler: Compiler, infra: Path = INFRA) -> Iterator[tuple[Path, str]]:
    """Each compiled template and each snapshot, as path and text."""
    for name in TEMPLATES:
        template = compiler.compile(infra / f"{name}.bicep").template or ""
        yield infra / f"{name}.json", template.rstrip("\n") + "\n"
    for parameters in parameter_files(infra / "parameters"):
        yield path_of(parameters), compiler.snapshot(parameters).rstrip("\n") + "\n"


def without_compiler(document: Any) -> Any:
    """A compiled template without what only says which compiler wrote it."""
    if isinstance(document, dict):
        return {key: without_compiler(value) for key, value in document.items() if key != "_generator"}
    if isinstance(document, list):
        return [without_compiler(value) for value in document]
    return document


def differences(before: str, after: str) -> list[str]:
    """What differs between two templates or snapshots, a line each: the resource, the property, both values."""
    old, new = (without_compiler(json.loads(text)) for text in (before, after))
    if "predictedResources" in old and "predictedResources" in new:
        return list(_compare(_by_id(old), _by_id(new), ""))
    return list(_compare(old, new, ""))


def _by_id(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {one["id"]: one for one in snapshot["predictedResources"]} | {"outputs": snapshot.get("outputs")}


def _compare(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            path = (
                f"{place} {key}" if place.startswith("/") and " " not in place else f"{place}.{key}" if place else key
            )
            if key not in new:
                yield f"- {path}"
            elif key not in old:
                yield f"+ {path}"
            else:
                yield from _compare(old[key], new[key], path)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _compare(one, other, f"{place}[{index}]")
    elif old != new:
        yield f"~ {place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def main(argv: list[str]) -> int:
    """Write what is out of date, or with `--check` name it."""
    found = find()
    if found is None:
        print("The Bicep compiler is needed: az bicep install, or name it in BICEP.")
        return 2
    stale = False
    with Compiler(found) as compiler:
        for path, text in written(compiler):
            before = path.read_text() if path.is_file() else "{}"
            changes = differences(before, text)
            if not changes:
                continue
            stale = True
            print(path.relative_to(ROOT), *changes[:20], sep="\n  ")
            if "--check" not in argv:
                path.write_text(text)
    return int(stale and "--check" in argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
