"""Small automations to compare and plan with."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from shared.reconcile.model import Desired, Live, ResourceId, Subscription

SUB = "0a000000-0000-4000-8000-000000000001"
HUB = (
    "/subscriptions/0b000000-0000-4000-8000-000000000002/resourceGroups/rg-hub"
    "/providers/Microsoft.EventHub/namespaces/ns/eventhubs/hub"
)
INSTANCE = "prod"
OURS = {"managed-by": "defender-export", "defender-export-instance": INSTANCE, "defender-export-name": "soc"}


def rule(path: str = "Severity", value: str = "High", operator: str = "Equals", kind: str = "String") -> dict[str, str]:
    return {"propertyJPath": path, "propertyType": kind, "expectedValue": value, "operator": operator}


def rule_set(*rules: dict[str, str]) -> dict[str, Any]:
    return {"rules": list(rules)}


def body(**properties: Any) -> dict[str, Any]:
    """What an export compiles to; `properties` replace some of its own."""
    return {
        "location": "westeurope",
        "tags": dict(OURS),
        "properties": {
            "description": "Continuous export",
            "isEnabled": True,
            "scopes": [{"description": "all of it", "scopePath": f"/subscriptions/{SUB}"}],
            "sources": [
                {"eventSource": "Alerts", "ruleSets": [rule_set(rule()), rule_set(rule(value="Medium"))]},
                {"eventSource": "SecureScores", "ruleSets": []},
            ],
            "actions": [{"actionType": "EventHub", "eventHubResourceId": HUB, "isTrustedServiceEnabled": True}],
            **properties,
        },
    }


def place(subscription: str = SUB, name: str = "defender-export-soc", group: str = "rg-defender-export") -> ResourceId:
    return ResourceId(subscription, group, name)


def live(
    document: Mapping[str, Any] | None = None,
    *,
    at: ResourceId | None = None,
    tags: Mapping[str, str] | None = None,
    location: str = "westeurope",
) -> Live:
    """The automation as Azure would give it back."""
    given = copy.deepcopy(dict(document or body()))
    encoded = json.dumps(given["properties"]).encode()
    return Live(at or place(), location, dict(given["tags"] if tags is None else tags), encoded, '"1"')


def desired(document: Mapping[str, Any] | None = None, *, at: ResourceId | None = None, **parts: Any) -> Desired:
    return Desired(parts.pop("export", "soc"), at or place(), document or body(), **parts)


def subscription(number: int = 1, **parts: Any) -> Subscription:
    return Subscription(f"0a000000-0000-4000-8000-{number:012}", **parts)
