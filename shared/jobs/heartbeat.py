"""The heartbeat of a job: it keeps other workers away while the work goes on, and tells how far it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.jobs.model import Job
from shared.jobs.store import JobChangedError, JobStore, Stored

log = logging.getLogger(__name__)

INTERVAL = timedelta(seconds=20)


class JobCancelledError(Exception):
    """The end of a job that runs was asked for; `stored` is the job as it was read then."""

    def __init__(self, stored: Stored) -> None:
        super().__init__(stored.job.id)
        self.stored = stored


class Progress:
    """What a runner tells while it works; the worker writes it with each heartbeat."""

    def __init__(self, job: Job) -> None:
        self.message = job.progress
        self.cursor: Mapping[str, Any] = dict(job.cursor)
        self.due = asyncio.Event()

    def say(self, message: str) -> None:
        """Show `message` as the job's progress from the next heartbeat on."""
        self.message = message

    def checkpoint(self, cursor: Mapping[str, Any]) -> None:
        """Everything up to `cursor` is done; an interrupted job goes on from here."""
        self.cursor = dict(cursor)
        self.due.set()


class Heartbeat:
    """Writes a job's heartbeats into `store`, with the time of `now`."""

    def __init__(self, store: JobStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def beat_until_done(
        self, claimed: Stored, progress: Progress, work: asyncio.Future[Mapping[str, Any]]
    ) -> Stored:
        """Write a heartbeat each `INTERVAL` while `work` goes on, a checkpoint at once; gives the job as last written.

        Raises:
            JobCancelledError: its end was asked for.
            JobChangedError: another worker has it now, or it was marked dead.
        """
        from azure.core.exceptions import AzureError

        job, etag = claimed
        while not work.done():
            due = asyncio.ensure_future(progress.due.wait())
            watched: set[asyncio.Future[Any]] = {work, due}
            await asyncio.wait(watched, timeout=INTERVAL.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
            due.cancel()
            progress.due.clear()
            if work.done():
                break
            stuck = job.stuck if progress.cursor == job.cursor else 0
            beat = replace(job, heartbeat=self._now(), progress=progress.message, cursor=progress.cursor, stuck=stuck)
            try:
                job, etag = beat, await self.save(beat, etag, job.attempt)
            except AzureError:
                log.warning("job %s: a heartbeat could not be written", job.id)
        return Stored(job, etag)

    async def save(self, job: Job, etag: str, attempt: int) -> str:
        """Write a change of a job that this worker has as `attempt`, even if the answer to an earlier write was lost.

        Raises:
            JobCancelledError: it would go on, and its end was asked for.
            JobChangedError: another worker has it now, or it was marked dead.
        """
        try:
            return await self._store.save(job, etag)
        except JobChangedError:
            stored, newest = await self._store.get(job.id)
            if (stored.state, stored.attempt) == ("running", attempt):
                if job.state == "running" and stored.cancelled_by:
                    raise JobCancelledError(Stored(stored, newest)) from None
                return await self._store.save(job, newest)
            if (stored.state, stored.attempt) != (job.state, job.attempt):
                raise
            return newest
