"""The rules of who is informed of what, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.exports.diagnostics import InvalidExport
from shared.exports.kept_file import FileChanged
from shared.web import serialization
from shared.web.problems import INVALID_EXPORT, NOT_FOUND, SECURITY_HEADERS, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


async def get_notify(call: Call) -> func.HttpResponse:
    """The stored file of receivers and rules, as it was put."""
    text = await call.services.notify_rules.text()
    if text is None:
        raise ApiError(NOT_FOUND, "There are no rules of who is informed of what: `PUT /api/notify` stores them.")
    return serialization.answer(text, kind=serialization.YAML)


async def put_notify(call: Call) -> func.HttpResponse:
    """Store the file of receivers and rules, in place of the one that is there."""
    import azure.functions as func

    text = serialization.body(call.request, *serialization.YAML_TYPES)
    try:
        await call.services.notify_rules.put(text, str(call.actor))
    except InvalidExport as invalid:
        findings = [finding.as_dict() for finding in invalid.findings]
        told = "Mend the findings in notify.yaml and put it again."
        raise ApiError(INVALID_EXPORT, told, findings=findings) from None
    except FileChanged:
        raise ApiError(UNAVAILABLE, "Others store this file all the time: read it, and put yours again.") from None
    return func.HttpResponse(status_code=204, headers=SECURITY_HEADERS)
