"""What Resource Graph says of subscriptions, and what its silence about one of them means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.reconcile.discover.inventory import from_graph
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
