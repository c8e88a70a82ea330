"""Is the app well, and what does it offer: `ready` and the OpenAPI document."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from shared.web import wire
from shared.web.auth import EASY_AUTH_MARKER

if TYPE_CHECKING:
    import azure.functions as func

    from shared.services import Services
    from shared.web.api import Call

_PATIENCE_SECONDS = 20


async def ready(call: Call) -> func.HttpResponse:
    """Ask everything the app depends on; 503 when anything does not answer, with the reason for each."""
    results = await asyncio.gather(*(_check(name, probe, call.services) for name, probe in CHECKS.items()))
    well = all(ok for _, ok, _ in results)
    document = {
        "ready": well,
        "checks": [{"name": name, "ok": ok, "detail": detail} for name, ok, detail in results],
        "warnings": _warnings(call.services.settings.auth_mode),
    }
    return wire.answer(document, status=200 if well else 503)


async def openapi(call: Call) -> func.HttpResponse:  # noqa: ARG001 - every handler takes the call
    """The OpenAPI 3.1 document."""
    from shared.web.openapi import document

    return wire.answer(document())


async def _check(name: str, probe: Callable[[Services], Awaitable[str]], services: Services) -> tuple[str, bool, str]:
    try:
        return name, True, await asyncio.wait_for(probe(services), _PATIENCE_SECONDS)
    except TimeoutError:
        return name, False, f"no answer within {_PATIENCE_SECONDS} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what the caller asked for
        return name, False, _reason(error)


def _reason(error: Exception) -> str:
    from shared.settings import SettingsError

    if isinstance(error, SettingsError):
        return str(error)
    code = getattr(error, "error_code", None) or getattr(error, "status_code", None)
    return f"{type(error).__name__}{f' ({code})' if code else ''}"


async def _identity(services: Services) -> str:
    token = await services.clients.credential.get_token(services.clients.arm_scope)
    return f"a token for Azure Resource Manager, good until {token.expires_on}"


async def _storage(services: Services) -> str:
    exports = len(await services.exports.list())
    queue = await services.clients.queues.get_queue_client(services.settings.jobs_queue).get_queue_properties()
    return f"{exports} export files; {queue.approximate_message_count} jobs waiting"


def _warnings(auth_mode: str) -> list[str]:
    if auth_mode == "entra" and os.environ.get(EASY_AUTH_MARKER, "").lower() != "true":
        missing = (
            "AUTH_MODE is entra, but the platform's marker of Easy Auth (WEBSITE_AUTH_ENABLED) is missing: without it "
            "anyone can claim to be anyone. Turn authentication on for this app, or set AUTH_MODE to key."
        )
        return [missing]
    return []


CHECKS: dict[str, Callable[[Services], Awaitable[str]]] = {"identity": _identity, "storage": _storage}
