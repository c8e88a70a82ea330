"""Runs one queued job: claims it, writes its heartbeat, saves its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.jobs.model import HEARTBEAT, MAX_ATTEMPTS, STALE_AFTER, Job
from shared.jobs.store import JobChangedError, JobNotFoundError, JobStore, Stored

log = logging.getLogger(__name__)

Runner = Callable[[Job, "Progress"], Awaitable[Mapping[str, Any]]]


class JobBusyError(Exception):
    """Another worker has the job; the queue delivers its message again later."""


HANDED_BACK_FOR = timedelta(minutes=5)
HANDED_BACK_UNTIL = timedelta(hours=24)


class UnfinishedError(Exception):
    """Raised by a runner that did not come to an end: the job is queued again, and goes on from its cursor `after`."""

    def __init__(self, after: timedelta = timedelta()) -> None:
        super().__init__()
        self.after = after


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
    """Carries jobs out with the runner of their kind, and forgets those that ended longer than `retention` ago."""

    def __init__(
        self,
        store: JobStore,
        runners: Mapping[str, Runner],
        *,
        retention: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._runners = runners
        self._retention = retention
        self._now = now

    async def run(self, job_id: str) -> None:
        """Carry out one job, unless it is finished already.

        A job that this release leaves as it is goes back into the queue for a worker of the release that it needs.

        Raises:
            JobBusyError: a live worker has it.
        """
        try:
            claimed = await self._claim(job_id)
        except JobNotFoundError:
            log.error("a message names a job that is not there: its row was lost or is expired; start it again")  # noqa: TRY400 # says all
            return
        if claimed is None:
            return
        progress = Progress(claimed.job)
        work = asyncio.ensure_future(self._runners[claimed.job.kind](claimed.job, progress))
        try:
            held = await self._beat(claimed, progress, work)
        except JobChangedError:
            log.warning("job %s was taken from this worker", job_id)
            return
        finally:  # also when the invocation itself is cut off: no work goes on after the invocation ended
            work.cancel()
            await asyncio.wait([work])
        await self._finish(held, progress, work)
        await self._store.expire(self._retention)

    async def _claim(self, job_id: str) -> Stored | None:
        job, etag = await self._store.get(job_id)
        if job.trouble or job.kind not in self._runners:
            await self._hand_back(job)
            return None
        now = await self._store.now()
        if job.final:
            return None
        if job.state == "running" and job.quiet_for(now) < STALE_AFTER:
            raise JobBusyError(job_id)
        if job.attempt >= MAX_ATTEMPTS:
            given_up = replace(job, state="dead", finished=now, error=f"Given up after {job.attempt} attempts.")
            await self._try_save(given_up, etag, job.attempt)
            return None
        taken = replace(job, state="running", attempt=job.attempt + 1, heartbeat=now, started=job.started or now)
        try:
            return Stored(taken, await self._store.save(taken, etag))
        except JobChangedError:
            raise JobBusyError(job_id) from None

    async def _hand_back(self, job: Job) -> None:
        """Leave a job for another release: while it waits, its message goes round for a day, and not to poison."""
        log.error("job %s is left as it is: %s", job.id, job.trouble or f"this worker has no runner for {job.kind}")
        age = await self._store.now() - job.created
        if job.state == "queued" and age < HANDED_BACK_UNTIL:
            await self._store.announce(job.id, after=HANDED_BACK_FOR)

    async def _beat(self, claimed: Stored, progress: Progress, work: asyncio.Future[Mapping[str, Any]]) -> Stored:
        from azure.core.exceptions import AzureError

        job, etag = claimed
        while not work.done():
            due = asyncio.ensure_future(progress.due.wait())
            watched: set[asyncio.Future[Any]] = {work, due}
            await asyncio.wait(watched, timeout=HEARTBEAT.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
            due.cancel()
            progress.due.clear()
            if work.done():
                break
            beat = replace(job, heartbeat=self._now(), progress=progress.message, cursor=progress.cursor)
            try:
                job, etag = beat, await self._save(beat, etag, job.attempt)
            except AzureError:
                log.warning("job %s: a heartbeat could not be written", job.id)
        return Stored(job, etag)

    async def _save(self, job: Job, etag: str, attempt: int) -> str:
        """Write a change of a job that this worker has as `attempt`, even if the answer to an earlier write was lost.

        Raises:
            JobChangedError: another worker has it now, or it was marked dead.
        """
        try:
            return await self._store.save(job, etag)
        except JobChangedError:
            stored, newest = await self._store.get(job.id)
            if (stored.state, stored.attempt) == ("running", attempt):
                return await self._store.save(job, newest)
            if (stored.state, stored.attempt) != (job.state, job.attempt):
                raise
            return newest

    async def _finish(self, held: Stored, progress: Progress, work: asyncio.Future[Mapping[str, Any]]) -> None:
        now = self._now()
        attempt = held.job.attempt
        job = replace(held.job, progress=progress.message, cursor=progress.cursor, heartbeat=now)
        try:
            job = replace(job, state="succeeded", finished=now, result=work.result())
        except UnfinishedError as unfinished:
            # Not a failed attempt: it goes on where it stopped.
            if await self._try_save(replace(job, state="queued", attempt=attempt - 1), held.etag, attempt):
                await self._store.announce(job.id, after=unfinished.after)
            return
        except JobRefusedError as refusal:
            job = replace(job, state="failed", finished=now, error=str(refusal))
        except Exception as error:  # whatever a runner raises is the job's outcome
            log.exception("job %s failed", job.id)
            job = replace(job, state="failed", finished=now, error=f"{type(error).__name__}: see the log of this job.")
        await self._try_save(job, held.etag, attempt)
        log.info("job %s (%s) %s after %d attempts", job.id, job.kind, job.state, job.attempt)

    async def _try_save(self, job: Job, etag: str, attempt: int) -> bool:
        try:
            await self._save(job, etag, attempt)
        except JobChangedError:
            log.warning("job %s was settled by someone else", job.id)
            return False
        return True
