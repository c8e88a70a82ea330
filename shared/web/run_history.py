"""Reconcile runs over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.reconcile.report.report_store import RUN_ID, day_of
from shared.web import csv_answers, request_parameters, serialization
from shared.web.problems import BAD_REQUEST, NOT_FOUND, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.reconcile.report.report_store import Reports
    from shared.web.routing import Call


_MAX_RUNS = 200
_AT_ONCE = 3  # a report of a large tenant has tens of megabytes


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
    turns = asyncio.Semaphore(_AT_ONCE)
    found = await asyncio.gather(*(_without_items(reports, run_id, turns) for run_id in shown))
    rows = [run for run in found if run is not None]
    if kind == serialization.CSV:
        return csv_answers.csv_page(rows, _RUN_COLUMNS, token)
    return serialization.answer({"value": rows, "continuation": token})


async def _without_items(reports: Reports, run_id: str, turns: asyncio.Semaphore) -> dict[str, Any] | None:
    async with turns:
        report = await reports.read(run_id)
    return None if report is None else {name: value for name, value in report.items() if name != "items"}


async def get_run(call: Call) -> func.HttpResponse:
    """The whole report of one run."""
    report = await call.services.reconciler.reports.read(call.request.route_params["id"])
    if report is None:
        raise ApiError(NOT_FOUND, "There is no run of this id; `GET /api/runs` lists them.")
    return serialization.answer(report)
