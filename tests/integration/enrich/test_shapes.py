"""`shapes` over the wire: from dead letters, from records kept whole, and from the hub beside its trigger."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage

from local.eventhubs import EventHubsBroker
from shared.azure.event_hub import HubUnreadableError, newest_events
from shared.bootstrap import Services
from shared.enrich.records.model import Event
from shared.enrich.shapes.record_shapes import Shapes
from shared.enrich.shapes.shape_request import ShapeRequest, ShapeRequestError
from shared.settings import Settings
from tests.e2e.shell import Shell
from tests.integration.enrich.conftest import MARK, START, Plant, assessments

SECRETS = (MARK, "xq", "Contoso", "11111111-1111", "vm1", "vm2")
UNHEARD_OF = {"type": "Microsoft.Security/unheardOf", "id": "/subscriptions/xq1/xq2", "ContosoXq": {"xq3": "xq4"}}


@pytest.fixture
async def services(plant: Plant) -> AsyncIterator[Services]:
    services = Services(plant.settings)
    yield services
    await services.close()


def kinds(shapes: Shapes) -> dict[str, int]:
    assert not [secret for secret in SECRETS if secret in json.dumps(shapes.document())]
    return {kind: shape.records for (kind, _), shape in shapes.found.items()}


async def test_from_dead_letters(plant: Plant, services: Services, tmp_path: Path) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    unread = [Event(b"xq is no JSON", START, "0", 90), Event(json.dumps([UNHEARD_OF, []]).encode(), START, "0", 91)]
    await plant.pipeline.run([*assessments(range(3), marked={1, 2}), *unread])
    await plant.clients.data_blobs.get_container_client("dead-letters").upload_blob("2026-11-01/x/y/z.ndjson.gz", b"xq")

    shapes = await services.shapes(ShapeRequest("dead-letters"))
    assert kinds(shapes) == {"DefenderAssessments_CL": 2}
    assert shapes.unreadable.total() == 3
    assert shapes.unreadable["a blob of dead letters that this release leaves as it is"] == 1
    assert not shapes.more
    assert kinds(await services.shapes(ShapeRequest("dead-letters", day="2026-11-02"))) == {}
    assert (await services.shapes(ShapeRequest("dead-letters", most=1))).more

    shell = Shell(tmp_path, {name: value for name, value in os.environ.items() if name != "HOME"})
    out = await asyncio.to_thread(shell, "shapes --direct --from dead-letters --json --out shapes")
    (written,) = (tmp_path / "shapes").iterdir()
    (shown,) = json.loads(out)["value"]
    assert json.loads(written.read_text()) == shown["record"]
    assert written.name == f"DefenderAssessments_CL-{shown['shape']}.json"
    assert not [secret for secret in SECRETS if secret in out + shell.err + written.read_text()]
    assert "3 without a record" not in out
    assert "leaves as it is" in shell.err
    await asyncio.to_thread(shell, "shapes --direct --from hub --day 2026-11-01", 2)
    assert shell.err == "error: the hub has no days, and its newest events are shown: leave the day out\n"


async def test_from_records_that_were_kept_whole(plant: Plant, services: Services) -> None:
    (event,) = assessments([1])
    record = json.loads(event.body)
    record["properties"]["metadata"] = {"description": "xq " * 30_000, "xqName": 1}
    await plant.pipeline.run([event._replace(body=json.dumps(record).encode())])
    container = plant.clients.data_blobs.get_container_client(plant.settings.oversize_container)
    await container.upload_blob("2026-11-01/Other/a-b.json.gz", b"xq is no gzip")

    shapes = await services.shapes(ShapeRequest("oversize"))
    assert kinds(shapes) == {"Assessment": 1}
    (shape,) = shapes.found.values()
    assert shape.differs == ()
    assert shape.largest > 90_000
    assert len(json.dumps(shape.record)) < 10_000
    assert (shapes.withheld, shapes.unreadable) == ({"xqName"}, {"a record that is not gzip": 1})
    assert kinds(await services.shapes(ShapeRequest("oversize", names=("XQNAME",), day="2026-11-01"))) == {}


@pytest.fixture
async def reader(broker: EventHubsBroker, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    """Services of an app whose trigger reads with the consumer group `second`."""
    monkeypatch.setenv("EventHubConnection", broker.connection_string)
    monkeypatch.setenv("EVENT_HUB_NAME", "events")
    monkeypatch.setenv("EVENT_HUB_CONSUMER_GROUP", "second")
    services = Services(Settings.load())
    yield services
    await services.close()


async def send(broker: EventHubsBroker, partition: str, *bodies: Any) -> None:
    client = EventHubProducerClient.from_connection_string(broker.connection_string, eventhub_name="events")
    async with client:
        batch = await client.create_batch(partition_id=partition)
        for body in bodies:
            batch.add(EventData(json.dumps(body)) if isinstance(body, dict) else body)
        await client.send_batch(batch)


async def test_from_the_hub_beside_its_trigger(broker: EventHubsBroker, reader: Services) -> None:
    bodies = [json.loads(event.body) for event in assessments(range(5))]
    await send(broker, "0", *bodies)
    await send(broker, "2", UNHEARD_OF, AmqpAnnotatedMessage(value_body={"xq": 1}), EventData(b"xq no JSON"))
    trigger = EventHubConsumerClient.from_connection_string(
        broker.connection_string, "second", eventhub_name="events", retry_total=0
    )
    seen = asyncio.Event()

    async def on_event(*_: Any) -> None:
        seen.set()

    async with trigger:
        holding = asyncio.ensure_future(
            trigger.receive(on_event=on_event, partition_id="0", starting_position="-1", owner_level=0)
        )
        await asyncio.wait_for(seen.wait(), 20)
        shapes = await reader.shapes(ShapeRequest("hub", most=6))
        assert kinds(shapes) == {"Assessment": 3, "Other": 1}, "of each partition the newest"
        assert shapes.unreadable["an event whose body is not bytes"] == 1
        assert shapes.unreadable.total() == 2
        assert (shapes.withheld, shapes.more) == ({"ContosoXq", "xq3"}, True)
        assert not holding.done(), "the trigger keeps its partition"
        holding.cancel()


async def test_a_hub_that_hands_out_nothing_is_said_to_and_the_triggers_group_is_left_alone(
    broker: EventHubsBroker, reader: Services
) -> None:
    await send(broker, "1", UNHEARD_OF)
    with pytest.raises(ShapeRequestError, match="make another consumer group"):
        await reader.shapes(ShapeRequest("hub", group="SECOND"))
    async with reader.clients.hub_reader("nowhere") as hub:
        with pytest.raises(HubUnreadableError, match="the hub"):
            await newest_events(hub, 5, seconds=2)
