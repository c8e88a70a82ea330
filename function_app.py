"""Every trigger of the app, a few lines each: the table of contents.

The worker reads annotations as objects, so this module keeps `typing.List` and has no postponed annotations.
"""

import contextlib
import os
import typing

import azure.functions as func

from shared.bootstrap import services

# The level is fixed when the app is indexed: under Easy Auth the platform has already checked the caller.
_ENTRA = os.environ.get("AUTH_MODE", "key").lower() == "entra"

with contextlib.suppress(ImportError):  # packages that were built for another Python: `health` and `ready` say so
    from shared.enrich.invocation import trigger_decoding

    trigger_decoding.install()


async def _answer(name: str, req: func.HttpRequest) -> func.HttpResponse:
    """What the operation of this name answers; a process without requests loads nothing of the API."""
    from shared.web import routing

    return await routing.respond(name, req)


app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS if _ENTRA else func.AuthLevel.FUNCTION)


@app.function_name("reconcile_exports")
@app.timer_trigger("timer", schedule="%RECONCILE_SCHEDULE%", use_monitor=True)
async def reconcile_exports(timer: func.TimerRequest) -> None:
    """Plan, or apply when RECONCILE_MODE says so."""
    report = await services().in_time(services().reconciler.tick())
    if report.outcome not in {"Failed", "Skipped"}:
        await services().timer_succeeded("reconcile_exports")


@app.function_name("enrich_records")
@app.event_hub_message_trigger(
    "events",
    event_hub_name="%EVENT_HUB_NAME%",
    connection="EventHubConnection",
    consumer_group="%EVENT_HUB_CONSUMER_GROUP%",
    cardinality=func.Cardinality.MANY,
    data_type=func.DataType.BINARY,
)
@app.retry("exponential_backoff", "-1", minimum_interval="00:00:05", maximum_interval="00:05:00")
async def enrich_records(events: typing.List[func.EventHubEvent]) -> None:
    """Deliver a batch of exported records; a batch that is not fully kept is delivered again."""
    from shared.enrich.invocation.trigger_events import from_trigger

    await services().in_time(services().pipeline.run(from_trigger(events)))


@app.function_name("retry_dead_letters")
@app.timer_trigger("timer", schedule="%DEAD_LETTER_SCHEDULE%", use_monitor=True)
async def retry_dead_letters(timer: func.TimerRequest) -> None:
    """Deliver the dead letters that are due again."""
    await services().in_time(services().pipeline.replay())
    await services().timer_succeeded("retry_dead_letters")


@app.function_name("check_freshness")
@app.timer_trigger("timer", schedule="%FRESHNESS_SCHEDULE%", use_monitor=True)
async def check_freshness(timer: func.TimerRequest) -> None:
    """Report which subscription has gone silent, and whether what was accepted is stored."""
    await services().in_time(services().check_freshness())
    await services().timer_succeeded("check_freshness")


@app.function_name("send_news")
@app.timer_trigger("timer", schedule="%NEWS_SCHEDULE%", use_monitor=True)
async def send_news(timer: func.TimerRequest) -> None:
    """Send what people did to its table, and to people what is news."""
    await services().in_time(services().send_news())
    await services().timer_succeeded("send_news")


@app.function_name("close_gone")
@app.timer_trigger("timer", schedule="%GONE_SCHEDULE%", use_monitor=True)
async def close_gone(timer: func.TimerRequest) -> None:
    """Say which records ended: what the tables hold as open and Resource Graph no longer has."""
    await services().in_time(services().close_gone())
    await services().timer_succeeded("close_gone")


@app.function_name("refresh_cves")
@app.timer_trigger("timer", schedule="%CVES_SCHEDULE%", use_monitor=True)
async def refresh_cves(timer: func.TimerRequest) -> None:
    """Read the details of the CVEs that open rows name."""
    await services().in_time(services().read_cves())
    await services().timer_succeeded("refresh_cves")


@app.function_name("run_job")
@app.queue_trigger("message", queue_name="%JOBS_QUEUE%", connection="AzureWebJobsStorage")
async def run_job(message: func.QueueMessage) -> None:
    """Carry out one queued job."""
    from shared.jobs.store import job_of

    await services().in_time(services().job_worker.run(job_of(message.get_body())))


@app.function_name("list_exports")
@app.route("exports", methods=["GET"])
async def list_exports(req: func.HttpRequest) -> func.HttpResponse:
    """List the stored export files."""
    return await _answer("list_exports", req)


@app.function_name("get_export")
@app.route("exports/{name}", methods=["GET"])
async def get_export(req: func.HttpRequest) -> func.HttpResponse:
    """Read one export file."""
    return await _answer("get_export", req)


@app.function_name("put_export")
@app.route("exports/{name}", methods=["PUT"])
async def put_export(req: func.HttpRequest) -> func.HttpResponse:
    """Store one export file."""
    return await _answer("put_export", req)


@app.function_name("delete_export")
@app.route("exports/{name}", methods=["DELETE"])
async def delete_export(req: func.HttpRequest) -> func.HttpResponse:
    """Delete one export file."""
    return await _answer("delete_export", req)


@app.function_name("validate_export")
@app.route("exports/validate", methods=["POST"])
async def validate_export(req: func.HttpRequest) -> func.HttpResponse:
    """Check an export file without storing it."""
    return await _answer("validate_export", req)


@app.function_name("plan_changes")
@app.route("plan", methods=["POST"])
async def plan_changes(req: func.HttpRequest) -> func.HttpResponse:
    """Say what a reconcile would change, of what is stored or of files that come along."""
    return await _answer("plan_changes", req)


@app.function_name("import_live")
@app.route("import", methods=["POST"])
async def import_live(req: func.HttpRequest) -> func.HttpResponse:
    """Write export files for what is live."""
    return await _answer("import_live", req)


@app.function_name("start_job")
@app.route("jobs", methods=["POST"])
async def start_job(req: func.HttpRequest) -> func.HttpResponse:
    """Queue a job."""
    return await _answer("start_job", req)


@app.function_name("get_job")
@app.route("jobs/{id}", methods=["GET"])
async def get_job(req: func.HttpRequest) -> func.HttpResponse:
    """Read a job, or wait for it."""
    return await _answer("get_job", req)


@app.function_name("cancel_job")
@app.route("jobs/{id}/cancel", methods=["POST"])
async def cancel_job(req: func.HttpRequest) -> func.HttpResponse:
    """End a job."""
    return await _answer("cancel_job", req)


@app.function_name("list_jobs")
@app.route("jobs", methods=["GET"])
async def list_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """List the jobs."""
    return await _answer("list_jobs", req)


@app.function_name("approve_plan")
@app.route("approvals", methods=["POST"])
async def approve_plan(req: func.HttpRequest) -> func.HttpResponse:
    """Let a plan through."""
    return await _answer("approve_plan", req)


@app.function_name("get_coverage")
@app.route("coverage", methods=["GET"])
async def get_coverage(req: func.HttpRequest) -> func.HttpResponse:
    """Say what each subscription exports, and whether that suffices."""
    return await _answer("get_coverage", req)


@app.function_name("get_status")
@app.route("status", methods=["GET"])
async def get_status(req: func.HttpRequest) -> func.HttpResponse:
    """Say the state of each subscription in one word for each kind of record."""
    return await _answer("get_status", req)


@app.function_name("get_evidence")
@app.route("evidence", methods=["GET"])
async def get_evidence(req: func.HttpRequest) -> func.HttpResponse:
    """Give auditors the report of what meets which requirement."""
    return await _answer("get_evidence", req)


@app.function_name("get_requirements")
@app.route("requirements", methods=["GET"])
async def get_requirements(req: func.HttpRequest) -> func.HttpResponse:
    """Read the file of requirements and exceptions."""
    return await _answer("get_requirements", req)


@app.function_name("put_requirements")
@app.route("requirements", methods=["PUT"])
async def put_requirements(req: func.HttpRequest) -> func.HttpResponse:
    """Store the file of requirements and exceptions."""
    return await _answer("put_requirements", req)


@app.function_name("get_mutes")
@app.route("mutes", methods=["GET"])
async def get_mutes(req: func.HttpRequest) -> func.HttpResponse:
    """Read the file of mutes."""
    return await _answer("get_mutes", req)


@app.function_name("put_mutes")
@app.route("mutes", methods=["PUT"])
async def put_mutes(req: func.HttpRequest) -> func.HttpResponse:
    """Store the file of mutes."""
    return await _answer("put_mutes", req)


@app.function_name("get_notify")
@app.route("notify", methods=["GET"])
async def get_notify(req: func.HttpRequest) -> func.HttpResponse:
    """Read the file of receivers and rules."""
    return await _answer("get_notify", req)


@app.function_name("put_notify")
@app.route("notify", methods=["PUT"])
async def put_notify(req: func.HttpRequest) -> func.HttpResponse:
    """Store the file of receivers and rules."""
    return await _answer("put_notify", req)


@app.function_name("get_freshness")
@app.route("freshness", methods=["GET"])
async def get_freshness(req: func.HttpRequest) -> func.HttpResponse:
    """Say when each subscription last sent each kind."""
    return await _answer("get_freshness", req)


@app.function_name("list_canaries")
@app.route("canaries", methods=["GET"])
async def list_canaries(req: func.HttpRequest) -> func.HttpResponse:
    """List what canaries have proven."""
    return await _answer("list_canaries", req)


@app.function_name("list_runs")
@app.route("runs", methods=["GET"])
async def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """List the reconcile runs."""
    return await _answer("list_runs", req)


@app.function_name("get_run")
@app.route("runs/{id}", methods=["GET"])
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """Read the report of one run."""
    return await _answer("get_run", req)


@app.function_name("list_dead_letters")
@app.route("dead-letters", methods=["GET"])
async def list_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """List what could not be delivered."""
    return await _answer("list_dead_letters", req)


@app.function_name("read_dead_letter")
@app.route("dead-letters/contents", methods=["GET"])
async def read_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """Show what could not be delivered."""
    return await _answer("read_dead_letter", req)


@app.function_name("get_shapes")
@app.route("shapes", methods=["GET"])
async def get_shapes(req: func.HttpRequest) -> func.HttpResponse:
    """Show the structure of records without what they say."""
    return await _answer("get_shapes", req)


@app.function_name("get_trend")
@app.route("trend", methods=["GET"])
async def get_trend(req: func.HttpRequest) -> func.HttpResponse:
    """Give coverage, silent time, time to repair and secure score over months."""
    return await _answer("get_trend", req)


@app.function_name("get_metrics")
@app.route("metrics", methods=["GET"])
async def get_metrics(req: func.HttpRequest) -> func.HttpResponse:
    """Say how much arrived when, how late, and how the score went."""
    return await _answer("get_metrics", req)


@app.function_name("operations_page")
@app.route("operations", methods=["GET"])
async def operations_page(req: func.HttpRequest) -> func.HttpResponse:
    """Show all of this to people."""
    return await _answer("operations_page", req)


@app.function_name("health")
@app.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer that the process runs; `ready` checks dependencies."""
    from shared.web import routing

    return routing.alive()


@app.function_name("ready")
@app.route("ready", methods=["GET"])
async def ready(req: func.HttpRequest) -> func.HttpResponse:
    """Ask everything the app depends on."""
    return await _answer("ready", req)


@app.function_name("openapi")
@app.route("openapi.json", methods=["GET"])
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the HTTP API."""
    return await _answer("openapi", req)
