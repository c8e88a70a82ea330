"""Runs checkov over the snapshots of `infra/` in an environment of its own, made once per content of its requirements.

A snapshot is what a deployment creates, every module and option resolved: it is given to checkov as an ARM template.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_REQUIREMENTS = _ROOT / "requirements" / "checkov.txt"
_ENVIRONMENT = _ROOT / ".venv-checkov"


_SITE_CONFIG = "a check of siteConfig, which app and authentication settings are not"
# What checkov asks for and a deployment does not have, by check and type of resource: the reason.
EXCEPTIONS = {
    ("CKV_AZURE_35", "Microsoft.Storage/storageAccounts"): (
        "privateNetworking denies; without it Flex Consumption has no fixed addresses to allow"
    ),
    ("CKV_AZURE_59", "Microsoft.Storage/storageAccounts"): (
        "privateNetworking closes the public endpoint; no key and no anonymous access opens the account in any case"
    ),
    (
        "CKV_AZURE_206",
        "Microsoft.Storage/storageAccounts",
    ): "parameter storageSku decides; zone redundancy is the default",
    ("CKV_AZURE_225", "Microsoft.Web/serverfarms"): (
        "parameter zoneRedundant decides, since not every region has zones for Flex Consumption"
    ),
    ("CKV_AZURE_78", "Microsoft.Web/sites"): (
        "Flex Consumption has no FTP, and the policies beside the app refuse its passwords"
    ),
    ("CKV_AZURE_222", "Microsoft.Web/sites"): ("runbooks and people call the API; function keys or Entra decide who"),
    ("CKV_AZURE_17", "Microsoft.Web/sites"): (
        "callers prove themselves by function key or Entra token, not by certificate"
    ),
    ("CKV_AZURE_212", "Microsoft.Web/sites"): (
        "instances follow the load; alwaysReady keeps some where a cold start matters"
    ),
    ("CKV_AZURE_213", "Microsoft.Web/sites"): (
        "Flex Consumption has no health check; an availability test may ask /api/health"
    ),
    **{
        (check, "Microsoft.Web/sites/config"): _SITE_CONFIG
        for check in (
            *("CKV_AZURE_13", "CKV_AZURE_63", "CKV_AZURE_65", "CKV_AZURE_66"),
            *("CKV_AZURE_80", "CKV_AZURE_88", "CKV_AZURE_222"),
        )
    },
}


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
    """Check every snapshot in `folder`, as ARM templates.

    Raises:
        CheckovUnavailableError: the environment can't be made.
    """
    options = ("--framework", "arm", "--skip-download", "--output", "json")
    environment = _clean_environment() | {"HOME": str(_ENVIRONMENT), "LOG_LEVEL": "ERROR"}
    with tempfile.TemporaryDirectory() as templates:
        for path in folder.glob("*.snapshot.json"):
            (Path(templates) / path.name.replace(".snapshot.", ".")).write_text(_template(path))
        command = (str(_installed()), "--directory", templates, *options)
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


def unexplained(result: Result) -> list[tuple[str, str, str]]:
    """Check, file and resource of everything that failed without one of EXCEPTIONS."""
    return [
        (one["check_id"], one["file_path"], one["resource"])
        for one in result.failed
        if (one["check_id"], one["resource"].rsplit(".", 1)[0]) not in EXCEPTIONS
    ]


def _template(snapshot: Path) -> str:
    """A snapshot as the ARM template that would create exactly its resources."""
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    resources = json.loads(snapshot.read_text())["predictedResources"]
    return json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": resources}, indent=2)


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
    outcome = scan(_ROOT / "infra" / "parameters")
    for line in unexplained(outcome):
        print(*line)
    sys.exit(bool(unexplained(outcome) or outcome.parsing_errors or outcome.crashes))
