"""The JSON Schema of export files, from the model: what editors complete and what docs/exports.md is held against."""

from __future__ import annotations

from typing import Any, Final

ID: Final = "urn:defender-export:export-file:1"
_HUB: Final = (
    "/subscriptions/${5:11111111-1111-4111-8111-111111111111}/resourceGroups/${6:rg-soc}/providers"
    "/Microsoft.EventHub/namespaces/${7:contoso-soc}/eventhubs/${8:defender-export}"
)
_WORKSPACE: Final = (
    "/subscriptions/${5:11111111-1111-4111-8111-111111111111}/resourceGroups/${6:rg-soc}/providers"
    "/Microsoft.OperationalInsights/workspaces/${7:contoso-soc}"
)


def export_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, with snippets of whole exports for the YAML language server.

    A key without a value is no null here, though the model reads one: it is an error of its own.
    """
    from shared.exports.model import ExportConfig

    schema = ExportConfig.model_json_schema(by_alias=True, mode="validation")
    _tidy(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        **schema,
        "title": "Defender Export: an export file",
        "defaultSnippets": [
            _snippet("export alerts to an event hub", {"alerts": {"minimumSeverity": "${4:High}"}}, hub=True),
            _snippet(
                "export vulnerabilities and secrets to a workspace",
                {
                    "recommendations": {
                        "minimumSeverity": "${4:Medium}",
                        "categories": ["SoftwareUpdate", "ExposedSecrets"],
                    }
                },
                hub=False,
            ),
            _snippet(
                "export everything to an event hub",
                {
                    "frequency": ["streaming", "snapshot"],
                    "alerts": {"frequency": ["streaming"]},
                    "recommendations": True,
                    "secureScore": {"controls": True},
                    "regulatoryCompliance": True,
                    "attackPaths": True,
                },
                hub=True,
            ),
        ],
    }


def _snippet(label: str, export: dict[str, Any], *, hub: bool) -> dict[str, Any]:
    destination = (
        {"eventHub": {"resourceId": _HUB, "trustedService": True}}
        if hub
        else {"logAnalyticsWorkspace": {"resourceId": _WORKSPACE}}
    )
    return {
        "label": label,
        "description": f"A whole file: {label}",
        "body": {
            "version": 1,
            "name": "${1:soc-alerts}",
            "scope": {"managementGroups": ["${2:contoso}"]},
            "automation": {"location": "${3:westeurope}"},
            "export": export,
            "destination": destination,
        },
    }


def _tidy(node: Any) -> None:
    """Take out generated titles, which only repeat the key, and nulls: no key is offered or taken without a value."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        if "default" in node and node["default"] is None:
            del node["default"]
        choices = node.get("anyOf")
        if isinstance(choices, list) and {"type": "null"} in choices:
            left = [choice for choice in choices if choice != {"type": "null"}]
            del node["anyOf"]
            if len(left) == 1:
                for key, value in left[0].items():
                    node.setdefault(key, value)
            else:
                node["anyOf"] = left
        for inner in node.values():
            _tidy(inner)
    elif isinstance(node, list):
        for inner in node:
            _tidy(inner)
