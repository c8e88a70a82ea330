"""Present records as events of the hub, for the same pipeline: what streaming never sent, being there before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.enrich.records.model import Event

ACTION = "Backfill"


def as_events(records: Iterable[Mapping[str, Any]], enqueued: datetime) -> list[Event]:
    """One event per record, marked as a backfill's and not a snapshot's, on no partition.

    `enqueued` is part of a row's RecordKey: give all attempts of one backfill the same, and what they send twice
    collapses.
    """
    from shared.enrich.records.model import Event

    mark = {"action": ACTION, "isSnapshot": False}
    return [
        Event(json.dumps({**record, "securityEventDataEnrichment": mark}).encode(), enqueued, "", index)
        for index, record in enumerate(records)
    ]
