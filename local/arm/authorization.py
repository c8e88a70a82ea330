"""Microsoft.Authorization at any scope: role assignments and definitions, permissions, locks, policy assignments."""

from __future__ import annotations

import re

from local.arm.calls import ArmError, Call, Document, Operation, Reply, paged
from local.tenant import ids
from local.tenant.roles import RoleAssignment, RoleDefinition
from local.tokens import Principal

ROLE_VERSIONS = ("2022-05-01-preview", "2022-04-01", "2018-07-01", "2015-07-01")
LOCK_VERSIONS = ("2020-05-01", "2016-09-01")
POLICY_VERSIONS = ("2025-03-01", "2024-05-01", "2023-04-01", "2022-06-01")
_NAMESPACE = "/providers/Microsoft.Authorization"


# Roles.


def list_assignments(call: Call) -> Reply:
    """Assignments at a scope, above it, and (but for `atScope()`) below it; `principalId eq` narrows them."""
    scope, filtered = call.parameters["scope"], call.query.get("$filter", "")
    principal = re.search(r"(?:principalId eq|assignedTo\()\s*'([^']+)'", filtered)
    ancestors = call.tenant.scope_ancestors(scope)
    found = [
        one
        for one in call.tenant.assignments
        if one.applies(ancestors, scope) or ("atScope()" not in filtered and ids.covers(scope, one.scope))
    ]
    if principal:
        found = [one for one in found if one.principal_id == principal[1]]
    return paged(call, [_assignment(one) for one in found], 1000)


def get_assignment(call: Call) -> Reply:
    """One assignment by its scope and name."""
    return Reply(200, _assignment(_known_assignment(call)))


def put_assignment(call: Call) -> Reply:
    """Assign a role; the same principal and role at a scope can't be assigned twice."""
    properties = call.document().get("properties") or {}
    role = call.tenant.roles.get(str(properties.get("roleDefinitionId", "")).rsplit("/", 1)[-1].lower())
    principal = properties.get("principalId")
    if role is None or not isinstance(principal, str):
        raise ArmError(400, "InvalidRoleDefinition", "properties needs a known roleDefinitionId and a principalId.")
    scope = call.parameters["scope"]
    for one in call.tenant.assignments:
        if (one.scope.lower(), one.principal_id, one.role.guid) == (scope.lower(), principal, role.guid):
            raise ArmError(409, "RoleAssignmentExists", "The role assignment already exists.")
    made = RoleAssignment(call.parameters["name"], scope, principal, role)
    call.tenant.principals.setdefault(principal, Principal(principal, "", call.caller.tenant_id))
    call.tenant.assignments.append(made)
    return Reply(201, _assignment(made))


def delete_assignment(call: Call) -> Reply:
    """Take a role away."""
    found = _known_assignment(call)
    call.tenant.assignments.remove(found)
    return Reply(200, _assignment(found))


def list_definitions(call: Call) -> Reply:
    """Role definitions; `roleName eq` narrows them."""
    name = re.search(r"roleName eq '([^']+)'", call.query.get("$filter", ""))
    found = [one for one in call.tenant.roles.values() if not name or one.name == name[1]]
    return paged(call, [_definition(one, call.parameters["scope"]) for one in found], 1000)


def get_definition(call: Call) -> Reply:
    """One role definition by its guid."""
    role = call.tenant.roles.get(call.parameters["name"].lower())
    if role is None:
        raise ArmError(404, "RoleDefinitionDoesNotExist", f"There is no role '{call.parameters['name']}'.")
    return Reply(200, _definition(role, call.parameters["scope"]))


def list_permissions(call: Call) -> Reply:
    """What the caller may do at a scope, by role: any signed-in caller may ask."""
    roles = call.tenant.roles_at(call.caller.object_id, call.parameters["scope"])
    return Reply(200, {"value": [_permission(role) for role in roles]})


def _known_assignment(call: Call) -> RoleAssignment:
    for one in call.tenant.assignments:
        if one.guid == call.parameters["name"] and one.scope.lower() == call.parameters["scope"].lower():
            return one
    raise ArmError(404, "RoleAssignmentNotFound", f"There is no role assignment '{call.parameters['name']}'.")


def _assignment(one: RoleAssignment) -> Document:
    return {
        "id": f"{one.scope}{_NAMESPACE}/roleAssignments/{one.guid}",
        "name": one.guid,
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            "roleDefinitionId": one.role.id,
            "principalId": one.principal_id,
            "principalType": one.principal_type,
            "scope": one.scope or "/",
        },
    }


def _permission(role: RoleDefinition) -> Document:
    return {
        "actions": list(role.actions),
        "notActions": list(role.not_actions),
        "dataActions": list(role.data_actions),
        "notDataActions": [],
    }


def _definition(role: RoleDefinition, scope: str) -> Document:
    return {
        "id": f"{scope}{role.id}" if role.custom else role.id,
        "name": role.guid,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": role.name,
            "type": "CustomRole" if role.custom else "BuiltInRole",
            "assignableScopes": ["/"],
            "permissions": [_permission(role)],
        },
    }


# Locks.


def list_locks(call: Call) -> Reply:
    """Locks at a scope, above it and below it; `atScope()` leaves out those below."""
    scope, narrow = call.parameters["scope"], "atScope()" in call.query.get("$filter", "")
    found = [
        lock
        for lock in call.tenant.locks.values()
        if ids.covers(_lock_scope(lock), scope) or (not narrow and ids.covers(scope, _lock_scope(lock)))
    ]
    return paged(call, found, 1000)


def get_lock(call: Call) -> Reply:
    """One lock by its scope and name."""
    lock = call.tenant.locks.get(call.path.rstrip("/").lower())
    if lock is None:
        raise ArmError(404, "LockNotFound", f"The lock '{call.parameters['name']}' could not be found.")
    return Reply(200, lock)


def put_lock(call: Call) -> Reply:
    """Lock a scope against deletes (CanNotDelete) or every change (ReadOnly)."""
    properties = call.document().get("properties") or {}
    if properties.get("level") not in {"CanNotDelete", "ReadOnly"}:
        raise ArmError(400, "InvalidLockLevel", "properties.level must be CanNotDelete or ReadOnly.")
    path = call.path.rstrip("/")
    created = path.lower() not in call.tenant.locks
    lock = {
        "id": path,
        "name": call.parameters["name"],
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": properties["level"], "notes": properties.get("notes", "")},
    }
    call.tenant.locks[path.lower()] = lock
    return Reply(201 if created else 200, lock)


def delete_lock(call: Call) -> Reply:
    """Remove a lock."""
    return Reply(204 if call.tenant.locks.pop(call.path.rstrip("/").lower(), None) is None else 200)


def _lock_scope(lock: Document) -> str:
    return str(lock["id"]).rpartition(_NAMESPACE)[0]


# Policies.


def list_policies(call: Call) -> Reply:
    """Policy assignments that reach a scope, and those below it."""
    scope = call.parameters["scope"]
    ancestors = call.tenant.scope_ancestors(scope)
    found = [
        policy
        for policy in call.tenant.policies.values()
        if (at := policy["properties"]["scope"].rstrip("/")).lower() in ancestors
        or ids.covers(at, scope)
        or ids.covers(scope, at)
    ]
    return paged(call, found, 1000)


def get_policy_set(call: Call) -> Reply:
    """One initiative, by its id."""
    found = call.tenant.policy_sets.get(call.path.rstrip("/").lower())
    if found is None:
        raise ArmError(404, "PolicySetDefinitionNotFound", f"There is no policy set '{call.parameters['name']}'.")
    return Reply(200, found)


_ASSIGN = "Microsoft.Authorization/roleAssignments"
_DEFINE = "Microsoft.Authorization/roleDefinitions"
_LOCKING = "Microsoft.Authorization/locks"
_POLICY = "Microsoft.Authorization/policyAssignments"
_POLICY_SET = "Microsoft.Authorization/policySetDefinitions"
_ASSIGNMENTS = "{scope}/providers/" + _ASSIGN
_DEFINITIONS = "{scope}/providers/" + _DEFINE
_LOCKS = "{scope}/providers/" + _LOCKING
_ASSIGNMENT, _DEFINITION, _LOCK = (one + "/{name}" for one in (_ASSIGNMENTS, _DEFINITIONS, _LOCKS))

OPERATIONS = (
    Operation("GET", _ASSIGNMENTS, f"{_ASSIGN}/read", ROLE_VERSIONS, list_assignments),
    Operation("GET", _ASSIGNMENT, f"{_ASSIGN}/read", ROLE_VERSIONS, get_assignment),
    Operation("PUT", _ASSIGNMENT, f"{_ASSIGN}/write", ROLE_VERSIONS, put_assignment),
    Operation("DELETE", _ASSIGNMENT, f"{_ASSIGN}/delete", ROLE_VERSIONS, delete_assignment),
    Operation("GET", _DEFINITIONS, f"{_DEFINE}/read", ROLE_VERSIONS, list_definitions),
    Operation("GET", _DEFINITION, f"{_DEFINE}/read", ROLE_VERSIONS, get_definition),
    Operation(
        "GET",
        f"{{scope}}{_NAMESPACE}/permissions",
        "Microsoft.Authorization/permissions/read",
        ROLE_VERSIONS,
        list_permissions,
        open=True,
    ),
    Operation("GET", _LOCKS, f"{_LOCKING}/read", LOCK_VERSIONS, list_locks),
    Operation("GET", _LOCK, f"{_LOCKING}/read", LOCK_VERSIONS, get_lock),
    Operation("PUT", _LOCK, f"{_LOCKING}/write", LOCK_VERSIONS, put_lock),
    Operation("DELETE", _LOCK, f"{_LOCKING}/delete", LOCK_VERSIONS, delete_lock),
    Operation("GET", "{scope}/providers/" + _POLICY, f"{_POLICY}/read", POLICY_VERSIONS, list_policies),
    Operation(
        "GET", "{scope}/providers/" + _POLICY_SET + "/{name}", f"{_POLICY_SET}/read", POLICY_VERSIONS, get_policy_set
    ),
)
