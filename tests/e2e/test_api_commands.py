"""Every command as a question to the running app, by `use` alone: the shell holds no setting of the app."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.shell import Shell

SOUND = "managementGroups: [contoso-prod-corp]"
pytestmark = pytest.mark.xdist_group("api")


@pytest.fixture
def shell(api: Api, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    shell(f"use {api.url}", DEFENDER_EXPORT_KEY=api.key)
    (tmp_path / "exports").mkdir()
    yield shell
    for entry in api.call("GET", "/api/exports").json()["value"]:
        api.call("DELETE", f"/api/exports/{entry['name']}")


def test_use_keeps_what_lets_in_and_nothing_else(api: Api, shell: Shell) -> None:
    kept = shell.folder / ".config" / "defender-export" / "app.json"
    assert json.loads(kept.read_text()) == {"url": api.url, "key": api.key}
    assert kept.stat().st_mode & 0o777 == 0o600
    assert api.key not in shell("use")
    assert api.url in shell("use")
    shell(f"use {api.url}", 1, DEFENDER_EXPORT_KEY="wrong")
    assert shell.err.startswith("error: GET /api/exports answered 401: is the key right")
    shell("use http://example.org", 2)
    shell("use http://127.0.0.1:9", 1, DEFENDER_EXPORT_KEY="x")
    assert shell.err.startswith("error: http://127.0.0.1:9 does not answer")
    assert json.loads(kept.read_text())["url"] == api.url, "what does not let in is not kept"
    kept.write_text("[]")
    shell("exports list", 2)
    assert "`defender-export use URL` writes it anew" in shell.err
    assert shell("use --forget") == "forgotten\n"
    shell("exports list", 2)
    assert shell.err.startswith("error: it is not said which app: `defender-export use https://")
    assert shell(f"exports list --url {api.url}", DEFENDER_EXPORT_KEY=api.key).startswith("no stored export")


def test_files_are_planned_pushed_applied_and_deleted_through_the_app(api: Api, shell: Shell) -> None:
    file = shell.folder / "exports" / "soc.yaml"
    file.write_text(api.export("soc", scope=SOUND))
    planned = shell("plan exports/ --prune --detailed-exitcode", 2)
    assert planned.startswith("files new: soc\n")
    assert "+ create in " in planned
    assert shell("exports list").startswith("no stored export"), "what is planned is not stored"
    assert shell("plan exports/ --output markdown").startswith("### Defender Export plan: ")
    assert shell("plan exports/ --output csv").startswith("action,")
    runs = len(shell.json("runs --limit 200"))

    shell("push exports/")
    assert shell("exports list").splitlines()[1].startswith("soc")
    assert shell("exports get soc") == file.read_text()
    assert len(shell.json("runs --limit 200")) == runs, "no plan left a report"
    shell("apply", 1)
    assert shell.err == "nothing was applied: confirm with --yes\n"
    told = shell("apply --yes")
    assert "applied Succeeded: " in told
    assert max(map(len, told.splitlines())) <= 100
    assert shell("plan --detailed-exitcode").splitlines()[-1].startswith("Plan: nothing to change")
    newest = shell.json("status --limit 1")[0]
    assert newest["outcome"] == "Succeeded"
    assert "applied Succeeded" in shell(f"status {newest['runId']}")

    file.write_text(api.export("soc", "severities: [High]", SOUND))
    assert "files changed: soc" in shell("plan exports/")
    covered = shell.json("coverage --management-group contoso-prod-corp")["value"][0]
    assert "Plan: 1 to update" in shell(f"plan exports/ --subscription {covered['subscription']}")
    shell("apply --subscription nowhere-at-all --yes", 1)
    assert "error: the app sees no subscription nowhere-at-all" in shell.err

    assert "1 files" in shell("pull backup")
    shell("exports delete soc", 1)
    assert "soc: deleted" in shell("exports delete soc --yes")
    shell("exports delete soc --yes", 1)
    shell("exports get soc", 1)
    assert "the store is accepted" in shell("exports accept --yes")
    assert "Succeeded: 0 taken over" in shell("claim --yes")
    assert "delete" in shell("plan")
    for option in ("--max-deletes 100", "--accept-fewer", "--max-change-percent 100"):
        assert "delete" in shell(f"plan {option}")
        shell(f"apply {option} --yes", 1)
        assert "No function key bears the role Exports.Approve" in shell.err


def test_what_is_watched_and_asked_for_is_shown(api: Api, shell: Shell) -> None:
    (shell.folder / "soc.yaml").write_text(api.export("soc"))
    shell("push soc.yaml")
    coverage = shell("coverage")
    assert "cis-8.1.5.2: met by " in coverage
    shell("coverage --management-group nowhere", 1)
    assert "error: the app sees no management group nowhere" in shell.err
    wanted = "version: 1\nrequirements: [{name: alerts, kind: Alerts, records: [{Severity: High}]}]\n"
    (shell.folder / "wanted.yaml").write_text(wanted)
    shell("coverage --requirements wanted.yaml", 2)
    shell("freshness --now", 2)
    previewed = shell.json("preview soc")
    assert previewed["sent"] <= previewed["records"]
    assert shell("preview soc").endswith("would be sent\n")
    shell("preview soc.yaml", 2)
    job = shell.json("backfill --export soc --kind alerts --detach")["job"]
    assert f"{job}: succeeded" in shell(f"jobs show {job} --wait")
    assert job in shell("jobs list")
    assert shell(f"backfill --follow {job}").startswith("succeeded: ")
    shell("jobs show 1", 1)
    assert shell("dead-letters list") in {"no dead letters\n", shell("dead-letters list")}
    assert shell.json("dead-letters list --day 2020-01-01") == []
    assert "0 delivered" in shell("dead-letters replay --day 2020-01-01")
    shell("dead-letters show x", 2)
    assert "give --direct" in shell.err
    shell("import --out imported --adopt")
    assert list((shell.folder / "imported").glob("*.yaml"))
    shell("import --out imported", 2)
    assert "already there" in shell.err


def test_a_plan_over_the_api_refuses_what_it_does_not_mean(api: Api) -> None:
    wrong: dict[str, Any]
    for wrong in (
        {"subscriptions": []}, {"exports": "soc"}, {"files": []}, {"files": {}}, {"files": {"a": 1}}, {"prune": True},
        {"prune": "yes"}, {"output": "html"}, {"causes": ["drift"]}, {"managementGroups": [""]},
        {"maxDeletes": -3}, {"acceptFewer": 1},
    ):  # fmt: skip
        answer = api.call("POST", "/api/plan", wrong)
        assert (answer.status, answer.problem) == (400, "bad-request"), wrong
    answer = api.call("POST", "/api/plan", {"files": {"a.yaml": "version: 1\n", "b.yaml": api.export("b")}})
    assert answer.status == 422
    assert {finding["where"].partition(":")[0] for finding in answer.json()["findings"]} == {"a.yaml"}
    failing = api.export("b") + "tests: [{record: {SystemAlertId: '1', Severity: Low}, exported: true}]\n"
    answer = api.call("POST", "/api/plan", {"files": {"b.yaml": failing}})
    assert [finding["code"] for finding in answer.json()["findings"]] == ["test-failed"]
    assert api.call("GET", "/api/exports").json()["value"] == []
