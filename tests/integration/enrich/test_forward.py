from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from azure.eventhub.aio import EventHubConsumerClient

from local.eventhubs import EventHubsBroker
from shared.azure.clients import Clients
from shared.enrich.delivery.output_hub import partition_of
from shared.settings import Settings
from tests.integration.enrich.conftest import Plant, assessments

PARTITIONS = ["0", "1", "2", "3"]


@pytest.fixture
async def forwarding(plant: Plant, broker: EventHubsBroker, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("EventHubConnection", broker.connection_string)
    monkeypatch.setenv("FORWARD_EVENT_HUB", "events")
    plant.settings = Settings.load()
    plant.clients = Clients(plant.settings)
    plant.pipeline = plant.rebuilt()
    yield plant
    await plant.clients.close()


async def received(broker: EventHubsBroker, count: int) -> list[tuple[str, Any]]:
    """Partition and event of all that the hub `events` holds."""
    found: list[tuple[str, Any]] = []
    done = asyncio.Event()

    async def take(context: Any, events: list[Any]) -> None:
        found.extend((context.partition_id, event) for event in events)
        if len(found) >= count:
            done.set()

    connection = broker.connection_string
    async with EventHubConsumerClient.from_connection_string(connection, "$Default", eventhub_name="events") as client:
        task = asyncio.create_task(client.receive_batch(take, starting_position="-1"))
        await asyncio.wait_for(done.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return found


async def test_rows_go_on_whole_and_a_records_rows_stay_in_one_partition(
    forwarding: Plant, broker: EventHubsBroker
) -> None:
    summary = await forwarding.pipeline.run([*assessments(range(50)), *assessments(range(50))])
    assert summary.forwarded == 100
    events = await received(broker, 100)
    rows = [orjson.loads(event.body_as_str()) for _, event in events]
    stored = [row for body in forwarding.azure.ingestion.stored for row in orjson.loads(body.body)]
    assert sorted(map(orjson.dumps, rows)) == sorted(map(orjson.dumps, stored))
    for (partition, event), row in zip(events, rows, strict=True):
        assert partition == partition_of(row["RecordId"], PARTITIONS)
        assert event.properties == {b"Table": b"DefenderAssessments_CL", b"RecordId": row["RecordId"].encode()}


async def test_a_hub_that_does_not_exist_costs_no_row_its_table(plant: Plant, broker: EventHubsBroker) -> None:
    pipeline = plant.rebuilt(forward_event_hub="hub")  # and no connection: nothing to reach it by
    summary = await pipeline.run(assessments(range(3)))
    assert (summary.forwarded, summary.letters) == (0, {"hub-unavailable": 3})
    assert len(plant.stored()) == 3
    assert {(letter.target, letter.outage) for letter in await plant.lost()} == {("hub", True)}


def test_keys_spread_over_the_partitions() -> None:
    counts = [0] * 4
    for number in range(1000):
        counts[int(partition_of(f"record-{number}", PARTITIONS))] += 1
    assert min(counts) > 150
