"""How far reading is behind each partition of the hub: its end, against the checkpoint that the trigger left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.azure.event_hub import partitions

if TYPE_CHECKING:
    from azure.eventhub.aio import EventHubConsumerClient
    from azure.storage.blob.aio import ContainerClient

# Where the Event Hubs extension of Azure Functions keeps its checkpoints.
CHECKPOINTS = "azure-webjobs-eventhub"


@dataclass(frozen=True)
class PartitionLag:
    """One partition: how many events are not yet read; `started` is false before the first checkpoint.

    `trouble` says why the checkpoint can't be one of this hub, and what helps.
    """

    partition: str
    behind: int
    started: bool
    trouble: str = ""


async def read_lag(hub: EventHubConsumerClient, checkpoints: ContainerClient, group: str) -> list[PartitionLag]:
    """The lag of every partition, ordered by its id.

    Raises:
        azure.core.exceptions.AzureError: the storage does not answer.
        azure.eventhub.exceptions.EventHubError: the hub does not.
    """
    marks = await read_marks(checkpoints, f"/{hub.eventhub_name}/{group}/checkpoint/".lower())
    found = []
    for partition, about in (await partitions(hub)).items():
        read = marks.get(partition)
        trouble = misplaced(about, read) if partition in marks else ""
        found.append(PartitionLag(partition, behind(about, read), partition in marks, trouble))
    return found


def misplaced(partition: Mapping[str, Any], read: int | None) -> str:
    """Why a checkpoint can't be one of this hub; None stands for one that names no sequence number."""
    if read is None:
        return "its checkpoint holds no sequence number: delete that blob, and the trigger reads from the start"
    last = -1 if partition["is_empty"] else int(partition["last_enqueued_sequence_number"])
    if read > max(last, int(partition["last_enqueued_sequence_number"])):
        return (
            f"its checkpoint ({read}) lies beyond the end ({last}), so the hub was made anew: delete the hub's "
            "checkpoints (docs/operate.md, Another hub), or its events are never read"
        )
    return ""


def behind(partition: Mapping[str, Any], read: int | None) -> int:
    """Events after the sequence number `read`; None means that nothing was read, so all that are kept count."""
    if partition["is_empty"]:
        return 0
    last, first = int(partition["last_enqueued_sequence_number"]), int(partition["beginning_sequence_number"])
    if read is not None and read > last:
        read = None  # of another hub
    return max(0, last - (first - 1 if read is None else max(read, first - 1)))


async def read_marks(checkpoints: ContainerClient, place: str) -> dict[str, int | None]:
    """The sequence number of each partition's checkpoint, None where it is no number; none before the first."""
    from azure.core.exceptions import ResourceNotFoundError

    found: dict[str, int | None] = {}
    try:
        async for blob in checkpoints.list_blobs(include=["metadata"]):
            before, _, partition = blob.name.lower().rpartition("/")
            about = {name.lower(): value for name, value in (blob.metadata or {}).items()}
            if f"{before}/".endswith(place) and "sequencenumber" in about:
                text = about["sequencenumber"]
                found[partition] = int(text) if text.isascii() and text.isdecimal() else None
    except ResourceNotFoundError:
        return {}
    return found
