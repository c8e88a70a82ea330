"""What a canary asks: the path, Defender for Cloud, the pipeline's notes, the tables where its row may lie, the hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.azure.event_hub import NewestEvents
from shared.canary.pipeline_notes import Note
from shared.canary.security_alerts import SecurityAlerts
from shared.canary.stored_alerts import StoredAlerts
from shared.jobs.canary_path import PathCheck


class BudgetSpentError(Exception):
    """There were enough canaries for now; the message says of what."""


class Notes(Protocol):
    """What the pipeline noted."""

    async def since(self, subscription: str, moment: datetime) -> list[Note]:
        """The notes of a subscription's simulated alerts since then."""


class Elsewhere(Protocol):
    """Where rows lie that routes send to other places."""

    async def takes_alerts(self) -> bool:
        """Whether a route may send alerts to other places alone."""

    async def alerts_at(self, place: str) -> StoredAlerts:
        """The alerts stored for a place; raises UnreadableError where that can't be known."""


@dataclass(frozen=True)
class Ports:
    """What a canary asks; `stored` is None where there is no workspace, and then says so.

    `elsewhere` is None where there is no file of routes.  `spend` takes a place of the budget for a subscription, and
    raises BudgetSpentError.
    """

    path: PathCheck
    alerts: SecurityAlerts
    notes: Notes
    stored: StoredAlerts | None
    newest_events: Callable[[datetime], Awaitable[NewestEvents]]
    spend: Callable[[str], Awaitable[None]]
    elsewhere: Elsewhere | None = None
