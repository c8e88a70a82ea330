"""The command line for export files, without a store; pushing is in tests/integration."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.cli import main
from tests.unit.exports.examples import HUB, SUBSCRIPTION, text

ROOT = Path(__file__).parents[3]
FAILING = [{"name": "a low alert", "record": {"SystemAlertId": "x", "Severity": "Low"}, "exported": True}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text(text(name="a"))
    (tmp_path / "deep" / "b.yml").write_text(text(name="b"))
    (tmp_path / "README.md").write_text("not an export")
    return tmp_path


def test_validate_reads_files_and_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(folder), str(folder / "a.yaml")]) == 0
    assert capsys.readouterr().out == "2 files: 0 errors, 0 warnings\n"


def test_validate_prints_each_finding_and_returns_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.yaml").write_text("version: 1\nnmae: c\n")
    assert main(["validate", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"{folder}/c.yaml:2: nmae: error unknown-key: 'nmae' is not a key here. Did you mean name?" in lines
    assert lines[-1] == "3 files: 6 errors, 0 warnings"


def test_warnings_alone_are_no_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text(text(name="a", export={"alerts": {}, "frequency": ["streaming", "snapshot"]}))
    assert main(["validate", str(folder)]) == 0
    assert capsys.readouterr().out.endswith("2 files: 0 errors, 1 warning\n")


def test_files_are_checked_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.yaml").write_text(text(name="a"))
    assert main(["validate", str(folder)]) == 1
    assert "duplicate-name" in capsys.readouterr().out


def test_validate_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.yaml").write_text(text(name="c", export={"custom": [{"eventSource": "SubAssessments"}]}))
    assert main(["validate", "--json", str(folder)]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["files"], answer["errors"], answer["warnings"]) == (3, 1, 1)
    finding, retired = answer["findings"]
    assert (finding["code"], retired["code"]) == ("findings-without-recommendations", "retired-source")
    assert set(finding) == {"code", "severity", "where", "sentence", "fix"}


@pytest.mark.parametrize("command", ["validate", "test", "push"])
def test_no_file_is_wrong_usage(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: no export file here\n"
    assert main([command, str(tmp_path / "missing.yaml")]) == 2
    with pytest.raises(SystemExit) as caught:
        main([command])
    assert caught.value.code == 2


def test_tests_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(ROOT / "exports")]) == 0
    assert capsys.readouterr().out.endswith(" tests: 0 failed\n")


def test_a_failing_test_says_which_rule_set_decided_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "a.yaml"
    file.write_text(text(name="a", export={"alerts": {"minimumSeverity": "High"}}, tests=FAILING))
    assert main(["test", str(folder)]) == 1
    assert capsys.readouterr().out == (
        f"{file}: tests[0] a low alert: should be exported, is not exported: none of 1 rule sets of Alerts holds; "
        "nearest is rule set 1, which fails at Severity Equals 'High' (it is 'Low')\n1 test: 1 failed\n"
    )
    assert main(["test", "--json", str(folder)]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["tests"], answer["failed"], answer["outcomes"][0]["passed"]) == (1, 1, False)


def test_a_file_that_is_invalid_fails_its_tests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.yaml").write_text("version: 1")
    assert main(["test", str(folder)]) == 1
    assert "missing-key" in capsys.readouterr().out


def test_compile_prints_the_automation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(folder / "a.yaml"), "--subscription", SUBSCRIPTION, "--instance", "prod"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["id"].endswith("/providers/Microsoft.Security/automations/defender-export-a")
    assert body["tags"]["defender-export-instance"] == "prod"
    assert body["properties"]["actions"][0]["eventHubResourceId"] == HUB


def test_compile_explains(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(folder / "a.yaml"), "--subscription", SUBSCRIPTION, "--explain"]) == 0
    explained = capsys.readouterr().out.splitlines()
    assert explained[:2] == ["all alerts", f"from {SUBSCRIPTION}"]
    assert explained[2].startswith("to the event hub ")


def test_compile_refuses_an_invalid_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text(text(export={"custom": [{"eventSource": "SubAssessments"}]}))
    assert main(["compile", str(folder / "a.yaml"), "--subscription", SUBSCRIPTION]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "findings-without-recommendations" in shown.err


def test_schema_prints_what_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "export.schema.json").read_text()


@pytest.mark.parametrize(
    "broken", [text(name="c", export={}), text(name="c", tests=[FAILING[0] | {"exported": False}])]
)
def test_nothing_is_pushed_when_a_file_is_invalid_or_a_test_fails(
    broken: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "c.yaml").write_text(broken)
    assert main(["push", str(folder)]) == 1
    assert "nothing was pushed" in capsys.readouterr().err


def test_pushing_without_a_store_says_what_to_set(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AzureWebJobsStorage", "AzureWebJobsStorage__blobServiceUri"):
        monkeypatch.delenv(name, raising=False)
    assert main(["push", str(folder)]) == 2
    assert "AzureWebJobsStorage__blobServiceUri" in capsys.readouterr().err


@pytest.mark.slow
def test_help_imports_no_model_and_no_sdk() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from shared.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        "print([name for name in ('pydantic', 'yaml', 'azure.core') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


@pytest.mark.slow
def test_500_files_are_validated_in_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = (
        (ROOT / "exports" / "sql-findings-to-workspace.yaml")
        .read_text()
        .replace("name: ExportToWorkspace", "name: NAME")
    )
    for number in range(500):
        name = f"export-{number}"
        changed = sample.replace("name: sql-findings-to-workspace", f"name: {name}").replace(
            "name: NAME", f"name: {name}"
        )
        (tmp_path / f"{name}.yaml").write_text(changed)
    main(["validate", str(ROOT / "exports")])  # imports are paid once
    gc.disable()  # its time depends on what other tests keep alive
    try:
        before = time.process_time()
        assert main(["validate", str(tmp_path)]) == 0
        taken = time.process_time() - before
    finally:
        gc.enable()
    assert taken < 5  # of CPU: 3 where nothing else runs on the core
    assert capsys.readouterr().out.endswith("500 files: 0 errors, 0 warnings\n")
