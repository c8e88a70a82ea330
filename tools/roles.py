"""The rights that `infra/` grants, read from the snapshots: each identity's, by scope, with its reason.

`python -m tools.roles` writes the tables of docs/security.md; `--check` only says whether they are out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tools.snapshots import ROOT, Snapshot, committed

PAGE = ROOT / "docs" / "security.md"
_BEGIN, _END = "<!-- rights: python -m tools.roles -->", "<!-- end of rights -->"
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_EVERYTHING = "management-group-everything"

# Principals by what their id holds: a name, for identities of the deployment, or the id that a parameter file gives.
_PRINCIPALS = {
    "id-defender-export-data-": "the data plane",
    "id-defender-export-": "the app",
    "77777777-7777-7777-7777-777777777777": "the app",
    "88888888-8888-8888-8888-888888888888": "the data plane",
    "55555555-5555-5555-5555-555555555555": "Windows Azure Security Resource Provider",
    "66666666-6666-6666-6666-666666666666": "the operator",
}

# Built-in roles by id: name, management actions, data actions (Azure built-in roles reference; only what is of use).
BUILT_IN: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": (
        "Storage Blob Data Owner",
        (
            "Microsoft.Storage/storageAccounts/blobServices/containers/*",
            "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
        ),
        ("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*",),
    ),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": (
        "Storage Blob Data Contributor",
        (
            "Microsoft.Storage/storageAccounts/blobServices/containers/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/write",
        ),
        (
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
            "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
        ),
    ),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": (
        "Storage Blob Data Reader",
        ("Microsoft.Storage/storageAccounts/blobServices/containers/read",),
        ("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",),
    ),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": (
        "Storage Queue Data Contributor",
        (
            "Microsoft.Storage/storageAccounts/queueServices/queues/delete",
            "Microsoft.Storage/storageAccounts/queueServices/queues/read",
            "Microsoft.Storage/storageAccounts/queueServices/queues/write",
        ),
        (
            "Microsoft.Storage/storageAccounts/queueServices/queues/messages/delete",
            "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
            "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read",
            "Microsoft.Storage/storageAccounts/queueServices/queues/messages/write",
        ),
    ),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": (
        "Storage Table Data Contributor",
        (
            "Microsoft.Storage/storageAccounts/tableServices/tables/delete",
            "Microsoft.Storage/storageAccounts/tableServices/tables/read",
            "Microsoft.Storage/storageAccounts/tableServices/tables/write",
        ),
        (
            "Microsoft.Storage/storageAccounts/tableServices/tables/entities/add/action",
            "Microsoft.Storage/storageAccounts/tableServices/tables/entities/delete",
            "Microsoft.Storage/storageAccounts/tableServices/tables/entities/read",
            "Microsoft.Storage/storageAccounts/tableServices/tables/entities/update/action",
            "Microsoft.Storage/storageAccounts/tableServices/tables/entities/write",
        ),
    ),
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": (
        "Azure Event Hubs Data Receiver",
        ("Microsoft.EventHub/namespaces/eventhubs/consumergroups/read",),
        ("Microsoft.EventHub/*/receive/action",),
    ),
    "2b629674-e913-4c01-ae53-ef4638d8f975": (
        "Azure Event Hubs Data Sender",
        ("Microsoft.EventHub/*/eventhubs/read",),
        ("Microsoft.EventHub/*/send/action",),
    ),
    "3913510d-42f4-4e42-8a64-420c390055eb": (
        "Monitoring Metrics Publisher",
        ("Microsoft.Insights/Register/Action",),
        ("Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"),
    ),
    "3b03c2da-16b3-4a49-8834-0f8130efdd3b": (
        "Log Analytics Data Reader",
        ("Microsoft.OperationalInsights/workspaces/read", "Microsoft.OperationalInsights/workspaces/query/read"),
        ("Microsoft.OperationalInsights/workspaces/tables/data/read",),
    ),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", ("*/read",), ()),
}


@dataclass(frozen=True, order=True)
class Right:
    """A role that a principal has on a scope, and why."""

    principal: str
    scope: str
    role: str
    reason: str


def rights(snapshot: Snapshot) -> list[Right]:
    """Every role assignment of a snapshot.

    Raises:
        KeyError: it is to a principal, or of a role, that this module doesn't know.
    """
    own = {
        one["name"]: "Defender Export (custom)" for one in snapshot.of_type("Microsoft.Authorization/roleDefinitions")
    }
    names = {role: name for role, (name, _, _) in BUILT_IN.items()} | own
    return sorted(_right(one, names) for one in snapshot.of_type(_ASSIGNMENT))


def _right(assignment: Mapping[str, Any], names: Mapping[str, str]) -> Right:
    properties = assignment["properties"]
    whose = properties["principalId"]
    principal = next((name for part, name in _PRINCIPALS.items() if part in whose), None)
    if principal is None:
        raise KeyError(whose)
    role = names[properties["roleDefinitionId"].rsplit("/", 1)[-1]]
    return Right(principal, scope_of(assignment["id"]), role, properties["description"])


def scope_of(assignment_id: str) -> str:
    """What an assignment is on, without what differs from deployment to deployment."""
    scope = assignment_id.rsplit(f"/providers/{_ASSIGNMENT}/", 1)[0]
    if "/providers/" not in scope:
        return "the resource group" if "/resourceGroups/" in scope else "the subscription"
    kind, *path = scope.rsplit("/providers/", 1)[1].split("/")
    if kind == "Microsoft.Management":
        return "the management group"
    names = {"storageAccounts": "", "blobServices": "", "namespaces": "", "containers": path[-1], "eventhubs": path[-1]}
    name = names.get(path[-2], "")
    return f"{kind}/{'/'.join(path[0::2])}{f' ({name})' if name else ''}"


def custom_actions(name: str = _EVERYTHING) -> tuple[str, ...]:
    """The actions of the custom role in one snapshot; all switches are on unless another is named."""
    return _actions(committed()[name])


def _actions(snapshot: Snapshot) -> tuple[str, ...]:
    (role,) = snapshot.of_type("Microsoft.Authorization/roleDefinitions")
    (permissions,) = role["properties"]["permissions"]
    return tuple(permissions["actions"])


def permits(granted: tuple[str, ...], action: str) -> bool:
    """Whether one of the granted actions, with `*` as wildcard, covers an action."""
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in granted)


def tables(snapshots: Mapping[str, Snapshot]) -> str:
    """Both tables of docs/security.md: every assignment with the snapshots it is in, and the custom role's actions."""
    groups = [name for name in snapshots if name.startswith("management-group")]
    found: dict[Right, list[str]] = {}
    for name, snapshot in snapshots.items():
        for right in rights(snapshot):
            found.setdefault(right, []).append(name)
    lines = ["| who | role | on | in | why |", "| --- | --- | --- | --- | --- |"]
    for right, names in sorted(found.items()):
        among = groups if right.scope == "the management group" else [name for name in snapshots if name not in groups]
        where = "all" if set(names) == set(among) else ", ".join(names)
        lines.append(f"| {right.principal} | {right.role} | {right.scope} | {where} | {right.reason} |")
    lines += ["", "| action of the custom role | in |", "| --- | --- |"]
    actions = {name: _actions(snapshots[name]) for name in groups}
    for action in dict.fromkeys(action for name in groups for action in actions[name]):
        holding = [name for name in groups if action in actions[name]]
        lines.append(f"| `{action}` | {_which(holding, groups)} |")
    return "\n".join(lines)


def _which(holding: Iterable[str], among: list[str]) -> str:
    names = list(holding)
    missing = [name for name in among if name not in names]
    if not missing:
        return "all"
    return ", ".join(names) if len(names) <= len(missing) else f"all but {', '.join(missing)}"


def page(text: str, snapshots: Mapping[str, Snapshot]) -> str:
    """docs/security.md with its tables as the snapshots have them."""
    pattern = re.compile(rf"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{_BEGIN}\n\n{tables(snapshots)}\n\n{_END}", text)


def main(argv: list[str]) -> int:
    """Write the tables, or with `--check` say whether they are out of date."""
    before = PAGE.read_text()
    after = page(before, committed())
    if before != after and "--check" not in argv:
        PAGE.write_text(after)
    return int(before != after and "--check" in argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
