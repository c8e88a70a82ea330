"""The OpenAPI 3.1 document, made from the table of operations and the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import __version__
from shared.web import models, problems
from shared.web.api import OPERATIONS, Operation

if TYPE_CHECKING:
    from pydantic import BaseModel

_REF = "#/components/schemas/{model}"
_EXPORT_EXAMPLE = {
    "version": 1,
    "name": "soc-alerts",
    "scope": {"managementGroups": ["contoso-prod"]},
    "automation": {"location": "westeurope"},
    "export": {"alerts": {"minimumSeverity": "Medium"}},
    "destination": {
        "eventHub": {
            "resourceId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-soc"
            "/providers/Microsoft.EventHub/namespaces/soc-hub/eventhubs/defender-export",
            "trustedService": True,
        }
    },
}
_JOB_EXAMPLE = {"kind": "reconcile", "managementGroups": ["contoso-prod"]}


@dataclass(frozen=True)
class _Shape:
    """What one operation takes and gives: status -> model, further media types, parameters, and its problems."""

    summary: str
    answers: dict[int, type[BaseModel] | None]
    problems: tuple[problems.ProblemType, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    takes: str = ""
    gives: tuple[str, ...] = ("application/json",)
    etag: bool = False


_PAGED = ("limit", "continuation")
_TABLE = ("application/json", "text/csv")

_SHAPES = {
    "list_exports": _Shape(
        "List stored exports", {200: models.ExportList}, (problems.BAD_REQUEST, problems.NOT_ACCEPTABLE), _PAGED,
        gives=_TABLE,
    ),
    "get_export": _Shape(
        "Read an export as YAML or JSON", {200: None},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.INVALID_EXPORT),
        gives=("application/yaml", "application/json"), etag=True,
    ),
    "put_export": _Shape(
        "Store an export, or only check it with dryRun", {200: None, 201: models.ExportStored},
        (problems.BAD_REQUEST, problems.CHANGED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA,
         problems.INVALID_EXPORT),
        ("dryRun",), ("If-Match", "If-None-Match"), takes="export", etag=True,
    ),
    "delete_export": _Shape(
        "Delete an export", {204: None}, (problems.NOT_FOUND, problems.CHANGED), headers=("If-Match",)
    ),
    "validate_export": _Shape(
        "Check an export without storing it", {200: models.Validation},
        (problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA), takes="export",
    ),
    "start_job": _Shape(
        "Start a job", {202: models.Job, 200: models.Job},
        (problems.BAD_REQUEST, problems.CONFLICT, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA),
        ("wait",), ("Idempotency-Key",), takes="job",
    ),
    "get_job": _Shape("Read a job", {200: models.Job}, (problems.BAD_REQUEST, problems.NOT_FOUND), ("wait",)),
    "list_jobs": _Shape("List jobs, newest first", {200: models.JobList}, (problems.BAD_REQUEST,), _PAGED),
    "get_coverage": _Shape(
        "What each subscription exports, and whether that suffices", {200: models.CoverageList},
        (problems.BAD_REQUEST, problems.NOT_ACCEPTABLE),
        ("view", "subscription", "managementGroup", "tenant", "source", "unmet", *_PAGED), gives=_TABLE,
    ),
    "get_freshness": _Shape(
        "When each subscription last sent each kind", {200: models.FreshnessList},
        (problems.BAD_REQUEST, problems.NOT_ACCEPTABLE), ("subscription", "kind", "verdict", *_PAGED), gives=_TABLE,
    ),
    "list_runs": _Shape(
        "List reconcile runs, newest first", {200: models.RunList}, (problems.BAD_REQUEST, problems.NOT_ACCEPTABLE),
        _PAGED, gives=_TABLE,
    ),
    "get_run": _Shape("Read the report of a run", {200: None}, (problems.NOT_FOUND,)),
    "list_dead_letters": _Shape(
        "List dead letters", {200: models.DeadLetterList}, (problems.BAD_REQUEST, problems.NOT_ACCEPTABLE),
        ("day", "reason", "parked", *_PAGED), gives=_TABLE,
    ),
    "ready": _Shape("Whether everything the app depends on answers", {200: models.Readiness, 503: models.Readiness}),
    "openapi": _Shape("This document", {200: None}),
}  # fmt: skip

_ALWAYS = (problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.INTERNAL, problems.UNAVAILABLE)

_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": ("Rows in a page.", {"type": "integer", "minimum": 0, "maximum": 1000}),
    "continuation": ("The `continuation` of the page before.", {"type": "string"}),
    "dryRun": ("Only check.", {"type": "string", "enum": ["true", "false"]}),
    "wait": ("Seconds to wait for the job to finish.", {"type": "integer", "minimum": 0, "maximum": 200}),
    "view": ("`matrix` for one word per kind.", {"type": "string", "enum": ["exporters", "matrix"]}),
    "subscription": ("Only this subscription id.", {"type": "string"}),
    "managementGroup": ("Only subscriptions below this one.", {"type": "string"}),
    "tenant": ("Only subscriptions of this tenant id.", {"type": "string"}),
    "source": ("Only this event source.", {"type": "string"}),
    "unmet": ("Only subscriptions that miss this requirement.", {"type": "string"}),
    "kind": ("Only this kind of record.", {"type": "string"}),
    "verdict": ("Only this verdict.", {"type": "string"}),
    "day": ("Only this day, YYYY-MM-DD.", {"type": "string"}),
    "reason": ("Only this reason.", {"type": "string"}),
    "parked": ("Only parked ones, or only those that are not.", {"type": "string", "enum": ["true", "false"]}),
    "If-Match": ("The ETag of the version you change.", {"type": "string"}),
    "If-None-Match": ("`*`: create, never replace.", {"type": "string", "enum": ["*"]}),
    "Idempotency-Key": ("The same key again gives the same job.", {"type": "string", "maxLength": 200}),
}


@cache
def document() -> dict[str, Any]:
    """The whole document; `servers` is left to the caller's address."""
    from pydantic.json_schema import models_json_schema

    from shared.exports.model import ExportConfig

    used = [model for shape in _SHAPES.values() for model in shape.answers.values() if model is not None]
    wanted: set[type[BaseModel]] = {*used, models.Problem, models.JobRequest, ExportConfig, models.StatusList}
    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(wanted, key=lambda model: model.__name__)],
        ref_template=_REF,
    )
    paths: dict[str, Any] = {}
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
        "paths": paths,
        "components": {
            "schemas": _without_null_defaults(schemas["$defs"]),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "entra": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"key": []}, {"entra": []}],
    }


def _without_null_defaults(schema: Any) -> Any:
    # A key that may be left out is described by not being required; null itself is refused for most of them.
    if isinstance(schema, dict):
        return {
            key: _without_null_defaults(value)
            for key, value in schema.items()
            if not (key == "default" and value is None)
        }
    return [_without_null_defaults(item) for item in schema] if isinstance(schema, list) else schema


def _operation(operation: Operation) -> dict[str, Any]:
    shape = _SHAPES[operation.name]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": shape.summary,
        "description": f"Needs the app role `{operation.role}` under Entra.",
        "parameters": [*_path_parameters(operation), *map(_parameter, (*shape.query, *shape.headers))],
        "responses": {
            **{str(status): _answer(shape, status, model) for status, model in shape.answers.items()},
            **_refusals((*shape.problems, *_ALWAYS)),
        },
    }
    if operation.name == "ready":
        described["responses"]["503"] = _answer(shape, 503, models.Readiness)
    if shape.takes:
        described["requestBody"] = _request_body(shape.takes)
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    names = [part.strip("{}") for part in operation.path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _parameter(name: str) -> dict[str, Any]:
    description, schema = _PARAMETERS[name]
    where = "header" if "-" in name else "query"
    return {"name": name, "in": where, "required": False, "description": description, "schema": schema}


def _answer(shape: _Shape, status: int, model: type[BaseModel] | None) -> dict[str, Any]:
    response: dict[str, Any] = {"description": "Done" if status != 503 else "Not ready"}  # noqa: PLR2004 - HTTP
    if status == 204:  # noqa: PLR2004 - HTTP: no content
        return response
    schema = {"$ref": _REF.format(model=model.__name__)} if model else {}
    response["content"] = {
        kind: {"schema": schema if kind == "application/json" else {"type": "string"}} for kind in shape.gives
    }
    if shape.etag:
        response["headers"] = {"ETag": {"description": "The stored version.", "schema": {"type": "string"}}}
    if shape.takes == "job":
        response["headers"] = {"Location": {"description": "The job's address.", "schema": {"type": "string"}}}
    return response


def _refusals(types: tuple[problems.ProblemType, ...]) -> dict[str, Any]:
    by_status: dict[int, list[problems.ProblemType]] = {}
    for problem in types:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        str(status): {
            "description": "; ".join(f"{problem.title} (`{problem.uri}`)" for problem in these),
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
        }
        for status, these in sorted(by_status.items())
    }


def _request_body(takes: str) -> dict[str, Any]:
    if takes == "job":
        schema = {"$ref": _REF.format(model="JobRequest")}
        return {"required": True, "content": {"application/json": {"schema": schema, "example": _JOB_EXAMPLE}}}
    schema = {"$ref": _REF.format(model="ExportConfig")}
    return {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "application/json": {"schema": schema, "example": _EXPORT_EXAMPLE},
        },
    }
