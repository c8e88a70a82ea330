from datetime import UTC, datetime

import pytest

from shared.cli.reconcile import detailed_exit_code
from shared.reconcile.apply.executor import Outcome, Status
from shared.reconcile.model import ResourceId
from shared.reconcile.plan.model import Action, Item, Plan
from shared.reconcile.report.in_force import InForce, in_force
from shared.reconcile.report.run_report import Caller, Report
from tests.unit.reconcile.bodies import place, subscription

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def item(action: Action, number: int = 1, *, name: str = "x", reason: str = "", declared: bool = True) -> Item:
    return Item(action, place(subscription(number).id, name), "soc", reason=reason, declared=declared)


def only(*items: Item, outcomes: tuple[Outcome, ...] = ()) -> InForce:
    (found,) = in_force(Plan(items), outcomes, ["soc"], {})
    return found


def test_each_subscription_counts_once_with_one_reason() -> None:
    found = only(
        item(Action.UNCHANGED, 1),
        item(Action.BLOCKED, 2, reason="no hub"),
        item(Action.BLOCKED, 3, reason="no hub"),
        item(Action.FOREIGN, 4, reason="taken"),
        item(Action.SKIPPED, 5, reason="disabled"),
        item(Action.CREATE, 6),
    )
    assert (found.declared, found.in_force, found.skipped) == (6, 1, 1)
    assert found.rest == (("no hub", 2), ("taken", 1), ("it is to be created", 1))
    assert not found.whole


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_several_automations_in_a_subscription_the_missing_one_tells(order: tuple[int, int]) -> None:
    items = [item(Action.UNCHANGED, name="one"), item(Action.BLOCKED, name="two", reason="no group")]
    found = only(*(items[at] for at in order))
    assert (found.declared, found.in_force, found.rest) == (1, 0, (("no group", 1),))


def test_what_came_of_a_write_counts_and_not_what_was_planned() -> None:
    items = [item(Action.CREATE, number) for number in range(1, 5)]
    statuses = [Status.CREATED, Status.FAILED, Status.UNCONFIRMED, Status.UNCHANGED]
    outcomes = tuple(Outcome(one.id, "soc", status) for one, status in zip(items, statuses, strict=True))
    found = only(*items, outcomes=outcomes)
    assert (found.in_force, found.rest) == (2, (("failed", 1), ("unconfirmed", 1)))


def test_an_export_that_selects_nothing_and_one_that_cannot_be_read_are_named() -> None:
    none, unreadable = in_force(Plan(()), (), ["nothing"], {"odd": "it is invalid"})
    assert (none.export, none.declared, none.whole) == ("nothing", 0, True)
    assert (unreadable.export, unreadable.whole) == ("odd", False)


def test_what_is_not_declared_is_no_part_of_it() -> None:
    assert only(item(Action.DELETE, declared=False), item(Action.FOREIGN, declared=False)).declared == 0


def report(*items: Item, mode: str = "plan", **parts: object) -> Report:
    made = Report("x", "prod", Caller("cli", "me"), mode, NOW, NOW, Plan(items), exports=["soc"])
    return made if not parts else Report(**{**vars(made), **parts})


@pytest.mark.parametrize(
    ("made", "outcome", "code"),
    [
        (report(item(Action.UNCHANGED)), "Succeeded", 0),
        (report(item(Action.UNCHANGED), item(Action.SKIPPED, 2)), "Succeeded", 0),
        (report(item(Action.UNCHANGED), item(Action.FOREIGN, 2, declared=False)), "Succeeded", 0),
        (report(item(Action.CREATE)), "Partial", 2),
        (report(item(Action.DELETE, declared=False)), "Partial", 2),
        (report(item(Action.LEAVING, declared=False)), "Partial", 2),
        (report(item(Action.CREATE), item(Action.BLOCKED, 2)), "Partial", 1),
        (report(item(Action.CREATE), item(Action.FOREIGN, 2)), "Partial", 1),
        (report(item(Action.BLOCKED, declared=False)), "Partial", 1),
        (report(item(Action.UNCHANGED), unreadable={"odd": "x"}), "Partial", 1),
        (report(plan=Plan((), reasons=("a page is missing",))), "Partial", 1),
        (report(plan=Plan((), findings=("a name is not known",))), "Partial", 1),
        (report(plan=Plan((), guards=("too many",))), "Blocked", 1),
        (report(skipped="another run"), "Skipped", 1),
        (report(failure="403"), "Failed", 1),
    ],
)
def test_the_outcome_and_the_exit_code_say_whether_all_is_in_force(made: Report, outcome: str, code: int) -> None:
    assert (made.outcome, detailed_exit_code(made)) == (outcome, code)
    assert bool(made.reason) is (outcome != "Succeeded")


def test_a_run_that_is_narrowed_to_an_export_answers_for_that_one() -> None:
    made = report(scope={"exports": ["soc"]}, exports=["soc", "other"], unreadable={})
    assert [each.export for each in made.in_force] == ["soc"]
    assert made.row()["Scope"] == {"exports": ["soc"]}


def test_reasons_that_differ_by_the_subscription_alone_are_counted_as_one() -> None:
    ids = [f"{number}0000000-0000-4000-8000-00000000000a" for number in range(1, 4)]
    plan = Plan(
        tuple(
            Item(Action.CREATE, ResourceId(one, "rg", "soc"), "soc", declared=True).blocked(reason.format(one))
            for one in ids
            for reason in ("no right on /subscriptions/{}",)
        )
        + tuple(
            Item(Action.CREATE, ResourceId(one, "rg", "hub"), "hub", declared=True).blocked(f"no hub in {ids[0]}")
            for one in ids
        )
    )
    hub, soc = in_force(plan, (), ("hub", "soc"), {})
    assert soc.rest == (("no right on /subscriptions/<subscription>", 3),)
    assert hub.rest == ((f"no hub in {ids[0]}", 3),)
