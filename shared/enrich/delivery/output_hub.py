"""Enriched rows to an output Event Hub, for downstream consumers.

The partition follows from the RecordId, so that one record's rows stay in one partition and in order.  It is worked out
here and not by the service, because a batch takes only one partition key: keyed, every row would be a request.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.azure.clients import Clients
from shared.clock import Deadline
from shared.fail_points import touching
from shared.settings import SettingsError

if TYPE_CHECKING:
    from azure.eventhub import EventDataBatch


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One row for the output hub."""

    record_id: str
    table: str
    row: bytes


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
    """The hub named in the settings, through `azure-eventhub`; the client retries by itself."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._partitions: list[str] = []

    async def send(self, rows: Sequence[Outgoing], deadline: Deadline) -> list[NotForwarded]:
        """Send rows, a batch at a time and the partitions side by side; return those that were not taken."""
        from azure.core.exceptions import AzureError
        from azure.eventhub.exceptions import EventHubError

        try:
            hub = self._clients.output_hub
            if not self._partitions:
                async with asyncio.timeout(max(0.0, deadline.left)):
                    with touching("hub.partitions"):
                        self._partitions = list(await hub.get_partition_ids())
        except (EventHubError, AzureError, SettingsError, TimeoutError, OSError) as error:
            return [_outage(index, error) for index in range(len(rows))]
        by_partition: dict[str, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            by_partition[partition_of(row.record_id, self._partitions)].append(index)
        sending = [self._fill_and_send(rows, *item, deadline) for item in by_partition.items()]
        return [refused for part in await asyncio.gather(*sending) for refused in part]

    async def _fill_and_send(
        self, rows: Sequence[Outgoing], partition: str, indices: list[int], deadline: Deadline
    ) -> list[NotForwarded]:
        """Send the rows of one partition in order, as few batches as they need."""
        from azure.core.exceptions import AzureError
        from azure.eventhub.exceptions import EventHubError

        refused: list[NotForwarded] = []
        unsent = list(indices)
        try:
            async with asyncio.timeout(max(0.0, deadline.left)):
                while unsent:
                    with touching("hub.batch"):
                        batch = await self._clients.output_hub.create_batch(partition_id=partition)
                    dealt_with, too_large = _fill(batch, unsent, rows)
                    if len(batch):
                        with touching("hub.send"):
                            await self._clients.output_hub.send_batch(batch)
                    refused += [NotForwarded(index, "too-large", "over a batch", outage=False) for index in too_large]
                    del unsent[:dealt_with]
        except (EventHubError, AzureError, TimeoutError, OSError) as error:
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
        event.properties = {"Table": row.table, "RecordId": row.record_id}
        try:
            batch.add(event)
        except ValueError:  # the client's word for "does not fit"
            if len(batch):
                return position, too_large
            too_large.append(index)
    return len(indices), too_large


def _outage(index: int, error: Exception) -> NotForwarded:
    return NotForwarded(index, "hub-unavailable", type(error).__name__, outage=True)


def partition_of(key: str, partitions: Sequence[str]) -> str:
    """The partition of a key: always the same one, as long as the hub's partitions are the same."""
    return partitions[zlib.crc32(key.encode()) % len(partitions)]
