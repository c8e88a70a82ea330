"""Automations that policy assignments make, in every combination of their filters, today's severities and categories:
read, explained, imported and planned as one adoption each that changes nothing but tags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, combinations, product
from typing import Any

import pytest

from shared.exports.explain import explain
from shared.exports.linter import lint_automation
from shared.exports.rule_sets import normalise, parse_sources
from shared.reconcile.importer.imported_exports import import_exports
from shared.reconcile.model import Live, ResourceId
from shared.reconcile.plan.desired import desired_automations
from shared.reconcile.plan.model import Action
from shared.reconcile.plan.planner import decide
from tests.unit.reconcile.bodies import INSTANCE, SUB, rule, rule_set, subscription

NAMESPACE = (
    "/subscriptions/0b000000-0000-4000-8000-000000000002/resourceGroups/rg-hub"
    "/providers/Microsoft.EventHub/namespaces/contoso-soc"
)
HUB = f"{NAMESPACE}/eventhubs/defender"
NAMES = ("82e20e14-edc5-4373-bfc4-f13121257c37", "f97aa83c-9b63-4f9a-99f6-b22c4398f936")
CATEGORIES = ("SoftwareUpdate", "ExposedSecrets")
SEVERITIES = ("Critical", "High", "Medium", "Low")
STANDARDS = ("Azure-CIS-1.3.0", "PCI-DSS-3.2.1")
ACTIONS: dict[str, dict[str, Any]] = {
    "trusted": {"actionType": "EventHub", "eventHubResourceId": HUB, "isTrustedServiceEnabled": True},
    "key of the hub": {"actionType": "EventHub", "eventHubResourceId": HUB, "sasPolicyName": "send"},
    "key of the namespace": {
        "actionType": "EventHub",
        "eventHubResourceId": HUB,
        "sasPolicyName": "RootManageSharedAccessKey",
    },
}
SUBSCRIPTION = subscription(1, name="one")


def subsets(values: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(values, size) for size in range(len(values) + 1))


def recommendations(severities: tuple[str, ...], ids: tuple[str, ...], categories: tuple[str, ...]) -> Any:
    """Rule sets as policies cross them: a rule on the type, or one id, with one severity and one category each."""
    by_type = rule("type", "Microsoft.Security/assessments", "Contains")
    crossed = product(
        [[rule("name", one, "Contains")] for one in ids] or [[by_type]],
        [[rule("properties.metadata.severity", one)] for one in severities] or [[]],
        [[rule("properties.metadata.recommendationCategory", one)] for one in categories] or [[]],
    )
    return [rule_set(*chain.from_iterable(each)) for each in crossed]


def automation(sources: list[dict[str, Any]], action: dict[str, Any]) -> Live:
    properties = {
        "description": "Export Microsoft Defender for Cloud data to Event Hub via policy",
        "isEnabled": True,
        "scopes": [{"description": "scope for subscription one", "scopePath": f"/subscriptions/{SUB}"}],
        "sources": sources,
        "actions": [action],
    }
    where = ResourceId(SUB, "rg-security", "ExportToEventHub")
    return Live(where, "westeurope", {}, json.dumps(properties).encode(), '"1"')


def adopted(live: Live) -> None:
    """The whole way of one automation, from reading it to the plan of the file that it is imported as."""
    assert lint_automation({"properties": live.properties}) is not None
    assert all(explain(source) for source in parse_sources(live.properties))
    (files, left) = import_exports([live], [SUBSCRIPTION], INSTANCE, adopt=True)
    assert left == []
    (one,) = files
    (wanted,) = desired_automations([one.config], [SUBSCRIPTION], INSTANCE, {})
    assert normalise(parse_sources(wanted.body)) == normalise(parse_sources(live.properties))
    item = decide(wanted, live, INSTANCE)
    assert item is not None
    assert item.action is Action.ADOPT
    assert [change.path for change in item.changes if not change.path.startswith("tags.")] == []


@pytest.mark.slow  # thousands of combinations
@pytest.mark.parametrize("severities", [*subsets(SEVERITIES)], ids="+".join)
def test_recommendations_in_every_combination_of_ids_severities_and_categories(severities: tuple[str, ...]) -> None:
    for ids, categories, findings in product(subsets(NAMES), subsets(CATEGORIES), (False, True)):
        filtered = recommendations(severities, ids, categories)
        sources: list[dict[str, Any]] = [{"eventSource": "Assessments", "ruleSets": filtered}]
        if findings:
            parents = [rule_set(rule("id", f"/assessments/{one}/", "Contains")) for one in ids]
            sources.append({"eventSource": "SubAssessments", "ruleSets": parents})
        for both in (sources, [{**one, "eventSource": f"{one['eventSource']}Snapshot"} for one in sources]):
            adopted(automation(both, ACTIONS["trusted"]))


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_every_destination_with_alerts_scores_and_compliance(action: dict[str, Any]) -> None:
    for levels, standards in product(subsets(("high", "medium", "low")), subsets(STANDARDS)):
        sources: list[dict[str, Any]] = [
            {"eventSource": "Alerts", "ruleSets": [rule_set(rule(value=level)) for level in levels]},
            {"eventSource": "SecureScores", "ruleSets": []},
            {
                "eventSource": "RegulatoryComplianceAssessment",
                "ruleSets": [rule_set(rule("id", standard, "Contains")) for standard in standards],
            },
        ]
        adopted(automation(sources, action))
