"""Resource Graph's quota: waited for, but never beyond the deadline of whoever asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseTimeoutError

from shared.azure.resource_graph import Graph, GraphAnswer
from tests.virtual_time import virtual_clock, virtually


@dataclass(frozen=True)
class UsedUp:
    """An answer after which the quota is used up for so long."""

    resets_after: str
    content: bytes = b'{"data": [], "totalRecords": 0, "count": 0}'

    @property
    def headers(self) -> dict[str, str]:
        return {"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": self.resets_after}

    def raise_for_status(self) -> None:
        """It is 200."""


class Plenty(UsedUp):
    """An answer after which there is quota left."""

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "x-ms-user-quota-remaining": "14"}


@dataclass
class Clients:
    """A fake of the clients: Resource Manager answers at once, with the same each time."""

    answer: UsedUp
    arm_endpoint: str = "https://arm.example"
    asked: list[float] = field(default_factory=list)

    @property
    def arm(self) -> Clients:
        return self

    async def send_request(self, request: Any, **_: Any) -> UsedUp:
        assert request.method == "POST"
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        return self.answer


async def second_query(resets_after: str, seconds: float) -> tuple[list[float], float, str]:
    """When the two queries were sent, when the second ended, and how; it has so many seconds."""
    clock = virtual_clock()
    clients = Clients(UsedUp(resets_after))
    graph = Graph(clients, clock)  # type: ignore[arg-type] # a fake
    await graph.page({"query": "a"}, [])
    try:
        await graph.page({"query": "b"}, [], clock.deadline(seconds))
        how = "answered"
    except ServiceResponseTimeoutError:
        how = "out of time"
    return clients.asked, clock.monotonic(), how


def test_the_next_query_waits_until_the_quota_is_there_again() -> None:
    assert virtually(second_query("00:00:05", 30)) == ([0, 5], 5, "answered")


@pytest.mark.parametrize("resets_after", ["00:00:11", "23:59:59", "9999:00:00"])
def test_a_quota_that_comes_later_than_the_deadline_ends_the_wait_there(resets_after: str) -> None:
    _, ended, how = virtually(second_query(resets_after, 10))
    assert (ended, how) == (10, "out of time")


@pytest.mark.parametrize("resets_after", ["23:59:59", "9999:00:00"])
def test_a_quota_that_comes_in_hours_costs_a_minute_once(resets_after: str) -> None:
    async def queries() -> list[float]:
        clients = Clients(UsedUp(resets_after))
        graph = Graph(clients, virtual_clock())  # type: ignore[arg-type] # a fake
        await graph.page({"query": "a"}, [])
        clients.answer = Plenty(resets_after)
        for _ in range(3):
            await graph.page({"query": "b"}, [])
        return clients.asked

    assert virtually(queries()) == [0, 60, 60, 60]


@pytest.mark.parametrize("resets_after", ["0:0:inf", "0:0:nan", "soon", "1:2"])
def test_a_quota_that_says_no_time_is_waited_for_by_nobody(resets_after: str) -> None:
    assert virtually(second_query(resets_after, 30))[0] == [0, 0]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Sign in</html>", b"[]", b'{"error": {"code": "Busy"}}', b'{"data": null}', b'{"data": [1]}'],
)
def test_a_200_without_a_list_of_rows_is_an_incomplete_answer_and_no_empty_one(content: bytes) -> None:
    async def asked() -> GraphAnswer:
        graph = Graph(Clients(Plenty("00:00:01", content)), virtual_clock())  # type: ignore[arg-type] # a fake
        return await graph.query("securityresources | order by id asc")

    answer = virtually(asked())
    assert (answer.rows, answer.complete) == ([], False)
    assert answer.reasons == ("Resource Graph did not answer: its answer holds no list of rows",)
