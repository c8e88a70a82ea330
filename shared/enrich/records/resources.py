"""What an Azure resource id says: subscription, group, type and name."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Place(Struct, frozen=True, gc=False):
    """The parts of a resource id in lower case; empty where it does not say."""

    id: str = ""
    subscription: str = ""
    group: str = ""
    type: str = ""


_TOP_LEVEL = 9
"""Parts of /subscriptions/S/resourcegroups/G/providers/P/T/N, the form that most ids have."""


def locate(resource_id: str) -> Place:
    """Read a resource id of any casing; an id that is not of Azure keeps its text and has no parts."""
    lowered = resource_id.lower()
    parts = lowered.split("/")
    if len(parts) == _TOP_LEVEL and parts[1] == "subscriptions" and parts[5] == "providers" and parts[8]:
        group = parts[4] if parts[3] == "resourcegroups" else ""
        return Place(lowered, parts[2], group, f"{parts[6]}/{parts[7]}")
    return _locate_any(lowered.rstrip("/"))


def _locate_any(lowered: str) -> Place:
    if not lowered.startswith("/subscriptions/"):
        return Place(lowered if lowered.startswith("/") else "")
    scope, _, provided = lowered.rpartition("/providers/")
    if not scope:
        scope, provided = lowered, ""
    parts = scope.split("/")
    group = parts[4] if len(parts) > 4 and parts[3] == "resourcegroups" else ""  # noqa: PLR2004 - /subscriptions/S/resourcegroups/G
    if provided:
        segments = provided.split("/")
        kind = "/".join([segments[0], *segments[1::2]])
    else:
        kind = "microsoft.resources/subscriptions/resourcegroups" if group else "microsoft.resources/subscriptions"
    return Place(lowered, parts[2], group, kind)


NOWHERE = Place()


def fill_place(values: Any, place: Place) -> None:
    """Fill the columns of a row that say where its resource is."""
    if place.id:
        values.ResourceId = place.id
        if values.ResourceName is None:
            values.ResourceName = place.id[place.id.rfind("/") + 1 :]
        if place.subscription:
            values.SubscriptionId = place.subscription
            values.ResourceType = place.type
            values.ResourceGroup = place.group or None


def resource_part(lowered: str) -> str:
    """The resource that a Microsoft.Security record hangs on: its id, in lower case, without the record's own part."""
    index = lowered.rfind("/providers/microsoft.security/")
    return lowered[:index] if index >= 0 else lowered


def segment_after(lowered: str, name: str, text: str = "") -> str:
    """The segment that follows `name` ("/assessments/") in a lower-case id, cut from `text` where its casing matters.

    Empty where the id has no such segment.
    """
    index = lowered.find(name)
    return (text or lowered)[index + len(name) :].partition("/")[0] if index >= 0 else ""
