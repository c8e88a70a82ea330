"""Every HTTP operation in one table, and the way each request takes: authorise, handle, answer.

`function_app.py` declares the routes, this table says what is behind them, and the OpenAPI document is made from it;
a test holds the three together.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import __version__, commit, python_build
from shared.audit.deed import working_from
from shared.bootstrap import Services, services
from shared.web.authorization import APPROVE, READ, RECORDS, WRITE, Actor, authorise, check_front, origin_of, roles_of
from shared.web.compression import compressed
from shared.web.problems import (
    FORBIDDEN,
    INTERNAL,
    RETRY_LATER,
    SECURITY_HEADERS,
    UNAUTHENTICATED,
    UNAVAILABLE,
    ApiError,
)
from shared.web.request_parameters import PAGING, bound_to, check_names

if TYPE_CHECKING:
    import azure.functions as func

log = logging.getLogger(__name__)

_AFTER_THE_WAIT_SECONDS = 9  # with what takes the answer to its caller, ten
_AT_ONCE = 4
_SHARING = 30  # those that share one reading of the tenant
_WAITING = 1_000  # those that may wait for a job cost little meanwhile
_LONGEST_SECONDS = 224  # the front end of Azure Functions cuts a request after 230 s
_LATE = (
    "Something that the answer depends on did not answer in time; try again, and see `ready`. A write may have been "
    "carried out: read before you repeat it."
)


@dataclass(frozen=True)
class Call:
    """One authorised request, with what a handler needs to answer it."""

    request: func.HttpRequest
    services: Services
    actor: Actor
    deed: dict[str, Any]
    """What the log line of what leaves one says beside its actor, target and status; handlers add to it."""


Handler = Callable[[Call], Awaitable["func.HttpResponse"]]


@dataclass(frozen=True)
class Operation:
    """One route: its function, verb, path below /api, the role it asks for, its module and its parameters.

    `query` names every parameter that the route takes beside those of all routes.
    """

    name: str
    method: str
    path: str
    role: str
    module: str
    query: tuple[str, ...] = ()
    at_once: int = _AT_ONCE
    """How many requests are answered at the same time; the others wait for their turn."""

    def handler(self) -> Handler:
        """The coroutine function of the same name in the operation's module."""
        handler: Handler = getattr(importlib.import_module(f"shared.web.{self.module}"), self.name)
        return handler


_STATUS = ("subscription", "managementGroup", "tenant", "unmet", "maxAge", *PAGING)
_SHAPES = ("from", "day", "names", "withheld", "consumerGroup", "limit")
_COVERAGE = ("source", *_STATUS)
_EVIDENCE = ("subscription", "managementGroup", "maxAge", *PAGING)

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("list_exports", "GET", "exports", READ, "exports", PAGING),
        Operation("get_export", "GET", "exports/{name}", READ, "exports"),
        Operation("put_export", "PUT", "exports/{name}", WRITE, "exports", ("dryRun",)),
        Operation("delete_export", "DELETE", "exports/{name}", WRITE, "exports", ("dryRun",)),
        Operation("validate_export", "POST", "exports/validate", READ, "exports"),
        Operation("plan_changes", "POST", "plan", READ, "plan_answers"),
        Operation("import_live", "POST", "import", READ, "plan_answers"),
        Operation("start_job", "POST", "jobs", WRITE, "jobs", ("wait",), _WAITING),
        Operation("get_job", "GET", "jobs/{id}", READ, "jobs", ("wait",), _WAITING),
        Operation("cancel_job", "POST", "jobs/{id}/cancel", WRITE, "jobs"),
        Operation("list_jobs", "GET", "jobs", READ, "jobs", PAGING),
        Operation("approve_plan", "POST", "approvals", APPROVE, "approvals"),
        Operation("get_coverage", "GET", "coverage", READ, "coverage", _COVERAGE, _SHARING),
        Operation("get_status", "GET", "status", READ, "coverage", _STATUS, _SHARING),
        Operation("get_evidence", "GET", "evidence", READ, "evidence", _EVIDENCE, _SHARING),
        Operation("get_requirements", "GET", "requirements", READ, "files_beside"),
        Operation("put_requirements", "PUT", "requirements", WRITE, "files_beside"),
        Operation("get_notify", "GET", "notify", READ, "files_beside"),
        Operation("put_notify", "PUT", "notify", WRITE, "files_beside"),
        Operation("get_mutes", "GET", "mutes", READ, "files_beside"),
        Operation("put_mutes", "PUT", "mutes", WRITE, "files_beside"),
        Operation("get_freshness", "GET", "freshness", READ, "freshness", ("subscription", "kind", "verdict", *PAGING)),
        Operation("list_canaries", "GET", "canaries", READ, "canaries", ("subscription", *PAGING)),
        Operation("list_runs", "GET", "runs", READ, "run_history", PAGING),
        Operation("get_run", "GET", "runs/{id}", READ, "run_history"),
        Operation(
            "list_dead_letters", "GET", "dead-letters", READ, "dead_letters", ("day", "reason", "parked", *PAGING)
        ),
        Operation("read_dead_letter", "GET", "dead-letters/contents", RECORDS, "dead_letters", ("name", *PAGING)),
        Operation("get_shapes", "GET", "shapes", RECORDS, "shapes", _SHAPES),
        Operation("get_metrics", "GET", "metrics", READ, "metrics", ("hours",)),
        Operation("get_trend", "GET", "trend", READ, "over_time", ("months",)),
        Operation("operations_page", "GET", "operations", READ, "operations_page"),
        Operation("ready", "GET", "ready", READ, "health_check"),
        Operation("openapi", "GET", "openapi.json", READ, "openapi"),
    )
}


async def respond(name: str, request: func.HttpRequest) -> func.HttpResponse:
    """Answer one request of the named operation; every failure becomes a problem document."""
    operation = OPERATIONS[name]
    actor: Actor | None = None
    deed: dict[str, Any] = {}
    try:
        running = services()
        running.settings.require("AUTH_MODE")
        check_front(running.settings.auth_mode, accept_missing=running.settings.accept_missing_auth_marker)
        limits = _limits(running, request, name)
        actor = authorise(request.headers, running.settings.auth_mode, operation.role, limited=bool(limits))
        check_names(request, operation.query)
        async with asyncio.timeout(_patience(request, running.settings.request_deadline_seconds)), _turn(name):
            with working_from(origin_of(request.headers)), bound_to(limits):
                given = await _part(running, limits, name) if limits else running
                response = await operation.handler()(Call(request, given, actor, deed))
    except ImportError as error:
        fault = python_build.fault()
        response = (
            ApiError(UNAVAILABLE, f"Nothing works here: {fault}.") if fault else _failure(name, error)
        ).response()
    except ApiError as refusal:
        response = _refused(name, request, refusal)
    except Exception as error:  # noqa: BLE001 - the caller gets a problem document, whatever went wrong
        response = _failure(name, error).response()
    if operation.role in {WRITE, APPROVE, RECORDS}:
        # As JSON, no name can end a line and begin another.
        event = {"event": name, "actor": str(actor or "unknown"), "target": dict(request.route_params), **deed}
        log.info("%s", json.dumps({**event, "status": response.status_code}))
    return await compressed(request, response)


def _limits(running: Services, request: func.HttpRequest, name: str) -> frozenset[str]:
    """The roles that limit the caller to a part of the tenant; none for those who see all."""
    if not running.settings.readers_file or running.settings.auth_mode != "entra":
        return frozenset()
    from shared.web.readers import limiting

    return limiting(roles_of(request.headers), running.settings.readers_file, name)


def _part(running: Services, limits: frozenset[str], name: str) -> Awaitable[Services]:
    from shared.web.readers import limited

    return limited(running, limits, name)


@cache
def _turn(name: str) -> asyncio.Semaphore:
    """Lets in as many requests of an operation as are answered at once.

    Hundreds at a time would each get a little further in turn, and so would deliveries and a running reconcile.
    """
    return asyncio.Semaphore(OPERATIONS[name].at_once)


def _refused(name: str, request: func.HttpRequest, refusal: ApiError) -> func.HttpResponse:
    """The problem; people, whose browser asks for a page, get one with a way to sign in."""
    signed_out = refusal.problem in {UNAUTHENTICATED, FORBIDDEN}
    if name != "operations_page" or not signed_out or "text/html" not in request.headers.get("accept", ""):
        return refusal.response()
    from shared.web.html_pages import sign_in

    return sign_in(refusal)


def alive() -> func.HttpResponse:
    """The process answers, and its packages fit its Python; whatever else is wrong is for `ready` to say."""
    import azure.functions as func

    fault = python_build.fault()
    about = {"status": "broken" if fault else "alive", "version": __version__, "commit": commit()}
    return func.HttpResponse(
        json.dumps(about | ({"detail": fault} if fault else {})),
        status_code=503 if fault else 200,
        mimetype="application/json",
        headers=SECURITY_HEADERS,
    )


def _patience(request: func.HttpRequest, deadline: int) -> float:
    """Seconds that a request may take: the deadline, or what it asks to wait and 9 s for the readings beneath."""
    wait: str = request.params.get("wait", "")
    if not re.fullmatch("[0-9]{1,3}", wait) or int(wait) == 0:
        return deadline
    return min(int(wait) + min(deadline, _AFTER_THE_WAIT_SECONDS), _LONGEST_SECONDS)


def _failure(name: str, error: Exception) -> ApiError:
    from azure.core.exceptions import AzureError

    from shared.azure.archive_tier import archived
    from shared.azure.blob_container import StoreError
    from shared.azure.event_hub import HubUnreadableError
    from shared.exports.scope_findings import NotAllSeen
    from shared.settings import SettingsError

    if isinstance(error, NotAllSeen):
        log.error("%s was asked for names that may be among what could not be read", name)
        return ApiError(UNAVAILABLE, f"{str(error)[:1].upper()}{str(error)[1:]}", headers=RETRY_LATER)
    if isinstance(error, SettingsError):
        log.error("%s can't work: %s", name, error)
        return ApiError(UNAVAILABLE, f"The app is not fully configured: {error}", headers=RETRY_LATER)
    if isinstance(error, TimeoutError):
        log.error("%s had no answer in time", name)
        return ApiError(UNAVAILABLE, _LATE, headers=RETRY_LATER)
    if told := archived(error):
        log.error("%s met a blob that is archived", name)
        return ApiError(UNAVAILABLE, f"{told[:1].upper()}{told[1:]}.", headers=RETRY_LATER)
    if isinstance(error, AzureError | StoreError | HubUnreadableError):
        log.error("%s failed: %s from Azure", name, type(error).__name__)
        return ApiError(
            UNAVAILABLE,
            "Azure did not answer as needed; try again, and see `ready` and the app's log.",
            headers=RETRY_LATER,
        )
    log.error("%s failed", name, exc_info=error)
    return ApiError(INTERNAL, "This is a fault of the app; its log tells more.")
