"""Pipelines install the command line from this repository with pip: every package of the app must come along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from shared import __version__

ROOT = Path(__file__).resolve().parents[2]


def installed(folder: Path) -> Path:
    """The command line's wheel laid out in a folder, beside a foreign `shared`; gives the folder."""
    source = folder / "source"
    for name in ("shared", "defender_export"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"defender_export"}
    (site / "shared").mkdir()
    (site / "shared" / "__init__.py").write_text("raise RuntimeError('of another project')\n")
    return site


@pytest.mark.slow
def test_the_wheel_runs_beside_another_package_of_that_name(tmp_path: Path) -> None:
    site = installed(tmp_path)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(site),
        "DEFENDER_EXPORT_KEY": "x",
    }

    def run(command: str, code: int) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "defender_export", *command.split()], cwd=tmp_path, env=environment, text=True,
            capture_output=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert run("--version", 0).startswith(f"defender-export {__version__}")
    shutil.copy(ROOT / "exports" / "high-alerts-to-event-hub.yaml", tmp_path / "soc.yaml")
    assert run("validate soc.yaml", 0) == "1 file: 0 errors, 0 warnings\n"
    assert run("use --forget", 0) == "nothing was kept\n"
    assert "does not answer" in run("use http://127.0.0.1:9", 1)


def test_a_foreign_package_that_is_loaded_already_gives_way() -> None:
    code = (
        "import sys, types; sys.modules['shared'] = types.ModuleType('shared'); sys.argv = ['x', 'schema'];"
        "import defender_export; sys.exit(defender_export.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_package_of_the_app_is_found_when_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"defender-export": "defender_export:main"}
    for module in (ROOT / "shared").rglob("*.py"):
        assert (module.parent / "__init__.py").exists(), module  # what has none, is not found


def test_no_path_is_put_together_from_text() -> None:
    """What pathlib does not do, another platform does otherwise."""
    for module in (ROOT / "shared" / "cli").glob("*.py"):
        text = module.read_text(encoding="utf-8")
        assert "os.path" not in text, module
        assert "os.sep" not in text, module
