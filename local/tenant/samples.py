"""Automations as others write them: the portal, built-in policies, Terraform, and public samples with faults.

Each function gives the document that a GET returns; secrets travel apart.  Rule paths, values and names follow the
published policy definitions (azure-policy, Security Center folder) and the public samples named in each docstring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Document = dict[str, Any]


class Destinations(NamedTuple):
    """Ids that samples export to; `key_name` is the hub rule whose key is sent."""

    event_hub: str
    workspace: str
    key_name: str


Writer = Callable[[str, str, Destinations], Document]


def rule(path: str, value: str, operator: str = "Equals") -> Document:
    """One rule over a text property."""
    return {"propertyJPath": path, "propertyType": "String", "expectedValue": value, "operator": operator}


def source(event_source: str, *rule_sets: list[Document]) -> Document:
    """One source: its rule sets are ORed, the rules of one set ANDed."""
    return {"eventSource": event_source, "ruleSets": [{"rules": rules} for rules in rule_sets]}


def hub_action(destinations: Destinations, *, trusted: bool = False) -> Document:
    """An event hub action as reads show it."""
    return {
        "actionType": "EventHub",
        "eventHubResourceId": destinations.event_hub,
        "sasPolicyName": None if trusted else destinations.key_name,
        "isTrustedServiceEnabled": trusted,
    }


def workspace_action(destinations: Destinations) -> Document:
    """A workspace action."""
    return {"actionType": "Workspace", "workspaceResourceId": destinations.workspace}


def _automation(
    subscription_id: str,
    group: str,
    name: str,
    *,
    sources: list[Document],
    action: Document,
    location: str = "westeurope",
    description: str = "",
    tags: dict[str, str] | None = None,
    enabled: bool = True,
) -> Document:
    scope = f"/subscriptions/{subscription_id}/resourceGroups/{group}"
    return {
        "id": f"{scope}/providers/Microsoft.Security/automations/{name}",
        "name": name,
        "type": "Microsoft.Security/automations",
        "location": location,
        "tags": tags or {},
        "kind": None,
        "properties": {
            "description": description,
            "isEnabled": enabled,
            "scopes": [
                {
                    "description": f"scope for subscription {subscription_id}",
                    "scopePath": f"/subscriptions/{subscription_id}",
                }
            ],
            "sources": sources,
            "actions": [action],
        },
    }


def portal_event_hub(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """ExportToEventHub as the portal writes it: alerts by severity, recommendations with findings."""
    severities = ["high", "medium", "low", "informational"]
    return _automation(
        subscription_id,
        group,
        "ExportToEventHub",
        sources=[
            source("Assessments", [rule("type", "Microsoft.Security/assessments", "Contains")]),
            source("SubAssessments"),
            source("Alerts", *([rule("Severity", severity)] for severity in severities)),
            source("AttackPaths", *([rule("attackPath.riskLevel", level)] for level in ("Critical", "High"))),
        ],
        action=hub_action(destinations),
        location="westeurope",
    )


def portal_workspace(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """ExportToWorkspace as the portal writes it."""
    return _automation(
        subscription_id,
        group,
        "ExportToWorkspace",
        sources=[
            source("SecureScores"),
            source("SecureScoreControls"),
            source("RegulatoryComplianceAssessment"),
            source("Alerts", *([rule("Severity", severity)] for severity in ("high", "medium"))),
        ],
        action=workspace_action(destinations),
        location="North Europe",
    )


def _policy_sources() -> list[Document]:
    severities = ("High", "Medium", "Low")
    return [
        source("SubAssessments"),
        source(
            "Assessments",
            *(
                [
                    rule("type", "Microsoft.Security/assessments", "Contains"),
                    rule("properties.metadata.severity", severity),
                ]
                for severity in severities
            ),
        ),
        source("Alerts", *([rule("Severity", severity.lower())] for severity in severities)),
        source("SecureScores"),
        source("SecureScoreControls"),
        source("RegulatoryComplianceAssessment"),
    ]


def policy_event_hub(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """Policy cdfcce10-4578-4ecd-9703-530938e4abcb 4.2.0 with its connection string."""
    return _automation(
        subscription_id,
        group,
        "exportToEventHub",
        sources=_policy_sources(),
        action=hub_action(destinations),
        description="Export Microsoft Defender for Cloud data to Event Hub via policy",
    )


def policy_trusted_event_hub(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """Policy af9f6c70-eb74-4189-8d15-e4f11a7ebfd4 1.0.0: the hub as a trusted service."""
    return _automation(
        subscription_id,
        group,
        "exportToEventHub",
        sources=_policy_sources(),
        action=hub_action(destinations, trusted=True),
        description="Export Microsoft Defender for Cloud data to Event Hub as a trusted service via policy",
    )


def policy_workspace(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """Policy ffb6f416-7bd2-4488-8828-56585fef2be9 4.1.0."""
    return _automation(
        subscription_id,
        group,
        "ExportToWorkspace",
        sources=_policy_sources(),
        action=workspace_action(destinations),
        description="Export Microsoft Defender for Cloud data to Log Analytics workspace via policy",
    )


def terraform(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """A sound azurerm_security_center_automation: one rule set a severity."""
    return _automation(
        subscription_id,
        group,
        "defender-high",
        sources=[source("Alerts", [rule("Severity", "High")], [rule("Severity", "Medium")])],
        action=hub_action(destinations),
        tags={"deployed-by": "terraform"},
    )


def faulty_anded_severities(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """Several severities in ONE rule set, so that nothing matches (public Terraform and Bicep samples)."""
    return _automation(
        subscription_id,
        group,
        "mdc-continuous-export",
        sources=[
            source("Alerts", [rule("Severity", "High"), rule("Severity", "Medium"), rule("Severity", "Low")]),
            source("Assessments", [rule("properties.metadata.severity", "High")]),
        ],
        action=workspace_action(destinations),
        tags={"deployed-by": "terraform"},
    )


def faulty_alert_path(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """An alert rule on the recommendations' path (Terraform's documentation example)."""
    return _automation(
        subscription_id,
        group,
        "example-automation",
        sources=[source("Alerts", [rule("properties.metadata.severity", "High")])],
        action=hub_action(destinations),
        tags={"deployed-by": "terraform"},
    )


def disabled_export(subscription_id: str, group: str, destinations: Destinations) -> Document:
    """An export that was switched off and not on again."""
    return _automation(
        subscription_id,
        group,
        "exportToEventHub",
        sources=_policy_sources(),
        action=hub_action(destinations),
        description="Export Microsoft Defender for Cloud data to Event Hub via policy",
        enabled=False,
    )


WRITERS: tuple[Writer, ...] = (
    portal_event_hub,
    portal_workspace,
    policy_event_hub,
    policy_trusted_event_hub,
    policy_workspace,
    terraform,
    faulty_anded_severities,
    faulty_alert_path,
    disabled_export,
)
