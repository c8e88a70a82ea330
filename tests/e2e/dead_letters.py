"""Dead letters that no replay delivers, for those who look at them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.bootstrap import Services
from shared.enrich.dead_letters.dead_letter_format import NO_OUTPUT_HUB, Letter


def undeliverable(rows: Sequence[Mapping[str, Any]], first: int = 0) -> list[Letter]:
    """A letter for each row; `first` is the sequence number of the first."""
    when = datetime.now(UTC)
    return [
        Letter(
            reason=NO_OUTPUT_HUB,
            target="hub",
            table="DefenderAlerts_CL",
            row=msgspec.Raw(json.dumps(row).encode()),
            sequence=first + at,
            enqueued=when,
            failed=when,
        )
        for at, row in enumerate(rows)
    ]


async def keep(services: Services, letters: Sequence[Letter]) -> str:
    """Store letters as one blob; gives its name."""
    store = services.pipeline.dead_letters
    before = {letter.name async for letter in store.find()}
    await store.write(letters)
    (name,) = {letter.name async for letter in store.find()} - before
    return name
