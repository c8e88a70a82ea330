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
    assert shell.err.startswith("error: no subscription nowhere-at-all is visible: ")

    assert "1 files" in shell("pull backup")
    shell("exports delete soc", 1)
    assert "soc: deleted" in shell("exports delete soc --yes")
    shell("exports delete soc --yes", 1)
    shell("exports get soc", 1)
    assert "the store is accepted" in shell("exports accept --yes")
    assert "Succeeded: 0 taken over" in shell("claim --yes")
    assert "delete" in shell("plan")
    assert "delete" in shell("plan --max-deletes 100 --max-change-percent 100 --accept-fewer")
    for option in ("--max-deletes 0", "--accept-fewer"):
        shell(f"apply {option} --yes --export soc", 1)
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
    assert "would be sent\n" in shell("preview soc")
    shell("preview soc.yaml", 2)
    job = shell.json("backfill --export soc --kind alerts --detach")["job"]
    assert f"{job}: succeeded" in shell(f"jobs show {job} --wait")
    assert job in shell("jobs list")
    assert shell(f"backfill --follow {job}").startswith("succeeded: ")
    shell("jobs show 1", 1)
    waiting = api.quiet_job()
    shell(f"jobs cancel {waiting}", 1)
    assert "confirm with --yes" in shell.err
    assert shell(f"jobs cancel {waiting} --yes") == f"{waiting}: cancelled\n"
    assert f"{waiting}: cancelled" in shell(f"jobs show {waiting}")
    running = api.quiet_job(state="running", attempt=1)
    assert "its worker ends it soon" in shell(f"jobs cancel {running} --yes")
    shell(f"jobs cancel {job} --yes", 1)
    assert "its state is succeeded" in shell.err
    assert shell("dead-letters list") in {"no dead letters\n", shell("dead-letters list")}
    assert shell.json("dead-letters list --day 2020-01-01") == []
    assert "0 delivered" in shell("dead-letters replay --day 2020-01-01")
    shell("dead-letters show x", 2)
    assert "is no name of dead letters: `dead-letters list` shows them" in shell.err
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


NO_KEY = "No function key bears the role Exports.Approve: set AUTH_MODE=entra, or work with --direct. (POST /api/"
NOT_VISIBLE = "is visible: it does not exist, or this app may not read it"
# Command, what it says on standard error, exit code; `soc.yaml` and `bad.yaml` are files, `soc` is stored.
REFUSALS = [
    ("exports get nope", "error: there is no stored export nope: `exports list` shows them\n", 1),
    ("exports delete nope --yes", "error: there is no stored export nope; one whose file was lost is ended with", 1),
    ("exports delete soc", "nothing was done: confirm with --yes\n", 1),
    ("exports accept", "nothing was done: confirm with --yes\n", 1),
    ("pull soc.yaml", "error: soc.yaml: there is a file of that name: choose another\n", 2),
    ("push soc.yaml bad.yaml", "nothing was pushed: mend the files first\n", 1),
    ("push --prune --yes empty", "error: empty: no export file here\n", 2),
    ("plan --export sco", "error: there is no export named sco. Did you mean soc? (POST /api/plan answered 400)\n", 1),
    ("plan --subscription nope", f"error: no subscription nope {NOT_VISIBLE}. (POST /api/plan answered 400)\n", 1),
    ("plan soc.yaml --subscription nope", f"error: no subscription nope {NOT_VISIBLE}", 1),
    ("plan --management-group nope", "error: no visible subscription lies below the management group nope: it", 1),
    ("plan --keep", "error: the app keeps the plans of its own runs: `runs` lists them; --direct keeps this one\n", 2),
    ("plan --entra", "error: give --entra with --resource, or the function key in DEFENDER_EXPORT_KEY\n", 2),
    ("plan --url https://127.0.0.1:9", "error: give --entra with --resource, or the function key in", 2),
    (
        "plan --url http://10.0.0.1",
        "error: --url must begin with https: a key or token is sent with every request\n",
        2,
    ),
    ("apply --export nope --yes", "error: there is no export named nope. (POST /api/plan answered 400)\n", 1),
    ("apply --max-deletes 5 --yes", f"error: {NO_KEY}jobs answered 403)\n", 1),
    ("apply object.json", "error: this is no plan that this version can read\n", 1),
    ("apply list.json", "error: list.json is no plan: `plan --out FILE` writes one\n", 2),
    ("approve nope", f"error: {NO_KEY}approvals answered 403)\n", 1),
    (
        "status nope",
        "error: There is no run of this id; `GET /api/runs` lists them. (GET /api/runs/nope answered 404)",
        1,
    ),
    ("status ../x", "error: GET /api/runs/..%2Fx answered 404: is this the app's address", 1),
    ("coverage --subscription nope", "error: the app sees no subscription nope.", 1),
    ("coverage --management-group nope", "error: the app sees no management group nope.", 1),
    ("coverage --requirements bad.yaml", "error: bad.yaml:", 1),
    ("freshness --now", "error: the app's timer checks; a check of another time or right now needs `freshness --di", 2),
    ("preview nope", "error: There is no export 'nope' that the app can see. (POST /api/jobs answered 404)\n", 1),
    ("preview soc.yaml", "error: a file is previewed by `preview --direct FILE`; through the app, a stored export", 2),
    ("backfill --export nope", "error: There is no export 'nope' that the app can see.", 1),
    ("backfill --follow nope", "error: There is no job of this id. (GET /api/jobs/nope answered 404)\n", 1),
    ("backfill --subscription nope", "error: the app sees no subscription nope.", 1),
    ("jobs cancel nope --yes", "error: There is no job of this id. (POST /api/jobs/nope/cancel answered 404)\n", 1),
    ("jobs show nope", "error: There is no job of this id. (GET /api/jobs/nope answered 404)\n", 1),
    ("dead-letters show 2026-11-20/outage/hub/x.ndjson.gz", "error: No function key bears the role Records.Read", 1),
    ("shapes --from oversize --day 2026-11-20", "error: No function key bears the role Records.Read", 1),
    ("dead-letters discard 2026-11-20/outage/hub/x.ndjson.gz", "nothing was done: confirm with --yes\n", 1),
    ("dead-letters replay --reason a/b", "error: 'reason' must be a dead letter's reason (POST /api/jobs answered", 1),
    ("import --subscription nope", f"error: no subscription nope {NOT_VISIBLE}", 1),
    ("import --management-group nope", "error: no visible subscription lies below the management group nope: it", 1),
    ("claim", "nothing was done: confirm with --yes\n", 1),
    ("claim --former a/b --yes", "error: 'formerInstance' must be an instance's id (POST /api/jobs answered 400)\n", 1),
    ("init soc --subscription nope --destination x --location westeurope", "error: the app sees no subscription", 1),
    ("doctor --direct", "error: `doctor` asks the app, which alone sees what it may reach: `defender-export use", 2),
]
# A line for each mistake of a file.
MISTAKES = {"coverage --requirements bad.yaml": 2}


def test_each_refusal_of_the_app_says_in_lines_what_to_do(api: Api, shell: Shell) -> None:
    (shell.folder / "empty").mkdir()
    (shell.folder / "soc.yaml").write_text(api.export("soc", scope=SOUND))
    (shell.folder / "bad.yaml").write_text("version: 1\nnmae: x\n")
    (shell.folder / "object.json").write_text("{}")
    (shell.folder / "list.json").write_text("[]")
    shell("push soc.yaml")
    for command, told, code in REFUSALS:
        shell(command, code)
        assert shell.err.startswith(told), (command, shell.err)
        assert shell.err.count("\n") == MISTAKES.get(command, 1), shell.err
    assert len({command.split()[0] for command, *_ in REFUSALS}) >= 15
    assert [row["name"] for row in shell.json("exports list")["value"]] == ["soc"]
