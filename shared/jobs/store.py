"""Job states in Table Storage, their results in Blob Storage, their messages in a queue.

Every change of a job is conditional on its ETag, so of two workers, or a worker and a reader that says it dead,
only one wins.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.jobs.model import DEAD_AFTER, Job, new_id

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient
    from azure.storage.blob.aio import ContainerClient
    from azure.storage.queue.aio import QueueClient

_JOBS = "job"
_KEYS = "idempotency"


class JobNotFoundError(LookupError):
    """There is no job of this id."""


class JobConflictError(Exception):
    """An idempotency key was used again for a different request."""


class JobChangedError(Exception):
    """The job was changed by someone else since it was read."""


class Stored(NamedTuple):
    """A job and the ETag that its next change must name."""

    job: Job
    etag: str


class JobPage(NamedTuple):
    """Jobs, newest first, and the token of the next page (empty on the last)."""

    jobs: list[Job]
    continuation: str


class JobStore:
    """Jobs of this deployment."""

    def __init__(self, table: TableClient, results: ContainerClient, queue: QueueClient) -> None:
        self._table = table
        self._results = results
        self._queue = queue

    async def submit(self, kind: str, arguments: Mapping[str, Any], actor: str, *, now: datetime, key: str = "") -> Job:
        """Create a job and queue it; the same `key` again gives the same job.

        A crash at any point is mended by the same call again: the key names the job before the job exists, and a
        queued job is announced once more (a second announcement finds it taken).

        Raises:
            JobConflictError: `key` was used for another kind or other arguments.
        """
        job = Job(new_id(now), kind, dict(arguments), actor, now)
        if key:
            job = replace(job, id=await self._reserve(key, job))
        from azure.core.exceptions import ResourceExistsError

        try:
            await self._table.create_entity(_entity(job))
        except ResourceExistsError:
            job = (await self.get(job.id)).job
        if job.state == "queued":
            await self.announce(job.id)
        return job

    async def announce(self, job_id: str) -> None:
        """Put the job's message in the queue."""
        await self._queue.send_message(json.dumps({"job": job_id}))

    async def _reserve(self, key: str, job: Job) -> str:
        from azure.core.exceptions import ResourceExistsError

        row = hashlib.sha256(key.encode()).hexdigest()
        asked = hashlib.sha256(json.dumps([job.kind, job.arguments], sort_keys=True).encode()).hexdigest()
        try:
            await self._table.create_entity(
                {"PartitionKey": _KEYS, "RowKey": row, "job": job.id, "asked": asked, "created": job.created}
            )
        except ResourceExistsError:
            earlier = await self._table.get_entity(_KEYS, row)
            if earlier["asked"] != asked:
                raise JobConflictError from None
            return str(earlier["job"])
        return job.id

    async def get(self, job_id: str) -> Stored:
        """One job without its result.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            entity = await self._table.get_entity(_JOBS, job_id)
        except ResourceNotFoundError:
            raise JobNotFoundError(job_id) from None
        return Stored(_job(entity), str(entity.metadata["etag"]))

    async def settled(self, job_id: str, now: datetime) -> Job:
        """One job with its result, said dead first if its worker is long gone.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        job, etag = await self.get(job_id)
        if job.quiet_for(now) > DEAD_AFTER:
            dead = replace(job, state="dead", finished=now, error="Its worker stopped and none took it over.")
            try:
                await self.save(dead, etag)
            except JobChangedError:
                return await self.settled(job_id, now)
            return dead
        if job.state in {"succeeded", "failed"}:
            return replace(job, result=await self._result(job_id))
        return job

    async def save(self, job: Job, etag: str) -> str:
        """Write a changed job; gives the new ETag.

        Raises:
            JobChangedError: someone else changed it since `etag`.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.data.tables import UpdateMode

        if job.result is not None:
            body = json.dumps(job.result, default=str)
            await self._results.upload_blob(f"jobs/{job.id}.json", body, overwrite=True)
        try:
            saved = await self._table.update_entity(
                _entity(job), mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        except HttpResponseError as error:
            if error.status_code == 412:  # noqa: PLR2004 - precondition failed
                raise JobChangedError(job.id) from None
            raise
        return str(saved["etag"])

    async def page(self, *, continuation: str = "", size: int = 50) -> JobPage:
        """Jobs newest first.

        Raises:
            ValueError: the continuation token is not one of ours.
        """
        lower = _token(continuation)
        query = "PartitionKey eq @partition and RowKey gt @lower"
        entities = self._table.query_entities(
            query, parameters={"partition": _JOBS, "lower": lower}, results_per_page=size + 1
        )
        jobs: list[Job] = []
        async for entity in entities:
            if len(jobs) == size:
                return JobPage(jobs, base64.urlsafe_b64encode(jobs[-1].id.encode()).decode())
            jobs.append(_job(entity))
        return JobPage(jobs, "")

    async def _result(self, job_id: str) -> Mapping[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            download = await self._results.download_blob(f"jobs/{job_id}.json")
            result: Mapping[str, Any] = json.loads(await download.readall())
        except ResourceNotFoundError:
            return None
        return result


def _token(continuation: str) -> str:
    try:
        return base64.urlsafe_b64decode(continuation.encode()).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("the continuation token is not one this API gave") from error


_TIMES = ("created", "started", "heartbeat", "finished")
_TEXTS = ("kind", "actor", "state", "progress", "error")
_DOCUMENTS = ("arguments", "cursor")


def _entity(job: Job) -> dict[str, Any]:
    entity: dict[str, Any] = {"PartitionKey": _JOBS, "RowKey": job.id, "attempt": job.attempt}
    entity.update({name: getattr(job, name) for name in _TEXTS})
    entity.update({name: json.dumps(getattr(job, name)) for name in _DOCUMENTS})
    entity.update({name: value for name in _TIMES if (value := getattr(job, name)) is not None})
    return entity


def _job(entity: Mapping[str, Any]) -> Job:
    return Job(
        id=entity["RowKey"],
        attempt=entity["attempt"],
        **{name: entity[name] for name in _TEXTS},
        **{name: json.loads(entity[name]) for name in _DOCUMENTS},
        **{name: entity[name] for name in _TIMES if name in entity},
    )
