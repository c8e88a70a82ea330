"""What was ours is known by id once its tags are gone; who saves it again and again has taken it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.exports.compiler import INSTANCE_TAG, NAME_TAG
from shared.reconcile.model import Live, ResourceId
from shared.reconcile.plan.ownership_record import MAX_REPAIRS, REMEMBERED, OwnershipRecord, Seen

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OURS = {INSTANCE_TAG: "Test", NAME_TAG: "Soc"}
KEY = ("s1", "rg", "soc")


def live(tags: Mapping[str, str], subscription: str = "S1", name: str = "soc") -> Live:
    return Live(ResourceId(subscription, "RG", name), "westeurope", tags, b"{}")


def seen(*automations: Live, complete: bool = True) -> Seen:
    return Seen("test", NOW, automations, complete)


RECORD = OwnershipRecord().after(seen(live(OURS)))


@pytest.mark.parametrize("tags", [{}, {"managed-by": "terraform"}, {"managed-by": "defender-export"}, {NAME_TAG: "x"}])
def test_what_lost_its_tags_is_known_by_id(tags: dict[str, str]) -> None:
    found = RECORD.stripped([live(tags)])
    assert (found[KEY].export, found[KEY].taken_over) == ("soc", False)


@pytest.mark.parametrize("tags", [OURS, {INSTANCE_TAG: "other"}, {INSTANCE_TAG.upper(): "other"}])
def test_an_instances_tag_decides_where_there_is_one(tags: dict[str, str]) -> None:
    assert RECORD.stripped([live(tags)]) == {}


def test_the_same_name_elsewhere_is_not_ours() -> None:
    assert RECORD.stripped([live({}, "s2"), live({}, name="soc2")]) == {}


def test_what_another_instance_took_is_no_longer_known() -> None:
    assert RECORD.after(seen(live({INSTANCE_TAG: "other"}))).stripped([live({})]) == {}


def test_what_is_gone_is_forgotten_only_by_a_run_that_saw_all() -> None:
    assert RECORD.after(seen()).stripped([live({})]) == {}
    assert KEY in RECORD.after(seen(complete=False)).stripped([live({})])


def test_what_a_run_wrote_or_may_have_deleted_counts() -> None:
    empty = OwnershipRecord()
    assert KEY in empty.after(replace(seen(), written={KEY: "soc"})).stripped([live({})])
    gone = replace(seen(live(OURS), complete=False), deleted=frozenset({KEY}))
    assert RECORD.after(gone).stripped([live({})]) == {}


def test_it_stays_known_while_it_is_stripped() -> None:
    assert KEY in RECORD.after(seen(live({}))).stripped([live({})])


def repaired(times: int, apart: timedelta) -> OwnershipRecord:
    record = RECORD
    for number in range(times):
        moment = NOW + number * apart
        record = record.after(replace(seen(live({})), now=moment, written={KEY: "soc"}, repaired=frozenset({KEY})))
        record = record.after(replace(seen(live(OURS)), now=moment + apart / 2))
    return record


def test_saved_again_after_so_many_repairs_it_is_taken_over() -> None:
    for times in range(MAX_REPAIRS + 2):
        found = repaired(times, timedelta(hours=1)).stripped([live({})])
        assert found[KEY].taken_over is (times >= MAX_REPAIRS)


def test_repairs_of_long_ago_do_not_count() -> None:
    assert not repaired(9, REMEMBERED).stripped([live({})])[KEY].taken_over


def test_what_is_taken_over_stays_so_however_long_it_waits() -> None:
    record = repaired(MAX_REPAIRS, timedelta(hours=1))
    for days in range(100):
        record = record.after(replace(seen(live({})), now=NOW + timedelta(days=days)))
    assert record.stripped([live({})])[KEY].taken_over
