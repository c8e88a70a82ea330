"""The three commands as people run them, signed in through the identity endpoint."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.identity import Identity
from local.tenant import APP, synthetic_tenant
from shared.cli import main
from tests.integration.reconcile.world import INSTANCE, World, export, world


@pytest.fixture
async def here(
    local_certs: Certificates, storage: StorageAccount, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with (
        world(synthetic_tenant(1, 4, untidy=False), local_certs, storage) as running,
        Identity(running.tokens, local_certs, system_assigned=APP) as identity,
    ):
        environment = identity.environment() | {
            "INSTANCE_ID": INSTANCE,
            "ARM_ENDPOINT": running.arm.endpoint,
            "ARM_AUDIENCE": running.arm.endpoint,
            "AzureWebJobsStorage": storage.connection_string,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        await running.put("soc")
        yield running


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


async def test_a_plan_is_reviewed_kept_applied_and_then_no_longer_fits(
    here: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / "plan.json")
    assert await run("plan", "--out", kept, "--detailed-exitcode") == 2
    shown = capsys.readouterr().out
    assert "+ create in 4 subscriptions (" in shown
    assert shown.endswith("Plan: 4 to create.\n")
    assert max(map(len, shown.splitlines())) <= 100
    assert "\033" not in shown
    assert here.writes() == []

    assert await run("apply", kept) == 0
    shown = capsys.readouterr().out
    assert "+ create in 4 subscriptions" in shown
    assert "Succeeded: 4 created" in shown

    assert await run("plan", "--detailed-exitcode") == 0
    assert await run("apply", kept) == 1
    assert "no longer fits" in capsys.readouterr().err

    assert await run("status", "--json") == 0
    runs = json.loads(capsys.readouterr().out)
    assert [one["outcome"] for one in runs] == ["Failed", "Succeeded"]
    assert await run("status", runs[0]["runId"]) == 0
    assert await run("status", "20260101T000000Z-none") == 1


async def test_files_are_planned_as_if_they_were_pushed_and_nothing_is_kept(
    here: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await here.put("former", content="secureScore: {controls: false}")
    await here.put("gone", content="attackPaths: {minimumRiskLevel: High}")
    assert await run("apply", "--yes") == 0
    runs, written = len(await _runs(capsys)), here.writes()
    before = {entry.name: entry.etag for entry in await here.store.list()}

    folder = tmp_path / "exports"
    folder.mkdir()
    pushed = {
        "soc": export(here.tenant, "soc", content="alerts: {minimumSeverity: High}"),
        "latter": export(here.tenant, "latter", content="secureScore: {controls: false}"),
        "extra": export(here.tenant, "extra", content="recommendations: {minimumSeverity: High}"),
        "nowhere": export(here.tenant, "nowhere", groups="no-such-group"),
    }
    for name, text in pushed.items():
        (folder / f"{name}.yaml").write_text(text)

    assert await run("plan", str(folder), "--prune", "--detailed-exitcode") == 1  # of `nowhere`
    shown = capsys.readouterr().out
    for line in (
        "files new: extra, nowhere",
        "files changed: soc",
        "files renamed: former to latter",
        "files deleted: gone",
        "! nowhere is in no subscription: it is disabled, or its scope selects none that is visible",
        "  recommendations whose severity is Critical or High",
    ):
        assert line in shown, shown
    assert "~ update in 4 subscriptions" in shown
    assert "alerts whose severity is high" in shown
    assert shown.endswith("Plan: 8 to create, 4 to update, 8 to delete.\n")
    assert max(map(len, shown.splitlines())) <= 100

    assert await run("plan", str(folder)) == 0
    kept = capsys.readouterr().out
    assert "kept (--prune plans their delete): former, gone" in kept
    assert "delete in" not in kept

    assert await run("plan", str(folder), "--prune", "--output", "json") == 0
    assert json.loads(capsys.readouterr().out)["files"]["renamed"] == {"latter": "former"}
    assert await run("plan", str(folder), "--output", "markdown") == 0
    assert "- files changed: soc" in capsys.readouterr().out

    assert {entry.name: entry.etag for entry in await here.store.list()} == before
    assert len(await _runs(capsys)) == runs
    assert here.writes() == written


async def test_files_with_mistakes_are_not_planned(
    here: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "soc.yaml").write_text("version: 1\nnmae: soc\n")
    assert await run("plan", str(tmp_path)) == 1
    told = capsys.readouterr()
    assert (told.out, "nothing was planned" in told.err, "Did you mean name?" in told.err) == ("", True, True)
    (tmp_path / "soc.yaml").write_text(export(here.tenant, "soc"))
    for wrong in (
        ["plan", "--prune"],
        ["plan", str(tmp_path), "--out", "x.json"],
        ["plan", str(tmp_path / "no-such-folder")],
    ):
        assert await run(*wrong) == 2, wrong
        assert len(capsys.readouterr().err.splitlines()) == 1


async def _runs(capsys: pytest.CaptureFixture[str]) -> list[object]:
    capsys.readouterr()
    assert await run("status", "--json", "--limit", "100") == 0
    found: list[object] = json.loads(capsys.readouterr().out)
    return found


async def test_apply_shows_the_plan_and_writes_only_after_yes(
    here: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run("apply") == 1  # nobody is there to ask
    told = capsys.readouterr()
    assert told.out.endswith("Plan: 4 to create.\n")
    assert told.err == "nothing was applied: confirm with --yes\n"
    assert await run("apply", "--json") == 2
    assert "--json can't ask" in capsys.readouterr().err

    for answer in ("no", "", "y", "YES", None):
        monkeypatch.setattr("sys.stdin", _Terminal(answer))
        assert await run("apply") == 1, answer
        assert "nothing was applied" in capsys.readouterr().err
    assert here.writes() == []

    monkeypatch.setattr("sys.stdin", _Terminal("yes"))
    assert await run("apply") == 0
    told = capsys.readouterr()
    assert "Carry this out in 4 subscriptions? Only 'yes' is accepted: " in told.out
    assert "Succeeded: 4 created" in told.out
    assert told.err == ""  # progress is for terminals

    monkeypatch.setattr("sys.stdin", _Terminal(None))
    assert await run("apply") == 0  # with nothing to write there is nothing to ask
    assert "Succeeded: 4 unchanged" in capsys.readouterr().out
    assert await run("apply", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "Succeeded"


async def test_apply_takes_no_file_that_only_looks_like_a_plan(
    here: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.json").write_text("{}")
    for more in ((), ("--yes",)):
        assert await run("apply", str(tmp_path / "plan.json"), *more) == 1
        assert "this is no plan that this version can read" in capsys.readouterr().err
    assert here.writes() == []


class _Terminal(io.StringIO):
    """Standard input of a person who gives one answer, or leaves."""

    def __init__(self, answer: str | None) -> None:
        super().__init__("" if answer is None else f"{answer}\n")

    def isatty(self) -> bool:
        return True
