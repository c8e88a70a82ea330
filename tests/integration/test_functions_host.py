import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.queue.aio import QueueServiceClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.eventhubs import EventHubsBroker
from local.host import FunctionsHost
from local.host.config import HostConfig, resolve, time_span
from local.host.functions import RetryPolicy
from local.host.http import Keys
from local.host.ncrontab import Schedule
from local.identity import Identity
from local.tokens import Principal, TokenAuthority

APP = Path(__file__).resolve().parent.parent / "apps" / "function_app.py"
KEYS = Keys(master="master-key", host="host-key", functions={"get_item": "item-key"})
NEVER = "0 0 0 29 2 *"
HOST_JSON = {
    "extensions": {
        "queues": {"maxDequeueCount": 3},
        "eventHubs": {"maxEventBatchSize": 3},
    }
}


@pytest.fixture
def settings(
    broker: EventHubsBroker, storage: StorageAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    values = {
        "AzureWebJobsStorage": storage.connection_string,
        "Hub": broker.connection_string,
        "HUB": "events",
        "WORK_QUEUE": "work",
        "TICK_SCHEDULE": NEVER,
        "RECORD_FILE": str(tmp_path / "calls.jsonl"),
    }
    monkeypatch.setenv("RECORD_FILE", values["RECORD_FILE"])
    return values


def calls(settings: Mapping[str, str], function: str) -> list[dict[str, Any]]:
    file = Path(settings["RECORD_FILE"])
    lines = file.read_text().splitlines() if file.exists() else []
    return [call for call in map(json.loads, lines) if call["function"] == function]


@asynccontextmanager
async def running(
    settings: Mapping[str, str], only: str = "", host_json: Mapping[str, Any] = HOST_JSON, **extra: str
) -> AsyncIterator[FunctionsHost]:
    """The host with the sample app; with `only`, the other functions that listen are disabled."""
    listening = {"tick", "work", "plain_events", "retried_events"}
    off = {f"AzureWebJobs.{name}.Disabled": "1" for name in listening - {only}}
    async with FunctionsHost(APP, {**settings, **off, **extra}, config=HostConfig.parse(host_json), keys=KEYS) as host:
        yield host


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.02)


async def send(broker: EventHubsBroker, *bodies: str, partition: str = "0", key: str | None = None) -> None:
    client = EventHubProducerClient.from_connection_string(broker.connection_string, eventhub_name="events")
    async with client:
        batch = await client.create_batch(partition_id=None if key else partition, partition_key=key)
        for body in bodies:
            batch.add(EventData(body))
        await client.send_batch(batch)


async def checkpoint(settings: Mapping[str, str], broker: EventHubsBroker, group: str = "$Default") -> int:
    """The last sequence number that partition 0's checkpoint holds, -1 without one."""
    store = BlobCheckpointStore.from_connection_string(settings["AzureWebJobsStorage"], "azure-webjobs-eventhub")
    async with store:
        kept = await store.list_checkpoints(f"127.0.0.1:{broker.port}", "events", group)
    return max((int(one["sequence_number"] or 0) for one in kept if one["partition_id"] == "0"), default=-1)


async def reached(settings: Mapping[str, str], broker: EventHubsBroker, number: int, group: str = "$Default") -> bool:
    return await checkpoint(settings, broker, group) >= number


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "/api/items/one", "host-key", 200),
        ("GET", "/api/items/one", "master-key", 200),
        ("GET", "/api/items/one", "item-key", 200),
        ("GET", "/api/Items/one", "host-key", 200),
        ("GET", "/api/items/one", "", 401),
        ("GET", "/api/items/one", "wrong", 401),
        ("PUT", "/api/items/one", "item-key", 401),
        ("PUT", "/api/items/one", "host-key", 201),
        ("DELETE", "/api/items/one", "host-key", 404),
        ("GET", "/items/one", "host-key", 404),
        ("GET", "/api/items/one/two", "host-key", 404),
        ("GET", "/api/open", "", 200),
        ("POST", "/api/open", "", 200),
        ("GET", "/api/vault", "host-key", 401),
        ("GET", "/api/vault", "master-key", 200),
    ],
)
async def test_routes_methods_and_keys_open_what_they_should(
    settings: dict[str, str], method: str, path: str, key: str, status: int
) -> None:
    async with running(settings) as host, aiohttp.ClientSession(host.url) as client:
        by_header = await client.request(method, path, headers={"x-functions-key": key} if key else {})
        by_query = await client.request(method, path, params={"code": key} if key else {})
        assert (by_header.status, by_query.status) == (status, status)


async def test_a_request_and_its_answer_pass_through_whole(settings: dict[str, str]) -> None:
    async with (
        running(settings) as host,
        aiohttp.ClientSession(host.url, headers={"x-functions-key": "host-key"}) as client,
    ):
        got = await client.get("/api/items/a%20b", params={"q": "1"})
        assert got.headers["ETag"] == '"1"'
        assert got.content_type == "application/json"
        found = await got.json()
        assert (found["route"], found["query"], found["self"]) == ({"name": "a b"}, {"q": "1"}, "get_item")
        assert await (await client.get("/api/items/check")).text() == "checked"
        assert (await (await client.put("/api/items/x", data=b"body ")).text()).startswith("body function")


async def test_the_route_prefix_comes_from_host_json(settings: dict[str, str]) -> None:
    plain = {"extensions": {"http": {"routePrefix": ""}}}
    async with running(settings, host_json=plain) as host, aiohttp.ClientSession(host.url) as client:
        assert (await client.get("/open")).status == 200
        assert (await client.get("/api/open")).status == 404


async def test_a_handler_that_raises_is_500_and_says_nothing(settings: dict[str, str], caplog: Any) -> None:
    async with running(settings) as host, aiohttp.ClientSession(host.url) as client:
        answer = await client.get("/api/broken")
        assert (answer.status, await answer.text()) == (500, "")
    assert "secret word" not in caplog.text


async def test_a_disabled_function_has_no_route(settings: dict[str, str]) -> None:
    off = {"AzureWebJobs.open_door.Disabled": "true"}
    async with running({**settings, **off}) as host, aiohttp.ClientSession(host.url) as client:
        assert (await client.get("/api/open")).status == 404


async def test_an_invocation_ends_at_the_function_timeout(settings: dict[str, str]) -> None:
    brief = {"functionTimeout": "00:00:00.2"}
    async with running(settings, host_json=brief) as host, aiohttp.ClientSession(host.url) as client:
        assert (await client.get("/api/slow")).status == 500
        assert [one.outcome for one in host.invocations] == ["timed out"]


async def test_the_admin_route_fires_a_timer_for_the_master_key_alone(settings: dict[str, str]) -> None:
    async with running(settings, "tick") as host, aiohttp.ClientSession(host.url) as client:
        for key, status in (("host-key", 401), ("", 401), ("master-key", 202)):
            headers = {"x-functions-key": key}
            assert (await client.post("/admin/functions/tick", headers=headers, json={})).status == status
        assert (await client.post("/admin/functions/none", headers=headers, json={})).status == 404
        await until(lambda: len(calls(settings, "tick")) == 1)


async def test_a_timer_fires_on_its_schedule(settings: dict[str, str]) -> None:
    async with running(settings, "tick", TICK_SCHEDULE="* * * * * *"):
        await until(lambda: len(calls(settings, "tick")) >= 2)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 */15 * * * *", "2026-11-22T10:14:59", "2026-11-22T10:15:00"),
        ("0 */15 * * * *", "2026-11-22T10:15:00", "2026-11-22T10:30:00"),
        ("30 5 3 * * *", "2026-12-31T03:05:30", "2027-01-01T03:05:30"),
        ("0 0 9-17/4 * * MON-FRI", "2026-11-20T17:00:00", "2026-11-23T09:00:00"),
        ("0 0 0 13 * 5", "2026-11-22T00:00:00", "2027-08-13T00:00:00"),
        ("0 0 0 29 2 *", "2026-11-22T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 * JAN 0", "2026-11-22T00:00:00", "2027-01-03T00:00:00"),
        ("*/5 * * * *", "2026-11-22T10:00:00", "2026-11-22T10:05:00"),
    ],
)
def test_ncrontab_has_seconds_first_and_joins_all_fields_with_and(expression: str, after: str, expected: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert Schedule.parse(expression).after(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("expression", ["", "* * * *", "60 * * * * *", "0 0 24 * * *", "x * * * * *", "0 0 0 0 * *"])
def test_what_is_no_ncrontab_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Schedule.parse(expression)


async def test_a_queue_message_is_decoded_retried_and_then_poison(settings: dict[str, str]) -> None:
    async with QueueServiceClient.from_connection_string(settings["AzureWebJobsStorage"]) as queues:
        queue = await queues.create_queue("work")
        for text in (base64.b64encode(b"good").decode(), base64.b64encode(b"bad").decode(), "no base64!"):
            await queue.send_message(text)
        poison = queues.get_queue_client("work-poison")
        async with running(settings, "work"):
            await until(lambda: len(calls(settings, "work")) >= 4)

            async def poisoned() -> list[str]:
                return [message.content for message in await poison.peek_messages(max_messages=10)]

            async def both_are_poison() -> bool:
                return len(await poisoned()) == 2

            await until(both_are_poison)
        assert sorted(await poisoned()) == sorted([base64.b64encode(b"bad").decode(), "no base64!"])
        assert await queue.peek_messages() == []
    made = [(call["text"], call["dequeue_count"]) for call in calls(settings, "work")]
    assert sorted(made) == [("bad", 1), ("bad", 2), ("bad", 3), ("good", 1)]


async def test_message_encoding_none_takes_the_text_as_it_is(settings: dict[str, str]) -> None:
    plain = {"extensions": {"queues": {"messageEncoding": "none"}}}
    async with QueueServiceClient.from_connection_string(settings["AzureWebJobsStorage"]) as queues:
        await (await queues.create_queue("work")).send_message('{"job": 1}')
    async with running(settings, "work", plain):
        await until(lambda: bool(calls(settings, "work")))
    assert [call["text"] for call in calls(settings, "work")] == ['{"job": 1}']


async def test_event_batches_carry_their_place_and_never_exceed_the_batch_size(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    await send(broker, *(str(number) for number in range(7)), key="alpha")
    async with running(settings, "plain_events"):
        await until(lambda: sum(len(call["bodies"]) for call in calls(settings, "plain_events")) == 7)
    made = calls(settings, "plain_events")
    assert [body for call in made for body in call["bodies"]] == [str(number) for number in range(7)]
    assert [number for call in made for number in call["sequence_numbers"]] == list(range(7))
    assert max(len(call["bodies"]) for call in made) == 3
    assert {key for call in made for key in call["keys"]} == {"alpha"}
    assert all(call["timed"] and call["group"] == "$Default" for call in made)
    [partition] = {call["partition"] for call in made}
    assert len(broker.hubs["events"].partitions[partition].events) == 7


async def test_a_batch_waits_for_its_smallest_size_but_not_forever(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    options = {"maxEventBatchSize": 10, "minEventBatchSize": 3, "maxWaitTime": "00:00:02"}
    async with running(settings, "plain_events", {"extensions": {"eventHubs": options}}):
        await send(broker, "0")
        await send(broker, "1")
        await send(broker, "2")
        await until(lambda: sum(len(call["bodies"]) for call in calls(settings, "plain_events")) == 3)
        assert len(calls(settings, "plain_events")) <= 2
        await send(broker, "3")
        await until(lambda: sum(len(call["bodies"]) for call in calls(settings, "plain_events")) == 4)


async def test_without_a_retry_policy_the_checkpoint_moves_past_a_failure(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    await send(broker, "fail", "ok")
    async with running(settings, "plain_events") as host:
        await until(lambda: bool(host.invocations))
        await until(lambda: reached(settings, broker, 1))
        assert {one.outcome for one in host.invocations} == {"failed"}
    assert len(calls(settings, "plain_events")) == 1


async def test_with_a_retry_policy_the_checkpoint_waits_for_its_end(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    await send(broker, "fail twice")
    async with running(settings, "retried_events") as host:
        await until(lambda: len(host.invocations) == 3)
        await send(broker, "fail")
        await until(lambda: len(host.invocations) == 6)
        await until(lambda: reached(settings, broker, 1, "second"))
        assert [one.outcome for one in host.invocations] == ["failed", "failed", "succeeded", *["failed"] * 3]
    assert [call["retries"] for call in calls(settings, "retried_events")] == [0, 1, 2, 0, 1, 2]


async def test_a_stop_in_the_middle_writes_no_checkpoint_and_the_batch_comes_again(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    await send(broker, "hang")
    async with running(settings, "plain_events") as host:
        await until(lambda: len(calls(settings, "plain_events")) == 1)
        await host.stop(graceful=False)
        assert [one.outcome for one in host.invocations] == ["stopped"]
    assert await checkpoint(settings, broker) == -1
    async with running(settings, "plain_events") as host:
        await until(lambda: len(calls(settings, "plain_events")) == 2)
        await host.stop(graceful=False)


async def test_a_timeout_keeps_the_checkpoint_and_the_batch_comes_again(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    await send(broker, "hang")
    async with running(settings, "plain_events", {"functionTimeout": "00:00:01"}) as host:
        await until(lambda: len(calls(settings, "plain_events")) >= 2)
        assert host.invocations[0].outcome == "timed out"
        assert await checkpoint(settings, broker) == -1


@asynccontextmanager
async def process(
    settings: Mapping[str, str], only: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    listening = {"tick", "work", "plain_events", "retried_events"}
    off = {f"AzureWebJobs.{name}.Disabled": "1" for name in listening - {only}}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.host", "--app", str(APP), "--port", "0",
        stdout=asyncio.subprocess.PIPE, env={**os.environ, **settings, **off},
    )  # fmt: skip
    try:
        assert child.stdout
        yield child, json.loads(await asyncio.wait_for(child.stdout.readline(), 60))
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def test_a_killed_process_leaves_its_batch_for_the_next_one(
    settings: dict[str, str], broker: EventHubsBroker
) -> None:
    await send(broker, "done")
    async with process(settings, "plain_events") as (first, _):
        await until(lambda: reached(settings, broker, 0))
        await send(broker, "hang")
        await until(lambda: len(calls(settings, "plain_events")) == 2)
        first.kill()
        await first.wait()
    async with process(settings, "plain_events"):
        await until(lambda: len(calls(settings, "plain_events")) == 3)
    assert [call["bodies"] for call in calls(settings, "plain_events")] == [["done"], ["hang"], ["hang"]]


async def test_a_process_says_when_it_is_ready_and_ends_on_a_signal(settings: dict[str, str]) -> None:
    async with process(settings, "tick") as (child, ready):
        async with aiohttp.ClientSession(ready["url"]) as client:
            headers = {"x-functions-key": ready["masterKey"]}
            assert (await client.get("/admin/host/status", headers=headers)).status == 200
            assert (await client.post("/admin/functions/tick", headers=headers, json={})).status == 202
            await until(lambda: len(calls(settings, "tick")) == 1)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(child.wait(), 30) == 0


def test_retry_delays_are_fixed_or_double_up_to_the_longest() -> None:
    fixed = RetryPolicy.read({"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:10"})
    assert [fixed.delay(n) for n in range(3)] == [10, 10, 10]
    assert [fixed.allows(n) for n in range(5)] == [True, True, True, False, False]
    growing = RetryPolicy.read(
        {
            "strategy": "exponential_backoff",
            "max_retry_count": "-1",
            "minimum_interval": "00:00:05",
            "maximum_interval": "00:01:00",
        }
    )
    assert [growing.delay(n) for n in range(6)] == [5, 10, 20, 40, 60, 60]
    assert growing.allows(10**9)
    with pytest.raises(ValueError, match="unconverted"):
        RetryPolicy.read({"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:00.5"})


def test_settings_and_time_spans_are_read_as_the_host_does() -> None:
    assert resolve("%A%-%B%", {"A": "x", "B": "y"}) == "x-y"
    with pytest.raises(KeyError):
        resolve("%MISSING%", {})
    assert time_span("1.02:03:04.5") == timedelta(days=1, hours=2, minutes=3, seconds=4.5)


async def test_identity_based_storage_serves_queues_and_checkpoints(
    settings: dict[str, str],
    broker: EventHubsBroker,
    storage: StorageAccount,
    local_certs: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del settings["AzureWebJobsStorage"]
    principal = Principal("host-object", "host-client")
    async with Identity(TokenAuthority(), local_certs, identities=[principal]) as identity:
        for name, value in identity.environment(principal.app_id).items():
            monkeypatch.setenv(name, value)
        async with QueueServiceClient.from_connection_string(storage.connection_string) as queues:
            await (await queues.create_queue("work")).send_message(base64.b64encode(b"good").decode())
        await send(broker, "one")
        by_identity = settings | storage.identity_settings() | {"AZURE_CLIENT_ID": principal.app_id}
        async with running(by_identity, "work"):
            await until(lambda: len(calls(settings, "work")) == 1)
        async with running(by_identity, "plain_events"):
            await until(lambda: len(calls(settings, "plain_events")) == 1)
            kept = {"AzureWebJobsStorage": storage.connection_string}
            await until(lambda: reached(kept, broker, 0))
