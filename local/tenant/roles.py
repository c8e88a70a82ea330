"""Role definitions, role assignments, and whether they permit an action."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from functools import lru_cache

from local.tenant.ids import covers


@dataclass(frozen=True)
class RoleDefinition:
    """A role: management actions it grants and takes away, with `*` as wildcard, and data actions."""

    guid: str
    name: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    custom: bool = False

    @property
    def id(self) -> str:
        """The role definition's id without a scope."""
        return f"/providers/Microsoft.Authorization/roleDefinitions/{self.guid}"

    def permits(self, action: str) -> bool:
        """Whether the role grants a management action."""
        return _any_match(self.actions, action) and not _any_match(self.not_actions, action)

    def permits_data(self, action: str) -> bool:
        """Whether the role grants a data action."""
        return _any_match(self.data_actions, action)


@dataclass(frozen=True)
class RoleAssignment:
    """A principal's role at a scope and everything below."""

    guid: str
    scope: str
    principal_id: str
    role: RoleDefinition
    principal_type: str = "ServicePrincipal"

    def applies(self, ancestors: tuple[str, ...], scope: str) -> bool:
        """Whether the assignment reaches `scope`, whose management groups and root are `ancestors`."""
        return self.scope.lower() in ancestors or covers(self.scope, scope)


@lru_cache(maxsize=4096)
def _any_match(patterns: tuple[str, ...], action: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None for pattern in patterns
    )


def custom_role(name: str, *actions: str, data_actions: tuple[str, ...] = ()) -> RoleDefinition:
    """A custom role whose id follows from its name."""
    guid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"role/{name}"))
    return RoleDefinition(guid, name, actions, data_actions=data_actions, custom=True)


OWNER = RoleDefinition("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", ("*",))
CONTRIBUTOR = RoleDefinition(
    "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Contributor",
    ("*",),
    (
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
    ),
)
READER = RoleDefinition("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", ("*/read",))
SECURITY_READER = RoleDefinition(
    "39bc4728-0917-49c7-9d2c-d95423bc2eb4",
    "Security Reader",
    (
        "Microsoft.Authorization/*/read",
        "Microsoft.Security/*/read",
        "Microsoft.Management/managementGroups/read",
        "Microsoft.operationalInsights/workspaces/*/read",
        "Microsoft.Resources/deployments/*/read",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
    ),
)
SECURITY_ADMIN = RoleDefinition(
    "fb1c8493-542b-48eb-b624-b4c8fea62acd",
    "Security Admin",
    (
        "Microsoft.Authorization/*/read",
        "Microsoft.Authorization/policyAssignments/*",
        "Microsoft.Authorization/policyDefinitions/*",
        "Microsoft.Authorization/policySetDefinitions/*",
        "Microsoft.Management/managementGroups/read",
        "Microsoft.operationalInsights/workspaces/*/read",
        "Microsoft.Resources/deployments/*",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.Security/*",
    ),
)
EVENT_HUBS_DATA_SENDER = RoleDefinition(
    "2b629674-e913-4c01-ae53-ef4638d8f975",
    "Azure Event Hubs Data Sender",
    ("Microsoft.EventHub/*/eventhubs/read",),
    data_actions=("Microsoft.EventHub/*/send/action",),
)
EVENT_HUBS_DATA_RECEIVER = RoleDefinition(
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
    "Azure Event Hubs Data Receiver",
    ("Microsoft.EventHub/*/eventhubs/consumergroups/read",),
    data_actions=("Microsoft.EventHub/*/receive/action",),
)
BUILT_IN = (
    OWNER,
    CONTRIBUTOR,
    READER,
    SECURITY_READER,
    SECURITY_ADMIN,
    EVENT_HUBS_DATA_SENDER,
    EVENT_HUBS_DATA_RECEIVER,
)
