"""An export of several resource groups: one automation for each, beside what an earlier release or others made."""

import copy
import json
from typing import Any

import pytest

from shared.exports.compiler import automation_name, compile_automation, one_scope_each
from shared.exports.diagnostics import Diagnostic
from shared.exports.model import ExportConfig, parse_export
from shared.exports.validation import check_together
from shared.reconcile.importer.imported_exports import import_exports
from shared.reconcile.model import Inventory, Live, ResourceId, Subscription
from shared.reconcile.plan.change_limits import Guards
from shared.reconcile.plan.desired import desired_automations
from shared.reconcile.plan.model import Action, Cause, Declaration, Plan
from shared.reconcile.plan.planner import Terms, make_plan

INSTANCE = "prod"
HERE = Subscription("0a000000-0000-4000-8000-000000000001")
WORKSPACE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-soc"
    "/providers/Microsoft.OperationalInsights/workspaces/law-soc"
)


def pay(*groups: str, **parts: Any) -> ExportConfig:
    automation = {"location": "westeurope"} | parts.pop("automation", {})
    return parse_export(
        json.dumps(
            {
                "version": 1,
                "name": "pay",
                "scope": {"subscriptions": [HERE.id], "resourceGroups": list(groups)},
                "automation": automation,
                "export": {"alerts": {"minimumSeverity": "Medium"}},
                "destination": {"logAnalyticsWorkspace": {"resourceId": WORKSPACE}},
            }
            | parts
        )
    )


def together(config: ExportConfig, *, tags: dict[str, str] | None = None, **properties: Any) -> Live:
    """The one automation that an earlier release, or the portal, made of it."""
    body = copy.deepcopy(compile_automation(config, HERE.id, INSTANCE))
    body["properties"] |= properties
    place = ResourceId(HERE.id, config.automation.resource_group, automation_name(config))
    return Live.from_body({"id": str(place), **body} | ({} if tags is None else {"tags": tags}))


def plan(config: ExportConfig, *live: Live, causes: tuple[Cause, ...] = ()) -> Plan:
    declaration = Declaration(desired_automations([config], [HERE], INSTANCE, {}), {config.name})
    return make_plan(declaration, Inventory([HERE], live), INSTANCE, Terms(Guards(100, 100), causes=causes))


def actions(made: Plan) -> list[tuple[str, str]]:
    return [(item.action.value, item.id.name) for item in made.items]


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ((), ["defender-export-pay"]),
        (("rg-one",), ["defender-export-pay"]),
        (("RG-one", "rg-ONE"), ["defender-export-pay"]),
        (("rg-b", "RG_a"), ["defender-export-pay-rg-b", "defender-export-pay-rg_a"]),
        (("rg.b", "rg(b)"), ["defender-export-pay-rg-b-", "defender-export-pay-rg-b-"]),
        (("rg-größe", "rg-b"), ["defender-export-pay-rg-b", "defender-export-pay-rg-gr-e-"]),
    ],
)
def test_each_resource_group_has_an_automation_of_its_own(groups: tuple[str, ...], names: list[str]) -> None:
    parts = one_scope_each(pay(*groups))
    named = [automation_name(part) for part in parts]
    assert len(set(named)) == len(parts)
    assert all(name.startswith(start) for name, start in zip(named, names, strict=True)), named
    for part in parts:
        assert len(compile_automation(part, HERE.id, INSTANCE)["properties"]["scopes"]) == 1


def test_a_name_that_would_be_too_long_still_fits_and_stays_its_own() -> None:
    groups = ["a" * 90, "a" * 89 + "b"]
    names = {automation_name(part) for part in one_scope_each(pay(*groups, automation={"name": "x" * 260}))}
    assert len(names) == 2
    assert all(len(name) <= 260 for name in names)


def test_another_group_changes_nothing_about_the_others() -> None:
    before = {automation_name(part) for part in one_scope_each(pay("rg-a", "rg-b"))}
    assert before < {automation_name(part) for part in one_scope_each(pay("rg-a", "rg-b", "rg-0"))}


def test_two_exports_that_own_one_part_are_a_finding() -> None:
    other = pay("rg-z", name="other", automation={"name": "defender-export-pay-rg-a"})
    found: list[Diagnostic] = check_together([("one", pay("rg-a", "rg-b")), ("two", other)])
    assert [finding.code for finding in found] == ["same-automation"]


def test_what_azure_took_with_several_scopes_stays() -> None:
    config = pay("rg-a", "rg-b")
    made = plan(config, together(config))
    assert actions(made) == [("unchanged", "defender-export-pay")]
    assert "several scopes" in made.items[0].reason


def test_an_edit_of_its_file_makes_it_several_and_then_it_goes() -> None:
    before = pay("rg-a", "rg-b")
    made = plan(pay("rg-a", "rg-b", export={"alerts": {"minimumSeverity": "High"}}), together(before))
    assert actions(made) == [
        ("delete", "defender-export-pay"),
        ("create", "defender-export-pay-rg-a"),
        ("create", "defender-export-pay-rg-b"),
    ]


def test_so_does_the_cause_release() -> None:
    config = pay("rg-a", "rg-b")
    made = plan(config, together(config), causes=(Cause.RELEASE,))
    assert [action for action, _ in actions(made)] == ["delete", "create", "create"]


def test_it_stays_as_long_as_one_of_its_successors_is_foreign() -> None:
    before, after = pay("rg-a", "rg-b"), pay("rg-a", "rg-b", export={"alerts": {"minimumSeverity": "High"}})
    taken = together(one_scope_each(after)[0], tags={"made-by": "portal"})
    made = plan(after, together(before), taken)
    assert [action for action, _ in actions(made)] == ["blocked", "foreign", "create"]


def test_what_was_begun_is_finished() -> None:
    config = pay("rg-a", "rg-b")
    made = plan(config, together(config), together(one_scope_each(config)[0]))
    assert [action for action, _ in actions(made)] == ["delete", "unchanged", "create"]


def test_one_that_is_switched_off_becomes_several_that_are() -> None:
    made = plan(pay("rg-a", "rg-b", enabled=False), together(pay("rg-a", "rg-b")))
    assert [action for action, _ in actions(made)] == ["delete", "create", "create"]
    bodies = [item.desired.body for item in made.items if item.desired is not None]
    assert {body["properties"]["isEnabled"] for body in bodies} == {False}


def test_somebody_elses_of_the_same_content_is_not_doubled() -> None:
    config = pay("rg-a", "rg-b")
    assert actions(plan(config, together(config, tags={}))) == [("foreign", "defender-export-pay")]


def test_it_is_adopted_by_its_tags_alone() -> None:
    config = pay("rg-a", "rg-b", automation={"adopt": True})
    (item,) = plan(config, together(config, tags={"team": "soc"})).items
    assert item.action is Action.ADOPT
    assert {change.path.partition(".")[0] for change in item.changes} == {"tags"}
    assert item.retag["defender-export-name"] == "pay"


def test_one_that_differs_is_not_adopted_but_named() -> None:
    config = pay("rg-a", "rg-b", automation={"adopt": True})
    (item,) = plan(config, together(config, tags={}, isEnabled=False)).items
    assert (item.action, item.wanted) == (Action.BLOCKED, Action.ADOPT)
    assert "several scopes" in item.reason


def test_a_live_one_is_imported_as_it_is() -> None:
    config = pay("rg-a", "rg-b", automation={"name": "ExportToWorkspace"})
    there = together(config, tags={})
    (one,), left = import_exports([there], [HERE], INSTANCE, adopt=True)
    assert left == []
    assert one.config.scope.resource_groups == ("rg-a", "rg-b")
    assert "several scopes" in one.text
    assert [item.action for item in plan(one.config, there).items] == [Action.ADOPT]
