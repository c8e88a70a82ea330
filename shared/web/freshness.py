"""Freshness over HTTP: the verdicts of the latest check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.web import csv_answers

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


_FRESHNESS_COLUMNS = ("subscriptionId", "kind", "export", "verdict", "since", "reason", "lastSeen", "present")


async def get_freshness(call: Call) -> func.HttpResponse:
    """The verdicts of the latest check."""
    latest = await call.services.freshness.latest()
    asked = call.request.params
    wanted = {
        "subscription_id": asked.get("subscription", "").lower(),
        "kind": asked.get("kind", ""),
        "verdict": asked.get("verdict", ""),
    }
    rows = [
        {
            "subscriptionId": each["subscription_id"],
            "kind": each["kind"],
            "export": each["export"],
            "verdict": each["verdict"],
            "since": each["since"],
            "reason": each["reason"],
            "lastSeen": each["last_seen"],
            "present": each["present"],
        }
        for each in (latest["health"] if latest else ())
        if all(not value or each[name] == value for name, value in wanted.items())
    ]
    return csv_answers.table(call.request, rows, _FRESHNESS_COLUMNS, checked=latest["checked"] if latest else None)
