from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import orjson
import pytest
from azure.eventhub.aio import EventHubConsumerClient

from local.eventhubs import EventHubsBroker
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.delivery.output_hub import Outgoing, OutputHub, partition_of
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
    assert (summary.forwarded, summary.letters) == (0, {"not-configured": 3})
    assert len(plant.stored()) == 3
    assert {(letter.target, letter.outage) for letter in await plant.lost()} == {("hub", True)}


def test_keys_spread_over_the_partitions() -> None:
    counts = [0] * 4
    for number in range(1000):
        counts[int(partition_of(f"record-{number}", PARTITIONS))] += 1
    assert min(counts) > 150


async def silent_port() -> tuple[asyncio.Server, int]:
    """A server that accepts and never answers."""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("connection", "reason", "first"),
    [
        ("@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/hub/)", "not-configured", 2.0),
        ("'Endpoint=sb://x/", "not-configured", 2.0),
        ("Endpoint=sb://127.0.0.1:{silent};SharedAccessKeyName=n;SharedAccessKey=aw==", "hub-unavailable", 4.0),
    ],
)
async def test_an_output_hub_out_of_reach_is_left_alone_and_holds_no_row_up(
    plant: Plant, connection: str, reason: str, first: float
) -> None:
    server, port = await silent_port()
    pipeline = plant.rebuilt(forward_event_hub="events", forward_connection=connection.format(silent=port))
    pipeline._forward = OutputHub(plant.clients, plant.time.clock(), patience=2)
    plant.clients._settings = replace(
        plant.settings, forward_event_hub="events", forward_connection=connection.format(silent=port)
    )
    try:
        begun = time.monotonic()
        summary = await pipeline.run(assessments(range(3)))
        assert time.monotonic() - begun < first
        assert summary.letters == {reason: 3}
        begun = time.monotonic()
        for start in range(3, 33, 3):
            await pipeline.run(assessments(range(start, start + 3)))
        assert time.monotonic() - begun < 5, "later batches do not ask it"
        assert len(plant.stored()) == 33
        assert len(await plant.lost()) == 33
    finally:
        server.close()


class Switch:
    """Clients whose output hub refuses until it is well."""

    well = False

    @property
    def output_hub(self) -> Any:
        if not self.well:
            raise ConnectionError
        return self

    async def get_partition_ids(self) -> list[str]:
        return ["0"]


async def test_an_output_hub_that_answers_again_is_noticed_beside_the_path_of_delivery() -> None:
    now = 0.0
    clients = Switch()
    hub = OutputHub(clients, Clock(monotonic=lambda: now))  # type: ignore[arg-type] # as much of them as it uses
    row = [Outgoing("id", "T", b"{}")]
    deadline = Clock().deadline(5)
    assert [each.outage for each in await hub.send(row, deadline)] == [True]
    clients.well = True
    assert await hub.send(row, deadline)
    await asyncio.sleep(0.01)
    assert hub._out is not None, "the pause is not over"
    now = 31.0
    assert await hub.send(row, deadline), "this batch does not wait for the look"
    await asyncio.sleep(0.01)
    assert hub._out is None


class Batch(list[Any]):
    """A batch of events, as much of it as it is filled by."""

    def add(self, event: Any) -> None:
        self.append(event)


class MadeAnew:
    """Clients whose output hub has some partitions, and takes no batch for any other."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.taken = 0

    @property
    def output_hub(self) -> Any:
        return self

    async def get_partition_ids(self) -> list[str]:
        return [str(number) for number in range(self.partitions)]

    async def create_batch(self, partition_id: str) -> Batch:
        if int(partition_id) >= self.partitions:
            raise ConnectionError
        return Batch()

    async def send_batch(self, batch: Batch) -> None:
        self.taken += len(batch)


@pytest.mark.parametrize("after", [1, 3, 16])
async def test_an_output_hub_that_is_made_anew_with_other_partitions_is_sent_to_without_a_restart(after: int) -> None:
    now = 0.0
    clients = MadeAnew(4)
    hub = OutputHub(clients, Clock(monotonic=lambda: now))  # type: ignore[arg-type] # as much of them as it uses
    rows = [Outgoing(f"id-{number}", "T", b"{}") for number in range(20)]
    deadline = Clock().deadline(5)
    assert await hub.send(rows, deadline) == []
    clients.partitions = after
    await hub.send(rows, deadline)
    for seconds in (31.0, 62.0):
        now = seconds
        await hub.send(rows, deadline)
        await asyncio.sleep(0.01)
    clients.taken = 0
    assert await hub.send(rows, deadline) == []
    assert clients.taken == 20
