"""Equal items of a report are stored once, and read as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.reconcile.report.equal_items import expanded, grouped


def item(number: int, name: str = "soc", **more: Any) -> dict[str, Any]:
    subscription = f"{number:08x}-0000-4000-8000-00000000000a"
    place = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Security/automations/{name}"
    return {"action": "blocked", "id": place, "reason": f'no hub for {subscription} in ü "rg" \\ {{}}\n', **more}


def test_what_differs_by_the_subscription_alone_stands_there_once() -> None:
    stored = grouped(item(number, name) for number in range(1000) for name in ("a", "b"))
    assert len(stored["groups"]) == 2
    assert len(json.dumps(stored)) < 1000 * 70


def test_they_are_read_as_they_were_and_in_their_order() -> None:
    items = [
        item(number, name, changes=[{"path": "x", "old": number % 3, "new": None}])
        for number in range(9)
        for name in "ab"
    ]
    assert expanded(json.loads(json.dumps(grouped(reversed(items))))) == items


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"groups": []},
        {"subscriptionIds": [], "groups": [{"item": item(1), "in": [0]}]},
        {"subscriptionIds": ["x"], "groups": [{"item": item(1), "in": [1]}]},
        {"subscriptionIds": ["x"], "groups": [{"item": item(1), "in": ["0"]}]},
        {"subscriptionIds": ["x"], "groups": [{"item": [], "in": [0]}]},
        {"subscriptionIds": ["x"], "groups": [{"in": [0]}]},
        {"subscriptionIds": ["x"], "groups": [5]},
        {"subscriptionIds": 5, "groups": []},
        {"subscriptionIds": [], "groups": None},
    ],
)
def test_what_is_misstated_is_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="misstated"):
        expanded(wrong)
