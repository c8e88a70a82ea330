"""What the checks of an acceptance work on, and what they make there."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared.accept.findings import Difference, NotSeen
from shared.accept.journal import APPEARING_SECONDS, BEGUN, Journal
from shared.accept.wire import ARM, Answer, Wire

if TYPE_CHECKING:
    from shared.azure.clients import Clients
    from shared.settings import Settings

PREFIX: Final = "defender-export-accept-"
TAG: Final = "defender-export-accept"
AUTOMATION, HUB_RULE, QUEUE, CONTAINER = "automation", "hub rule", "queue", "container"
AUTOMATIONS_VERSION: Final = "2023-12-01-preview"
EVENT_HUBS_VERSION: Final = "2024-01-01"
GROUPS_VERSION: Final = "2024-11-01"
_NOT_FOUND: Final = 404
_REFUSALS: Final = 300
_FORBIDS: Final = {
    "missingsubscriptionregistration": "the subscription has not registered Microsoft.Security",
    "subscription not registered": "the subscription has not registered Microsoft.Security",
    "scopelocked": "a lock forbids it",
    "requestdisallowedbypolicy": "a policy forbids it",
    "readonlydisabledsubscription": "the subscription is disabled",
}
"""Refusals that say nothing about how a service works, by code."""
_REMOVED: Final = frozenset({200, 202, 204, 404})
_GROUP: Final = r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers"
_HUB: Final = _GROUP + r"/Microsoft\.EventHub/namespaces/[^/]+/eventhubs/[^/]+"
_OURS: Final = {
    kind: re.compile(rf"{where}/{PREFIX}[\w-]+", re.IGNORECASE)
    for kind, where in (
        (AUTOMATION, _GROUP + r"/Microsoft\.Security/automations"),
        (HUB_RULE, _HUB + "/authorizationRules"),
        (QUEUE, r"https?://[^\s?#]+"),
        (CONTAINER, r"https?://[^\s?#]+"),
    )
}
"""Where something lies that a run makes; nothing else is ever removed, whatever a journal says."""


@dataclass(frozen=True)
class Target:
    """What a run was given: a resource group, a hub, an identity, an app; all but the group may be empty."""

    group: str
    hub: str = ""
    location: str = "westeurope"
    identity: str = ""
    app: str = ""
    site: str = ""
    app_headers: tuple[tuple[str, str], ...] = ()
    wait_seconds: float = 300.0


@dataclass
class World:
    """One deployment while it is looked at; `run` is in the name of everything that is made."""

    clients: Clients
    settings: Settings
    wire: Wire
    journal: Journal
    run: str
    target: Target
    canary: Callable[[], Awaitable[Sequence[Difference]]] | None = None
    left: list[str] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of what this run makes."""
        return f"{PREFIX}{self.run}"

    def automation(self, suffix: str = "") -> str:
        """The id of an automation of this run."""
        return f"{self.target.group}/providers/Microsoft.Security/automations/{self.name}{suffix}"

    def hub(self) -> str:
        """The id of the hub.

        Raises:
            NotSeen: none was given, and the app's settings name none.
        """
        if not (found := self.target.hub or self.settings.event_hub_resource_id):
            raise NotSeen("no hub is known: give --hub")
        return found

    async def arm(self, method: str, path: str, version: str, **options: Any) -> Any:
        """One request to Azure Resource Manager.

        Raises:
            NotSeen: it does not answer, or something in the subscription forbids the request.
        """
        answer = await self.wire.ask(ARM, method, path, params={"api-version": version}, **options)
        if why := _FORBIDS.get(answer.error.lower()):
            raise NotSeen(why)
        return answer

    async def make(self, kind: str, place: str, asked: Awaitable[Answer]) -> Answer:
        """What comes of a request that makes something, noted before it is sent; a refusal is noted as gone.

        Raises:
            NotSeen: as for any request.
        """
        self.journal.begin(kind, place)
        try:
            answer = await asked
        except NotSeen as why:
            if not why.trouble:
                self.journal.gone(kind, place)
            raise
        (self.journal.made if answer.status < _REFUSALS else self.journal.gone)(kind, place)
        return answer

    async def place(self) -> str:
        """The region of the resource group.

        Raises:
            NotSeen: Azure Resource Manager does not say.
            FileNotFoundError: there is no such resource group.
        """
        answer = await self.arm("GET", self.target.group, GROUPS_VERSION)
        if answer.status == _NOT_FOUND:
            raise FileNotFoundError(f"there is no resource group {self.target.group}")
        return str((answer.body or {}).get("location") or "")

    async def remove(self, journal: Journal) -> None:
        """Remove what a journal names; what can't be removed stays noted, and is named in `left`."""
        for thing in journal.left():
            if not (ours := _OURS.get(thing.kind)) or not ours.fullmatch(thing.place):
                self.left.append(f"{thing.kind} {thing.place}, which no run of `accept` makes: look at {journal.path}")
                continue
            try:
                was_there = await remover(thing.kind)(self, thing.place)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next one is tried too
                why = str(error) if isinstance(error, NotSeen) else type(error).__name__
                self.left.append(f"{thing.kind} {thing.place} ({why})")
                continue
            if was_there or thing.state != BEGUN or time.time() - thing.since > APPEARING_SECONDS:
                journal.gone(thing.kind, thing.place)
            else:
                self.left.append(f"{thing.kind} {thing.place}, which is not there, but may yet come to be")


Remover = Callable[[World, str], Awaitable[bool]]
"""Removes what lies at a place; whether it was there."""


def remover(kind: str) -> Remover:
    """What removes things of a kind."""
    return {AUTOMATION: _automation, HUB_RULE: _hub_rule, QUEUE: _queue, CONTAINER: _container}[kind]


async def _automation(world: World, place: str) -> bool:
    return await _resource(world, place, AUTOMATIONS_VERSION)


async def _hub_rule(world: World, place: str) -> bool:
    return await _resource(world, place, EVENT_HUBS_VERSION)


async def _resource(world: World, place: str, version: str) -> bool:
    """Delete by Azure Resource Manager, which says 204 or 404 where there was nothing."""
    there = await world.arm("GET", place, version)
    if there.status == _NOT_FOUND:
        return False
    answer = await world.arm("DELETE", place, version)
    if answer.status not in _REMOVED:
        raise NotSeen(f"it was not deleted ({answer.status})")
    return True


async def _queue(world: World, place: str) -> bool:
    from azure.core.exceptions import ResourceNotFoundError

    client = world.clients.queues.get_queue_client(place.rpartition("/")[2])
    _same(client.url, place)
    try:
        await client.delete_queue()
    except ResourceNotFoundError:
        return False
    return True


async def _container(world: World, place: str) -> bool:
    from azure.core.exceptions import ResourceNotFoundError

    client = world.clients.blobs.get_container_client(place.rpartition("/")[2])
    _same(client.url, place)
    try:
        await client.delete_container()
    except ResourceNotFoundError:
        return False
    return True


def _same(url: str, place: str) -> None:
    if url.partition("?")[0].rstrip("/").lower() != place.lower():
        raise NotSeen("it lies in another storage account")
