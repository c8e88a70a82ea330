"""Stored exports as people read them, and as files in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.cli.command_services import moment_text
from shared.cli.tables import print_table


def show_exports(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the stored exports, and the findings about them."""
    if as_json:
        print(json.dumps(document, indent=1))
        return
    wrong = {problem["name"]: problem for problem in document["problems"]}
    lines = []
    for row in document["value"]:
        problem = wrong.pop(row["name"], None)
        state = "in force" if problem is None else "an earlier version is in force" if problem["inForce"] else "invalid"
        lines.append((row["name"], moment_text(row["modified"]), state))
    if lines:
        print_table(("export", "modified", "state"), lines)
    else:
        print("no stored export: put some with `push`")
    for problem in document["problems"]:
        for finding in problem["findings"]:
            print(f"! {problem['name']}: {finding['sentence']} {finding['fix']}".rstrip())
    for finding in document["warnings"]:
        print(f"! {finding['where']}: {finding['sentence']} {finding['fix']}".rstrip())


def write_folder(folder: Path, stored: Mapping[str, bytes]) -> None:
    """Write each file that differs, and say what became of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in stored.items():
        file = folder / f"{name}.yaml"
        same = file.is_file() and file.read_bytes() == text
        if not same:
            file.write_bytes(text)
        print(f"{file}: {'unchanged' if same else 'written'}")
    for other in sorted(path for path in folder.glob("*.y*ml") if path.stem not in stored):
        print(f"{other}: is not in the store, and was left")
