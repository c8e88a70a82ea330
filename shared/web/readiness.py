"""Is the app well, and what does it offer: `ready` and the OpenAPI document."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.web import serialization
from shared.web.authorization import marked

if TYPE_CHECKING:
    import azure.functions as func

    from shared.bootstrap import Services
    from shared.web.routing import Call

_PATIENCE_SECONDS = 20
_RECENT = timedelta(hours=1)
_STALE_RUN = timedelta(days=1)


class NotWell(Exception):  # noqa: N818 - says what is the case
    """Something answers, but is not as it should be; the message says what."""


async def ready(call: Call) -> func.HttpResponse:
    """Ask everything the app depends on; 503 when anything does not answer, with the reason for each."""
    results = await asyncio.gather(*(_check(name, probe, call.services) for name, probe in CHECKS.items()))
    well = all(ok for _, ok, _ in results)
    document = {
        "ready": well,
        "checks": [{"name": name, "ok": ok, "detail": detail} for name, ok, detail in results],
        "warnings": [],
    }
    return serialization.answer(document, status=200 if well else 503)


async def openapi(call: Call) -> func.HttpResponse:  # noqa: ARG001 - every handler takes the call
    """The OpenAPI 3.1 document."""
    from shared.web.openapi import document

    return serialization.answer(document())


async def _check(name: str, probe: Callable[[Services], Awaitable[str]], services: Services) -> tuple[str, bool, str]:
    patience = min(_PATIENCE_SECONDS, services.settings.request_deadline_seconds * 0.8)
    try:
        return name, True, await asyncio.wait_for(probe(services), patience)
    except TimeoutError:
        return name, False, f"no answer within {patience:g} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what the caller asked for
        return name, False, _reason(error)


def _reason(error: Exception) -> str:
    from shared.settings import SettingsError

    if isinstance(error, SettingsError | NotWell):
        return str(error)
    code = getattr(error, "error_code", None) or getattr(error, "status_code", None)
    return f"{type(error).__name__}{f' ({code})' if code else ''}"


async def _identity(services: Services) -> str:
    token = await services.clients.credential.get_token(services.clients.arm_scope)
    until = datetime.fromtimestamp(token.expires_on, UTC)
    return f"a token for Azure Resource Manager, good until {until.isoformat(timespec='seconds')}"


async def _storage(services: Services) -> str:
    settings, clients = services.settings, services.clients
    exports = len(await services.exports.list())
    queue = await clients.queues.get_queue_client(settings.jobs_queue).get_queue_properties()
    found = clients.tables.get_table_client(settings.jobs_table).list_entities(results_per_page=1)
    await anext(found.by_page(), None)
    return f"{exports} export files; {queue.approximate_message_count} job messages"


async def _event_hub(services: Services) -> str:
    from shared.watch.hub_lag import CHECKPOINTS, read_lag

    checkpoints = services.clients.blobs.get_container_client(CHECKPOINTS)
    lags = await read_lag(services.clients.input_hub, checkpoints, services.settings.event_hub_consumer_group)
    each = ", ".join(f"{lag.partition}: {lag.behind}{'' if lag.started else ' (never read)'}" for lag in lags)
    return f"{sum(lag.behind for lag in lags)} events not yet read; by partition {each}"


async def _ingestion(services: Services) -> str:
    """Reachable, and a token for it; whether the rule takes rows shows in real uploads.

    An upload that would prove more leaves a row, or counts as a failed one in the rule's metrics.
    """
    import aiohttp

    from shared.enrich.dead_letters.dead_letter_store import LetterFilter

    settings = services.settings
    if not settings.ingestion_endpoint or not settings.ingestion_rule_id:
        raise NotWell("LOGS_INGESTION_ENDPOINT and LOGS_INGESTION_RULE_ID are not both set: no record gets a row")
    await services.clients.credential.get_token(services.clients.ingestion_scope)
    async with aiohttp.ClientSession() as web, web.get(settings.ingestion_endpoint):
        pass  # any answer says that it is reachable
    kept = services.pipeline.dead_letters.find(LetterFilter(parked=None, due_only=False))
    latest = max([letter async for letter in kept if letter.outage], key=lambda letter: letter.written, default=None)
    if latest and datetime.now(UTC) - latest.written < _RECENT:
        raise NotWell(f"reachable, but uploads met an outage ({latest.reason}), last at {latest.written.isoformat()}")
    return "reachable, and a token for it; no upload was refused in the last hour"


async def _last_run(services: Services) -> str:
    reports = services.reconciler.reports
    now = datetime.now(UTC)
    names = await reports.recent(now, limit=1)
    report = await reports.read(names[0]) if names else None
    if report is None:
        return "no run yet"
    age = now - datetime.fromisoformat(report["ended"])
    said = f"{report['outcome']}, {int(age.total_seconds())} s ago"
    if age > _STALE_RUN:
        raise NotWell(f"the last run ended more than a day ago ({said}): does the timer fire?")
    if report["outcome"] == "Failed":
        raise NotWell(f"{said}: {report['reason']}")
    return said


async def _sign_in(services: Services) -> str:
    if services.settings.auth_mode == "key":
        return "function keys, which the platform checks"
    if not marked():  # an answer at all, because that was accepted
        raise NotWell(
            "ACCEPT_MISSING_AUTH_MARKER is on and the platform does not say that Easy Auth is: see that it refuses "
            "callers without a token, for without it anyone can claim to be anyone"
        )
    return "Easy Auth, which the platform says is on"


CHECKS: dict[str, Callable[[Services], Awaitable[str]]] = {
    "signIn": _sign_in,
    "identity": _identity,
    "storage": _storage,
    "eventHub": _event_hub,
    "ingestion": _ingestion,
    "lastRun": _last_run,
}
