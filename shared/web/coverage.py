"""Answers for people and dashboards: coverage, freshness, runs, dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.exports.compiler import compile_sources
from shared.exports.event_sources import SNAPSHOT
from shared.exports.scope_findings import UnknownName
from shared.watch.cis_benchmark import CIS
from shared.watch.coverage import SubscriptionCoverage
from shared.watch.coverage_document import coverage_row, exporter_row
from shared.watch.matrix import statuses
from shared.watch.requirement_verdicts import Verdict, judge
from shared.web import request_parameters, serialization
from shared.web.problems import BAD_REQUEST, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.tenant_state import TenantState
    from shared.web.routing import Call

_SURVEY_SECONDS = 60
_EXPORTER_COLUMNS = (
    "subscriptionId", "subscription", "tenantId", "eventSource", "automation", "owner", "export", "enabled",
    "wholeSubscription", "destinations", "filter", "findings",
)  # fmt: skip
_STATUS_COLUMNS = ("subscriptionId", "subscription", "tenantId", "managementGroups", "states", "notes", "verdicts")


async def get_coverage(call: Call) -> func.HttpResponse:
    """What each subscription exports and whether that suffices; `view=matrix` is one word per kind."""
    view = request_parameters.choice(call.request, "view", "exporters", "matrix")
    age = request_parameters.number(call.request, "maxAge", _SURVEY_SECONDS, _SURVEY_SECONDS)
    survey = await call.services.tenant_state.take(timedelta(seconds=age))
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


def _chosen(call: Call, survey: TenantState) -> Iterable[SubscriptionCoverage]:
    asked = call.request.params
    subscription, tenant = asked.get("subscription", "").lower(), asked.get("tenant", "").lower()
    group = asked.get("managementGroup", "")
    try:
        below = {each.id.lower() for each in survey.below((), (group,) if group else ())}
    except UnknownName as unknown:
        raise ApiError(BAD_REQUEST, str(unknown)) from None
    for each in survey.coverage:
        if subscription and each.subscription_id.lower() != subscription:
            continue
        if tenant and each.tenant_id.lower() != tenant:
            continue
        if each.subscription_id.lower() in below:
            yield each


async def _matrix(
    call: Call, survey: TenantState, chosen: list[SubscriptionCoverage], verdicts: list[Verdict]
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
    """The items of the newest run that planned for the whole tenant."""
    reports = call.services.reconciler.reports
    for run_id in await reports.recent(datetime.now(UTC), limit=5):
        report = await reports.read(run_id)
        if report and not report["scope"] and report["outcome"] not in {"Skipped", "Failed", "Running", "Unreadable"}:
            items: list[Mapping[str, Any]] = report["items"]
            return items
    return ()


def _above(survey: TenantState) -> dict[str, list[str]]:
    return {each.id.lower(): list(reversed(each.ancestors)) for each in survey.subscriptions}


def _flat(chosen: Iterable[SubscriptionCoverage], source: str) -> Iterable[dict[str, Any]]:
    for each in chosen:
        head = {"subscriptionId": each.subscription_id, "subscription": each.name, "tenantId": each.tenant_id}
        for name, exporters in each.exporters.items():
            if source in {"", name}:
                for exporter in exporters:
                    yield {**head, "eventSource": name, **exporter_row(exporter)}
