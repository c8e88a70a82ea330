"""G17: no throttling from a server with ARM's buckets, and little time lost to caution."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from local.arm.calls import ArmError as ServerError
from local.arm.throttle import Throttle
from shared.clock import Clock
from shared.reconcile.apply.executor import Apply, Status
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.arm.token_buckets import ACROSS, HEADROOM, READS, STEP, WRITES, Pacer
from shared.reconcile.model import ResourceId
from shared.reconcile.plan.model import Action, Item, Plan
from tests.unit.reconcile.bodies import INSTANCE, body, desired, place, subscription
from tests.unit.reconcile.virtual import clock, run

LATENCY = 0.1
ALLOWED = 1.3


class Server:
    """ARM's buckets and a fixed latency before a store of automations; a refusal is counted and raised."""

    def __init__(self, time: Clock) -> None:
        self._time = time
        self.throttle = Throttle(time.monotonic)
        self.store: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.groups: set[str] = set()
        self.sent = {"reads": 0, "writes": 0}

    async def serve(self, method: str, subscription_id: str) -> None:
        self.sent["reads" if method == "GET" else "writes"] += 1
        self.throttle.take(method, subscription_id, "me")
        await self._time.sleep(LATENCY)


class ServedArm(Arm):
    """The app's pacing and counting in front of that server, without the wire."""

    def __init__(self, time: Clock, server: Server) -> None:
        self._pacer = Pacer(time)
        self._server = server
        self.halt = str

    async def _turn(self, method: str, place: ResourceId) -> None:
        await self._pacer.turn(place.subscription_id, write=method != "GET")
        await self._server.serve(method, place.subscription_id)

    async def get(self, place: ResourceId) -> dict[str, Any] | None:
        await self._turn("GET", place)
        return self._server.store.get(place.key)

    async def validate(self, place: ResourceId, body: Mapping[str, Any], towards: str = "") -> str:
        await self._turn("POST", place)
        return ""

    async def put(self, place: ResourceId, body: Mapping[str, Any], etag: str | None, towards: str = "") -> bool:
        await self._turn("PUT", place)
        there = place.key in self._server.store
        self._server.store[place.key] = {"id": str(place), **body}
        return there

    async def group_exists(self, place: ResourceId) -> bool:
        await self._turn("GET", place)
        return place.subscription_id in self._server.groups

    async def make_group(self, place: ResourceId, location: str, tags: Mapping[str, str]) -> None:
        await self._turn("PUT", place)
        self._server.groups.add(place.subscription_id)


class NoSecrets:
    async def prepare(self, configs: Any) -> Any:
        return {}

    def seal(self, export: str, body: dict[str, Any]) -> dict[str, Any]:
        return body


def least_seconds(reads: int, writes: int, serial: float) -> float:
    """What the buckets across subscriptions and the latency of one subscription's steps allow."""
    waits = [
        max(0.0, (count - rate.size * ACROSS) / (rate.refill * ACROSS))
        for count, rate in ((reads, READS), (writes, WRITES))
    ]
    return max(waits) + serial


def creates(subscriptions: int) -> Plan:
    wanted = [desired(body(), at=place(subscription(number).id)) for number in range(subscriptions)]
    return Plan(tuple(Item(Action.CREATE, one.id, one.export, desired=one) for one in wanted))


@pytest.mark.parametrize("subscriptions", [2000, 5000])
@pytest.mark.slow
def test_thousands_of_creates_are_never_throttled_and_take_little_longer_than_the_buckets_allow(
    subscriptions: int,
) -> None:
    async def work() -> tuple[float, Server, list[Status]]:
        time = clock()
        server = Server(time)
        apply = Apply(ServedArm(time, server), NoSecrets(), INSTANCE, pause=time.sleep, concurrency=256)
        outcomes = await apply.carry_out(creates(subscriptions))
        return time.monotonic(), server, [outcome.status for outcome in outcomes]

    seconds, server, statuses = run(work())
    assert set(statuses) == {Status.CREATED}
    assert server.throttle.refused == 0
    assert server.sent == {"reads": 3 * subscriptions, "writes": 3 * subscriptions}
    steps = 6 * LATENCY
    assert seconds < ALLOWED * least_seconds(3 * subscriptions, 3 * subscriptions, steps * subscriptions / 256)


@pytest.mark.parametrize("write", [True, False])
def test_one_subscription_is_held_to_its_own_bucket(write: bool) -> None:
    async def work() -> tuple[float, int]:
        time = clock()
        pacer, throttle = Pacer(time), Throttle(time.monotonic)
        for _ in range(600):
            await pacer.turn("s", write=write)
            throttle.take("PUT" if write else "GET", "s", "me")
        return time.monotonic(), throttle.refused

    rate = WRITES if write else READS
    seconds, refused = run(work())
    least = (600 - rate.size) / rate.refill
    assert refused == 0
    assert least <= seconds < ALLOWED * least


def test_without_pacing_the_server_refuses() -> None:
    async def work() -> None:
        throttle = Throttle(clock().monotonic)
        for _ in range(201):
            throttle.take("PUT", "s", "me")

    with pytest.raises(ServerError, match="requests"):
        run(work())


def test_a_burst_goes_at_once() -> None:
    async def work() -> float:
        pacer = Pacer(clock())
        for number in range(100):
            await pacer.turn(str(number), write=True)
        return asyncio.get_running_loop().time()

    assert run(work()) == 0


def test_a_429_means_that_others_drink_from_the_same_bucket() -> None:
    async def work() -> float:
        time = clock()
        pacer = Pacer(time)
        await pacer.turn("S", write=True)
        pacer.throttled("s", write=True)
        await pacer.turn("s", write=True)
        return time.monotonic()

    assert run(work()) > 0


def test_tokens_come_back_but_never_more_than_the_bucket_holds() -> None:
    async def work() -> tuple[float, float]:
        time = clock()
        pacer = Pacer(time)
        await time.sleep(3600)
        for _ in range(int(WRITES.size * 0.97)):
            await pacer.turn("s", write=True)
        before = time.monotonic()
        await pacer.turn("s", write=True)
        await pacer.turn("s", write=True)
        return before, time.monotonic()

    before, after = run(work())
    assert before == 3600
    assert after > before


@pytest.mark.parametrize("start", [0.0, 0.1, 1234.567])
@pytest.mark.parametrize("write", [True, False])
def test_those_who_wait_are_let_go_several_at_a_time_none_early_and_none_a_step_late(write: bool, start: float) -> None:
    rate = (WRITES if write else READS).times(ACROSS * HEADROOM)
    waiting = 500

    async def work() -> list[float]:
        time = clock()
        await time.sleep(start)
        pacer = Pacer(time)
        for number in range(int(rate.size)):
            await pacer.turn(str(number), write=write)

        async def let_go(number: int) -> float:
            await pacer.turn(f"later {number}", write=write)
            return time.monotonic() - start

        return await asyncio.gather(*[let_go(number) for number in range(waiting)])

    ended = run(work())
    missing = 1 - rate.size % 1  # of the first one's token
    due = [(number + missing) / rate.refill for number in range(waiting)]
    assert all(there - 1e-6 <= at <= there + STEP + 1e-6 for there, at in zip(due, ended, strict=True))
    assert ended == sorted(ended)
    assert len(set(ended)) <= waiting / rate.refill / STEP + 2


@pytest.mark.parametrize("latency", [0.002, 0.1])
@pytest.mark.parametrize("workers", [1, 32, 256])
def test_letting_go_several_at_a_time_takes_no_longer_and_is_never_refused(workers: int, latency: float) -> None:
    count = int(WRITES.size * ACROSS) + 1000

    async def work() -> tuple[float, int]:
        time = clock()
        pacer, throttle = Pacer(time), Throttle(time.monotonic)
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await pacer.turn(str(number), write=True)
                throttle.take("PUT", str(number), "me")
                await time.sleep(latency)

        await asyncio.gather(*[worker() for _ in range(workers)])
        return time.monotonic(), throttle.refused

    seconds, refused = run(work())
    by_buckets = (count - WRITES.size * ACROSS * HEADROOM) / (WRITES.refill * ACROSS * HEADROOM)
    assert refused == 0
    assert seconds <= max(by_buckets, count * latency / workers) * 1.03 + STEP + latency


def test_one_after_the_other_in_one_subscription_waits_less_than_a_step_beyond_its_token() -> None:
    async def work() -> list[float]:
        time = clock()
        pacer = Pacer(time)
        ended = []
        for _ in range(int(WRITES.size) + 100):
            await pacer.turn("s", write=True)
            ended.append(time.monotonic())
        return ended

    ended = run(work())
    rate = WRITES.times(HEADROOM)
    assert all(at <= max(0.0, (number + 1 - rate.size) / rate.refill) + STEP + 1e-6 for number, at in enumerate(ended))
