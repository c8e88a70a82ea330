"""What scanners have to say about the app's own code and about what it is built on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.audit import AdvisoriesUnavailableError, audit

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def scan(*targets: str) -> dict[str, list[dict[str, str]]]:
    command = (sys.executable, "-m", "bandit", "--quiet", "--format", "json", "--recursive", *targets)
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    report: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return report


def test_bandit_finds_nothing_in_the_app() -> None:
    report = scan("shared", "function_app.py")
    assert report["errors"] == []
    assert report["results"] == []
    assert len(report["metrics"]) > 50  # it did read the app


def test_bandit_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import subprocess\nsubprocess.run('ls ' + name, shell=True)\n")
    assert {issue["test_id"] for issue in scan(str(tmp_path))["results"]} >= {"B602"}


def test_each_exception_names_its_check_and_gives_a_reason() -> None:
    lines = [
        line
        for path in (*(ROOT / "shared").rglob("*.py"), ROOT / "function_app.py")
        for line in path.read_text().splitlines()
        if "nosec" in line
    ]
    assert lines
    for line in lines:
        _, _, exception = line.partition("# nosec ")
        check, _, reason = exception.partition(" # ")
        assert check.startswith("B"), line
        assert len(reason) > 5, line


def test_no_requirement_has_a_known_vulnerability() -> None:
    try:
        found = audit(ROOT / "requirements.txt")
    except AdvisoriesUnavailableError as error:
        pytest.skip(f"no advisories are served here: {error}")
    assert found == ""


def test_an_audit_that_looked_nothing_up_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("no-such-distribution-of-anyone==1.0\n")
    with pytest.raises(AdvisoriesUnavailableError, match=r"\S"):
        audit(tmp_path / "requirements.txt")
