"""The edge to the hub that is read: how far its partitions reach, and its newest events, read beside the trigger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from shared.fail_points import touching

if TYPE_CHECKING:
    from azure.eventhub import EventData
    from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

HUB_SECONDS = 8.0
"""For the newest events to arrive; what has not by then is left out."""


class HubUnreadableError(Exception):
    """The hub does not hand out its events."""


@dataclass(frozen=True)
class NewestEvents:
    """The bodies that arrived, and how many events had none in bytes.

    `whole` says that the hub held no other event.  `enqueued` is when the hub took each of the bodies.
    """

    bodies: tuple[bytes, ...] = ()
    foreign: int = 0
    whole: bool = True
    enqueued: tuple[datetime | None, ...] = ()


async def partitions(hub: EventHubConsumerClient) -> dict[str, Mapping[str, Any]]:
    """What the hub says of each partition, ordered by its id.

    Raises:
        azure.eventhub.exceptions.EventHubError: the hub does not answer.
    """
    with touching("hub.properties"):
        ids = sorted(await hub.get_partition_ids(), key=lambda name: (len(name), name))
        # Each question opens a connection of its own: one after the other, 32 partitions would take a quarter minute.
        about = await asyncio.gather(*map(hub.get_partition_properties, ids))
        return dict(zip(ids, about, strict=True))


async def arrived_since(hub: EventHubConsumerClient, moment: datetime, seconds: float = HUB_SECONDS) -> bool:
    """Whether any partition took an event since a moment, by the hub's clock.

    Raises:
        HubUnreadableError: it does not say.
    """
    try:
        async with asyncio.timeout(seconds):
            about = await partitions(hub)
            return any(_holds(one) and one["last_enqueued_time_utc"] >= moment for one in about.values())
    except TimeoutError:
        raise HubUnreadableError(f"the hub said nothing within {seconds:g} seconds") from None
    except Exception as error:  # as below
        raise HubUnreadableError(f"the hub can't be asked: {type(error).__name__}") from error


async def newest_events(hub: EventHubConsumerClient, most: int, seconds: float = HUB_SECONDS) -> NewestEvents:
    """The newest events, as many of each partition, without a checkpoint and without holding any partition.

    Args:
        hub: a reader, with a consumer group that has no exclusive reader.
        most: events of all partitions together.
        seconds: until what has not arrived is left out.

    Raises:
        HubUnreadableError: it does not answer, does not let this consumer group be read, or hands out nothing in time.
    """
    try:
        async with asyncio.timeout(seconds):
            about = {name: one for name, one in (await partitions(hub)).items() if _holds(one)}
        return await _newest(hub, about, most, seconds)
    except TimeoutError:
        raise HubUnreadableError(f"the hub handed out nothing within {seconds:g} seconds") from None
    except Exception as error:  # the client raises errors of its own, of azure-core and of the network
        raise HubUnreadableError(f"the hub can't be read: {type(error).__name__}") from error


async def _newest(
    hub: EventHubConsumerClient, about: Mapping[str, Mapping[str, Any]], most: int, seconds: float
) -> NewestEvents:
    share = max(1, most // max(1, len(about)))
    ends = {name: _number(one, "last_enqueued") for name, one in about.items()}
    begins = {name: max(_number(one, "beginning"), ends[name] - share + 1) for name, one in about.items()}
    arrived: asyncio.Queue[tuple[str, EventData] | Exception] = asyncio.Queue()
    events: list[EventData] = []
    with touching("hub.receive"):
        receiving = [asyncio.ensure_future(_receive(hub, name, begin, arrived)) for name, begin in begins.items()]
        try:
            async with asyncio.timeout(seconds):
                while ends and len(events) < most:
                    found = await arrived.get()
                    if isinstance(found, Exception):
                        raise found
                    name, event = found
                    events.append(event)
                    if (event.sequence_number or 0) >= ends.get(name, 0):
                        ends.pop(name, None)
        except TimeoutError:
            if not events:
                raise
        finally:
            for each in receiving:
                each.cancel()
            await asyncio.gather(*receiving, return_exceptions=True)
    read = [(body, event.enqueued_time) for event in events if (body := _body(event)) is not None]
    bodies = [body for body, _ in read]
    whole = not ends and all(begin == _number(about[name], "beginning") for name, begin in begins.items())
    return NewestEvents(tuple(bodies), len(events) - len(bodies), whole, tuple(at for _, at in read))


def _receive(
    hub: EventHubConsumerClient, partition: str, begin: int, arrived: asyncio.Queue[tuple[str, EventData] | Exception]
) -> Awaitable[None]:
    """Receive a partition from a sequence number on, until it is cancelled."""

    async def on_event(context: PartitionContext, event: EventData | None) -> None:
        if event is not None:
            arrived.put_nowait((context.partition_id, event))

    async def on_error(_: PartitionContext | None, error: Exception) -> None:
        arrived.put_nowait(error)

    receive: Callable[..., Awaitable[None]] = hub.receive
    return receive(
        on_event=on_event,
        on_error=on_error,
        partition_id=partition,
        starting_position=begin,
        starting_position_inclusive=True,
    )


def _body(event: EventData) -> bytes | None:
    """The body of an event; None where AMQP carries something other than bytes."""
    from azure.eventhub.amqp import AmqpMessageBodyType

    if event.body_type is not AmqpMessageBodyType.DATA:
        return None
    body = cast("bytes | Iterable[bytes]", event.body)
    return body if isinstance(body, bytes) else b"".join(body)


def _holds(partition: Mapping[str, Any]) -> bool:
    return not partition["is_empty"] and _number(partition, "last_enqueued") >= _number(partition, "beginning")


def _number(partition: Mapping[str, Any], which: str) -> int:
    return int(partition[f"{which}_sequence_number"])
