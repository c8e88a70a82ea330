"""The rules of who is informed of what, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.exports.kept_file import FileBusy
from shared.notify.rules import read_rules
from shared.notify.stored_rules import BLOB
from shared.web import serialization
from shared.web.checks_apart import apart
from shared.web.findings import found_by, shown
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
    if findings := await apart(len(text), found_by, read_rules, text, BLOB):
        told = "Mend the findings in notify.yaml and put it again."
        raise ApiError(INVALID_EXPORT, told, findings=shown(findings))
    try:
        await call.services.notify_rules.put(text, str(call.actor), checked=True)
    except FileBusy as busy:
        raise ApiError(UNAVAILABLE, str(busy)) from None
    return func.HttpResponse(status_code=204, headers=SECURITY_HEADERS)
