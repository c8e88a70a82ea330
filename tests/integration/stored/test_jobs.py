"""Jobs of other releases: carried out as they were asked for, or left as they are and shown."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables import UpdateMode

from local.azurite import StorageAccount
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.store import JobConflictError, JobEndedError, JobStore, job_of
from shared.jobs.worker import JobBusyError, JobWorker
from shared.stored_format import KeptAsIs
from tests.e2e.job_worker import AheadStore, open_store
from tests.integration.stored.captured import blobs, captured, content, plain


@pytest.fixture
async def store(storage: StorageAccount) -> AsyncIterator[AheadStore]:
    async with open_store(storage.connection_string) as opened:
        yield opened


class Runner:
    """Notes what it was asked to do."""

    def __init__(self) -> None:
        self.seen: list[Job] = []

    async def __call__(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        self.seen.append(job)
        progress.checkpoint({"after": "half"})
        return {"ran": True}


def worker(store: JobStore, runner: Runner) -> JobWorker:
    kinds = ("plan", "reconcile", "preview", "backfill", "replay")
    return JobWorker(store, dict.fromkeys(kinds, runner), retention=timedelta(days=90))


async def queued(store: JobStore, **changes: Any) -> str:
    """A queued job of this release, with members of its row as another release would have them."""
    job = await store.submit("reconcile", {"exports": ["soc"]}, "test", now=datetime.now(UTC))
    await change(store, job.id, **changes)
    return job.id


async def change(store: JobStore, job_id: str, *, without: tuple[str, ...] = (), **changes: Any) -> None:
    entity = dict(await store._table.get_entity("job", job_id))
    for name in without:
        entity.pop(name)
    await store._table.update_entity({**entity, **changes}, mode=UpdateMode.REPLACE)


async def row(store: JobStore, job_id: str) -> dict[str, Any]:
    return dict(await store._table.get_entity("job", job_id))


async def test_jobs_of_43a9e6c_are_read_and_carried_out(store: AheadStore) -> None:
    for entity in captured()["entities"]:
        if entity["table"] == "jobs":
            await store._table.upsert_entity(plain(entity))
    for blob in blobs("run-reports"):
        if blob["name"].startswith("jobs/"):
            await store._results.upload_blob(blob["name"], content(blob))
    ids = captured()["ids"]
    # On the day of the capture: a job that waits in the queue for longer than a day is dead.
    now = (await store.get(ids["queued"]))[0].created + timedelta(minutes=1)
    store.ahead = now - datetime.now(UTC)
    page = await store.page(now)
    assert {job.id: job.trouble for job in page.jobs} == dict.fromkeys(
        (ids["done"], ids["backfill"], ids["failed"], ids["queued"], ids["killed"]), ""
    )
    done = await store.settled(ids["done"], now)
    assert done.result is not None
    assert done.result["outcome"] == "Succeeded"
    runner = Runner()
    for message in captured()["messages"]:
        import base64

        job_id = job_of(base64.b64decode(message))
        if job_id != ids["killed"]:
            await worker(store, runner).run(job_id)
    assert [job.id for job in runner.seen] == [ids["queued"]]
    assert runner.seen[0].arguments == {"exports": ["soc"]}
    killed = (await store.get(ids["killed"]))[0]
    assert killed.heartbeat
    store.ahead = killed.heartbeat + timedelta(minutes=5) - datetime.now(UTC)
    await worker(store, runner).run(ids["killed"])
    assert runner.seen[-1].cursor["records"] == 3
    again = await store.submit("plan", {}, "key:10.0.0.1", now=now, key="key nightly-1", sent={"kind": "plan"})
    assert again.id == ids["done"]


UNKNOWN: tuple[dict[str, Any], ...] = (
    {"arguments": json.dumps({"planDigest": "sha256:abc", "dryRun": True})},
    {"arguments": json.dumps({"exports": "soc"})},
    {"arguments": json.dumps(["soc"])},
    {"arguments": json.dumps({"kind": "plan", "exports": []})},
    {"arguments": "{cut"},
    {"kind": "canary"},
    {"kind": ""},
    {"state": "paused"},
    {"state": "waiting-for-approval"},
    {"format": 2, "release": "2.1.0"},
    {"format": "new"},
    {"without": ("arguments",)},
    {"without": ("attempt",)},
    {"without": ("state",)},
    {"without": ("created",)},
    {"without": ("progress",)},
    {"attempt": "one"},
    {"created": "yesterday"},
    {"cursor": "null"},
)


@pytest.mark.parametrize("changes", UNKNOWN)
async def test_what_a_later_release_may_ask_is_left_as_it_is_and_shown(
    store: AheadStore, changes: dict[str, Any]
) -> None:
    job_id = await queued(store, **changes)
    before = await row(store, job_id)
    runner = Runner()
    await worker(store, runner).run(job_id)
    store.ahead = timedelta(days=2)  # nor is it said dead
    (listed,) = (await store.page(datetime.now(UTC) + timedelta(days=2))).jobs
    assert runner.seen == []
    assert await row(store, job_id) == before
    assert listed.trouble
    assert (await store.settled(job_id, datetime.now(UTC))).trouble == listed.trouble
    await store.expire(timedelta())
    assert await row(store, job_id) == before


@pytest.mark.parametrize(("stuck", "state"), [(0, "succeeded"), (4, "succeeded"), (5, "dead")])
async def test_one_is_given_up_after_five_attempts_that_got_no_further_however_many_did(
    store: AheadStore, stuck: int, state: str
) -> None:
    job = await queued(store, attempt=40, stuck=stuck)
    await worker(store, Runner()).run(job)
    done = (await store.get(job)).job
    assert done.state == state
    assert ("that got no further" in done.error) == (state == "dead")


async def test_one_that_waits_is_cancelled_at_once_and_never_runs(store: AheadStore) -> None:
    job = await queued(store)
    assert (await store.cancel(job, "alice")).state == "cancelled"
    assert (await store.cancel(job, "bob")).cancelled_by == "alice"
    runner = Runner()
    await worker(store, runner).run(job)
    found = (await store.get(job)).job
    assert (runner.seen, found.state, found.error) == ([], "cancelled", "Cancelled by alice; it had not begun.")


class Endless(Runner):
    """Has itself cancelled while it runs, and then works on, or ends at once."""

    def __init__(self, store: JobStore, *, ends: bool) -> None:
        super().__init__()
        self.store, self.ends, self.stopped = store, ends, False

    async def __call__(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        self.seen.append(job)
        assert (await self.store.cancel(job.id, "alice")).state == "running"
        if self.ends:
            return {"ran": True}
        progress.checkpoint({"after": "half"})  # a heartbeat, at once
        try:
            await asyncio.sleep(60)
        finally:
            self.stopped = True
        return {}


@pytest.mark.parametrize("ends", [False, True])
async def test_one_that_runs_is_stopped_at_its_next_heartbeat_unless_it_ended_first(
    store: AheadStore, ends: bool
) -> None:
    job = await queued(store)
    runner = Endless(store, ends=ends)
    await worker(store, runner).run(job)
    found = (await store.get(job)).job
    assert (runner.stopped, found.state) == ((False, "succeeded") if ends else (True, "cancelled"))
    assert (found.error == "Cancelled by alice; what it had done by then stays.") is not ends
    assert found.finished


async def test_one_whose_worker_is_gone_is_cancelled_by_whoever_comes_first(store: AheadStore) -> None:
    job = await queued(store, state="running", attempt=1)
    assert (await store.cancel(job, "alice")).state == "running"
    with pytest.raises(JobBusyError):
        await worker(store, Runner()).run(job)
    store.ahead = timedelta(minutes=5)
    await worker(store, Runner()).run(job)
    assert (await store.get(job)).job.state == "cancelled"
    orphan = await queued(store, state="running", attempt=1)
    store.ahead = timedelta(minutes=10)
    assert (await store.cancel(orphan, "alice")).state == "cancelled"


async def test_of_many_that_cancel_it_and_a_worker_that_takes_it_one_wins(store: AheadStore) -> None:
    for _ in range(3):
        job = await queued(store)
        runner = Runner()
        asked = [store.cancel(job, f"person {number}") for number in range(4)]
        said = await asyncio.gather(worker(store, runner).run(job), *asked, return_exceptions=True)
        assert all(each is None or isinstance(each, Job | JobEndedError | JobBusyError) for each in said), said
        found = (await store.get(job)).job
        assert found.state == ("succeeded" if runner.seen else "cancelled")
        assert found.final


@pytest.mark.parametrize("changes", [{"state": "succeeded"}, {"state": "dead"}, {"state": "paused"}, {"format": 2}])
async def test_nothing_is_changed_of_one_that_ended_or_is_of_another_release(
    store: AheadStore, changes: dict[str, Any]
) -> None:
    job = await queued(store, **changes)
    before = await row(store, job)
    with pytest.raises(JobEndedError):
        await store.cancel(job, "alice")
    assert await row(store, job) == before


async def test_one_that_waits_for_another_release_goes_round_and_is_not_lost(store: AheadStore) -> None:
    job_id = await queued(store, kind="canary")
    await store._queue.clear_messages()
    await worker(store, Runner()).run(job_id)
    assert (await store._queue.get_queue_properties()).approximate_message_count == 1
    await store._queue.clear_messages()
    store.ahead = timedelta(hours=25)
    await worker(store, Runner()).run(job_id)
    assert (await store._queue.get_queue_properties()).approximate_message_count == 0


async def test_unknown_members_are_carried(store: AheadStore) -> None:
    job_id = await queued(store, approvedBy="alice", colour=3)
    runner = Runner()
    await worker(store, runner).run(job_id)
    after = await row(store, job_id)
    assert (after["state"], after["approvedBy"], after["colour"]) == ("succeeded", "alice", 3)
    assert len(runner.seen) == 1


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"job": 5}', b'{"job": "x", "format": 2}', b"{cut"])
def test_a_message_of_another_shape_is_kept_by_the_queue(message: bytes) -> None:
    with pytest.raises(KeptAsIs):
        job_of(message)


async def test_an_idempotency_key_compares_what_was_sent(store: AheadStore) -> None:
    now = datetime.now(UTC)
    sent = {"kind": "plan", "exports": ["b", "a"]}
    first = await store.submit("plan", {"exports": ["a", "b"]}, "t", now=now, key="k", sent=sent)
    # Another release may have another normal form of the same request.
    again = await store.submit("plan", {"exports": ["b", "a"], "wave": 1}, "t", now=now, key="k", sent=sent)
    assert again.id == first.id
    with pytest.raises(JobConflictError):
        await store.submit("plan", {}, "t", now=now, key="k", sent={"kind": "plan"})


async def test_a_hosts_clock_ends_no_job_of_others(store: AheadStore) -> None:
    waiting = await queued(store)
    ended = await store.submit("plan", {}, "test", now=datetime.now(UTC))
    far = datetime.now(UTC) + timedelta(days=91)
    assert [job.state for job in (await store.page(far)).jobs] == ["queued", "queued"]
    assert (await store.settled(waiting, far)).state == "queued"
    runner = Runner()
    made = JobWorker(store, {"plan": runner}, retention=timedelta(days=90), now=lambda: far)
    await made.run(ended.id)
    assert {job.id for job in (await store.page(datetime.now(UTC))).jobs} == {waiting, ended.id}


def drawn(chance: random.Random) -> dict[str, Any]:
    name = chance.choice(["kind", "state", "arguments", "attempt", "cursor", "created", "progress", "format", "actor"])
    if name in {"kind", "state", "arguments"} or chance.random() < 0.6:
        word = chance.choice(["", "x", "{}x", "[1]", "nul", "canary", "paused"])
        return {name: word} if name not in {"progress", "actor"} else {name: 7}
    return {"without": (name,)} if name != "format" else {"format": chance.choice([2, 99, -1])}


async def draw(store: AheadStore, seeds: range) -> None:
    job_id = await queued(store)
    written = await row(store, job_id)
    for seed in seeds:
        await store._table.update_entity(written, mode=UpdateMode.REPLACE)
        changes = drawn(random.Random(seed))
        await change(store, job_id, **changes)
        before = await row(store, job_id)
        runner = Runner()
        await worker(store, runner).run(job_id)
        assert runner.seen == [], (seed, changes)
        assert await row(store, job_id) == before, (seed, changes)
        (listed,) = (await store.page(datetime.now(UTC))).jobs
        assert listed.trouble, (seed, changes)


async def test_of_a_few_that_are_drawn_none_is_run_or_changed(store: AheadStore) -> None:
    await draw(store, range(6))


@pytest.mark.soak
async def test_nothing_that_is_drawn_is_run_or_changed(store: AheadStore) -> None:
    await draw(store, range(6, 506))
