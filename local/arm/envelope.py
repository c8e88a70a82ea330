"""What ARM itself checks of any tracked resource's body before a provider sees it."""

from __future__ import annotations

from typing import Any

from local.arm.calls import ArmError, Document

_MEMBERS = frozenset(
    {
        "id",
        "name",
        "type",
        "location",
        "tags",
        "properties",
        "kind",
        "etag",
        "identity",
        "sku",
        "plan",
        "managedBy",
        "extendedLocation",
        "zones",
        "systemData",
    }
)
_TAG_NAME_FORBIDDEN = set("<>%&\\?/")
MAX_TAGS = 50
MAX_TAG_NAME = 512
MAX_TAG_VALUE = 256

REGIONS = {
    name.replace(" ", "").lower(): name
    for name in (
        "Australia East",
        "Brazil South",
        "Canada Central",
        "Central India",
        "Central US",
        "East Asia",
        "East US",
        "East US 2",
        "France Central",
        "Germany West Central",
        "Italy North",
        "Japan East",
        "Korea Central",
        "North Central US",
        "North Europe",
        "Norway East",
        "Poland Central",
        "South Africa North",
        "South Central US",
        "Southeast Asia",
        "Sweden Central",
        "Switzerland North",
        "UAE North",
        "UK South",
        "UK West",
        "West Central US",
        "West Europe",
        "West US",
        "West US 2",
        "West US 3",
    )
}


def normal_location(location: str) -> str:
    """`West Europe` as `westeurope`."""
    return location.replace(" ", "").lower()


def check_members(body: Document) -> None:
    """Refuse a member that no resource has."""
    for member in body:
        if member not in _MEMBERS:
            raise _invalid(f"Could not find member '{member}' on object of type 'ResourceDefinition'.")


def location_of(body: Document, kind: str) -> str:
    """The body's location as written; refuse a missing or unknown one."""
    location = body.get("location")
    if location is None or location == "":
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if not isinstance(location, str):
        raise _invalid("The location must be a string.")
    if normal_location(location) not in REGIONS:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location}' is not available for resource type '{kind}'. "
            f"List of available regions for the resource type is '{','.join(REGIONS)}'.",
        )
    return location


def tags_of(body: Document) -> dict[str, str]:
    """The body's tags; refuse what ARM's tag rules refuse."""
    tags: Any = body.get("tags")
    if tags is None:
        return {}
    if not isinstance(tags, dict):
        raise _invalid("The tags must be a JSON object of strings.")
    if len(tags) > MAX_TAGS:
        raise ArmError(400, "InvalidTags", f"A resource can have at most {MAX_TAGS} tags; {len(tags)} were given.")
    for name, value in tags.items():
        if not isinstance(value, str):
            raise _invalid(f"The value of tag '{name}' must be a string.")
        if not name or len(name) > MAX_TAG_NAME or _TAG_NAME_FORBIDDEN & set(name):
            raise ArmError(400, "InvalidTagNameCharacters", f"The tag name '{name}' is empty, too long or not allowed.")
        if len(value) > MAX_TAG_VALUE:
            raise ArmError(
                400, "InvalidTagValueLength", f"The value of tag '{name}' is longer than {MAX_TAG_VALUE} characters."
            )
    if len({name.lower() for name in tags}) < len(tags):
        raise ArmError(400, "DuplicateTagNames", "Tag names are compared without regard to case; one is repeated.")
    return dict(tags)


def check_same_location(existing: Document, location: str, group: str) -> None:
    """Refuse to move a resource by a write."""
    if normal_location(existing["location"]) != normal_location(location):
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{existing['name']}' already exists in location '{existing['location']}' in resource group "
            f"'{group}'. A resource with the same name cannot be created in location '{location}'. "
            "Please select a new resource name.",
        )


def _invalid(reason: str) -> ArmError:
    return ArmError(
        400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{reason}'"
    )
