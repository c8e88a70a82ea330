import asyncio
import base64
import gc
import hashlib
import hmac
import signal
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote_plus

import pytest
from azure.eventhub import EventData, EventDataBatch, EventHubProducerClient
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.aio import EventHubProducerClient as AsyncProducerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

from local.azurite import StorageAccount
from local.eventhubs import EventHubsBroker
from local.eventhubs.nodes import Authorizer

HUB = "events"
APPS = Path(__file__).resolve().parent.parent / "apps"


def producer(broker: EventHubsBroker, hub: str = HUB, **options: Any) -> AsyncProducerClient:
    return AsyncProducerClient.from_connection_string(
        broker.connection_string, eventhub_name=hub, retry_total=0, **options
    )


def consumer(
    broker: EventHubsBroker, hub: str = HUB, group: str = "$Default", **options: Any
) -> EventHubConsumerClient:
    return EventHubConsumerClient.from_connection_string(
        broker.connection_string, group, eventhub_name=hub, load_balancing_interval=0.1, **options
    )


async def send(broker: EventHubsBroker, bodies: Iterable[bytes], hub: str = HUB, **target: Any) -> None:
    async with producer(broker, hub) as client:
        batch = await client.create_batch(**target)
        for body in bodies:
            event = EventData(body)
            try:
                batch.add(event)
            except ValueError:
                await client.send_batch(batch)
                batch = await client.create_batch(**target)
                batch.add(event)
        await client.send_batch(batch)


@asynccontextmanager
async def receiving(client: EventHubConsumerClient, **options: Any) -> AsyncIterator[None]:
    """Reads while the block runs; the client is closed first, as its reading ends only then without leaving sockets."""
    task = asyncio.create_task(client.receive_batch(**{"starting_position": "-1", "max_wait_time": 0.2, **options}))
    try:
        yield
    finally:
        await client.close()
        await asyncio.gather(task, return_exceptions=True)


async def read(client: EventHubConsumerClient, expected: int, **options: Any) -> dict[str, list[EventData]]:
    """The events of each partition, in the order they came, once `expected` have come."""
    got: dict[str, list[EventData]] = defaultdict(list)

    async def handle(context: PartitionContext, events: list[EventData]) -> None:
        if events:
            got[context.partition_id].extend(events)

    async with receiving(client, on_event_batch=handle, **options):
        await until(lambda: sum(map(len, got.values())) >= expected, seconds=90)
    return got


async def ignore(context: PartitionContext, events: list[EventData]) -> None: ...


async def refusal(client: EventHubConsumerClient, **options: Any) -> str:
    """What the client's error handler is told when it reads partition 0."""
    told: list[Exception] = []

    async def on_error(context: PartitionContext | None, error: Exception) -> None:
        told.append(error)

    async with receiving(client, on_event_batch=ignore, on_error=on_error, partition_id="0", **options):
        await until(lambda: bool(told))
    return str(told[0])


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited is the broker's or another process's state
            await asyncio.sleep(0.02)


def bodies(events: Iterable[EventData]) -> list[bytes]:
    return [b"".join(cast("Iterable[bytes]", event.body)) for event in events]


async def test_20000_events_of_2_kb_come_back_once_each_and_in_order_within_a_partition(
    broker: EventHubsBroker,
) -> None:
    count, padding = 20_000, b"x" * 2_000
    for partition in range(4):
        numbers = range(partition, count, 4)
        await send(broker, (b"%010d" % number + padding for number in numbers), partition_id=str(partition))

    got = await read(consumer(broker), count, prefetch=3000, max_batch_size=1000)

    for partition in range(4):
        received = [int(body[:10]) for body in bodies(got[str(partition)])]
        assert received == list(range(partition, count, 4))
        assert [event.sequence_number for event in got[str(partition)]] == list(range(count // 4))


async def test_a_consumer_killed_in_the_middle_resumes_from_its_checkpoint(
    broker: EventHubsBroker, storage: StorageAccount
) -> None:
    count = 8_000
    for partition in range(4):
        await send(broker, (b"%d" % number for number in range(count // 4)), partition_id=str(partition))
    async with ContainerClient.from_connection_string(storage.connection_string, "checkpoints") as container:
        await container.create_container()

    async def run(enough: int) -> list[tuple[str, int]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(APPS / "checkpointing_consumer.py"),
            broker.connection_string, HUB, storage.connection_string, "checkpoints",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        seen: list[tuple[str, int]] = []
        async with asyncio.timeout(60):
            while len(seen) < enough:
                partition, number = (await process.stdout.readline()).split()
                seen.append((partition.decode(), int(number)))
        process.kill()
        rest, _ = await process.communicate()
        lines = rest.decode().splitlines()
        return seen + [(line.split()[0], int(line.split()[1])) for line in lines if len(line.split()) == 2]

    before = await run(enough=2_000)
    assert len(before) < count, "it was killed in the middle"
    store = BlobCheckpointStore.from_connection_string(storage.connection_string, "checkpoints")
    async with store:
        checkpoints = {
            kept["partition_id"]: int(kept["sequence_number"])
            for kept in await store.list_checkpoints(f"127.0.0.1:{broker.port}", HUB, "$Default")
        }
    assert checkpoints
    remaining = count - sum(number + 1 for number in checkpoints.values())
    after = await run(enough=remaining)

    for name in map(str, range(4)):
        resumed = [number for where, number in after if where == name]
        assert resumed == list(range(checkpoints.get(name, -1) + 1, count // 4))
        assert {number for where, number in before + after if where == name} == set(range(count // 4))


async def test_each_hub_and_each_consumer_group_reads_its_own_way_through(broker: EventHubsBroker) -> None:
    await send(broker, [b"a", b"b"], partition_id="0")
    await send(broker, [b"elsewhere"], hub="other")

    assert bodies((await read(consumer(broker), 2))["0"]) == [b"a", b"b"]
    assert bodies((await read(consumer(broker, group="second"), 2))["0"]) == [b"a", b"b"]
    assert bodies((await read(consumer(broker, "other"), 1))["0"]) == [b"elsewhere"]


async def test_one_key_means_one_partition_and_no_key_spreads_evenly(broker: EventHubsBroker) -> None:
    await send(broker, [b"x"] * 3, partition_key="alpha")
    await send(broker, [b"x"] * 3, partition_key="alpha")
    await send(broker, [b"x"] * 3, partition_key="beta")
    assert sorted(len(part.events) for part in broker.hubs[HUB].partitions.values()) in ([0, 0, 3, 6], [0, 0, 0, 9])

    async with producer(broker) as client:
        for _ in range(8):
            await client.send_event(EventData(b"y"))
    spread = [len(part.events) for part in broker.hubs[HUB].partitions.values()]
    assert sum(spread) == 17
    assert min(spread) == 2


async def test_an_event_keeps_its_properties_and_gains_its_place_and_time(broker: EventHubsBroker) -> None:
    event = EventData(b'{"a": 1}')
    event.properties = {"source": "defender", "n": 7}
    event.content_type, event.correlation_id, event.message_id = "application/json", "c-1", "m-1"
    async with producer(broker) as client:
        await client.send_batch([EventData(b"first")], partition_key="k")
        await client.send_batch([event], partition_key="k")

    [(_, (first, got))] = (await read(consumer(broker), 2)).items()

    assert got.properties == {b"source": b"defender", b"n": 7}
    assert (got.content_type, got.correlation_id, got.message_id) == ("application/json", "c-1", "m-1")
    assert got.partition_key == b"k"
    assert (first.sequence_number, got.sequence_number) == (0, 1)
    assert got.offset
    assert first.offset
    assert got.enqueued_time
    assert int(got.offset) > int(first.offset)
    assert abs(datetime.now(UTC) - got.enqueued_time) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("position", "inclusive", "expected"),
    [
        ("-1", False, [b"0", b"1", b"2", b"3"]),
        (1, False, [b"2", b"3"]),
        (1, True, [b"1", b"2", b"3"]),
        (datetime(2020, 1, 1, tzinfo=UTC), False, [b"0", b"1", b"2", b"3"]),
    ],
    ids=["the first", "after a sequence number", "from a sequence number", "a time"],
)
async def test_reading_starts_where_asked(
    broker: EventHubsBroker, position: object, inclusive: bool, expected: list[bytes]
) -> None:
    await send(broker, [b"0", b"1", b"2", b"3"], partition_id="0")
    got = await read(
        consumer(broker), len(expected), partition_id="0", starting_position=position,
        starting_position_inclusive=inclusive,
    )  # fmt: skip
    assert bodies(got["0"]) == expected


async def test_reading_after_an_offset_or_from_the_latest_sees_only_what_follows(broker: EventHubsBroker) -> None:
    await send(broker, [b"0", b"1", b"2"], partition_id="0")
    middle = (await read(consumer(broker), 3))["0"][1]
    after = await read(consumer(broker), 1, partition_id="0", starting_position=middle.offset)
    assert bodies(after["0"]) == [b"2"]

    late = asyncio.create_task(read(consumer(broker), 1, partition_id="0", starting_position="@latest"))
    await until(lambda: bool(broker.hubs[HUB].partitions["0"].readers))
    await send(broker, [b"3"], partition_id="0")
    assert bodies((await late)["0"]) == [b"3"]


async def test_the_management_node_tells_hubs_partitions_and_their_ends(broker: EventHubsBroker) -> None:
    await send(broker, [b"0", b"1"], partition_id="2")
    async with consumer(broker) as client:
        hub = await client.get_eventhub_properties()
        assert (hub["eventhub_name"], hub["partition_ids"]) == (HUB, ["0", "1", "2", "3"])
        full = await client.get_partition_properties("2")
        assert (full["beginning_sequence_number"], full["last_enqueued_sequence_number"]) == (0, 1)
        assert full["is_empty"] is False
        assert abs(datetime.now(UTC) - full["last_enqueued_time_utc"]) < timedelta(minutes=1)
        empty = await client.get_partition_properties("3")
        assert (empty["last_enqueued_sequence_number"], empty["last_enqueued_offset"]) == (-1, "-1")
        assert empty["is_empty"] is True


async def test_an_unknown_hub_partition_or_consumer_group_is_not_found(broker: EventHubsBroker) -> None:
    async with producer(broker, "nowhere") as client:
        with pytest.raises(EventHubError, match="NotFound"):
            await client.get_eventhub_properties()
        with pytest.raises(EventHubError, match="NotFound"):
            await client.send_event(EventData(b"x"))
    async with producer(broker) as client:
        with pytest.raises(EventHubError, match="Invalid partition 9"):
            await client.send_event(EventData(b"x"), partition_id="9")
    assert "could not be found" in await refusal(consumer(broker, group="nobody", retry_total=0))
    assert broker.count(HUB) == 0


async def test_a_wrong_key_opens_nothing() -> None:
    async with EventHubsBroker({HUB: 1}, key="right") as strict:
        wrong = strict.connection_string.replace("SharedAccessKey=right", "SharedAccessKey=another")
        client = AsyncProducerClient.from_connection_string(wrong, eventhub_name=HUB, retry_total=0)
        async with client:
            with pytest.raises(AuthenticationError, match="invalid signature"):
                await client.send_event(EventData(b"x"))
        assert strict.count(HUB) == 0


def signature(resource: str, key: str, expires: float) -> str:
    """A shared access signature, as the Event Hubs documentation spells its making."""
    signed = f"{quote_plus(resource)}\n{int(expires)}".encode()
    digest = base64.b64encode(hmac.new(key.encode(), signed, hashlib.sha256).digest()).decode()
    return f"SharedAccessSignature sr={quote_plus(resource)}&sig={quote_plus(digest)}&se={int(expires)}&skn=Rule"


@pytest.mark.parametrize(
    ("token", "status", "opens"),
    [
        (signature("sb://host/events", "right", time.time() + 3600), 200, {"events", "Events/Partitions/0"}),
        (signature("sb://host/", "right", time.time() + 3600), 200, {"events", "Events/Partitions/0", "eventsandmore"}),
        (signature("sb://host/events", "right", time.time() - 1), 401, set()),
        (signature("sb://host/events", "wrong", time.time() + 3600), 401, set()),
        ("no signature at all", 401, set()),
    ],
    ids=["one hub", "the namespace", "expired", "another key", "malformed"],
)
def test_a_signature_opens_what_it_names_until_it_expires(token: str, status: int, opens: set[str]) -> None:
    authorizer = Authorizer("right")
    assert authorizer.put_token(token).status == status
    assert {path for path in ("events", "Events/Partitions/0", "eventsandmore") if authorizer.allows(path)} == opens


async def test_a_higher_epoch_takes_the_partition_over_and_a_lower_one_is_refused(broker: EventHubsBroker) -> None:
    losses: list[Exception] = []

    async def on_error(context: PartitionContext | None, error: Exception) -> None:
        losses.append(error)

    readers = broker.hubs[HUB].partitions["0"].readers
    one = {"on_event_batch": ignore, "partition_id": "0"}
    async with receiving(consumer(broker, retry_total=0), owner_level=1, on_error=on_error, **one):
        await until(lambda: [reader.epoch for reader in readers] == [1])
        async with receiving(consumer(broker, retry_total=0), owner_level=2, **one):
            await until(lambda: bool(losses))
            assert "higher epoch" in str(losses[0])
            assert [reader.epoch for reader in readers] == [2]

            assert "higher epoch" in await refusal(consumer(broker, retry_total=0), owner_level=1)
            assert "higher epoch" in await refusal(consumer(broker, retry_total=0))
            assert [reader.epoch for reader in readers] == [2]


async def test_a_sixth_reader_without_an_epoch_is_one_too_many(broker: EventHubsBroker) -> None:
    async with AsyncExitStack() as five:
        for _ in range(5):
            await five.enter_async_context(receiving(consumer(broker), on_event_batch=ignore, partition_id="0"))
        await until(lambda: len(broker.hubs[HUB].partitions["0"].readers) == 5)
        assert "maximum number of allowed receivers" in await refusal(consumer(broker, retry_total=0))


async def test_the_largest_batch_fits_and_a_larger_message_is_refused(broker: EventHubsBroker) -> None:
    async with producer(broker) as client:
        batch = await client.create_batch(partition_id="0")
        assert batch.max_size_in_bytes == 1024 * 1024
        batch.add(EventData(b"x" * (1024 * 1024 - 200)))
        await client.send_batch(batch)
        assert broker.count(HUB) == 1

        unchecked = EventDataBatch(3 * 1024 * 1024, partition_id="0")
        unchecked.add(EventData(b"x" * (2 * 1024 * 1024)))
        with pytest.raises(EventHubError, match="exceeds the limit"):
            await client.send_batch(unchecked)
    assert broker.count(HUB) == 1


@pytest.fixture
async def broken_connections() -> AsyncIterator[None]:
    """The official client leaves the sockets of connections that break; collect them where nobody is told."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_clients_come_back_after_a_broken_connection_and_after_a_restart(
    broker: EventHubsBroker, broken_connections: None
) -> None:
    got: list[bytes] = []

    async def handle(context: PartitionContext, events: list[EventData]) -> None:
        got.extend(bodies(events))

    sender = AsyncProducerClient.from_connection_string(
        broker.connection_string, eventhub_name="other", retry_backoff_factor=0.1
    )
    client = consumer(broker, "other", retry_backoff_factor=0.1)
    async with receiving(client, on_event_batch=handle), sender:
        await sender.send_event(EventData(b"0"))
        await until(lambda: got == [b"0"])
        broker.drop_connections()
        await sender.send_event(EventData(b"1"))
        await until(lambda: set(got) == {b"0", b"1"})
        await broker.__aexit__(None, None, None)
        await broker.__aenter__()
        await sender.send_event(EventData(b"2"))
        await until(lambda: set(got) == {b"0", b"1", b"2"})


def test_alone_it_serves_the_synchronous_client_until_interrupted() -> None:
    arguments = [sys.executable, "-m", "local.eventhubs", "--hub", "alone:2", "--key", "its own"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        connection_string = process.stdout.readline().strip()
        client = EventHubProducerClient.from_connection_string(connection_string)
        with client:
            client.send_event(EventData(b"x"), partition_id="1")
            assert client.get_partition_properties("1")["last_enqueued_sequence_number"] == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
