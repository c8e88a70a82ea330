from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.reconcile.model import Desired, Inventory, Live
from shared.reconcile.plan.change_limits import Guards
from shared.reconcile.plan.delete_records import Grace
from shared.reconcile.plan.model import Action, Cause, Declaration, Left, Plan
from shared.reconcile.plan.planner import Terms, make_plan
from tests.unit.reconcile.bodies import INSTANCE, OURS, body, desired, live, place, subscription

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
THEIRS = {"owner": "portal"}
HOUR = timedelta(hours=1)
OLD = OURS | {"defender-export-name": "old"}


def plan(wanted: list[Desired], there: list[Live], terms: Terms | None = None, **declared: Any) -> Plan:
    names = {"soc", *(one.export for one in wanted)} - {*declared.get("deleted", ())}
    inventory = Inventory([subscription(1), subscription(2)], there)
    return make_plan(Declaration(wanted, names, **declared), inventory, INSTANCE, terms or Terms(Guards(0, 100)))


def action_of(made: Plan, name: str) -> tuple[Action, Action | None]:
    item = next(item for item in made.items if item.id.name == name)
    return item.action, item.wanted


def gone(name: str = "gone", number: int = 1) -> Live:
    tags = OURS | {"defender-export-name": "gone"}
    return live(tags=tags, at=place(subscription(number).id, name))


DELETED: dict[str, Any] = {"deleted": {"gone": "it was deleted yesterday"}}
ROOM = Terms(Guards(10, 100))


class TestWhereSomethingIsMissing:
    @pytest.mark.parametrize(
        ("wanted", "there"),
        [
            ([desired(blocked="no hub")], []),
            ([desired(blocked="no hub")], [live()]),
            ([desired()], [live(tags=THEIRS)]),
            ([desired(), desired(export="other")], []),
        ],
        ids=["blocked", "there, and its destination broken", "foreign", "claimed twice"],
    )
    def test_nothing_goes_in_that_subscription(self, wanted: list[Desired], there: list[Live]) -> None:
        made = plan(wanted, [*there, gone(), gone(number=2)], ROOM, **DELETED)
        found = {item.id.key[0]: item.action for item in made.items if item.id.name == "gone"}
        assert found == {subscription(1).id: Action.BLOCKED, subscription(2).id: Action.DELETE}

    def test_also_when_the_run_looks_at_another_export(self) -> None:
        inventory = Inventory([subscription(1)], [gone()])
        declaration = Declaration([desired(blocked="no hub")], {"soc"}, **DELETED)
        made = make_plan(declaration, inventory, INSTANCE, ROOM, lambda item: item.export == "gone")
        assert [item.action for item in made.items] == [Action.BLOCKED]

    def test_a_disabled_subscription_is_skipped_and_holds_nothing(self) -> None:
        there = [gone(), gone(number=2)]
        inventory = Inventory([subscription(1, state="Disabled"), subscription(2)], there)
        made = make_plan(Declaration([desired()], {"soc"}, **DELETED), inventory, INSTANCE, ROOM)
        assert [item.action for item in made.items] == [Action.SKIPPED, Action.SKIPPED, Action.DELETE]


class TestMoves:
    def test_a_move_is_no_loss_for_the_guard(self) -> None:
        made = plan([desired(at=place(name="new"))], [live()])
        assert action_of(made, "defender-export-soc") == (Action.DELETE, None)
        assert next(item for item in made.items if item.action is Action.DELETE).cause is Cause.MOVE

    def test_a_former_name_moves(self) -> None:
        there = live(tags=OLD, at=place(name="old"))
        made = plan([desired()], [there], renamed={"old": "soc"})
        assert action_of(made, "old") == (Action.DELETE, None)
        assert "is now soc" in made.items[-1].reason

    def test_a_former_name_under_the_same_automation_is_an_update(self) -> None:
        made = plan([desired()], [live(tags=OLD)], renamed={"old": "soc"})
        assert [item.action for item in made.items] == [Action.UPDATE]

    def test_a_former_name_that_is_contested_stays(self) -> None:
        there = live(tags=OLD, at=place(name="old"))
        made = plan([desired()], [there], ROOM, contested={"old": "two claim it"}, deleted={"old": "yesterday"})
        assert action_of(made, "old") == (Action.BLOCKED, Action.DELETE)

    def test_a_former_name_where_the_new_one_does_not_reach_waits_like_what_left_the_scope(self) -> None:
        terms = Terms(Guards(10, 100), grace=Grace(NOW, HOUR))
        made = plan([], [live(tags=OLD)], terms, renamed={"old": "soc"})
        assert made.items[0].action is Action.LEAVING

    def test_disabled_and_moved_keeps_one_switched_off(self) -> None:
        off = desired(body(isEnabled=False), at=place(name="new"), enabled=False)
        made = plan([off], [live()])
        assert action_of(made, "new") == (Action.CREATE, None)
        assert action_of(made, "defender-export-soc") == (Action.DELETE, None)


class TestGrace:
    @pytest.mark.parametrize(
        ("left", "action"),
        [
            (None, Action.LEAVING),
            (Left(NOW - 2 * HOUR, 1), Action.DELETE),
            (Left(NOW - HOUR, 1), Action.DELETE),
            (Left(NOW - HOUR / 2, 9), Action.LEAVING),
            (Left(NOW + HOUR, 9), Action.LEAVING),
        ],
    )
    def test_it_needs_two_runs_and_the_time(self, left: Left | None, action: Action) -> None:
        there = live()
        known = {str(there.id).lower(): left} if left else {}
        made = plan([], [there], Terms(Guards(10, 100), grace=Grace(NOW, HOUR, known)))
        assert made.items[0].action is action
        assert made.left is not None
        assert made.left[str(there.id).lower()].runs == (left.runs + 1 if left else 1)

    def test_what_is_back_is_forgotten(self) -> None:
        there = live()
        known = {str(there.id).lower(): Left(NOW - 2 * HOUR, 5)}
        assert plan([desired()], [there], Terms(Guards(10, 100), grace=Grace(NOW, HOUR, known))).left == {}

    def test_without_hours_it_still_needs_two_runs(self) -> None:
        assert plan([], [live()], Terms(Guards(10, 100), grace=Grace(NOW))).items[0].action is Action.LEAVING

    def test_what_is_deleted_by_name_or_reviewed_waits_for_nothing(self) -> None:
        waiting = Grace(NOW, HOUR)
        assert plan([], [gone()], Terms(Guards(10, 100), grace=waiting), **DELETED).items[0].action is Action.DELETE
        reviewed = Grace(NOW, HOUR, waived=True)
        assert plan([], [live()], Terms(Guards(10, 100), grace=reviewed)).items[0].action is Action.DELETE

    def test_seen_by_another_identity_nothing_goes_or_leaves(self) -> None:
        terms = Terms(Guards(10, 100), grace=Grace(NOW, HOUR), no_deletes="seen by another")
        made = plan([], [live(), gone()], terms, **DELETED)
        assert {item.action for item in made.items} == {Action.BLOCKED}
