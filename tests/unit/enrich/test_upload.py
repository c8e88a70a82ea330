from __future__ import annotations

import asyncio
import gc
import math
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.clock import Clock
from shared.enrich.delivery.ingestion_status import Answer
from shared.enrich.delivery.upload import Deliverer, Report
from tests.virtual_time import START, virtual_clock, virtually

BUSY = Answer(429, "TooManyRequests")
DOWN = Answer(503)
FORBIDDEN = Answer(403, "OperationFailed")
EXPIRED = Answer(401)
BAD = Answer(400, "InvalidRequestContent")
OK = Answer(204)


@dataclass(frozen=True)
class Rows:
    """A body whose rows are numbers, readable by the fake service."""

    rows: tuple[int, ...]
    stream: str = "Custom-Numbers_CL"

    @property
    def data(self) -> bytes:
        return ",".join(map(str, self.rows)).encode()

    @property
    def size(self) -> int:
        return len(self.data)

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> Self:
        return type(self)(self.rows[start:stop], self.stream)


@dataclass
class Service:
    """A Logs Ingestion that answers as told and remembers what it took."""

    answer: Callable[[list[int]], Answer] = lambda _: OK
    latency: float = 0.1
    stored: list[int] = field(default_factory=list)
    requests: int = 0
    renewals: int = 0
    running: int = 0
    most_running: int = 0

    async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 - the edge's signature
        self.requests += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(self.latency)
        self.running -= 1
        rows = [int(row) for row in data.split(b",")]
        answer = self.answer(rows)
        if answer.status == 204:
            self.stored += rows
        return answer

    async def renew_token(self) -> None:
        await asyncio.sleep(self.latency)
        self.renewals += 1


def deliver(
    service: Service, bodies: list[Rows], *, seconds: float = 360, concurrency: int = 8
) -> tuple[Report[Rows], float, Deliverer]:
    async def scenario() -> tuple[Report[Rows], float, Deliverer]:
        clock = virtual_clock()
        deliverer = Deliverer(service, concurrency, clock, random.Random(1).uniform)
        report = await deliverer.deliver(bodies, clock.deadline(seconds))
        return report, clock.monotonic(), deliverer

    return virtually(scenario())


def script(*answers: Answer, then: Answer = OK) -> Callable[[list[int]], Answer]:
    remaining = list(answers)
    return lambda _: remaining.pop(0) if remaining else then


def refused_rows(report: Report[Rows]) -> list[int]:
    return sorted(row for refusal in report.refused for row in refusal.body.rows)


def test_what_is_accepted_is_sent_once() -> None:
    service = Service()
    report, _, _ = deliver(service, [Rows((1, 2)), Rows((3,))])
    assert sorted(service.stored) == [1, 2, 3]
    assert (report.requests, report.retries, report.refused) == (2, 0, [])


@pytest.mark.parametrize("answer", [BUSY, DOWN, Answer(500), Answer(502), Answer(504), Answer(408), Answer(0, "Reset")])
def test_what_may_pass_is_sent_again(answer: Answer) -> None:
    service = Service(script(answer, answer))
    report, _, _ = deliver(service, [Rows((1,))])
    assert service.stored == [1]
    assert report.retries == 2


def test_retry_after_is_honoured_and_never_undercut() -> None:
    service = Service(script(Answer(429, retry_after=42)))
    _, seconds, _ = deliver(service, [Rows((1,))])
    assert 42 <= seconds < 44


@pytest.mark.parametrize("asked", [61, 1000, 86400, 1e300])
def test_whatever_the_service_asks_for_it_is_tried_again_within_a_minute(asked: float) -> None:
    service = Service(script(Answer(429, retry_after=asked)))
    _, seconds, _ = deliver(service, [Rows((1,))])
    assert service.stored == [1]
    assert 60 <= seconds < 61


def test_a_day_asked_for_each_time_costs_one_request_a_minute_and_says_throttled() -> None:
    service = Service(lambda _: Answer(429, retry_after=86400))
    report, seconds, _ = deliver(service, [Rows((n,)) for n in range(40)])
    assert seconds <= 360
    assert service.requests <= 8 + 6  # the first round was under way; then one a minute finds out
    assert {refusal.answer.reason for refusal in report.refused} == {"throttled"}
    assert refused_rows(report) == list(range(40))


def test_a_pause_beyond_the_deadline_ends_at_once_and_says_throttled() -> None:
    service = Service(script(Answer(429, retry_after=1000)))
    report, seconds, _ = deliver(service, [Rows((n,)) for n in range(3)], seconds=20, concurrency=1)
    assert seconds < 1
    assert service.requests == 1
    assert [refusal.answer.reason for refusal in report.refused] == ["throttled"] * 3


def test_no_upload_begins_in_a_pause_that_began_while_it_waited_for_its_turn() -> None:
    begun: list[float] = []
    first = script(Answer(429, retry_after=50))

    async def scenario() -> None:
        clock = virtual_clock()

        def answer(rows: list[int]) -> Answer:
            begun.append(clock.monotonic() - 0.1)
            return first(rows)

        deliverer = Deliverer(Service(answer), 8, clock, random.Random(1).uniform)
        await deliverer.deliver([Rows((n,)) for n in range(40)], clock.deadline(360))

    virtually(scenario())
    start = begun[0]
    assert [time for time in begun if 0.2 < time - start < 50] == []
    assert len(begun) == 41


def test_a_token_service_that_never_answers_does_not_hold_a_body_beyond_its_deadline() -> None:
    class Silent(Service):
        async def renew_token(self) -> None:
            await asyncio.sleep(10_000)

    report, seconds, _ = deliver(Silent(lambda _: EXPIRED), [Rows((n,)) for n in range(20)], seconds=60)
    assert seconds <= 60
    assert {refusal.answer.reason for refusal in report.refused} == {"no-access"}
    assert refused_rows(report) == list(range(20))


def test_a_token_that_is_late_is_waited_for_but_not_as_long_as_the_service() -> None:
    service = Service(script(*[Answer(0, "NoToken")] * 5))
    deliver(service, [Rows((1,))])
    assert service.stored == [1]
    report, seconds, _ = deliver(Service(lambda _: Answer(0, "NoToken")), [Rows((1,))])
    assert seconds <= 61
    assert [(refusal.outage, refusal.answer.reason) for refusal in report.refused] == [(True, "no-token")]


BAD_SETS: dict[str, Callable[[int, int, random.Random], set[int]]] = {
    "first": lambda k, _n, _: set(range(k)),
    "last": lambda k, n, _: set(range(n - k, n)),
    "spread": lambda k, n, _: {i * n // k for i in range(k)},
    "random": lambda k, n, chance: set(chance.sample(range(n), k)),
}


@pytest.mark.parametrize("count", [8, 9, 24, 25, 100, 499, 500])
@pytest.mark.parametrize("place", BAD_SETS)
@pytest.mark.parametrize("bodies", [1, 4])
def test_eight_to_500_bad_rows_among_1000_stop_no_good_one(count: int, place: str, bodies: int) -> None:
    bad = BAD_SETS[place](count, 1000, random.Random(count))
    service = Service(lambda rows: BAD if bad & set(rows) else OK)
    step = 1000 // bodies
    report, _, _ = deliver(service, [Rows(tuple(range(i, i + step))) for i in range(0, 1000, step)], seconds=36000)
    assert sorted(service.stored) == sorted(set(range(1000)) - bad)
    assert refused_rows(report) == sorted(bad)
    assert not any(refusal.outage for refusal in report.refused)


@pytest.mark.parametrize("bodies", [1, 5])
def test_a_stream_whose_every_row_is_refused_costs_few_requests_and_waits_as_an_outage(bodies: int) -> None:
    service = Service(lambda _: BAD)
    step = 1000 // bodies
    report, _, _ = deliver(service, [Rows(tuple(range(i, i + step))) for i in range(0, 1000, step)])
    assert service.requests <= 100
    assert refused_rows(report) == list(range(1000))
    waiting = [refusal for refusal in report.refused if refusal.outage]
    assert {(refusal.answer.reason, refusal.answer.code) for refusal in waiting} == {("stream-refused", BAD.code)}
    assert sum(map(len, (refusal.body for refusal in waiting))) >= 1000 - 24 - 8


def test_a_stream_that_is_refused_does_not_concern_another() -> None:
    service = Service(lambda rows: BAD if min(rows) < 1000 else OK)
    bodies = [Rows(tuple(range(1000))), Rows(tuple(range(1000, 2000)), "Custom-Others_CL")]
    deliver(service, bodies)
    assert sorted(service.stored) == list(range(1000, 2000))


@pytest.mark.parametrize("answer", [BUSY, DOWN, Answer(429, retry_after=5), Answer(0, "Timeout")])
def test_no_invocation_outlives_its_deadline(answer: Answer) -> None:
    service = Service(lambda _: answer, latency=2)
    report, seconds, _ = deliver(service, [Rows((n,)) for n in range(100)], seconds=60)
    assert seconds <= 62
    assert refused_rows(report) == list(range(100))
    assert all(refusal.outage for refusal in report.refused)


def test_under_sustained_429_concurrency_falls_to_one_and_requests_stay_few() -> None:
    service = Service(lambda _: BUSY)
    report, _, deliverer = deliver(service, [Rows((n,)) for n in range(50)], seconds=300)
    assert deliverer.limiter.limit == 1
    assert report.throttled == service.requests
    assert service.requests < 50 * 30


def test_concurrency_recovers_one_slot_a_round() -> None:
    service = Service(script(BUSY, BUSY, BUSY))
    _, _, deliverer = deliver(service, [Rows((n,)) for n in range(200)])
    assert len(service.stored) == 200
    assert deliverer.limiter.limit == 8
    assert service.most_running <= 8


def test_one_round_of_429_halves_once() -> None:
    service = Service(script(*[BUSY] * 8))
    _, _, deliverer = deliver(service, [Rows((n,)) for n in range(8)])
    assert 4 <= deliverer.limiter.limit <= 8
    assert service.stored


def test_many_expired_uploads_renew_the_token_once() -> None:
    service = Service()
    service.answer = lambda _: OK if service.renewals else EXPIRED
    report, _, _ = deliver(service, [Rows((n,)) for n in range(8)])
    assert service.renewals == 1
    assert len(service.stored) == 8
    assert report.requests == 16


def test_a_401_that_stays_is_an_outage_after_one_renewal_a_body() -> None:
    service = Service(lambda _: EXPIRED)
    report, _, _ = deliver(service, [Rows((1, 2, 3))])
    assert (service.requests, service.renewals) == (2, 1)
    assert [(refusal.outage, refusal.answer.reason) for refusal in report.refused] == [(True, "no-access")]


@pytest.mark.parametrize(
    "answer", [FORBIDDEN, Answer(404), Answer(400, "InvalidStream"), Answer(0, "NotConfigured", permanent=True)]
)
def test_an_outage_of_the_rule_is_neither_retried_nor_bisected(answer: Answer) -> None:
    service = Service(lambda _: answer)
    report, _, _ = deliver(service, [Rows(tuple(range(1000)))])
    assert service.requests == 1
    assert refused_rows(report) == list(range(1000))
    assert report.refused[0].outage


@given(n=st.integers(1, 1000), data=st.data(), status=st.sampled_from([400, 413, 422]))
@settings(max_examples=60, deadline=None)
def test_k_bad_rows_among_n_cost_at_most_k_times_2_log2_n_plus_1_requests_and_no_neighbour(
    n: int, data: st.DataObject, status: int
) -> None:
    bad = data.draw(st.sets(st.integers(0, n - 1), max_size=6))
    service = Service(lambda rows: Answer(status) if bad.intersection(rows) else OK)
    report, _, _ = deliver(service, [Rows(tuple(range(n)))])
    assert sorted(service.stored) == sorted(set(range(n)) - bad)
    assert refused_rows(report) == sorted(bad)
    assert not any(refusal.outage for refusal in report.refused)
    assert service.requests - 1 <= len(bad) * (2 * math.log2(n) + 1)


@pytest.mark.parametrize(("bad", "most"), [({500}, 21), ({3, 250, 500, 750, 998}, 105)])
def test_one_bad_row_among_a_thousand_costs_at_most_21_requests_and_five_105(bad: set[int], most: int) -> None:
    service = Service(lambda rows: BAD if bad.intersection(rows) else OK)
    report, _, _ = deliver(service, [Rows(tuple(range(1000)))])
    assert len(service.stored) == 1000 - len(bad)
    assert report.requests - 1 <= most


def test_when_everything_is_refused_the_deadline_ends_it() -> None:
    service = Service(lambda _: BAD, latency=1)
    report, seconds, _ = deliver(service, [Rows(tuple(range(1000)))], seconds=30)
    assert seconds <= 31
    assert refused_rows(report) == list(range(1000))


def test_a_400_with_retry_after_is_not_retried() -> None:
    service = Service(lambda _: Answer(400, retry_after=1))
    report, _, _ = deliver(service, [Rows((1,))])
    assert (report.requests, refused_rows(report)) == (1, [1])


def test_invocations_share_one_limit() -> None:
    service = Service()

    async def scenario() -> None:
        clock: Clock = virtual_clock()
        deliverer = Deliverer(service, 3, clock)
        bodies = [[Rows((n * 10 + m,)) for m in range(5)] for n in range(4)]
        await asyncio.gather(*(deliverer.deliver(part, clock.deadline(100)) for part in bodies))

    virtually(scenario())
    assert service.most_running == 3
    assert len(service.stored) == 20


def test_rows_count_for_the_day_on_which_they_were_accepted_though_the_batch_ends_on_the_next() -> None:
    """One table's body goes through before midnight while another's is refused until after it."""

    async def scenario() -> Report[Rows]:
        clock = virtual_clock()
        await asyncio.sleep((MIDNIGHT - START).total_seconds() - 60)

        @dataclass
        class Slow(Service):
            async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 - the edge's
                late = stream == "Custom-Late_CL" and clock.now() < MIDNIGHT + timedelta(seconds=20)
                return DOWN if late else await super().upload(stream, data, timeout)

        bodies = [Rows(tuple(range(1000))), Rows((7, 8), "Custom-Late_CL")]
        return await Deliverer(Slow(), 8, clock).deliver(bodies, clock.deadline(360))

    report = virtually(scenario())
    before, after = (MIDNIGHT - timedelta(days=1)).date(), MIDNIGHT.date()
    assert report.days == {("Custom-Numbers_CL", before): 1000, ("Custom-Late_CL", after): 2}


MIDNIGHT = START.replace(hour=0) + timedelta(days=1)


def test_under_sustained_429_memory_stays_flat_batch_after_batch() -> None:
    """Measured: what is held after each of six invocations, and the most that is held during one."""

    class Throttling(Service):
        async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 - the edge's
            await asyncio.sleep(self.latency)
            return BUSY

    async def scenario() -> list[tuple[int, int]]:
        clock = virtual_clock()
        deliverer = Deliverer(Throttling(), 8, clock)
        held = []
        for _ in range(6):
            tracemalloc.reset_peak()
            report = await deliverer.deliver([Rows(tuple(range(100))) for _ in range(20)], clock.deadline(60))
            assert len(report.refused) == 20
            del report
            gc.collect()
            held.append(tracemalloc.get_traced_memory())
        return held

    gc.freeze()  # what other tests left is not gone through each time
    tracemalloc.start()
    try:
        held = virtually(scenario())
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    now, most = [each[0] for each in held], [each[1] for each in held]
    assert max(now[3:]) - max(now[:3]) < 20_000, "a body of these has some 1,000 bytes, a report twenty"
    assert max(most[3:]) < 1.2 * max(most[:3])
