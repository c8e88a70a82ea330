import copy
import random
from typing import Any

import pytest

from shared.reconcile.plan.automation_diff import Change, diff, merge, same_location
from tests.unit.reconcile.bodies import HUB, SUB, body, live, rule, rule_set


def test_an_automation_equals_itself() -> None:
    assert diff(live(), body()) == ()


def _recased(properties: dict[str, Any]) -> None:
    properties["scopes"][0]["scopePath"] = f"/SUBSCRIPTIONS/{SUB.upper()}/"
    properties["actions"][0]["eventHubResourceId"] = HUB.upper()
    properties["actions"][0]["actionType"] = "eventhub"
    properties["sources"][0]["eventSource"] = "alerts"
    for one in properties["sources"][0]["ruleSets"]:
        one["rules"][0].update(propertyType="string", operator="equals", expectedValue="high")
    properties["sources"][0]["ruleSets"][1]["rules"][0]["expectedValue"] = "MEDIUM"


def _shuffled(properties: dict[str, Any]) -> None:
    properties["sources"].reverse()
    properties["sources"][1]["ruleSets"].reverse()


def _nulled(properties: dict[str, Any]) -> None:
    properties["sources"][1]["ruleSets"] = None
    del properties["isEnabled"]


def _filled_in(properties: dict[str, Any]) -> None:
    properties["actions"][0].update(sasPolicyName="send", connectionString=None)
    properties["futureField"] = {"a": 1}


def _legacy(properties: dict[str, Any]) -> None:
    properties["sources"][0]["ruleSets"][0]["rules"][0]["propertyJPath"] = "$.Severity"


def _repeated(properties: dict[str, Any]) -> None:
    sources = properties["sources"]
    sources[0]["ruleSets"].append(copy.deepcopy(sources[0]["ruleSets"][0]))
    sources.append(copy.deepcopy(sources[1]))


@pytest.mark.parametrize("rewrite", [_recased, _shuffled, _nulled, _filled_in, _legacy, _repeated])
def test_what_azure_spells_differently_is_the_same(rewrite: Any) -> None:
    document = body()
    rewrite(document["properties"])
    assert diff(live(document), body()) == ()


def test_tag_names_are_read_in_any_case_and_tags_of_others_are_theirs() -> None:
    tags = {name.upper(): value for name, value in body()["tags"].items()} | {"costCenter": "42"}
    assert diff(live(tags=tags), body()) == ()


def test_tag_values_are_compared_as_they_are() -> None:
    tags = body()["tags"] | {"defender-export-name": "SOC"}
    assert diff(live(tags=tags), body()) == (Change("tags.defender-export-name", "SOC", "soc"),)


def test_a_missing_tag_of_ours_is_a_change() -> None:
    tags = {name: value for name, value in body()["tags"].items() if name != "defender-export-name"}
    assert diff(live(tags=tags), body()) == (Change("tags.defender-export-name", None, "soc"),)


def test_the_tag_for_people_is_no_change_and_keeps_what_others_write() -> None:
    tags = body()["tags"] | {"managed-by": "platform-team"}
    assert diff(live(tags=tags), body()) == ()
    assert merge(live(tags=tags), body())["tags"]["managed-by"] == "platform-team"


def test_a_tag_of_ours_that_is_no_longer_declared_goes() -> None:
    tags = body()["tags"] | {"defender-export-key-fingerprint": "abc"}
    assert diff(live(tags=tags), body()) == (Change("tags.defender-export-key-fingerprint", "abc", None),)
    assert "defender-export-key-fingerprint" not in merge(live(tags=tags), body())["tags"]


def test_a_tag_that_only_begins_like_ours_stays() -> None:
    tags = body()["tags"] | {"defender-exporter": "x", "Defender-Export": "off"}
    assert diff(live(tags=tags), body()) == ()
    assert merge(live(tags=tags), body())["tags"] == tags


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"description": "x"}, Change("properties.description", "x", "Continuous export")),
        ({"description": None}, Change("properties.description", "", "Continuous export")),
        ({"isEnabled": False}, Change("properties.isEnabled", False, True)),
        ({"scopes": []}, Change("properties.scopes", [], [f"/subscriptions/{SUB}"])),
        (
            {"scopes": [{"scopePath": f"/subscriptions/{SUB}/resourceGroups/rg"}]},
            Change("properties.scopes", [f"/subscriptions/{SUB}/resourceGroups/rg"], [f"/subscriptions/{SUB}"]),
        ),
        ({"actions": []}, Change("properties.actions", [], [f"event hub {HUB} as a trusted service"])),
        (
            {"actions": [{"actionType": "EventHub", "eventHubResourceId": HUB}]},
            Change("properties.actions", [f"event hub {HUB}"], [f"event hub {HUB} as a trusted service"]),
        ),
        (
            {"actions": [{"actionType": "Workspace", "workspaceResourceId": "/w"}]},
            Change("properties.actions", ["workspace /w"], [f"event hub {HUB} as a trusted service"]),
        ),
        (
            {"actions": [{"actionType": "LogicApp", "logicAppResourceId": "/l", "uri": "https://secret"}]},
            Change("properties.actions", ["logic app /l"], [f"event hub {HUB} as a trusted service"]),
        ),
    ],
)
def test_each_field_that_differs_is_one_change_with_old_and_new(properties: dict[str, Any], expected: Change) -> None:
    assert diff(live(body(**properties)), body()) == (expected,)


def test_rule_sets_are_shown_as_sentences() -> None:
    sources = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule(value="Low"))]}]
    changes = diff(live(body(sources=sources)), body())
    assert [change.path for change in changes] == ["properties.sources.Alerts", "properties.sources.SecureScores"]
    assert changes[0].old == "alerts whose severity is low"
    assert changes[0].new == "alerts whose severity is high or medium"
    assert changes[1] == Change("properties.sources.SecureScores", None, "all secure scores")


def test_a_source_that_is_too_many_is_a_change_to_nothing() -> None:
    sources = [*body()["properties"]["sources"], {"eventSource": "AttackPaths", "ruleSets": []}]
    (change,) = diff(live(body(sources=sources)), body())
    assert (change.path, change.new) == ("properties.sources.AttackPaths", None)


def test_rules_in_one_set_are_not_rule_sets() -> None:
    anded = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule(), rule(value="Medium"))]}]
    ored = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule()), rule_set(rule(value="Medium"))]}]
    (change,) = diff(live(body(sources=anded)), body(sources=ored))
    assert change.path == "properties.sources.Alerts"
    assert change.old != change.new


def test_a_difference_that_the_sentences_leave_out_is_shown_as_rules() -> None:
    as_text = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule("x", "5"))]}]
    as_number = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule("x", "5") | {"propertyType": "Number"})]}]
    numbers = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule("x", "5"), rule("x", "5", "Contains"))]}]
    (change,) = diff(live(body(sources=as_text)), body(sources=numbers))
    assert change.old != change.new
    (change,) = diff(live(body(sources=as_text)), body(sources=as_number))
    assert change.path == "properties.sources.Alerts"


def test_a_filter_that_every_record_meets_is_no_difference() -> None:
    kind = rule("type", "Microsoft.Security/assessments", "Contains")
    severity = rule("properties.metadata.severity")
    bare = [{"eventSource": "Assessments", "ruleSets": []}]
    assert (
        diff(live(body(sources=[{"eventSource": "Assessments", "ruleSets": [rule_set(kind)]}])), body(sources=bare))
        == ()
    )
    one = [{"eventSource": "Assessments", "ruleSets": [rule_set(severity)]}]
    paired = [{"eventSource": "Assessments", "ruleSets": [rule_set(severity, kind)]}]
    assert diff(live(body(sources=one)), body(sources=paired)) == ()
    version = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule("Version", "3.", "Contains"))]}]
    assert diff(live(body(sources=version)), body(sources=[{"eventSource": "Alerts"}])) == ()


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_description_is_no_description_however_it_is_said(nothing: str | None) -> None:
    assert diff(live(body(description=None)), body(description=nothing)) == ()
    assert diff(live(body(description="")), body(description=nothing)) == ()


def test_sources_that_cannot_be_read_are_a_change_and_no_crash() -> None:
    changes = diff(live(body(sources=[{"eventSource": "Alerts", "ruleSets": "all"}])), body())
    assert "properties.sources.(unreadable)" in [change.path for change in changes]


def test_secrets_never_show() -> None:
    actions = [
        {"actionType": "EventHub", "eventHubResourceId": "/other", "connectionString": "CANARY", "uri": "CANARY"}
    ]
    assert "CANARY" not in str(diff(live(body(actions=actions)), body()))


def test_order_never_matters() -> None:
    chance = random.Random(1)
    for _ in range(50):
        document = body()
        chance.shuffle(document["properties"]["sources"])
        for source in document["properties"]["sources"]:
            chance.shuffle(source["ruleSets"])
        assert diff(live(document), body()) == ()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("West Europe", "westeurope", True), ("westeurope", "WestEurope", True), ("westeurope", "northeurope", False)],
)
def test_locations_are_compared_without_case_and_spaces(one: str, other: str, same: bool) -> None:
    assert same_location(one, other) is same
    assert same_location(other, one) is same


def test_a_merge_keeps_place_and_tags_of_others_and_sends_nothing_else_back() -> None:
    document = body(metadata={"createdBy": "someone"}, description="old")
    tags = body()["tags"] | {"costCenter": "42", "Managed-By": "someone"}
    merged = merge(live(document, tags=tags, location="North Europe"), body())
    assert merged["location"] == "North Europe"
    assert merged["tags"] == body()["tags"] | {"costCenter": "42"}
    assert merged["properties"] == body()["properties"]


def test_a_merge_drops_known_fields_that_are_not_declared() -> None:
    wanted = body()
    del wanted["properties"]["description"]
    assert "description" not in merge(live(), wanted)["properties"]


def test_a_merge_with_nothing_is_the_declaration() -> None:
    merged = merge(None, body())
    assert merged == body()
    assert merged["tags"] is not body()["tags"]


def keyed(rule: str | None = "defender-send", **more: Any) -> dict[str, Any]:
    action = {"actionType": "EventHub", "eventHubResourceId": HUB, "isTrustedServiceEnabled": False}
    return body(actions=[action | {"sasPolicyName": rule} | more])


@pytest.mark.parametrize("rule", ["listen-only", None, ""])
def test_another_rules_key_is_drift(rule: str | None) -> None:
    (change,) = diff(live(keyed(rule)), keyed())
    assert change.path == "properties.actions"
    assert "the key of defender-send" in change.new[0]
    assert (rule or "a key of no name") in change.old[0]


def test_a_rules_name_is_read_in_any_case() -> None:
    assert diff(live(keyed("DEFENDER-Send")), keyed()) == ()


def test_a_rule_that_is_not_shown_at_all_is_not_compared() -> None:
    document = keyed()
    del document["properties"]["actions"][0]["sasPolicyName"]
    assert diff(live(document), keyed()) == ()


def test_a_trusted_service_has_no_rule_to_compare() -> None:
    assert diff(live(keyed("left-over", isTrustedServiceEnabled=True)), body()) == ()
