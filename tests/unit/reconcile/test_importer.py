"""Importing as a function of what is live: grouping, sections, names, and what no file can say."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.exports.compiler import compile_automation
from shared.exports.event_sources import EVENT_SOURCES
from shared.exports.model import parse_export
from shared.exports.rule_sets import Rule, Source, build_sources, normalise, parse_sources
from shared.exports.yaml_writer import write
from shared.reconcile.importer.imported_exports import Imported, Left, import_exports
from shared.reconcile.model import Live, ResourceId
from shared.reconcile.plan.automation_diff import diff
from tests.unit.reconcile.bodies import INSTANCE, OURS, body, live, place, rule, rule_set, subscription

HUB = (
    "/subscriptions/0b000000-0000-4000-8000-000000000002/resourceGroups/rg-hub"
    "/providers/Microsoft.EventHub/namespaces/contoso/eventhubs/hub"
)
TRUSTED = [{"actionType": "EventHub", "eventHubResourceId": HUB, "isTrustedServiceEnabled": True}]
SUBSCRIPTIONS = [subscription(number, name=f"sub-{number}") for number in (1, 2, 3)]


def automation(number: int = 1, *, name: str = "ExportToEventHub", **properties: Any) -> Live:
    one = SUBSCRIPTIONS[number - 1].id
    scopes = [{"description": "x", "scopePath": f"/subscriptions/{one}"}]
    document = body(**{"scopes": scopes, "description": "", "actions": TRUSTED, **properties})
    return live(document, at=ResourceId(one, "rg-export", name), tags={"team": "soc"})


def imported(*automations: Live, adopt: bool = False) -> tuple[list[Imported], list[Left]]:
    return import_exports(automations, SUBSCRIPTIONS, INSTANCE, adopt=adopt)


def only(*automations: Live) -> Imported:
    (files, left) = imported(*automations)
    assert left == []
    (one,) = files
    return one


def exported(*sources: dict[str, Any]) -> dict[str, Any]:
    """The `export` section for these sources, as it stands in the file."""
    document = only(automation(sources=list(sources))).config.export.model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    return dict(document)


def source(name: str, *values: str, path: str = "Severity", operator: str = "Equals") -> dict[str, Any]:
    return {"eventSource": name, "ruleSets": [rule_set(rule(path, value, operator)) for value in values]}


class TestGrouping:
    def test_one_file_stands_for_all_subscriptions_that_mean_the_same(self) -> None:
        shuffled = automation(2)
        properties = shuffled.properties
        properties["sources"].reverse()
        properties["sources"][1]["ruleSets"].reverse()
        second = automation(2, sources=properties["sources"], scopes=properties["scopes"])
        one = only(automation(1), second)
        assert one.config.scope.subscriptions == (SUBSCRIPTIONS[0].id, SUBSCRIPTIONS[1].id)
        assert len(one.automations) == 2

    @pytest.mark.parametrize(
        "difference",
        [
            {"isEnabled": False},
            {"description": "other"},
            {"sources": [source("SecureScores")]},
            {"actions": [{"actionType": "EventHub", "eventHubResourceId": HUB, "sasPolicyName": "send"}]},
            {"name": "another"},
        ],
        ids=lambda given: next(iter(given)),
    )
    def test_what_differs_gets_a_file_of_its_own(self, difference: dict[str, Any]) -> None:
        files, left = imported(automation(1), automation(2, **difference))
        assert left == []
        assert [len(one.automations) for one in files] == [1, 1]
        assert len({one.name for one in files}) == 2

    def test_names_follow_the_automation_and_are_numbered_when_taken(self) -> None:
        files, _ = imported(automation(1), automation(2, isEnabled=False), automation(3, name="_odd__Name_"))
        assert [one.name for one in files] == ["odd-name", "export-to-event-hub", "export-to-event-hub-2"]

    def test_the_order_of_discovery_does_not_matter(self) -> None:
        several = [automation(1), automation(2, isEnabled=False), automation(3)]
        assert imported(*several) == imported(*reversed(several))


class TestSections:
    @pytest.mark.parametrize(
        ("sources", "section"),
        [
            ([source("Alerts")], {"alerts": {}}),
            ([source("Alerts", "high", "Medium")], {"alerts": {"minimumSeverity": "Medium"}}),
            ([source("Alerts", "High", "Informational")], {"alerts": {"severities": ["High", "Informational"]}}),
            ([source("SecureScores")], {"secureScore": {}}),
            (
                [source("SecureScores"), source("SecureScoreControls")],
                {"secureScore": {"controls": True}},
            ),
            (
                [source("RegulatoryComplianceAssessment", "Azure-CIS-1.4.0", path="id", operator="Contains")],
                {"regulatoryCompliance": {"standards": ["Azure-CIS-1.4.0"]}},
            ),
            (
                [source("AttackPaths", "Critical", "High", path="attackPath.riskLevel")],
                {"attackPaths": {"minimumRiskLevel": "High"}},
            ),
            (
                [source("Assessments"), source("AssessmentsSnapshot"), source("SubAssessments")],
                {
                    "recommendations": {"frequency": ["streaming", "snapshot"]},
                    "custom": [{"eventSource": "SubAssessments"}],
                },
            ),
            (
                [source("AssessmentsSnapshot"), source("SubAssessmentsSnapshot")],
                {"recommendations": {"frequency": ["snapshot"], "findings": {}}},
            ),
        ],
    )
    def test_a_section_is_used_where_it_says_the_same(
        self, sources: list[dict[str, Any]], section: dict[str, Any]
    ) -> None:
        assert exported(*sources) == section

    def test_what_no_section_says_is_custom_rule_for_rule(self) -> None:
        section = exported(source("Alerts", "High", path="AlertDisplayName", operator="Contains"))
        (custom,) = section.pop("custom")
        assert section == {}
        assert custom["eventSource"] == "Alerts"
        assert custom["ruleSets"][0]["rules"][0]["propertyJPath"] == "AlertDisplayName"

    def test_the_idioms_for_everything_are_sections(self) -> None:
        section = exported(
            source("Assessments", "Microsoft.Security/assessments", path="type", operator="Contains"),
            source("Alerts", "3.", path="Version", operator="Contains"),
        )
        assert section == {"alerts": {}, "recommendations": {}}

    def test_faults_are_waived_and_named_in_the_file(self) -> None:
        both = {"eventSource": "Alerts", "ruleSets": [rule_set(rule(value="High"), rule(value="Low"))]}
        one = only(automation(sources=[both]))
        assert [waiver.code for waiver in one.config.waive] == ["contradictory-equals"]
        assert "# contradictory-equals: no record matches" in one.text


class TestLeftOut:
    @pytest.mark.parametrize(
        ("properties", "why"),
        [
            ({"actions": []}, "0 actions"),
            ({"actions": [{"actionType": "LogicApp", "logicAppResourceId": "/x"}]}, "workflow automation"),
            ({"actions": [{"actionType": "EventHub", "eventHubResourceId": HUB}]}, "which key"),
            ({"actions": [{"actionType": "Workspace", "workspaceResourceId": "/not/an/id"}]}, "resource id"),
            ({"sources": []}, "exports nothing"),
            ({"sources": "what"}, "not a list"),
            ({"sources": [source("Alerts", "x", operator="Resembles")]}, "no export file can say it"),
            ({"scopes": []}, "no scope"),
            ({"scopes": [{"scopePath": "/subscriptions/someone-else"}]}, "neither its subscription"),
            ({"scopes": [None]}, "its scopes are not of the API's shape"),
            ({"scopes": ["/subscriptions/x"]}, "its scopes are not of the API's shape"),
            ({"scopes": {"scopePath": "x"}}, "its scopes are not of the API's shape"),
            ({"actions": [None]}, "its actions are not of the API's shape"),
            ({"actions": {}}, "its actions are not of the API's shape"),
            ({"actions": [{"actionType": "Workspace", "workspaceResourceId": 7}]}, "'7' is not the resource id"),
            (
                {
                    "actions": [
                        {
                            "actionType": "EventHub",
                            "eventHubResourceId": HUB.rpartition("/eventhubs")[0],
                            "sasPolicyName": "x",
                        }
                    ]
                },
                "is a namespace",
            ),
        ],
    )
    def test_what_no_file_can_say_is_left_with_its_reason(self, properties: dict[str, Any], why: str) -> None:
        files, left = imported(automation(1, **properties), automation(2, name="fine"))
        assert [one.name for one in files] == ["fine"]
        assert why in left[0].reason

    def test_what_is_managed_already_is_left(self) -> None:
        ours = live(tags=OURS)
        theirs = live(tags=OURS | {"defender-export-instance": "staging"}, at=place(name="other"))
        _, left = import_exports([ours, theirs], [subscription()], INSTANCE)
        assert [one.reason for one in left] == ["the export soc declares it already", "the deployment staging owns it"]

    def test_a_read_only_subscription_is_left(self) -> None:
        _, left = import_exports([automation()], [subscription(1, state="Disabled")], INSTANCE)
        assert "disabled" in left[0].reason


class TestText:
    def test_names_that_others_wrote_stay_comments(self) -> None:
        named = [subscription(1, name="evil\nadopt: true\u2028x: \x1b[2J")]
        (one,), _ = import_exports([automation()], named, INSTANCE)
        assert not one.config.automation.adopt
        assert "\x1b" not in one.text
        assert parse_export(one.text) == one.config

    @pytest.mark.parametrize(
        "value", ["08", "1e5", "off", "2026-01-01", "null", "~", "0x1f", "1_0", ".5", "x: y # z", ""]
    )
    def test_a_value_that_yaml_could_mistake_survives(self, value: str) -> None:
        one = only(automation(sources=[source("Alerts", value, path="AlertType")], description=value))
        read = parse_export(one.text)
        rules = read.export.custom[0].rule_sets
        assert rules is not None
        assert rules[0].rules is not None
        assert (rules[0].rules[0].expected_value, read.description) == (value, value)

    @given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=4))
    def test_what_is_written_is_read_back(self, document: dict[str, str]) -> None:
        from shared.exports.yaml_reader import Unreadable, read

        text = write({"x": document})
        try:
            assert read(text).content == {"x": document}
        except Unreadable:  # a character that YAML has no place for: such a file is never written
            assert any(not char.isprintable() for part in (*document, *document.values()) for char in part)


RULES = st.builds(
    Rule,
    st.sampled_from(["Severity", "name", "id", "type", "properties.metadata.severity", "attackPath.riskLevel", "x.y"]),
    st.sampled_from(["String", "Number", "string"]),
    st.sampled_from(["Equals", "Contains", "NotEquals"]),
    st.sampled_from(["High", "medium", "Low", "critical", "08", "Microsoft.Security/assessments", "a b", ""]),
)
RULE_SETS = st.lists(st.lists(RULES, max_size=3).map(tuple), max_size=4).map(tuple)
SOURCES = st.lists(st.builds(Source, st.sampled_from(EVENT_SOURCES), RULE_SETS), min_size=1, max_size=5)


@given(SOURCES, st.booleans())
def test_whatever_is_live_its_file_compiles_to_the_same(sources: list[Source], enabled: bool) -> None:
    one = automation(sources=build_sources(sources), isEnabled=enabled)
    before = copy.deepcopy(one)
    files, left = imported(one)
    assert one == before
    assert left == []
    compiled = compile_automation(parse_export(files[0].text), one.id.subscription_id, INSTANCE)
    assert normalise(parse_sources(compiled)) == normalise(sources)
    assert all(change.path.startswith("tags.") for change in diff(one, compiled))
