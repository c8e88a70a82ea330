"""The notes of the audit trail in storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient

from local.azurite import StorageAccount
from shared.audit.deed import CANCEL, PUT, Deed
from shared.audit.trail import OPEN, SENT, Trail
from shared.exports.export_blobs import ExportConflict
from shared.exports.store import ExportStore
from shared.jobs.job_deeds import cancelling
from shared.jobs.store import JobEndedError
from tests.e2e.job_worker import open_store
from tests.integration.test_export_store import text


@pytest.fixture
async def service(storage: StorageAccount) -> AsyncIterator[BlobServiceClient]:
    async with BlobServiceClient.from_connection_string(storage.connection_string) as opened:
        yield opened


def trail_of(service: BlobServiceClient, container: str = "export-configs", **more: Any) -> Trail:
    return Trail(service.get_container_client(container), lambda _: None, **more)


def store_of(service: BlobServiceClient, trail: Trail) -> ExportStore:
    return ExportStore(service.get_container_client("export-configs"), trail)


async def names(service: BlobServiceClient, prefix: str) -> list[str]:
    return [
        name async for name in service.get_container_client("export-configs").list_blob_names(name_starts_with=prefix)
    ]


async def take_all(_: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    return range(len(rows))


async def test_what_can_not_be_noted_is_not_done(service: BlobServiceClient) -> None:
    noting, silent = store_of(service, trail_of(service)), store_of(service, trail_of(service, "not-there"))
    with pytest.raises(AzureError):
        await silent.put("one", text("one"), by="me")
    assert await noting.list() == []
    await noting.put("one", text("one"), by="me")
    for refused in (silent.delete("one", by="me"), silent.put("one", text("one", "Medium"), by="me")):
        with pytest.raises(AzureError):
            await refused
    with pytest.raises(AzureError):
        await silent.end("gone", by="me")
    assert await noting.get("one") == replace(await noting.get("one"), text=text("one").encode())
    assert (await noting.load_all()).deleted == {}
    assert [deed.deed for deed in await trail_of(service).deeds()] == [PUT]


async def test_what_is_refused_leaves_no_note(service: BlobServiceClient) -> None:
    trail = trail_of(service)
    store = store_of(service, trail)
    etag = await store.put("one", text("one"), by="me")
    await store.put("one", text("one", "Medium"), by="me", if_match=etag)
    for refused in (
        store.put("one", text("one"), by="me", if_match=etag),
        store.put("one", text("one"), by="me", if_none_match="*"),
        store.put("two", text("two"), by="me", if_match=etag),
        store.delete("one", by="me", if_match=etag),
    ):
        with pytest.raises(ExportConflict):
            await refused
    assert len(await trail.deeds()) == 2


async def test_a_refusal_part_way_is_judged_at_once(service: BlobServiceClient) -> None:
    """As where the answer to a write was lost, and its repetition refused."""

    async def yes(deed: Deed, others: Sequence[Deed]) -> bool:
        return True

    async def no(deed: Deed, others: Sequence[Deed]) -> bool:
        return False

    for done, witnesses in ((True, {PUT: yes}), (False, {PUT: no})):
        trail = Trail(service.get_container_client("export-configs"), witnesses.get)
        deed = Deed.now(PUT, f"done {done}", "me")
        with pytest.raises(ExportConflict):
            async with trail.doing(deed, (ExportConflict,)):
                raise ExportConflict("taken")
        assert [each.outcome for each in await trail.deeds(target=deed.target)] == ["Done"] * done


async def test_rows_that_are_not_accepted_stay_and_what_is_under_way_is_not_judged(service: BlobServiceClient) -> None:
    trail = trail_of(service)
    await trail.note(Deed.now(PUT, "a", "me"))
    await trail.note(Deed.now(PUT, "b", "me"))
    with pytest.raises(KeyError):
        async with trail.doing(Deed.now(PUT, "c", "me")):
            raise KeyError
    await service.get_container_client("export-configs").upload_blob(f"{OPEN}later.0.json", '{"format": 9}')

    async def take_one(_: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        assert [row["Target"] for row in rows] == ["a", "b"]
        return [1]

    sending = await trail.send(take_one, "prod")
    assert (sending.sent, sending.left, sending.unreadable) == (1, 2, 1)
    assert (len(await names(service, OPEN)), len(await names(service, SENT))) == (3, 1)
    later = trail_of(service, settle_after=timedelta(seconds=-60))
    sending = await later.send(take_all, "prod")
    assert (sending.sent, sending.left, sending.unreadable) == (2, 0, 1)
    assert [deed.outcome for deed in await later.deeds(target="c")] == ["Unknown"]


async def test_notes_that_were_sent_long_ago_are_forgotten_and_no_others(service: BlobServiceClient) -> None:
    later = datetime.now(UTC) + timedelta(days=91)

    async def in_three_months(_: Any) -> datetime:
        return later

    trail = trail_of(service)
    await trail.note(Deed.now(PUT, "sent", "me"))
    await trail.send(take_all, "prod")
    await trail.note(Deed.now(PUT, "open", "me"))
    assert await trail.expire(timedelta(days=90)) == 0
    assert await trail_of(service, now=in_three_months).expire(timedelta(days=90)) == 1
    assert [deed.target for deed in await trail.deeds()] == ["open"]


async def test_each_cancelled_job_is_a_deed_of_who_was_first_and_what_is_refused_none(
    service: BlobServiceClient, storage: StorageAccount
) -> None:
    async with open_store(storage.connection_string) as jobs:
        trail = Trail(
            service.get_container_client("export-configs"), lambda _: jobs.witness, settle_after=timedelta(seconds=-1)
        )
        jobs._trail = trail
        waiting = await jobs.submit("plan", {}, "someone", now=datetime.now(UTC))
        ended = await jobs.submit("plan", {}, "someone", now=datetime.now(UTC))
        stored = await jobs.get(ended.id)
        await jobs.save(replace(stored.job, state="failed"), stored.etag)
        await jobs.cancel(waiting.id, "entra:first")
        await jobs.cancel(waiting.id, "entra:second")
        with pytest.raises(JobEndedError):
            await jobs.cancel(ended.id, "entra:first")
        (deed,) = await trail.deeds()
        assert (deed.deed, deed.target, deed.actor, deed.outcome) == (
            CANCEL,
            f"job {waiting.id}",
            "entra:first",
            "Done",
        )

        # Cut off after its note: judged by who the job says cancelled it.
        for by in ("entra:second", "entra:first"):
            with pytest.raises(RuntimeError):
                async with trail.doing(cancelling(waiting, by)):
                    raise RuntimeError("cut off")
        assert (await trail.send(take_all, "here")).not_done == 1
        assert [each.actor for each in await trail.deeds()] == ["entra:first"]
