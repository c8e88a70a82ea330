"""Does every pin of requirements.txt have a wheel for each Python that the project admits?

`python -m tools.wheels [3.14 ...]` asks the package index, builds nothing, and says which have none (exit code 1).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

from tools.package import ROOT

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Flex Consumption runs Linux on x86-64.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def requirements(path: Path = ROOT / "requirements.txt") -> list[Requirement]:
    """The requirements of a file, without its comments."""
    lines = (re.split(r"(?:^|\s)#", line)[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def pins(python: str, among: list[Requirement]) -> dict[str, list[str]]:
    """What holds for a Python: the specifiers by name.

    pip reads markers for the Python that runs it, whatever `--python-version` says, so they are read here.
    """
    found: dict[str, list[str]] = {}
    for one in among:
        if one.marker is None or one.marker.evaluate({"python_version": python, "python_full_version": f"{python}.0"}):
            found.setdefault(one.name.lower(), []).append(str(one.specifier))
    return found


def download(python: str, folder: Path) -> list[str]:
    """The names of the wheels of a whole set, dependencies included; raises CalledProcessError where there is none."""
    chosen = folder / "requirements.txt"
    chosen.write_text(
        "".join(f"{name}{one}\n" for name, found in pins(python, requirements()).items() for one in found)
    )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--python-version", python, "--dest", str(folder), "--requirement", str(chosen)]
    command += [part for name in PLATFORMS for part in ("--platform", name)]
    subprocess.run(command, check=True)
    return sorted(path.name for path in folder.glob("*.whl"))


def main(asked: list[str]) -> int:
    """Download each set into a folder that goes away, and say how many wheels it took."""
    missing = 0
    for python in asked or PYTHONS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"Python {python}: {len(download(python, Path(folder)))} wheels")
            except subprocess.CalledProcessError:
                print(f"Python {python}: not every pin has a wheel")
                missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
