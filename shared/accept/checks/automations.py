"""How Microsoft.Security/automations answers: what is read back, several scopes, preconditions, refusals."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from shared.accept.findings import Difference, Form, NotSeen
from shared.accept.world import AUTOMATION, AUTOMATIONS_VERSION, TAG, World
from shared.reconcile.model import Live
from shared.reconcile.plan.automation_diff import diff, same_location

_MEMBERS: Final[dict[str, Any]] = {
    "id": str, "name": str, "type": str, "location": str, "tags": dict, "kind": str, "etag": str,
    "properties": {
        "description": str, "isEnabled": bool, "scopes": list, "sources": list, "actions": list, "metadata": dict,
    },
}  # fmt: skip
_OPTIONAL: Final = frozenset({"kind", "properties.metadata"})
_ETAG: Final = ("ETag",)
_CREATED = Form("the PUT of a new automation", (201,), _MEMBERS, headers=_ETAG, optional=_OPTIONAL)
_READ = Form("the GET of an automation", (200,), _MEMBERS, headers=_ETAG, optional=_OPTIONAL)
_VALIDATED = Form("the validation of an automation", (200,), {"isValid": bool, "message": str})
_DELETED = Form("the DELETE of an automation", (200,))
_NOTHING_DELETED = Form("the DELETE of an automation that is not there", (204,))
_MISSING = Form("the GET of an automation that is not there", (404,), code="ResourceNotFound")
_OLD_VERSION = Form("a version that is unknown", (400,), code="InvalidApiVersionParameter")
_WRITTEN: Final = ("tags", *(f"properties.{name}" for name in _MEMBERS["properties"]))
_OTHER_ETAG: Final = '"00000000-0000-0000-0000-000000000000"'
_CHANGED, _REFUSED, _OK = 412, 400, 300


def body(world: World, scopes: int = 1) -> dict[str, Any]:
    """The automation that a run writes: switched off, so that it exports nothing."""
    subscription = "/".join(world.target.group.split("/")[:3])
    severity = {"propertyJPath": "Severity", "propertyType": "String", "expectedValue": "High", "operator": "Equals"}
    risk = {"propertyJPath": "properties.status.code", "propertyType": "String", "expectedValue": "Unhealthy"}
    return {
        "location": world.target.location,
        "tags": {TAG: world.run},
        "properties": {
            "description": "Made by defender-export accept, which deletes it",
            "isEnabled": False,
            "scopes": [
                {"description": "accept", "scopePath": path} for path in (subscription, world.target.group)[:scopes]
            ],
            "sources": [
                {"eventSource": "Alerts", "ruleSets": [{"rules": [severity]}]},
                {"eventSource": "AssessmentsSnapshot", "ruleSets": [{"rules": [{**risk, "operator": "Equals"}]}]},
                {"eventSource": "SecureScores", "ruleSets": []},
            ],
            "actions": [{"actionType": "EventHub", "eventHubResourceId": world.hub(), "isTrustedServiceEnabled": True}],
        },
    }


async def put(world: World, place: str, document: Mapping[str, Any], **options: Any) -> Any:
    """Create an automation, noted beforehand; one that was refused is noted as gone."""
    asked = world.arm("PUT", place, AUTOMATIONS_VERSION, json=dict(document), **options)
    return await world.make(AUTOMATION, place, asked)


async def delete(world: World, place: str) -> list[Difference]:
    """Delete it, and ask for it and delete it once more."""
    await world.arm("DELETE", place, AUTOMATIONS_VERSION, form=_DELETED)
    after = await world.arm("GET", place, AUTOMATIONS_VERSION, form=_MISSING)
    again = await world.arm("DELETE", place, AUTOMATIONS_VERSION, form=_NOTHING_DELETED)
    if again.status in _NOTHING_DELETED.statuses and after.status in _MISSING.statuses:
        world.journal.gone(AUTOMATION, place)
    still = after.status < _OK
    return [Difference("an automation that was deleted", "gone at once", "still there", after.status)] if still else []


async def read_back(world: World) -> list[Difference]:
    """`validate`, PUT, GET, compare, DELETE."""
    place, wanted = world.automation(), body(world)
    valid = await world.arm("POST", f"{place}/validate", AUTOMATIONS_VERSION, json=wanted, form=_VALIDATED)
    found = []
    if not (isinstance(valid.body, dict) and valid.body.get("isValid") is True):
        found.append(Difference("the validation of a sound automation", "isValid", valid.body, valid.status))
    written = await put(world, place, wanted, form=_CREATED)
    if written.status >= _OK:
        return [*found, Difference("the PUT of a sound automation", "taken", written.error, written.status)]
    read = await world.arm("GET", place, AUTOMATIONS_VERSION, form=_READ)
    return [*found, *differing(wanted, place, read.body), *await delete(world, place)]


def differing(wanted: Mapping[str, Any], place: str, read: Any) -> list[Difference]:
    """Field by field, as the next plan would see it; ids and places may be cased otherwise."""
    what = "an automation that was read back"
    if not isinstance(read, dict):
        return [Difference(what, "an object", read)]
    found = []
    if str(read.get("id", "")).lower() != place.lower():
        found.append(Difference(what, "the id that was written, in any case", read.get("id")))
    if not same_location(str(read.get("location", "")), str(wanted["location"])):
        found.append(Difference(what, "the location that was written", read.get("location")))
    try:
        changes = diff(Live.from_body(read), wanted)
    except ValueError:
        return [*found, Difference(what, "an automation's id", read.get("id"))]
    return [*found, *(Difference(what, f"{_member(one.path)} as written", one.old) for one in changes)]


def _member(path: str) -> str:
    """The member that a path is in; what follows may be a name that Azure gave."""
    return next((name for name in _WRITTEN if path.lower().startswith(name.lower())), "every member")


async def two_scopes(world: World) -> list[Difference]:
    """A PUT with two scopes is refused; where it is taken, a PATCH of tags is tried on it too."""
    place = world.automation("-two")
    answer = await put(world, place, body(world, scopes=2))
    if answer.status == _REFUSED:
        return []
    found = [Difference("the PUT of an automation with two scopes", "refused with 400", answer.error, answer.status)]
    if answer.status < _OK:
        patched = await world.arm("PATCH", place, AUTOMATIONS_VERSION, json={"tags": {TAG: world.run, "more": "1"}})
        if patched.status >= _OK:
            found.append(Difference("a PATCH of its tags", "taken", patched.error, patched.status))
        found += await delete(world, place)
    return found


async def if_match(world: World) -> list[Difference]:
    """Another etag in a header or in the body, and `If-None-Match: *` on what is there, are refused with 412."""
    place, wanted = world.automation("-etag"), body(world)
    written = await put(world, place, wanted)
    if written.status >= _OK:
        raise NotSeen("the automation to try it on was not taken")
    asked: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
        "a PUT with another etag in If-Match": ({"If-Match": _OTHER_ETAG}, wanted),
        "a PUT with another etag in its body": ({}, {**copy.deepcopy(wanted), "etag": _OTHER_ETAG}),
        "a PUT with If-None-Match: * on what is there": ({"If-None-Match": "*"}, wanted),
    }
    found = []
    for what, (headers, sent) in asked.items():
        answer = await world.arm("PUT", place, AUTOMATIONS_VERSION, json=sent, headers=headers)
        if answer.status != _CHANGED:
            found.append(Difference(what, "refused with 412", answer.error or "taken", answer.status))
    etag = (await world.arm("GET", place, AUTOMATIONS_VERSION)).header("ETag")
    right = await world.arm("PUT", place, AUTOMATIONS_VERSION, json=wanted, headers={"If-Match": etag})
    if right.status >= _OK:
        found.append(Difference("a PUT with the right etag", "taken", right.error, right.status))
    return [*found, *await delete(world, place)]


async def refusals(world: World) -> list[Difference]:
    """Refusals of Azure Resource Manager: what is not there, and a version that is unknown."""
    found = []
    for form, version in ((_MISSING, AUTOMATIONS_VERSION), (_OLD_VERSION, "2001-01-01")):
        answer = await world.arm("GET", world.automation("-missing"), version)
        if answer.status not in form.statuses or answer.error != form.code:
            expected = f"refused with {form.statuses[0]} {form.code}"
            found.append(Difference(form.name, expected, answer.error, answer.status))
    return found
