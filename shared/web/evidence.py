"""Evidence for auditors over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.exports.diagnostics import InvalidExport
from shared.exports.scope_findings import UnknownName
from shared.watch.evidence.csv_form import csv_table
from shared.watch.evidence.html_form import STYLE, html_page
from shared.web import request_parameters, serialization
from shared.web.files_beside import REQUIREMENTS_FILE
from shared.web.findings import shown
from shared.web.html_pages import page_answer, source_hash
from shared.web.problems import BAD_REQUEST, INVALID_EXPORT, NOT_FOUND, ApiError
from shared.web.scope import check_scope, read_tenant

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

MAX_PRINTED = 20_000
_HTML = "text/html"
POLICY = (
    f"default-src 'none'; style-src {source_hash(STYLE)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def get_evidence(call: Call) -> func.HttpResponse:
    """The report: in pages as JSON or CSV, whole as HTML; each page says of what reading it is (`sources`)."""
    kind = serialization.accepted(call.request, serialization.JSON, serialization.CSV, _HTML)
    document = await _report(call)
    rows = document["value"]
    if kind == _HTML:
        if len(rows) > MAX_PRINTED:
            told = (
                f"A page has {MAX_PRINTED:,} verdicts at most, this would have {len(rows):,}: name a managementGroup."
            )
            raise ApiError(BAD_REQUEST, told)
        return page_answer(await asyncio.to_thread(html_page, document), POLICY)
    shown, token = request_parameters.page(call.request, rows, lambda row: (row["requirement"], row["subscriptionId"]))
    if kind == serialization.CSV:
        headers = {"Complete": str(document["complete"]).lower()} | ({"Continuation": token} if token else {})
        return serialization.answer(csv_table(document, shown), kind=serialization.CSV, headers=headers)
    requirements = [_without_nulls(each) for each in document["requirements"]]
    value = [_without_nulls(row) for row in shown]
    return serialization.answer({**document, "requirements": requirements, "value": value, "continuation": token})


def _without_nulls(document: Mapping[str, Any]) -> dict[str, Any]:
    return serialization.where_known(**document)


async def _report(call: Call) -> dict[str, Any]:
    subscription = request_parameters.guid(call.request, "subscription")
    group = call.request.params.get("managementGroup", "")
    state = await read_tenant(call)
    await check_scope(call, subscriptions=[subscription] * bool(subscription), groups=[group] * bool(group))
    try:
        below = {each.id.lower() for each in state.below((), [group] * bool(group))}
    except UnknownName as unknown:
        raise ApiError(NOT_FOUND, str(unknown)) from None
    chosen = below & {subscription} if subscription else below
    try:
        return await call.services.evidence(state, chosen, str(call.actor))
    except InvalidExport as invalid:
        told = f"Mend the findings in {REQUIREMENTS_FILE} and put it again."
        raise ApiError(INVALID_EXPORT, told, findings=shown(invalid.findings)) from None
