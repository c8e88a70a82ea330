"""docs/canary.md says what the code does: each figure, hop, outcome and right."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from local.app import ROOT
from shared.canary.hops import ALLOWED, BEFORE, Hop, all_before, allowed_in
from shared.canary.security_alerts import SIMULATE
from shared.canary.verdict import Outcome
from shared.jobs.arguments import _MOST_CANARIES
from shared.settings import declarations

PAGE = (ROOT / "docs" / "canary.md").read_text(encoding="utf-8")
DEFAULTS = {one.name: one.default for one in declarations().values()}


def test_each_hop_has_its_minutes_and_all_of_them_to_the_table_are_fifteen() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| .* \| (\d+) min \|$", PAGE, re.MULTILINE))
    assert told == {hop.value: f"{took // timedelta(minutes=1)}" for hop, took in ALLOWED.items()}
    whole = sum((ALLOWED[hop] for hop in (Hop.STORED, *all_before(Hop.STORED))), timedelta())
    assert whole == timedelta(minutes=15)
    assert "15 minutes to the table at most" in PAGE
    assert DEFAULTS["CANARY_MINUTES"] == "15"
    assert BEFORE[Hop.FORWARDED] is Hop.HUB


@pytest.mark.parametrize("minutes", [5, 15, 16, 240])
def test_a_setting_makes_all_of_them_longer_in_proportion(minutes: int) -> None:
    allowed = allowed_in(minutes)
    assert sum((allowed[hop] for hop in (Hop.STORED, *all_before(Hop.STORED))), timedelta()) == timedelta(
        minutes=minutes
    )
    assert {allowed[hop] / ALLOWED[hop] for hop in Hop} == {minutes / 15}


def test_outcomes_rights_and_budgets_are_those_of_the_code() -> None:
    told = set(re.findall(r"^\| `([\w-]+)` \| (?!.* min \|$)", PAGE, re.MULTILINE))
    assert told >= {each.value for each in Outcome if each is not Outcome.RUNNING}
    assert SIMULATE in PAGE
    assert f"`CANARY_PER_SUBSCRIPTION` ({DEFAULTS['CANARY_PER_SUBSCRIPTION']})" in PAGE
    assert f"`CANARY_PER_DAY` ({DEFAULTS['CANARY_PER_DAY']})" in PAGE
    assert f"up to {_MOST_CANARIES}" in PAGE
    assert (DEFAULTS["CANARY"], DEFAULTS["CANARY_EVERY_DAYS"]) == ("false", "0")
