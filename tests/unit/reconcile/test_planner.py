from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.exports.ownership import owned
from shared.reconcile.model import Desired, Inventory, Live, ResourceId
from shared.reconcile.plan.change_limits import Guards, allowed_changes
from shared.reconcile.plan.model import WRITES, Action, Cause, Declaration, Item, Plan
from shared.reconcile.plan.ownership_record import OwnershipRecord, Seen
from shared.reconcile.plan.planner import Terms, decide, make_plan
from shared.reconcile.plan.provenance_tags import Writer
from tests.unit.reconcile.bodies import INSTANCE, OURS, body, desired, live, place, subscription

NO_GUARDS = Guards(max_deletes=1000, max_change_percent=100)
THEIRS = {"owner": "portal"}
OTHER_INSTANCE = OURS | {"defender-export-instance": "staging"}


def plan(
    wanted: list[Desired],
    there: list[Live],
    *,
    exports: tuple[str, ...] = ("soc",),
    unreadable: dict[str, str] | None = None,
    subscriptions: Any = None,
    reasons: tuple[str, ...] = (),
    guards: Guards = NO_GUARDS,
    chosen: Any = None,
    writer: Writer | None = None,
    causes: tuple[Cause, ...] = (),
    gone: tuple[str, ...] = (),
    record: OwnershipRecord | None = None,
) -> Plan:
    inventory = Inventory(
        [subscription(1), subscription(2)] if subscriptions is None else subscriptions, there, reasons
    )
    deleted = dict.fromkeys(gone if "soc" in exports else ("soc", *gone), "it was deleted yesterday")
    declaration = Declaration(wanted, exports, unreadable or {}, deleted=deleted)
    terms = Terms(guards, writer or Writer(), causes, record=record or OwnershipRecord())
    return make_plan(declaration, inventory, INSTANCE, terms, chosen)


def only(made: Plan) -> Item:
    (item,) = made.items
    return item


class TestOneAutomation:
    def test_what_is_not_there_is_created(self) -> None:
        wanted = desired()
        item = only(plan([wanted], []))
        assert (item.action, item.id, item.export, item.desired) == (Action.CREATE, wanted.id, "soc", wanted)

    def test_what_is_as_declared_is_left(self) -> None:
        item = only(plan([desired()], [live()]))
        assert (item.action, item.changes, item.reason) == (Action.UNCHANGED, (), "")

    def test_what_differs_is_updated_with_its_changes(self) -> None:
        item = only(plan([desired()], [live(body(isEnabled=False))]))
        assert item.action is Action.UPDATE
        assert [change.path for change in item.changes] == ["properties.isEnabled"]
        assert item.desired == desired()

    def test_it_is_found_in_any_casing(self) -> None:
        there = live(at=ResourceId(*(part.upper() for part in place())))
        assert only(plan([desired()], [there])).action is Action.UNCHANGED

    def test_a_disabled_export_disables_what_is_there_and_creates_nothing(self) -> None:
        off = body(isEnabled=False)
        assert plan([desired(off, enabled=False)], []).items == ()
        assert only(plan([desired(off, enabled=False)], [live()])).action is Action.UPDATE

    def test_a_location_that_differs_is_said_but_no_reason_to_write(self) -> None:
        item = only(plan([desired()], [live(location="North Europe")]))
        assert item.action is Action.UNCHANGED
        assert "stays in North Europe" in item.reason
        assert "westeurope" in item.reason


class TestAnothersName:
    """An export whose file takes the name of another's automation."""

    THERE = live(at=place(name="of-first"), tags=OURS | {"defender-export-name": "First"})
    WANTED = desired(at=place(name="of-first"))

    def test_it_waits_while_no_record_says_that_the_other_ended(self) -> None:
        item = only(plan([self.WANTED], [self.THERE]))
        assert (item.action, item.reason) == (
            Action.BLOCKED,
            "it is of the export first, whose file does not say for certain that it gave it up",
        )

    def test_it_waits_while_the_file_of_the_other_can_not_be_read(self) -> None:
        made = plan([self.WANTED], [self.THERE], exports=("soc", "first"), unreadable={"first": "it is cut off"})
        assert only(made).action is Action.BLOCKED

    def test_it_waits_too_where_the_others_tags_were_lost(self) -> None:
        there = replace(self.THERE, tags={})
        record = OwnershipRecord().after(Seen(INSTANCE, datetime.now(UTC), [self.THERE], complete=True))
        assert only(plan([self.WANTED], [there], record=record)).action is Action.BLOCKED

    def test_it_is_taken_once_the_other_ended_or_left_it(self) -> None:
        assert only(plan([self.WANTED], [self.THERE], gone=("first",))).action is Action.UPDATE
        assert only(plan([self.WANTED], [self.THERE], exports=("soc", "first"))).action is Action.UPDATE

    def test_what_was_its_own_before_is_taken_back(self) -> None:
        before = replace(self.THERE, tags=OURS)
        record = OwnershipRecord().after(Seen(INSTANCE, datetime.now(UTC), [before], complete=True))
        assert only(plan([self.WANTED], [self.THERE], record=record)).action is Action.UPDATE


class TestOwnership:
    @pytest.mark.parametrize(
        "tags",
        [
            THEIRS,
            {},
            {"managed-by": "defender-export"},
            OTHER_INSTANCE,
        ],
    )
    def test_what_our_tags_do_not_claim_is_foreign(self, tags: dict[str, str]) -> None:
        assert not owned(tags, INSTANCE)
        assert only(plan([], [live(tags=tags)])).action is Action.FOREIGN
        item = only(plan([desired()], [live(tags=tags)]))
        assert item.action is Action.FOREIGN
        assert item.export == "soc"
        assert item.reason

    @pytest.mark.parametrize("value", ["terraform", "", "platform-team"])
    def test_a_tag_for_people_decides_nothing(self, value: str) -> None:
        there = live(body(isEnabled=False), tags=OURS | {"managed-by": value})
        assert only(plan([desired()], [there])).action is Action.UPDATE
        assert only(plan([desired()], [live(tags=OURS | {"managed-by": value})])).action is Action.UNCHANGED

    def test_ownership_is_read_in_any_casing(self) -> None:
        assert owned({"Managed-By": "Defender-Export", "DEFENDER-EXPORT-INSTANCE": INSTANCE.upper()}, INSTANCE)

    def test_a_foreign_one_is_adopted_only_when_the_file_says_so(self) -> None:
        left = only(plan([desired()], [live(tags=THEIRS)]))
        assert left.action is Action.FOREIGN
        assert left.reason == (
            "an automation of others has this name; choose another, or set `adopt: true` to take it over"
        )
        item = only(plan([desired(adopt=True)], [live(tags=THEIRS)]))
        assert item.action is Action.ADOPT
        assert {change.path for change in item.changes} == {f"tags.{name}" for name in OURS if name != "managed-by"}

    @pytest.mark.parametrize("tags", [OTHER_INSTANCE, {"managed-by": "defender-export"}])
    def test_another_deployments_is_never_adopted(self, tags: dict[str, str]) -> None:
        item = only(plan([desired(adopt=True)], [live(tags=tags)]))
        assert item.action is Action.FOREIGN
        assert "deployment" in item.reason

    def test_one_of_ours_under_another_exports_name_is_taken_back(self) -> None:
        item = only(plan([desired()], [live(tags=OURS | {"defender-export-name": "gone"})]))
        assert item.action is Action.UPDATE

    def test_two_exports_that_claim_one_automation_are_both_held(self) -> None:
        made = plan([desired(export="a"), desired(export="b")], [], exports=("a", "b"))
        item = only(made)
        assert (item.action, item.wanted) == (Action.BLOCKED, Action.CREATE)
        assert "a and b" in item.reason


class TestPrune:
    def test_an_export_that_is_no_longer_declared_is_deleted(self) -> None:
        item = only(plan([], [live()], exports=()))
        assert (item.action, item.export) == (Action.DELETE, "soc")
        assert "no longer declared" in item.reason

    def test_a_subscription_out_of_scope_is_deleted(self) -> None:
        item = only(plan([], [live()]))
        assert item.action is Action.DELETE
        assert "no longer in the scope" in item.reason

    def test_what_moved_is_made_anew_and_the_old_one_deleted(self) -> None:
        made = plan([desired(at=place(name="new"))], [live()])
        assert {item.id.name: item.action for item in made.items} == {
            "new": Action.CREATE,
            "defender-export-soc": Action.DELETE,
        }
        assert any("moved to rg-defender-export/new" in item.reason for item in made.items)

    def test_what_cannot_move_keeps_the_old_one(self) -> None:
        conflict = live(at=place(name="new"), tags=THEIRS)
        made = plan([desired(at=place(name="new"))], [live(), conflict])
        old = next(item for item in made.items if item.id.name == "defender-export-soc")
        assert (old.action, old.wanted) == (Action.BLOCKED, Action.DELETE)
        assert "successor" in old.reason

    def test_an_export_whose_file_cannot_be_read_loses_nothing(self) -> None:
        item = only(plan([], [live()], exports=(), unreadable={"soc": "line 3"}))
        assert (item.action, item.wanted) == (Action.BLOCKED, Action.DELETE)
        assert "line 3" in item.reason

    def test_nothing_is_deleted_on_incomplete_discovery_but_the_rest_goes_on(self) -> None:
        here, there = place(), place(subscription(2).id)
        made = plan([desired(at=there)], [live(at=here)], reasons=("a page is missing", "Graph paused"))
        assert [item.action for item in made.items] == [Action.BLOCKED, Action.CREATE]
        assert made.items[0].reason.endswith("a page is missing; Graph paused")
        assert made.reasons == ("a page is missing", "Graph paused")


class TestSubscriptions:
    @pytest.mark.parametrize("state", ["Disabled", "Warned", "Deleted"])
    def test_a_read_only_subscription_is_not_written_to(self, state: str) -> None:
        off = [subscription(1, state=state)]
        made = only(plan([desired()], [], subscriptions=off))
        assert (made.action, made.wanted) == (Action.SKIPPED, Action.CREATE)
        assert state.lower() in made.reason
        assert only(plan([], [live()], subscriptions=off)).wanted is Action.DELETE

    @pytest.mark.parametrize("state", ["Enabled", "PastDue", "enabled"])
    def test_a_writable_one_is(self, state: str) -> None:
        assert only(plan([desired()], [], subscriptions=[subscription(1, state=state)])).action is Action.CREATE

    def test_what_needs_nothing_is_no_problem_there(self) -> None:
        off = [subscription(1, state="Disabled")]
        assert only(plan([desired()], [live()], subscriptions=off)).action is Action.UNCHANGED
        assert only(plan([], [live(tags=THEIRS)], subscriptions=off)).action is Action.FOREIGN

    def test_a_subscription_that_was_not_seen_is_not_written_to(self) -> None:
        assert only(plan([desired()], [], subscriptions=[])).action is Action.BLOCKED
        assert only(plan([], [live()], subscriptions=[])).action is Action.BLOCKED


class TestDestinations:
    def test_a_blocked_destination_blocks_what_would_be_written(self) -> None:
        created = only(plan([desired(blocked="no Send")], []))
        updated = only(plan([desired(blocked="no Send")], [live(body(isEnabled=False))]))
        assert (created.action, created.wanted, created.reason) == (Action.BLOCKED, Action.CREATE, "no Send")
        assert (updated.action, updated.wanted, updated.reason) == (Action.BLOCKED, Action.UPDATE, "no Send")

    def test_with_the_key_unknown_its_fingerprint_is_no_difference(self) -> None:
        tags = OURS | {"defender-export-key-fingerprint": "abc"}
        item = only(plan([desired(blocked="can't read the key")], [live(tags=tags)]))
        assert (item.action, item.reason) == (Action.BLOCKED, "can't read the key")

    def test_a_rotated_key_is_an_update(self) -> None:
        wanted = body()
        wanted["tags"]["defender-export-key-fingerprint"] = "new"
        there = live(tags=OURS | {"defender-export-key-fingerprint": "old"})
        assert [change.path for change in only(plan([desired(wanted)], [there])).changes] == [
            "tags.defender-export-key-fingerprint"
        ]


def _many(number: int) -> list[Live]:
    return [live(at=place(subscription(n).id)) for n in range(1, number + 1)]


def _drifted(number: int, of: int) -> Plan:
    wanted = [desired(at=place(subscription(n).id)) for n in range(1, of + 1)]
    there = [live(body(isEnabled=n > number), at=place(subscription(n).id)) for n in range(1, of + 1)]
    return plan(wanted, there, subscriptions=[subscription(n) for n in range(1, of + 1)], guards=Guards(10, 20))


class TestGuards:
    def _deletes(self, number: int) -> Plan:
        subscriptions = [subscription(n) for n in range(1, number + 1)]
        return plan([], _many(number), exports=(), subscriptions=subscriptions, guards=Guards(10, 20))

    def test_as_many_deletes_as_allowed_go_on(self) -> None:
        made = self._deletes(10)
        assert made.counts[Action.DELETE] == 10
        assert made.guards == ()

    def test_one_more_and_none_is_done(self) -> None:
        made = self._deletes(11)
        assert made.counts == {Action.BLOCKED: 11}
        assert made.writes == ()
        assert "11 deletes" in made.guards[0]
        assert "MAX_DELETES" in made.items[0].reason

    def test_as_many_updates_as_the_percentage_allows_go_on(self) -> None:
        assert _drifted(20, of=100).counts[Action.UPDATE] == 20

    def test_one_more_update_and_none_is_done(self) -> None:
        made = _drifted(21, of=100)
        assert made.counts == {Action.BLOCKED: 21, Action.UNCHANGED: 79}
        assert "21 updates of 100" in made.guards[0]
        assert {item.reason for item in made.items if item.action is Action.BLOCKED} == set(made.guards)

    def test_a_handful_of_repairs_is_never_held_back(self) -> None:
        assert _drifted(3, of=3).counts[Action.UPDATE] == 3
        assert _drifted(4, of=4).counts[Action.BLOCKED] == 4

    @pytest.mark.parametrize(
        ("percent", "count", "allowed"), [(0, 100, 0), (20, 100, 20), (20, 4, 3), (99, 100, 99), (100, 5, float("inf"))]
    )
    def test_allowed_changes(self, percent: int, count: int, allowed: float) -> None:
        assert allowed_changes(percent, count) == allowed

    def test_creates_and_adoptions_are_never_guarded(self) -> None:
        subscriptions = [subscription(n) for n in range(1, 101)]
        wanted = [desired(at=place(one.id), adopt=True) for one in subscriptions]
        there = [live(at=place(one.id), tags=THEIRS) for one in subscriptions[:50]]
        made = plan(wanted, there, subscriptions=subscriptions, guards=Guards(0, 0))
        assert made.counts == {Action.CREATE: 50, Action.ADOPT: 50}


def test_the_order_is_by_subscription_group_and_name() -> None:
    second, first = place(subscription(2).id), place(subscription(1).id)
    made = plan([desired(at=second), desired(at=first)], [])
    assert [item.id for item in made.items] == [first, second]


def test_a_narrowed_plan_looks_at_the_chosen_part_only() -> None:
    made = plan([desired(at=place(subscription(n).id)) for n in (1, 2)], [], chosen=lambda item: "2" in item.id[0][-1])
    assert [item.id.subscription_id for item in made.items] == [subscription(2).id]


def test_writes_are_creates_updates_adoptions_and_deletes() -> None:
    assert {Action.CREATE, Action.UPDATE, Action.ADOPT, Action.DELETE} == WRITES


def test_deciding_again_on_what_is_there_by_now_is_the_same_decision() -> None:
    item = decide(desired(), live(tags=THEIRS), INSTANCE)
    assert item is not None
    assert item.action is Action.FOREIGN


class TestNotKnown:
    def test_nothing_leaves_a_scope_that_names_what_nobody_knows(self) -> None:
        declaration = Declaration([], ("soc",), unknown={"soc": ["the group contosso is not known"]})
        made = make_plan(declaration, Inventory([subscription(1)], [live()]), INSTANCE, Terms(NO_GUARDS))
        assert (only(made).action, only(made).wanted) == (Action.BLOCKED, Action.DELETE)
        assert "contosso" in only(made).reason

    @pytest.mark.parametrize(("by_group", "action"), [(("soc",), Action.BLOCKED), ((), Action.DELETE)])
    def test_a_subscription_of_unknown_place_leaves_no_scope_of_groups(self, by_group: Any, action: Action) -> None:
        nowhere = subscription(1, placed=False)
        declaration = Declaration([], ("soc",), by_group=by_group)
        made = make_plan(declaration, Inventory([nowhere], [live()]), INSTANCE, Terms(NO_GUARDS))
        assert only(made).action is action
