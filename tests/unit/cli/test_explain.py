"""`explain` knows every finding that the app can have, and the page shows the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from local.app import ROOT
from shared.cli import main
from shared.exports.finding_meanings import MEANINGS, OTHERS, WAIVABLE
from shared.exports.linter import CODES

PAGE = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
CODE = re.compile("[a-z]+(-[a-z0-9]+)+|malformed|alias|tombstone")


def written_codes() -> Iterator[str]:
    """The first argument of every finding in the source, where it is written out."""
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") in {"Diagnostic", "Unreadable"}
                and node.args
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def test_every_finding_has_a_meaning() -> None:
    assert {*written_codes()} - {*MEANINGS} == set()
    assert {*WAIVABLE} == {*CODES}
    assert {code: WAIVABLE[code].severity for code in CODES} == dict(CODES)


def test_the_page_shows_the_same_and_nothing_else() -> None:
    rows = [f"| `{code}` | {meaning.severity} | {meaning.sentence} |" for code, meaning in MEANINGS.items()]
    found = re.findall(r"^\| `[a-z0-9-]+` \| (?:error|warning|as they are) \| .* \|$", PAGE, re.MULTILINE)
    assert sorted(found) == sorted(rows)


@pytest.mark.parametrize("code", MEANINGS)
def test_each_code_is_explained_within_the_width(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", code]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{code} (")
    assert ("A file can waive it" in out) == (code in WAIVABLE)
    assert code in WAIVABLE or code in OTHERS
    assert max(map(len, out.splitlines())) <= 100


def test_an_unknown_code_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "unknown-pth"]) == 2
    assert capsys.readouterr().err == "error: there is no finding unknown-pth. Did you mean unknown-path?\n"
