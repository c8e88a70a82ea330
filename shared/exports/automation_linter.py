"""Find what is wrong with an automation around its sources: its scopes, and the way to its destinations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.exports.diagnostics import Diagnostic
from shared.exports.event_sources import member

_RESOURCE: Final = r"/?subscriptions/[^/]+/resourceGroups/[^/]+/providers"
_HUB: Final = re.compile(
    rf"{_RESOURCE}/Microsoft\.EventHub/namespaces/[^/]+/eventhubs/[^/]+/?", re.ASCII | re.IGNORECASE
)
_NAMESPACE: Final = re.compile(rf"{_RESOURCE}/Microsoft\.EventHub/namespaces/[^/]+/?", re.ASCII | re.IGNORECASE)
_WORKSPACE: Final = re.compile(
    rf"{_RESOURCE}/Microsoft\.OperationalInsights/workspaces/[^/]+/?", re.ASCII | re.IGNORECASE
)
_SCOPE: Final = re.compile(r"/?subscriptions/[^/]+(/resourceGroups/[^/]+)?/?", re.ASCII | re.IGNORECASE)


def lint_scopes(properties: Any, where: str) -> list[Diagnostic]:
    """Findings on the scopes of an automation's properties, whatever their shape."""
    listed = member(properties, "scopes") if isinstance(properties, Mapping) else None
    place = f"{where}: scopes" if where else "scopes"
    if not isinstance(listed, list) or not listed:
        return [Diagnostic("no-scope", "error", place, "it has no scope, so it exports nothing.", "Give it a scope.")]
    return [
        Diagnostic(
            "no-scope",
            "error",
            f"{place}[{index}]",
            "this scope is no subscription or resource group.",
            "Give the path of one: /subscriptions/<id>.",
        )
        for index, scope in enumerate(listed)
        if not isinstance(scope, Mapping) or not _SCOPE.fullmatch(str(member(scope, "scopePath") or ""))
    ]


def lint_actions(properties: Any, where: str) -> list[Diagnostic]:
    """Findings on the actions of an automation's properties, whatever their shape."""
    listed = member(properties, "actions") if isinstance(properties, Mapping) else None
    place = f"{where}: actions" if where else "actions"
    if not isinstance(listed, list) or not listed:
        return [
            Diagnostic("no-destination", "error", place, "it has no action, so it sends to nowhere.", "Give it one.")
        ]
    return [finding for index, action in enumerate(listed) for finding in _lint_action(action, f"{place}[{index}]")]


def can_receive(action: Any) -> bool:
    """Whether records can arrive where an action sends them, as far as the automation itself tells."""
    return not any(_lint_action(action, ""))


def _lint_action(action: Any, where: str) -> Iterator[Diagnostic]:
    kind = str(member(action, "actionType") or "").lower() if isinstance(action, Mapping) else ""
    if kind == "eventhub":
        yield from _lint_hub(action, where)
    elif kind == "workspace":
        target = str(member(action, "workspaceResourceId") or "")
        if not _WORKSPACE.fullmatch(target):
            sentence = f"{target!r} is not the resource id of a Log Analytics workspace."
            yield Diagnostic("bad-destination", "error", where, sentence, "Give the workspace's resource id.")
    elif kind == "logicapp":
        if not member(action, "logicAppResourceId"):
            yield Diagnostic("bad-destination", "error", where, "it names no logic app.", "Give its resource id.")
    else:
        sentence = "this action sends to no event hub, workspace or logic app."
        yield Diagnostic("bad-destination", "error", where, sentence, "Give it an actionType that the API has.")


def _lint_hub(action: Mapping[str, Any], where: str) -> Iterator[Diagnostic]:
    target = str(member(action, "eventHubResourceId") or "")
    if _NAMESPACE.fullmatch(target):
        sentence = f"{target!r} is a namespace, and records are sent to one of its hubs."
        yield Diagnostic("not-a-hub", "error", where, sentence, "Append /eventhubs/<hub>.")
    elif not _HUB.fullmatch(target):
        sentence = f"{target!r} is not the resource id of an event hub."
        yield Diagnostic("bad-destination", "error", where, sentence, "Give the hub's resource id.")
    trusted = member(action, "isTrustedServiceEnabled") is True
    keyed = member(action, "sasPolicyName") or member(action, "connectionString")
    if not trusted and not keyed:
        sentence = "it is neither a trusted service nor has it the name of a key, so it can't send."
        yield Diagnostic(
            "no-credential", "error", where, sentence, "Save it anew as a trusted service, or with a connection string."
        )
