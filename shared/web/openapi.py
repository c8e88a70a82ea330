"""The OpenAPI 3.1 document, made from the table of operations and the models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic.alias_generators import to_camel

from shared import __version__
from shared.enrich.shapes.shape_request import SOURCES
from shared.exports.event_sources import EVENT_SOURCES, KINDS
from shared.exports.export_blobs import EXPORT_NAME
from shared.jobs.model import ID_PATTERN
from shared.reconcile.report.report_reader import RUN_ID
from shared.watch.cis_benchmark import CIS
from shared.watch.freshness_verdicts import VERDICTS
from shared.web import problems, response_models, serialization
from shared.web.authorization import OF_PERSONS
from shared.web.openapi_examples import APPROVAL, EXAMPLES, JOBS, example, problem_example
from shared.web.openapi_schemas import REF, schemas_of
from shared.web.request_parameters import API_VERSIONS, ENTITY_TAGS
from shared.web.routing import OPERATIONS, Call, Operation
from shared.web.shapes import GROUP, NAMES

if TYPE_CHECKING:
    import azure.functions as func

_PROBLEM = "application/problem+json"
_NOT_READY = 503
_RETRIED = {problems.TOO_MANY.status, problems.UNAVAILABLE.status}
_UNAUTHENTICATED = "No sign-in (the platform's answer, without a body), or one without an object id (problem details)."
_WITHOUT_CONTENT = {204, 304}
_DESCRIPTIONS = {_NOT_READY: "Not ready", 304: "The version that the caller has"}


@dataclass(frozen=True)
class _Shape:
    """What one operation takes and gives: models by status, further media types, parameters, and its problems."""

    summary: str
    answers: dict[int, str]
    problems: tuple[problems.ProblemType, ...] = ()
    headers: tuple[str, ...] = ()
    takes: str = ""
    gives: tuple[str, ...] = ("application/json",)
    returns: tuple[str, ...] = ()
    link: str = ""


_TABLE = ("application/json", "text/csv")

# The operations that belong together: by module, or by path where one module has files of several kinds.
_TAGS = {
    "exports": ("exports", "Export files: what is exported, from where, to where."),
    "jobs": ("jobs", "Work that is started by hand."),
    "approvals": ("approvals", "Plans that people reviewed."),
    "coverage": ("coverage", "What each subscription exports, and its state."),
    "evidence": ("evidence", "What meets which requirement, for auditors, and what is required and excepted."),
    "requirements": ("evidence", "What meets which requirement, for auditors, and what is required and excepted."),
    "notify": ("notify", "Who is informed of what."),
    "mutes": ("mutes", "What raises nothing until an agreed end."),
    "freshness": ("freshness", "When each subscription last sent each kind of record."),
    "canaries": ("canaries", "Whether an alert of a subscription reached its table, by simulated ones."),
    "run_history": ("runs", "What the reconcile runs did."),
    "dead_letters": ("deadLetters", "Records that could not be delivered."),
    "shapes": ("shapes", "The structure of records, without what they say."),
    "metrics": ("metrics", "Series over time."),
    "over_time": ("metrics", "Series over time."),
    "operations_page": ("page", "The page that people look at."),
    "health_check": ("app", "Whether the app is alive and well, and this document."),
    "openapi": ("app", "Whether the app is alive and well, and this document."),
    "plan_answers": ("plans", "What the stored export files, or those of a request, would change."),
}

_SHAPES = {
    "list_exports": _Shape(
        "List stored exports", {200: "ExportList"}, (problems.NOT_ACCEPTABLE,),
        gives=_TABLE,
    ),
    "get_export": _Shape(
        "Read an export as JSON, or as YAML by Accept", {200: "ExportConfig", 304: ""},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.CHANGED, problems.INVALID_EXPORT),
        ("If-Match", "If-None-Match"), gives=("application/json", "application/yaml"), returns=("ETag", "Vary"),
    ),
    "put_export": _Shape(
        "Store an export, or only check it with dryRun", {200: "ExportStored", 201: "ExportStored"},
        (problems.CHANGED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA,
         problems.INVALID_EXPORT),
        ("If-Match", "If-None-Match"), takes="export", returns=("ETag", "Location"), link="export",
    ),
    "delete_export": _Shape(
        "Delete an export; one that is not there is deleted already", {204: ""}, (problems.CHANGED,),
        ("If-Match", "If-None-Match"),
    ),
    "validate_export": _Shape(
        "Check an export without storing it", {200: "Validation"},
        (problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA), takes="export",
    ),
    "plan_changes": _Shape(
        "Plan what is stored, or files that come along, and keep nothing", {200: "PlanAnswer"},
        (problems.BAD_REQUEST, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_EXPORT), takes="plan",
    ),
    "import_live": _Shape(
        "Export files for what is live", {200: "ImportAnswer"},
        (problems.BAD_REQUEST, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA), takes="import",
    ),
    "start_job": _Shape(
        "Start a job", {202: "Job", 200: "Job"},
        (problems.NOT_FOUND, problems.CONFLICT, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.TOO_MANY),
        ("Idempotency-Key",), takes="job", returns=("Location", "Retry-After"), link="job",
    ),
    "get_job": _Shape(
        "Read a job", {200: "Job"}, (problems.NOT_FOUND,),
        returns=("Location", "Retry-After"),
    ),
    "cancel_job": _Shape(
        "Cancel a job that has not ended", {200: "Job", 202: "Job"},
        (problems.BAD_REQUEST, problems.NOT_FOUND, problems.CONFLICT, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA),
        returns=("Location", "Retry-After"), link="job",
    ),
    "list_jobs": _Shape("List jobs, newest first", {200: "JobList"}),
    "approve_plan": _Shape(
        "Approve the plan of a run", {201: "ApprovalBody"},
        (problems.BAD_REQUEST, problems.NOT_FOUND, problems.CONFLICT, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA),
        takes="approval",
    ),
    "get_coverage": _Shape(
        "What each subscription exports, and whether that suffices", {200: "CoverageList"},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.TOO_MANY), gives=_TABLE, returns=("Complete",),
    ),
    "get_status": _Shape(
        "The state of each subscription, one word for each kind of record", {200: "StatusList"},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.TOO_MANY), gives=_TABLE, returns=("Complete",),
    ),
    "get_evidence": _Shape(
        "The report for auditors: JSON or CSV in pages, or HTML to print", {200: "Evidence"},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.TOO_MANY, problems.INVALID_EXPORT),
        gives=(*_TABLE, "text/html"), returns=("Complete",),
    ),
    "get_requirements": _Shape(
        "Read the file of requirements and exceptions", {200: "RequirementsFile", 304: ""},
        (problems.NOT_FOUND, problems.CHANGED),
        ("If-Match", "If-None-Match"), gives=("application/yaml",), returns=("ETag",),
    ),
    "put_requirements": _Shape(
        "Store the file of requirements and exceptions", {204: ""},
        (problems.CHANGED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_EXPORT),
        ("If-Match", "If-None-Match"), takes="requirements", returns=("ETag",),
    ),
    "get_notify": _Shape(
        "Read the file of receivers and rules", {200: "NotifyFile"}, (problems.NOT_FOUND,),
        gives=("application/yaml",),
    ),
    "put_notify": _Shape(
        "Store the file of receivers and rules", {204: ""},
        (problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_EXPORT), takes="notify",
    ),
    "get_mutes": _Shape(
        "Read the file of mutes and maintenance windows", {200: "MutesFile", 304: ""},
        (problems.NOT_FOUND, problems.CHANGED),
        ("If-Match", "If-None-Match"), gives=("application/yaml",), returns=("ETag",),
    ),
    "put_mutes": _Shape(
        "Store the file of mutes and maintenance windows", {200: "MutesStored"},
        (problems.CHANGED, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA, problems.INVALID_EXPORT),
        ("If-Match", "If-None-Match"), takes="mutes", returns=("ETag",),
    ),
    "get_freshness": _Shape(
        "When each subscription last sent each kind", {200: "FreshnessList"},
        (problems.NOT_FOUND, problems.NOT_ACCEPTABLE), gives=_TABLE, returns=("Complete",),
    ),
    "list_canaries": _Shape(
        "What canaries ended with, by subscription, the oldest first", {200: "CanaryList"}, (problems.NOT_FOUND,)
    ),
    "list_runs": _Shape(
        "List reconcile runs, newest first", {200: "RunList"}, (problems.NOT_ACCEPTABLE,),
        gives=_TABLE,
    ),
    "get_run": _Shape("Read the report of a run", {200: "RunReport"}, (problems.NOT_FOUND,)),
    "list_dead_letters": _Shape(
        "List dead letters", {200: "DeadLetterList"}, (problems.NOT_ACCEPTABLE,),
        gives=_TABLE,
    ),
    "read_dead_letter": _Shape("Read the records of a dead letter", {200: "DeadLetterContents"}, (problems.NOT_FOUND,)),
    "get_shapes": _Shape("The structure of records met in this tenant, without what they say", {200: "ShapeList"}),
    "get_metrics": _Shape(
        "Records a minute, lag and secure score over time", {200: "Metrics"}
    ),
    "get_trend": _Shape("Coverage, silent time, time to repair and secure score over months", {200: "Trend"}),
    "operations_page": _Shape("The page that people look at", {200: ""}, gives=("text/html",)),
    "ready": _Shape("Whether everything the app depends on answers", {200: "Readiness", _NOT_READY: "Readiness"}),
    "openapi": _Shape("This document", {200: "Document"}),
}  # fmt: skip

_LINKS: dict[str, tuple[str, dict[str, Any]]] = {
    "export": ("stored", {"operationId": "getExport", "parameters": {"name": "$request.path.name"}}),
    "job": ("job", {"operationId": "getJob", "parameters": {"id": "$response.body#/id"}}),
}
_ETAG = f"^{ENTITY_TAGS}$"
_REQUIRED = {"name", "from"}
_HEADERS = {"If-Match", "If-None-Match", "Idempotency-Key"}
_GUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_ALWAYS = (problems.BAD_REQUEST, problems.UNAUTHENTICATED, problems.FORBIDDEN, problems.INTERNAL, problems.UNAVAILABLE)

_BOOLEAN = {"type": "string", "enum": ["true", "false"]}

_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "limit": (
        "Rows in a page, at most; jobs, runs and the records of a dead letter come 200 at most.",
        {"type": "integer", "minimum": 1, "maximum": 1000},
    ),
    "continuation": (
        "The `continuation` of the page before, of this list with these filters.",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,2000}={0,2}$"},
    ),
    "dryRun": ("Only check; write nothing.", _BOOLEAN),
    "wait": ("Seconds to wait for the job to finish.", {"type": "integer", "minimum": 0, "maximum": 200}),
    "subscription": ("Only this subscription id.", {"type": "string", "pattern": _GUID}),
    "managementGroup": (
        "Only those below this group, by its id or `<tenant id>/<id>`.",
        {"type": "string", "minLength": 1},
    ),
    "tenant": ("Only subscriptions of this tenant id.", {"type": "string", "pattern": _GUID}),
    "source": ("Only this event source.", {"type": "string", "enum": list(EVENT_SOURCES)}),
    "unmet": ("Only subscriptions that miss this requirement.", {"type": "string", "enum": [CIS.name]}),
    "maxAge": ("Seconds that what is told may be old.", {"type": "integer", "minimum": 0, "maximum": 60}),
    "kind": ("Only this kind of record.", {"type": "string", "enum": list(KINDS)}),
    "verdict": ("Only this verdict.", {"type": "string", "enum": list(VERDICTS)}),
    "name": ("The name of a dead letter, as their list gives it.", {"type": "string", "pattern": "^[!-~]{1,500}$"}),
    "from": ("Where the records are.", {"type": "string", "enum": list(SOURCES)}),
    "names": (
        "Names of members to show although they are not public, with commas between them.",
        {"type": "string", "pattern": f"^{NAMES}$"},
    ),
    "consumerGroup": (
        "The consumer group to read the hub with, not the trigger's; `$Default` by default.",
        {"type": "string", "pattern": f"^{GROUP}$"},
    ),
    "withheld": ("Give the names too that the records do not show.", _BOOLEAN),
    "hours": ("How far back, in hours.", {"type": "integer", "minimum": 1, "maximum": 168}),
    "months": ("How many months, the current one included.", {"type": "integer", "minimum": 1, "maximum": 24}),
    "day": ("Only this day.", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
    "reason": ("Only this reason.", {"type": "string", "minLength": 1}),
    "parked": ("Only parked ones, or only those that are not.", _BOOLEAN),
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


_FILES = {"requirements": "RequirementsFile", "notify": "NotifyFile", "mutes": "MutesFile"}
_JSON_BODIES = {"plan": "PlanQuestion", "import": "ImportQuestion"}
_PATH_PARAMETERS = {
    "exports.name": ("The name of the export.", EXPORT_NAME),
    "jobs.id": ("The id of the job.", f"^{ID_PATTERN}$"),
    "run_history.id": ("The id of the run.", f"^{RUN_ID.pattern}$"),
}

_RETURNS = {
    "ETag": "The stored version.",
    "Vary": "The answer depends on Accept.",
    "Location": "Where it is.",
    "WWW-Authenticate": "How to sign in; not sent for function keys.",
    "Retry-After": "Seconds until it is worth asking again.",
    "Complete": "Whether all that the answer is about could be read (CSV).",
    "Continuation": "The `continuation` of the next page, where there is one (CSV).",
}


async def openapi(call: Call) -> func.HttpResponse:  # noqa: ARG001 - every handler takes the call
    """The OpenAPI 3.1 document."""
    return serialization.answer(document())


@cache
def document() -> dict[str, Any]:
    """The whole document, as every deployment serves it."""
    from shared.exports.model import ExportConfig

    of_models = (response_models.RequirementsFile, response_models.NotifyFile, response_models.MutesFile)
    files = (ExportConfig, *of_models)  # in which nothing may be null
    schemas = schemas_of(response_models.BODIES) | schemas_of(files, nulls=False)
    paths: dict[str, Any] = {"/api/health": {"get": _health()}}
    for operation in OPERATIONS.values():
        paths.setdefault(f"/api/{operation.path}", {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Defender Export",
            "version": __version__,
            "description": "On-demand configuration and answers for runbooks and people.",
            "contact": {"name": "The operators of this deployment"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {
                "url": "https://{app}.azurewebsites.net",
                "description": "The function app of a deployment",
                "variables": {"app": {"default": "func-defender-export", "description": "The app's name."}},
            }
        ],
        "tags": [{"name": name, "description": said} for name, said in dict.fromkeys(_TAGS.values())],
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


def _health() -> dict[str, Any]:
    return {
        "operationId": "health",
        "tags": ["app"],
        "summary": "Whether the process is alive",
        "description": "Open to everyone; `ready` looks deeper.",
        "security": [],
        "parameters": [],
        "responses": {
            str(status): _answer(_Shape("", {200: "Health", 503: "Health"}), status) for status in (200, 503)
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    shape = _SHAPES[operation.name]
    responses = _refusals((*shape.problems, *_ALWAYS))
    for status in shape.answers:
        answer = _answer(shape, status)
        if str(status) in responses:  # the same status with another content type
            answer["content"] |= responses[str(status)]["content"]
            answer["headers"] = responses[str(status)]["headers"]
        responses[str(status)] = answer
    described: dict[str, Any] = {
        "operationId": to_camel(operation.name),
        "tags": [(_TAGS.get(operation.module) or _TAGS[operation.path])[0]],
        "summary": shape.summary,
        "description": f"Needs the app role `{operation.role}` under Entra."
        + (" No function key bears it." if operation.role in OF_PERSONS else ""),
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
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": said,
            "schema": {"type": "string", "pattern": shape},
        }
        for name in names
        for said, shape in [_PATH_PARAMETERS[f"{operation.module}.{name}"]]
    ]


def _parameter(name: str) -> dict[str, Any]:
    description, schema = _PARAMETERS[name]
    where = "header" if name in _HEADERS else "query"
    return {"name": name, "in": where, "required": name in _REQUIRED, "description": description, "schema": schema}


def _answer(shape: _Shape, status: int) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _DESCRIPTIONS.get(status, "Done")}
    if status in _WITHOUT_CONTENT:
        return response
    model = shape.answers[status]
    found: dict[str, Any] = {"schema": {"$ref": REF.format(model=model)}}
    if said := example(model, status):
        found["example"] = said
    text = {"schema": {"type": "string"}}
    response["content"] = {kind: text if kind.startswith("text/") or not model else found for kind in shape.gives}
    if shape.link:
        response["links"] = {_LINKS[shape.link][0]: _LINKS[shape.link][1]}
    returns = (*shape.returns, *(("Continuation",) if "text/csv" in shape.gives else ()))
    if returns:
        response["headers"] = _headers(returns)
    return response


def _refusals(types: tuple[problems.ProblemType, ...]) -> dict[str, Any]:
    by_status: dict[int, list[problems.ProblemType]] = {}
    for problem in dict.fromkeys(types):
        by_status.setdefault(problem.status, []).append(problem)
    return {str(status): _refusal(status, these) for status, these in sorted(by_status.items())}


def _refusal(status: int, these: list[problems.ProblemType]) -> dict[str, Any]:
    if status == problems.UNAUTHENTICATED.status:
        # Function keys and Easy Auth refuse before the app runs, and their answer has no body.
        return {"description": _UNAUTHENTICATED, "headers": _headers(("WWW-Authenticate",))}
    described: dict[str, Any] = {
        "description": "; ".join(f"{problem.title} (`{problem.uri}`)" for problem in these),
        "content": {
            _PROBLEM: {
                "schema": {"$ref": REF.format(model="Problem")},
                "examples": {problem.slug: {"value": problem_example(problem)} for problem in these},
            }
        },
    }
    return described | ({"headers": _headers(("Retry-After",))} if status in _RETRIED else {})


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"description": _RETURNS[name], "required": False, "schema": {"type": "string"}} for name in names}


def _request_body(takes: str) -> dict[str, Any]:
    if takes == "job":
        examples = {job["kind"]: {"value": job} for job in JOBS}
        schema = {"$ref": REF.format(model="JobRequest")}
        return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}
    if takes in _JSON_BODIES:
        schema = {"$ref": REF.format(model=_JSON_BODIES[takes])}
        return {
            "required": False,
            "content": {"application/json": {"schema": schema, "example": EXAMPLES[_JSON_BODIES[takes]]}},
        }
    if takes == "approval":
        schema = {"$ref": REF.format(model="ApprovalRequest")}
        return {"required": True, "content": {"application/json": {"schema": schema, "example": APPROVAL}}}
    if takes in _FILES:
        file = {"schema": {"$ref": REF.format(model=_FILES[takes])}, "example": EXAMPLES[_FILES[takes]]}
        return {"required": True, "content": {"application/yaml": file}}
    schema = {"$ref": REF.format(model="ExportConfig")}
    export = EXAMPLES["ExportConfig"]
    return {
        "required": True,
        "content": {kind: {"schema": schema, "example": export} for kind in ("application/json", "application/yaml")},
    }
