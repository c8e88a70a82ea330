"""Reads a hub to its end with checkpoints; prints `partition sequence_number` of each event, and can be killed.

Arguments: broker connection string, hub, storage connection string, container.
"""

import asyncio
import sys

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore


async def main(broker: str, hub: str, storage: str, container: str) -> None:
    store = BlobCheckpointStore.from_connection_string(storage, container)
    client = EventHubConsumerClient.from_connection_string(
        broker,
        consumer_group="$Default",
        eventhub_name=hub,
        checkpoint_store=store,
        load_balancing_interval=0.5,
        partition_ownership_expiration_interval=3,
    )

    async def handle(context: PartitionContext, events: list[EventData]) -> None:
        lines = [f"{context.partition_id} {event.sequence_number}\n" for event in events]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        await context.update_checkpoint(events[-1])

    async with client, store:
        await client.receive_batch(handle, max_batch_size=100, starting_position="-1")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
