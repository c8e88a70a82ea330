"""Evidence for auditors over HTTP, and the requirements and exceptions that it judges by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.kept_file import FileBusy, FileChanged
from shared.exports.scope_findings import UnknownName
from shared.watch.evidence.csv_form import csv_table
from shared.watch.evidence.html_form import STYLE, html_page
from shared.watch.requirements_file import read_requirements
from shared.watch.stored_requirements import BLOB
from shared.web import request_parameters, serialization
from shared.web.checks_apart import apart
from shared.web.findings import found_by, shown
from shared.web.html_pages import page_answer, source_hash
from shared.web.problems import BAD_REQUEST, CHANGED, INVALID_EXPORT, NOT_FOUND, SECURITY_HEADERS, UNAVAILABLE, ApiError
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
    return serialization.answer({**document, "value": list(shown), "continuation": token})


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
        raise _invalid(invalid.findings) from None


async def get_requirements(call: Call) -> func.HttpResponse:
    """The stored file of requirements and exceptions, as it was put; 304 when the caller has this version."""
    import azure.functions as func

    condition = request_parameters.condition(call.request)
    stored = await call.services.requirements.stored()
    if stored is None:
        raise ApiError(NOT_FOUND, "There is no file of requirements: `PUT /api/requirements` stores one.")
    text, etag = stored
    if not condition.matches(etag):
        raise _changed()
    if not condition.is_new(etag):
        return func.HttpResponse(status_code=304, headers={**SECURITY_HEADERS, "ETag": etag})
    return serialization.answer(text, kind=serialization.YAML, headers={"ETag": etag})


async def put_requirements(call: Call) -> func.HttpResponse:
    """Store the file of requirements and exceptions, in place of the one that is there or that is named."""
    import azure.functions as func

    text = serialization.body(call.request, *serialization.YAML_TYPES)
    condition = request_parameters.condition(call.request)
    if findings := await apart(len(text), found_by, read_requirements, text, BLOB):
        raise _invalid(findings)
    try:
        etag = await call.services.requirements.put(text, str(call.actor), meant=condition.holds, checked=True)
    except FileChanged:
        raise _changed() from None
    except FileBusy as busy:
        raise ApiError(UNAVAILABLE, str(busy)) from None
    return func.HttpResponse(status_code=204, headers={**SECURITY_HEADERS, "ETag": etag})


def _changed() -> ApiError:
    return ApiError(CHANGED, "The file is not the version you named: read it again, and repeat your change on it.")


def _invalid(findings: tuple[Diagnostic, ...]) -> ApiError:
    told = "Mend the findings in the file of requirements and put it again."
    return ApiError(INVALID_EXPORT, told, findings=shown(findings))
