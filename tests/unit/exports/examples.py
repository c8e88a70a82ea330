"""A valid export file as plain data, to be varied."""

from __future__ import annotations

import json
from typing import Any

from shared.exports.model import ExportConfig, parse_export
from shared.exports.rule_sets import Rule

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
OTHER_SUBSCRIPTION = "22222222-2222-4222-8222-222222222222"
HUB = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-soc/providers/Microsoft.EventHub"
    "/namespaces/contoso-soc/eventhubs/defender-export"
)
WORKSPACE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-soc/providers/Microsoft.OperationalInsights/workspaces/contoso"
)


def export(**parts: Any) -> dict[str, Any]:
    """A valid file; `parts` replace its top-level keys."""
    return {
        "version": 1,
        "name": "sample",
        "scope": {"subscriptions": [SUBSCRIPTION]},
        "automation": {"location": "westeurope"},
        "export": {"alerts": {}},
        "destination": {"eventHub": {"resourceId": HUB, "trustedService": True}},
    } | parts


def text(**parts: Any) -> str:
    return json.dumps(export(**parts))  # JSON is YAML


def config(**parts: Any) -> ExportConfig:
    return parse_export(text(**parts))


def exporting(**sections: Any) -> ExportConfig:
    return config(export=sections)


def rule(path: str, value: str, operator: str = "Equals", kind: str = "String") -> Rule:
    return Rule(path, kind, operator, value)
