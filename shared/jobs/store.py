"""Job states in Table Storage, their results in Blob Storage, their messages in a queue.

Every change of a job is conditional on its ETag, so of two workers, or a worker and a reader that says it dead,
only one wins.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.jobs.model import ID_PATTERN, Job, new_id, oldest_id, said_dead

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient
    from azure.storage.blob.aio import ContainerClient
    from azure.storage.queue.aio import QueueClient

_JOBS = "job"
_KEYS = "idempotency"
_MAX_TEXT = 2_000  # characters; a property of Table Storage holds 32,768


class JobNotFoundError(LookupError):
    """There is no job of this id."""


class JobConflictError(Exception):
    """An idempotency key was used again for a different request."""


class JobChangedError(Exception):
    """The job was changed by another writer since it was read."""


class Stored(NamedTuple):
    """A job and the ETag that its next change must name."""

    job: Job
    etag: str


class JobPage(NamedTuple):
    """Jobs, newest first, and whether older ones follow."""

    jobs: list[Job]
    more: bool


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

        if not re.fullmatch(ID_PATTERN, job_id):
            raise JobNotFoundError(job_id)
        try:
            entity = await self._table.get_entity(_JOBS, job_id)
        except ResourceNotFoundError:
            raise JobNotFoundError(job_id) from None
        return Stored(_job(entity), str(entity.metadata["etag"]))

    async def settled(self, job_id: str, now: datetime) -> Job:
        """One job with its result, marked dead first when no worker can finish it.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        job = await self._settle(await self.get(job_id), now)
        return replace(job, result=await self._result(job_id)) if job.state == "succeeded" else job

    async def _settle(self, stored: Stored, now: datetime) -> Job:
        while dead := said_dead(stored.job, now):
            try:
                await self.save(dead, stored.etag)
            except JobChangedError:
                stored = await self.get(stored.job.id)
            else:
                return dead
        return stored.job

    async def save(self, job: Job, etag: str) -> str:
        """Write a changed job; gives the new ETag.

        Raises:
            JobChangedError: another writer changed it since `etag`.
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
            jobs.append(await self._settle(Stored(_job(entity), str(entity.metadata["etag"])), now))
        return JobPage(jobs, more=False)

    async def expire(self, older_than: datetime) -> int:
        """Forget jobs older than that, with their results and idempotency keys; gives how many jobs."""
        limit = {"limit": oldest_id(older_than)}
        keys = self._table.query_entities(f"PartitionKey eq '{_KEYS}' and job gt @limit", parameters=limit)
        async for entity in keys:
            await self._table.delete_entity(entity)
        expired = 0
        jobs = self._table.query_entities(f"PartitionKey eq '{_JOBS}' and RowKey gt @limit", parameters=limit)
        async for entity in jobs:
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
            result: Mapping[str, Any] = json.loads(await download.readall())
        except ResourceNotFoundError:
            return None
        return result


_TIMES = ("created", "started", "heartbeat", "finished")
_TEXTS = ("kind", "actor", "state", "progress", "error")
_DOCUMENTS = ("arguments", "cursor")


def _entity(job: Job) -> dict[str, Any]:
    entity: dict[str, Any] = {"PartitionKey": _JOBS, "RowKey": job.id, "attempt": job.attempt}
    entity.update({name: getattr(job, name)[:_MAX_TEXT] for name in _TEXTS})
    entity.update({name: json.dumps(getattr(job, name)) for name in _DOCUMENTS})
    entity.update({name: value for name in _TIMES if (value := getattr(job, name)) is not None})
    return entity


def _job(entity: Mapping[str, Any]) -> Job:
    return Job(
        id=entity["RowKey"],
        attempt=entity["attempt"],
        **{name: entity[name] for name in _TEXTS},
        **{name: json.loads(entity[name]) for name in _DOCUMENTS},
        **{name: _plain(entity[name]) for name in _TIMES if name in entity},
    )


def _plain(moment: datetime) -> Any:
    """The time as the standard library has it: Table Storage's own type can't be encoded."""
    return datetime.combine(moment.date(), moment.time(), UTC)
