"""What became of simulated alerts in an invocation, told to what follows a canary (docs/canary.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import orjson

from shared.enrich.dead_letters.dead_letter_format import Letter
from shared.enrich.records.model import Row

logger = logging.getLogger("defender_export.enrich")

PATIENCE_SECONDS = 5.0
"""For which an invocation with a simulated alert waits until that is noted; there are few of them."""


class Sighting(NamedTuple):
    """One simulated alert: when the hub took it, and what became of its row.

    `places` are those that a route sends it to instead of the default place, with commas between them; then it was
    accepted where all of them took it, and nothing of it is meant for the output hub of the settings.
    """

    alert: str
    subscription: str
    enqueued: datetime
    accepted: datetime | None = None
    refused: str = ""
    forwarded: datetime | None = None
    unforwarded: str = ""
    places: str = ""


Follower = Callable[[Sequence[Sighting]], Awaitable[None]]


def sightings(
    rows: Sequence[Row],
    letters: Sequence[Letter],
    now: datetime,
    *,
    forwards: bool,
    own_rows: Sequence[Row] | None = None,
    elsewhere: Mapping[str, Container[str]] = MappingProxyType({}),
) -> list[Sighting]:
    """What became of the simulated alerts among some rows, by the letters for what was not taken.

    Reasons are the letters' own words, which quote nothing of a record.  `own_rows` are those of the default place,
    where there are routes, and `elsewhere` the keys of those that go to each further place.
    """
    found = []
    here = {id(row) for row in (rows if own_rows is None else own_rows)}
    for row in rows:
        if not row.simulated:
            continue
        came = (row.event.partition, row.event.sequence)
        own = [each for each in letters if not each.route and (each.partition, each.sequence) == came]
        refused = next((each.reason for each in own if each.target != "hub"), "")
        unforwarded = next((each.reason for each in own if each.target == "hub"), "")
        alert = str(orjson.loads(row.json).get("SystemAlertId") or row.record_id)
        if not own and id(row) not in here:
            found.append(
                _elsewhere(alert, row, letters, now, [p for p, keys in elsewhere.items() if row.record_key in keys])
            )
            continue
        found.append(
            Sighting(
                alert,
                row.subscription,
                row.event.enqueued,
                None if refused else now,
                refused,
                now if forwards and not unforwarded and not refused_as_event(own) else None,
                unforwarded,
            )
        )
    return found


def _elsewhere(alert: str, row: Row, letters: Sequence[Letter], now: datetime, places: Sequence[str]) -> Sighting:
    """What became of an alert at the places that stand for the default one."""
    came = (row.event.partition, row.event.sequence)
    refused = {each.route: each.reason for each in letters if (each.partition, each.sequence) == came}
    why = "; ".join(f"{place}: {refused[place]}" for place in places if place in refused)
    accepted = now if places and not why else None
    return Sighting(alert, row.subscription, row.event.enqueued, accepted, why, places=",".join(places))


def refused_as_event(letters: Sequence[Letter]) -> bool:
    """Whether nothing was made of the record at all."""
    return any(each.event is not None for each in letters)


async def tell(follower: Follower, found: Sequence[Sighting]) -> None:
    """Tell the follower, for five seconds at most; never raises, since delivery does not depend on it."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await follower(found)
    except Exception as error:  # noqa: BLE001 - whatever the observer's store does, the batch goes on
        logger.warning("simulated alerts could not be noted: %s", type(error).__name__)
