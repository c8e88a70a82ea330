"""How each place of the file of routes does, as `status` and `ready` tell it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from shared.enrich.dead_letters.dead_letter_store import DeadLetters, LetterFilter
from shared.enrich.invocation.routed_delivery import RoutedDelivery
from shared.enrich.routing.place_states import not_well, states
from shared.enrich.routing.routes_against_settings import fault_of
from shared.settings import Settings

Uploaded = Callable[[date], Awaitable[Mapping[str, int]]]
"""Rows taken on a day (UTC), by table, or by place and table."""


async def of(settings: Settings, routed: RoutedDelivery, letters: DeadLetters, uploaded: Uploaded) -> dict[str, Any]:
    """What is wrong with the file, each place's state, and sentences on those that need a person.

    Raises:
        shared.azure.blob_container.StoreError: the letters, or the routes in force, can't be read.
        azure.core.exceptions.AzureError: what arrived can't be read.
    """
    in_force = await routed.load()
    now = datetime.now(UTC)
    kept = [letter async for letter in letters.find(LetterFilter(parked=None, due_only=False))]
    arrived = (await uploaded(now.date()), await uploaded(now.date() - timedelta(days=1)))
    found = states(in_force.routes, partial(fault_of, settings=settings), kept, arrived, now)
    return {
        "fault": in_force.fault,
        "rules": [rule.name for rule in in_force.routes.rules],
        "places": [one.as_dict() for one in found],
        "needs": list(not_well(found)),
    }
