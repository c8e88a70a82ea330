"""The timer's check: is each subscription's data fresh, and is what was accepted really stored?"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from shared.exports.rules import accepts
from shared.watch.coverage import SubscriptionCoverage
from shared.watch.freshness import Declared, Expectation, Health, Key, Present, expect, judge, suspects
from shared.watch.last_seen import LastSeen
from shared.watch.present import PresentRecords

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

RowSink = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]
# A day (UTC) -> rows stored by table, or None when they can't be asked for
StoredRows = Callable[[date], Awaitable[Mapping[str, int] | None]]

HEALTH_TABLE = "DefenderExportHealth_CL"
LATEST = "freshness/latest.json"
_ROWS_A_SEND = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shortfall:
    """A table that holds fewer rows of a day than were accepted for it."""

    table: str
    day: date
    uploaded: int
    stored: int


@dataclass(frozen=True)
class Outcome:
    """What one check found."""

    checked: datetime
    health: Sequence[Health]
    shortfalls: Sequence[Shortfall]
    compared: Mapping[str, tuple[int, int]]


class FreshnessCheck:
    """Judges every expectation, compares yesterday's rows, leaves rows and the latest answer for the API."""

    def __init__(
        self,
        last_seen: LastSeen,
        present: PresentRecords,
        answers: ContainerClient,
        rows: RowSink | None,
        stored: StoredRows,
        *,
        hub_id: str,
        due: timedelta,
        instance_id: str,
    ) -> None:
        self._last_seen = last_seen
        self._present = present
        self._answers = answers
        self._rows = rows
        self._stored = stored
        self._hub_id = hub_id
        self._due = due
        self._instance_id = instance_id

    async def run(
        self, declared: Sequence[Declared], coverage: Sequence[SubscriptionCoverage], now: datetime
    ) -> Outcome:
        """Check everything once, as of `now`."""
        expectations = expect(declared, coverage, self._hub_id)
        await self._last_seen.expect(
            [(each.subscription_id, each.kind) for each in expectations if each.observable], now
        )
        seen = await self._last_seen.read()
        overdue = suspects(expectations, seen, now, self._due)
        health = judge(expectations, seen, await self._present_for(overdue), now, self._due)
        compared = await self._compare(now.astimezone(UTC).date() - timedelta(days=1))
        day = now.astimezone(UTC).date() - timedelta(days=1)
        shortfalls = [
            Shortfall(table, day, uploaded, stored)
            for table, (uploaded, stored) in compared.items()
            if stored < uploaded
        ]
        outcome = Outcome(now, health, shortfalls, compared)
        await self._keep(outcome)
        await self._send([*_health_rows(outcome, coverage, self._instance_id), *self._stored_rows(outcome, day)])
        for shortfall in shortfalls:
            log.warning(
                "%s holds %d rows of %s, %d were accepted", shortfall.table, shortfall.stored, day, shortfall.uploaded
            )
        return outcome

    async def latest(self) -> dict[str, Any] | None:
        """The latest answer as it was kept: `checked` and `health`; None before the first check."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            download = await self._answers.download_blob(LATEST)
            answer: dict[str, Any] = json.loads(await download.readall())
        except ResourceNotFoundError:
            return None
        return answer

    async def _present_for(self, overdue: Sequence[Expectation]) -> dict[Key, Present]:
        if not overdue:
            return {}
        by_key = {(each.subscription_id, each.kind): each for each in overdue}
        counts = {key: [0, 0, 0] for key in by_key}
        reasons: list[str] = []
        kinds = sorted({kind for _, kind in by_key})
        subscriptions = sorted({subscription for subscription, _ in by_key})
        async for subscription, kind, record in self._present.read(kinds, subscriptions, reasons):
            expectation = by_key.get((subscription, kind))
            if expectation is None:
                continue
            count = counts[subscription, kind]
            count[0] += 1
            count[1] += any(accepts(source, record) for source in expectation.declared)
            count[2] += any(accepts(source, record) for source in expectation.live)
        if reasons:
            # What was seen proves presence; what was not seen proves nothing.
            counts = {key: count for key, count in counts.items() if count[1]}
            log.warning("present records may be missing: %s", "; ".join(reasons))
        return {key: Present(total, declared, live) for key, (total, declared, live) in counts.items()}

    async def _compare(self, day: date) -> dict[str, tuple[int, int]]:
        uploaded = await self._last_seen.uploaded(day)
        stored = await self._stored(day) if uploaded else {}
        if stored is None:
            return {}
        return {table: (rows, stored.get(table, 0)) for table, rows in sorted(uploaded.items())}

    async def _keep(self, outcome: Outcome) -> None:
        document = {"checked": outcome.checked, "health": [asdict(health) for health in outcome.health]}
        await self._answers.upload_blob(LATEST, json.dumps(document, default=_iso), overwrite=True)

    async def _send(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._rows is None:
            return
        for start in range(0, len(rows), _ROWS_A_SEND):
            await self._rows(HEALTH_TABLE, rows[start : start + _ROWS_A_SEND])

    def _stored_rows(self, outcome: Outcome, day: date) -> Iterable[dict[str, Any]]:
        start = datetime.combine(day, time(), UTC)
        for table, (uploaded, stored) in outcome.compared.items():
            yield {
                "TimeGenerated": _iso(outcome.checked),
                "CheckName": "stored",
                "InstanceId": self._instance_id,
                "Verdict": "missing" if stored < uploaded else "stored",
                "Reason": f"{uploaded - stored} accepted rows are not in the table" if stored < uploaded else "",
                "TableName": table,
                "WindowStart": _iso(start),
                "WindowEnd": _iso(start + timedelta(days=1)),
                "RowsUploaded": uploaded,
                "RowsStored": stored,
            }


def _health_rows(
    outcome: Outcome, coverage: Sequence[SubscriptionCoverage], instance_id: str
) -> Iterable[dict[str, Any]]:
    known = {subscription.subscription_id.lower(): subscription for subscription in coverage}
    for health in outcome.health:
        subscription = known.get(health.subscription_id)
        yield {
            "TimeGenerated": _iso(outcome.checked),
            "CheckName": "freshness",
            "InstanceId": instance_id,
            "Verdict": health.verdict,
            "Reason": health.reason,
            "SourceTenantId": subscription.tenant_id if subscription else None,
            "SubscriptionId": health.subscription_id,
            "SubscriptionName": subscription.name if subscription else None,
            "RecordKind": health.kind,
            "Exports": health.export.split(", "),
            "LastSeen": _iso(health.last_seen),
            "RecordsFound": health.present,
            "Details": {"since": _iso(health.since)},
        }


def _iso(value: Any) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else None
