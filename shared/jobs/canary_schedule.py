"""Which subscription a timer asks a canary of: one whose alerts go to the hub, and whose last canary is longest ago."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.clock import utc_moment

if TYPE_CHECKING:
    from shared.watch.coverage import SubscriptionCoverage

_NEVER = datetime.min.replace(tzinfo=UTC)


def due(
    coverage: Iterable[SubscriptionCoverage],
    history: Iterable[Mapping[str, Any]],
    hub_id: str,
    every: timedelta,
    now: datetime,
) -> str:
    """The lower-case id of the subscription that is due, empty where none is; whatever its last canary came to."""
    last: dict[str, datetime] = {}
    for told in history:
        subscription, begun = str(told["subscription"]).lower(), utc_moment(told["begun"])
        last[subscription] = max(begun, last.get(subscription, begun))
    hub = hub_id.strip("/").lower()
    waiting = [
        (last.get(one.subscription_id.lower(), _NEVER), one.subscription_id.lower())
        for one in coverage
        if any(
            exporter.counts and any(hub in {"", each.resource_id.strip("/").lower()} for each in exporter.receivers)
            for exporter in one.exporters.get("Alerts", ())
        )
    ]
    since, chosen = min(waiting, default=(now, ""))
    return chosen if since == _NEVER or now - since >= every else ""
