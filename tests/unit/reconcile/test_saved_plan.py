import json
from typing import Any

import pytest

from shared.reconcile.model import Desired, ResourceId
from shared.reconcile.plan.model import Action, Item, Plan
from shared.reconcile.plan.saved_plan import StalePlan, fingerprint, plan_as_dict, plan_from_dict, refuse_if_stale
from tests.unit.reconcile.bodies import INSTANCE, body, desired, live, place, subscription
from tests.unit.reconcile.test_planner import THEIRS, plan


def everything() -> Plan:
    """A plan with every action in it."""
    ids = [place(subscription(number).id) for number in range(1, 7)]
    there = [
        live(at=ids[1]),
        live(body(isEnabled=False, scopes=[]), at=ids[2]),
        live(at=ids[3]),
        live(at=ids[4], tags=THEIRS),
        live(at=ids[5], tags=THEIRS),
    ]
    wanted = [desired(at=ids[0]), desired(at=ids[1]), desired(at=ids[2]), desired(at=ids[4], adopt=True)]
    subscriptions = [subscription(number) for number in range(1, 7)]
    wanted.append(desired(at=place(subscription(99).id)))
    return plan(wanted, there, subscriptions=subscriptions)


def written(made: Plan) -> Any:
    return json.loads(json.dumps(plan_as_dict(made, INSTANCE)))


def test_a_plan_comes_back_from_json_as_it_was_but_for_what_needs_nothing() -> None:
    made = everything()
    assert set(made.counts) == set(Action) - {Action.SKIPPED, Action.LEAVING}
    kept = tuple(item for item in made.items if item.action is not Action.UNCHANGED)
    assert plan_from_dict(written(made), INSTANCE) == Plan(kept, made.reasons, made.guards, written=made.written)


def test_reasons_and_guards_are_kept() -> None:
    made = Plan((), ("a page is missing",), ("too many",))
    assert plan_from_dict(written(made), INSTANCE) == made


def test_bodies_are_not_in_it() -> None:
    assert "desired" not in json.dumps(written(everything()))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"format": 4, "release": "3.0.0"}, "run release 3.0.0"),
        ({"format": 2}, "does not bind what it creates"),
        ({"format": 1}, "does not bind what it creates"),
        ({"written": []}, "edited"),
        ({"written": [{"export": "soc"}]}, "can't be read"),
        ({"format": None}, "no plan that this version"),
        ({"guards": 5}, "can't be read"),
        ({"approval": "alice"}, "approval"),
        ({"items": [{"action": "create", "id": str(place()), "body": {}}]}, "does not know"),
        ({"instanceId": "other"}, "instance other"),
        ({"fingerprint": "0"}, "edited"),
        ({"items": []}, "edited"),
        ({"items": [{"action": "explode", "id": str(place())}]}, "can't be read"),
        ({"items": [{"action": "create"}]}, "can't be read"),
        ({"items": [{"action": "create", "id": "/subscriptions/x"}]}, "can't be read"),
        ({"items": None}, "can't be read"),
    ],
)
def test_what_is_no_plan_of_ours_is_refused(edit: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_from_dict({**written(everything()), **edit}, INSTANCE)


@pytest.mark.parametrize("document", [None, [], 5, "plan"])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no plan that this version"):
        plan_from_dict(document, INSTANCE)


def test_a_plan_that_would_write_the_same_is_not_stale() -> None:
    made = everything()
    refuse_if_stale(plan_from_dict(written(made), INSTANCE), made)


def test_casing_alone_does_not_make_it_stale() -> None:
    made = plan([], [live()], exports=())
    shouted = plan([], [live(at=ResourceId(*(part.upper() for part in place())))], exports=())
    assert fingerprint(made) == fingerprint(shouted)


def test_what_only_changed_in_others_does_not_make_it_stale() -> None:
    before = plan([desired()], [])
    after = plan([desired()], [live(at=place(name="new-foreign"), tags=THEIRS)])
    refuse_if_stale(before, after)


def test_a_stale_plan_names_what_differs() -> None:
    before = plan([desired()], [live(body(isEnabled=False))])
    with pytest.raises(StalePlan, match="update was planned, now nothing"):
        refuse_if_stale(before, plan([desired()], [live()]))
    with pytest.raises(StalePlan, match="update, with other changes"):
        refuse_if_stale(before, plan([desired(number=1)], [live(body(description="x"))]))
    with pytest.raises(StalePlan, match="nothing was planned, now create"):
        refuse_if_stale(Plan(()), plan([desired()], []))


@pytest.mark.parametrize(
    "other",
    [
        desired(body(actions=[{"actionType": "Workspace", "workspaceResourceId": "/subscriptions/x/w"}])),
        desired(body(sources=[{"eventSource": "Alerts", "ruleSets": []}])),
        desired(body(scopes=[{"description": "all of it", "scopePath": "/subscriptions/x/resourceGroups/rg"}])),
        desired(body(description="Continuous Export")),
        desired(body(isEnabled=False)),
        desired({**body(), "tags": {**body()["tags"], "team": "soc"}}),
        desired({**body(), "location": "northeurope"}),
        desired(tenant_id="another"),
        desired(create_group=False),
        desired(group_tags={"team": "soc"}),
    ],
)
def test_a_create_binds_all_that_it_would_write(other: Desired) -> None:
    reviewed = plan_from_dict(written(plan([desired()], [])), INSTANCE)
    refuse_if_stale(reviewed, plan([desired()], []))
    with pytest.raises(StalePlan):
        refuse_if_stale(reviewed, plan([other], []))


def test_a_create_says_its_destination_and_filters_in_words() -> None:
    (words,) = plan([desired()], []).written
    assert words.export == "soc"
    assert words.automations == 1
    assert words.destination.endswith("/eventhubs/hub as a trusted service")
    assert words.sends == ("alerts whose severity is High or Medium", "all secure scores")


def test_a_long_list_of_differences_is_cut() -> None:
    many = Plan(tuple(Item(Action.DELETE, place(name=f"a{number}")) for number in range(8)))
    with pytest.raises(StalePlan, match="and 3 more"):
        refuse_if_stale(many, Plan(()))
