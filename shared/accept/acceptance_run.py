"""One acceptance: every check in its order, each within its time, and what was made is removed at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from shared.accept.checklist import ITEMS
from shared.accept.checks import app, automations, granted_actions, graph, hubs, ingestion, storage, workspace
from shared.accept.findings import NOT_ASKED, Acceptance, Difference, NotSeen
from shared.accept.journal import Journal, journals
from shared.accept.world import (
    AUTOMATION,
    AUTOMATIONS_VERSION,
    CONTAINER,
    EVENT_HUBS_VERSION,
    HUB_RULE,
    PREFIX,
    QUEUE,
    TAG,
    World,
)  # fmt: skip

log = logging.getLogger(__name__)

Check = Callable[[World], Awaitable[Sequence[Difference]]]
ITEM_SECONDS: Final = 60.0
"""For one item; those that wait for rows have `--wait` besides."""
_WAITING: Final = frozenset({"stored-as-sent", "ingestion-undeclared", "ingestion-types"})
_SLOW: Final = _WAITING | {"app-restart"}
_CANARY_SECONDS: Final = 1_200.0
"""For the hops of a canary, which the app ends after `CANARY_MINUTES`, fifteen if nothing else is set."""


async def canary(world: World) -> Sequence[Difference]:
    """The one place that asks for a canary: by what `World.canary` is given."""
    if world.canary is None:
        raise NotSeen("it is not said which app is to ask for one: `--url`, or `use`")
    return await world.canary()


async def pauses(world: World) -> Sequence[Difference]:
    """Every `Retry-After` that any check met."""
    if not world.wire.pauses:
        raise NotSeen("no service asked for a pause")
    return [Difference("Retry-After", "a number of seconds, or a date", odd) for odd in world.wire.odd_pauses()]


CHECKS: Final[dict[str, Check]] = {
    "roles": granted_actions.roles,
    "arm-refusals": automations.refusals,
    "read-back": automations.read_back,
    "two-scopes": automations.two_scopes,
    "if-match": automations.if_match,
    "hub-keys": hubs.keys,
    "graph-paging": graph.paging,
    "queue-visibility": storage.queue,
    "blob-conditions": storage.blobs,
    "tables": workspace.tables,
    "query-refusals": workspace.refusals,
    "query-limits": workspace.limits,
    "rules": ingestion.rules,
    "ingestion-refusals": ingestion.refusals,
    "body-size": ingestion.size,
    "stored-as-sent": ingestion.stored,
    "ingestion-undeclared": ingestion.undeclared,
    "ingestion-types": ingestion.types,
    "checkpoints": hubs.checkpoints,
    "hub-lag": hubs.lag,
    "ready": app.ready,
    "without-proof": app.without_proof,
    "app-restart": app.restart,
    "canary": canary,
    "graph-quota": graph.quota,
    "retry-after": pauses,
}
"""What a program looks at, in this order; every other item is left to a person."""


async def accept(world: World, found: Acceptance, chosen: frozenset[str], told: Callable[[str], None]) -> None:
    """Look at each item; `found` holds what came of it, whatever ends this."""
    try:
        for item in ITEMS:
            if item.id in CHECKS and item.id not in chosen:
                found.leave(item, NOT_ASKED)
        by_id = {item.id: item for item in ITEMS}
        for name, check in CHECKS.items():
            if name in chosen:
                told(name)
                found.leave(by_id[name], "the run ended before", trouble=True)
                await _looked(world, found, name, check)
    finally:
        found.unlisted += world.wire.unlisted
        world.wire.ask_anew()
        await world.remove(world.journal)
        world.journal.close()


async def _looked(world: World, found: Acceptance, name: str, check: Check) -> None:
    from azure.core.exceptions import AzureError

    item = next(item for item in ITEMS if item.id == name)
    seconds = ITEM_SECONDS + (world.target.wait_seconds if name in _SLOW else 0)
    seconds += _CANARY_SECONDS if name == "canary" else 0
    try:
        async with asyncio.timeout(seconds):
            found.note(item, await check(world), looked(check))
    except NotSeen as why:
        found.leave(item, str(why), trouble=why.trouble)
    except TimeoutError:
        found.leave(item, f"nobody answered within {seconds:g} s", trouble=True)
    except AzureError as error:
        found.leave(item, f"a service failed ({type(error).__name__})", trouble=True)
        log.debug("%s was not seen", name, exc_info=error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # an answer is built as no check foresaw
        found.note(item, [Difference(f"an answer ({type(error).__name__})", "one that can be read")])
        log.debug("%s was not read", name, exc_info=error)


def looked(check: Check) -> str:
    """What of its item a check looks at, in a sentence."""
    return f"looked at: {(check.__doc__ or '').strip().splitlines()[0]}"


async def clean(world: World, folder: Path) -> int:
    """Remove what runs that have ended left; how many of them there were."""
    count = 0
    for journal in journals(folder):
        if journal.path != world.journal.path and journal.open():
            count += 1
            await world.remove(journal)
            journal.close()
    return count


async def sweep(world: World) -> None:
    """Note and remove what bears the name of any run, with or without its notes; automations have its tag as well."""
    path: str = f"{world.target.group}/providers/Microsoft.Security/automations"
    listed = await world.arm("GET", path, AUTOMATIONS_VERSION)
    notes = Journal(world.journal.path.parent, f"sweep-{world.run}")
    for one in (listed.body or {}).get("value") or ():
        tags = {str(name).lower() for name in one.get("tags") or ()}
        if TAG in tags and str(one.get("name", "")).startswith(PREFIX):
            notes.made(AUTOMATION, f"{path}/{one['name']}")
    async for kind, place in _by_name(world):
        notes.made(kind, place)
    await world.remove(notes)
    notes.close()


async def _by_name(world: World) -> AsyncIterator[tuple[str, str]]:
    """Queues, containers and rules of the hub."""
    clients = world.clients
    async for queue in clients.queues.list_queues(name_starts_with=PREFIX):
        yield QUEUE, clients.queues.get_queue_client(queue.name).url.partition("?")[0]
    async for container in clients.blobs.list_containers(name_starts_with=PREFIX):
        yield CONTAINER, clients.blobs.get_container_client(container.name).url.partition("?")[0]
    if not world.target.hub:
        return
    rules = f"{world.target.hub}/authorizationRules"
    listed = await world.arm("GET", rules, EVENT_HUBS_VERSION)
    for one in (listed.body or {}).get("value") or ():
        if str(one.get("name", "")).startswith(PREFIX):
            yield HUB_RULE, f"{rules}/{one['name']}"


def planned(world: World, chosen: frozenset[str]) -> list[str]:
    """Exactly what the chosen checks make, for a person to agree to; what stays comes last."""
    from shared.accept.checks.ingestion import ROWS, TABLE, instance

    group = world.target.group
    makes = {
        "read-back": f"an automation {world.name} in {group}, switched off, with the tag {TAG}; deleted",
        "two-scopes": f"an automation {world.name}-two there, if Azure takes it; deleted",
        "if-match": f"an automation {world.name}-etag there; deleted",
        "hub-keys": f"a rule {world.name} with the right to send on the hub {world.target.hub}; deleted",
        "queue-visibility": f"a queue {world.name} in the app's storage; deleted",
        "blob-conditions": f"a container {world.name} in the app's storage; deleted",
        "graph-quota": "queries of Resource Graph until it refuses: this identity's quota is used up for 5 seconds",
    }
    if world.target.site:
        makes["app-restart"] = f"a restart of the app {world.target.site}"
    if world.canary:
        makes["canary"] = f"a simulated alert in the subscription of {group}, if the app has CANARY on"
    lines = [text for name, text in makes.items() if name in chosen]
    if chosen & {"body-size", *_WAITING}:
        lines.append(
            f"up to {ROWS} rows of InstanceId {instance(world)} in {TABLE}, which stay until its retention ends"
        )
    return lines
