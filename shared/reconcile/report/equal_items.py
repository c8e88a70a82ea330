"""The items of a report as they are stored: what is equal but for the subscription stands there once.

A run over 10,000 subscriptions with one hub missing has as many items with one reason, and is to stay readable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

# Stands for the subscription's id in what is equal: a character that no text of Azure or of this app holds.
_HERE = "\x1a"
_ESCAPED = json.dumps(_HERE)[1:-1]


def grouped(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The members of a stored report that hold its items; each item has an `id` of Azure Resource Manager."""
    numbers: dict[str, int] = {}
    groups: dict[str, list[int]] = {}
    for item in items:
        subscription = item["id"].split("/")[2]
        general = json.dumps(item, separators=(",", ":")).replace(subscription, _ESCAPED)
        groups.setdefault(general, []).append(numbers.setdefault(subscription, len(numbers)))
    return {
        "subscriptionIds": list(numbers),
        "groups": [{"item": json.loads(general), "in": places} for general, places in groups.items()],
    }


def expanded(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of a stored report, in their order.

    Raises:
        ValueError: the groups are not as `grouped` makes them.
    """
    items = []
    try:
        spelt = [json.dumps(str(one))[1:-1] for one in document["subscriptionIds"]]
        for group in document["groups"]:
            general = json.dumps({**group["item"]})
            items += [json.loads(general.replace(_ESCAPED, spelt[place])) for place in group["in"]]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its groups are misstated ({type(error).__name__})") from error
    return sorted(items, key=_order)


def _order(item: Mapping[str, Any]) -> list[str]:
    """As in a plan: by subscription, resource group and name."""
    return str(item.get("id", "")).lower().split("/")
