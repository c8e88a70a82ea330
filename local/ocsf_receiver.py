"""A consumer downstream: reads the output hub with the genuine client, checks each event, counts each record once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from local.ocsf_schema import ocsf_schema


class OcsfReceiver:
    """What came out of an output hub so far.

    `records` counts events by their record's key, `classes` records by class, `problems` what is wrong with events.
    """

    def __init__(self, version: str, profiles: tuple[str, ...]) -> None:
        self._schema = ocsf_schema(version, profiles)
        self.records: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()

    async def receive(self, connection: str, hub: str, keys: int, seconds: float) -> None:
        """Read the hub from its beginning until as many different records came.

        Raises:
            TimeoutError: they did not within that time.
        """
        enough = asyncio.Event()

        async def take(_: PartitionContext, events: list[EventData]) -> None:
            self.take(events)
            if len(self.records) >= keys:
                enough.set()

        async with EventHubConsumerClient.from_connection_string(connection, "$Default", eventhub_name=hub) as client:
            reading = asyncio.create_task(client.receive_batch(take, starting_position="-1", max_wait_time=1))
            try:
                await asyncio.wait_for(enough.wait(), seconds)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def take(self, events: Iterable[EventData]) -> None:
        """Check events, and count their records."""
        for each in events:
            properties = each.properties or {}
            if properties.get(b"Format") != b"ocsf":
                self.problems["an event that does not say that it is OCSF"] += 1
                continue
            event: Mapping[str, Any] = json.loads(each.body_as_str())
            self.problems.update(self._schema.problems(event))
            key = event.get("metadata", {}).get("uid", "")
            if key not in self.records:
                self.classes[str(event.get("class_name"))] += 1
            self.records[key] += 1
