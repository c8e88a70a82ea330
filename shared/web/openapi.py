"""The OpenAPI 3.1 document, made from the table of operations and the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import __version__
from shared.exports.event_sources import EVENT_SOURCES, KINDS
from shared.watch.cis_benchmark import CIS
from shared.watch.freshness_verdicts import VERDICTS
from shared.web import problems, response_models, serialization
from shared.web.authorization import APPROVE
from shared.web.openapi_examples import APPROVAL, EXAMPLES, EXPORT_YAML, JOBS, problem_example
from shared.web.request_parameters import API_VERSIONS, ENTITY_TAGS
from shared.web.routing import OPERATIONS, Call, Operation

if TYPE_CHECKING:
    import azure.functions as func
    from pydantic import BaseModel

_REF = "#/components/schemas/{model}"
_PROBLEM = "application/problem+json"
_NOT_READY = 503
_WITHOUT_CONTENT = {204, 304}
_DESCRIPTIONS = {_NOT_READY: "Not ready", 304: "The version that the caller has"}


@dataclass(frozen=True)
class _Shape:
    """What one operation takes and gives: models by status, further media types, parameters, and its problems."""

    summary: str
    answers: dict[int, tuple[str, ...]]
    problems: tuple[problems.ProblemType, ...] = ()
    headers: tuple[str, ...] = ()
    takes: str = ""
    gives: tuple[str, ...] = ("application/json",)
    returns: tuple[str, ...] = ()


_TABLE = ("application/json", "text/csv")

_SHAPES = {
    "list_exports": _Shape(
        "List stored exports", {200: ("ExportList",)}, (problems.NOT_ACCEPTABLE,),
        gives=_TABLE,
    ),
    "get_export": _Shape(
        "Read an export as JSON, or as YAML by Accept", {200: ("ExportConfig",), 304: ()},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.CHANGED, problems.INVALID_EXPORT),
        ("If-Match", "If-None-Match"), gives=("application/json", "application/yaml"), returns=("ETag", "Vary"),
    ),
    "put_export": _Shape(
        "Store an export, or only check it with dryRun", {200: ("ExportStored", "Validation"), 201: ("ExportStored",)},
        (problems.CHANGED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA,
         problems.INVALID_EXPORT),
        ("If-Match", "If-None-Match"), takes="export", returns=("ETag", "Location"),
    ),
    "delete_export": _Shape(
        "Delete an export; one that is not there is deleted already", {204: ()}, (problems.CHANGED,),
        ("If-Match", "If-None-Match"),
    ),
    "validate_export": _Shape(
        "Check an export without storing it", {200: ("Validation",)},
        (problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA), takes="text",
    ),
    "plan_changes": _Shape(
        "Plan what is stored, or files that come along, and keep nothing", {200: ("PlanAnswer",)},
        (problems.BAD_REQUEST, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_EXPORT), takes="plan",
    ),
    "import_live": _Shape(
        "Export files for what is live", {200: ("ImportAnswer",)},
        (problems.BAD_REQUEST, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA), takes="import",
    ),
    "start_job": _Shape(
        "Start a job", {202: ("Job",), 200: ("Job",)},
        (problems.NOT_FOUND, problems.CONFLICT, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.TOO_MANY),
        ("Idempotency-Key",), takes="job", returns=("Location", "Retry-After"),
    ),
    "get_job": _Shape(
        "Read a job", {200: ("Job",)}, (problems.NOT_FOUND,),
        returns=("Location", "Retry-After"),
    ),
    "list_jobs": _Shape("List jobs, newest first", {200: ("JobList",)}),
    "approve_plan": _Shape(
        "Approve the plan of a run", {201: ("ApprovalBody",)},
        (problems.BAD_REQUEST, problems.NOT_FOUND, problems.CONFLICT, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA),
        takes="approval",
    ),
    "get_coverage": _Shape(
        "What each subscription exports, and whether that suffices", {200: ("CoverageList", "StatusList")},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.TOO_MANY), gives=_TABLE, returns=("Complete",),
    ),
    "get_freshness": _Shape(
        "When each subscription last sent each kind", {200: ("FreshnessList",)},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE), gives=_TABLE,
    ),
    "list_runs": _Shape(
        "List reconcile runs, newest first", {200: ("RunList",)}, (problems.NOT_ACCEPTABLE,),
        gives=_TABLE,
    ),
    "get_run": _Shape("Read the report of a run", {200: ("RunReport",)}, (problems.NOT_FOUND,)),
    "list_dead_letters": _Shape(
        "List dead letters", {200: ("DeadLetterList",)}, (problems.NOT_ACCEPTABLE,),
        gives=_TABLE,
    ),
    "get_metrics": _Shape(
        "Records a minute, lag and secure score over time", {200: ("Metrics",)}
    ),
    "operations_page": _Shape("The page that people look at", {200: ()}, gives=("text/html",)),
    "ready": _Shape("Whether everything the app depends on answers", {200: ("Readiness",), _NOT_READY: ("Readiness",)}),
    "openapi": _Shape("This document", {200: ()}),
}  # fmt: skip

_ETAG = f"^{ENTITY_TAGS}$"
_HEADERS = {"If-Match", "If-None-Match", "Idempotency-Key"}
_GUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_ALWAYS = (problems.BAD_REQUEST, problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.INTERNAL, problems.UNAVAILABLE)

_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": (
        "Rows in a page, at most; jobs and runs come 200 at most.",
        {"type": "integer", "minimum": 1, "maximum": 1000},
    ),
    "continuation": (
        "The `continuation` of the page before, of this list with these filters.",
        {"type": "string", "minLength": 1},
    ),
    "dryRun": ("Only check; write nothing.", {"type": "string", "enum": ["true", "false"]}),
    "wait": ("Seconds to wait for the job to finish.", {"type": "integer", "minimum": 0, "maximum": 200}),
    "view": ("`matrix` for one word per kind.", {"type": "string", "enum": ["exporters", "matrix"]}),
    "subscription": ("Only this subscription id.", {"type": "string", "pattern": _GUID}),
    "managementGroup": ("Only subscriptions below this one.", {"type": "string", "minLength": 1}),
    "tenant": ("Only subscriptions of this tenant id.", {"type": "string", "pattern": _GUID}),
    "source": ("Only this event source.", {"type": "string", "enum": list(EVENT_SOURCES)}),
    "unmet": ("Only subscriptions that miss this requirement.", {"type": "string", "enum": [CIS.name]}),
    "maxAge": ("Seconds that what is told may be old.", {"type": "integer", "minimum": 0, "maximum": 60}),
    "kind": ("Only this kind of record.", {"type": "string", "enum": list(KINDS)}),
    "verdict": ("Only this verdict.", {"type": "string", "enum": list(VERDICTS)}),
    "hours": ("How far back, in hours.", {"type": "integer", "minimum": 1, "maximum": 168}),
    "day": ("Only this day.", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
    "reason": ("Only this reason.", {"type": "string", "minLength": 1}),
    "parked": ("Only parked ones, or only those that are not.", {"type": "string", "enum": ["true", "false"]}),
    "If-Match": ("The ETag of the version you mean, or several, or `*`.", {"type": "string", "pattern": _ETAG}),
    "If-None-Match": (
        "The ETag of the version you have (a read then answers 304), or `*`: create, never replace.",
        {"type": "string", "pattern": _ETAG},
    ),
    "api-version": (
        "The version of this API, as a date; the newest by default.",
        {"type": "string", "enum": list(API_VERSIONS)},
    ),
    "Idempotency-Key": (
        "The same key again gives the same job; printable ASCII.",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
    ),
}


_JSON_BODIES = {"plan": "PlanQuestion", "import": "ImportQuestion"}
_RETURNS = {
    "ETag": "The stored version.",
    "Vary": "The answer depends on Accept.",
    "Location": "Where it is.",
    "Retry-After": "Seconds until it is worth asking again.",
    "Complete": "Whether all of the tenant could be read (CSV).",
    "Continuation": "The `continuation` of the next page, where there is one (CSV).",
}


async def openapi(call: Call) -> func.HttpResponse:  # noqa: ARG001 - every handler takes the call
    """The OpenAPI 3.1 document."""
    return serialization.answer(document())


@cache
def document() -> dict[str, Any]:
    """The whole document; `servers` is left to the caller's address."""
    from shared.exports.model import ExportConfig

    schemas = _schemas([*response_models.BODIES, ExportConfig])
    paths: dict[str, Any] = {"/api/health": {"get": _health()}}
    for operation in OPERATIONS.values():
        paths.setdefault(f"/api/{operation.path}", {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Defender Export",
            "version": __version__,
            "description": "On-demand configuration and answers for runbooks and people.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "entra": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"key": []}, {"entra": []}],
    }


def _schemas(bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    from pydantic.json_schema import models_json_schema

    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(bodies, key=lambda model: model.__name__)], ref_template=_REF
    )
    found: dict[str, Any] = _without_defaults(schemas["$defs"])
    return found


def _without_defaults(schema: Any) -> Any:
    # That a key may be left out is said by its not being required; the default itself is often no valid value.
    if isinstance(schema, dict):
        is_schema = "type" in schema or "anyOf" in schema or "$ref" in schema
        return {key: _without_defaults(value) for key, value in schema.items() if not (is_schema and key == "default")}
    return [_without_defaults(item) for item in schema] if isinstance(schema, list) else schema


def _health() -> dict[str, Any]:
    return {
        "operationId": "health",
        "summary": "Whether the process is alive",
        "description": "Open to everyone; `ready` looks deeper.",
        "security": [],
        "parameters": [],
        "responses": {
            str(status): _answer(_Shape("", {200: ("Health",), 503: ("Health",)}), status) for status in (200, 503)
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    shape = _SHAPES[operation.name]
    responses = _refusals((*shape.problems, *_ALWAYS))
    for status in shape.answers:
        answer = _answer(shape, status)
        if str(status) in responses:  # the same status with another content type
            answer["content"] |= responses[str(status)]["content"]
        responses[str(status)] = answer
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": shape.summary,
        "description": f"Needs the app role `{operation.role}` under Entra."
        + (" No function key bears it." if operation.role == APPROVE else ""),
        "parameters": [
            *_path_parameters(operation),
            *map(_parameter, (*operation.query, "api-version", *shape.headers)),
        ],
        "responses": dict(sorted(responses.items())),
    }
    if shape.takes:
        described["requestBody"] = _request_body(shape.takes)
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    names = [part.strip("{}") for part in operation.path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _parameter(name: str) -> dict[str, Any]:
    description, schema = _PARAMETERS[name]
    where = "header" if name in _HEADERS else "query"
    return {"name": name, "in": where, "required": False, "description": description, "schema": schema}


def _answer(shape: _Shape, status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _DESCRIPTIONS.get(status, "Done")}
    if status in _WITHOUT_CONTENT:
        return response
    names = shape.answers[status]
    references = [{"$ref": _REF.format(model=name)} for name in names]
    schema: dict[str, Any] = {"anyOf": references} if len(references) > 1 else {**next(iter(references), {})}
    found: dict[str, Any] = {"schema": schema or {"type": "object"}}
    if names and names[0] in EXAMPLES:
        found["example"] = EXAMPLES[names[0]]
    response["content"] = {
        kind: found if kind == "application/json" else {"schema": {"type": "string"} if kind == "text/csv" else {}}
        for kind in shape.gives
    }
    returns = (*shape.returns, *(("Continuation",) if "text/csv" in shape.gives else ()))
    if returns:
        response["headers"] = {
            name: {"description": _RETURNS[name], "required": False, "schema": {"type": "string"}} for name in returns
        }
    return response


def _refusals(types: tuple[problems.ProblemType, ...]) -> dict[str, Any]:
    by_status: dict[int, list[problems.ProblemType]] = {}
    for problem in types:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        str(status): {
            "description": "; ".join(f"{problem.title} (`{problem.uri}`)" for problem in these),
            "content": {
                _PROBLEM: {
                    "schema": {"$ref": _REF.format(model="Problem")},
                    "examples": {problem.slug: {"value": problem_example(problem)} for problem in these},
                }
            },
        }
        for status, these in sorted(by_status.items())
    }


def _request_body(takes: str) -> dict[str, Any]:
    if takes == "job":
        examples = {job["kind"]: {"value": job} for job in JOBS}
        schema = {"$ref": _REF.format(model="JobRequest")}
        return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}
    if takes in _JSON_BODIES:
        schema = {"$ref": _REF.format(model=_JSON_BODIES[takes])}
        return {
            "required": False,
            "content": {"application/json": {"schema": schema, "example": EXAMPLES[_JSON_BODIES[takes]]}},
        }
    if takes == "approval":
        schema = {"$ref": _REF.format(model="ApprovalRequest")}
        return {"required": True, "content": {"application/json": {"schema": schema, "example": APPROVAL}}}
    # A text to be judged may be anything; one to be stored must be an export.
    schema = {"$ref": _REF.format(model="ExportConfig")} if takes == "export" else {}
    return {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string"} if takes == "export" else {}, "example": EXPORT_YAML},
            "application/json": {"schema": schema, "example": EXAMPLES["ExportConfig"]},
        },
    }
