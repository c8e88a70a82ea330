"""Who may do what: role actions, tenants, linked scopes, locks and deny policies."""

from __future__ import annotations

from typing import Any

from local.arm.calls import ArmError, Call, Document, authorization_scope
from local.tenant import Subscription, Tenant, ids
from local.tokens import Claims

_LISTS_KEYS = "Microsoft.EventHub/namespaces/eventhubs/authorizationRules/listKeys/action"
_LOCK_LEVELS = {"delete": ("CanNotDelete", "ReadOnly"), "write": ("ReadOnly",)}


class Access:
    """Decisions over a tenant's role assignments; each is kept in `checks` as principal, action, scope, allowed."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.checks: set[tuple[str, str, str, bool]] = set()

    def reaches(self, caller: Claims, subscription: Subscription) -> bool:
        """Whether the caller's tenant is the subscription's, or one that it is delegated to."""
        return caller.tenant_id in {subscription.tenant_id, *subscription.managed_by}

    def has_any_role(self, caller: Claims, subscription: Subscription) -> bool:
        """Whether the caller has a role at the subscription, above it, or anywhere in it."""
        ancestors = self._tenant.scope_ancestors(subscription.scope)
        return any(
            assignment.principal_id == caller.object_id
            and (assignment.applies(ancestors, subscription.scope) or ids.covers(subscription.scope, assignment.scope))
            for assignment in self._tenant.assignments
        )

    def allowed(self, caller: Claims, action: str, scope: str) -> bool:
        """Whether a caller may do an action at a scope; the decision is kept."""
        verdict = self._tenant.allowed(caller.object_id, action, scope)
        self.checks.add((caller.object_id, action, scope, verdict))
        return verdict

    def check(self, call: Call, action: str) -> None:
        """Refuse with 403 what the caller's roles do not permit."""
        if call.operation.open:
            self.checks.add((call.caller.object_id, action, "", True))
            return
        scope = authorization_scope(call.operation.method, call.path)
        if not self.allowed(call.caller, action, scope):
            raise ArmError(
                403,
                "AuthorizationFailed",
                f"The client '{call.caller.app_id}' with object id '{call.caller.object_id}' does not have "
                f"authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access "
                "was recently granted, please refresh your credentials.",
            )

    def check_locks_and_policies(self, call: Call) -> None:
        """Refuse what a lock or a deny policy at the path or above it forbids."""
        if call.operation.method in {"GET", "HEAD"} or "/locks" in call.operation.template:
            return
        kind = "delete" if call.operation.method == "DELETE" else "write"
        if call.operation.method != "POST" or "listKeys" in call.operation.template:
            self._check_locks(call, kind)
        if call.operation.method == "PUT":
            self._check_policies(call)

    def _check_locks(self, call: Call, kind: str) -> None:
        for lock in self._tenant.locks.values():
            scope = lock["id"].rpartition("/providers/Microsoft.Authorization/locks/")[0]
            if lock["properties"]["level"] in _LOCK_LEVELS[kind] and ids.covers(scope, call.path):
                raise ArmError(
                    409,
                    "ScopeLocked",
                    f"The scope '{call.path}' cannot perform {kind} operation because following scope(s) are locked: "
                    f"'{scope}'. Please remove the lock and try again.",
                )

    def _check_policies(self, call: Call) -> None:
        """Deny policies here name the types they deny in `parameters.listOfResourceTypesNotAllowed`."""
        kind = call.operation.resource_type.lower() or "microsoft.resources/subscriptions/resourcegroups"
        ancestors = self._tenant.scope_ancestors(call.path)
        for policy in self._tenant.policies.values():
            properties = policy["properties"]
            denied = properties.get("parameters", {}).get("listOfResourceTypesNotAllowed", {}).get("value", [])
            scope = properties["scope"].lower().rstrip("/")
            reached = scope in ancestors or ids.covers(scope, call.path)
            if reached and properties.get("enforcementMode", "Default") == "Default" and _denies(denied, kind):
                raise ArmError(
                    403,
                    "RequestDisallowedByPolicy",
                    f"Resource '{call.path.rsplit('/', 1)[-1]}' was disallowed by policy. "
                    f'Policy identifiers: \'[{{"policyAssignment":{{"id":"{policy["id"]}"}}}}]\'.',
                    target=call.path.rsplit("/", 1)[-1],
                )

    def check_destinations(self, call: Call, actions: list[Document]) -> None:
        """Linked scopes: the caller needs its rights at each destination, in the destination's own tenant."""
        for action in actions:
            if action["actionType"] == "EventHub":
                scope = action["eventHubResourceId"]
                needed = [
                    _LISTS_KEYS if action.get("connectionString") else "Microsoft.EventHub/namespaces/eventhubs/read"
                ]
            elif action["actionType"] == "Workspace":
                scope = action["workspaceResourceId"]
                needed = ["Microsoft.OperationalInsights/workspaces/write"]
                self._check_linked(call, [self._solution_action(scope)], scope.partition("/providers/")[0])
            else:
                scope = action["logicAppResourceId"]
                needed = ["Microsoft.Logic/workflows/read"]
            self._check_linked(call, needed, scope)

    def _solution_action(self, workspace_id: str) -> str:
        """Reading suffices where Defender's solution is there already; else the write enables it."""
        free = any(
            document["name"].startswith("SecurityCenterFree(")
            and document["properties"]["workspaceResourceId"].lower() == workspace_id.lower()
            for document in self._tenant.resources_of(
                ids.subscription_of(workspace_id), "Microsoft.OperationsManagement/solutions"
            )
        )
        return "Microsoft.OperationsManagement/solutions/" + ("read" if free else "action")

    def _check_linked(self, call: Call, needed: list[str], scope: str) -> None:
        linked = self._tenant.subscriptions.get(ids.subscription_of(scope))
        if linked is None:
            raise self._linked_refusal(call, needed, scope, "or the linked scope(s) are invalid")
        speaking = [one for one in (call.caller, *call.auxiliary) if self.reaches(one, linked)]
        if not speaking:
            raise ArmError(
                403,
                "LinkedAuthorizationFailed",
                f"The client has permission to perform action '{needed[0]}' on scope '{call.path}', however the "
                f"current tenant '{call.caller.tenant_id}' is not authorized to access linked subscription "
                f"'{linked.id}'.",
            )
        for action in needed:
            if not any([self.allowed(one, action, scope) for one in speaking]):  # noqa: C419 - every decision is kept
                raise self._linked_refusal(call, needed, scope, "or the linked scope(s) are invalid")

    def _linked_refusal(self, call: Call, needed: list[str], scope: str, ending: str) -> ArmError:
        return ArmError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{call.caller.app_id}' with object id '{call.caller.object_id}' has permission to perform "
            f"action '{call.operation.action}' on scope '{call.path}'; however, it does not have permission to perform "
            f"action(s) '{', '.join(needed)}' on the linked scope(s) '{scope}' (respectively) {ending}.",
        )


def _denies(types: Any, kind: str) -> bool:
    return any(str(one).lower() == kind for one in types)
