"""Every HTTP operation in one table, and the way each request takes: authorise, handle, answer.

`function_app.py` declares the routes, this table says what is behind them, and the OpenAPI document is made from it;
a test holds the three together.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import __version__, commit
from shared.bootstrap import Services, services
from shared.web.authorization import READ, WRITE, Actor, authorise
from shared.web.problems import INTERNAL, SECURITY_HEADERS, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    import azure.functions as func

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One authorised request, with what a handler needs to answer it."""

    request: func.HttpRequest
    services: Services
    actor: Actor


Handler = Callable[[Call], Awaitable["func.HttpResponse"]]


@dataclass(frozen=True)
class Operation:
    """One route: its function, verb, path below /api, the role it asks for, and the module that handles it."""

    name: str
    method: str
    path: str
    role: str
    module: str

    def handler(self) -> Handler:
        """The coroutine function of the same name in the operation's module."""
        handler: Handler = getattr(importlib.import_module(f"shared.web.{self.module}"), self.name)
        return handler


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("list_exports", "GET", "exports", READ, "exports"),
        Operation("get_export", "GET", "exports/{name}", READ, "exports"),
        Operation("put_export", "PUT", "exports/{name}", WRITE, "exports"),
        Operation("delete_export", "DELETE", "exports/{name}", WRITE, "exports"),
        Operation("validate_export", "POST", "exports/validate", READ, "exports"),
        Operation("plan_changes", "POST", "plan", READ, "plans"),
        Operation("import_live", "POST", "import", READ, "plans"),
        Operation("start_job", "POST", "jobs", WRITE, "jobs"),
        Operation("get_job", "GET", "jobs/{id}", READ, "jobs"),
        Operation("list_jobs", "GET", "jobs", READ, "jobs"),
        Operation("get_coverage", "GET", "coverage", READ, "coverage"),
        Operation("get_freshness", "GET", "freshness", READ, "freshness"),
        Operation("list_runs", "GET", "runs", READ, "runs"),
        Operation("get_run", "GET", "runs/{id}", READ, "runs"),
        Operation("list_dead_letters", "GET", "dead-letters", READ, "dead_letters"),
        Operation("get_metrics", "GET", "metrics", READ, "metrics"),
        Operation("operations_page", "GET", "operations", READ, "operations_page"),
        Operation("ready", "GET", "ready", READ, "readiness"),
        Operation("openapi", "GET", "openapi.json", READ, "readiness"),
    )
}


async def respond(name: str, request: func.HttpRequest) -> func.HttpResponse:
    """Answer one request of the named operation; every failure becomes a problem document."""
    operation = OPERATIONS[name]
    actor: Actor | None = None
    try:
        running = services()
        running.settings.require("AUTH_MODE")
        actor = authorise(request.headers, running.settings.auth_mode, operation.role)
        response = await operation.handler()(Call(request, running, actor))
    except ApiError as refusal:
        response = refusal.response()
    except Exception as error:  # noqa: BLE001 - the caller gets a problem document, whatever went wrong
        response = _failure(name, error).response()
    if operation.role == WRITE:
        # As JSON, no name can end a line and begin another.
        event = {"event": name, "actor": str(actor or "unknown"), "target": dict(request.route_params)}
        log.info("%s", json.dumps({**event, "status": response.status_code}))
    return response


def alive() -> func.HttpResponse:
    """The process answers: whatever else is wrong, its settings too, is for `ready` to say."""
    import azure.functions as func

    about = {"status": "alive", "version": __version__, "commit": commit()}
    return func.HttpResponse(json.dumps(about), mimetype="application/json", headers=SECURITY_HEADERS)


def _failure(name: str, error: Exception) -> ApiError:
    from azure.core.exceptions import AzureError

    from shared.azure.blob_container import StoreError
    from shared.settings import SettingsError

    if isinstance(error, SettingsError):
        log.error("%s can't work: %s", name, error)
        return ApiError(UNAVAILABLE, f"The app is not fully configured: {error}")
    if isinstance(error, AzureError | StoreError):
        log.error("%s failed: %s from Azure", name, type(error).__name__)
        return ApiError(UNAVAILABLE, "Azure did not answer as needed; try again, and see `ready` and the app's log.")
    log.error("%s failed", name, exc_info=error)
    return ApiError(INTERNAL, "This is a fault of the app; its log tells more.")
