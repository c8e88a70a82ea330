"""Jobs over HTTP: start one, wait for it or come back for it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.clock import utc_text
from shared.jobs.arguments import LIMITS, read_arguments
from shared.jobs.model import ID_PATTERN, Job
from shared.jobs.store import JobConflictError, JobEndedError, JobNotFoundError, TooManyJobsError
from shared.web import request_parameters, serialization
from shared.web.authorization import APPROVE, authorise
from shared.web.problems import BAD_REQUEST, CONFLICT, NOT_FOUND, RETRY_LATER, TOO_MANY, ApiError
from shared.web.scope import check_job_scope

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

_POLL_SECONDS = (0.2, 0.5, 1, 2)
_RETRY_AFTER_SECONDS = "5"
_MAX_PAGE = 200
_READING_SECONDS = 10
_NO_JOB = "There is no job of this id."


async def start_job(call: Call) -> func.HttpResponse:
    """Queue a job: 202 with its address, or, with `?wait=`, 200 once it is finished in time."""
    from azure.core.exceptions import AzureError

    document = serialization.json_body(call.request)
    try:
        kind, arguments = read_arguments(document)
    except ValueError as error:
        raise ApiError(BAD_REQUEST, str(error)) from None
    call.deed["kind"] = kind
    if kind in {"reconcile", "gone"} and LIMITS.keys() & arguments.keys():
        authorise(call.request.headers, call.services.settings.auth_mode, APPROVE)
    wait = request_parameters.wait_seconds(call.request)
    key = request_parameters.idempotency_key(call.request)
    await check_job_scope(call, arguments)
    if key:  # one caller's keys mean nothing to another
        key = f"{call.actor.scope} {key}"
    try:
        job = await call.services.jobs.submit(
            kind, arguments, str(call.actor), now=datetime.now(UTC), key=key, sent=document
        )
    except JobConflictError:
        raise ApiError(
            CONFLICT, "This Idempotency-Key was used for a different job; take a new key for a new request."
        ) from None
    except TooManyJobsError as refusal:
        raise ApiError(TOO_MANY, f"{refusal}.", headers=RETRY_LATER) from None
    call.deed["target"] = {"job": job.id}
    try:
        return await _answer(call, job.id, wait)
    except (TimeoutError, AzureError):  # it is queued all the same
        return _under_way(job)


async def get_job(call: Call) -> func.HttpResponse:
    """One job with its result; `?wait=` waits for it to finish."""
    return await _answer(
        call, call.request.route_params["id"], request_parameters.wait_seconds(call.request), status=200
    )


async def cancel_job(call: Call) -> func.HttpResponse:
    """End a job: 200 where no worker has it, 202 where the one that has it ends it within half a minute."""
    if serialization.json_body(call.request):
        raise ApiError(BAD_REQUEST, "Send nothing: the job is named by the address.")
    try:
        job = await call.services.jobs.cancel(call.request.route_params["id"], str(call.actor))
    except JobNotFoundError:
        raise ApiError(NOT_FOUND, _NO_JOB) from None
    except JobEndedError as ended:
        raise ApiError(CONFLICT, f"Nothing is left to cancel of this job: {ended}.") from None
    call.deed["state"] = job.state
    return serialization.answer(shown(job), headers=_location(job)) if job.final else _under_way(job, 202)


async def list_jobs(call: Call) -> func.HttpResponse:
    """Jobs, newest first, without their results."""
    size = min(request_parameters.limit(call.request, 50), _MAX_PAGE)
    after = request_parameters.after(call.request, ID_PATTERN)
    jobs, more = await call.services.jobs.page(datetime.now(UTC), after=after, size=size)
    token = request_parameters.continuation(call.request, jobs[-1].id) if more else ""
    return serialization.answer({"value": [shown(job) for job in jobs], "continuation": token})


async def _answer(call: Call, job_id: str, wait: int, status: int = 202) -> func.HttpResponse:
    deadline = time.monotonic() + wait
    pauses = iter(_POLL_SECONDS)
    while True:
        try:
            async with asyncio.timeout(_READING_SECONDS):
                job = await call.services.jobs.settled(job_id, datetime.now(UTC))
        except JobNotFoundError:
            raise ApiError(NOT_FOUND, _NO_JOB) from None
        left = deadline - time.monotonic()
        if job.final or job.trouble or left <= 0:
            break
        await asyncio.sleep(min(next(pauses, _POLL_SECONDS[-1]), left))
    if job.final:
        return serialization.answer(shown(job), headers=_location(job))
    return _under_way(job, status)


def _under_way(job: Job, status: int = 202) -> func.HttpResponse:
    return serialization.answer(
        shown(job), status=status, headers={**_location(job), "Retry-After": _RETRY_AFTER_SECONDS}
    )


def _location(job: Job) -> dict[str, str]:
    return {"Location": f"/api/jobs/{job.id}"}


def shown(job: Job) -> dict[str, Any]:
    """A job as the API gives it."""
    document = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "arguments": job.arguments,
        "actor": job.actor,
        "attempt": job.attempt,
        "progress": job.progress,
        "error": job.error,
        "cancelledBy": job.cancelled_by,
        "release": job.release,
        "trouble": job.trouble,
        "created": _time(job.created),
        "started": _time(job.started),
        "finished": _time(job.finished),
    }
    return document if job.result is None else {**document, "result": job.result}


def _time(value: datetime | None) -> str | None:
    return None if value is None else utc_text(value, "milliseconds")
