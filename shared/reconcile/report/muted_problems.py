"""What of a run's problems and repairs is muted, for its row.  Pure.

Guards, failed runs and incomplete discoveries are no problem of one automation, and are never muted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.clock import utc_text
from shared.muting.mutes import Muting, Part
from shared.reconcile.apply.executor import Outcome, Status
from shared.reconcile.plan.model import Target


class MutedInRun:
    """Answers for the automations of one run, by where its exports send."""

    def __init__(self, muting: Muting, targets: Iterable[Target], now: datetime) -> None:
        self._muting = muting
        self._now = now
        self._places: dict[str, list[str]] = {}
        for target in targets:
            for export in target.exports:
                self._places.setdefault(export.lower(), []).append(target.id.strip("/").lower())

    def until(self, subscription: str, export: str) -> datetime | None:
        """Until when an export in a subscription is muted; of several destinations, each must be."""
        if not self._muting.mutes:
            return None
        name = export.lower()
        places = self._places.get(name) or [""]
        found = self._muting.of([Part(subscription.lower(), name, place) for place in places], self._now)
        return found.until if found else None

    def problems(self, problems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The problems with until when each is muted; those that are come last, for a row does not hold all."""
        told, muted = [], []
        for each in problems:
            parts = str(each.get("id", "")).split("/")
            until = self.until(parts[2] if len(parts) > 2 else "", str(each["export"]))  # noqa: PLR2004 - as ids are
            if until:
                muted.append({**each, "mutedUntil": utc_text(until)})
            else:
                told.append(dict(each))
        return [*told, *muted]

    def repairs(self, outcomes: Iterable[Outcome]) -> datetime | None:
        """Until when all that the run updated is muted; None where something is not, or nothing was updated."""
        ends: list[datetime] = []
        for one in outcomes:
            if one.status is not Status.UPDATED:
                continue
            until = self.until(one.id.subscription_id, one.export)
            if until is None:
                return None
            ends.append(until)
        return min(ends, default=None)
