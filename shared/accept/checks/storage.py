"""The app's storage: when a message of a queue is seen again, and the conditions that blobs are written under."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from shared.accept.findings import Difference, NotSeen
from shared.accept.world import CONTAINER, QUEUE, World

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError

_HIDDEN_SECONDS: Final = 2
_LEASE_SECONDS: Final = 15
_ID_REQUIRED, _CONFLICT, _CHANGED = 412, 409, 412
_REFUSED: Final = frozenset({401, 403})


async def queue(world: World) -> list[Difference]:
    """A message is taken, is not seen, and is seen again."""
    client = world.clients.queues.get_queue_client(world.name)
    place = client.url.partition("?")[0]
    await _made(world, QUEUE, place, client.create_queue(metadata={"accept": world.run}))
    await client.send_message("accept")
    taken = [message async for message in client.receive_messages(visibility_timeout=_HIDDEN_SECONDS)]
    hidden = [message async for message in client.receive_messages(visibility_timeout=_HIDDEN_SECONDS)]
    await asyncio.sleep(_HIDDEN_SECONDS + 0.5)
    again = [message async for message in client.receive_messages(visibility_timeout=_HIDDEN_SECONDS)]
    found = []
    if len(taken) != 1 or hidden:
        found.append(Difference("a message that was taken", "seen by nobody else for its time"))
    if len(again) != 1 or (again[0].dequeue_count or 0) < 2:  # noqa: PLR2004 - it was taken twice
        found.append(Difference("a message after its time", "seen again, with its count of tries"))
    await client.delete_queue()
    world.journal.gone(QUEUE, place)
    return found


async def blobs(world: World) -> list[Difference]:
    """If-None-Match, If-Match and a lease."""
    from azure.core import MatchConditions

    container = world.clients.blobs.get_container_client(world.name)
    place = container.url.partition("?")[0]
    await _made(world, CONTAINER, place, container.create_container(metadata={"accept": world.run}))
    blob = container.get_blob_client("accept")
    await blob.upload_blob(b"1")  # without `overwrite` under If-None-Match: *
    first = (await blob.get_blob_properties()).etag
    same: dict[str, Any] = {"etag": first, "match_condition": MatchConditions.IfNotModified, "overwrite": True}
    statuses = {
        "a blob that is there, under If-None-Match: *": (await _status(blob.upload_blob(b"2")), _CONFLICT),
        "a blob under the If-Match of its version": (await _status(blob.upload_blob(b"3", **same)), 0),
        "a blob under the If-Match of an older version": (await _status(blob.upload_blob(b"4", **same)), _CHANGED),
    }
    lease = await blob.acquire_lease(lease_duration=_LEASE_SECONDS)
    statuses["a blob that is leased, without its lease"] = (
        await _status(blob.upload_blob(b"5", overwrite=True)), _ID_REQUIRED,
    )  # fmt: skip
    statuses["a second lease of a blob"] = (await _status(blob.acquire_lease(lease_duration=_LEASE_SECONDS)), _CONFLICT)
    await lease.release()
    await container.delete_container()
    world.journal.gone(CONTAINER, place)
    return [
        Difference(what, f"refused with {wanted}" if wanted else "taken", status=status or None)
        for what, (status, wanted) in statuses.items()
        if status != wanted
    ]


async def _made(world: World, kind: str, place: str, made: Awaitable[Any]) -> None:
    """Make it, noted beforehand; where this identity may not, it is noted as gone."""
    from azure.core.exceptions import HttpResponseError

    world.journal.begin(kind, place)
    try:
        await made
    except HttpResponseError as error:
        if error.status_code in _REFUSED:
            world.journal.gone(kind, place)
            raise NotSeen(f"this identity may not make it in the app's storage ({error.status_code})") from error
        raise
    world.journal.made(kind, place)


async def _status(write: Awaitable[Any]) -> int:
    """The status of a refusal, 0 for none."""
    from azure.core.exceptions import HttpResponseError

    try:
        await write
    except HttpResponseError as error:
        return _of(error)
    return 0


def _of(error: HttpResponseError) -> int:
    return int(error.status_code or 0)
