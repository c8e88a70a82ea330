"""What a PUT of an automation may hold: the members of the published contract that can be written, and no others.

Azure's answers hold more, `properties.metadata` among it; sent back, that would repeat what is stale or not ours.
Source: automations.json, 2023-12-01-preview, in azure-rest-api-specs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_RULE: Final = ("propertyJPath", "propertyType", "expectedValue", "operator")
_SCOPE: Final = ("description", "scopePath")
_ACTION: Final = (
    "actionType",
    "eventHubResourceId",
    "connectionString",
    "isTrustedServiceEnabled",
    "workspaceResourceId",
    "logicAppResourceId",
    "uri",
)


def writable(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an automation that can be written; lists that are of another shape go as they are."""
    properties = body.get("properties") or {}
    parts = {
        "scopes": lambda scope: _only(scope, _SCOPE),
        "sources": _source,
        "actions": lambda action: _only(action, _ACTION),
    }
    written = _only(properties, ("description", "isEnabled"))
    for name, part in parts.items():
        if name in properties:
            written[name] = _each(properties[name], part)
    return {**_only(body, ("location", "tags", "kind", "etag")), "properties": written}


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    kept = _only(source, ("eventSource", "ruleSets"))
    if "ruleSets" in kept:
        kept["ruleSets"] = _each(kept["ruleSets"], _rule_set)
    return kept


def _rule_set(rule_set: Mapping[str, Any]) -> dict[str, Any]:
    kept = _only(rule_set, ("rules",))
    if "rules" in kept:
        kept["rules"] = _each(kept["rules"], lambda rule: _only(rule, _RULE))
    return kept


def _each(listed: Any, part: Any) -> Any:
    if not isinstance(listed, (list, tuple)):
        return listed
    return [part(one) if isinstance(one, Mapping) else one for one in listed]


def _only(document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}
