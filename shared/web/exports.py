"""Export files over HTTP: list, read, write with ETags, delete, validate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.exports.compiler import compile_automation, compile_sources, one_scope_each
from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.explain import explain
from shared.exports.file_tests import run_tests
from shared.exports.store import ExportConflict, ExportNotFound, StoredExport, is_export_name
from shared.exports.validation import Checked, check_text
from shared.stored_format import KeptAsIs
from shared.web import request_parameters, serialization
from shared.web.problems import BAD_REQUEST, CHANGED, CONFLICT, INVALID_EXPORT, NOT_FOUND, SECURITY_HEADERS, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.exports.model import ExportConfig
    from shared.web.routing import Call

_COLUMNS = ("name", "etag", "size", "modified")
# Compiled bodies differ between subscriptions only in this id.
_EXAMPLE_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


async def list_exports(call: Call) -> func.HttpResponse:
    """Every stored export with its ETag, and what is wrong with those that are not valid."""
    rows = [
        {"name": entry.name, "etag": entry.etag, "size": entry.size, "modified": entry.modified.isoformat()}
        for entry in await call.services.exports.list()
    ]
    loaded = await call.services.exports.load_all()
    problems = [
        {"name": problem.name, "inForce": problem.in_force, "findings": shown(problem.findings)}
        for problem in loaded.problems
    ]
    return serialization.table(call.request, rows, _COLUMNS, problems=problems, warnings=shown(loaded.warnings))


async def get_export(call: Call) -> func.HttpResponse:
    """One export as YAML, as it was put, or as JSON by `Accept`, with its ETag."""
    kind = serialization.accepted(call.request, serialization.YAML, serialization.JSON)
    stored = await _stored(call)
    if stored is None:
        raise _missing()
    headers = {"ETag": stored.etag}
    if kind == serialization.YAML:
        return serialization.answer(stored.text, kind=serialization.YAML, headers=headers)
    checked = check_text(stored.text, stored.name)
    if checked.config is None:
        raise _invalid(checked.findings)
    return serialization.answer(_document(checked.config), headers=headers)


async def put_export(call: Call) -> func.HttpResponse:
    """Store an export: 201 when it is new, 200 when it replaces one; `?dryRun=true` stops short of storing it."""
    name = call.request.route_params["name"]
    dry_run = request_parameters.choice(call.request, "dryRun", "false", "true") == "true"
    condition = request_parameters.condition(call.request)
    if not is_export_name(name):
        raise ApiError(
            BAD_REQUEST, "An export's name has 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end."
        )
    checked = await call.services.exports.check(name, _text(call))
    if not checked.valid:
        raise _invalid(checked.findings)
    before = await _stored(call)
    if not condition.holds(before.etag if before else None):
        raise _changed()
    if dry_run:
        return serialization.answer(_validation(checked, call.services.settings.instance_id))
    absent = "*" if condition.absent else None
    try:
        etag = await call.services.exports.put(name, checked.text, if_match=condition.match, if_none_match=absent)
    except ExportConflict:  # since it was looked at
        raise _changed() from None
    except InvalidExport as invalid:  # another file was put meanwhile
        raise _invalid(invalid.findings) from None
    except KeptAsIs as kept:
        raise ApiError(CONFLICT, str(kept)) from None
    document = {"name": name, "etag": etag, "findings": shown(checked.findings)}
    headers = {"ETag": etag, "Location": f"/api/exports/{name}"}
    return serialization.answer(document, status=201 if before is None else 200, headers=headers)


async def delete_export(call: Call) -> func.HttpResponse:
    """Take an export out of the store; the next run removes its automations, within the guards."""
    import azure.functions as func

    condition = request_parameters.condition(call.request)
    if condition.absent:
        raise ApiError(BAD_REQUEST, "If-None-Match has no meaning here; name the version you delete in If-Match.")
    try:
        reason = f"through the API by {call.actor}"
        await call.services.exports.delete(call.request.route_params["name"], if_match=condition.match, reason=reason)
    except ExportNotFound:
        raise _missing() from None
    except ExportConflict:
        raise _changed() from None
    except KeptAsIs as kept:
        raise ApiError(CONFLICT, str(kept)) from None
    return func.HttpResponse(status_code=204, headers=SECURITY_HEADERS)


async def validate_export(call: Call) -> func.HttpResponse:
    """Check an export without storing it: findings, what it sends in words, the compiled body, its own tests."""
    checked = check_text(_text(call), "export")
    return serialization.answer(_validation(checked, call.services.settings.instance_id))


def _text(call: Call) -> bytes:
    # YAML is a superset of JSON, so one reader serves both.
    return serialization.body(call.request, serialization.YAML, serialization.JSON, "application/x-yaml", "text/yaml")


async def _stored(call: Call) -> StoredExport | None:
    try:
        return await call.services.exports.get(call.request.route_params["name"])
    except ExportNotFound:
        return None


def _document(config: ExportConfig) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(config.model_dump_json(by_alias=True, exclude_unset=True))
    return document


def _validation(checked: Checked, instance_id: str) -> dict[str, Any]:
    config = checked.config
    answer: dict[str, Any] = {"valid": checked.valid, "findings": shown(checked.findings)}
    if config is None:
        return answer
    answer["sentences"] = [explain(source) for source in compile_sources(config)]
    answer["tests"] = [
        {"name": outcome.label, "passed": outcome.passed, "expected": outcome.expected, "reason": outcome.reason}
        for outcome in run_tests(config)
    ]
    if checked.valid:
        bodies = [compile_automation(part, _EXAMPLE_SUBSCRIPTION, instance_id) for part in one_scope_each(config)]
        answer |= {"compiled": bodies[0], "automations": bodies}
    return answer


def shown(findings: tuple[Diagnostic, ...]) -> list[dict[str, Any]]:
    """Findings as the API gives them."""
    return [finding.as_dict() for finding in findings]


def _invalid(findings: tuple[Diagnostic, ...]) -> ApiError:
    return ApiError(INVALID_EXPORT, "Mend the findings of severity error and send it again.", findings=shown(findings))


def _missing() -> ApiError:
    return ApiError(NOT_FOUND, "There is no export of this name; `GET /api/exports` lists them.")


def _changed() -> ApiError:
    return ApiError(CHANGED, "The export is not the version you named: read it again, and repeat your change on it.")
