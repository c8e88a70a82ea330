"""What each command says of a mistake: one line with the mend, and an exit code; never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.app import ROOT
from shared.cli import main
from shared.cli.exit_codes import MEANINGS

NO_STORAGE = "error: it is not said which app: `defender-export use https://"
# Command, the beginning of what it says, exit code.  Run where no setting is there and nobody is signed in.
ERRORS = [
    ("", "error: the following arguments are required: COMMAND. See `defender-export --help`.", 2),
    ("plna", "error: argument COMMAND: there is no 'plna'. Did you mean plan?", 2),
    ("--vresion", "error: ", 2),
    ("plan --exprot x", "error: '--exprot' means nothing here. Did you mean --export?", 2),
    ("plan --max-deletes -5", "error: argument --max-deletes: '-5' is no whole number from 0 to 100000.", 2),
    ("plan --max-deletes ٣", "error: argument --max-deletes: '٣' is no whole number", 2),
    ("plan --max-change-percent 900", "error: argument --max-change-percent: '900' is no whole number", 2),
    ("plan --cause drift", "error: argument --cause: there is no 'drift'. There is release.", 2),
    ("plan --output yml", "error: argument --output: there is no 'yml'. Did you mean yaml?", 2),
    ("plan --json --markdown", "error: argument --markdown: not allowed with argument --json.", 2),
    ("plan --prune", "error: --prune goes with files: `plan --prune exports/`", 2),
    ("plan soc.yaml --out plan.json", "error: --out keeps a plan of what is stored, for `apply`: push", 2),
    ("plan missing.yaml", "error: missing.yaml: no export file here", 2),
    ("plan bad.yaml", "bad.yaml:1: name: error missing-key: 'name' is missing.", 1),
    ("plan", NO_STORAGE, 2),
    ("apply soc.yaml", "error: soc.yaml is no plan: `plan soc.yaml` plans export files, `push soc.yaml`", 2),
    ("apply list.json", "error: list.json is no plan: `plan --out FILE` writes one", 2),
    ("apply text.json", "error: text.json is no plan: `plan --out FILE` writes one", 2),
    ("apply deep.json", "error: deep.json is no plan: `plan --out FILE` writes one", 2),
    ("apply empty", "error: empty is no plan: ", 2),
    ("apply missing.json", "error: missing.json: there is no such file or folder", 2),
    ("apply --json", "error: --json can't ask: give --yes, or a plan that `plan --out` kept", 2),
    ("apply --yes=1", "error: argument --yes: ignored explicit argument '1'.", 2),
    ("status --limit -3", "error: argument --limit: '-3' is no whole number from 1 to 200.", 2),
    ("status --limit ten", "error: argument --limit: 'ten' is no whole number from 1 to 200.", 2),
    ("status a b", "error: 'b' means nothing here.", 2),
    ("freshness --as-of yesterday", "error: argument --as-of: 'yesterday' is no time such as 2026-11-26T08:00Z.", 2),
    ("freshness --as-of 2026-13-01", "error: argument --as-of: '2026-13-01' is no time such as", 2),
    ("freshness --kind alertz", "error: argument --kind: 'alertz' is none of Assessments, ", 2),
    ("freshness --verdict loud", "error: argument --verdict: 'loud' is none of silent, quiet, not observable", 2),
    ("freshness", NO_STORAGE, 2),
    ("coverage --requirements missing.yaml", "error: missing.yaml: there is no such file or folder", 2),
    ("coverage --requirements empty", "error: empty: it is a folder, and a file is needed", 2),
    ("coverage --requirements binary.yaml", "error: ", 1),
    ("coverage", NO_STORAGE, 2),
    ("validate missing", "error: missing: no export file here", 2),
    ("validate empty", "error: empty: no export file here", 2),
    ("validate", "error: the following arguments are required: path.", 2),
    ("validate bad.yaml", "bad.yaml:1: name: error missing-key: 'name' is missing.", 1),
    ("validate binary.yaml", "binary.yaml: error not-utf8: the file is not UTF-8", 1),
    ("test missing", "error: missing: no export file here", 2),
    ("test bad.yaml", "bad.yaml:1: name: error missing-key: 'name' is missing.", 1),
    ("compile soc.yaml", "error: --subscription is needed: the automation of which subscription?", 2),
    ("compile soc.yaml --subscription x/../y", "error: argument --subscription: 'x/../y' is no subscription id", 2),
    ("compile missing.yaml --explain", "error: missing.yaml: no export file here", 2),
    ("migrate missing", "error: missing: no export file here", 2),
    ("schema --json", "error: '--json' means nothing here.", 2),
    ("push missing", "error: missing: no export file here", 2),
    ("push bad.yaml", "bad.yaml:1: name: error missing-key: 'name' is missing.", 1),
    ("push soc.yaml", NO_STORAGE, 2),
    ("push soc.yaml --url http://example.org", "error: --url must begin with https: a key or token is sent", 2),
    ("push soc.yaml --url example.org", "error: --url takes the app's address, such as https://my-app", 2),
    ("push soc.yaml --url https://127.0.0.1:9", "error: give --entra with --resource, or the function key in", 2),
    ("preview soc.yaml", NO_STORAGE, 2),
    ("preview", "error: the following arguments are required: FILE|NAME.", 2),
    ("backfill --kind nope", "error: argument --kind: 'nope' is none of Assessments, ", 2),
    ("backfill", NO_STORAGE, 2),
    ("import", NO_STORAGE, 2),
    ("pull", "error: the following arguments are required: folder.", 2),
    ("pull backup", NO_STORAGE, 2),
    ("claim", NO_STORAGE, 2),
    ("exports", "error: the following arguments are required: ", 2),
    ("exports delte x", "error: argument COMMAND: there is no 'delte'. Did you mean delete?", 2),
    ("exports delete", "error: the following arguments are required: name.", 2),
    ("exports accept", NO_STORAGE, 2),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of every kind, and an environment without a setting of the app."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "soc.yaml").write_bytes((ROOT / "exports" / "high-alerts-to-event-hub.yaml").read_bytes())
    (tmp_path / "bad.yaml").write_text("version: 1\nnmae: x\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "text.json").write_text("not JSON")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    monkeypatch.chdir(tmp_path)
    for name in [*os.environ]:
        if name not in {"PATH", "LANG", "PYTEST_CURRENT_TEST"} and not name.startswith(("LC_", "COVERAGE", "PYTEST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("command", "told", "code"), ERRORS, ids=[command or "nothing" for command, *_ in ERRORS])
@pytest.mark.usefixtures("folder")
def test_a_mistake_is_one_line_with_its_mend(
    command: str, told: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        ended = main(command.split())
    except SystemExit as error:
        ended = int(str(error.code))
    said = capsys.readouterr()
    lines = (said.out + said.err).splitlines()
    assert ended == code, lines
    assert ended in MEANINGS
    assert any(line.startswith(told) for line in lines), lines
    assert sum(line.startswith("error: ") for line in lines) <= 1
    assert "Traceback" not in said.err


def test_no_command_lists_fewer_mistakes_than_it_should() -> None:
    assert len({command.split()[0] for command, *_ in ERRORS if command}) >= 14


def start(folder: Path, *arguments: str, background: bool = False) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared.cli", *arguments]
    # What a script leaves in the background ignores SIGINT, and would hand that on.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.default_int_handler)
    try:
        return subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("command", ["schema", "compile soc.yaml --explain", "validate --json soc.yaml"])
def test_a_reader_that_goes_away_ends_a_command_quietly(folder: Path, command: str) -> None:
    with start(folder, *command.split()) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("number", "told", "background"),
    [
        (signal.SIGINT, "interrupted", False),
        (signal.SIGTERM, "terminated", False),
        (signal.SIGTERM, "terminated", True),
    ],
)
def test_a_signal_ends_a_command_in_one_word(folder: Path, number: signal.Signals, told: str, background: bool) -> None:
    waits = folder / "waits.yaml"
    os.mkfifo(waits)
    process = start(folder, "validate", str(waits), background=background)
    with waits.open("w"):  # it has begun to read
        time.sleep(0.1)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    assert (err, process.returncode) == (f"{told}\n", 128 + number)
