"""docs/fidelity.md has the checklist as the command has it."""

from __future__ import annotations

from local.app import ROOT
from shared.accept.acceptance_run import CHECKS, looked
from shared.accept.checklist import ITEMS, markdown

PAGE = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_the_page_has_every_item_with_its_id_and_marks_those_that_a_program_looks_at() -> None:
    _, _, listed = PAGE.partition("## At the first real deployment")
    assert markdown(frozenset(CHECKS)) in listed
    assert listed.count("- [ ] ") == PAGE.count("- [ ] ") == len(ITEMS)


def test_every_item_says_what_to_do_and_every_check_what_it_looks_at() -> None:
    assert [item.id for item in ITEMS if len(item.text) < len("Tables exist with columns")] == []
    assert {*CHECKS} <= {item.id for item in ITEMS}
    assert [name for name, check in CHECKS.items() if len(looked(check)) < len("looked at: anything more")] == []


def test_the_page_of_the_command_names_every_item_that_is_looked_at() -> None:
    page = (ROOT / "docs" / "accept.md").read_text(encoding="utf-8")
    missing = [
        name for name in CHECKS if f"`{name}`" not in page and not name.startswith(("ingestion-", "query-", "graph-"))
    ]
    assert missing == []
