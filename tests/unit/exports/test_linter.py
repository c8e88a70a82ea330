from __future__ import annotations

from typing import Any

import pytest

from shared.exports.evaluator import evaluate
from shared.exports.linter import CODES, lint_automation, lint_sources
from shared.exports.rule_sets import OPERATORS, Rule, Source, build_sources
from tests.unit.exports.examples import rule

HIGH, MEDIUM, LOW = (rule("Severity", level) for level in ("High", "Medium", "Low"))
FLAT = "alerts are flat and have no properties.severity, so no alert is ever exported by it."
NEVER_X = "Severity is never 'x', so the rule never matches: its values are High, Medium, Low, Informational."
PERCENTAGE = "properties.score.percentage"


def codes(*sources: Source) -> list[str]:
    return [finding.code for finding in lint_sources(sources)]


def on_alerts(*rules: Rule) -> list[str]:
    return codes(Source("Alerts", (rules,)))


def live(source: str, *rule_sets: list[dict[str, str]]) -> dict[str, Any]:
    return {"properties": {"sources": [{"eventSource": source, "ruleSets": [{"rules": rules} for rules in rule_sets]}]}}


def live_rule(path: str, value: str) -> dict[str, str]:
    return {"propertyJPath": path, "propertyType": "String", "expectedValue": value, "operator": "Equals"}


ALERT = {"SystemAlertId": "a", "AlertType": "b", "Severity": "High"}


def test_severities_anded_in_one_rule_set_are_caught_on_a_live_automation() -> None:
    body = live(
        "Alerts", [live_rule("Severity", "High"), live_rule("Severity", "Medium"), live_rule("Severity", "Low")]
    )
    (finding,) = lint_automation(body, where="sub/rg/name")
    assert finding.code == "contradictory-equals"
    assert finding.severity == "error"
    assert finding.where == "sub/rg/name: sources[0] Alerts.ruleSets[0]"
    assert "can't equal both 'High' and 'Medium'" in finding.sentence
    assert finding.fix == "Give each value a rule set of its own: rule sets are ORed."


@pytest.mark.parametrize(
    "path", ["properties.metadata.severity", "$.Properties.Metadata.Severity", "properties.severity"]
)
def test_the_severity_path_of_recommendations_is_caught_on_alerts(path: str) -> None:
    (finding,) = lint_automation(live("Alerts", [live_rule(path, "High")]))
    assert (finding.code, finding.fix) == ("alert-severity-path", "Use the path Severity.")
    assert finding.where == "sources[0] Alerts.ruleSets[0].rules[0]"
    assert path in finding.sentence


def test_both_mistakes_at_once_are_both_named() -> None:
    rules = [live_rule("properties.metadata.severity", level) for level in ("High", "Medium")]
    found = [finding.code for finding in lint_automation(live("alerts", rules))]
    assert found == ["alert-severity-path", "alert-severity-path", "contradictory-equals"]


def test_what_the_policies_and_the_portal_write_is_clean() -> None:
    severity = "properties.metadata.severity"
    by_type = rule("type", "Microsoft.Security/assessments", "Contains", "string")
    written = (
        Source("Assessments", tuple((by_type, rule(severity, level)) for level in ("Critical", "High", "Medium"))),
        Source("Alerts", tuple((rule("Severity", level),) for level in ("high", "medium", "low", "informational"))),
        Source("SecureScores"),
        Source("SecureScoreControls", ((rule("name", "a"),),)),
        Source("RegulatoryComplianceAssessment", ((rule("id", "PCI", "Contains"),),)),
        Source("AttackPaths", ((rule("attackPath.riskLevel", "Critical"),),)),
    )
    assert lint_automation({"properties": {"sources": build_sources(written)}}) == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"sources": [7]}, "sources[0] is not an object."),
        ({"sources": "x"}, "sources is not a list."),
    ],
)
def test_a_live_automation_of_an_unknown_shape_is_a_finding(body: Any, sentence: str) -> None:
    (finding,) = lint_automation(body, where="x")
    assert (finding.code, finding.severity, finding.where, finding.sentence) == ("malformed", "error", "x", sentence)
    assert lint_automation(body)[0].where == "sources"


def test_an_automation_without_sources_exports_nothing() -> None:
    (finding,) = lint_automation({"properties": {}})
    assert (finding.code, finding.severity, finding.where) == ("no-sources", "warning", "sources")
    assert (finding.sentence, finding.fix) == ("it has no sources, so it exports nothing.", "Add one.")


@pytest.mark.parametrize(
    ("present", "code", "severity"),
    [
        (["SubAssessments"], "findings-without-recommendations", "error"),
        (["SubAssessments", "AssessmentsSnapshot"], "findings-without-recommendations", "error"),
        (["SubAssessmentsSnapshot"], "snapshot-findings-without-recommendations", "warning"),
        (["SubAssessmentsSnapshot", "Assessments"], "snapshot-findings-without-recommendations", "warning"),
        (["SecureScoreControls"], "controls-without-score", "warning"),
        (["SecureScoreControlsSnapshot", "SecureScores"], "snapshot-controls-without-score", "warning"),
    ],
)
def test_a_child_without_its_parent(present: list[str], code: str, severity: str) -> None:
    finding = next(one for one in lint_sources(map(Source, present)) if one.code != "retired-source")
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.fix.startswith("Add ")


def test_the_missing_parent_is_named() -> None:
    finding, _ = lint_sources([Source("SubAssessmentsSnapshot")], where="file")
    assert finding.sentence == (
        "SubAssessmentsSnapshot is exported without AssessmentsSnapshot, to which its records belong."
    )
    assert (finding.fix, finding.where) == ("Add AssessmentsSnapshot.", "file: sources")


def test_children_with_their_parents_are_clean() -> None:
    names = ["Assessments", "SubAssessments", "SecureScores", "SecureScoreControls"]
    assert codes(*map(Source, names), *(Source(f"{name}Snapshot") for name in names)) == ["retired-source"] * 2


def test_a_source_listed_twice() -> None:
    (finding,) = lint_sources([Source("Alerts"), Source("Alerts"), Source("SecureScores")])
    assert (finding.code, finding.severity) == ("duplicate-source", "warning")
    assert (finding.sentence, finding.fix) == ("Alerts is listed 2 times.", "Merge their rule sets.")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("Alert", "Did you mean Alerts?"),
        ("AlertsSnapshot", "Use Alerts, which has no snapshot."),
        ("zzz", "One of Ass"),
    ],
)
def test_an_unknown_event_source(name: str, fix: str) -> None:
    (finding,) = lint_sources([Source(name, ((rule("x", "y", "z", "w"),),))])
    assert (finding.code, finding.severity, finding.where) == ("unknown-event-source", "error", f"sources[0] {name}")
    assert finding.fix.startswith(fix)


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (rule("Severity", "High", "Equal"), "unknown-operator"),
        (rule("Severity", "High", kind="Text"), "unknown-type"),
        (rule("ConfidenceScore", "5", "GreaterThan"), "numeric-operator-on-text"),
        (rule("ConfidenceScore", "5", "Contains", "Number"), "text-operator-on-number"),
        (rule("ConfidenceScore", "5", "StartsWith", "Integer"), "text-operator-on-number"),
        (rule("IsIncident", "true", "GreaterThan", "Boolean"), "operator-on-boolean"),
        (rule("IsIncident", "true", "Contains", "Boolean"), "operator-on-boolean"),
        (rule("ConfidenceScore", "five", kind="Number"), "unreadable-value"),
        (rule("ConfidenceScore", "5.5", kind="Integer"), "unreadable-value"),
        (rule("IsIncident", "yes", kind="Boolean"), "unreadable-value"),
        (rule("Severty", "High"), "unknown-path"),
        (rule("properties.status.code", "High"), "alert-nested-path"),
        (rule("Severity.x", "High"), "unknown-path"),
        (rule("Severity", "5", kind="Number"), "wrong-type"),
        (rule("Severity", "true", kind="Boolean"), "wrong-type"),
        (rule("ConfidenceScore", "true", kind="Boolean"), "wrong-type"),
        (rule("IsIncident", "5", kind="Integer"), "wrong-type"),
        (rule("Severity", "Hgih"), "impossible-value"),
        (rule("Severity", "Critical"), "impossible-value"),
        (rule("Severity", "x", "Contains"), "impossible-value"),
        (rule("Severity", "igh", "StartsWith"), "impossible-value"),
        (rule("AlertType", ""), "empty-value"),
    ],
)
def test_a_rule_that_can_t_do_what_it_says(one: Rule, code: str) -> None:
    (finding,) = lint_sources([Source("Alerts", ((one,),))])
    assert finding.code == code
    assert finding.severity == CODES[code]
    assert finding.where == "sources[0] Alerts.ruleSets[0].rules[0]"
    assert finding.sentence.endswith(".")
    assert finding.fix.endswith((".", "?"))


@pytest.mark.parametrize(
    "one",
    [
        rule("severity", "informational"),
        rule("$.Severity", "HIGH"),
        rule("['Severity']", "High"),
        rule("Severity", "igh", "Contains"),
        rule("Severity", "High", "NotEquals"),
        rule("Severity", "nonsense", "NotEquals"),
        rule("ConfidenceScore", "5", "GreaterThan", "Number"),
        rule("ConfidenceScore", "5", "GreaterThan", "Integer"),
        rule("ConfidenceScore", "5"),
        rule("IsIncident", "True", kind="Boolean"),
        rule("IsIncident", "True"),
        rule("ExtendedProperties.anything at all", "x"),
        rule("Entities[0].Type", "ip"),
        rule("ExtendedProperties.count", "5", "GreaterThan", "Number"),
        rule("ProductComponentName", "Storage"),
    ],
)
def test_a_sound_rule_is_left_alone(one: Rule) -> None:
    assert on_alerts(one) == []


@pytest.mark.parametrize(
    ("one", "fix"),
    [
        (rule("Severty", "High"), "Did you mean Severity?"),
        (rule("properties.AlertType", "x"), "Use the path AlertType."),
        (rule("zzz", "x"), "See docs/exports.md."),
        (rule("Severity", "Hgih"), "Did you mean High?"),
        (rule("Severity", "zzz"), "One of High, Medium, Low, Informational."),
        (rule("Severity", "High", "Equal"), "Did you mean Equals?"),
        (rule("Severity", "High", "zzz"), f"One of {', '.join(OPERATORS)}."),
        (rule("Severity", "High", kind="Strin"), "Did you mean String?"),
        (rule("Severity", "High", kind="zzz"), "One of String, Integer, Number, Boolean."),
        (rule("ConfidenceScore", "5", "GreaterThan"), "Make the type Number."),
        (rule("ConfidenceScore", "5", "EndsWith", "Integer"), "Make the type String."),
        (rule("IsIncident", "true", "EndsWith", "Boolean"), "Use Equals or NotEquals."),
        (rule("ConfidenceScore", "x", kind="Number"), "Give a number."),
        (rule("IsIncident", "5", kind="Number"), "Make the type Boolean."),
    ],
)  # fmt: skip
def test_a_fix_says_what_would_be_right(one: Rule, fix: str) -> None:
    (finding,) = lint_sources([Source("Alerts", ((one,),))])
    assert finding.fix == fix


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (rule("Severity", "x"), NEVER_X),
        (rule("Severity", "5", kind="Number"), "Severity is text, not Number."),
        (rule("IsIncident", "5", kind="Number"), "IsIncident is a boolean, not Number."),
        (rule("zzz", "x"), "alerts are not known to have a field 'zzz'."),
        (rule("Severity", "High", kind="Text"), "'Text' is not a property type."),
        (rule("Severity", "High", "Equal"), "'Equal' is not an operator."),
        (rule("properties.severity", "High"), FLAT),
        (rule("AlertType", ""), "no present value equals an empty text."),
        (rule("AlertType", "", "Contains"), "every value contains an empty text."),
        (rule("ConfidenceScore", "x", kind="Number"), "'x' is not of type Number, so the rule never matches."),
        (rule("ConfidenceScore", "5", "GreaterThan"), "GreaterThan compares numbers only, so the rule never matches."),
    ],
)  # fmt: skip
def test_a_sentence_says_what_is_wrong(one: Rule, sentence: str) -> None:
    (finding,) = lint_sources([Source("Alerts", ((one,),))])
    assert finding.sentence == sentence


@pytest.mark.parametrize(
    ("operator", "value", "possible"),
    [
        ("GreaterThan", "5", False),
        ("GreaterThan", "1", False),
        ("GreaterThanOrEqualTo", "1", True),
        ("GreaterThan", "0.99", True),
        ("GreaterThan", "-3", True),
        ("LesserThan", "0", False),
        ("LesserThanOrEqualTo", "0", True),
        ("LesserThan", "7", True),
        ("Equals", "0.5", True),
        ("Equals", "50", False),
        ("NotEquals", "50", True),
    ],
)
def test_a_percentage_lies_between_0_and_1(operator: str, value: str, *, possible: bool) -> None:
    found = codes(Source("SecureScores", ((rule(PERCENTAGE, value, operator, "Number"),),)))
    assert found == ([] if possible else ["impossible-value"])


def test_the_bounds_are_named() -> None:
    below, above = (rule(PERCENTAGE, "50", "LesserThan", "Number"), rule(PERCENTAGE, "5", "GreaterThan", "Number"))
    (finding,) = lint_sources([Source("SecureScores", ((below, above),))])
    assert finding.sentence == f"{PERCENTAGE} lies between 0 and 1, so GreaterThan 5 never matches."
    assert finding.fix == "Give a number between 0 and 1."


NEW = rule("Status", "New")
SCORE = "ConfidenceScore"


@pytest.mark.parametrize(
    ("left", "right", "code"),
    [
        (rule("AlertType", "a"), rule("$.alerttype", "B"), "contradictory-equals"),
        (rule("AlertType", "a"), rule("AlertType", "a", "NotEquals"), "contradictory-rules"),
        (rule("AlertType", "a", "NotEquals"), rule("AlertType", "a"), "contradictory-rules"),
        (rule("AlertType", "abc"), rule("AlertType", "x", "Contains"), "contradictory-rules"),
        (rule("AlertType", "abc"), rule("AlertType", "b", "StartsWith"), "contradictory-rules"),
        (rule("AlertType", "b", "EndsWith"), rule("AlertType", "abc"), "contradictory-rules"),
        (rule("AlertType", "ab", "StartsWith"), rule("AlertType", "b", "StartsWith"), "contradictory-rules"),
        (rule("AlertType", "ab", "EndsWith"), rule("AlertType", "a", "EndsWith"), "contradictory-rules"),
        (rule(SCORE, "5", kind="Number"), rule(SCORE, "5", "GreaterThan", "Number"), "contradictory-rules"),
        (rule(SCORE, "5", "GreaterThan", "Number"), rule(SCORE, "4", "LesserThan", "Number"), "contradictory-rules"),
        (rule(SCORE, "4", "LesserThan", "Number"), rule(SCORE, "5", "GreaterThan", "Number"), "contradictory-rules"),
        (rule(SCORE, "5", "GreaterThan", "Number"), rule(SCORE, "5", "LesserThan", "Number"), "contradictory-rules"),
        (
            rule(SCORE, "5", "GreaterThanOrEqualTo", "Number"),
            rule(SCORE, "5", "LesserThan", "Number"),
            "contradictory-rules",
        ),
        (
            rule(SCORE, "5", "GreaterThan", "Integer"),
            rule(SCORE, "5", "LesserThanOrEqualTo", "Number"),
            "contradictory-rules",
        ),
    ],
)
def test_rules_that_exclude_each_other(left: Rule, right: Rule, code: str) -> None:
    assert on_alerts(left, right) == [code]
    assert on_alerts(rule("Status", "New"), left, right) == [code]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (rule("AlertType", "a"), rule("Status", "New")),
        (rule("AlertType", "abc"), rule("AlertType", "b", "Contains")),
        (rule("AlertType", "abc"), rule("AlertType", "b", "NotEquals")),
        (rule("AlertType", "a", "NotEquals"), rule("AlertType", "b", "NotEquals")),
        (rule("AlertType", "a", "Contains"), rule("AlertType", "b", "Contains")),
        (rule("AlertType", "ab", "StartsWith"), rule("AlertType", "a", "StartsWith")),
        (rule("AlertType", "a", "StartsWith"), rule("AlertType", "ab", "StartsWith")),
        (rule("AlertType", "ab", "EndsWith"), rule("AlertType", "b", "EndsWith")),
        (rule("AlertType", "b", "EndsWith"), rule("AlertType", "ab", "EndsWith")),
        (rule("AlertType", "a", "StartsWith"), rule("AlertType", "b", "EndsWith")),
        (
            rule(SCORE, "5", "GreaterThanOrEqualTo", "Number"),
            rule(SCORE, "5", "LesserThanOrEqualTo", "Number"),
        ),
        (rule(SCORE, "4", "GreaterThan", "Number"), rule(SCORE, "5", "LesserThan", "Number")),
        (rule(SCORE, "4", "GreaterThan", "Number"), rule(SCORE, "5", "GreaterThan", "Number")),
        (rule(SCORE, "5", kind="Number"), rule(SCORE, "5", "LesserThanOrEqualTo", "Number")),
        (rule("Entities.Type", "ip"), rule("Entities.Type", "host")),
        (rule("RemediationSteps", "a"), rule("RemediationSteps", "b")),
    ],
)
def test_rules_that_one_record_can_meet(left: Rule, right: Rule) -> None:
    assert on_alerts(left, right) == []


def test_a_contradiction_is_told_once_for_each_rule_set_in_the_file_s_own_words() -> None:
    found = lint_sources(
        [Source("Alerts", ((rule("$.Severity", "High"), rule("severity", "LOW"), MEDIUM), (MEDIUM, LOW, NEW)))]
    )
    assert [finding.where for finding in found] == ["sources[0] Alerts.ruleSets[0]", "sources[0] Alerts.ruleSets[1]"]
    assert "$.Severity can't equal both 'High' and 'LOW'" in found[0].sentence
    (finding,) = lint_sources([Source("Alerts", ((HIGH, rule("Severity", "high", "NotEquals")),))])
    assert "Severity Equals 'High' and Severity NotEquals 'high' can't both hold" in finding.sentence
    assert finding.fix == "Take one of them out, or give each a rule set of its own."


def test_the_same_rule_twice() -> None:
    (finding,) = lint_sources([Source("Alerts", ((HIGH, rule("$.severity", "HIGH")),))])
    assert (finding.code, finding.severity) == ("duplicate-rule", "warning")
    assert (finding.sentence, finding.fix) == ("it has the same rule twice.", "Take one out.")


def test_the_same_rule_set_twice() -> None:
    (finding,) = lint_sources([Source("Alerts", ((HIGH,), (LOW,), (rule("$.severity", "HIGH"),)))])
    assert (finding.code, finding.severity) == ("duplicate-rule-set", "warning")
    assert finding.where == "sources[0] Alerts.ruleSets[2]"
    assert finding.sentence == "it says the same as rule set 1."


def test_a_rule_set_without_rules_makes_the_others_redundant() -> None:
    found = lint_sources([Source("Alerts", ((HIGH,), (), (LOW,)))])
    assert [(f.code, f.severity, f.where[-1 - len("ruleSets[0]") :]) for f in found] == [
        ("redundant-rule-set", "warning", ".ruleSets[0]"),
        ("redundant-rule-set", "warning", ".ruleSets[2]"),
    ]
    assert found[0].sentence == "it changes nothing: rule set 2 has no rules and lets every record through."
    assert "Take out rule set 2" in found[0].fix


def test_a_rule_set_that_another_contains_is_redundant() -> None:
    storage, new = rule("ProductComponentName", "Storage"), rule("Status", "New")
    (finding,) = lint_sources([Source("Alerts", ((HIGH, storage, new), (LOW, storage), (new, HIGH)))])
    assert (finding.code, finding.where) == ("redundant-rule-set", "sources[0] Alerts.ruleSets[0]")
    assert finding.sentence == "it changes nothing: rule set 3 lets all of it through."


def test_a_rule_set_of_many_rules_is_still_compared_with_single_rules() -> None:
    many = tuple(rule("ExtendedProperties.x" + str(i), "y") for i in range(30))
    assert codes(Source("Alerts", (many, many[7:8]))) == ["redundant-rule-set"]
    assert codes(Source("Alerts", (many, ()))) == ["redundant-rule-set"]


def test_findings_come_source_by_source_with_their_number() -> None:
    found = lint_sources([Source("SecureScores"), Source("Alerts", ((HIGH,), (LOW, rule("x", "y"))))], where="f.yaml")
    assert [finding.where for finding in found] == ["f.yaml: sources[1] Alerts.ruleSets[1].rules[1]"]


def test_waived_codes_are_left_out() -> None:
    sources = [Source("SubAssessments"), Source("Alerts", ((rule("x", "y"),),))]
    assert [f.code for f in lint_sources(sources, waived={"unknown-path"})] == [
        "findings-without-recommendations",
        "retired-source",
    ]
    assert lint_sources(sources, waived=list(CODES)) == []


def test_what_is_said_never_to_match_never_matches() -> None:
    for one in (
        rule("Severity", "Hgih"),
        rule("ConfidenceScore", "5", "GreaterThan"),
        rule("Severity", "5", kind="Number"),
    ):
        assert on_alerts(one)
        assert not evaluate(Source("Alerts", ((one,),)), ALERT | {"ConfidenceScore": 9}).exported


@pytest.mark.parametrize(
    ("source", "path", "operator", "value", "found"),
    [
        ("Alerts", "Status", "NotEquals", "Active", ["unknown-value"]),
        ("Alerts", "ProductComponentName", "NotEquals", "KeyVault", ["unknown-value"]),
        ("Alerts", "Status", "NotEquals", "New", []),
        ("Alerts", "Status", "NotEquals", "Archived", []),
        ("Alerts", "ProductComponentName", "Contains", "SQL", []),
        ("Assessments", "id", "Contains", "SOC2", ["unknown-value"]),
        ("Assessments", "id", "Contains", "/CIS-AWS-Foundations", ["unknown-value"]),
        ("AssessmentsSnapshot", "id", "Contains", "regulatoryComplianceStandards/x", ["unknown-value"]),
        ("Assessments", "name", "Equals", "ISO27001", ["unknown-value"]),
        ("Assessments", "id", "Contains", "/resourceGroups/rg-soc/", []),
        ("Assessments", "id", "NotEquals", "PCI-DSS-4", []),
        ("RegulatoryComplianceAssessment", "id", "Contains", "SOC2", []),
    ],
)
def test_a_value_that_no_record_holds_is_named(
    source: str, path: str, operator: str, value: str, found: list[str]
) -> None:
    assert codes(Source(source, ((Rule(path, "String", operator, value),),))) == found
