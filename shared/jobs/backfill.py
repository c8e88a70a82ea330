"""Present records as events of the hub, for the same pipeline: what streaming never sent, being there before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.enrich.records import Event

ACTION = "Backfill"


def as_events(records: Iterable[Mapping[str, Any]]) -> list[Event]:
    """One event per record, marked as a backfill's and not a snapshot's; enqueued now, on no partition."""
    from shared.enrich.records import Event

    now = datetime.now(UTC)
    mark = {"action": ACTION, "isSnapshot": False}
    return [
        Event(json.dumps({**record, "securityEventDataEnrichment": mark}).encode(), now, "", index)
        for index, record in enumerate(records)
    ]
