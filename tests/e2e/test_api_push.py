"""`defender-export push --url`: files into the store through the API, as a pipeline does it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.app import ROOT
from tests.e2e.api import Api


@pytest.fixture
def folder(api: Api, tmp_path: Path) -> Path:
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(api.export(name).replace("version", f"# {name}\nversion"))
    return tmp_path


def push(api: Api, folder: Path, *arguments: str, key: str | None = None, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli", "push", str(folder), "--url", api.url, *arguments],
        cwd=ROOT, env=os.environ | {"DEFENDER_EXPORT_KEY": api.key if key is None else key},
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def names(api: Api) -> list[str]:
    return [entry["name"] for entry in api.call("GET", "/api/exports").json()["value"]]


def test_push_creates_updates_leaves_alone_and_prunes_only_when_confirmed(api: Api, folder: Path) -> None:
    assert push(api, folder, "--dry-run") == "first: would be created\nsecond: would be created\n"
    assert push(api, folder) == "first: created\nsecond: created\n"
    (folder / "first.yaml").write_text(api.export("first", "severities: [High]"))
    assert push(api, folder) == "first: updated\nsecond: unchanged\n"
    (folder / "second.yaml").unlink()
    assert "second: would be deleted" in push(api, folder, "--prune", "--dry-run")
    assert "confirm with --yes" in push(api, folder, "--prune", code=1)
    assert names(api) == ["first", "second"]
    assert "second: deleted" in push(api, folder, "--prune", "--yes")
    assert names(api) == ["first"]
    api.call("DELETE", "/api/exports/first")


def test_push_says_why_it_was_not_let_in_and_where_it_will_not_send_a_key(api: Api, folder: Path) -> None:
    assert "answered 401" in push(api, folder, key="wrong", code=1)
    assert "give --entra with --resource" in push(api, folder, key="", code=2)
    assert "must begin with https" in push(api, folder, "--url", "http://example.org", code=2)
    assert names(api) == []


def test_push_writes_nothing_while_a_file_is_invalid(api: Api, folder: Path) -> None:
    (folder / "third.yaml").write_text("version: 1\n")
    assert "nothing was pushed" in push(api, folder, "--prune", "--yes", code=1)
    assert names(api) == []
