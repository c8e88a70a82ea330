"""The rows of Resource Graph's tables, as far as a caller may read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from local.arm.graph.functions import Row
from local.tenant import Subscription, Tenant, ids
from local.tenant.plans import PRICINGS, pricing_rows
from local.tenant.roles import RoleDefinition
from local.tenant.state import Document

SUBSCRIPTIONS = "microsoft.resources/subscriptions"
GROUPS = "microsoft.resources/subscriptions/resourcegroups"
CVE_DETAILS = "microsoft.security/cvedetails"
MANAGEMENT_GROUPS = "microsoft.management/managementgroups"
_STORED_GROUPS = "microsoft.resources/resourcegroups"
# What ARM keeps as child resources or settings is no row of its own.
_NO_ROWS = ("microsoft.eventhub/namespaces/", _STORED_GROUPS)


class Roles:
    """The roles of one principal, looked up quickly for many subscriptions."""

    def __init__(self, tenant: Tenant, principal_id: str) -> None:
        self._tenant = tenant
        self._at: dict[str, list[RoleDefinition]] = {}
        self._deeper: dict[str, list[tuple[str, RoleDefinition]]] = {}
        self._above: dict[str, tuple[RoleDefinition, ...]] = {}
        for assignment in tenant.assignments:
            if assignment.principal_id != principal_id:
                continue
            scope = assignment.scope.lower()
            self._at.setdefault(scope, []).append(assignment.role)
            _, within, deeper = scope.partition("/subscriptions/")
            if within and "/" in deeper:
                self._deeper.setdefault(ids.subscription_of(scope), []).append((scope, assignment.role))

    def on(self, subscription: Subscription) -> tuple[RoleDefinition, ...]:
        """The roles that reach a whole subscription."""
        group = subscription.management_group.lower()
        if group not in self._above:
            scopes = ["", *(ids.management_group_id(one.key).lower() for one in self._tenant.ancestors(group))]
            self._above[group] = tuple(role for scope in scopes for role in self._at.get(scope, ()))
        own = self._at.get(subscription.scope.lower())
        return (*self._above[group], *own) if own else self._above[group]

    def reads_above(self, tenant_id: str, kind: str) -> bool:
        """Whether the principal may read a type at the tenant's root management group, or above it."""
        scopes = ("", "/", ids.management_group_id(tenant_id).lower())
        return any(role.permits(f"{kind}/read") for scope in scopes for role in self._at.get(scope, ()))

    def reads(self, subscription: Subscription, kind: str, row_id: str | None = None) -> bool:
        """Whether the principal may read a type in a subscription, or one row of it by a deeper role."""
        action = kind + "/read"
        if _permitted(self.on(subscription), action):
            return True
        return row_id is not None and any(
            role.permits(action) for scope, role in self._deeper.get(subscription.id, ()) if ids.covers(scope, row_id)
        )

    def touches(self, subscription: Subscription) -> bool:
        """Whether any role reaches the subscription or something in it."""
        return bool(self.on(subscription)) or subscription.id in self._deeper


@lru_cache(maxsize=1024)
def _permitted(roles: tuple[RoleDefinition, ...], action: str) -> bool:
    return any(role.permits(action) for role in roles)


class Tables:
    """Rows over a tenant; they are made once for each version of a document."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._rows: dict[str, tuple[Any, Row]] = {}

    def rows(
        self,
        table: str,
        types: frozenset[str] | None,
        subscriptions: list[Subscription],
        roles: Roles,
        lag: float,
    ) -> Iterable[Row]:
        """The readable rows of a table in some subscriptions, as they stood `lag` seconds ago."""
        if table == "securityresources":
            return self._security(types, subscriptions, roles)
        past = self._tenant.resources.past(lag)
        if table == "resources":
            return self._resources(types, subscriptions, roles, past)
        return self._containers(types, subscriptions, roles, past)

    def cves(self, types: frozenset[str] | None, roles: Roles) -> Iterator[Row]:
        """Details of CVEs, which are there at the scope of the tenant or a management group alone."""
        if (types is None or CVE_DETAILS in types) and roles.reads_above(self._tenant.home, CVE_DETAILS):
            yield from (
                {**_blank(each["id"], each["name"], CVE_DETAILS, ""), **each} for each in self._tenant.cve_details
            )

    def _resources(
        self,
        types: frozenset[str] | None,
        subscriptions: list[Subscription],
        roles: Roles,
        past: dict[str, Document | None],
    ) -> Iterator[Row]:
        for subscription in subscriptions:
            for kind in types or self._tenant.types_in(subscription.id):
                if not kind.startswith(_NO_ROWS):
                    yield from self._documents(subscription, kind, kind, roles, past)

    def _containers(
        self,
        types: frozenset[str] | None,
        subscriptions: list[Subscription],
        roles: Roles,
        past: dict[str, Document | None],
    ) -> Iterator[Row]:
        wanted = types or {SUBSCRIPTIONS, GROUPS, MANAGEMENT_GROUPS}
        if SUBSCRIPTIONS in wanted:
            for subscription in subscriptions:
                if roles.reads(subscription, SUBSCRIPTIONS):
                    yield self._kept(subscription.scope, subscription, self._subscription_row)
        if GROUPS in wanted:
            for subscription in subscriptions:
                yield from self._documents(subscription, _STORED_GROUPS, GROUPS, roles, past)
        if MANAGEMENT_GROUPS in wanted:
            yield from self._management_groups(subscriptions)

    def _documents(
        self, subscription: Subscription, stored: str, kind: str, roles: Roles, past: dict[str, Document | None]
    ) -> Iterator[Row]:
        everywhere = roles.reads(subscription, kind)
        for key, current in self._tenant.keyed_resources(subscription.id, stored):
            document = past.get(key, current) if past else current
            if document is not None and (everywhere or roles.reads(subscription, kind, document["id"])):
                kept = self._rows.get(key)
                if kept is None or kept[0] is not document:
                    kept = self._rows[key] = (document, _document_row(document, subscription, kind))
                yield kept[1]

    def _security(self, types: frozenset[str] | None, subscriptions: list[Subscription], roles: Roles) -> Iterator[Row]:
        for subscription in subscriptions:
            for kind in types or (*self._tenant.security_kinds, PRICINGS):
                if kind == PRICINGS and roles.reads(subscription, kind):
                    yield from map(_security_row, pricing_rows(self._tenant, subscription))
                elif roles.reads(subscription, kind):
                    for record in self._tenant.security_records(subscription, kind):
                        yield self._kept(record["id"].lower(), record, _security_row)

    def _management_groups(self, subscriptions: list[Subscription]) -> Iterator[Row]:
        seen = {one.key: one for sub in subscriptions for one in self._tenant.ancestors(sub.management_group)}
        for group in seen.values():
            chain = [{"name": one.name, "displayName": one.display_name} for one in self._tenant.ancestors(group.key)]
            row = _blank(ids.management_group_id(group.name), group.name, MANAGEMENT_GROUPS, group.tenant_id)
            row["properties"] = {
                "displayName": group.display_name,
                "tenantId": group.tenant_id,
                "details": {"managementGroupAncestorsChain": chain[1:]},
            }
            yield row

    def _subscription_row(self, subscription: Subscription) -> Row:
        row = _blank(subscription.scope, subscription.name, SUBSCRIPTIONS, subscription.tenant_id)
        row["subscriptionId"] = subscription.id
        row["tags"] = dict(subscription.tags)
        row["properties"] = {
            "state": subscription.state,
            "managedByTenants": [{"tenantId": one} for one in subscription.managed_by],
            "managementGroupAncestorsChain": [
                {"displayName": one.display_name, "name": one.name}
                for one in self._tenant.ancestors(subscription.management_group)
            ],
            "subscriptionPolicies": {"quotaId": "EnterpriseAgreement_2014-09-01", "spendingLimit": "Off"},
        }
        return row

    def _kept(self, key: str, source: Any, make: Any) -> Row:
        kept = self._rows.get(key)
        if kept is None or kept[0] is not source:
            kept = (source, make(source))
            self._rows[key] = kept
        return kept[1]


def _blank(row_id: str, name: str, kind: str, tenant_id: str) -> Row:
    return {
        "id": row_id,
        "name": name,
        "type": kind,
        "tenantId": tenant_id,
        "kind": "",
        "location": "",
        "resourceGroup": "",
        "subscriptionId": "",
        "managedBy": "",
        "sku": None,
        "plan": None,
        "properties": None,
        "tags": None,
        "identity": None,
        "zones": None,
        "extendedLocation": None,
    }


def _document_row(document: Document, subscription: Subscription, kind: str) -> Row:
    return {
        "id": document["id"],
        "name": document["name"],
        "type": kind,
        "tenantId": subscription.tenant_id,
        "kind": document.get("kind") or "",
        "location": str(document.get("location", "")).replace(" ", "").lower(),
        "resourceGroup": document["id"].split("/", 5)[4].lower(),
        "subscriptionId": subscription.id,
        "managedBy": document.get("managedBy") or "",
        "sku": document.get("sku"),
        "plan": document.get("plan"),
        "properties": document.get("properties"),
        "tags": document.get("tags"),
        "identity": document.get("identity"),
        "zones": document.get("zones"),
        "extendedLocation": None,
    }


def _security_row(record: Document) -> Row:
    return {**_blank(record["id"], record["name"], record["type"].lower(), record["tenantId"]), **record}
