"""The app's own rows for a further place: what ended there is said there, with the guarantees of any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from shared.clock import Clock
from shared.enrich.dead_letters.dead_letter_format import Letter, one_line
from shared.enrich.dead_letters.dead_letter_store import DeadLetters
from shared.enrich.invocation.delivery_summary import Summary
from shared.enrich.invocation.routed_delivery import RoutedDelivery


async def send_to(
    place: str,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    routed: RoutedDelivery,
    dead_letters: DeadLetters,
    seconds: float,
    clock: Clock | None = None,
) -> None:
    """Send rows to a place's rule within so many seconds; what is not taken waits as dead letters of that place.

    Raises:
        shared.azure.blob_container.StoreError: some row is neither taken nor kept.
    """
    clock = clock or Clock()
    now = clock.now()
    encoded = [one_line(orjson.dumps(row, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)) for row in rows]
    letters = [
        Letter(reason="new", route=place, table=table, row=row, enqueued=now, failed=now, sequence=number)
        for number, row in enumerate(encoded)
    ]
    remaining = await routed.send_again(letters, clock.deadline(seconds), Summary())
    if remaining:
        kept = [msgspec.structs.replace(letter, replays=0, outages=0, sequence=0) for letter in remaining]
        await dead_letters.write(kept)
