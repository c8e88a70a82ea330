"""Enriched rows to an output Event Hub, for downstream consumers.

The hub is optional: one that does not take a batch within ten seconds is left alone, and rows for it wait outside the
path of delivery until a look at its partitions, made in the background, is answered.

The partition follows from the RecordId, so that one record's rows stay in one partition and in order, but for those
that waited as dead letters.  It is worked out here and not by the service, because a batch takes only one partition
key: keyed, every row would be a request.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from shared.azure.clients import Clients
from shared.clock import Clock, Deadline
from shared.enrich.delivery.truncation import shorten
from shared.fail_points import touching
from shared.settings import SettingsError

if TYPE_CHECKING:
    from azure.eventhub import EventDataBatch
    from azure.eventhub.aio import EventHubProducerClient


LONGEST_ID = 2_048
"""Bytes of a RecordId among an event's properties, which count towards the hub's limit; its body has more of it."""
PATIENCE_SECONDS = 10.0
"""For one invocation's rows, and for a look at the partitions."""
FIRST_PAUSE_SECONDS = 30.0
"""After a failure, in which nothing is sent; doubled by each that follows a look that was answered."""
LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One row for the output hub, in a form (`output_format`) that is empty where it is the row as it is."""

    record_id: str
    table: str
    row: bytes
    form: str = ""


@dataclass(frozen=True, slots=True)
class NotForwarded:
    """A row that the output hub did not take; an outage says nothing about the row."""

    index: int
    reason: str
    message: str
    outage: bool


class Forward(Protocol):
    """Where enriched rows go beside their table."""

    async def send(self, rows: Sequence[Outgoing], deadline: Deadline) -> list[NotForwarded]:
        """Send rows; return those that were not taken."""


class OutputHub:
    """The hub named in the settings or another, through `azure-eventhub`, which retries within the patience here."""

    def __init__(
        self,
        clients: Clients,
        clock: Clock | None = None,
        *,
        patience: float = PATIENCE_SECONDS,
        hub: Callable[[], EventHubProducerClient] | None = None,
    ) -> None:
        self._hub = hub or (lambda: clients.output_hub)
        self._patience = patience
        self._clock = clock or Clock()
        self._partitions: list[str] = []
        self._out: NotForwarded | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._look_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    async def send(self, rows: Sequence[Outgoing], deadline: Deadline) -> list[NotForwarded]:
        """Send rows, a batch at a time and the partitions side by side; return those that were not taken."""
        if self._out is not None:
            self._look()
            return [replace(self._out, index=index) for index in range(len(rows))]
        deadline = deadline.sooner(self._patience)
        try:
            await self._find_partitions(deadline)
        except Exception as error:  # noqa: BLE001 # constructors raise ValueError, links what the network does
            self._failed(_outage(0, error))
            return [_outage(index, error) for index in range(len(rows))]
        by_partition: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            by_partition[partition_of(row.record_id, self._partitions)].append(index)
        sending = [self._fill_and_send(rows, *item, deadline) for item in by_partition.items()]
        refused = [each for part in await asyncio.gather(*sending) for each in part]
        lasting = next((each for each in refused if each.outage), None)
        if lasting is not None:
            self._failed(lasting)
        else:
            self._pause = FIRST_PAUSE_SECONDS
        return refused

    async def _find_partitions(self, deadline: Deadline) -> None:
        if not self._partitions:
            async with asyncio.timeout(max(0.0, deadline.left)):
                with touching("hub.partitions"):
                    self._partitions = list(await self._hub().get_partition_ids())

    def _failed(self, why: NotForwarded) -> None:
        """Leave the hub alone for a while; its partitions are asked for anew, since it may have been made anew."""
        self._partitions = []
        self._out = why
        self._look_at = self._clock.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)

    def _look(self) -> None:
        """Find out beside the path of delivery whether the hub answers again, once the pause is over."""
        if self._clock.monotonic() >= self._look_at and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look_once())

    async def _look_once(self) -> None:
        try:
            await self._find_partitions(self._clock.deadline(self._patience))
            self._out = None
        except Exception as error:  # noqa: BLE001 # as above
            self._out = _outage(0, error)
            self._look_at = self._clock.monotonic() + FIRST_PAUSE_SECONDS

    async def _fill_and_send(
        self, rows: Sequence[Outgoing], partition: str, indices: list[int], deadline: Deadline
    ) -> list[NotForwarded]:
        """Send the rows of one partition in order, as few batches as they need."""
        refused: list[NotForwarded] = []
        unsent = list(indices)
        try:
            async with asyncio.timeout(max(0.0, deadline.left)):
                while unsent:
                    with touching("hub.batch"):
                        batch = await self._hub().create_batch(partition_id=partition)
                    dealt_with, too_large = _fill(batch, unsent, rows)
                    if len(batch):
                        with touching("hub.send"):
                            await self._hub().send_batch(batch)
                    refused += [NotForwarded(index, "too-large", "over a batch", outage=False) for index in too_large]
                    del unsent[:dealt_with]
        except Exception as error:  # noqa: BLE001 # as in `send`
            refused += [_outage(index, error) for index in unsent]
        return refused


def _fill(batch: EventDataBatch, indices: Sequence[int], rows: Sequence[Outgoing]) -> tuple[int, list[int]]:
    """Add rows until the batch is full; return how many were dealt with, and which fit into no batch."""
    from azure.eventhub import EventData

    too_large: list[int] = []
    for position, index in enumerate(indices):
        row = rows[index]
        event = EventData(row.row)
        event.content_type = "application/json"
        event.properties = {"Table": row.table, "RecordId": shorten(row.record_id, LONGEST_ID)}
        if row.form:
            event.properties["Format"] = row.form
        try:
            batch.add(event)
        except ValueError:  # the client's word for "does not fit"
            if len(batch):
                return position, too_large
            too_large.append(index)
    return len(indices), too_large


def _outage(index: int, error: Exception) -> NotForwarded:
    if isinstance(error, (SettingsError, ValueError, TypeError)):  # SDKs raise the latter two for what a setting holds
        message = str(error) if isinstance(error, SettingsError) else "ForwardConnection can't be used: see its setting"
        return NotForwarded(index, "not-configured", message, outage=True)
    return NotForwarded(index, "hub-unavailable", type(error).__name__, outage=True)


def partition_of(key: str, partitions: Sequence[str]) -> str:
    """The partition of a key: always the same one, as long as the hub's partitions are the same."""
    return partitions[zlib.crc32(key.encode()) % len(partitions)]
