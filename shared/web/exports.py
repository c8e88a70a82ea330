"""Export files over HTTP: list, read, write with ETags, delete, validate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.clock import utc_text
from shared.exports.compiler import compile_automation, compile_sources, one_scope_each
from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.explain import explain
from shared.exports.export_blobs import ExportConflict, ExportNotFound, is_export_name
from shared.exports.file_tests import run_tests
from shared.exports.store import StoredExport
from shared.exports.suggestions import suggest
from shared.exports.validation import Checked, check_new_version, check_text
from shared.exports.yaml_writer import write
from shared.stored_format import KeptAsIs
from shared.web import csv_answers, request_parameters, serialization
from shared.web.checks_apart import apart
from shared.web.findings import shown
from shared.web.json_reader import UnreadableJsonError, read_json
from shared.web.problems import BAD_REQUEST, CHANGED, CONFLICT, INVALID_EXPORT, NOT_FOUND, SECURITY_HEADERS, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

_COLUMNS = ("name", "etag", "size", "modified")
_JSON_ETAG = '-json"'
_TRIES = 5
# Compiled bodies differ between subscriptions only in this id.
_EXAMPLE_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


async def list_exports(call: Call) -> func.HttpResponse:
    """Every stored export with its ETag, and what is wrong with those that are not valid."""
    rows = [
        {"name": entry.name, "etag": entry.etag, "size": entry.size, "modified": utc_text(entry.modified)}
        for entry in await call.services.exports.list()
    ]
    loaded = await call.services.exports.load_all()
    problems = [
        {"name": problem.name, "inForce": problem.in_force, "findings": shown(problem.findings)}
        for problem in loaded.problems
    ]
    return csv_answers.table(
        call.request, rows, _COLUMNS, ("name",), problems=problems, warnings=shown(loaded.warnings)
    )


async def get_export(call: Call) -> func.HttpResponse:
    """One export as JSON, or as YAML by `Accept`, with its ETag; 304 when the caller has this version."""
    import azure.functions as func

    kind = serialization.accepted(call.request, serialization.JSON, serialization.YAML)
    condition = request_parameters.condition(call.request)
    stored = await _stored(call)
    if stored is None:
        raise await _missing(call)
    headers = {"ETag": _representation(stored.etag, kind), "Vary": "Accept"}
    if not condition.matches(headers["ETag"]):
        raise _changed()
    if not condition.is_new(headers["ETag"]):
        return func.HttpResponse(status_code=304, headers={**SECURITY_HEADERS, **headers})
    if kind == serialization.YAML:
        return serialization.answer(stored.text, kind=serialization.YAML, headers=headers)
    document = await apart(len(stored.text), _as_json, stored.text, stored.name)
    if isinstance(document, tuple):
        raise _invalid(document)
    return serialization.answer(document, headers=headers)


async def put_export(call: Call) -> func.HttpResponse:
    """Store an export: 201 when it is new, 200 when it replaces one; `?dryRun=true` only checks it."""
    name = _writable_name(call)
    dry_run = _dry_run(call)
    condition = _condition(call)
    text, is_json = _sent(call)
    alone = await apart(len(text), _checked, check_new_version, name, text, is_json)
    checked = await call.services.exports.check_beside(name, alone)
    if not checked.valid:
        raise _invalid(checked.findings)
    for _ in range(_TRIES):
        before = await _stored(call)
        if not condition.holds(before.etag if before else None):
            raise _changed()
        if dry_run:
            said = await apart(len(checked.text), _validation, checked, call.services.settings.instance_id)
            stored = {"name": name, "etag": before.etag if before else "", "dryRun": True}
            return serialization.answer({**stored, **said})
        match, absent = (before.etag, None) if before else (None, "*")
        try:
            etag = await call.services.exports.put(
                name, alone, if_match=match, if_none_match=absent, by=str(call.actor)
            )
        except ExportConflict:  # another write came first: what holds now is looked at again
            continue
        except InvalidExport as invalid:  # another file was put meanwhile
            raise _invalid(invalid.findings) from None
        except KeptAsIs as kept:
            raise ApiError(CONFLICT, str(kept)) from None
        document = {"name": name, "etag": etag, "dryRun": False, "valid": True, "findings": shown(checked.findings)}
        headers = {"ETag": etag, "Location": f"/api/exports/{name}"}
        return serialization.answer(document, status=201 if before is None else 200, headers=headers)
    raise _changed()


async def delete_export(call: Call) -> func.HttpResponse:
    """Take an export out of the store; the next run removes its automations, within the guards.

    What is not there is deleted already: 204, whatever `If-Match` says (RFC 9110, 13.1.1; Azure REST API guidelines,
    "http-delete-returns-204"), but one whose file was lost, and whose automations are live, is ended.
    `?dryRun=true` answers as the deletion would and deletes nothing.
    """
    import azure.functions as func

    _writable_name(call)
    dry_run = _dry_run(call)
    condition = _condition(call)
    done = func.HttpResponse(status_code=204, headers=SECURITY_HEADERS)
    for _ in range(_TRIES):
        stored = await _stored(call)
        if stored is None:
            if not dry_run and await _lost(call):
                await _end(call)
            return done
        if not condition.holds(stored.etag):
            raise _changed()
        if dry_run:
            return done
        try:
            reason = f"through the API by {call.actor}"
            await call.services.exports.delete(stored.name, if_match=stored.etag, reason=reason, by=str(call.actor))
        except ExportNotFound:
            return done
        except ExportConflict:  # it was replaced since it was looked at
            continue
        except KeptAsIs as kept:
            raise ApiError(CONFLICT, str(kept)) from None
        return done
    raise _changed()


async def _lost(call: Call) -> bool:
    """Whether automations of this instance belong to an export that has no file."""
    name = call.request.route_params["name"]
    state = await call.services.tenant_state.take()
    live = (each for one in state.coverage for exporters in one.exporters.values() for each in exporters)
    return any(each.owner == "ours" and each.export == name for each in live)


async def _end(call: Call) -> None:
    try:
        reason = f"through the API by {call.actor}"
        await call.services.exports.end(call.request.route_params["name"], reason=reason, by=str(call.actor))
    except ExportConflict:
        raise _changed() from None
    except KeptAsIs as kept:
        raise ApiError(CONFLICT, str(kept)) from None


async def validate_export(call: Call) -> func.HttpResponse:
    """Check an export without storing it: findings, what it sends in words, the compiled body, its own tests."""
    text, is_json = _sent(call)
    said = await apart(len(text), _validated, text, is_json, call.services.settings.instance_id)
    return serialization.answer(said)


def _writable_name(call: Call) -> str:
    name: str = call.request.route_params["name"]
    if not is_export_name(name):
        raise ApiError(
            BAD_REQUEST, "An export's name has 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end."
        )
    return name


def _dry_run(call: Call) -> bool:
    dry_run = request_parameters.choice(call.request, "dryRun", "false", "true") == "true"
    call.deed["dryRun"] = dry_run
    return dry_run


def _condition(call: Call) -> request_parameters.Condition:
    """The precondition of a write, in ETags of the stored version."""
    return request_parameters.Condition(
        *(
            None if tags is None else tuple(tag.replace(_JSON_ETAG, '"') for tag in tags)
            for tags in request_parameters.condition(call.request)
        )
    )


def _representation(etag: str, kind: str) -> str:
    """The ETag of one representation: a strong one differs where the bytes do (RFC 9110, 8.8.3.3)."""
    return etag if kind == serialization.YAML else etag[:-1] + _JSON_ETAG


def _sent(call: Call) -> tuple[bytes, bool]:
    """The body, and whether it is JSON."""
    text = serialization.body(call.request, *serialization.YAML_TYPES, serialization.JSON)
    return text, serialization.media_type(call.request) == serialization.JSON


def _checked(check: Callable[[str, bytes], Checked], name: str, text: bytes, is_json: bool) -> Checked:
    """The checks of a body; JSON is read as JSON, and kept as the YAML that says the same."""
    if not is_json:
        return check(name, text)
    try:
        document = read_json(text)
    except UnreadableJsonError as error:
        fix = "Send one JSON object that follows the schema of an export."
        return Checked(name, b"", None, (Diagnostic("not-json", "error", name, f"the body {error}.", fix),))
    return check(name, write(document).encode())


def _alone(name: str, text: bytes) -> Checked:
    return check_text(text, name)


def _validated(text: bytes, is_json: bool, instance_id: str) -> dict[str, Any]:
    return _validation(_checked(_alone, "export", text, is_json), instance_id)


async def _stored(call: Call) -> StoredExport | None:
    try:
        return await call.services.exports.get(call.request.route_params["name"])
    except ExportNotFound:
        return None


def _as_json(text: bytes, name: str) -> dict[str, Any] | tuple[Diagnostic, ...]:
    """What a stored file says, or the findings that make it unreadable."""
    checked = check_text(text, name)
    if checked.config is None:
        return checked.findings
    document: dict[str, Any] = json.loads(checked.config.model_dump_json(by_alias=True, exclude_unset=True))
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


def _invalid(findings: tuple[Diagnostic, ...]) -> ApiError:
    return ApiError(INVALID_EXPORT, "Mend the findings of severity error and send it again.", findings=shown(findings))


async def _missing(call: Call) -> ApiError:
    names = [entry.name for entry in await call.services.exports.list()]
    near = suggest(call.request.route_params["name"], names)
    return ApiError(NOT_FOUND, f"There is no export of this name; `GET /api/exports` lists them. {near}".strip())


def _changed() -> ApiError:
    return ApiError(CHANGED, "The export is not the version you named: read it again, and repeat your change on it.")
