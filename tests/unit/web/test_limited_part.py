"""What a limited reader's part of the tenant is, and which texts say something of others."""

from datetime import UTC, datetime

import pytest

from shared.reconcile.model import Subscription
from shared.reconcile.plan.change_limits import Guards, hold_back
from shared.reconcile.plan.model import Action, Item
from shared.tenant_state import TenantState
from shared.watch.coverage import Destination, cover
from shared.watch.expectations import Declared
from shared.web.limited_part import HIDDEN, INCOMPLETE, Part, part_of
from tests.unit.reconcile.bodies import live, place

MINE, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
HUB = f"/subscriptions/{OTHER}/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/n/eventhubs/h"
AFAR = HUB.replace("namespaces/n", "namespaces/afar")


def state(*reasons: str) -> TenantState:
    subscriptions = [
        Subscription(MINE.upper(), ancestors=("unit", "root")),
        Subscription(OTHER, ancestors=("elsewhere", "root")),
    ]
    declared = [
        Declared(MINE.upper(), "Later", (), Destination("EventHub", HUB)),
        Declared(OTHER, "hidden-away", (), Destination("EventHub", AFAR)),
    ]
    return TenantState(
        datetime(2026, 11, 1, tzinfo=UTC),
        subscriptions,
        cover(subscriptions, (), "i"),
        declared,
        reasons,
        unseen=reasons,
    )


@pytest.fixture
def part() -> Part:
    return part_of(state(), frozenset({MINE}), perhaps_more=False)


def test_what_is_declared_for_a_part_is_of_it_before_there_is_an_automation(part: Part) -> None:
    assert part.exports == {"Later"}
    assert part.destinations == {HUB.lower().strip("/")}
    assert [each.export for each in part.state.declared] == ["Later"]
    assert part.entries.theirs.groups == {"unit", "root"}


def test_reasons_for_what_is_missing_name_nobody() -> None:
    for found in (
        part_of(state(f"{OTHER} came twice"), frozenset({MINE}), perhaps_more=False),
        part_of(state(), frozenset({MINE}), perhaps_more=True),
    ):
        assert (found.state.reasons, found.state.unseen) == ((INCOMPLETE,), (INCOMPLETE,))


@pytest.mark.parametrize(
    "text",
    [
        f"the scope of later names what is not known, so it may mean more: no subscription {OTHER}",
        f"discovery is incomplete: {OTHER} came twice",
        f"/subscriptions/{OTHER.upper()}/providers/x refused",
        "nothing is deleted as long as a file can't be read: gone",
        "nothing of later is deleted as long as two exports claim one automation: x",
        "2 exports say that they were later: nothing of it is deleted before one is left",
        "it waits for its turn in the rollout: 3 of 40 are not yet in force",
        "see elsewhere.",
        "the export Hidden-Away is in the way",
        f"the hub {AFAR} refuses",
    ],
)
def test_a_text_about_others_is_not_shown(part: Part, text: str) -> None:
    assert part.shown(text) == HIDDEN
    told = part.told({"reason": text, "path": text, "count": 1}, ("reason", "count"))
    assert told == {"reason": HIDDEN, "path": text, "count": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "its automation is missing",
        f"the hub {HUB} takes nothing",
        f"the policy of /subscriptions/{MINE}/resourceGroups/rg denies it",
        "the export later has no file",
        "it lies below unit",
    ],
)
def test_a_text_about_the_part_is_shown(part: Part, text: str) -> None:
    assert part.shown(text) == text


def test_the_reasons_of_a_runs_limits_count_all_and_are_not_shown(part: Part) -> None:
    items = {each.id.key: Item(Action.DELETE, each.id) for each in (live(at=place(name=f"a{at}")) for at in range(9))}
    held = hold_back(items, Guards(max_deletes=1, max_change_percent=10), 9)
    assert held
    assert {part.shown(item.reason) for item in items.values()} == {HIDDEN}
