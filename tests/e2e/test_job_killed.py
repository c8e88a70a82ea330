"""A worker that is killed in a job: the job is picked up or said dead, never both."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.azurite import StorageAccount
from shared.jobs.heartbeat import Progress
from shared.jobs.model import DEAD_AFTER, STALE_AFTER, Job
from shared.jobs.worker import JobBusyError
from tests.e2e.job_worker import AheadStore, open_store, worker

STALE = STALE_AFTER.total_seconds() + 5
DEAD = DEAD_AFTER.total_seconds() + 5


@pytest.fixture
async def store(storage: StorageAccount) -> AsyncIterator[AheadStore]:
    async with open_store(storage.connection_string) as opened:
        yield opened


@pytest.fixture
async def orphan(store: AheadStore, storage: StorageAccount) -> str:
    """A job whose worker was killed in the middle of it."""
    job = await store.submit("plan", {}, "test", now=datetime.now(UTC))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.job_worker", storage.connection_string, job.id, "0", "forever"
    )
    while not (await store.get(job.id)).job.cursor:
        assert process.returncode is None
        await asyncio.sleep(0.1)
    process.kill()
    await process.wait()
    return job.id


class Runner:
    def __init__(self) -> None:
        self.seen: list[Job] = []

    async def __call__(self, job: Job, _: Progress) -> Mapping[str, Any]:
        self.seen.append(job)
        return {"attempt": job.attempt}


async def settled(store: AheadStore, job: str, ahead: float) -> Job:
    store.ahead = timedelta(seconds=ahead)
    return await store.settled(job, datetime.now(UTC) + timedelta(seconds=ahead))


async def test_its_job_still_counts_as_running_at_first(store: AheadStore, orphan: str) -> None:
    runner = Runner()
    with pytest.raises(JobBusyError):
        await worker(store, 0, runner).run(orphan)
    assert runner.seen == []
    assert (await settled(store, orphan, 0)).state == "running"


async def test_the_next_delivery_of_its_message_takes_it_over_where_it_stopped(store: AheadStore, orphan: str) -> None:
    runner = Runner()
    await worker(store, STALE, runner).run(orphan)
    (job,) = runner.seen
    assert (job.attempt, job.cursor) == (2, {"after": "half"})
    ended = await settled(store, orphan, STALE + DEAD)
    assert (ended.state, ended.result) == ("succeeded", {"attempt": 2})


async def test_said_dead_it_is_never_run_again(store: AheadStore, orphan: str) -> None:
    assert (await settled(store, orphan, DEAD)).state == "dead"
    runner = Runner()
    await worker(store, DEAD, runner).run(orphan)
    assert runner.seen == []
    assert [job.state for job in (await store.page(datetime.now(UTC))).jobs] == ["dead"]


async def test_the_list_says_it_dead_as_the_job_itself_does(store: AheadStore, orphan: str) -> None:
    later = datetime.now(UTC) + timedelta(seconds=DEAD)
    store.ahead = timedelta(seconds=DEAD)
    assert [job.state for job in (await store.page(later)).jobs] == ["dead"]
    assert (await settled(store, orphan, 0)).state == "dead"


async def test_of_a_reader_that_says_it_dead_and_a_worker_that_takes_it_one_wins(
    store: AheadStore, orphan: str
) -> None:
    for _ in range(10):
        job, etag = await store.get(orphan)
        await store.save(Job(**{**vars(job), "state": "running", "heartbeat": job.created, "attempt": 1}), etag)
        runner = Runner()
        said, _outcome = await asyncio.gather(
            settled(store, orphan, DEAD), worker(store, DEAD, runner).run(orphan), return_exceptions=True
        )
        assert isinstance(said, Job)
        final = await settled(store, orphan, DEAD)
        assert (said.state == "dead") == (final.state == "dead") == (not runner.seen)


async def test_two_workers_given_one_job_run_it_once(store: AheadStore) -> None:
    runner = Runner()
    job = await store.submit("plan", {}, "test", now=datetime.now(UTC))
    done = await asyncio.gather(*(worker(store, 0, runner).run(job.id) for _ in range(4)), return_exceptions=True)
    assert len(runner.seen) == 1
    assert all(each is None or isinstance(each, JobBusyError) for each in done)
