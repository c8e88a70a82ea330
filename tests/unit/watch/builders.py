"""Small values to test with: subscriptions, automations as ARM has them, exporters."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared.watch.coverage import Live

_PROVIDERS = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers"
HUB = f"{_PROVIDERS}/Microsoft.EventHub/namespaces/ns/eventhubs/hub"
WORKSPACE = f"{_PROVIDERS}/Microsoft.OperationalInsights/workspaces/law"
EVENT_HUB = {"actionType": "EventHub", "eventHubResourceId": HUB, "isTrustedServiceEnabled": True}
LOG_ANALYTICS = {"actionType": "Workspace", "workspaceResourceId": WORKSPACE}
LOGIC_APP = {"actionType": "LogicApp", "logicAppResourceId": "/subscriptions/x/resourceGroups/y/workflows/z"}
INSTANCE = "prod"


class Sub(NamedTuple):
    """A subscription as coverage needs it."""

    id: str
    name: str = "sub"
    tenant_id: str = "tenant"


def sub(number: int) -> Sub:
    return Sub(str(uuid.UUID(int=number, version=4)), f"sub-{number}")


def severities(*rule_sets: Sequence[tuple[str, str]], path: str = "Severity") -> list[dict[str, Any]]:
    """Rule sets on the severity, each of (operator, value) pairs."""
    return [
        {
            "rules": [
                {"propertyJPath": path, "propertyType": "String", "operator": operator, "expectedValue": value}
                for operator, value in rule_set
            ]
        }
        for rule_set in rule_sets
    ]


def source(name: str, rule_sets: Any = None) -> dict[str, Any]:
    return {"eventSource": name, "ruleSets": rule_sets}


def automation(
    subscription: Sub,
    sources: Sequence[Mapping[str, Any]],
    *,
    name: str = "a",
    actions: Sequence[Mapping[str, Any]] = (EVENT_HUB,),
    enabled: bool | None = True,
    scope: str | None = None,
    export: str = "",
) -> Live:
    """A live automation; with `export` it is this deployment's."""
    properties: dict[str, Any] = {
        "scopes": [{"scopePath": scope or f"/subscriptions/{subscription.id}"}],
        "sources": list(sources),
        "actions": list(actions),
    }
    if enabled is not None:
        properties["isEnabled"] = enabled
    tags = {"managed-by": "defender-export", "defender-export-instance": INSTANCE, "defender-export-name": export}
    return Live(
        f"/subscriptions/{subscription.id}/resourceGroups/rg/providers/Microsoft.Security/automations/{name}",
        tags if export else {},
        json.dumps(properties).encode(),
    )
