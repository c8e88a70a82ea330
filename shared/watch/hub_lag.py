"""How far reading is behind each partition of the hub: its end, against the checkpoint that the trigger left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.eventhub.aio import EventHubConsumerClient
    from azure.storage.blob.aio import ContainerClient

# Where the Event Hubs extension of Azure Functions keeps its checkpoints.
CHECKPOINTS = "azure-webjobs-eventhub"


@dataclass(frozen=True)
class PartitionLag:
    """One partition: how many events are not yet read; `started` is false before the first checkpoint.

    `beyond` says that the checkpoint lies after the partition's end: the hub was made anew, and Azure refuses to read
    it from there (github.com/Azure/azure-sdk-for-net issues 53741 and 28244).
    """

    partition: str
    behind: int
    started: bool
    beyond: bool = False


async def read_lag(hub: EventHubConsumerClient, checkpoints: ContainerClient, group: str) -> list[PartitionLag]:
    """The lag of every partition, ordered by its id.

    Raises:
        azure.core.exceptions.AzureError: the storage does not answer.
        azure.eventhub.exceptions.EventHubError: the hub does not.
    """
    marks = await _marks(checkpoints, f"/{hub.eventhub_name}/{group}/checkpoint/".lower())
    found = []
    for partition in sorted(await hub.get_partition_ids(), key=lambda name: (len(name), name)):
        about = await hub.get_partition_properties(partition)
        read = marks.get(partition)
        found.append(PartitionLag(partition, behind(about, read), partition in marks, beyond=beyond(about, read)))
    return found


def behind(partition: Mapping[str, Any], read: int | None) -> int:
    """Events after the sequence number `read`; None means that nothing was read, so all that are kept count."""
    if partition["is_empty"]:
        return 0
    last, first = int(partition["last_enqueued_sequence_number"]), int(partition["beginning_sequence_number"])
    if beyond(partition, read):
        read = None  # of another hub
    return max(0, last - (first - 1 if read is None else max(read, first - 1)))


def beyond(partition: Mapping[str, Any], read: int | None) -> bool:
    """Whether a checkpoint lies after the partition's end, and so is that of a hub that is no more."""
    return read is not None and read > int(partition["last_enqueued_sequence_number"])


async def _marks(checkpoints: ContainerClient, place: str) -> dict[str, int]:
    """The sequence number of each partition's checkpoint; none before the trigger's first."""
    from azure.core.exceptions import ResourceNotFoundError

    found: dict[str, int] = {}
    try:
        async for blob in checkpoints.list_blobs(include=["metadata"]):
            before, _, partition = blob.name.lower().rpartition("/")
            about = {name.lower(): value for name, value in (blob.metadata or {}).items()}
            if f"{before}/".endswith(place) and "sequencenumber" in about:
                found[partition] = int(about["sequencenumber"])
    except ResourceNotFoundError:
        return {}
    return found
