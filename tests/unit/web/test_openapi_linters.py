"""What the field's linters say of the document: nothing, but that `health` has no refusal (see the ignore file)."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LINTERS = {
    "redocly, recommended": ["redocly", "lint", "docs/openapi.json", "--format", "json"],
    "spectral, oas": ["spectral", "lint", "docs/openapi.json", "--fail-severity", "hint"],
}


@pytest.mark.slow
@pytest.mark.parametrize("linter", LINTERS)
def test_finds_nothing(linter: str) -> None:
    program, *arguments = LINTERS[linter]
    done = subprocess.run(
        [str(ROOT / "node_modules" / ".bin" / program), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if program == "redocly":
        totals = json.loads(done.stdout)["totals"]
        assert totals == {"errors": 0, "warnings": 0, "ignored": 1}


def test_one_finding_alone_is_ignored() -> None:
    lines = (ROOT / ".redocly.lint-ignore.yaml").read_text().splitlines()
    assert [line.strip() for line in lines if not line.startswith("#")] == [
        "docs/openapi.json:",
        "operation-4xx-response:",
        "- '#/paths/~1api~1health/get/responses'",
    ]
