"""Builds the package that publishing sends: the project's folder without what .funcignore names.

`python -m tools.package FOLDER` copies it there and prints what is in it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[1]

Ignores = Callable[[str], bool]
"""Whether a file's path, relative to the root with slashes, is left out."""


def as_git(lines: Iterable[str]) -> Ignores:
    """.funcignore as azd reads it: with git's rules."""
    return GitIgnoreSpec.from_lines(lines).match_file


def as_core_tools(lines: Iterable[str]) -> Ignores:
    """.funcignore as `func` reads it: each line is the beginning of a path from the root (its GitIgnoreParser)."""
    patterns = [line.strip().removeprefix("/") for line in lines if line.strip() and not line.startswith("#")]
    wildcards = {r"\*\*": ".+", r"\*": "[^/]+"}
    translated = [re.sub(r"(\\\*){1,2}", lambda found: wildcards[found[0]], re.escape(line)) for line in patterns]
    return lambda path: re.match("|".join(translated), path) is not None


def contents(root: Path = ROOT, read: Callable[[Iterable[str]], Ignores] = as_core_tools) -> Iterator[str]:
    """Paths of the files to publish, relative to `root`."""
    ignored = read((root / ".funcignore").read_text().splitlines())
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        # Every file of an environment would be asked for one by one; nothing that begins with a dot is published.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        yield from (path for name in sorted(files) if not ignored(path := (here / name).as_posix()))


def build(destination: Path, root: Path = ROOT) -> list[str]:
    """Copy the package to `destination` and return what is in it."""
    found = list(contents(root))
    for path in found:
        (destination / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, destination / path)
    return found


if __name__ == "__main__":
    for included in build(Path(sys.argv[1])):
        print(included)
