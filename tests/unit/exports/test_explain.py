from __future__ import annotations

import pytest

from shared.exports.explain import explain
from shared.exports.rule_sets import Source
from tests.unit.exports.examples import rule

SEVERITY = "properties.metadata.severity"
TYPE = rule("type", "Microsoft.Security/assessments", "Contains")
ABOVE_5 = rule("properties.weight", "5", "GreaterThan", "Number")
AT_MOST_9 = rule("properties.weight", "9", "LesserThanOrEqualTo", "Number")
HIGH, MEDIUM = rule("Severity", "High"), rule("Severity", "Medium")


@pytest.mark.parametrize(
    ("source", "phrase"),
    [
        (Source("Alerts"), "all alerts"),
        (Source("Alerts", ((HIGH,), ())), "all alerts"),
        (Source("Alerts", ((HIGH,),)), "alerts whose severity is High"),
        (Source("Alerts", ((HIGH,), (MEDIUM,))), "alerts whose severity is High or Medium"),
        (
            Source("Alerts", ((HIGH,), (MEDIUM,), (rule("$.severity", "Low"),))),
            "alerts whose severity is High, Medium or Low",
        ),
        (Source("SecureScoresSnapshot"), "a weekly snapshot of secure scores"),
        (
            Source("AssessmentsSnapshot", ((TYPE, rule(SEVERITY, "High")),)),
            "a weekly snapshot of recommendations whose severity is High",
        ),
        (Source("Assessments", ((TYPE,),)), "all recommendations"),
        (
            Source(
                "Assessments",
                tuple(
                    (rule("name", name, "Contains"), rule(SEVERITY, level))
                    for name in "abc"
                    for level in ("High", "Low")
                ),
            ),
            "recommendations whose name contains a, b or c and whose severity is High or Low",
        ),
        (
            Source("Alerts", ((HIGH, rule("ProductComponentName", "Storage")), (MEDIUM,))),
            "alerts whose severity is High and whose plan is Storage, or whose severity is Medium",
        ),
        (
            Source("Alerts", ((HIGH, rule("AlertType", "a")), (MEDIUM, rule("AlertType", "b")))),
            "alerts whose severity is High and whose type is a, or whose severity is Medium and whose type is b",
        ),
        (
            Source("SecureScores", ((rule("properties.score.percentage", "0.5", "LesserThan", "Number"),),)),
            "secure scores whose percentage is below 0.5",
        ),
        (
            Source("Alerts", ((rule("ExtendedProperties.x", "y", "NotEquals"),),)),
            "alerts whose ExtendedProperties.x is not y",
        ),
        (Source("Alerts", ((rule("$.Odd", "y", "StartsWith"),),)), "alerts whose Odd starts with y"),
        (Source("Alerts", ((rule("AgentId", "y", "EndsWith"),),)), "alerts whose AgentId ends with y"),
        (Source("Alerts", ((rule("Severity", "y", "Resembles"),),)), "alerts whose severity Resembles y"),
        (Source("Odd", ((rule("type", "y", "Contains"),),)), "Odd whose type contains y"),
        (
            Source("SecureScores", ((ABOVE_5, AT_MOST_9),)),
            "secure scores whose properties.weight is above 5 and whose properties.weight is at most 9",
        ),
        (
            Source("SecureScores", ((rule("properties.weight", "5", "GreaterThanOrEqualTo", "Number"),),)),
            "secure scores whose properties.weight is at least 5",
        ),
        (Source("Assessments", ((rule("type", "other", "Contains"),),)), "recommendations whose type contains other"),
        (Source("Assessments", ((rule("type", "assess", "Equals"),),)), "recommendations whose type is assess"),
    ],
)
def test_a_source_is_said_in_english(source: Source, phrase: str) -> None:
    assert explain(source) == phrase
