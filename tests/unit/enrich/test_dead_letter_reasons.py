"""The reasons of dead letters: all are known by name, explained to people, and told from words that are none."""

from __future__ import annotations

import re
from itertools import product

import pytest

from shared.enrich.dead_letters.dead_letter_format import REASONS, no_such_reason
from shared.enrich.delivery.ingestion_status import NO_TOKEN, Answer, Verdict
from tools import page
from tools.infra import ROOT


def test_every_answer_has_a_reason_that_is_known() -> None:
    flags = product([0, *range(300, 600)], ["", NO_TOKEN, "InvalidStream"], [True, False], [True, False])
    answers = [Answer(status, code, permanent=one, systematic=other) for status, code, one, other in flags]
    failed = [answer for answer in answers if answer.verdict is not Verdict.RENEW or answer.status == 401]
    assert {answer.reason for answer in failed} <= REASONS


def test_no_module_gives_a_reason_that_is_not_known() -> None:
    given = r"(?:NotForwarded\(index, |_of_event\([\w., ]*now, )\"([a-z-]+)\""
    found = {
        reason for path in (ROOT / "shared" / "enrich").rglob("*.py") for reason in re.findall(given, path.read_text())
    }
    assert {"hub-unavailable", "too-large", "not-configured", "unreadable", "defect"} == found
    assert found <= REASONS


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_each_is_explained_on_the_page_and_to_operators(reason: str) -> None:
    name = reason if reason.isalpha() else f'"{reason}"'
    assert f"  {name}: " in (page.SOURCE / "words.js").read_text().partition("export const LETTERS")[2]
    assert f"`{reason}`" in (ROOT / "docs" / "operate.md").read_text()


@pytest.mark.parametrize(
    ("asked", "nearest"), [("unreadabel", "unreadable"), ("Not-Found", "not-found"), ("too_large", "too-large")]
)
def test_a_word_that_is_none_is_told_with_the_nearest(asked: str, nearest: str) -> None:
    assert no_such_reason(asked) == f"no dead letter has the reason {asked}. Did you mean {nearest}?"
    assert no_such_reason(nearest) == no_such_reason("") == ""
