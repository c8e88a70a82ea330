"""Answers for people and dashboards: coverage, freshness, runs, dead letters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.exports.compiler import compile_sources
from shared.exports.event_sources import SNAPSHOT
from shared.reconcile.report.report_store import RUN_ID, day_of
from shared.watch.coverage import CIS, SubscriptionCoverage, Verdict, judge
from shared.watch.coverage_document import coverage_row, exporter_row
from shared.watch.matrix import statuses
from shared.web import request_parameters, serialization
from shared.web.problems import BAD_REQUEST, NOT_FOUND, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.tenant_state import Survey
    from shared.web.routing import Call

_MAX_RUNS = 200
_SURVEY_SECONDS = 60
_EXPORTER_COLUMNS = (
    "subscriptionId", "subscription", "tenantId", "eventSource", "automation", "owner", "export", "enabled",
    "wholeSubscription", "destinations", "filter", "findings",
)  # fmt: skip
_STATUS_COLUMNS = ("subscriptionId", "subscription", "tenantId", "managementGroups", "states", "notes", "verdicts")
_FRESHNESS_COLUMNS = ("subscriptionId", "kind", "export", "verdict", "since", "reason", "lastSeen", "present")
_RUN_COLUMNS = ("runId", "trigger", "actor", "mode", "started", "ended", "outcome", "reason", "counts")
_LETTER_COLUMNS = (
    "name", "day", "reason", "records", "replays", "outage", "parked", "due", "size", "written",
)  # fmt: skip


async def get_coverage(call: Call) -> func.HttpResponse:
    """What each subscription exports and whether that suffices; `view=matrix` is one word per kind."""
    view = request_parameters.choice(call.request, "view", "exporters", "matrix")
    age = request_parameters.number(call.request, "maxAge", _SURVEY_SECONDS, _SURVEY_SECONDS)
    survey = await call.services.surveyor.take(timedelta(seconds=age))
    chosen = list(_chosen(call, survey))
    verdicts = judge(chosen, [CIS])
    unmet = call.request.params.get("unmet")
    if unmet:
        failing = {verdict.subscription_id for verdict in verdicts if verdict.requirement == unmet and not verdict.met}
        chosen = [each for each in chosen if each.subscription_id in failing]
    about = {"generated": survey.taken.isoformat(), "complete": survey.complete, "reasons": list(survey.reasons)}
    if view == "matrix":
        rows = await _matrix(call, survey, chosen, verdicts)
        return serialization.table(call.request, rows, _STATUS_COLUMNS, **about)
    source = call.request.params.get("source", "")
    if serialization.accepted(call.request, serialization.JSON, serialization.CSV) == serialization.CSV:
        return serialization.table(call.request, list(_flat(chosen, source)), _EXPORTER_COLUMNS)
    above = _above(survey)
    by_subscription: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_subscription.setdefault(verdict.subscription_id, []).append(verdict)
    shown, token = request_parameters.page(call.request, chosen)
    value = [
        coverage_row(
            each, above.get(each.subscription_id.lower(), []), by_subscription.get(each.subscription_id, []), source
        )
        for each in shown
    ]
    return serialization.answer({**about, "value": value, "continuation": token})


def _chosen(call: Call, survey: Survey) -> Iterable[SubscriptionCoverage]:
    asked = call.request.params
    subscription, tenant = asked.get("subscription", "").lower(), asked.get("tenant", "").lower()
    group = asked.get("managementGroup", "")
    below = {each.id.lower() for each in survey.below((), (group,) if group else ())}
    for each in survey.coverage:
        if subscription and each.subscription_id.lower() != subscription:
            continue
        if tenant and each.tenant_id.lower() != tenant:
            continue
        if each.subscription_id.lower() in below:
            yield each


async def _matrix(
    call: Call, survey: Survey, chosen: list[SubscriptionCoverage], verdicts: list[Verdict]
) -> list[dict[str, Any]]:
    loaded = await call.services.exports.load_all()
    kinds = {
        export.name: frozenset(source.event_source.removesuffix(SNAPSHOT) for source in compile_sources(export.config))
        for export in loaded.exports
    }
    latest = await call.services.freshness.latest()
    health = latest["health"] if latest else ()
    found = statuses(chosen, health, await _open_items(call), verdicts, kinds)
    names = {each.subscription_id: each for each in chosen}
    above = _above(survey)
    return [
        {
            "subscriptionId": status.subscription_id,
            "subscription": names[status.subscription_id].name,
            "tenantId": names[status.subscription_id].tenant_id,
            "managementGroups": above.get(status.subscription_id.lower(), []),
            "states": status.states,
            "notes": status.notes,
            "verdicts": status.verdicts,
        }
        for status in found
    ]


async def _open_items(call: Call) -> Iterable[Mapping[str, Any]]:
    """The items of the newest run that planned anything."""
    reports = call.services.reconciler.reports
    for run_id in await reports.recent(datetime.now(UTC), limit=5):
        report = await reports.read(run_id)
        if report and report["outcome"] not in {"Skipped", "Failed"}:
            items: list[Mapping[str, Any]] = report["items"]
            return items
    return ()


def _above(survey: Survey) -> dict[str, list[str]]:
    return {each.id.lower(): list(reversed(each.ancestors)) for each in survey.subscriptions}


def _flat(chosen: Iterable[SubscriptionCoverage], source: str) -> Iterable[dict[str, Any]]:
    for each in chosen:
        head = {"subscriptionId": each.subscription_id, "subscription": each.name, "tenantId": each.tenant_id}
        for name, exporters in each.exporters.items():
            if source in {"", name}:
                for exporter in exporters:
                    yield {**head, "eventSource": name, **exporter_row(exporter)}


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
    return serialization.table(call.request, rows, _FRESHNESS_COLUMNS, checked=latest["checked"] if latest else None)


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
    token = request_parameters.continuation(shown[-1]) if len(names) > size else ""
    found = await asyncio.gather(*(reports.read(run_id) for run_id in shown))
    rows = [{name: value for name, value in run.items() if name != "items"} for run in found if run is not None]
    if kind == serialization.CSV:
        return serialization.csv_page(rows, _RUN_COLUMNS, token)
    return serialization.answer({"value": rows, "continuation": token})


async def get_run(call: Call) -> func.HttpResponse:
    """The whole report of one run."""
    report = await call.services.reconciler.reports.read(call.request.route_params["id"])
    if report is None:
        raise ApiError(NOT_FOUND, "There is no run of this id; `GET /api/runs` lists them.")
    return serialization.answer(report)


async def list_dead_letters(call: Call) -> func.HttpResponse:
    """What could not be delivered, blob by blob, without contents."""
    from shared.enrich.dead_letters.dead_letter_store import Choice

    day = call.request.params.get("day")
    if day is not None and not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        raise ApiError(BAD_REQUEST, "'day' must be a day as YYYY-MM-DD.")
    parked = request_parameters.choice(call.request, "parked", "", "true", "false")
    choice = Choice(
        day=day or "",
        reason=call.request.params.get("reason", ""),
        parked={"true": True, "false": False}.get(parked),
        due_only=False,
    )
    rows = [
        {
            "name": letter.name,
            "day": letter.day,
            "reason": letter.reason,
            "records": letter.letters,
            "replays": letter.replays,
            "outage": letter.outage,
            "parked": letter.parked,
            "due": letter.due.isoformat(),
            "size": letter.size,
            "written": letter.written.isoformat(),
        }
        async for letter in call.services.pipeline.dead_letters.find(choice)
    ]
    return serialization.table(call.request, rows, _LETTER_COLUMNS)
