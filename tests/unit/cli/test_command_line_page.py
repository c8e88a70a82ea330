"""docs/command-line.md says what the command line does."""

from __future__ import annotations

from local.app import ROOT
from shared.cli.exit_codes import MEANINGS

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def test_the_page_has_every_exit_code() -> None:
    rows = [f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()]
    assert "\n".join(rows) in PAGE
