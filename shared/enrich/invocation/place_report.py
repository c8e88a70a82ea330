"""How each place of the file of routes does, as `status` and `ready` tell it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from shared.azure.blob_container import StoreError
from shared.enrich.dead_letters.dead_letter_store import DeadLetters, LetterFilter
from shared.enrich.invocation.routed_delivery import RoutedDelivery
from shared.enrich.routing.place_states import not_well, states
from shared.enrich.routing.routes_against_settings import fault_of
from shared.enrich.routing.routes_in_force import RoutesUnknownError
from shared.settings import Settings

Uploaded = Callable[[date], Awaitable[Mapping[str, int]]]
"""Rows taken on a day (UTC), by table, or by place and table; raises StoreError where that can't be read."""


async def of(settings: Settings, routed: RoutedDelivery, letters: DeadLetters, uploaded: Uploaded) -> dict[str, Any]:
    """What is wrong with the file, each place's state, and sentences on those that need a person.

    What can't be read is a fault; no place's state is told then, for none is known.
    """
    try:
        in_force = await routed.load()
    except RoutesUnknownError as unknown:
        return _without_places(str(unknown))
    now = datetime.now(UTC)
    try:
        kept = [letter async for letter in letters.find(LetterFilter(parked=None, due_only=False))]
        arrived = (await uploaded(now.date()), await uploaded(now.date() - timedelta(days=1)))
    except StoreError as error:
        told = f"the state of the places can't be read: {type(error.__cause__ or error).__name__}"
        return _without_places("; ".join(filter(None, [in_force.fault, in_force.unkept, told])))
    found = states(in_force.routes, partial(fault_of, settings=settings), kept, arrived, now)
    return {
        "fault": in_force.fault,
        "rules": [rule.name for rule in in_force.routes.rules],
        "places": [one.as_dict() for one in found],
        "needs": [*filter(None, [in_force.unkept]), *not_well(found)],
    }


def _without_places(fault: str) -> dict[str, Any]:
    return {"fault": fault, "rules": [], "places": [], "needs": []}
