"""Completion for four shells, and what it offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.cli import command_parser, main
from shared.cli.completion import SCRIPTS, candidates

POWERSHELL = shutil.which("pwsh")
BASH = shutil.which("bash") or "/bin/bash"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([], "apply"), ([""], "completion"), (["pl"], "plan"), (["plan", "--out"], "--output"),
        (["plan", "--output", ""], "markdown"), (["exports", ""], "delete"), (["exports", "de"], "delete"),
        (["freshness", "--kind", "al"], "Alerts"), (["completion", "p"], "powershell"),
        (["jobs", "show", "--w"], "--wait"),
        (["plan", "--subscription", "x", "--det"], "--detailed-exitcode"), (["explain", "unknown-p"], "unknown-path"),
    ],
)  # fmt: skip
def test_what_can_stand_there_is_offered(words: list[str], offered: str) -> None:
    assert offered in candidates(command_parser(), words)


@pytest.mark.parametrize("words", [["validate", "ex"], ["plan", "--out", ""], ["plan", "--export", ""], ["nope", "x"]])
def test_where_only_the_shell_knows_nothing_is_offered(words: list[str]) -> None:
    assert candidates(command_parser(), words) == []


def test_the_helper_command_is_not_offered_itself() -> None:
    assert "complete" not in candidates(command_parser(), ["comp"])


@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_script_is_printed_and_names_its_own_way_in(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"defender-export completion {shell}" in capsys.readouterr().out


def test_zsh_and_fish_scripts_are_whole() -> None:
    zsh, fish = SCRIPTS["zsh"], SCRIPTS["fish"]
    assert zsh.startswith("#compdef defender-export\n")
    assert zsh.rstrip().endswith("compdef _defender_export defender-export")
    assert "_defender_export() {" in zsh
    for opening, closing in ("{}", "()", "[]"):
        assert zsh.count(opening) == zsh.count(closing)
    assert zsh.count('"') % 2 == 0
    for opening, closing in ((" if (( ", "    fi\n"), ("then\n", "    fi\n")):
        assert zsh.count(opening) == zsh.count(closing)
    words = fish.split()
    assert words.count("function") == words.count("end") == 1
    assert fish.count("'") % 2 == 0
    assert fish.count("(") == fish.count(")")
    assert "complete --command defender-export --arguments '(__defender_export)'" in fish


def test_bash_completes_with_its_script(tmp_path: Path) -> None:
    program = tmp_path / "defender-export"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shared.cli "$@"\n')
    program.chmod(0o755)
    ask = (
        f"{SCRIPTS['bash']}\n"
        'COMP_WORDS=(defender-export plan --output m); COMP_CWORD=3; _defender_export; echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([BASH, "-eu", "-c", ask], capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr, done.returncode) == ("markdown\n", "", 0)


@pytest.mark.skipif(POWERSHELL is None, reason="PowerShell is not installed here")
def test_powershell_parses_its_script(tmp_path: Path) -> None:
    assert POWERSHELL
    script = tmp_path / "completion.ps1"
    script.write_text(SCRIPTS["powershell"])
    check = (
        "$errors = $null; [void][System.Management.Automation.Language.Parser]::ParseFile("
        f"'{script}', [ref]$null, [ref]$errors); $errors.Count"
    )
    done = subprocess.run([POWERSHELL, "-NoProfile", "-Command", check], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0", done.stdout + done.stderr
