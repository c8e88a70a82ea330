"""Runs one queued job: claims it, has its heartbeat written, saves its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.audit.deed import working_from
from shared.jobs.heartbeat import Heartbeat, JobCancelledError, Progress
from shared.jobs.job_deeds import origin_of
from shared.jobs.model import MAX_ATTEMPTS, STALE_AFTER, Job, cancelled
from shared.jobs.store import JobChangedError, JobNotFoundError, JobStore, Stored

log = logging.getLogger(__name__)

Runner = Callable[[Job, "Progress"], Awaitable[Mapping[str, Any]]]


class JobBusyError(Exception):
    """Another worker has the job; the queue delivers its message again later."""


HANDED_BACK_FOR = timedelta(minutes=5)
HANDED_BACK_UNTIL = timedelta(hours=24)
WAITS_FOR = timedelta(seconds=30)


class UnfinishedError(Exception):
    """Raised by a runner that used up its time: the job is queued again and goes on from its cursor."""


class WaitingError(UnfinishedError):
    """Raised by a runner that has to wait for something else: the job is queued again, to go on after `WAITS_FOR`."""


class JobRefusedError(Exception):
    """Raised by a runner whose arguments can't be served; the message is for the caller and says what to do."""


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
        self._heartbeat = Heartbeat(store, now)
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
        with working_from(origin_of(claimed.job)):
            work = asyncio.ensure_future(self._runners[claimed.job.kind](claimed.job, progress))
        try:
            held = await self._heartbeat.beat_until_done(claimed, progress, work)
        except JobCancelledError as asked:
            held = asked.stored
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
        if job.cancelled_by:
            await self._try_save(cancelled(job, now), etag, job.attempt)
            return None
        if job.stuck >= MAX_ATTEMPTS:
            why = f"Given up after {job.stuck} attempts that got no further."
            given_up = replace(job, state="dead", finished=now, error=why)
            await self._try_save(given_up, etag, job.attempt)
            return None
        begun = replace(job, attempt=job.attempt + 1, stuck=job.stuck + 1, started=job.started or now)
        taken = replace(begun, state="running", heartbeat=now)
        try:
            return Stored(taken, await self._store.save(taken, etag))
        except JobChangedError:
            raise JobBusyError(job_id) from None

    async def _hand_back(self, job: Job) -> None:
        """Leave a job for another release: its message is queued again for a day, and not poison."""
        log.error("job %s is left as it is: %s", job.id, job.trouble or f"this worker has no runner for {job.kind}")
        age = await self._store.now() - job.created
        if job.state == "queued" and age < HANDED_BACK_UNTIL:
            await self._store.announce(job.id, after=HANDED_BACK_FOR)

    async def _finish(self, held: Stored, progress: Progress, work: asyncio.Future[Mapping[str, Any]]) -> None:
        now = self._now()
        attempt = held.job.attempt
        job = replace(held.job, progress=progress.message, cursor=progress.cursor, heartbeat=now)
        try:
            job = replace(job, state="succeeded", finished=now, result=work.result())
        except UnfinishedError as unfinished:
            # Not a failed attempt: it goes on where it stopped.
            again = replace(job, state="queued", attempt=attempt - 1, stuck=0)
            if await self._try_save(again, held.etag, attempt):
                waits = WAITS_FOR if isinstance(unfinished, WaitingError) else timedelta()
                await self._store.announce(job.id, after=waits)
            return
        except JobRefusedError as refusal:
            job = replace(job, state="failed", finished=now, error=str(refusal))
        except asyncio.CancelledError:
            if not job.cancelled_by:
                raise
            job = cancelled(job, now)
        except Exception as error:  # whatever a runner raises is the job's outcome
            log.exception("job %s failed", job.id)
            job = replace(job, state="failed", finished=now, error=f"{type(error).__name__}: see the log of this job.")
        await self._try_save(job, held.etag, attempt)
        log.info("job %s (%s) %s after %d attempts", job.id, job.kind, job.state, job.attempt)

    async def _try_save(self, job: Job, etag: str, attempt: int) -> bool:
        try:
            await self._heartbeat.save(job, etag, attempt)
        except JobChangedError:
            log.warning("job %s was settled by someone else", job.id)
            return False
        return True
