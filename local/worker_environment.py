"""An environment for the genuine worker: a Python that it supports, and the app's own requirements."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "requirements" / "worker.txt")
MINORS = (13,)  # azure-functions-runtime needs 3.13, and the app's own pins go no further
# pip trusts nothing else once these are set, as they are where the local certificate is trusted.
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def find_python() -> Path | None:
    """A Python on PATH or among pyenv's versions that the worker's library supports; None when there is none."""
    for minor in MINORS:
        if found := shutil.which(f"python3.{minor}"):
            candidate = Path(found)
            if _runs(candidate, minor):
                return candidate
        versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
        for folder in sorted(versions.glob(f"3.{minor}.*"), key=_patch, reverse=True):
            candidate = folder / "bin" / "python"
            if _runs(candidate, minor):
                return candidate
    return None


def prepare(python: Path, parent: Path = ROOT / ".venv-worker") -> Path:
    """The interpreter of an environment with the worker and the app's requirements, made anew when these change.

    Raises:
        subprocess.CalledProcessError: the packages could not be installed.
    """
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in REQUIREMENTS)).hexdigest()[:16]
    folder, done = parent / digest, parent / digest / ".installed"
    interpreter = folder / "bin" / "python"
    with _alone(parent.parent / ".cache" / f"{parent.name}.lock"):
        if not done.exists():
            shutil.rmtree(parent, ignore_errors=True)
            _install(python, folder)
            done.touch()
    return interpreter


def _install(python: Path, folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in TRUST}
    subprocess.run([str(python), "-m", "venv", str(folder)], check=True, env=environment)  # noqa: S603 - no shell
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "-r", str(REQUIREMENTS[-1])], check=True, env=environment)  # noqa: S603 - our own pins


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time: both workers of a test run ask for the same environment."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _runs(python: Path, minor: int) -> bool:
    if not python.exists():
        return False
    check = f"import sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([str(python), "-c", check], check=False, capture_output=True).returncode == 0  # noqa: S603


def _patch(folder: Path) -> int:
    return int((re.findall(r"\d+", folder.name) or ["0"])[-1])
