"""Runs one queued job: claims it, keeps its heart beating, writes what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.jobs.model import HEARTBEAT, MAX_ATTEMPTS, STALE_AFTER, Job
from shared.jobs.store import JobChangedError, JobNotFoundError, JobStore, Stored

log = logging.getLogger(__name__)

Runner = Callable[[Job, "Progress"], Awaitable[Mapping[str, Any]]]


class JobBusyError(Exception):
    """Another worker has the job; the queue delivers its message again later."""


class UnfinishedError(Exception):
    """Raised by a runner that used up its time: the job is queued again and goes on from its cursor."""


class JobRefusedError(Exception):
    """Raised by a runner whose arguments can't be served; the message is for the caller and says what to do."""


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


class JobWorker:
    """Carries jobs out with the runner of their kind."""

    def __init__(
        self, store: JobStore, runners: Mapping[str, Runner], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._runners = runners
        self._now = now

    async def run(self, job_id: str) -> None:
        """Carry out one job, unless it is finished already.

        Raises:
            JobBusyError: a live worker has it.
        """
        try:
            claimed = await self._claim(job_id)
        except JobNotFoundError:
            log.warning("job %s is unknown; its message is dropped", job_id)
            return
        if claimed is None:
            return
        progress = Progress(claimed.job)
        work = asyncio.ensure_future(self._runners[claimed.job.kind](claimed.job, progress))
        try:
            held = await self._beat(claimed, progress, work)
        except JobChangedError:
            work.cancel()
            log.warning("job %s was taken from this worker", job_id)
            return
        await self._finish(held, progress, work)

    async def _claim(self, job_id: str) -> Stored | None:
        job, etag = await self._store.get(job_id)
        now = self._now()
        if job.final:
            return None
        if job.state == "running" and job.quiet_for(now) < STALE_AFTER:
            raise JobBusyError(job_id)
        if job.attempt >= MAX_ATTEMPTS:
            given_up = replace(job, state="dead", finished=now, error=f"Given up after {job.attempt} attempts.")
            await self._try_save(given_up, etag)
            return None
        taken = replace(job, state="running", attempt=job.attempt + 1, heartbeat=now, started=job.started or now)
        try:
            return Stored(taken, await self._store.save(taken, etag))
        except JobChangedError:
            raise JobBusyError(job_id) from None

    async def _beat(self, claimed: Stored, progress: Progress, work: asyncio.Future[Mapping[str, Any]]) -> Stored:
        job, etag = claimed
        while not work.done():
            due = asyncio.ensure_future(progress.due.wait())
            watched: set[asyncio.Future[Any]] = {work, due}
            await asyncio.wait(watched, timeout=HEARTBEAT.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
            due.cancel()
            progress.due.clear()
            if not work.done():
                job = replace(job, heartbeat=self._now(), progress=progress.message, cursor=progress.cursor)
                etag = await self._store.save(job, etag)
        return Stored(job, etag)

    async def _finish(self, held: Stored, progress: Progress, work: asyncio.Future[Mapping[str, Any]]) -> None:
        now = self._now()
        job = replace(held.job, progress=progress.message, cursor=progress.cursor, heartbeat=now)
        try:
            job = replace(job, state="succeeded", finished=now, result=work.result())
        except UnfinishedError:
            # Not a failed attempt: it goes on where it stopped.
            await self._try_save(replace(job, state="queued", attempt=max(job.attempt - 1, 0)), held.etag)
            await self._store.announce(job.id)
            return
        except JobRefusedError as refusal:
            job = replace(job, state="failed", finished=now, error=str(refusal))
        except Exception as error:  # whatever a runner raises is the job's outcome
            log.exception("job %s failed", job.id)
            job = replace(job, state="failed", finished=now, error=f"{type(error).__name__}: see the log of this job.")
        await self._try_save(job, held.etag)
        log.info("job %s (%s) %s after %d attempts", job.id, job.kind, job.state, job.attempt)

    async def _try_save(self, job: Job, etag: str) -> None:
        try:
            await self._store.save(job, etag)
        except JobChangedError:
            log.warning("job %s was settled by someone else", job.id)
