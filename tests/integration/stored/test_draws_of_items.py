"""Each kind of stored thing, altered in one of the ways in which releases and accidents differ.

Nothing is deleted, lost, sent or done twice, and nothing else is stopped.  Letters, jobs, what a run reads and reports
have draws of their own beside these.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest
from azure.data.tables import UpdateMode

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.jobs.store import JobConflictError, job_of
from shared.reconcile.plan.model import WRITES
from shared.reconcile.plan.saved_plan import plan_as_dict, plan_from_dict
from shared.reconcile.report.run_report import Report
from shared.stored_format import KeptAsIs
from shared.watch.hub_lag import read_marks
from shared.watch.last_seen import LastSeen
from shared.web.problems import ApiError
from shared.web.request_parameters import after, continuation
from tests.e2e.job_worker import AheadStore, open_store
from tests.integration.reconcile.world import World, export, world
from tests.integration.stored.captured import captured, restore
from tests.integration.stored.test_draws import drawn

SIZE = 2
Draw = Callable[[World, random.Random], Awaitable[None]]
TAGS = ("managed-by", "defender-export-", "managed-by-")


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    """Two exports in force."""
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        for name in ("a", "b"):
            await running.put(name)
        await running.apply()
        yield running


def drawn_text(text: bytes, chance: random.Random) -> bytes:
    """A text with a member more or less, a word in another place, cut, or with rubbish."""
    way = chance.randrange(5)
    if way == 0:
        return text[: chance.randrange(len(text))]
    lines = text.splitlines(keepends=True)
    where = chance.randrange(len(lines))
    if way == 1:
        return b"".join([*lines, chance.choice([b"colour: red\n", b"version: 2\n", b"renamedFrom: b\n", b"- x\n"])])
    if way == 2:
        del lines[where]
    elif way == 3:
        name, colon, _ = lines[where].partition(b":")
        lines[where] = name + colon + chance.choice([b" later\n", b" 7\n", b" [1]\n", b" {x: 1}\n", b"\n"])
    else:
        return chance.choice([b"", b"\x00", b"[]", b"null\n", b"version: 1\n", b"\xff\xfe"])
    return b"".join(lines)


def drawn_texts(about: dict[str, str], chance: random.Random) -> dict[str, str]:
    """Metadata or tags with one name more, less, or saying something else."""
    changed = dict(about)
    name = chance.choice(sorted(about))
    way = chance.randrange(3)
    if way == 0:
        del changed[name]
    elif way == 1:
        changed[name] = chance.choice(["2", "99", "-1", "soon", "9:ffff", "somebody/else", ""]) or "x"
    else:
        changed[chance.choice(["colour", "format", "release"])] = chance.choice(["2", "9.0.0", "red"])
    return changed


def deletes_nothing(report: Report) -> None:
    assert report.counts["Deleted"] == 0
    assert report.outcome != "Failed"


async def draw_export_file(here: World, chance: random.Random) -> None:
    sound = export(here.tenant, "a").encode()
    data = drawn_text(sound, chance)
    await here.store._container.upload_blob("current/a.yaml", data, overwrite=True)
    if chance.random() < 0.5:
        with suppress(Exception):
            await here.store._container.delete_blob("accepted/a.yaml")
    report = await here.plan()
    deletes_nothing(report)
    loaded = await here.store.load_all()
    named = {problem.name for problem in loaded.problems}
    assert named == {"a"} or [one.config.name for one in loaded.exports] == ["a", "b"], data
    assert "b" in {one.name for one in loaded.exports}, data
    await here.put("a")


async def draw_accepted_file(here: World, chance: random.Random) -> None:
    blob = here.store._container.get_blob_client("accepted/a.yaml")
    about = dict((await blob.get_blob_properties()).metadata)
    data = drawn_text(export(here.tenant, "a").encode(), chance)
    await blob.upload_blob(data, metadata=drawn_texts(about, chance), overwrite=True)
    report = await here.plan()
    assert not report.plan.writes, (data, report.reason)
    await here.put("a")


async def draw_tags(here: World, chance: random.Random) -> None:
    document = chance.choice(list(here.ours().values()))
    sound = dict(document["tags"])
    ours = {name: value for name, value in sound.items() if name.startswith(TAGS)}
    document["tags"] = {**{k: v for k, v in sound.items() if k not in ours}, **drawn_texts(ours, chance)}
    here.tenant.set_automation(document)
    report = await here.plan()
    deletes_nothing(report)
    assert report.counts["Created"] == 0
    touched = {item.id.key for item in report.plan.items if item.action in WRITES}
    assert touched <= {tuple(part.lower() for part in _key(document["id"]))}, document["tags"]
    document["tags"] = sound
    here.tenant.set_automation(document)
    assert not (await here.plan()).plan.writes


def _key(automation_id: str) -> tuple[str, str, str]:
    parts = automation_id.strip("/").split("/")
    return parts[1], parts[3], parts[7]


async def draw_lease(here: World, chance: random.Random) -> None:
    reports = here.clients.blobs.get_container_client(here.settings.reports_container)
    blob = reports.get_blob_client("reconcile.lock")
    about = dict((await blob.get_blob_properties()).metadata)
    await blob.upload_blob(chance.choice([b"", b"{", b"held"]), metadata=drawn_texts(about, chance), overwrite=True)
    assert (await here.apply()).outcome == "Succeeded"


async def draw_plan(here: World, chance: random.Random) -> None:
    await here.put("c")
    sound = json.dumps(plan_as_dict((await here.plan()).plan, "test")).encode()
    await here.store.delete("c")
    await here.store._container.delete_blob("deleted/c.json")
    data = drawn(sound, chance)
    try:
        read = plan_from_dict(json.loads(data), "test")
    except ValueError:
        return
    assert [item.id for item in read.writes] == [item.id for item in plan_from_dict(json.loads(sound), "test").writes]


async def draw_token(here: World, chance: random.Random) -> None:
    del here
    place = "https://app/api/runs"
    sound = continuation(func.HttpRequest("GET", place, body=b""), "25").encode()
    text = bytearray(chance.choice([sound, *(token.encode() for token in captured()["tokens"].values())]))
    for _ in range(chance.randrange(3)):
        text[chance.randrange(len(text))] = chance.randrange(33, 126)
    if chance.random() < 0.5:
        text = text[: chance.randrange(1, len(text) + 1)]
    token = bytes(text).decode()
    request = func.HttpRequest("GET", place, params={"continuation": token}, body=b"")
    try:
        found = after(request, "[0-9]+")
    except ApiError:
        pass
    else:
        assert found.isdecimal()


async def draw_checkpoint(here: World, chance: random.Random) -> None:
    container = here.clients.blobs.get_container_client("azure-webjobs-eventhub")
    with suppress(Exception):
        await container.create_container()
    for partition in ("0", "1"):
        about = {"offset": "1476", "sequencenumber": "4", "clientidentifier": "x"}
        changed = drawn_texts(about, chance) if partition == "0" else about
        await container.upload_blob(f"ns/hub/$default/checkpoint/{partition}", b"", metadata=changed, overwrite=True)
    marks = await read_marks(container, "/hub/$default/checkpoint/")
    assert marks["1"] == 4
    assert marks.get("0") is None or isinstance(marks["0"], int)


async def _jobs(here: World) -> AsyncIterator[AheadStore]:
    async with open_store(here.settings.storage_connection) as store:
        yield store


async def draw_job_result(here: World, chance: random.Random) -> None:
    async for store in _jobs(here):
        now = datetime.now(UTC)
        job = await store.submit("plan", {}, "t", now=now)
        stored = await store.get(job.id)
        sound = json.dumps({"format": 1, "release": "1.0.0", "outcome": "Succeeded"}).encode()
        entity = dict(await store._table.get_entity("job", job.id))
        await store._table.update_entity({**entity, "state": "succeeded"}, mode=UpdateMode.REPLACE)
        await store._results.upload_blob(f"jobs/{job.id}.json", drawn(sound, chance), overwrite=True)
        settled = await store.settled(job.id, now)
        assert settled.trouble or isinstance(settled.result, dict)
        assert job.id in {one.id for one in (await store.page(now)).jobs}
        assert stored.job.id == settled.id


async def draw_idempotency_key(here: World, chance: random.Random) -> None:
    async for store in _jobs(here):
        now = datetime.now(UTC)
        key = f"key {chance.random()}"
        first = await store.submit("plan", {}, "t", now=now, key=key, sent={"kind": "plan"})
        (row,) = [
            dict(entity)
            async for entity in store._table.query_entities("PartitionKey eq 'idempotency'")
            if entity.get("job") == first.id
        ]
        name = chance.choice(["asked", "job", "format", "release", "created", "colour"])
        if chance.random() < 0.3:
            row.pop(name, None)
        else:
            row[name] = chance.choice([7, "later", "", True])
        await store._table.update_entity(row, mode=UpdateMode.REPLACE)
        before = len([one async for one in store._table.query_entities("PartitionKey eq 'job'")])
        try:
            again = await store.submit("plan", {}, "t", now=now, key=key, sent={"kind": "plan"})
        except JobConflictError:
            assert name in {"asked", "job", "format"}, row
        else:
            assert again.id == first.id
        assert len([one async for one in store._table.query_entities("PartitionKey eq 'job'")]) == before
        await store._table.delete_entity("job", first.id)


async def draw_quota(here: World, chance: random.Random) -> None:
    async for store in _jobs(here):
        await store.submit("plan", {}, "t", now=datetime.now(UTC))
        row = dict(await store._table.get_entity("quota", "jobs"))
        name = chance.choice(["holders", "format", "release", "colour"])
        words = [7, "later", "", True, "[]", '{"a": 1}', '{"a": "0001-01-01T00:00:00+14:00"}', "[" * 20_000]
        drawn_row = {key: value for key, value in row.items() if key != name}
        if chance.random() < 0.7:
            drawn_row[name] = chance.choice(words)
        await store._table.update_entity(drawn_row, mode=UpdateMode.REPLACE)
        job = await store.submit("plan", {}, "t", now=datetime.now(UTC))
        assert (await store.get(job.id)).job.state == "queued"
        left = dict(await store._table.get_entity("quota", "jobs"))
        kept = name == "format" and drawn_row.get("format", 0) not in {0, 1}
        assert (left == drawn_row) if kept else (job.id in left["holders"])
        await store._table.delete_entity("quota", "jobs")


async def draw_job_message(_: World, chance: random.Random) -> None:
    job_id = "8204276311957-dcde9b67"
    sound = json.dumps({"job": job_id, "format": 1, "release": "1.0.0"}).encode()
    data = drawn(sound, chance)
    try:
        found = job_of(data)
    except KeptAsIs:
        return
    assert found == job_id or found in {"", "x", "2026-13-45"}, data  # a word where the id stood names no job


async def draw_last_seen(here: World, chance: random.Random) -> None:
    table = here.clients.tables.get_table_client(here.settings.freshness_table)
    now = datetime.now(UTC)
    seen = LastSeen(table, timedelta(minutes=15))
    subscription = "11111111-1111-1111-1111-111111111111"
    await seen.note({(subscription, kind, False): now for kind in ("Alerts", "SecureScores")}, {}, now)
    row = dict(await table.get_entity(subscription, "Alerts"))
    name = chance.choice(["streaming", "snapshot", "expected", "format", "release", "colour", "idle", "withdrawn"])
    if chance.random() < 0.3:
        row.pop(name, None)
    else:
        row[name] = chance.choice([5, "soon", 2, True, "", -1])
    await table.upsert_entity(row, mode=UpdateMode.REPLACE)
    found = await seen.read()
    assert (subscription, "SecureScores") in found
    key = (subscription, "Alerts")
    assert (key in found) != (key in seen.unreadable), row
    await table.delete_entity(subscription, "Alerts")


def test_tokens_of_43a9e6c_are_refused_by_name() -> None:
    for token in captured()["tokens"].values():
        request = func.HttpRequest("GET", "https://app/api/runs", params={"continuation": token}, body=b"")
        with pytest.raises(ApiError, match="start without one"):
            after(request, ".*")


async def test_checkpoints_of_43a9e6c_are_read(here: World) -> None:
    container = here.clients.blobs.get_container_client("azure-webjobs-eventhub")
    await container.create_container()
    await restore(here.clients, "azure-webjobs-eventhub")
    marks = await read_marks(container, "/defender-export/$default/checkpoint/")
    assert marks == {"0": 4, "1": 4}


DRAWS: dict[str, Draw] = {
    "export file": draw_export_file,
    "accepted file": draw_accepted_file,
    "tags": draw_tags,
    "run lease": draw_lease,
    "saved plan": draw_plan,
    "continuation token": draw_token,
    "checkpoint": draw_checkpoint,
    "job result": draw_job_result,
    "idempotency key": draw_idempotency_key,
    "quota": draw_quota,
    "job message": draw_job_message,
    "last seen": draw_last_seen,
}


@pytest.mark.parametrize("kind", DRAWS)
async def test_one_draw_of_each_kind(here: World, kind: str) -> None:
    await DRAWS[kind](here, random.Random(1))


@pytest.mark.soak
@pytest.mark.parametrize("kind", DRAWS)
async def test_forty_draws_of_each_kind(here: World, kind: str) -> None:
    for seed in range(2, 42):
        try:
            await DRAWS[kind](here, random.Random(seed))
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
