"""What exists in the local Azure: tenants, management groups, subscriptions, resources, roles, security data.

Plain Python that knows no HTTP.  The ARM emulator serves it; tests read it and change it without the app.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from local.tenant import ids
from local.tenant.journal import Journal
from local.tenant.roles import RoleAssignment, RoleDefinition
from local.tokens import HOME_TENANT, Principal

Document = dict[str, Any]
AUTOMATIONS = "Microsoft.Security/automations"


class Clock:
    """Epoch seconds that a test can move forward."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._ahead = 0.0

    def __call__(self) -> float:
        """The time now."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


@dataclass(frozen=True)
class ManagementGroup:
    """A node of the hierarchy; a tenant's root group has the tenant's id as its name and no parent.

    `key` is by what it is found here: its name, unless a group of another tenant has the same one.
    """

    name: str
    display_name: str
    tenant_id: str
    parent: str | None
    key: str


@dataclass(frozen=True)
class Subscription:
    """A subscription: `state` is ARM's, `providers` maps a namespace to its registration state.

    `managed_by` names the tenants it is delegated to (Lighthouse).
    """

    id: str
    name: str
    tenant_id: str
    management_group: str
    state: str = "Enabled"
    tags: Mapping[str, str] = field(default_factory=dict)
    managed_by: tuple[str, ...] = ()
    providers: Mapping[str, str] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """Its resource id."""
        return f"/subscriptions/{self.id}"


@dataclass(frozen=True)
class Secrets:
    """What a write carried that no read ever shows: one entry an action, in order; None where there was none."""

    connection_strings: tuple[str | None, ...] = ()
    uris: tuple[str | None, ...] = ()


class Tenant:
    """One home tenant with what it can reach; `home` is its id and `clock` gives its time."""

    def __init__(self, home: str = HOME_TENANT, *, clock: Clock | None = None) -> None:
        self.home = home
        self.clock = clock or Clock()
        self.management_groups: dict[str, ManagementGroup] = {}
        self.subscriptions: Journal[Subscription] = Journal(self.clock)
        self.resources: Journal[Document] = Journal(self.clock)
        self.secrets: dict[str, Secrets] = {}
        self.keys: dict[str, dict[str, str]] = {}
        self.locks: dict[str, Document] = {}
        self.policies: dict[str, Document] = {}
        self.policy_sets: dict[str, Document] = {}
        self.pricings: dict[tuple[str, str], Document] = {}
        self.roles: dict[str, RoleDefinition] = {}
        self.assignments: list[RoleAssignment] = []
        self.principals: dict[str, Principal] = {}
        self.cve_details: list[Document] = []
        self.security_records: Callable[[Subscription, str], Iterable[Document]] = lambda _subscription, _kind: ()
        self.security_kinds: tuple[str, ...] = ()
        self._index: dict[str, dict[str, dict[str, None]]] = {}
        self.add_management_group(home, "Tenant Root Group", None, tenant_id=home)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @property
    def version(self) -> tuple[object, ...]:
        """Changes with everything that decides what a query finds."""
        groups = tuple(self.management_groups.values())
        return self.subscriptions.version, self.resources.version, groups, tuple(self.assignments)

    # The hierarchy.

    def add_management_group(
        self, name: str, display_name: str, parent: str | None, *, tenant_id: str = "", key: str = ""
    ) -> ManagementGroup:
        """A new management group below `parent`, which is a key, as a subscription's `management_group` is."""
        owner = tenant_id or self.management_groups[(parent or self.home).lower()].tenant_id
        group = ManagementGroup(name, display_name, owner, parent, key or name)
        self.management_groups[group.key.lower()] = group
        return group

    def ancestors(self, management_group: str) -> list[ManagementGroup]:
        """A management group and its ancestors, nearest first."""
        chain: list[ManagementGroup] = []
        name: str | None = management_group
        while name is not None:
            group = self.management_groups[name.lower()]
            chain.append(group)
            name = group.parent
        return chain

    def add_subscription(self, subscription: Subscription) -> Subscription:
        """A subscription that has always been there."""
        self.subscriptions.seed(subscription.id, subscription)
        return subscription

    def subscription(self, subscription_id: str) -> Subscription:
        """A subscription by id; KeyError when there is none."""
        found = self.subscriptions.get(subscription_id)
        if found is None:
            raise KeyError(subscription_id)
        return found

    def change_subscription(self, subscription_id: str, **changes: Any) -> Subscription:
        """Change a subscription now: its state, tags, name or management group."""
        changed = replace(self.subscription(subscription_id), **changes)
        self.subscriptions.put(subscription_id, changed)
        return changed

    def set_registration(self, subscription_id: str, namespace: str, state: str) -> None:
        """Set a provider's registration state, such as Registered or NotRegistered."""
        providers = {
            name: value
            for name, value in self.subscription(subscription_id).providers.items()
            if name.lower() != namespace.lower()
        }
        self.change_subscription(subscription_id, providers={**providers, namespace: state})

    def registration(self, subscription_id: str, namespace: str) -> str:
        """A provider's registration state in a subscription."""
        for name, state in self.subscription(subscription_id).providers.items():
            if name.lower() == namespace.lower():
                return state
        return "NotRegistered"

    # Resources; resource groups are resources of type Microsoft.Resources/resourceGroups.

    def seed_resource(self, document: Document) -> Document:
        """A resource that has always been there."""
        self._indexed(document)
        self.resources.seed(document["id"], document)
        return document

    def put_resource(self, document: Document) -> Document:
        """Create or replace a resource now."""
        self._indexed(document)
        self.resources.put(document["id"], document)
        return document

    def delete_resource(self, resource_id: str) -> bool:
        """Delete a resource, or a resource group with all it holds; whether there was one."""
        for key in [key for key in self._ids_below(resource_id) if key in self.resources]:
            self.resources.delete(key)
            self.secrets.pop(key, None)
        return self.resources.delete(resource_id) is not None

    def resource(self, resource_id: str, ago: float = 0.0) -> Document | None:
        """A resource's document as it stood `ago` seconds ago."""
        return self.resources.get(resource_id, ago)

    def resources_of(self, subscription_id: str, kind: str, ago: float = 0.0) -> list[Document]:
        """A subscription's resources of one type, in the order in which they first appeared."""
        keys = self._index.get(subscription_id.lower(), {}).get(kind.lower(), {})
        found = (self.resources.get(key, ago) for key in keys)
        return [document for document in found if document is not None]

    def keyed_resources(self, subscription_id: str, kind: str) -> list[tuple[str, Document | None]]:
        """Lower-case ids that a subscription has or had of one type, with the document where there still is one."""
        current = self.resources.current
        return [(key, current.get(key)) for key in self._index.get(subscription_id, {}).get(kind, {})]

    def types_in(self, subscription_id: str) -> list[str]:
        """The lower-case types of a subscription's resources."""
        return list(self._index.get(subscription_id.lower(), {}))

    def add_resource_group(
        self, subscription_id: str, name: str, location: str, tags: Mapping[str, str] | None = None
    ) -> Document:
        """A resource group that has always been there."""
        return self.seed_resource(resource_group(subscription_id, name, location, tags))

    def resource_group(self, subscription_id: str, name: str) -> Document | None:
        """A resource group's document, if there is one."""
        return self.resource(f"/subscriptions/{subscription_id}/resourceGroups/{name}")

    # Automations, as tests see and change them.

    def automations(self, subscription_id: str) -> list[Document]:
        """Copies of a subscription's automations as they are now, whatever reads still show."""
        return copy.deepcopy(self.resources_of(subscription_id, AUTOMATIONS))

    def all_automations(self) -> Iterator[Document]:
        """Every automation as it is now; not copies."""
        return (document for document in self.resources.values() if document["type"] == AUTOMATIONS)

    def set_automation(self, document: Document, secrets: Secrets | None = None) -> Document:
        """Create or replace an automation by other means than ARM's API, as the portal or a policy would."""
        stored = {"type": AUTOMATIONS, **copy.deepcopy(document), "etag": new_etag()}
        stored["name"] = stored["id"].rsplit("/", 1)[-1]
        subscription_id, group = ids.subscription_of(stored["id"]), ids.group_of(stored["id"])
        if self.resource_group(subscription_id, group) is None:
            self.put_resource(resource_group(subscription_id, group, stored["location"]))
        if secrets:
            self.secrets[stored["id"].lower()] = secrets
        return self.put_resource(stored)

    def delete_automation(self, automation_id: str) -> bool:
        """Delete an automation likewise; whether there was one."""
        return self.delete_resource(automation_id)

    # Who may do what.

    def assign(self, principal: Principal, scope: str, role: RoleDefinition) -> RoleAssignment:
        """Give a principal a role at a scope."""
        self.principals[principal.object_id] = principal
        self.roles[role.guid] = role
        assignment = RoleAssignment(str(uuid.uuid4()), scope.rstrip("/"), principal.object_id, role)
        self.assignments.append(assignment)
        return assignment

    def revoke(self, principal: Principal, scope: str | None = None) -> None:
        """Take away a principal's roles at a scope, or everywhere."""
        self.assignments = [
            assignment
            for assignment in self.assignments
            if assignment.principal_id != principal.object_id
            or (scope is not None and assignment.scope.lower() != scope.rstrip("/").lower())
        ]

    def scope_ancestors(self, scope: str) -> tuple[str, ...]:
        """Lower-case management group scopes above `scope`, and the root scope, which is an empty text."""
        subscription = self.subscriptions.get(ids.subscription_of(scope))
        group = scope.lower().removeprefix("/providers/microsoft.management/managementgroups/")
        if subscription is not None:
            start = subscription.management_group
        elif group in self.management_groups:
            start = group
        else:
            return ("",)
        return ("", *(ids.management_group_id(one.key).lower() for one in self.ancestors(start)))

    def roles_at(self, principal_id: str, scope: str) -> list[RoleDefinition]:
        """The roles that reach a principal at a scope."""
        ancestors = self.scope_ancestors(scope)
        return [
            assignment.role
            for assignment in self.assignments
            if assignment.principal_id == principal_id and assignment.applies(ancestors, scope.rstrip("/"))
        ]

    def allowed(self, principal_id: str, action: str, scope: str) -> bool:
        """Whether a principal may do an action at a scope."""
        return any(role.permits(action) for role in self.roles_at(principal_id, scope))

    def _indexed(self, document: Document) -> None:
        by_type = self._index.setdefault(ids.subscription_of(document["id"]), {})
        by_type.setdefault(document["type"].lower(), {})[document["id"].lower()] = None

    def _ids_below(self, resource_id: str) -> Iterator[str]:
        prefix = resource_id.lower() + "/"
        for keys in self._index.get(ids.subscription_of(resource_id), {}).values():
            yield from (key for key in keys if key.startswith(prefix))


def resource_group(subscription_id: str, name: str, location: str, tags: Mapping[str, str] | None = None) -> Document:
    """A resource group's document."""
    return {
        "id": f"/subscriptions/{subscription_id}/resourceGroups/{name}",
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
        "tags": dict(tags or {}),
        "properties": {"provisioningState": "Succeeded"},
    }


def new_etag() -> str:
    """An etag that no earlier version had."""
    return f'"{uuid.uuid4()}"'
