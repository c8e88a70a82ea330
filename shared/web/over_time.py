"""Coverage, silent time, time to repair and secure score over months."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.clock import utc_text
from shared.web import request_parameters, serialization

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

_MONTHS, _MOST = 3, 24


async def get_trend(call: Call) -> func.HttpResponse:
    """The figures of so many `months` (1 to 24, default 3), by month and by day; the current month is the last."""
    months = request_parameters.number(call.request, "months", _MONTHS, _MOST, minimum=1)
    now = datetime.now(UTC)
    figures = await call.services.figures(now, months)
    return serialization.answer({"generated": utc_text(now), **figures.document()})
