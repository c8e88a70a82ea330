"""What an Azure resource id says: subscription, group, type and name."""

from __future__ import annotations

from typing import Any

_TOP_LEVEL = 9
"""Parts of /subscriptions/S/resourcegroups/G/providers/P/T/N, the form that most ids have."""
_SUBSCRIPTION = 3
"""Parts of /subscriptions/S."""
_ENTITY = "/securityentitydata/"
_CONNECTORS = "/providers/microsoft.security/securityconnectors/"
_SECURITY = "/providers/microsoft.security/"


def fill_place(values: Any, lowered: str) -> bool:
    """Fill the columns of a row that say where its resource is, from the resource's id in lower case.

    An id outside of any subscription fills ResourceId and ResourceName, and ResourceType where it names a provider, as
    management groups do.  False where the text is no id at all.
    """
    if fill_azure_place(values, lowered):
        return True
    lowered = lowered.rstrip("/")
    if not lowered.startswith("/"):
        return False
    _fill_name(values, lowered)
    if lowered.startswith("/providers/") and "/providers/" not in lowered[1:]:
        segments = lowered.split("/")[2:]
        values.ResourceType = "/".join([segments[0], *segments[1::2]])
    return True


def fill_azure_place(values: Any, lowered: str) -> bool:
    """The same for an id inside an Azure subscription; False, with nothing filled, for any other.

    The id of an entity inside of a resource (`.../securityentitydata/...`) fills EntityId, and the resource's columns
    from what precedes it, so that owner, tags and location are looked up.  Entities of security connectors, which
    stand for resources of other clouds, are resources themselves.
    """
    owner, inside, entity = lowered.partition(_ENTITY)
    if inside and _CONNECTORS in owner:
        if values.ConnectorId is None:
            values.ConnectorId = owner
    elif inside:
        values.EntityId = lowered
        if not values.ResourceName:
            values.ResourceName = entity.rstrip("/").rpartition("/")[2]
        lowered = owner
    parts = lowered.split("/")
    count = len(parts)
    if count == _TOP_LEVEL and parts[1] == "subscriptions" and parts[5] == "providers" and parts[8]:
        values.ResourceId = lowered
        values.SubscriptionId = parts[2]
        values.ResourceType = f"{parts[6]}/{parts[7]}"
        if parts[3] == "resourcegroups" and parts[4]:
            values.ResourceGroup = parts[4]
        if not values.ResourceName:
            values.ResourceName = parts[8]
        return True
    if count == _SUBSCRIPTION and parts[1] == "subscriptions" and parts[2]:
        values.ResourceId = lowered
        values.SubscriptionId = parts[2]
        values.ResourceType = "microsoft.resources/subscriptions"
        if not values.ResourceName:
            values.ResourceName = parts[2]
        return True
    return _fill_any_azure_place(values, lowered.rstrip("/"))


def _fill_any_azure_place(values: Any, lowered: str) -> bool:
    """The same for ids of subscriptions, groups, extensions and nested resources."""
    if not lowered.startswith("/subscriptions/"):
        return False
    scope, _, provided = lowered.rpartition("/providers/")
    parts = (scope or lowered).split("/")
    subscription = parts[2]
    if not subscription:
        return False
    group = parts[4] if len(parts) > 4 and parts[3] == "resourcegroups" else ""  # noqa: PLR2004 - /subscriptions/S/resourcegroups/G
    if scope:
        segments = provided.split("/")
        kind = "/".join([segments[0], *segments[1::2]])
    else:
        kind = _scope_type(parts)
    _fill_name(values, lowered)
    values.SubscriptionId = subscription
    values.ResourceType = kind
    values.ResourceGroup = group or None
    return True


def _scope_type(parts: list[str]) -> str:
    """The type of an id without a provider: a subscription, a group, or what it names next, such as identities."""
    if len(parts) > _SUBSCRIPTION:
        return "/".join(["microsoft.resources/subscriptions", *parts[3::2]])
    return "microsoft.resources/subscriptions"


def _fill_name(values: Any, lowered: str) -> None:
    values.ResourceId = lowered
    if not values.ResourceName:
        values.ResourceName = lowered[lowered.rfind("/") + 1 :]


def resource_part(lowered: str) -> str:
    """The resource of a Microsoft.Security record: its lower-case id without the record's own part."""
    index = lowered.rfind(_SECURITY)
    if index < 0 or lowered.startswith("securityconnectors/", index + len(_SECURITY)):
        return lowered
    return lowered[:index]


def segment_after(lowered: str, name: str, text: str = "") -> str:
    """The segment that follows `name` ("/assessments/") in a lower-case id, cut from `text` where its casing matters.

    Empty where the id has no such segment.
    """
    index = lowered.find(name)
    if index < 0:
        return ""
    start = index + len(name)
    end = lowered.find("/", start)
    return (text or lowered)[start : end if end >= 0 else None]
