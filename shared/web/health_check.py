"""Whether the app is well: `ready` asks everything that it depends on."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from shared import __version__, python_build
from shared.audit.trail import MANY_WAIT
from shared.clock import utc_text
from shared.fail_points import touching
from shared.reconcile.report.report_reader import UNREADABLE
from shared.settings import SettingsError
from shared.watch.open_items import only_claimed
from shared.watch.timer_runs import stopped
from shared.web import serialization
from shared.web.authorization import marked
from shared.web.frozen_containers import frozen_containers
from shared.web.unclear_groups import unclear_groups

if TYPE_CHECKING:
    import azure.functions as func

    from shared.bootstrap import Services
    from shared.exports.last_known_good import Problem
    from shared.reconcile.report.report_store import Reports
    from shared.web.routing import Call

_PATIENCE_SECONDS = 20
_RECENT = timedelta(hours=1)
_STALE_RUN = timedelta(days=1)
_RUN_SLACK = timedelta(minutes=5)
_RUNS_LOOKED_AT = 10
_SKIPPED_IN_A_ROW = 4  # an hour of the timer
_SHOWN = 10
_DEEDS_WAIT = timedelta(hours=2)
"""A timer of five minutes sends them, a quarter of an hour after they were begun at the latest."""
_IN_WORDS = {
    "ServiceRequestError": "it can't be reached",
    "ServiceResponseError": "it broke off before it answered",
    "CredentialUnavailableError": "the app has no identity that gives a token",
}
CONTROL, DATA = "reconcile_exports", "enrich_records"  # functions that only one of two apps runs


class NotWell(Exception):  # noqa: N818 - says what is the case
    """Something answers, but is not as it should be; the message says what."""


_checking: WeakKeyDictionary[Services, asyncio.Task[dict[str, Any]]] = WeakKeyDictionary()


async def ready(call: Call) -> func.HttpResponse:
    """Ask everything the app depends on; 503 when anything does not answer, with the reason for each.

    Callers at the same time share one look.
    """
    checking = _checking.get(call.services)
    if checking is None or checking.done():
        checking = _checking[call.services] = asyncio.create_task(_checked(call.services))
    document = await asyncio.shield(checking)
    return serialization.answer(document, status=200 if document["ready"] else 503)


async def _checked(services: Services) -> dict[str, Any]:
    noticing = (
        _other_releases(services),
        unseen_cves(services),
        waiting_deeds(services),
        _unclear_groups(services),
        frozen_containers(services, control=_runs_here(CONTROL)),
    )
    results, warnings = await asyncio.gather(
        asyncio.gather(*(_check(name, probe, services) for name, probe in CHECKS.items())),
        asyncio.gather(*(_in_time(notice, services) for notice in noticing)),
    )
    well = all(ok for _, ok, _ in results)
    return {
        "ready": well,
        "release": __version__,
        "checks": [{"name": name, "ok": ok, "detail": detail} for name, ok, detail in results],
        "warnings": list(chain.from_iterable(warnings)),
    }


def _patience(services: Services) -> float:
    """Seconds that one look may take."""
    return min(_PATIENCE_SECONDS, services.settings.request_deadline_seconds * 0.8)


async def _in_time(notice: Awaitable[list[str]], services: Services) -> list[str]:
    """The warnings; none where they can't be known in time, of which the checks tell."""
    try:
        return await asyncio.wait_for(notice, _patience(services))
    except TimeoutError:
        return []


async def _check(name: str, probe: Callable[[Services], Awaitable[str]], services: Services) -> tuple[str, bool, str]:
    patience = _patience(services)
    try:
        return name, True, await asyncio.wait_for(probe(services), patience)
    except TimeoutError:
        return name, False, f"no answer within {patience:g} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what the caller asked for
        return name, False, _reason(error)


def _reason(error: Exception) -> str:
    if isinstance(error, SettingsError | NotWell):
        return str(error)
    if said := _IN_WORDS.get(type(error).__name__):
        return said
    code = getattr(error, "error_code", None) or getattr(error, "status_code", None)
    code = getattr(code, "value", code)  # some SDKs have an enumeration of them
    return f"{type(error).__name__}{f' ({code})' if code else ''}"


async def _python(_: Services) -> str:
    """Whether the packages fit the Python that runs them."""
    if fault := python_build.fault():
        raise NotWell(fault)
    return "the packages fit this Python"


async def _identity(services: Services) -> str:
    token = await services.clients.credential.get_token(services.clients.arm_scope)
    until = datetime.fromtimestamp(token.expires_on, UTC)
    return f"a token for Azure Resource Manager, good until {utc_text(until, 'seconds')}"


async def _storage(services: Services) -> str:
    settings, clients = services.settings, services.clients
    for container in (settings.dead_letters_container, settings.oversize_container):
        await clients.data_blobs.get_container_client(container).get_container_properties()
    seen = clients.data_tables.get_table_client(settings.freshness_table).list_entities(results_per_page=1)
    await anext(seen.by_page(), None)
    if not _runs_here(CONTROL):
        return "dead letters, oversize records and freshness; export files and jobs are another app's"
    exports = len(await services.exports.list())
    await clients.blobs.get_container_client(settings.reports_container).get_container_properties()
    queue = await clients.queues.get_queue_client(settings.jobs_queue).get_queue_properties()
    found = clients.tables.get_table_client(settings.jobs_table).list_entities(results_per_page=1)
    await anext(found.by_page(), None)
    return f"{exports} export files; {queue.approximate_message_count} job messages"


def _runs_here(function: str) -> bool:
    """Whether this app runs a function, or leaves it to another (Azure Functions, how to disable functions)."""
    names = {f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled"}
    return not any(name in names and value.lower() in {"true", "1"} for name, value in os.environ.items())


async def _event_hub(services: Services) -> str:
    from shared.watch.hub_lag import CHECKPOINTS, read_lag

    if not _runs_here(DATA):
        return "another app reads the hub: ask that one"
    checkpoints = services.clients.data_blobs.get_container_client(CHECKPOINTS)
    lags = await read_lag(services.clients.input_hub, checkpoints, services.settings.event_hub_consumer_group)
    if misplaced := [f"partition {lag.partition}: {lag.trouble}" for lag in lags if lag.trouble]:
        raise NotWell("; ".join(misplaced))
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
    own = (settings.own_ingestion_endpoint, settings.own_ingestion_rule_id)
    if any(own) and not all(own):
        raise NotWell("LOGS_INGESTION_OWN_ENDPOINT and LOGS_INGESTION_OWN_RULE_ID are not both set")
    await services.clients.credential.get_token(services.clients.ingestion_scope)
    async with aiohttp.ClientSession() as web:
        for endpoint in filter(None, (settings.ingestion_endpoint, settings.own_ingestion_endpoint)):
            with touching("ready.endpoint"):
                async with web.get(endpoint):
                    pass  # any answer says that it is reachable
    found = services.pipeline.dead_letters.find(LetterFilter(parked=None, due_only=False))
    kept = [letter async for letter in found]
    outages = [letter for letter in kept if letter.outage and "." not in letter.place]  # `routes` asks about places
    latest = max(outages, key=lambda letter: letter.written, default=None)
    if latest and datetime.now(UTC) - latest.written < _RECENT:
        raise NotWell(f"reachable, but uploads met an outage ({latest.reason}), last at {utc_text(latest.written)}")
    return "reachable, and a token for it; no upload was refused in the last hour"


async def _routes(services: Services) -> str:
    """Whether the file of routes is in force, and each of its places takes rows."""
    known = await services.routes()
    if known is None:
        return "off: all rows go to the workspace"
    if wrong := [*filter(None, [known["fault"]]), *known["needs"]]:
        raise NotWell("; ".join(wrong[:_SHOWN]))
    return f"{len(known['places']) - 1} places beside the workspace, {len(known['rules'])} rules"


async def _tables(services: Services) -> str:
    """Whether the tables have the columns of this release."""
    from shared.enrich.tables import TABLES
    from shared.watch.deployed_columns import lacking, read_columns

    if not services.settings.workspace_id:
        return "not looked at: WORKSPACE_ID is not set"
    wanted = {table.name: [column.name for column in table.columns] for table in TABLES}
    found = await read_columns(services.clients.logs_query, services.settings.workspace_id, wanted)
    if missing := lacking(found, wanted):
        more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise NotWell(f"{'; '.join(missing[:_SHOWN])}{more}")
    return "every table has the columns of this release"


async def _stored(services: Services) -> str:
    """Whether all that is stored can be read; what can't is left as it is, and named here."""
    from shared.enrich.dead_letters.dead_letter_store import LetterFilter

    found = services.pipeline.dead_letters.find(LetterFilter(parked=None, due_only=False))
    said = [f"dead letters {letter.name}: {letter.trouble}" async for letter in found if letter.trouble]
    await services.last_seen.read()
    said += [f"freshness of {', '.join(key)}: {why}" for key, why in services.last_seen.unreadable.items()]
    if _runs_here(CONTROL):
        said += await _stored_by_control(services)
    if said:
        more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        raise NotWell(f"left as it is: {'; '.join(said[:_SHOWN])}{more}")
    return "all that is stored can be read"


async def _stored_by_control(services: Services) -> list[str]:
    loaded = await services.exports.load_all()
    said = [f"export {problem.name}: {_first(problem)}" for problem in loaded.problems]
    said += [loaded.trouble] if loaded.trouble else []
    jobs = (await services.jobs.page(datetime.now(UTC))).jobs
    said += [f"job {job.id}: {job.trouble}" for job in jobs if job.trouble]
    reports = services.reconciler.reports
    for report in await reports.summaries(await reports.recent(datetime.now(UTC), limit=_RUNS_LOOKED_AT)):
        if report["outcome"] == UNREADABLE:
            said.append(f"report {report['runId']}: {report['reason']}")
    baseline = await services.reconciler.last_run.baseline()
    said += [baseline.trouble] if baseline.trouble else []
    said += await _stored_pass(services)
    latest = await services.freshness.latest()
    said += [str(reason) for reason in latest["reasons"] if "kept freshness answer" in reason] if latest else []
    return said


async def _stored_pass(services: Services) -> list[str]:
    from shared.settings import SettingsError
    from shared.stored_format import KeptAsIs

    try:
        if services.settings.close_gone:
            checks = await services.gone_checks()
            for check in (checks.own, *checks.places.values()):
                await check.latest()
    except (KeptAsIs, SettingsError) as refusal:
        return [str(refusal)]
    return []


def _first(problem: Problem) -> str:
    return problem.findings[0].sentence if problem.findings else "it is invalid"


async def _settings(services: Services) -> str:
    """Whether every setting can be read and fits the others; those that don't act as docs/settings.md says."""
    from shared.azure.credentials import cross_tenant_gap
    from shared.enrich.invocation.parser_factory import enrich_problems

    settings = services.settings
    problems = {**enrich_problems(settings), **settings.problems}
    if gap := cross_tenant_gap(settings):
        problems.setdefault("CROSS_TENANT_CREDENTIAL", gap)
    timeout = _host_timeout()
    if timeout is not None and settings.function_timeout.total_seconds() > timeout:
        seconds = settings.function_timeout.total_seconds()
        problems["FUNCTION_TIMEOUT_SECONDS"] = (
            f"FUNCTION_TIMEOUT_SECONDS: {seconds:g} is more than functionTimeout of host.json, {timeout:g} s, at which "
            "the host ends an invocation"
        )
    if problems:
        raise NotWell("; ".join(problems.values()))
    return "every setting can be read"


def _host_timeout() -> float | None:
    """Seconds after which the host ends an invocation, as the deployed host.json says; None for never or unknown."""
    try:
        said = json.loads((Path(__file__).parents[2] / "host.json").read_text())["functionTimeout"]
        days, _, clock = said.rpartition(".")
        hours, minutes, seconds = map(int, clock.split(":"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return int(days or 0) * 86_400 + hours * 3600 + minutes * 60 + seconds


async def _other_releases(services: Services) -> list[str]:
    """A second release that was seen at work in the last hour; a note, for an update may be under way."""
    from azure.core.exceptions import AzureError

    if not _runs_here(CONTROL):
        return []
    reports = services.reconciler.reports
    now = datetime.now(UTC)
    seen = set()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for report in await reports.summaries(await reports.recent(now, limit=_RUNS_LOOKED_AT)):
                if report["release"] and now - datetime.fromisoformat(report["started"]) < _RECENT:
                    seen.add(report["release"])
            for job in (await services.jobs.page(now, size=_RUNS_LOOKED_AT)).jobs:
                if job.release and now - job.created < _RECENT:
                    seen.add(job.release)
    except (AzureError, SettingsError, TimeoutError):
        return []  # the checks say what does not answer
    others = sorted(seen - {__version__})
    return (
        [f"another release was at work in the last hour ({', '.join(others)}), this is {__version__}"] if others else []
    )


async def _unclear_groups(services: Services) -> list[str]:
    return await unclear_groups(services) if _runs_here(CONTROL) else []


async def unseen_cves(services: Services) -> list[str]:
    """That not one CVE's details could be seen, with the role that shows them; said once, by the refresh itself."""
    from azure.core.exceptions import AzureError

    from shared.stored_format import KeptAsIs

    if not services.settings.refresh_cves:
        return []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            latest = await services.cves.latest()
    except KeptAsIs as kept:
        return [str(kept)]
    except (AzureError, SettingsError, TimeoutError):
        return []  # the checks say what does not answer
    return [latest.warning] if latest is not None and latest.warning else []


async def waiting_deeds(services: Services) -> list[str]:
    """That deeds of the audit trail have waited for hours to be sent: until then its table lacks them."""
    from azure.core.exceptions import AzureError

    somewhere = services.settings.ingestion_endpoint or services.settings.own_ingestion_endpoint
    if not somewhere or not _runs_here(CONTROL):
        return []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            waiting, oldest = await services.trail.waiting()
            since = await services.trail.now() - oldest if oldest else timedelta()
    except (AzureError, SettingsError, TimeoutError):
        return []  # the checks say what does not answer
    if oldest is None or since <= _DEEDS_WAIT:
        return []
    more = "or more " if waiting >= MANY_WAIT else ""
    return [f"{waiting} {more}deeds wait to be sent to the audit trail's table, the oldest since {_minute(oldest)}"]


async def _newest_of_the_tenant(reports: Reports, now: datetime) -> dict[str, Any] | None:
    """The newest run of the whole tenant by this app that was not skipped; None where there is none.

    Raises:
        NotWell: the timer's runs are skipped one after another.
    """
    skipped: list[str] = []
    found = None
    async for run in reports.newest(now):
        if run["trigger"] == "cli" or run["scope"] or only_claimed(run):
            continue  # it saw what one person may see, or some of the tenant, or looked at no export
        found = run
        if run["outcome"] != "Skipped":
            break  # a skipped run says only that another one was under way
        if run["trigger"] == "timer":
            skipped.append(run["reason"])
    if len(skipped) >= _SKIPPED_IN_A_ROW:
        raise NotWell(f"none of the timer's last {len(skipped)} runs came to write: {skipped[0]}")
    return found


async def last_run(services: Services) -> str:
    """How the last run of the whole tenant that came to write ended.

    Raises:
        NotWell: it failed, never ended, or is long ago; or runs are skipped one after another.
    """
    if not _runs_here(CONTROL):
        return "another app reconciles: ask that one"
    reports = services.reconciler.reports
    now = datetime.now(UTC)
    report = await _newest_of_the_tenant(reports, now)
    if report is None:
        return "no run yet"
    if report["outcome"] == UNREADABLE:
        return f"its report can't be read: {report['reason']}"
    if report["outcome"] == "Running":
        since = now - datetime.fromisoformat(report["started"])
        if since > services.settings.run_budget + _RUN_SLACK:
            raise NotWell(f"the run {report['runId']} began {int(since.total_seconds())} s ago and never ended")
        return f"a run is under way since {int(since.total_seconds())} s"
    age = now - datetime.fromisoformat(report["ended"])
    said = f"{report['outcome']}, {int(age.total_seconds())} s ago"
    if age > _STALE_RUN:
        raise NotWell(f"the last run ended more than a day ago ({said}): does the timer fire?")
    said += _in_force(report)
    if report["outcome"] == "Failed":
        raise NotWell(f"{said}: {report['reason']}")
    return said


async def timers(services: Services) -> str:
    """When each timer last succeeded, whatever other runs there are.

    Raises:
        NotWell: one has not for hours.
    """
    now = datetime.now(UTC)
    last = await services.timer_runs.read()
    if silent := stopped(last, now):
        raise NotWell("; ".join(f"{name} last succeeded at {_minute(ended)}" for name, ended in silent.items()))
    told = (f"{name} {int((now - ended).total_seconds())} s ago" for name, ended in sorted(last.items()))
    return ", ".join(told) or "none has succeeded yet"


def _minute(moment: datetime) -> str:
    return utc_text(moment, "minutes")


def _in_force(report: Mapping[str, Any]) -> str:
    found = [each for each in report["inForce"] if isinstance(each, dict)]
    there, declared = (sum(each.get(name, 0) for each in found) for name in ("inForce", "declared"))
    return f": in force {there} of {declared}" if found else ""


async def _sign_in(services: Services) -> str:
    if services.settings.auth_mode == "key":
        return "function keys, which the platform checks"
    if not marked():  # an answer at all, because that was accepted
        raise NotWell(
            "ACCEPT_MISSING_AUTH_MARKER is on and the platform does not say that Easy Auth is: see that it refuses "
            "callers without a token, for without it anyone can claim to be anyone"
        )
    return f"Easy Auth, which the platform says is on{await _readers(services)}"


async def _readers(services: Services) -> str:
    if not services.settings.readers_file:
        return ""
    from shared.web.readers import well

    try:
        return f"; {await well(services)}"
    except ValueError as wrong:
        raise NotWell(str(wrong)) from None


CHECKS: dict[str, Callable[[Services], Awaitable[str]]] = {
    "python": _python,
    "settings": _settings,
    "signIn": _sign_in,
    "identity": _identity,
    "storage": _storage,
    "stored": _stored,
    "eventHub": _event_hub,
    "ingestion": _ingestion,
    "routes": _routes,
    "tables": _tables,
    "lastRun": last_run,
    "timers": timers,
}
