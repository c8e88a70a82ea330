"""Reconcile runs over HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.reconcile.report.report_reader import RUN_ID, day_of
from shared.web import csv_answers, request_parameters, serialization
from shared.web.problems import BAD_REQUEST, NOT_FOUND, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


_MAX_RUNS = 200
_MAX_BYTES = 4_000_000

_RUN_COLUMNS = ("runId", "trigger", "actor", "mode", "started", "ended", "outcome", "reason", "counts")


async def list_runs(call: Call) -> func.HttpResponse:
    """The runs, newest first, without their items."""
    kind = serialization.accepted(call.request, serialization.JSON, serialization.CSV)
    reports = call.services.reconciler.reports
    size = min(request_parameters.limit(call.request, 25), _MAX_RUNS)
    after = request_parameters.after(call.request, RUN_ID.pattern)
    # One more than is shown tells whether there are more; those of the same day that came later are left out.
    try:
        newest = day_of(after) if after else datetime.now(UTC)
    except ValueError:
        raise ApiError(BAD_REQUEST, "The continuation token names no time; start without one.") from None
    names = await reports.recent(newest, limit=size + 1, before=after)
    shown = names[:size]
    token = request_parameters.continuation(call.request, shown[-1]) if len(names) > size else ""
    rows, left_out = await asyncio.to_thread(_that_fit, await reports.summaries(shown))
    if left_out:
        token = request_parameters.continuation(call.request, rows[-1]["runId"])
    if kind == serialization.CSV:
        return csv_answers.csv_page(rows, _RUN_COLUMNS, token)
    return serialization.answer({"value": rows, "continuation": token})


def _that_fit(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """As many of these as an answer holds, one at least, and whether others are left out."""
    room = _MAX_BYTES
    for place, row in enumerate(rows):
        room -= len(json.dumps(row))
        if place and room < 0:
            return rows[:place], True
    return rows, False


async def get_run(call: Call) -> func.HttpResponse:
    """The whole report of one run."""
    report = await call.services.reconciler.reports.read(call.request.route_params["id"])
    if report is None:
        raise ApiError(NOT_FOUND, "There is no run of this id; `GET /api/runs` lists them.")
    return serialization.answer(report)
