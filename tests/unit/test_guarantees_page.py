"""The tables of docs/guarantees.md say what the tests of outages hold."""

from __future__ import annotations

from local.app import ROOT
from tests.integration.outages import needs_table, rows_table

PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")


def test_the_page_says_where_rows_are_during_each_outage() -> None:
    assert f"<!-- rows: tests/integration/outages.py -->\n{rows_table()}\n<!-- end of rows -->" in PAGE


def test_the_page_says_which_commands_need_which_service() -> None:
    assert f"<!-- needs: tests/integration/outages.py -->\n{needs_table()}\n<!-- end of needs -->" in PAGE
