"""What Resource Graph says of subscriptions, and what its silence about one of them means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.reconcile.discover.inventory import from_graph, from_lists
from shared.reconcile.model import Subscription


class Pages:
    """Rows of a query in one page, none of them missing."""

    reasons = ()

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    async def __aiter__(self) -> AsyncIterator[list[dict[str, Any]]]:
        yield self._rows


class Graph:
    """A fake of Resource Graph that has one subscription."""

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row

    def pages(self, kql: str) -> Pages:
        return Pages([self._row] if kql.startswith("resourcecontainers") else [])


async def found(chain: Any) -> Subscription:
    row = {"subscriptionId": "a", "name": "A", "tenantId": "t", "state": "Enabled", "tags": None, "chain": chain}
    inventory = await from_graph(Graph(row))  # type: ignore[arg-type] # a fake
    (subscription,) = inventory.subscriptions
    return subscription


@pytest.mark.parametrize(
    ("chain", "ancestors"),
    [
        ([{"name": "Prod"}, {"name": "root"}], ("prod", "root")),
        ([{"name": "Prod", "displayName": None}], ("prod",)),
    ],
)
async def test_management_groups_are_those_of_the_chain(chain: Any, ancestors: tuple[str, ...]) -> None:
    subscription = await found(chain)
    assert (subscription.ancestors, subscription.placed) == (ancestors, True)


@pytest.mark.parametrize(
    "chain",
    [
        None,
        [],
        "prod",
        {"name": "prod"},
        7,
        [None],
        [{"name": "prod"}, None],
        [{"name": "prod"}, {"name": ""}],
        ["prod"],
    ],
    ids=str,
)
async def test_a_chain_that_is_not_whole_does_not_say_where_a_subscription_lies(chain: Any) -> None:
    subscription = await found(chain)
    assert not subscription.placed
    assert "" not in subscription.ancestors


class Lists:
    """A fake of Azure Resource Manager: one subscription, and this answer for its automations."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    async def send(self, kind: str, method: str, path: str, version: str) -> dict[str, Any]:
        return {"value": [{"subscriptionId": "a"}]} if path == "/subscriptions" else self._answer


@pytest.mark.parametrize("answer", [{}, {"value": None}, {"value": {}}, {"message": "under maintenance"}])
async def test_an_answer_without_a_list_is_no_empty_list(answer: dict[str, Any]) -> None:
    inventory = await from_lists(Lists(answer), [], 1)  # type: ignore[arg-type] # a fake
    assert inventory.unread
    assert inventory.reasons[0].endswith("could not be listed: its answer holds no list")
    empty = await from_lists(Lists({"value": []}), [], 1)  # type: ignore[arg-type] # a fake
    assert (empty.complete, empty.unread) == (True, False)
