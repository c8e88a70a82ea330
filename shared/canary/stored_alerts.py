"""Whether a simulated alert is in its table, by Log Analytics: a 204 only means that its row was accepted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.azure.log_analytics import whole_answer
from shared.exports.known_values import SIMULATED_PREFIX

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

QUERY_SECONDS = 30
_ID = re.compile(r"[\w.-]{1,200}", re.ASCII)
# TimeGenerated may lie two days before and one after the time of arrival.
_EARLIER, _LATER = timedelta(days=2), timedelta(days=1)
_EXPLAINED = {
    403: "this app may not query the workspace (role Log Analytics Data Reader)",
    404: "there is no such workspace as WORKSPACE_ID names",
}


class StoredAlert(NamedTuple):
    """A row: its alert, when the hub took its event, and when it could first be read."""

    alert: str
    enqueued: datetime | None
    stored: datetime


class UnreadableError(Exception):
    """The workspace can't be asked; the message says why."""


def query(table: str, subscription: str, alerts: Collection[str], since: datetime) -> str:
    """The query for the simulated alerts of a subscription that the hub took since a moment."""
    known = sorted(alert for alert in alerts if _ID.fullmatch(alert))
    named = f"\n| where SystemAlertId in ({', '.join(repr(alert) for alert in known)})" if known else ""
    return (
        f"{table}\n| where EnqueuedTime >= datetime({since.isoformat()})"
        f"\n| where SubscriptionId =~ '{subscription}' and AlertType startswith '{SIMULATED_PREFIX}'{named}"
        "\n| summarize Stored = min(ingestion_time()), Enqueued = min(EnqueuedTime) by SystemAlertId"
    )


class StoredAlerts:
    """Asks the workspace; `table` is that of alerts, `whose` goes before what is said of one that can't be asked."""

    def __init__(self, client: LogsQueryClient, workspace_id: str, table: str, whose: str = "") -> None:
        self._whose = whose
        self._client = client
        self._workspace_id = workspace_id
        self._table = table

    async def __call__(
        self, subscription: str, alerts: Collection[str], since: datetime, now: datetime
    ) -> list[StoredAlert]:
        """The rows of a canary.

        Raises:
            UnreadableError: there is no answer.
        """
        from azure.core.exceptions import AzureError

        text = query(self._table, subscription, alerts, since)
        span = (since - _EARLIER, now + _LATER)
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                rows = await whole_answer(self._client, self._workspace_id, text, span, seconds=QUERY_SECONDS)
        except (AzureError, TimeoutError) as error:
            status: int = getattr(error, "status_code", None) or 0
            why = _EXPLAINED.get(status, f"Log Analytics did not answer ({type(error).__name__})")
            raise UnreadableError(self._whose + why) from None
        return [_row(row) for row in rows if isinstance(row.get("Stored"), datetime)]


def _row(row: Mapping[str, Any]) -> StoredAlert:
    enqueued = row.get("Enqueued")
    at = enqueued.astimezone(UTC) if isinstance(enqueued, datetime) else None
    return StoredAlert(str(row["SystemAlertId"]), at, row["Stored"].astimezone(UTC))
