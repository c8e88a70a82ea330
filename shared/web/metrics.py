"""The numbers behind the plots: records a minute by kind, lag, and the secure score over time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.clock import utc_text
from shared.settings import SettingsError
from shared.watch.trends import Trends, window
from shared.web import request_parameters, serialization

if TYPE_CHECKING:
    import azure.functions as func

    from shared.bootstrap import Services
    from shared.web.routing import Call

_DAY, _WEEK = 24, 168
_PATIENCE_SECONDS = 5
_NO_CVES = "REFRESH_CVES is off, so that it is not known which CVEs are exploited"
_UNCOUNTED: dict[str, Any] = {
    "counted": None, "problem": "", "open": None, "fixedInSevenDays": None, "reopened": None, "oldest": None,
    "exploitableAndExposed": None, "exposedAndNotKnown": None, "cves": "",
}  # fmt: skip
_NOT_CONFIGURED = "No workspace is configured: set WORKSPACE_ID to the workspace's id, and the plots fill themselves."


async def get_metrics(call: Call) -> func.HttpResponse:
    """Series over the last `hours` (1 to 168, default 24), one value per bin; `problem` says why they are empty."""
    hours = request_parameters.number(call.request, "hours", _DAY, _WEEK, minimum=1)
    now = datetime.now(UTC)
    if not call.services.settings.workspace_id:
        empty = window(now, hours)
        trends = Trends(empty.since, empty.until, empty.minutes, problem=_NOT_CONFIGURED)
    else:
        trends = await call.services.trends.read(now, hours)
    return serialization.answer(
        {
            "generated": utc_text(now),
            "since": utc_text(trends.since),
            "until": utc_text(trends.until),
            "binMinutes": trends.minutes,
            "problem": trends.problem,
            "notCounted": list(trends.not_counted),
            "times": [utc_text(time) for time in trends.times],
            "recordsPerMinute": trends.records_a_minute(),
            "lagSeconds": trends.lag_seconds(),
            "secureScore": [
                {
                    "day": f"{each.day:%Y-%m-%d}",
                    "percentage": round(each.percentage, 2),
                    "subscriptions": each.subscriptions,
                }
                for each in trends.scores
            ],
            **serialization.where_known(openRecords=await _open_records(call.services)),
        }
    )


async def _open_records(services: Services) -> dict[str, Any] | None:
    """What was counted of open records; None where nothing counts them."""
    from azure.core.exceptions import AzureError

    from shared.stored_format import KeptAsIs

    if not services.settings.close_gone:
        return None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            counts = await services.open_counts.latest()
            refresh = await services.cves.latest() if services.settings.refresh_cves else None
    except (AzureError, KeptAsIs, SettingsError, TimeoutError) as failure:
        said = str(failure) if isinstance(failure, KeptAsIs | SettingsError) else "the storage account does not answer"
        return {**_UNCOUNTED, "problem": said}
    if counts is None or counts.problem:
        return {**_UNCOUNTED, "problem": counts.problem if counts else "close_gone has not counted yet"}
    return {
        "counted": utc_text(counts.asked),
        "problem": "",
        "open": counts.open,
        "fixedInSevenDays": counts.fixed,
        "reopened": counts.reopened,
        "oldest": utc_text(counts.oldest) if counts.oldest else None,
        "exploitableAndExposed": counts.exploitable,
        "exposedAndNotKnown": counts.perhaps,
        "cves": (refresh.warning if refresh else "") if services.settings.refresh_cves else _NO_CVES,
    }
