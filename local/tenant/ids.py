"""Azure resource ids: compared without regard to case, taken apart, and put into ancestors."""

from __future__ import annotations

import re
from typing import NamedTuple

_RESOURCE = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-f-]{36})/resourceGroups/(?P<group>[^/]+)"
    r"/providers/(?P<namespace>[^/]+)/(?P<rest>[^/]+/[^/]+(?:/[^/]+/[^/]+)*)",
    re.IGNORECASE,
)


class ResourceId(NamedTuple):
    """The parts of a resource id; `type` is `Namespace/type[/type...]` as written."""

    subscription: str
    group: str
    type: str
    name: str


def parse(resource_id: str) -> ResourceId | None:
    """The parts of a full resource id below a resource group, or None when it is not one."""
    match = _RESOURCE.fullmatch(resource_id)
    if not match:
        return None
    segments = match["rest"].split("/")
    kind = "/".join([match["namespace"], *segments[0::2]])
    return ResourceId(match["subscription"].lower(), match["group"], kind, segments[-1])


def subscription_of(resource_id: str) -> str:
    """The lower-case subscription id that an id lies in, or an empty text."""
    head, _, rest = resource_id.lower().partition("/subscriptions/")
    return rest.split("/", 1)[0] if not head else ""


def group_of(resource_id: str) -> str:
    """The resource group's name in an id as written, or an empty text."""
    match = re.search(r"/resourceGroups/([^/]+)", resource_id, re.IGNORECASE)
    return match[1] if match else ""


def covers(scope: str, resource_id: str) -> bool:
    """Whether `scope` is `resource_id` or one of its ancestors by path."""
    scope, resource_id = scope.lower().rstrip("/"), resource_id.lower()
    return resource_id == scope or resource_id.startswith(scope + "/")


def management_group_id(name: str) -> str:
    """The id of a management group."""
    return f"/providers/Microsoft.Management/managementGroups/{name}"
