from __future__ import annotations

import json
from typing import Any

import pytest

from shared.exports.compiler import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    automation_id,
    automation_name,
    compile_automation,
    compile_sources,
    resource_group_id,
)
from shared.exports.event_sources import EVENT_SOURCES
from shared.exports.model import ExportConfig, parse_export
from shared.exports.rule_sets import RuleSet, build_sources
from tests.unit.exports.examples import HUB, SUBSCRIPTION, WORKSPACE, config, export, exporting, rule


def sources(parsed: ExportConfig) -> dict[str, tuple[RuleSet, ...]]:
    return {source.event_source: source.rule_sets for source in compile_sources(parsed)}


SEVERITY = "properties.metadata.severity"
TYPE = rule("type", "Microsoft.Security/assessments", "Contains")


def test_a_body_is_what_the_api_takes() -> None:
    parsed = config(
        description="High alerts",
        enabled=False,
        automation={"location": "West Europe", "tags": {"team": "soc"}, "name": "ExportToEventHub"},
        export={"alerts": {"minimumSeverity": "High"}},
    )
    assert compile_automation(parsed, "sub", "prod") == {
        "location": "westeurope",
        "tags": {
            "team": "soc",
            "managed-by": "defender-export",
            "defender-export-instance": "prod",
            "defender-export-name": "sample",
        },
        "properties": {
            "description": "High alerts",
            "isEnabled": False,
            "scopes": [{"description": "scope for /subscriptions/sub", "scopePath": "/subscriptions/sub"}],
            "sources": [
                {
                    "eventSource": "Alerts",
                    "ruleSets": [
                        {
                            "rules": [
                                {
                                    "propertyJPath": "Severity",
                                    "propertyType": "String",
                                    "expectedValue": "High",
                                    "operator": "Equals",
                                }
                            ]
                        }
                    ],
                }
            ],
            "actions": [{"actionType": "EventHub", "eventHubResourceId": HUB, "isTrustedServiceEnabled": True}],
        },
    }


def test_ids_and_names() -> None:
    parsed = config()
    assert automation_name(parsed) == "defender-export-sample"
    assert resource_group_id(parsed, "s") == "/subscriptions/s/resourceGroups/rg-defender-export"
    assert automation_id(parsed, "s") == (
        "/subscriptions/s/resourceGroups/rg-defender-export/providers/Microsoft.Security"
        "/automations/defender-export-sample"
    )
    named = config(automation={"location": "westeurope", "name": "ExportToEventHub", "resourceGroup": "g"})
    assert automation_id(named, "s").endswith(
        "/resourceGroups/g/providers/Microsoft.Security/automations/ExportToEventHub"
    )


@pytest.mark.parametrize(
    ("destination", "action"),
    [
        (
            {"eventHub": {"resourceId": HUB, "authorizationRule": "send"}},
            {
                "actionType": "EventHub",
                "eventHubResourceId": HUB,
                "isTrustedServiceEnabled": False,
                "sasPolicyName": "send",
            },
        ),
        (
            {"logAnalyticsWorkspace": {"resourceId": WORKSPACE}},
            {"actionType": "Workspace", "workspaceResourceId": WORKSPACE},
        ),
    ],
)
def test_the_destination_carries_no_secret(destination: dict[str, Any], action: dict[str, Any]) -> None:
    body = compile_automation(config(destination=destination), "s", "i")
    assert body["properties"]["actions"] == [action]


def test_a_description_is_always_there() -> None:
    assert "Defender for Cloud" in compile_automation(config(), "s", "i")["properties"]["description"]


def test_resource_groups_narrow_the_scopes() -> None:
    parsed = config(scope={"subscriptions": [SUBSCRIPTION], "resourceGroups": ["RG-B", "RG-A", "rg-a"]})
    scopes = compile_automation(parsed, "s", "i")["properties"]["scopes"]
    assert [scope["scopePath"].lower() for scope in scopes] == [
        "/subscriptions/s/resourcegroups/rg-a",
        "/subscriptions/s/resourcegroups/rg-b",
    ]


def test_every_event_source_can_be_said_and_comes_in_one_order() -> None:
    everything = exporting(
        frequency=["snapshot", "streaming"],
        attackPaths=True,
        regulatoryCompliance=True,
        secureScore={"controls": True},
        alerts=True,
        recommendations={"findings": True},
    )
    compiled = compile_sources(everything)
    assert [source.event_source for source in compiled] == list(EVENT_SOURCES)
    assert len(compiled) == 13
    assert all(source.rule_sets == () for source in compiled)


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({"recommendations": {}}, ["Assessments"]),
        ({"recommendations": {}, "frequency": ["snapshot"]}, ["AssessmentsSnapshot"]),
        ({"recommendations": {"frequency": ["snapshot"]}}, ["AssessmentsSnapshot"]),
        (
            {"recommendations": {"findings": {}, "frequency": ["snapshot"]}},
            ["AssessmentsSnapshot", "SubAssessmentsSnapshot"],
        ),
        ({"secureScore": {}}, ["SecureScores"]),
        ({"secureScore": {"controls": False}}, ["SecureScores"]),
        ({"secureScore": {"controls": True}}, ["SecureScores", "SecureScoreControls"]),
        (
            {
                "secureScore": {"controls": ["a"], "frequency": ["streaming"]},
                "frequency": ["snapshot"],
                "attackPaths": {},
            },
            ["SecureScores", "SecureScoreControls", "AttackPathsSnapshot"],
        ),
        (
            {"alerts": {"frequency": ["streaming"]}, "regulatoryCompliance": {}, "frequency": ["snapshot"]},
            ["Alerts", "RegulatoryComplianceAssessmentSnapshot"],
        ),
    ],
)
def test_a_section_s_own_frequency_wins(sections: dict[str, Any], names: list[str]) -> None:
    assert list(sources(exporting(**sections))) == names


@pytest.mark.parametrize(
    ("alerts", "rule_sets"),
    [
        ({}, []),
        ({"minimumSeverity": "High"}, [["High"]]),
        ({"minimumSeverity": "Medium"}, [["High"], ["Medium"]]),
        ({"minimumSeverity": "Low"}, [["High"], ["Medium"], ["Low"]]),
        ({"minimumSeverity": "Informational"}, []),
        ({"severities": ["Informational", "High", "High"]}, [["High"], ["Informational"]]),
        ({"plans": ["Storage", "Servers", "Storage"]}, [["Servers"], ["Storage"]]),
        (
            {"severities": ["Low", "High"], "plans": ["b", "a"]},
            [["High", "a"], ["High", "b"], ["Low", "a"], ["Low", "b"]],
        ),
    ],
)
def test_alerts_by_severity_and_plan_are_a_cross_product(alerts: dict[str, Any], rule_sets: list[list[str]]) -> None:
    compiled = sources(exporting(alerts=alerts))["Alerts"]
    assert [[one.value for one in rules] for rules in compiled] == rule_sets
    paths = {one.path for rules in compiled for one in rules}
    assert paths <= {"Severity", "ProductComponentName"}
    assert all(one.operator == "Equals" for rules in compiled for one in rules)


def test_recommendations_by_severity_are_written_as_the_policies_do() -> None:
    compiled = sources(exporting(recommendations={"minimumSeverity": "Medium"}))
    assert compiled == {"Assessments": tuple((TYPE, rule(SEVERITY, level)) for level in ("Critical", "High", "Medium"))}


@pytest.mark.parametrize(
    "section",
    [
        {"alerts": {"minimumSeverity": "Informational"}},
        {"recommendations": {"minimumSeverity": "Low"}},
        {"attackPaths": {"minimumRiskLevel": "Low"}},
    ],
)
def test_the_lowest_minimum_is_no_rule_at_all(section: dict[str, Any]) -> None:
    assert list(sources(exporting(**section)).values()) == [()]
    lowest = {"ids": ["a"], "minimumSeverity": "Low", "findings": {"minimumSeverity": "Low"}}
    compiled = sources(exporting(recommendations=lowest))
    assert compiled["Assessments"] == ((rule("name", "a", "Contains"),),)
    assert compiled["SubAssessments"] == ((rule("id", "/assessments/a/", "Contains"),),)


def test_recommendations_by_id_are_crossed_with_severities() -> None:
    compiled = sources(exporting(recommendations={"severities": ["Low", "High"], "ids": ["b", "a"]}))
    assert compiled["Assessments"] == tuple(
        (rule("name", name, "Contains"), rule(SEVERITY, level)) for name in ("a", "b") for level in ("High", "Low")
    )
    assert sources(exporting(recommendations={"ids": ["a"]}))["Assessments"] == ((rule("name", "a", "Contains"),),)


def test_findings_are_those_of_the_recommendations() -> None:
    compiled = sources(exporting(recommendations={"ids": ["b", "a"], "findings": {"minimumSeverity": "High"}}))
    assert compiled["SubAssessments"] == tuple(
        (rule("id", f"/assessments/{name}/", "Contains"), rule("properties.status.severity", level))
        for name in ("a", "b")
        for level in ("Critical", "High")
    )
    assert sources(exporting(recommendations={"findings": {"severities": ["Low"]}}))["SubAssessments"] == (
        (rule("properties.status.severity", "Low"),),
    )
    whole = sources(exporting(recommendations={"minimumSeverity": "High", "findings": {}}))
    assert whole["SubAssessments"] == ()


def test_controls_standards_and_risk_levels() -> None:
    compiled = sources(
        exporting(
            secureScore={"controls": ["b", "a"]},
            regulatoryCompliance={"standards": ["PCI-DSS-4", "Azure-CIS-1.4.0"]},
            attackPaths={"minimumRiskLevel": "High"},
        )
    )
    assert compiled == {
        "SecureScores": (),
        "SecureScoreControls": ((rule("name", "a"),), (rule("name", "b"),)),
        "RegulatoryComplianceAssessment": (
            (rule("id", "Azure-CIS-1.4.0", "Contains"),),
            (rule("id", "PCI-DSS-4", "Contains"),),
        ),
        "AttackPaths": ((rule("attackPath.riskLevel", "Critical"),), (rule("attackPath.riskLevel", "High"),)),
    }
    assert sources(exporting(attackPaths={"riskLevels": ["Low"]})) == {
        "AttackPaths": ((rule("attackPath.riskLevel", "Low"),),)
    }


def custom(source: str, *values: str) -> dict[str, Any]:
    rules = [
        {"propertyJPath": "Severity", "propertyType": "String", "operator": "Equals", "expectedValue": value}
        for value in values
    ]
    return {"eventSource": source, "ruleSets": [{"rules": [one]} for one in rules]}


@pytest.mark.parametrize(
    ("sections", "values"),
    [
        ({"custom": [custom("Alerts", "Low")]}, ["Low"]),
        ({"custom": [custom("Alerts", "Low"), custom("Alerts", "High", "Low")]}, ["Low", "High"]),
        ({"alerts": {"severities": ["High"]}, "custom": [custom("Alerts", "Low", "High")]}, ["High", "Low"]),
        ({"alerts": {}, "custom": [custom("Alerts", "Low")]}, []),
        ({"alerts": {"severities": ["High"]}, "custom": [custom("Alerts")]}, []),
        ({"alerts": {}, "custom": [custom("Alerts"), custom("Alerts", "Low")]}, []),
    ],
)
def test_custom_rule_sets_join_those_of_the_section(sections: dict[str, Any], values: list[str]) -> None:
    compiled = sources(exporting(**sections))
    assert [rules[0].value for rules in compiled["Alerts"]] == values


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in reversed(value)] if isinstance(value, list) else value


def test_the_order_of_keys_and_lists_in_the_file_makes_no_difference() -> None:
    whole = export(
        automation={"location": "westeurope", "tags": {"b": "1", "a": "2"}},
        scope={"subscriptions": [SUBSCRIPTION], "resourceGroups": ["x", "y"]},
        export={
            "frequency": ["streaming", "snapshot"],
            "alerts": {"severities": ["High", "Low"], "plans": ["p", "q"], "frequency": ["streaming"]},
            "recommendations": {"ids": ["a", "b"], "severities": ["Low", "Medium"], "findings": True},
            "regulatoryCompliance": {"standards": ["s", "t"]},
            "attackPaths": {"riskLevels": ["Low", "Critical"]},
        },
    )
    bodies = [
        json.dumps(compile_automation(parse_export(json.dumps(one)), "s", "i")) for one in (whole, reordered(whole))
    ]
    assert bodies[0] == bodies[1]


def test_a_body_that_azure_would_not_take_is_refused_with_the_number() -> None:
    ids = [f"{number:0>100}" for number in range(2000)]
    parsed = exporting(recommendations={"ids": ids, "severities": ["High", "Medium", "Low"]})
    with pytest.raises(BodyTooLarge, match=r"export 'sample' would have 1,\d\d\d,\d\d\d bytes; Azure takes 1,048,576"):
        compile_automation(parsed, "s", "i")
    assert len(json.dumps(build_sources(compile_sources(parsed)))) > MAX_BODY_BYTES


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    short = config(description="x")
    room = MAX_BODY_BYTES - len(json.dumps(compile_automation(short, "s", "i"), separators=(",", ":"))) + 1
    fits = short.model_copy(update={"description": "x" * room})
    assert compile_automation(fits, "s", "i")
    with pytest.raises(BodyTooLarge):
        compile_automation(short.model_copy(update={"description": "x" * (room + 1)}), "s", "i")


def test_a_declaration_without_a_destination_is_refused() -> None:
    parsed = config()
    nowhere = parsed.model_copy(update={"destination": parsed.destination.model_copy(update={"event_hub": None})})
    with pytest.raises(ValueError, match="the export sample has no destination"):
        compile_automation(nowhere, "s", "i")
