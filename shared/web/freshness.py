"""Freshness over HTTP: the verdicts of the latest check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.exports.event_sources import KINDS
from shared.muting.mutes import Muting, parts_of
from shared.watch.freshness_verdicts import VERDICTS
from shared.web import csv_answers, request_parameters, serialization
from shared.web.scope import check_scope

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


_FRESHNESS_COLUMNS = ("subscriptionId", "kind", "export", "verdict", "since", "reason", "lastSeen", "present", "muted")


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
    muting, now = await call.services.muting(), datetime.now(UTC)
    reasons = latest["reasons"] if latest else ["nothing was checked yet"]
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
            **_muted(call, muting, each, now),
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
        complete=not reasons,
        reasons=reasons,
        muteTrouble=muting.trouble,
    )


def _muted(call: Call, muting: Muting, health: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    hub = call.services.settings.event_hub_resource_id
    found = muting.of(parts_of(health["subscription_id"], health["export"], hub), now)
    return serialization.where_known(muted=found.as_dict() if found else None)
