"""Coverage over HTTP: what each subscription exports, and the state of each in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.clock import utc_text
from shared.enrich.context.resource_context import first_tag
from shared.exports.compiler import compile_sources
from shared.exports.event_sources import EVENT_SOURCES, SNAPSHOT
from shared.exports.scope_findings import UnknownName
from shared.muting.mutes import Muted, Muting, Part
from shared.watch.cis_benchmark import CIS
from shared.watch.coverage import Exporter, SubscriptionCoverage
from shared.watch.coverage_document import coverage_row, exporter_row
from shared.watch.muted_run import muted_run
from shared.watch.open_items import Newest, subscription_of
from shared.watch.requirement_checks import Verdict, judge, with_proof
from shared.watch.status_matrix import BROKEN, ExportKnown, statuses
from shared.web import csv_answers, request_parameters, serialization
from shared.web.problems import NOT_FOUND, ApiError
from shared.web.scope import check_scope, read_tenant

if TYPE_CHECKING:
    import azure.functions as func

    from shared.reconcile.model import Subscription
    from shared.tenant_state import TenantState
    from shared.web.routing import Call

_EXPORTER_COLUMNS = (
    "subscriptionId", "subscription", "tenantId", "eventSource", "automation", "owner", "export", "enabled",
    "wholeSubscription", "destinations", "filter", "findings",
)  # fmt: skip
_EXPORTER_KEY = ("subscriptionId", "eventSource", "automation")
_STATUS_COLUMNS = (
    "subscriptionId", "subscription", "tenantId", "managementGroups", "subscriptionState", "takesWrites", "owner",
    "exports", "destinations", "states", "notes", "verdicts", "muted",
    "subscriptionMuted",
)  # fmt: skip


class _Asked(NamedTuple):
    """The subscriptions that were asked for, with what was read of the tenant and judged of them."""

    state: TenantState
    chosen: list[SubscriptionCoverage]
    verdicts: list[Verdict]
    newest: Newest
    muting: Muting

    @property
    def about(self) -> dict[str, Any]:
        """How old and how complete the answer is."""
        return {
            "generated": utc_text(self.state.taken),
            "complete": self.state.complete,
            "reasons": list(self.state.reasons),
            "muteTrouble": self.muting.trouble,
        }


async def get_coverage(call: Call) -> func.HttpResponse:
    """What each subscription exports and whether that suffices."""
    source = request_parameters.word(call.request, "source", EVENT_SOURCES)
    asked = await _asked(call)
    if serialization.accepted(call.request, serialization.JSON, serialization.CSV) == serialization.CSV:
        return csv_answers.table(
            call.request,
            list(_flat(asked.chosen, source)),
            _EXPORTER_COLUMNS,
            _EXPORTER_KEY,
            complete=asked.state.complete,
        )
    above = _above(asked.state)
    by_subscription: dict[str, list[Verdict]] = {}
    for verdict in asked.verdicts:
        by_subscription.setdefault(verdict.subscription_id, []).append(verdict)
    shown, token = request_parameters.page(call.request, asked.chosen, lambda each: (each.subscription_id,))
    value = [
        coverage_row(
            each, above.get(each.subscription_id.lower(), []), by_subscription.get(each.subscription_id, []), source
        )
        for each in shown
    ]
    now = datetime.now(UTC)
    for row in value:
        row.update(shown_mute("muted", asked.muting.of([Part(row["subscriptionId"].lower())], now)))
    if call.request.params.get("subscription") and value:
        items = asked.newest.items(asked.state.group_names.surely_above)
        value[0]["open"] = [one for one in items if subscription_of(one) == shown[0].subscription_id.lower()]
    return serialization.answer({**asked.about, "value": value, "continuation": token})


async def get_status(call: Call) -> func.HttpResponse:
    """The state of each subscription, one word for each kind of record, and what needs a person."""
    asked = await _asked(call)
    rows = await _matrix(call, asked, asked.newest)
    now = datetime.now(UTC)
    places = []
    for known in asked.newest.destinations:
        parts = [Part(export=name.lower(), destination=known["id"].strip("/").lower()) for name in known["exports"]]
        places.append({**known, **shown_mute("muted", asked.muting.of(parts, now))})
    about = {**asked.about, "destinations": places}
    if run := asked.newest.run:
        muted = muted_run(run, asked.newest.items(asked.state.group_names.surely_above), asked.muting, now)
        about |= {"run": run, **shown_mute("runMuted", muted)}
    if routes := await call.services.routes():
        about["routes"] = routes
    return csv_answers.table(call.request, rows, _STATUS_COLUMNS, ("subscriptionId",), **about)


async def _asked(call: Call) -> _Asked:
    unmet = request_parameters.word(call.request, "unmet", [CIS.name])
    names = {
        "subscription": request_parameters.guid(call.request, "subscription"),
        "group": call.request.params.get("managementGroup", ""),
        "tenant": request_parameters.guid(call.request, "tenant"),
    }
    state = await read_tenant(call)
    await check_scope(call, **{f"{name}s": [value] for name, value in names.items() if value})
    chosen = list(_chosen(state, **names))
    newest = await call.services.open_items.newest(datetime.now(UTC))
    verdicts = with_proof(judge(chosen, [CIS], newest.broken), await call.services.proven(), CIS.name)
    if unmet:
        failing = {verdict.subscription_id for verdict in verdicts if verdict.requirement == unmet and not verdict.met}
        chosen = [each for each in chosen if each.subscription_id in failing]
    return _Asked(state, chosen, verdicts, newest, await call.services.muting(state))


def _chosen(survey: TenantState, subscription: str, group: str, tenant: str) -> Iterable[SubscriptionCoverage]:
    try:
        below = {each.id.lower() for each in survey.below((), (group,) if group else ())}
    except UnknownName as unknown:
        raise ApiError(NOT_FOUND, str(unknown)) from None
    for each in survey.coverage:
        if subscription and each.subscription_id.lower() != subscription:
            continue
        if tenant and each.tenant_id.lower() != tenant:
            continue
        if each.subscription_id.lower() in below:
            yield each


async def _matrix(call: Call, asked: _Asked, newest: Newest) -> list[dict[str, Any]]:
    broken = {
        export: "; ".join(known["reasons"]) or "it is broken"
        for known in newest.destinations
        if known["state"] == BROKEN
        for export in known["exports"]
    }
    loaded = await call.services.exports.load_all()
    exports = {
        one.name: ExportKnown(
            frozenset(source.event_source.removesuffix(SNAPSHOT) for source in compile_sources(one.config)),
            broken.get(one.name, ""),
            one.config.destination.place_id,
        )
        for one in loaded.exports
    }
    latest = await call.services.freshness.latest()
    health = latest["health"] if latest else ()
    found = statuses(asked.chosen, health, newest.items(asked.state.group_names.surely_above), asked.verdicts, exports)
    known = {each.id.lower(): each for each in asked.state.subscriptions}
    now = datetime.now(UTC)
    owner_tags = [name.lower() for name in call.services.settings.owner_tags]
    return [
        {
            **_who(each, known[each.subscription_id.lower()], owner_tags),
            "exports": sorted({one.export for one in _exporters(each) if one.owner == "ours"}),
            "destinations": _destinations(each),
            "states": status.states,
            "notes": status.notes,
            "verdicts": status.verdicts,
            "muted": {kind: muted.as_dict() for kind, muted in status.muted(asked.muting, now).items()},
            **shown_mute("subscriptionMuted", asked.muting.of([Part(each.subscription_id.lower())], now)),
        }
        for each, status in zip(asked.chosen, found, strict=True)
    ]


def shown_mute(name: str, muted: Muted | None) -> dict[str, Any]:
    """By what something is muted, as answers have it under a name; nothing where it is not."""
    return serialization.where_known(**{name: muted.as_dict() if muted else None})


def _who(coverage: SubscriptionCoverage, subscription: Subscription, owner_tags: Sequence[str]) -> dict[str, Any]:
    return {
        "subscriptionId": coverage.subscription_id,
        "subscription": coverage.name,
        "tenantId": coverage.tenant_id,
        "managementGroups": list(reversed(subscription.ancestors)),
        "subscriptionState": subscription.state,
        "takesWrites": subscription.writable,
        "owner": first_tag(owner_tags, [subscription.tags]),
    }


def _destinations(coverage: SubscriptionCoverage) -> list[str]:
    """Where its automations send, each once, however its id is spelt."""
    spelt = {to.resource_id.lower(): to.resource_id for one in _exporters(coverage) for to in one.destinations}
    return sorted(place for place in spelt.values() if place)


def _exporters(coverage: SubscriptionCoverage) -> Iterable[Exporter]:
    return chain.from_iterable(coverage.exporters.values())


def _above(survey: TenantState) -> dict[str, list[str]]:
    return {each.id.lower(): list(reversed(each.ancestors)) for each in survey.subscriptions}


def _flat(chosen: Iterable[SubscriptionCoverage], source: str) -> Iterable[dict[str, Any]]:
    for each in chosen:
        head = {"subscriptionId": each.subscription_id, "subscription": each.name, "tenantId": each.tenant_id}
        for name, exporters in each.exporters.items():
            if source in {"", name}:
                for exporter in exporters:
                    yield {**head, "eventSource": name, **exporter_row(exporter)}
