"""Microsoft.Security/automations: all seven operations at both api-versions.

A document is stored as reads show it; write-only fields go to `Tenant.secrets`, where only tests look.
"""

from __future__ import annotations

import copy
import zlib
from datetime import UTC, datetime
from typing import Any

from local.arm.calls import ArmError, Call, Document, Operation, Reply, check_registered, not_found, paged
from local.arm.contract import (
    NAME,
    PROPERTIES,
    V2019,
    V2023,
    Problem,
    canonical_property_type,
    connection_key_name,
    problems,
)
from local.arm.envelope import REGIONS, check_members, check_same_location, location_of, normal_location, tags_of
from local.tenant import AUTOMATIONS, Secrets
from local.tenant.state import new_etag

BOTH = (V2023, V2019)
_LIST = "/subscriptions/{sub}/providers/Microsoft.Security/automations"
_GROUP = "/subscriptions/{sub}/resourceGroups/{group}/providers/Microsoft.Security/automations"
_ONE = _GROUP + "/{name}"


def list_all(call: Call) -> Reply:
    """The subscription's automations, a page at a time."""
    check_registered(call)
    found = call.tenant.resources_of(call.subscription, AUTOMATIONS, call.arm.read_delay)
    return paged(call, found, call.arm.page_size)


def list_group(call: Call) -> Reply:
    """A resource group's automations, a page at a time."""
    check_registered(call)
    inside = f"/subscriptions/{call.subscription}/resourcegroups/{call.parameters['group'].lower()}/"
    found = call.tenant.resources_of(call.subscription, AUTOMATIONS, call.arm.read_delay)
    return paged(call, [one for one in found if one["id"].lower().startswith(inside)], call.arm.page_size)


def get(call: Call) -> Reply:
    """One automation."""
    check_registered(call)
    found = call.tenant.resource(_id(call), call.arm.read_delay)
    if found is None:
        raise not_found(AUTOMATIONS, call.parameters["name"], call.parameters["group"])
    return Reply(200, found, {"ETag": found["etag"]})


def create_or_update(call: Call) -> Reply:
    """PUT: the body replaces what was there; 201 when nothing was."""
    check_registered(call)
    _check_name(call)
    body = call.document()
    existing = call.tenant.resource(_id(call))
    _check_preconditions(call, existing, body)
    location = _checked_envelope(call, body, existing)
    found = problems(body.get("properties"), call.subscription, call.version)
    if call.arm.several_scopes:
        found = [one for one in found if one.path != "properties.scopes"]
    if found:
        raise _refusal(found)
    call.arm.check_destinations(call, body["properties"]["actions"])
    call.arm.strays += [name for name in body["properties"] if name not in PROPERTIES]
    written = _store(call, location, body, existing)
    return Reply(200 if existing else 201, written, {"ETag": written["etag"]})


def update(call: Call) -> Reply:
    """PATCH: tags and each given property replace theirs; the secrets of actions not given stay.

    Scopes that are not given are not looked at: an automation that was taken with several still takes tags.
    """
    check_registered(call)
    body = call.document()
    existing = call.tenant.resource(_id(call))
    if existing is None:
        raise not_found(AUTOMATIONS, call.parameters["name"], call.parameters["group"])
    _check_preconditions(call, existing)
    changes = body.get("properties") or {}
    if not isinstance(changes, dict):
        raise _refusal([Problem("properties", "a JSON object is required")])
    merged = {**existing["properties"], **{name: value for name, value in changes.items() if value is not None}}
    found = [
        problem
        for problem in problems(merged, call.subscription, call.version)
        if problem.path.partition("[")[0].removeprefix("properties.") in changes
        or not problem.path.startswith(("properties.actions", "properties.scopes"))
    ]
    if found:
        raise _refusal(found)
    if "actions" in changes:
        call.arm.check_destinations(call, merged["actions"])
        remember(call, merged["actions"])
    tags = tags_of(body) if body.get("tags") is not None else existing["tags"]
    written = {**existing, "tags": tags, "etag": new_etag()}
    written["properties"] = _read_form(merged, existing) | _metadata(call, existing)
    call.tenant.put_resource(written)
    return Reply(200, written, {"ETag": written["etag"]})


def delete(call: Call) -> Reply:
    """DELETE: 200, or 204 when there was nothing."""
    check_registered(call)
    existing = call.tenant.resource(_id(call))
    if existing is None:
        return Reply(204)
    _check_preconditions(call, existing)
    call.tenant.delete_resource(_id(call))
    return Reply(200)


def validate(call: Call) -> Reply:
    """Check a whole automation without writing it: `{isValid, message}`."""
    check_registered(call)
    body = call.document()
    check_members(body)
    location_of(body, AUTOMATIONS)
    tags_of(body)
    found = problems(body.get("properties"), call.subscription, call.version)
    if not found:
        call.arm.check_destinations(call, body["properties"]["actions"])
    message = _message(found) if found else "Validation Successful"
    return Reply(200, {"isValid": not found, "message": message})


def remember(call: Call, actions: list[Document]) -> None:
    """Keep the write-only fields where tests can see them."""
    call.tenant.secrets[_id(call).lower()] = Secrets(
        tuple(action.get("connectionString") for action in actions), tuple(action.get("uri") for action in actions)
    )


def _store(call: Call, location: str, body: Document, existing: Document | None) -> Document:
    name = existing["name"] if existing else call.parameters["name"]
    document = {
        "id": existing["id"] if existing else _id(call),
        "name": name,
        "type": AUTOMATIONS,
        "location": location,
        "tags": tags_of(body),
        "kind": body.get("kind"),
        "properties": _read_form(body["properties"], existing) | _metadata(call, existing),
        "etag": new_etag(),
    }
    remember(call, body["properties"]["actions"])
    if call.arm.recase:
        document = _recased(document)
    return call.tenant.put_resource(document)


def _metadata(call: Call, existing: Document | None) -> Document:
    """Who wrote it and when: the contract does not have this block, captured answers do."""
    now = datetime.fromtimestamp(call.tenant.clock(), UTC).isoformat()
    known = existing["properties"].get("metadata") if existing else None
    created = known or {"createdDateTimeUtc": now, "createdBy": call.caller.object_id}
    return {"metadata": {**created, "lastUpdatedDateTimeUtc": now, "lastUpdatedBy": call.caller.object_id}}


def _read_form(properties: Document, existing: Document | None) -> Document:
    """Properties as reads show them: write-only fields gone, defaults filled in, unknown members dropped."""
    known = existing["properties"]["actions"] if existing else []
    enabled = properties.get("isEnabled")
    return {
        "description": properties.get("description") or "",
        "isEnabled": True if enabled is None else enabled,
        "scopes": [
            {"description": scope.get("description"), "scopePath": scope["scopePath"]} for scope in properties["scopes"]
        ],
        "sources": [
            {"eventSource": source["eventSource"], "ruleSets": [_rule_set(one) for one in source.get("ruleSets") or []]}
            for source in properties["sources"]
        ],
        "actions": [_action(action, known) for action in properties["actions"]],
    }


def _rule_set(rule_set: Document) -> Document:
    return {
        "rules": [
            {
                "propertyJPath": rule["propertyJPath"],
                "propertyType": canonical_property_type(rule["propertyType"]),
                "expectedValue": rule["expectedValue"],
                "operator": rule["operator"],
            }
            for rule in rule_set.get("rules") or []
        ]
    }


def _action(action: Document, known: list[Document]) -> Document:
    if action["actionType"] == "LogicApp":
        return {"actionType": "LogicApp", "logicAppResourceId": action["logicAppResourceId"]}
    if action["actionType"] == "Workspace":
        return {"actionType": "Workspace", "workspaceResourceId": action["workspaceResourceId"]}
    connection = action.get("connectionString")
    trusted = action.get("isTrustedServiceEnabled") is True
    unchanged = action in known and not connection
    return {
        "actionType": "EventHub",
        "eventHubResourceId": action["eventHubResourceId"],
        "sasPolicyName": action.get("sasPolicyName") if unchanged else connection and connection_key_name(connection),
        "isTrustedServiceEnabled": trusted,
    }


def _recased(document: Document) -> Document:
    """Another case for ids and another form for the location, as reads sometimes show them."""
    form = zlib.crc32(document["id"].lower().encode()) % 3
    if form == 0:
        return document
    changed = copy.deepcopy(document)
    if form == 1:
        changed["location"] = REGIONS[normal_location(document["location"])]
    else:
        changed["id"] = document["id"].replace("/resourceGroups/", "/resourcegroups/")
    for action in changed["properties"]["actions"]:
        for name, value in action.items():
            if name.endswith("ResourceId"):
                action[name] = value.lower() if form == 1 else value.replace("/resourceGroups/", "/resourcegroups/")
    for scope in changed["properties"]["scopes"]:
        scope["scopePath"] = scope["scopePath"].replace("/resourceGroups/", "/resourcegroups/")
    return changed


def _id(call: Call) -> str:
    where = call.parameters
    return (
        f"/subscriptions/{where['sub']}/resourceGroups/{where['group']}"
        f"/providers/Microsoft.Security/automations/{where['name']}"
    )


def _checked_envelope(call: Call, body: Document, existing: Document | None) -> str:
    check_members(body)
    location = location_of(body, AUTOMATIONS)
    tags_of(body)
    if existing:
        check_same_location(existing, location, call.parameters["group"])
    return location


def _check_name(call: Call) -> None:
    name = call.parameters["name"]
    if not NAME.fullmatch(name):
        raise ArmError(
            400,
            "InvalidResourceName",
            f"The name '{name}' is not valid: 1 to 260 letters, digits, underscores and hyphens are allowed.",
            target="name",
        )


def _check_preconditions(call: Call, existing: Document | None, body: Document | None = None) -> None:
    """Refuse what names another etag, in a header as Azure's services have it, or in the body as the contract does."""
    if call.arm.ignore_if_match:
        return
    headers = {} if call.arm.ignore_headers else call.headers
    wanted, in_body = headers.get("If-Match"), (body or {}).get("etag")
    refused = wanted is not None and (existing is None or wanted not in {"*", existing["etag"]})
    refused = refused or bool(in_body and existing and in_body != existing["etag"])
    if headers.get("If-None-Match") == "*" and existing is not None:
        refused = True
    if refused:
        raise ArmError(
            412, "PreconditionFailed", "The condition of the request does not hold: the resource has another etag."
        )


def _message(found: list[Problem]) -> str:
    return " ".join(f"The json value of {path} failed validation with reason: {reason}." for path, reason in found)


def _refusal(found: list[Problem]) -> ArmError:
    details: list[dict[str, Any]] = [
        {"code": "InvalidValue", "message": reason, "target": path} for path, reason in found
    ]
    return ArmError(400, "BadRequest", _message(found), target=found[0].path, details=details)


OPERATIONS = (
    Operation("GET", _LIST, "Microsoft.Security/automations/read", BOTH, list_all),
    Operation("GET", _GROUP, "Microsoft.Security/automations/read", BOTH, list_group),
    Operation("GET", _ONE, "Microsoft.Security/automations/read", BOTH, get),
    Operation("PUT", _ONE, "Microsoft.Security/automations/write", BOTH, create_or_update),
    Operation("PATCH", _ONE, "Microsoft.Security/automations/write", (V2023,), update),
    Operation("DELETE", _ONE, "Microsoft.Security/automations/delete", BOTH, delete),
    Operation("POST", _ONE + "/validate", "Microsoft.Security/automations/validate/action", BOTH, validate, reads=True),
)
