"""Live automations of many shapes: they are read, explained, imported and planned without a crash or a false change."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest

from shared.exports.compiler import compile_automation
from shared.exports.explain import explain
from shared.exports.linter import lint_automation
from shared.exports.rule_sets import MalformedRules, parse_sources
from shared.reconcile.importer.imported_exports import import_exports
from shared.reconcile.model import Live, ResourceId
from shared.reconcile.plan.automation_diff import diff
from shared.watch import coverage
from tests.unit.reconcile.bodies import INSTANCE, subscription

SUBSCRIPTION = subscription(1, name="sub-1")
HOME = f"/subscriptions/{SUBSCRIPTION.id}"
NAMESPACE = f"{HOME}/resourceGroups/rg-hub/providers/Microsoft.EventHub/namespaces/contoso"
WORKSPACE = f"{HOME}/resourceGroups/rg-law/providers/Microsoft.OperationalInsights/workspaces/contoso"
TRUSTED: dict[str, Any] = {
    "actionType": "EventHub",
    "eventHubResourceId": f"{NAMESPACE}/eventhubs/hub",
    "isTrustedServiceEnabled": True,
}
KEYED: dict[str, Any] = {
    "actionType": "EventHub",
    "eventHubResourceId": f"{NAMESPACE}/eventhubs/hub",
    "sasPolicyName": "send",
}
TO_WORKSPACE = {"actionType": "Workspace", "workspaceResourceId": WORKSPACE}
SEVERITY, CATEGORY = "properties.metadata.severity", "properties.metadata.recommendationCategory"


def rule(path: str, value: str, operator: str = "Equals", kind: str = "String") -> dict[str, str]:
    return {"propertyJPath": path, "propertyType": kind, "expectedValue": value, "operator": operator}


def source(name: str, *rule_sets: Any) -> dict[str, Any]:
    return {"eventSource": name, "ruleSets": [{"rules": list(one)} for one in rule_sets] or None}


TYPE = rule("type", "Microsoft.Security/assessments", "Contains", "string")
POLICY = source("Assessments", *([TYPE, rule(SEVERITY, level)] for level in ("High", "Medium", "Low")))
ALERTS = source("Alerts", *([rule("Severity", level)] for level in ("High", "Medium")))
# Importable shapes: what is live must plan as an adoption that changes tags only.
SAYABLE: dict[str, dict[str, Any]] = {
    "portal: all alerts by version": {"sources": [source("Alerts", [rule("Version", "3.", "Contains")])]},
    "portal: all recommendations by type": {"sources": [source("Assessments", [TYPE])]},
    "portal: thirteen sources": {
        "sources": [
            source(name)
            for name in (
                "Assessments",
                "AssessmentsSnapshot",
                "SubAssessments",
                "SubAssessmentsSnapshot",
                "Alerts",
                "SecureScores",
                "SecureScoresSnapshot",
                "SecureScoreControls",
                "SecureScoreControlsSnapshot",
                "RegulatoryComplianceAssessment",
                "RegulatoryComplianceAssessmentSnapshot",
                "AttackPaths",
                "AttackPathsSnapshot",
            )
        ]
    },
    "portal: to a workspace": {"actions": [TO_WORKSPACE]},
    "policy: three severities": {"sources": [POLICY]},
    "policy: ids": {
        "sources": [source("Assessments", [rule("name", "1195afff-c881-495e-9bc5-1486211ae03f", "Contains")])]
    },
    "policy: findings of ids": {
        "sources": [
            source("SubAssessments", [rule("id", "/assessments/a/", "Contains")]),
            source("Assessments", [rule("name", "a", "Contains")]),
        ]
    },
    "policy: controls": {"sources": [source("SecureScores"), source("SecureScoreControls", [rule("name", "a")])]},
    "policy: standards": {"sources": [source("RegulatoryComplianceAssessment", [rule("id", "PCI-DSS-4", "Contains")])]},
    "policy: standards on recommendations": {
        "sources": [source("AssessmentsSnapshot", [rule("id", "PCI-DSS-4", "Contains")])]
    },
    "critical and high": {"sources": [source("Assessments", [rule(SEVERITY, "Critical")], [rule(SEVERITY, "High")])]},
    "every severity by name": {
        "sources": [
            source("Assessments", *([rule(SEVERITY, level)] for level in ("Critical", "High", "Medium", "Low")))
        ]
    },
    "category": {"sources": [source("Assessments", [rule(CATEGORY, "SoftwareUpdate")])]},
    "category by contains": {"sources": [source("Assessments", [rule(CATEGORY, "SoftwareUpdate", "Contains")])]},
    "category and severity": {
        "sources": [source("Assessments", [rule(CATEGORY, "SoftwareUpdate"), rule(SEVERITY, "High")])]
    },
    "categories with narrowing": {
        "sources": [
            source(
                "Assessments",
                [rule(CATEGORY, "SoftwareUpdate"), rule("properties.resourceDetails.ResourceType", ".containerimage")],
                [rule(CATEGORY, "ExposedSecrets"), rule("properties.resourceDetails.Source", "GitHub")],
            )
        ]
    },
    "unknown category": {"sources": [source("Assessments", [rule(CATEGORY, "Tomorrow")])]},
    "terraform: upper-case operator": {"sources": [source("Alerts", [rule("Severity", "high", "EQUALS", "STRING")])]},
    "terraform: dollar path": {"sources": [source("Alerts", [rule("$.Severity", "High")])]},
    "terraform: anded severities": {
        "sources": [source("Alerts", [rule("Severity", "High"), rule("Severity", "Medium")])]
    },
    "terraform: recommendations' path": {"sources": [source("Alerts", [rule(SEVERITY, "High")])]},
    "terraform: namespace key": {"actions": [{**KEYED, "sasPolicyName": "RootManageSharedAccessKey"}]},
    "terraform: subscription and groups": {"scopes": [HOME, f"{HOME}/resourceGroups/a", f"{HOME}/resourceGroups/b"]},
    "one group": {"scopes": [f"{HOME}/resourceGroups/rg-größe"]},
    "key of a hub": {"actions": [KEYED]},
    "disabled": {"isEnabled": False},
    "no isEnabled": {"isEnabled": None},
    "null description": {"description": None},
    "long description": {"description": "x" * 3000},
    "audit metadata": {"metadata": {"createdBy": "x", "lastUpdatedBy": "y"}},
    "ids in upper case": {"actions": [{**TRUSTED, "eventHubResourceId": TRUSTED["eventHubResourceId"].upper()}]},
    "duplicate source": {"sources": [ALERTS, ALERTS]},
    "numbers": {
        "sources": [source("SecureScores", [rule("properties.score.percentage", "0.50", "LesserThan", "Number")])]
    },
    "wildcard path": {"sources": [source("Assessments", [rule("properties.additionalData.*", "x")])]},
    "invented path": {"sources": [source("Assessments", [rule("properties.tomorrow", "x")])]},
    "findings alone": {"sources": [source("SubAssessments")]},
    "status of Resource Graph": {"sources": [source("Alerts", [rule("Status", "Active")])]},
    "empty rules": {"sources": [source("Alerts", [])]},
}
# Shapes that no file can say, with a word of the reason.
UNSAYABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no sources": ({"sources": []}, "exports nothing"),
    "null sources": ({"sources": None}, "exports nothing"),
    "sources of text": ({"sources": "all"}, "not a list"),
    "a source of null": ({"sources": [None]}, "not an object"),
    "rules of numbers": ({"sources": [{"eventSource": "Alerts", "ruleSets": [{"rules": [7]}]}]}, "not an object"),
    "tomorrow's event source": ({"sources": [source("Tomorrow")]}, "no export file can say it"),
    "scopes of null": ({"scopes": [None]}, "shape"),
    "no scopes": ({"scopes": []}, "no scope"),
    "another subscription": ({"scopes": ["/subscriptions/other"]}, "neither"),
    "actions of null": ({"actions": [None]}, "shape"),
    "actions as an object": ({"actions": {}}, "shape"),
    "no actions": ({"actions": []}, "0 actions"),
    "two actions": ({"actions": [TRUSTED, TO_WORKSPACE]}, "2 actions"),
    "logic app": ({"actions": [{"actionType": "LogicApp", "logicAppResourceId": "/x"}]}, "logic app"),
    "namespace id": ({"actions": [{**TRUSTED, "eventHubResourceId": NAMESPACE}]}, "namespace"),
    "no credential": ({"actions": [{**KEYED, "sasPolicyName": None, "isTrustedServiceEnabled": False}]}, "which key"),
    "malformed workspace": ({"actions": [{"actionType": "Workspace", "workspaceResourceId": "/x"}]}, "workspace"),
    "unknown action": ({"actions": [{"actionType": "Teams"}]}, "no event hub"),
}
BODIES = {**SAYABLE, **{name: parts for name, (parts, _) in UNSAYABLE.items()}}


def live(parts: dict[str, Any]) -> Live:
    properties: dict[str, Any] = {"isEnabled": True, "description": "", "sources": [ALERTS], "actions": [TRUSTED]}
    properties |= {"scopes": [HOME]} | parts
    if all(isinstance(scope, str) for scope in properties["scopes"]):
        properties["scopes"] = [{"description": "", "scopePath": scope} for scope in properties["scopes"]]
    place = ResourceId(SUBSCRIPTION.id, "rg-export", "ExportToEventHub")
    return Live(place, "westeurope", {}, orjson.dumps(properties))


def test_there_are_at_least_forty() -> None:
    assert len(BODIES) >= 40


@pytest.mark.parametrize("name", BODIES)
def test_any_shape_is_linted_explained_covered_and_compared(name: str) -> None:
    one = live(BODIES[name])
    for finding in lint_automation({"properties": one.properties}):
        assert finding.sentence
    with suppress(MalformedRules):
        assert all(explain(found) for found in parse_sources(one.properties))
    seen = coverage.Live(str(one.id), {}, one.encoded)
    (covered,) = coverage.cover([SUBSCRIPTION], [seen], INSTANCE)
    assert covered.exporters
    diff(one, {"properties": {}})


@pytest.mark.parametrize("odd", ["x", 5, ["a"], None, True])
def test_an_answer_of_another_shape_is_read_as_saying_nothing(odd: Any) -> None:
    found = Live.from_body({"id": str(live({}).id), "location": odd, "tags": odd, "properties": odd, "etag": odd})
    assert found.tags == found.properties == {}
    diff(found, {"properties": {}})
    assert Live.from_body({"id": str(live({}).id), "tags": {"a": None, "b": 5}}).tags == {"a": "", "b": "5"}


@pytest.mark.parametrize("name", SAYABLE)
def test_what_a_file_can_say_plans_as_an_adoption_of_tags_only(name: str) -> None:
    one = live(SAYABLE[name])
    imported, left = import_exports([one], [SUBSCRIPTION], INSTANCE, adopt=True)
    assert left == []
    body = compile_automation(imported[0].config, SUBSCRIPTION.id, INSTANCE)
    assert {change.path.split(".")[0] for change in diff(one, body)} == {"tags"}


@pytest.mark.parametrize("name", UNSAYABLE)
def test_what_no_file_can_say_is_left_with_a_true_reason(name: str) -> None:
    parts, word = UNSAYABLE[name]
    imported, left = import_exports([live(parts)], [SUBSCRIPTION], INSTANCE)
    assert imported == []
    assert word in left[0].reason


@pytest.mark.parametrize(
    "name",
    [
        "portal: all alerts by version",
        "portal: all recommendations by type",
        "category",
        "category and severity",
        "categories with narrowing",
        "critical and high",
    ],
)
def test_idioms_and_categories_are_sections(name: str) -> None:
    (one,), _ = import_exports([live(SAYABLE[name])], [SUBSCRIPTION], INSTANCE)
    assert one.config.export.custom == ()


def test_a_subscription_beside_groups_of_it_is_the_whole_subscription() -> None:
    (one,), _ = import_exports([live(SAYABLE["terraform: subscription and groups"])], [SUBSCRIPTION], INSTANCE)
    assert one.config.scope.resource_groups == ()
