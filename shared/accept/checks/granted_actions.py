"""What an identity may do: the actions of its roles against those that planning and applying need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.accept.findings import Difference
from shared.accept.wire import ARM
from shared.accept.world import World
from shared.azure.role_permissions import AUTHORIZATION_VERSION, permits

NEEDED: Final = (
    "Microsoft.Security/automations/read",
    "Microsoft.Security/automations/write",
    "Microsoft.Security/automations/delete",
    "Microsoft.Security/automations/validate/action",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)
_AUTHORIZATION: Final = "/providers/Microsoft.Authorization"


async def roles(world: World) -> list[Difference]:
    """Every action that is needed, by some role at the resource group or above it."""
    granted = await (_of(world, world.target.identity) if world.target.identity else _own(world))
    return [
        Difference("an action of the app's identity", action, "none of its roles permits it")
        for action in NEEDED
        if not any(permits(one, action) for one in granted)
    ]


async def _own(world: World) -> list[Mapping[str, Any]]:
    answer = await world.arm("GET", f"{world.target.group}{_AUTHORIZATION}/permissions", AUTHORIZATION_VERSION)
    return list((answer.body or {}).get("value") or ())


async def _of(world: World, identity: str) -> list[Mapping[str, Any]]:
    path = f"{world.target.group}{_AUTHORIZATION}/roleAssignments"
    params = {"api-version": AUTHORIZATION_VERSION, "$filter": f"atScope() and assignedTo('{identity}')"}
    answer = await world.wire.ask(ARM, "GET", path, params=params)
    found: list[Mapping[str, Any]] = []
    for one in (answer.body or {}).get("value") or ():
        role = str(one["properties"]["roleDefinitionId"])
        definition = await world.arm("GET", role, AUTHORIZATION_VERSION)
        found += ((definition.body or {}).get("properties") or {}).get("permissions") or ()
    return found
