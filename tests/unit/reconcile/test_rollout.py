"""What decides whose turn it is, as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared import __version__
from shared.exports.diagnostics import InvalidExport
from shared.exports.model import parse_export
from shared.reconcile.model import Inventory, Live, Subscription
from shared.reconcile.plan.model import Action, Cause, Declaration, Plan, Rollout
from shared.reconcile.plan.planner import Terms, make_plan
from shared.reconcile.plan.provenance_tags import (
    APPLIED_TAG,
    LET_THROUGH_TAG,
    NUMBER_TAG,
    SINCE_TAG,
    Writer,
    digest,
    mark_tags,
    read_mark,
)
from tests.unit.exports.examples import text
from tests.unit.reconcile.bodies import INSTANCE, OURS, body, desired, live, place, subscription

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ORDER = Rollout(("canary", "prod"), timedelta(hours=24))
BEFORE = body(description="before")
CANARY, PROD, LATE = 1, 2, 3
SUBSCRIPTIONS = [
    subscription(CANARY, ancestors=("canary", "root")),
    subscription(PROD, ancestors=("prod-eu", "prod", "root")),
    subscription(LATE, ancestors=("root",)),
]


def at(number: int) -> str:
    return SUBSCRIPTIONS[number - 1].id


def there(number: int, *, edited: bool, since: object = None, **tags: str) -> Live:
    document = body() if edited else BEFORE
    marks = {APPLIED_TAG: f"1:{digest(document)}", NUMBER_TAG: "2" if edited else "1"}
    if since is not None:
        marks[SINCE_TAG] = since.isoformat() if isinstance(since, datetime) else str(since)
    return live(document, at=place(at(number)), tags=OURS | marks | tags)


def plan(
    automations: list[Live],
    rollout: Rollout = ORDER,
    causes: tuple[Cause, ...] = (),
    reasons: tuple[str, ...] = (),
    number: int = 2,
) -> Plan:
    wanted = [desired(at=place(at(each)), number=number) for each in (CANARY, PROD, LATE)]
    declaration = Declaration(wanted, {"soc"}, rollouts={"soc": rollout})
    inventory = Inventory(SUBSCRIPTIONS, automations, reasons)
    return make_plan(declaration, inventory, INSTANCE, Terms(writer=Writer(number=2), causes=causes, now=NOW))


def actions(made: Plan) -> list[Action]:
    return [item.action for item in made.items]


YESTERDAY = NOW - timedelta(hours=24)
BLOCKED, UPDATE, UNCHANGED = Action.BLOCKED, Action.UPDATE, Action.UNCHANGED


def test_a_subscription_belongs_to_the_first_group_of_the_order_that_it_lies_below() -> None:
    order = Rollout(("Prod-EU", "root", "canary"), timedelta())
    assert [order.group_of(each) for each in SUBSCRIPTIONS] == [1, 0, 1]
    assert order.group_of(None) == 3
    first = "aaaaaaaa-0000-4000-8000-000000000001"
    order = Rollout((f"{first.upper()}/Prod", "prod"), timedelta())
    tenants = (first, "b")
    assert [order.group_of(Subscription("1", tenant_id=each, ancestors=("prod",))) for each in tenants] == [0, 1]


@pytest.mark.parametrize(
    ("since", "second"),
    [
        (YESTERDAY, UPDATE),
        (YESTERDAY + timedelta(seconds=1), BLOCKED),
        (NOW + timedelta(hours=2), BLOCKED),
        (NOW + timedelta(days=2), UPDATE),
        ("soon", UPDATE),
        ("2026-11-26T11:59:59", UPDATE),
        (None, UPDATE),
    ],
)
def test_the_next_turn_comes_when_the_time_has_passed(since: object, second: Action) -> None:
    made = plan([there(CANARY, edited=True, since=since), there(PROD, edited=False), there(LATE, edited=False)])
    assert actions(made) == [UNCHANGED, second, BLOCKED]


def test_a_group_whose_destination_takes_nothing_is_not_in_force() -> None:
    broken = Rollout(ORDER.groups, ORDER.wait, blocked="the hub is gone")
    made = plan([there(CANARY, edited=True, since=YESTERDAY), there(PROD, edited=False)], broken)
    assert "canary 0 of 1 in force" in made.findings[0]
    assert "the hub is gone" in made.findings[0]


def test_what_is_not_seen_lets_no_group_go_on() -> None:
    automations = [there(CANARY, edited=True, since=YESTERDAY), there(PROD, edited=False), there(LATE, edited=False)]
    assert actions(plan(automations, reasons=("an answer was cut",))) == [UNCHANGED, BLOCKED, BLOCKED]


def test_a_release_goes_on_only_where_this_one_was_let_through() -> None:
    for let_through, second in (
        ({LET_THROUGH_TAG: __version__}, UPDATE),
        ({LET_THROUGH_TAG: "0.9"}, BLOCKED),
        ({}, BLOCKED),
    ):
        automations = [
            there(CANARY, edited=True, since=YESTERDAY, **let_through),
            there(PROD, edited=False),
            there(LATE, edited=False),
        ]
        made = plan(automations, number=1)
        assert actions(made) == [UNCHANGED, second, BLOCKED], let_through


def test_a_part_of_a_body_leaves_what_is_known_of_the_whole() -> None:
    whole = mark_tags(Writer("a/b", 5), "0123456789abcdef", {}, NOW, let_through=True)
    part = mark_tags(Writer("a/b", 9), "", whole, NOW + timedelta(days=1))
    assert read_mark(part) == read_mark(whole)
    again = mark_tags(Writer("a/b", 9), "0123456789abcdef", whole, NOW + timedelta(days=1))
    assert (read_mark(again).since, read_mark(again).let_through, read_mark(again).number) == (NOW, __version__, 9)
    other = mark_tags(Writer("a/b", 9), "fedcba9876543210", whole, NOW + timedelta(days=1))
    assert (read_mark(other).since, read_mark(other).let_through) == (NOW + timedelta(days=1), "")


@pytest.mark.parametrize(
    "rollout",
    [
        {},
        {"managementGroups": []},
        {"managementGroups": ["a", "A"]},
        {"managementGroups": ["a"], "waitHours": -1},
        {"managementGroups": ["a"], "waitHours": 721},
        {"managementGroups": ["a"], "waitHours": 1.5},
        {"managementGroups": ["a"], "waitHours": True},
        {"managementGroups": ["a"], "waitHours": "24"},
        {"managementGroups": ["a b/c"]},
        {"managementGroups": ["a"], "share": 10},
        ["a", "b"],
        "a",
    ],
)
def test_an_order_that_means_nothing_is_refused(rollout: object) -> None:
    with pytest.raises(InvalidExport):
        parse_export(text(rollout=rollout))


def test_an_order_waits_a_day_unless_it_says_otherwise() -> None:
    read = parse_export(text(rollout={"managementGroups": ["a", "b"]})).rollout
    assert read is not None
    assert (read.management_groups, read.wait_hours) == (("a", "b"), 24)
    assert parse_export(text()).rollout is None
