"""Freshness over HTTP: the verdicts of the latest check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.exports.event_sources import KINDS
from shared.watch.freshness_verdicts import VERDICTS
from shared.web import csv_answers, request_parameters
from shared.web.scope import check_scope

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


_FRESHNESS_COLUMNS = ("subscriptionId", "kind", "export", "verdict", "since", "reason", "lastSeen", "present")


async def get_freshness(call: Call) -> func.HttpResponse:
    """The verdicts of the latest check."""
    wanted = {
        "subscription_id": request_parameters.guid(call.request, "subscription"),
        "kind": request_parameters.word(call.request, "kind", KINDS),
        "verdict": request_parameters.word(call.request, "verdict", VERDICTS),
    }
    latest = await call.services.freshness.latest()
    known = {each["subscription_id"].lower() for each in (latest["health"] if latest else ())}
    if wanted["subscription_id"] and wanted["subscription_id"] not in known:
        await check_scope(call, subscriptions=[wanted["subscription_id"]])
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
        if all(not value or each[name].lower() == value.lower() for name, value in wanted.items())
    ]
    return csv_answers.table(
        call.request,
        rows,
        _FRESHNESS_COLUMNS,
        ("subscriptionId", "kind", "export"),
        checked=latest["checked"] if latest else None,
    )
