"""Runs checkov over `infra/` in an environment of its own, made once per content of requirements/checkov.txt."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_REQUIREMENTS = _ROOT / "requirements" / "checkov.txt"
_ENVIRONMENT = _ROOT / ".venv-checkov"


class CheckovUnavailableError(RuntimeError):
    """checkov can't be installed here; the message is pip's last line."""


@dataclass(frozen=True)
class Result:
    """What checkov found: failed and skipped checks as reported, files not read, resources read, crashed checks."""

    failed: list[dict[str, Any]]
    skipped: list[dict[str, Any]]
    parsing_errors: list[str]
    resource_count: int
    crashes: list[str]


def scan(folder: Path) -> Result:
    """Check every Bicep file below `folder`.

    Raises:
        CheckovUnavailableError: the environment can't be made.
    """
    options = ("--framework", "bicep", "--skip-download", "--output", "json")
    command = (str(_installed()), "--directory", str(folder), *options)
    environment = _clean_environment() | {"HOME": str(_ENVIRONMENT), "LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    report = json.loads(done.stdout)
    if "results" not in report:  # nothing was read at all
        return Result([], [], [], report.get("resource_count", 0), [done.stderr])
    results, summary = report["results"], report["summary"]
    return Result(
        results["failed_checks"],
        results["skipped_checks"],
        results["parsing_errors"],
        summary["resource_count"],
        [line for line in done.stderr.splitlines() if "ERROR" in line],
    )


def _installed() -> Path:
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    marker = _ENVIRONMENT / ".installed"
    with _REQUIREMENTS.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may arrive at once
        if not marker.is_file() or marker.read_text() != wanted:
            _install()
            marker.write_text(wanted)
    return _ENVIRONMENT / "bin" / "checkov"


def _install() -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT], check=True, env=_clean_environment())
    pip = [str(_ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--requirement", str(_REQUIREMENTS)],
        check=False,
        capture_output=True,
        text=True,
        env=_clean_environment(),
    )
    if done.returncode != 0:
        raise CheckovUnavailableError((done.stderr.strip().splitlines() or ["pip failed"])[-1])


def _clean_environment() -> dict[str, str]:
    """The process's environment without the local certificates, which would keep pip from its index."""
    return {name: value for name, value in os.environ.items() if name not in {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}}


if __name__ == "__main__":
    outcome = scan(_ROOT / "infra")
    for check in outcome.failed:
        print(f"{check['check_id']} {check['file_path']} {check['resource']}: {check['check_name']}")
    sys.exit(bool(outcome.failed or outcome.parsing_errors or outcome.crashes))
