"""Hold the pinned requirements against published advisories, and say so where none can be had.

pip-audit answers "no known vulnerabilities" just the same when nothing was looked up; that would be a check that
passes because nothing was read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_COMMAND = (
    sys.executable,
    "-m",
    "pip_audit",
    "--progress-spinner",
    "off",
    "--no-deps",
    "--disable-pip",
    "--requirement",
)


class AdvisoriesUnavailableError(RuntimeError):
    """The advisory service does not answer, or knows none of the packages; the message is the reason."""


def audit(requirements: Path) -> str:
    """What `pip-audit --strict` finds in a file of exact pins; empty when all is well.

    Raises:
        AdvisoriesUnavailableError: not one of the packages could be looked up.
    """
    asked = _run(requirements, "--format", "json")
    try:
        dependencies: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        raise AdvisoriesUnavailableError(_last(asked.stderr)) from None
    if all("skip_reason" in dependency for dependency in dependencies):
        raise AdvisoriesUnavailableError(str(dependencies[0]["skip_reason"]) if dependencies else "no requirements")
    strict = _run(requirements, "--strict")
    return f"{strict.stdout}{strict.stderr}".strip() if strict.returncode else ""


def _run(requirements: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_COMMAND, str(requirements), *options], check=False, capture_output=True, text=True)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "pip-audit said nothing"


def main() -> int:
    """Exit code 1 when something is found; 0 when nothing is, or when no advisories are served here."""
    try:
        found = audit(_ROOT / "requirements.txt")
    except AdvisoriesUnavailableError as error:
        print(f"pip-audit skipped, no advisories are served here: {error}")
        return 0
    print(found or "pip-audit: no known vulnerabilities in requirements.txt")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
