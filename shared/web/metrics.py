"""The numbers behind the plots: records a minute by kind, lag, and the secure score over time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.clock import utc_text
from shared.watch.trends import Trends, window
from shared.web import request_parameters, serialization

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

_DAY, _WEEK = 24, 168
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
        }
    )
