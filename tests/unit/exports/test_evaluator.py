from __future__ import annotations

from typing import Any

import pytest

from shared.exports.evaluator import accepts, evaluate, meets, surely_holds
from shared.exports.event_sources import event_source_of, kind_of_record
from shared.exports.rule_sets import OPERATORS, TYPES, Rule, Source
from tests.unit.exports.examples import rule

ALERT = {"SystemAlertId": "a", "Severity": "High"}
ASSESSMENT = {
    "type": "Microsoft.Security/assessments",
    "properties": {"metadata": {"severity": "Medium", "categories": ["Data", "Compute"]}, "status": {"code": None}},
}


def holds(one: Rule, record: dict[str, Any], source: str = "Assessments") -> bool:
    exported = evaluate(Source(source, ((one,),)), record).exported
    assert accepts(Source(source, ((one,),)), record) is exported
    return exported


@pytest.mark.parametrize(
    ("kind", "operator", "expected", "matching", "failing"),
    [
        ("String", "Equals", "high", ["high", "HIGH"], ["hig", "highs", "", "low"]),
        ("String", "NotEquals", "high", ["low", "", "hig"], ["HIGH"]),
        ("String", "Contains", "GH", ["high", "gh"], ["low", "g", ""]),
        ("String", "StartsWith", "HI", ["high", "hi"], ["a high", "h"]),
        ("String", "EndsWith", "GH", ["high", "gh"], ["highs", "h"]),
        ("String", "Equals", "7", ["7", 7], [7.5, "07"]),
        ("String", "Equals", "true", [True, "TRUE"], [False, 1]),
        ("Number", "Equals", "7.50", [7.5, "7.5", "7.50"], [7, "seven", True]),
        ("Number", "NotEquals", "7", [8, "x"], [7, 7.0, "7"]),
        ("Number", "GreaterThan", "0.1", [0.2, "0.11", 1], [0.1, 0.09, "x", True]),
        ("Number", "GreaterThanOrEqualTo", "0.1", [0.1, 0.2], [0.09]),
        ("Number", "LesserThan", "0.1", [0.09, -1], [0.1, 0.2]),
        ("Number", "LesserThanOrEqualTo", "0.1", [0.1, 0.09], [0.11]),
        ("Number", "GreaterThan", "1e2", [101, "1.5e3"], [100]),
        ("Integer", "Equals", "7", [7, 7.0, "7"], [7.5, 8, "7.5"]),
        ("Integer", "GreaterThan", "7", [8], [7, 7.5]),
        ("Integer", "GreaterThanOrEqualTo", "7", [7, 8], [6]),
        ("Integer", "LesserThan", "7", [6], [7, 6.5]),
        ("Integer", "LesserThanOrEqualTo", "7", [7], [8]),
        ("Boolean", "Equals", "True", [True, "true"], [False, "yes", 1]),
        ("Boolean", "NotEquals", "true", [False, "yes"], [True, "TRUE"]),
    ],
)
def test_each_operator_on_each_type(
    kind: str, operator: str, expected: str, matching: list[Any], failing: list[Any]
) -> None:
    one = rule("x", expected, operator, kind)
    assert [value for value in matching if not meets(one, [value])] == []
    assert [value for value in failing if meets(one, [value])] == []


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_of_another_type_never_holds(kind: str, operator: str) -> None:
    numeric, text = kind in {"Integer", "Number"}, kind == "String"
    defined = {
        "Contains": text,
        "StartsWith": text,
        "EndsWith": text,
        "Equals": True,
        "NotEquals": True,
    }.get(operator, numeric)
    expected, values = ("true", [True, False]) if kind == "Boolean" else ("5", [4, 5, 6])
    assert any(meets(rule("x", expected, operator, kind), [value]) for value in values) is defined


@pytest.mark.parametrize(
    ("kind", "operator"), [("Text", "Equals"), ("String", "Is"), ("Integer", "Is"), ("Text", "Contains")]
)
def test_unknown_types_and_operators_never_hold(kind: str, operator: str) -> None:
    assert not meets(rule("x", "5", operator, kind), ["5"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [("Integer", "7.5"), ("Integer", "x"), ("Number", "1_0"), ("Number", "NaN"), ("Number", "inf"), ("Boolean", "1")],
)
def test_a_value_that_is_not_of_its_type_never_holds(kind: str, value: str) -> None:
    assert not meets(rule("x", value, "Equals", kind), [value])
    assert not meets(rule("x", value, "NotEquals", kind), ["other"])


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("record", [{}, {"x": None}, {"x": {}}, {"x": []}])
def test_a_missing_value_meets_not_equals_and_nothing_else(operator: str, record: dict[str, Any]) -> None:
    kind = "Number" if "Than" in operator else "String"
    record = {"type": "Microsoft.Security/assessments", **record}
    assert holds(rule("x", "5", operator, kind), record) is (operator == "NotEquals")


@pytest.mark.parametrize(
    "path",
    [
        "properties.metadata.severity",
        "$.properties.metadata.severity",
        "PROPERTIES.Metadata.sEVERITY",
        "$['properties']['metadata'].severity",
        'properties["metadata"]["severity"]',
    ],
)
def test_paths_are_dotted_or_bracketed_with_or_without_dollar_in_any_casing(path: str) -> None:
    assert holds(rule(path, "Medium"), ASSESSMENT)
    assert not holds(rule(path, "High"), ASSESSMENT)


def test_records_may_have_any_casing() -> None:
    shouting = {"TYPE": "MICROSOFT.SECURITY/ASSESSMENTS", "PROPERTIES": {"METADATA": {"SEVERITY": "MEDIUM"}}}
    assert holds(rule("properties.metadata.severity", "Medium"), shouting)


def test_the_exact_spelling_of_a_key_wins() -> None:
    twice = {"SystemAlertId": "a", "severity": "Low", "Severity": "High"}
    assert holds(rule("Severity", "High"), twice, "Alerts")
    assert holds(rule("severity", "Low"), twice, "Alerts")


def test_one_element_of_an_array_is_enough() -> None:
    assert holds(rule("properties.metadata.categories", "Compute"), ASSESSMENT)
    assert not holds(rule("properties.metadata.categories", "Network"), ASSESSMENT)


def test_not_equals_wants_no_element_of_an_array_to_equal() -> None:
    assert not holds(rule("properties.metadata.categories", "Compute", "NotEquals"), ASSESSMENT)
    assert holds(rule("properties.metadata.categories", "Network", "NotEquals"), ASSESSMENT)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Entities.Type", ["ip", "host"]),
        ("Entities[0].Type", ["ip"]),
        ("Entities[1].Type", ["host"]),
        ("Entities[2].Type", []),
        ("Entities[3].Type", []),
        ("Entities[*].Type", ["ip", "host"]),
        ("Entities.Names", ["a", "b", "c"]),
        ("Entities.Names[0]", ["a", "c"]),
        ("Severity[0]", []),
        ("Severity.x", []),
        ("Entities", []),
    ],
)
def test_arrays_on_the_way_are_walked(path: str, found: list[str]) -> None:
    alert = ALERT | {"Entities": [{"Type": "ip", "Names": [["a"], "b"]}, {"Type": "host", "Names": ["c"]}, 7]}
    for value in ("ip", "host", "a", "b", "c"):
        assert holds(rule(path, value), alert, "Alerts") is (value in found), value


def test_keys_with_spaces_and_dots_can_be_named() -> None:
    alert = ALERT | {"ExtendedProperties": {"compromised host": "vm1", "a.b": "c"}}
    assert holds(rule("ExtendedProperties.Compromised Host", "vm1"), alert, "Alerts")
    assert holds(rule("ExtendedProperties['a.b']", "c"), alert, "Alerts")


def test_an_alert_s_plan_is_found_among_its_extended_properties() -> None:
    inner = ALERT | {"ExtendedProperties": {"productComponentName": "Storage"}}
    assert holds(rule("ProductComponentName", "Storage"), inner, "Alerts")
    assert holds(rule("$.productcomponentname", "Storage"), inner, "Alerts")
    assert not holds(rule("ProductComponentName", "Storage"), inner | {"ProductComponentName": "Servers"}, "Alerts")
    assert not holds(rule("AlertType", "Storage"), {**inner, "ExtendedProperties": {"AlertType": "Storage"}}, "Alerts")


def test_rule_sets_are_ored_and_rules_inside_one_are_anded() -> None:
    source = Source("Alerts", ((rule("Severity", "High"), rule("AlertType", "A")), (rule("Severity", "Low"),)))
    assert evaluate(source, ALERT | {"AlertType": "A"}).rule_set == 0
    assert evaluate(source, ALERT | {"Severity": "Low"}).rule_set == 1
    assert not evaluate(source, ALERT | {"AlertType": "B"}).exported
    assert accepts(source, ALERT | {"Severity": "Low"})
    assert not accepts(source, ALERT | {"AlertType": "B"})


def test_no_rule_sets_and_a_rule_set_without_rules_let_everything_through() -> None:
    everything = evaluate(Source("Alerts"), ALERT)
    assert (everything.exported, everything.rule_set) == (True, None)
    assert everything.reason == "Alerts has no rule sets: every record is exported"
    empty = evaluate(Source("Alerts", ((rule("Severity", "Low"),), ())), ALERT)
    assert (empty.exported, empty.rule_set, empty.reason) == (True, 1, "Alerts rule set 2 holds: it has no rules")
    assert accepts(Source("Alerts"), ALERT)
    assert accepts(Source("Alerts", ((rule("Severity", "Low"),), ())), ALERT)


def test_a_decision_says_which_rule_set_held_and_why() -> None:
    decision = evaluate(Source("Alerts", ((rule("Severity", "low"),), (rule("Severity", "high"),))), ALERT)
    assert decision.reason == "Alerts rule set 2 holds: Severity Equals 'high' (it is 'High')"
    two = evaluate(Source("Alerts", ((rule("Severity", "High"), rule("SystemAlertId", "a")),)), ALERT).reason
    assert two.endswith("holds: Severity Equals 'High' (it is 'High') and SystemAlertId Equals 'a' (it is 'a')")


def test_a_rule_surely_holds_only_on_values_that_are_there() -> None:
    assert surely_holds(rule("Severity", "High"), ALERT)
    assert not surely_holds(rule("Severity", "Low"), ALERT)
    assert surely_holds(rule("Severity", "Low", "NotEquals"), ALERT)
    assert not surely_holds(rule("Intent", "Low", "NotEquals"), ALERT)


def test_a_decision_against_names_the_nearest_rule_set_and_where_it_fails() -> None:
    near = (rule("Severity", "High"), rule("AlertType", "A"))
    far = (rule("Severity", "Low"), rule("AlertType", "A"))
    decision = evaluate(Source("Alerts", (far, near, far)), ALERT)
    assert (decision.exported, decision.rule_set) == (False, 1)
    assert decision.reason == (
        "none of 3 rule sets of Alerts holds; nearest is rule set 2, which fails at "
        "AlertType Equals 'A' (the record lacks it)"
    )
    both = evaluate(Source("Alerts", (far,)), ALERT).reason
    assert both.endswith("Severity Equals 'Low' (it is 'High') and AlertType Equals 'A' (the record lacks it)")


def test_of_rule_sets_that_are_equally_near_the_first_is_named() -> None:
    assert evaluate(Source("Alerts", ((rule("Severity", "Low"),), (rule("Severity", "Medium"),))), ALERT).rule_set == 0


def test_a_reason_shows_at_most_three_values() -> None:
    many = ALERT | {"RemediationSteps": ["a", "b", "c", "d"]}
    assert evaluate(Source("Alerts", ((rule("RemediationSteps", "e"),),)), many).reason.endswith(
        "(it is 'a', 'b', 'c')"
    )


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (ALERT, "Alerts"),
        ({"systemalertid": "x"}, "Alerts"),
        ({"type": "microsoft.security/ASSESSMENTS"}, "Assessments"),
        ({"Type": "Microsoft.Security/assessments/subAssessments"}, "SubAssessments"),
        ({"type": "Microsoft.Security/secureScores"}, "SecureScores"),
        ({"type": "Microsoft.Security/secureScores/secureScoreControls"}, "SecureScoreControls"),
        (
            {
                "type": "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
                "/regulatoryComplianceAssessments"
            },
            "RegulatoryComplianceAssessment",
        ),
        ({"attackPath": {"riskLevel": "High"}}, "AttackPaths"),
        ({"ATTACKPATH": {}}, "AttackPaths"),
        ({"type": "microsoft.security/attackpaths"}, "AttackPaths"),
        ({"attackPath": "text"}, None),
        ({"type": "Microsoft.Security/pricings"}, None),
        ({"type": 7}, None),
        ({"SystemAlertId": None}, None),
        ({}, None),
    ],
)
def test_the_kind_of_a_record(record: dict[str, Any], kind: str | None) -> None:
    assert kind_of_record(record) == kind
    assert event_source_of(record) == kind


@pytest.mark.parametrize(
    "enrichment",
    ["securityEventDataEnrichment", "AssessmentEventDataEnrichment", "subAssessmentEventDataEnrichment"],
)
@pytest.mark.parametrize(
    ("flag", "source"), [(True, "AssessmentsSnapshot"), ("true", "AssessmentsSnapshot"), (False, "Assessments")]
)
def test_a_record_says_whether_it_belongs_to_a_snapshot(enrichment: str, flag: Any, source: str) -> None:
    record = ASSESSMENT | {enrichment: {"IsSnapshot": flag}}
    assert event_source_of(record) == source
    for name in ("Assessments", "AssessmentsSnapshot"):
        assert accepts(Source(name), record) is (name == source)
    other = "Assessments" if source.endswith("Snapshot") else "AssessmentsSnapshot"
    shown = "true" if source.endswith("Snapshot") else "false"
    assert evaluate(Source(other), record).reason == f"{other} does not carry this record: its isSnapshot is {shown}"


def test_a_record_that_does_not_say_is_taken_for_either() -> None:
    for record in (ASSESSMENT, ASSESSMENT | {"securityEventDataEnrichment": {"action": "Insert"}}):
        assert accepts(Source("Assessments"), record)
        assert accepts(Source("AssessmentsSnapshot"), record)
        assert event_source_of(record) == "Assessments"


def test_alerts_know_no_snapshots() -> None:
    flagged = ALERT | {"securityEventDataEnrichment": {"isSnapshot": True}}
    assert event_source_of(flagged) == "Alerts"
    assert accepts(Source("Alerts"), flagged)


@pytest.mark.parametrize(
    ("source", "record", "reason"),
    [
        ("Alerts", ASSESSMENT, "Alerts carries alerts; the record is of Assessments"),
        ("SubAssessments", ASSESSMENT, "SubAssessments carries findings; the record is of Assessments"),
        ("Alerts", {}, "Alerts carries alerts; the record is of no known kind"),
        ("AlertsSnapshot", ALERT, "AlertsSnapshot is not an event source"),
    ],
)
def test_a_source_exports_only_its_own_kind(source: str, record: dict[str, Any], reason: str) -> None:
    decision = evaluate(Source(source), record)
    assert (decision.exported, decision.rule_set, decision.reason) == (False, None, reason)
    assert not accepts(Source(source), record)
