"""The hub: its keys while one is renewed, and how far it is read."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, Final

from shared.accept.findings import Difference, Form, NotSeen
from shared.accept.world import EVENT_HUBS_VERSION, HUB_RULE, World

if TYPE_CHECKING:
    from shared.watch.hub_lag import PartitionLag

_KEYS: Final = Form(
    "the keys of a hub's rule",
    (200,),
    {
        "keyName": str, "primaryKey": str, "secondaryKey": str, "primaryConnectionString": str,
        "secondaryConnectionString": str,
    },
)  # fmt: skip
_OK = 300
MOST_BEHIND: Final = 10_000
_HUB_SECONDS: Final = 20.0


async def keys(world: World) -> list[Difference]:
    """A rule of the run's own on the hub, whose first key is renewed."""
    place = f"{world.hub()}/authorizationRules/{world.name}"
    rights = {"properties": {"rights": ["Send"]}}
    made = await world.make(HUB_RULE, place, world.arm("PUT", place, EVENT_HUBS_VERSION, json=rights))
    if made.status >= _OK:
        return [Difference("the PUT of a rule on the hub", "taken", made.error, made.status)]
    before = await world.arm("POST", f"{place}/listKeys", EVENT_HUBS_VERSION, form=_KEYS)
    renew = {"keyType": "PrimaryKey"}
    renewed = await world.arm("POST", f"{place}/regenerateKeys", EVENT_HUBS_VERSION, json=renew, form=_KEYS)
    after = await world.arm("POST", f"{place}/listKeys", EVENT_HUBS_VERSION, form=_KEYS)
    found = [
        *_compared(before.body, after.body),
        *_told(renewed.body, after.body),
    ]
    await world.arm("DELETE", place, EVENT_HUBS_VERSION)
    if (await world.arm("GET", place, EVENT_HUBS_VERSION)).status >= _OK:
        world.journal.gone(HUB_RULE, place)
    return found


def _compared(before: Any, after: Any) -> list[Difference]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [Difference("the keys of a hub's rule", "an object")]
    found = []
    if _print(before, "primary") == _print(after, "primary"):
        found.append(Difference("the key that was renewed", "another fingerprint", "the same"))
    if _print(before, "secondary") != _print(after, "secondary"):
        found.append(Difference("the other key", "the same fingerprint", "another"))
    return found


def _told(renewed: Any, after: Any) -> list[Difference]:
    """Whether the answer to the renewal has the keys that are then in force."""
    if isinstance(renewed, dict) and isinstance(after, dict):
        same = all(_print(renewed, which) == _print(after, which) for which in ("primary", "secondary"))
        return [] if same else [Difference("the renewal of a key", "answered with the keys after it")]
    return [Difference("the renewal of a key", "an object")]


def _print(found: dict[str, Any], which: str) -> str:
    """The fingerprint that an export's tag would bear."""
    return hashlib.sha256(str(found.get(f"{which}ConnectionString")).encode()).hexdigest()


async def checkpoints(world: World) -> list[Difference]:
    """A checkpoint of each partition, none of another hub."""
    lags = await _lags(world)
    if not any(lag.started for lag in lags):
        raise NotSeen("the trigger has read nothing yet: send an event, and look again")
    misplaced = [lag for lag in lags if lag.trouble]
    return [Difference("the checkpoint of a partition", "one of this hub", "another") for _ in misplaced]


async def lag(world: World) -> list[Difference]:
    """How many events wait."""
    behind = sum(one.behind for one in await _lags(world))
    if behind < MOST_BEHIND:
        return []
    return [Difference("events that wait to be read", f"fewer than {MOST_BEHIND:,}", {"count": behind})]


async def _lags(world: World) -> list[PartitionLag]:
    from azure.core.exceptions import AzureError
    from azure.eventhub.exceptions import EventHubError

    from shared.settings import SettingsError
    from shared.watch.hub_lag import CHECKPOINTS, read_lag

    try:
        async with asyncio.timeout(_HUB_SECONDS):
            marks = world.clients.data_blobs.get_container_client(CHECKPOINTS)
            return await read_lag(world.clients.input_hub, marks, world.settings.event_hub_consumer_group)
    except SettingsError:
        raise NotSeen("no hub is set here: give the app's settings, EventHubConnection__*") from None
    except (AzureError, EventHubError, TimeoutError) as error:
        raise NotSeen(f"the hub or its checkpoints can't be read ({type(error).__name__})", trouble=True) from error
