"""The published contract of Microsoft.Security/automations: what a body must look like.

Source: automations.json of 2019-01-01-preview and 2023-12-01-preview in azure-rest-api-specs, and the texts of
refusals that users have posted.  That more than one scope is refused rests on one public report
(terraform-provider-azurerm pull request 32868); the published contract has a list.  Every problem of a body is found,
not only the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from local.tenant import ids

V2019 = "2019-01-01-preview"
V2023 = "2023-12-01-preview"

EVENT_SOURCES_2019 = (
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
)
EVENT_SOURCES = {V2019: EVENT_SOURCES_2019, V2023: (*EVENT_SOURCES_2019, "AttackPaths", "AttackPathsSnapshot")}
PROPERTY_TYPES = ("String", "Integer", "Number", "Boolean")
ORDERING = ("GreaterThan", "GreaterThanOrEqualTo", "LesserThan", "LesserThanOrEqualTo")
TEXTUAL = ("Contains", "StartsWith", "EndsWith")
OPERATORS = ("Equals", "NotEquals", *ORDERING, *TEXTUAL)

PROPERTIES = frozenset({"description", "isEnabled", "scopes", "sources", "actions"})
NAME = re.compile(r"[A-Za-z0-9_-]{1,260}")
_CONNECTION = re.compile(
    r"Endpoint=sb://[^;/]+/?;SharedAccessKeyName=(?P<name>[^;]+);SharedAccessKey=[^;]+(;EntityPath=[^;]+)?;?",
    re.IGNORECASE,
)
_VALUES: dict[str, re.Pattern[str]] = {
    "String": re.compile(r".*", re.DOTALL),
    "Integer": re.compile(r"[+-]?\d+"),
    "Number": re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)"),
    "Boolean": re.compile(r"true|false", re.IGNORECASE),
}


class Problem(NamedTuple):
    """What is wrong, and at which property."""

    path: str
    reason: str


Check = Iterator[Problem]


def problems(properties: Any, subscription_id: str, version: str) -> list[Problem]:
    """Everything that is wrong with an automation's `properties`."""
    return list(_properties(properties, subscription_id, version))


def connection_key_name(connection_string: str) -> str | None:
    """The SharedAccessKeyName of a connection string, or None when it is not one."""
    match = _CONNECTION.fullmatch(connection_string)
    return match["name"] if match else None


def canonical_property_type(value: str) -> str:
    """The contract's spelling; policies send lower case and are accepted."""
    return next(kind for kind in PROPERTY_TYPES if kind.lower() == value.lower())


def _properties(value: Any, subscription_id: str, version: str) -> Check:
    if not isinstance(value, dict):
        yield Problem("properties", "a JSON object is required")
        return
    if not isinstance(value.get("description", ""), str | None):
        yield Problem("properties.description", "must be a string")
    if not isinstance(value.get("isEnabled", True), bool | None):
        yield Problem("properties.isEnabled", "must be a boolean")
    if isinstance(scopes := value.get("scopes"), list) and len(scopes) > 1:
        yield Problem("properties.scopes", "exactly one scope is allowed")
    yield from _each(value, "scopes", lambda item, at: _scope(item, at, subscription_id))
    yield from _each(value, "sources", lambda item, at: _source(item, at, version))
    yield from _each(value, "actions", _action)


def _each(properties: dict[str, Any], name: str, check: Callable[[Any, str], Check]) -> Check:
    items = properties.get(name)
    if not isinstance(items, list) or not items:
        yield Problem(f"properties.{name}", "a list with at least one item is required")
        return
    for number, item in enumerate(items):
        at = f"properties.{name}[{number}]"
        if isinstance(item, dict):
            yield from check(item, at)
        else:
            yield Problem(at, "a JSON object is required")


def _scope(scope: dict[str, Any], at: str, subscription_id: str) -> Check:
    if not isinstance(scope.get("description", ""), str | None):
        yield Problem(f"{at}.description", "must be a string")
    path = scope.get("scopePath")
    if not isinstance(path, str):
        yield Problem(f"{at}.scopePath", "a string is required")
        return
    match = re.fullmatch(r"/subscriptions/([^/]+)(/resourceGroups/[^/]+)?/?", path, re.IGNORECASE)
    if not match:
        yield Problem(f"{at}.scopePath", f"'{path}' is neither a subscription nor a resource group")
    elif match[1].lower() != subscription_id.lower():
        yield Problem(f"{at}.scopePath", f"'{path}' lies outside subscription '{subscription_id}'")


def _source(source: dict[str, Any], at: str, version: str) -> Check:
    if source.get("eventSource") not in EVENT_SOURCES[version]:
        allowed = ", ".join(EVENT_SOURCES[version])
        yield Problem(f"{at}.eventSource", f"'{source.get('eventSource')}' is not one of: {allowed}")
    rule_sets = source.get("ruleSets")
    if rule_sets is None:
        return
    if not isinstance(rule_sets, list):
        yield Problem(f"{at}.ruleSets", "must be a list")
        return
    for number, rule_set in enumerate(rule_sets):
        yield from _rule_set(rule_set, f"{at}.ruleSets[{number}]")


def _rule_set(rule_set: Any, at: str) -> Check:
    if not isinstance(rule_set, dict):
        yield Problem(at, "a JSON object is required")
        return
    rules = rule_set.get("rules")
    if not isinstance(rules, list | None):
        yield Problem(f"{at}.rules", "must be a list")
        return
    for number, rule in enumerate(rules or []):
        if isinstance(rule, dict):
            yield from _rule(rule, f"{at}.rules[{number}]")
        else:
            yield Problem(f"{at}.rules[{number}]", "a JSON object is required")


def _rule(rule: dict[str, Any], at: str) -> Check:
    path, kind, operator = rule.get("propertyJPath"), rule.get("propertyType"), rule.get("operator")
    if not isinstance(path, str) or not path.strip():
        yield Problem(f"{at}.propertyJPath", "a string is required")
    if not isinstance(kind, str) or kind.lower() not in {known.lower() for known in PROPERTY_TYPES}:
        yield Problem(f"{at}.propertyType", f"'{kind}' is not one of: {', '.join(PROPERTY_TYPES)}")
        return
    kind = canonical_property_type(kind)
    if operator not in OPERATORS:
        yield Problem(f"{at}.operator", f"'{operator}' is not one of: {', '.join(OPERATORS)}")
    elif operator in ORDERING and kind not in {"Integer", "Number"}:
        yield Problem(f"{at}.operator", f"'{operator}' applies to decimal operands only, not to {kind}")
    elif operator in TEXTUAL and kind != "String":
        yield Problem(f"{at}.operator", f"'{operator}' applies to non-decimal operands only, not to {kind}")
    expected = rule.get("expectedValue")
    if not isinstance(expected, str):
        yield Problem(f"{at}.expectedValue", "a string is required")
    elif not _VALUES[kind].fullmatch(expected):
        yield Problem(f"{at}.expectedValue", f"'{expected}' is not of type {kind}")


def _action(action: dict[str, Any], at: str) -> Check:
    kind = action.get("actionType")
    check = _ACTIONS.get(kind) if isinstance(kind, str) else None
    if check is None:
        yield Problem(f"{at}.actionType", f"'{kind}' is not one of: {', '.join(_ACTIONS)}")
    else:
        yield from check(action, at)


def _logic_app(action: dict[str, Any], at: str) -> Check:
    yield from _target(action, at, "logicAppResourceId", "Microsoft.Logic/workflows")
    uri = action.get("uri")
    if not isinstance(uri, str) or not uri.lower().startswith("https://"):
        yield Problem(f"{at}.uri", "the trigger's https address is required")


def _event_hub(action: dict[str, Any], at: str) -> Check:
    # Azure has been seen to take a namespace, too, to which nothing can be sent.
    hub, namespace = "Microsoft.EventHub/namespaces/eventhubs", "Microsoft.EventHub/namespaces"
    yield from _target(action, at, "eventHubResourceId", hub, namespace)
    trusted = action.get("isTrustedServiceEnabled")
    if not isinstance(trusted, bool | None):
        yield Problem(f"{at}.isTrustedServiceEnabled", "must be a boolean")
    connection = action.get("connectionString")
    if connection is None and trusted is not True:
        yield Problem(f"{at}.connectionString", "is required unless isTrustedServiceEnabled is true")
    elif connection is not None and not (isinstance(connection, str) and connection_key_name(connection)):
        yield Problem(f"{at}.connectionString", "is not an event hub connection string")


def _workspace(action: dict[str, Any], at: str) -> Check:
    yield from _target(action, at, "workspaceResourceId", "Microsoft.OperationalInsights/workspaces")


def _target(action: dict[str, Any], at: str, name: str, *kinds: str) -> Check:
    value = action.get(name)
    parsed = ids.parse(value) if isinstance(value, str) else None
    if parsed is None or parsed.type.lower() not in {kind.lower() for kind in kinds}:
        yield Problem(f"{at}.{name}", f"a resource id of type {kinds[0]} is required")


_ACTIONS: dict[str, Callable[[dict[str, Any], str], Check]] = {
    "LogicApp": _logic_app,
    "EventHub": _event_hub,
    "Workspace": _workspace,
}
