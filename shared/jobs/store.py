"""Job states in Table Storage, their results in Blob Storage, their messages in a queue.

Every change of a job is conditional on its ETag, so of two workers, or a worker and a reader that says it dead,
only one wins.  A row of a newer format, or one that can't be read, is shown with what helps and never changed;
members that this release does not know stay in their row.  What is over is decided by the storage's own clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from shared import stored_format
from shared.audit.deed import CANCEL, Deed, origin
from shared.azure.quota import Holders, Quota, QuotaExceededError
from shared.azure.storage_time import storage_time
from shared.jobs.arguments import refusal_of
from shared.jobs.job_deeds import cancelling, deed_of
from shared.jobs.model import ID_PATTERN, STALE_AFTER, STATES, Job, cancelled, new_id, oldest_id, said_dead

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient
    from azure.storage.blob.aio import ContainerClient
    from azure.storage.queue.aio import QueueClient

    from shared.audit.trail import Trail

_JOBS = "job"
_KEYS = "idempotency"
MAX_OPEN = 100
_ON_ITS_WAY = timedelta(minutes=1)  # from the place that a job takes to its row
_MAX_TEXT = 2_000  # characters; a property of Table Storage holds 32,768


class JobNotFoundError(ValueError):
    """There is no job of this id."""


class JobConflictError(Exception):
    """An idempotency key was used again for a different request."""


class JobChangedError(Exception):
    """The job was changed by another writer since it was read."""


class JobEndedError(Exception):
    """The job has ended, or this release leaves it as it is; the message says which."""


class TooManyJobsError(ValueError):
    """As many jobs are queued or running as one deployment takes."""

    def __init__(self) -> None:
        super().__init__(f"{MAX_OPEN} jobs are queued or running; wait for some of them to finish")


class Stored(NamedTuple):
    """A job and the ETag that its next change must name."""

    job: Job
    etag: str


class JobPage(NamedTuple):
    """Jobs, newest first, and whether older ones follow."""

    jobs: list[Job]
    more: bool


def job_of(message: bytes) -> str:
    """The id of the job that a queue message names.

    Raises:
        KeptAsIs: the message is of a newer format or names none; the queue keeps it among its poison messages.
    """
    job = stored_format.read_object("job message", message).get("job")
    if not isinstance(job, str):
        raise stored_format.KeptAsIs("this job message names no job: start the job again")
    return job


class JobStore:
    """Jobs of this deployment."""

    def __init__(
        self, table: TableClient, results: ContainerClient, queue: QueueClient, trail: Trail | None = None
    ) -> None:
        self._trail = trail
        self._table = table
        self._results = results
        self._queue = queue
        self._quota = Quota(table, "jobs", MAX_OPEN, self._still_open)

    async def now(self) -> datetime:
        """The storage's own time: that of a host may be wrong, and must not end the jobs of others."""
        return await storage_time(self._results)

    async def submit(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        actor: str,
        *,
        now: datetime,
        key: str = "",
        sent: Mapping[str, Any] | None = None,
    ) -> Job:
        """Create a job and queue it; the same `key` again gives the same job.  `sent` is the request as it was sent.

        A crash at any point is mended by the same call again: the key names the job before the job exists, and a
        queued job is announced once more (a second announcement finds it taken).

        Raises:
            JobConflictError: `key` was used for another kind or other arguments.
            TooManyJobsError: 100 jobs of this deployment are queued or running.
        """
        job = Job(new_id(now), kind, dict(arguments), actor, now, origin=asdict(origin()))
        if key:
            job = replace(job, id=await self._reserve(key, job, sent))
        job = (await self._known(job.id) if key else None) or await self._created(job)
        if job.state == "queued":
            await self.announce(job.id)
        return job

    async def _known(self, job_id: str) -> Job | None:
        try:
            return (await self.get(job_id)).job
        except JobNotFoundError:
            return None

    async def _created(self, job: Job) -> Job:
        from azure.core.exceptions import ResourceExistsError

        try:
            await self._quota.take(job.id)
            async with self._noted(deed_of(job), ResourceExistsError):
                await self._table.create_entity(_entity(job))
        except QuotaExceededError:
            raise TooManyJobsError from None
        except ResourceExistsError:  # the same key at the same time
            return (await self.get(job.id)).job
        return job

    async def _still_open(self, holders: Holders) -> Holders:
        """Of the jobs that have a place, those that are queued or running, and those whose row may be on its way."""
        now = await self.now()
        query = "PartitionKey eq @jobs and RowKey ge @first and RowKey le @last"
        parameters = {"jobs": _JOBS, "first": min(holders), "last": max(holders)}
        over: dict[str, bool] = {}
        async for entity in self._table.query_entities(query, parameters=parameters):
            job = _job(entity, entity.metadata["timestamp"])
            over[job.id] = job.final or bool(job.trouble) or said_dead(job, now) is not None
        return {
            job_id: since for job_id, since in holders.items() if not over.get(job_id, abs(now - since) > _ON_ITS_WAY)
        }

    def _noted(self, deed: Deed | None, refusal: type[Exception]) -> AbstractAsyncContextManager[None]:
        """Note what is done as a deed, where it is one."""
        return self._trail.doing(deed, (refusal,)) if self._trail and deed else nullcontext()

    async def witness(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """Whether a job that lifts a guard was started, or whether one was cancelled by who wanted to."""
        job = await self._known(str(deed.marks.get("job")))
        if deed.deed == CANCEL:
            return None if job is None else job.cancelled_by == deed.actor
        return job is not None

    async def announce(self, job_id: str, *, after: timedelta = timedelta()) -> None:
        """Put the job's message in the queue, to be delivered once `after` has passed."""
        message = {"job": job_id, **stored_format.stamp("job message")}
        await self._queue.send_message(json.dumps(message), visibility_timeout=int(after.total_seconds()))

    async def _reserve(self, key: str, job: Job, sent: Mapping[str, Any] | None) -> str:
        """The id of the job that this key names; what was sent is compared, since its normal form may change."""
        from azure.core.exceptions import ResourceExistsError

        row = hashlib.sha256(key.encode()).hexdigest()
        normal = _digest([job.kind, job.arguments])
        asked = _digest(sent) if sent is not None else normal
        try:
            await self._table.create_entity(
                {
                    "PartitionKey": _KEYS,
                    "RowKey": row,
                    "job": job.id,
                    "asked": asked,
                    "created": job.created,
                    **stored_format.stamp("idempotency key"),
                }
            )
        except ResourceExistsError:
            earlier = await self._table.get_entity(_KEYS, row)
            try:
                stored_format.admit("idempotency key", earlier)
            except stored_format.KeptAsIs:
                raise JobConflictError from None
            # Before formats had a number, the digest was of the arguments as the API had read them.
            if earlier.get("asked") not in {asked, normal} or not re.fullmatch(ID_PATTERN, str(earlier.get("job"))):
                raise JobConflictError from None
            return str(earlier["job"])
        return job.id

    async def get(self, job_id: str) -> Stored:
        """One job without its result.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        from azure.core.exceptions import ResourceNotFoundError

        if not re.fullmatch(ID_PATTERN, job_id):
            raise JobNotFoundError(f"there is no job {job_id}")
        try:
            entity = await self._table.get_entity(_JOBS, job_id)
        except ResourceNotFoundError:
            raise JobNotFoundError(f"there is no job {job_id}") from None
        return Stored(_job(entity, entity.metadata["timestamp"]), str(entity.metadata["etag"]))

    async def settled(self, job_id: str, now: datetime) -> Job:
        """One job with its result, marked dead first when no worker can finish it.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        job = await self._settle(await self.get(job_id), now)
        if job.state != "succeeded" or job.trouble:
            return job
        try:
            return replace(job, result=await self._result(job_id))
        except stored_format.KeptAsIs as kept:
            return replace(job, trouble=str(kept))

    async def _settle(self, stored: Stored, now: datetime) -> Job:
        """The job, marked dead where the storage's own time agrees with the host's `now` that no worker will end it."""
        if not said_dead(stored.job, now):
            return stored.job
        while dead := said_dead(stored.job, await self.now()):
            try:
                await self.save(dead, stored.etag)
            except JobChangedError:
                stored = await self.get(stored.job.id)
            else:
                return dead
        return stored.job

    async def cancel(self, job_id: str, by: str) -> Job:
        """End a job that no worker has; have the one that runs it end it at its next heartbeat.

        Raises:
            JobNotFoundError: there is none of this id.
            JobEndedError: it has ended, or is left as it is; nothing was changed.
        """
        while True:
            job, etag = await self.get(job_id)
            if job.trouble or (job.final and job.state != "cancelled"):
                raise JobEndedError(job.trouble or f"its state is {job.state}")
            now = await self.now()
            runs = job.state == "running" and job.quiet_for(now) < STALE_AFTER
            if job.final or (runs and job.cancelled_by):
                return job  # it was asked before
            asked = replace(job, cancelled_by=by)
            asked = asked if runs else cancelled(asked, now)
            try:
                async with self._noted(cancelling(job, by), JobChangedError):
                    await self.save(asked, etag)
            except JobChangedError:
                continue  # its worker wrote a heartbeat, or ended it
            return asked

    async def save(self, job: Job, etag: str) -> str:
        """Write a changed job; gives the new ETag.

        Raises:
            JobChangedError: another writer changed it since `etag`.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.data.tables import UpdateMode

        if job.result is not None:
            body = json.dumps({**stored_format.stamp("job result"), "result": job.result}, default=str)
            await self._results.upload_blob(f"jobs/{job.id}.json", body, overwrite=True)
        try:
            saved = await self._table.update_entity(
                _entity(job), mode=UpdateMode.MERGE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        except HttpResponseError as error:
            if error.status_code == 412:  # noqa: PLR2004 - precondition failed
                raise JobChangedError(job.id) from None
            raise
        return str(saved["etag"])

    async def page(self, now: datetime, *, after: str = "", size: int = 50) -> JobPage:
        """Jobs newest first, without their results; those after the id `after`."""
        query = "PartitionKey eq @partition and RowKey gt @after"
        entities = self._table.query_entities(
            query, parameters={"partition": _JOBS, "after": after}, results_per_page=size + 1
        )
        jobs: list[Job] = []
        async for entity in entities:
            if len(jobs) == size:
                return JobPage(jobs, more=True)
            stored = Stored(_job(entity, entity.metadata["timestamp"]), str(entity.metadata["etag"]))
            jobs.append(await self._settle(stored, now))
        return JobPage(jobs, more=False)

    async def expire(self, retention: timedelta) -> int:
        """Forget jobs that were made longer ago than that, by the storage's time; gives how many jobs.

        Their results and idempotency keys go with them.  A job that is not over stays.
        """
        limit = {"limit": oldest_id(await self.now() - retention)}
        keys = self._table.query_entities(f"PartitionKey eq '{_KEYS}' and job gt @limit", parameters=limit)
        async for entity in keys:
            await self._table.delete_entity(entity)
        expired = 0
        jobs = self._table.query_entities(f"PartitionKey eq '{_JOBS}' and RowKey gt @limit", parameters=limit)
        async for entity in jobs:
            known = _job(entity, entity.metadata["timestamp"])
            if known.trouble or not known.final:
                continue
            await self._forget_result(entity["RowKey"])
            await self._table.delete_entity(entity)
            expired += 1
        return expired

    async def _forget_result(self, job_id: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._results.delete_blob(f"jobs/{job_id}.json")
        except ResourceNotFoundError:
            return  # it never succeeded, or an earlier attempt to forget it got this far

    async def _result(self, job_id: str) -> Mapping[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            download = await self._results.download_blob(f"jobs/{job_id}.json")
            document = stored_format.read_object("job result", await download.readall())
        except ResourceNotFoundError:
            return None
        found = document.get("result", {}) if stored_format.FORMAT in document else document
        if not isinstance(found, dict):
            raise stored_format.KeptAsIs("this job result holds no object: nothing is done with it")
        return found


_TIMES = ("created", "started", "heartbeat", "finished")
_TEXTS = ("kind", "actor", "state", "progress", "error")
_DOCUMENTS = ("arguments", "cursor")
_LATER = ("origin",)
_CANCELLED = "cancelledBy"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _entity(job: Job) -> dict[str, Any]:
    entity: dict[str, Any] = {"PartitionKey": _JOBS, "RowKey": job.id, "attempt": job.attempt, "stuck": job.stuck}
    entity.update(stored_format.stamp("job"))
    entity.update({name: getattr(job, name)[:_MAX_TEXT] for name in _TEXTS})
    entity.update({name: json.dumps(getattr(job, name)) for name in (*_DOCUMENTS, *_LATER)})
    entity.update({_CANCELLED: job.cancelled_by} if job.cancelled_by else {})
    entity.update({name: value for name in _TIMES if (value := getattr(job, name)) is not None})
    return entity


def _job(entity: Mapping[str, Any], written: Any) -> Job:
    """A job as stored; where it can't be read whole, what can be, and `trouble`.  `written` is the storage's time."""
    trouble = _trouble(entity)
    texts = {name: str(entity.get(name) or "") for name in _TEXTS}
    times: dict[str, Any] = {name: value for name in _TIMES if (value := _plain(entity.get(name))) is not None}
    if texts["state"] == "running":
        times["heartbeat"] = _plain(written)
    attempt = _count(entity.get("attempt"))
    names = (*_DOCUMENTS, *_LATER)
    documents = {name: found if isinstance(found := _document(entity.get(name)), dict) else {} for name in names}
    members: dict[str, Any] = {"created": _plain(written), **times, **texts, **documents}
    return Job(
        id=str(entity["RowKey"]),
        attempt=attempt or 0,
        stuck=found if (found := _count(entity.get("stuck"))) is not None else attempt or 0,
        cancelled_by=str(entity.get(_CANCELLED) or ""),
        release=str(entity.get("release") or ""),
        trouble=trouble,
        **members,
    )


def _trouble(entity: Mapping[str, Any]) -> str:
    """Why this release leaves a job as it is: it reads neither more nor less than it knows."""
    try:
        stored_format.admit("job", entity)
    except stored_format.KeptAsIs as kept:
        return str(kept)
    if entity.get("state") not in STATES:
        return f"this job has a state that this release does not know: {stored_format.needs(entity)}"
    if any(not isinstance(entity.get(name), str) for name in (*_TEXTS, *_DOCUMENTS)):
        return "this job lacks a member that every job has: nothing is done with it; start it again"
    if _count(entity.get("attempt")) is None:
        return "this job does not say how often it was tried: nothing is done with it; start it again"
    if any(name in entity and _plain(entity[name]) is None for name in _TIMES) or "created" not in entity:
        return "this job holds a time that is none: nothing is done with it; start it again"
    if not isinstance(_document(entity["cursor"]), dict):
        return "this job does not say how far it came: nothing is done with it; start it again"
    if refusal := refusal_of(str(entity["kind"]), _document(entity["arguments"])):
        return f"this release does not do this job ({refusal}): {stored_format.needs(entity)}"
    return ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _document(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _plain(moment: Any) -> Any:
    """The time as the standard library has it: Table Storage's own type can't be encoded.  None where it is none."""
    if not isinstance(moment, datetime):
        return None
    return datetime.combine(moment.date(), moment.time(), UTC)
