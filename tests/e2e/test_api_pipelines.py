"""The pipeline samples, step by step against the running app; `gh` and `curl` are stand-ins that record."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.app import ROOT
from tests.e2e.api import Api

PIPELINES = ROOT / "docs" / "pipelines"
SOUND = "managementGroups: [contoso-prod-corp]"
RECORD = """#!/bin/sh
printf '%s\\n' "$@" > "$RECORDS/{name}.arguments"
for argument; do if test -f "$argument"; then cp "$argument" "$RECORDS/{name}.file"; fi; done
{more}
"""


@pytest.fixture
def folder(api: Api, tmp_path: Path) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {
        "gh": RECORD.format(name="gh", more=""),
        "curl": RECORD.format(name="curl", more='cat > "$RECORDS/curl.sent"'),
        "pip": RECORD.format(name="pip", more=""),
        "defender-export": f'#!/bin/sh\nexec {sys.executable} -m shared.cli "$@"\n',
    }
    for name, text in scripts.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "soc.yaml").write_text(api.export("soc", scope=SOUND))
    return tmp_path


def run(api: Api, folder: Path, script: str, **more: str) -> None:
    environment = {
        "PATH": f"{folder / 'tools'}:{os.environ['PATH']}", "HOME": str(folder), "PYTHONPATH": str(ROOT),
        "RECORDS": str(folder), "DEFENDER_EXPORT_URL": api.url, "DEFENDER_EXPORT_KEY": api.key,
    }  # fmt: skip
    done = subprocess.run(
        ["/bin/bash", "-eo", "pipefail", "-c", script], cwd=folder, env=environment | more, capture_output=True,
        text=True, check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def is_plan(text: str) -> bool:
    return text.startswith("### Defender Export plan: ") and "files new: soc" in text and len(text) < 60_000


def test_github_comments_the_plan_of_a_pull_request_and_pushes_on_merge(api: Api, folder: Path) -> None:
    jobs = yaml.safe_load((PIPELINES / "github-actions.yml").read_text())["jobs"]
    for step in (step for step in jobs["plan"]["steps"] if "run" in step):
        run(api, folder, step["run"], NUMBER="7")
    assert (folder / "gh.arguments").read_text().split() == [
        "pr", "comment", "7", "--edit-last", "--create-if-none", "--body-file", "plan.md"
    ]  # fmt: skip
    assert is_plan((folder / "gh.file").read_text())
    assert api.call("GET", "/api/exports").json()["value"] == []
    for step in (step for step in jobs["push"]["steps"] if "run" in step):
        run(api, folder, step["run"])
    assert [entry["name"] for entry in api.call("GET", "/api/exports").json()["value"]] == ["soc"]
    api.call("DELETE", "/api/exports/soc")


@pytest.mark.skipif(shutil.which("jq") is None, reason="the sample uses jq, which is not here")
def test_azure_pipelines_do_the_same(api: Api, folder: Path) -> None:
    plan, push = yaml.safe_load((PIPELINES / "azure-pipelines.yml").read_text())["stages"]
    for script in scripts(plan["jobs"][0]["steps"]):
        run(api, folder, script, TOKEN="t")
    sent = json.loads((folder / "curl.sent").read_text())
    assert is_plan(sent["comments"][0]["content"])
    given = (folder / "curl.arguments").read_text()
    assert "Authorization: Bearer t" in given
    assert "/pullRequests/" in given
    assert api.call("GET", "/api/exports").json()["value"] == []
    for script in scripts(push["jobs"][0]["strategy"]["runOnce"]["deploy"]["steps"]):
        run(api, folder, script)
    assert [entry["name"] for entry in api.call("GET", "/api/exports").json()["value"]] == ["soc"]
    api.call("DELETE", "/api/exports/soc")


def scripts(steps: list[dict[str, Any]]) -> list[str]:
    """The scripts of a job; each macro is replaced by its own name, as the agent does by its value."""
    found = [step.get("script") or step.get("inputs", {}).get("inlineScript") for step in steps]
    return [re.sub(r"\$\(([\w.]+)\)", r"\1", script) for script in found if script]
