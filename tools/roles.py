"""The rights that `infra/` grants, as data: the custom role's actions, and each built-in role with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tools.bicep import parse
from tools.infra import INFRA

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
        ("Microsoft.Storage/storageAccounts/blobServices/containers/*",),
        ("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*",),
    ),
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": (
        "Storage Blob Data Reader",
        ("Microsoft.Storage/storageAccounts/blobServices/containers/read",),
        ("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",),
    ),
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": (
        "Storage Queue Data Contributor",
        ("Microsoft.Storage/storageAccounts/queueServices/queues/*",),
        ("Microsoft.Storage/storageAccounts/queueServices/queues/messages/*",),
    ),
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": (
        "Storage Table Data Contributor",
        ("Microsoft.Storage/storageAccounts/tableServices/tables/*",),
        ("Microsoft.Storage/storageAccounts/tableServices/tables/entities/*",),
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


@dataclass(frozen=True)
class Assignment:
    """A role assignment in Bicep: which built-in role, on what, to whom, and why."""

    role: str
    scope: str
    principal: str
    description: str


def custom_actions() -> tuple[str, ...]:
    """Every action of the custom role with all its switches on."""
    variables = parse(INFRA / "management-group.bicep").variables
    return tuple(
        action
        for name, text in variables.items()
        if name.endswith("Actions")
        for action in re.findall(r"'([^']+)'", text)
    )


def assignments() -> list[Assignment]:
    """Every assignment of a built-in role."""
    found = []
    for path in sorted(INFRA.rglob("*.bicep")):
        document = parse(path)
        for resource in document.resources.values():
            if resource.type != "Microsoft.Authorization/roleAssignments":
                continue
            body = resource.body["properties"]
            role = next(
                (text.strip("'") for name, text in document.variables.items() if re.search(rf"\b{name}\)", body)), None
            )
            principal = re.search(r"principalId: (.+)", body)
            description = re.search(r"description: '(.+)'", body)
            if role:
                found.append(
                    Assignment(
                        role,
                        resource.body.get("scope", document.scope),
                        principal[1] if principal else "",
                        description[1] if description else "",
                    )
                )
    return found


def permits(granted: tuple[str, ...], action: str) -> bool:
    """Whether one of the granted actions, with `*` as wildcard, covers an action."""
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in granted)
