"""Mutes and maintenance windows over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.exports.kept_file import FileBusy, FileChanged
from shared.muting.mutes_file import read_mutes
from shared.muting.stored_mutes import BLOB
from shared.web import request_parameters, serialization
from shared.web.checks_apart import apart
from shared.web.findings import found_by, shown
from shared.web.problems import CHANGED, INVALID_EXPORT, NOT_FOUND, SECURITY_HEADERS, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


async def get_mutes(call: Call) -> func.HttpResponse:
    """The stored file of mutes, as it was put; 304 when the caller has this version."""
    import azure.functions as func

    condition = request_parameters.condition(call.request)
    stored = await call.services.mutes.stored()
    if stored is None:
        raise ApiError(NOT_FOUND, "Nothing is muted: `PUT /api/mutes` stores a file of mutes.")
    text, etag = stored
    if not condition.matches(etag):
        raise _changed()
    if not condition.is_new(etag):
        return func.HttpResponse(status_code=304, headers={**SECURITY_HEADERS, "ETag": etag})
    return serialization.answer(text, kind=serialization.YAML, headers={"ETag": etag})


async def put_mutes(call: Call) -> func.HttpResponse:
    """Store the file of mutes in place of the one that is there or that is named; says which mute nothing."""
    text = serialization.body(call.request, *serialization.YAML_TYPES)
    condition = request_parameters.condition(call.request)
    if findings := await apart(len(text), found_by, read_mutes, text, BLOB):
        told = "Mend the findings in mutes.yaml and put it again."
        raise ApiError(INVALID_EXPORT, told, findings=shown(findings))
    try:
        etag = await call.services.mutes.put(text, str(call.actor), meant=condition.holds, checked=True)
    except FileChanged:
        raise _changed() from None
    except FileBusy as busy:
        raise ApiError(UNAVAILABLE, str(busy)) from None
    mutes = await call.services.mutes.mutes_of(text)
    said = await call.services.mute_warnings(mutes)
    return serialization.answer({"mutes": len(mutes), "warnings": said}, headers={"ETag": etag})


def _changed() -> ApiError:
    return ApiError(CHANGED, "The file is not the version you named: read it again, and repeat your change on it.")
