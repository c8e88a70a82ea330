"""Stored documents as a later release or an accident could leave them: nothing is deleted, nothing is stopped."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.data.tables.aio import TableServiceClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.watch.health_rows import as_far_as_readable
from shared.watch.hub_lag import misplaced
from shared.watch.last_arrival import Seen
from shared.watch.last_seen import LastSeen
from tests.integration.reconcile.world import World, world
from tests.integration.stored.captured import blobs, captured, content, plain
from tests.integration.stored.test_reconcile import changed

SIZE = 2
WORDS: tuple[Any, ...] = (None, 5, -1, "", "x", [], [1], {}, {"x": 1}, True, "2026-13-45", 1e400)


def drawn(text: bytes, chance: random.Random) -> bytes:
    """A JSON object altered in one of the ways in which releases and accidents differ."""
    way = chance.randrange(6)
    if way == 0:
        return text[: chance.randrange(len(text))]
    if way == 1:
        return chance.choice([b"", b"null", b"[]", b"5", b'"x"', b"\x00", b"{}"])
    document = json.loads(text)
    name = chance.choice(sorted(document))
    if way == 2:
        del document[name]
    elif way == 3:
        document[name] = chance.choice(WORDS)
    elif way == 4:
        document[f"{name}2"] = document.pop(name)
    else:
        document |= {"format": chance.choice([2, 99, "new", -1]), "release": "9.0.0"}
    return json.dumps(document).encode()


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    """Two exports in force, one of which was deleted since, and its automations still there."""
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        for name in ("a", "b"):
            await running.put(name)
        await running.apply()
        yield running


async def draw_store(here: World, seeds: range) -> None:
    """Alter the number, a tombstone and the baseline by turns."""
    await here.store.delete("b")
    reports = here.clients.blobs.get_container_client(here.settings.reports_container)
    places = (
        (here.store._container, "number.json"),
        (here.store._container, "deleted/b.json"),
        (reports, "latest.json"),
    )
    sound = {}
    for container, name in places:
        sound[name] = await (await container.download_blob(name)).readall()
    for seed in seeds:
        chance = random.Random(seed)
        container, name = places[seed % len(places)]
        for other, kept in places:
            await other.upload_blob(kept, sound[kept], overwrite=True)
        data = drawn(sound[name], chance)
        await container.upload_blob(name, data, overwrite=True)
        report = await here.plan()
        said = "; ".join([report.reason, *report.plan.guards, *(item.reason for item in report.plan.items)])
        deletes = report.counts["Deleted"]
        # What still says all that it has to may be followed; all else deletes nothing, and a reason is given.
        assert deletes in {0, SIZE}, (seed, data)
        if deletes == 0:
            assert said, (seed, data)
        else:
            assert _says_all(name, data), (seed, name, data)
    assert len(here.ours()) == 2 * SIZE


def _says_all(name: str, data: bytes) -> bool:
    document = json.loads(data)
    needed = {
        "number.json": ("number", int),
        "deleted/b.json": ("deleted", str),
        "latest.json": ("subscriptions", int),
    }[name]
    return document.get("format", 0) in {0, 1} and isinstance(document.get(needed[0]), needed[1])


async def test_what_a_run_reads_is_altered_and_nothing_is_deleted_by_it(here: World) -> None:
    await draw_store(here, range(12))


@pytest.mark.soak
async def test_what_a_run_reads_is_altered_in_any_way(here: World) -> None:
    await draw_store(here, range(12, 412))


async def draw_reports(here: World, seeds: range) -> None:
    report = await here.apply()
    reports = here.reconciler().reports
    sound = await (await reports._container.download_blob(report.name)).readall()
    for seed in seeds:
        data = drawn(sound, random.Random(seed))
        await reports._container.upload_blob(report.name, data, overwrite=True)
        found = await reports.read(report.run_id)
        assert found is not None
        assert isinstance(found["items"], list)
        assert isinstance(found["counts"], dict)
        datetime.fromisoformat(found["ended"])
        assert report.run_id in await reports.recent(here.clock.now(), limit=1000)
        assert changed(here, await here.plan()) == {}


async def test_a_report_is_altered_and_takes_no_list_with_it(here: World) -> None:
    await draw_reports(here, range(12))


@pytest.mark.soak
async def test_a_report_is_altered_in_any_way(here: World) -> None:
    await draw_reports(here, range(12, 312))


def freshness_answer() -> bytes:
    (blob,) = (blob for blob in blobs("run-reports") if blob["name"] == "freshness/latest.json")
    return content(blob)


def test_the_freshness_answer_of_43a9e6c_is_read_whole() -> None:
    kept = json.loads(freshness_answer())
    found = as_far_as_readable(freshness_answer())
    assert (found["health"], found["checked"], found["reasons"]) == (kept["health"], kept["checked"], kept["reasons"])


def test_a_freshness_answer_is_read_as_far_as_it_can_be() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        document = json.loads(freshness_answer())
        if document["health"] and chance.random() < 0.6:
            entry = chance.choice(document["health"])
            entry[chance.choice(sorted(entry))] = chance.choice(WORDS)
            data = json.dumps(document).encode()
        else:
            data = drawn(freshness_answer(), chance)
        found = as_far_as_readable(data)
        for each in found["health"]:
            assert isinstance(each["verdict"], str)
            assert {"subscription_id", "kind", "export", "reason", "since", "last_seen", "present", "name"} <= {*each}
        if len(found["health"]) < len(document["health"]):
            assert found["reasons"], (seed, data)


class TestLastSeen:
    KEY = ("11111111-1111-1111-1111-111111111111", "Alerts")

    @pytest.fixture
    async def table(self, storage: StorageAccount) -> AsyncIterator[Any]:
        async with TableServiceClient.from_connection_string(storage.connection_string) as tables:
            yield tables.get_table_client("freshness")

    async def test_rows_of_43a9e6c_are_read(self, table: Any) -> None:
        rows = [entity for entity in captured()["entities"] if entity["table"] == "freshness"]
        for entity in rows:
            await table.upsert_entity(plain(entity))
        seen = LastSeen(table, timedelta(minutes=15))
        found = await seen.read()
        assert (len(found) > 0, seen.unreadable) == (True, {})
        days = {row["PartitionKey"].removeprefix("uploaded-") for row in rows if "uploaded-" in row["PartitionKey"]}
        for day in days:
            assert await seen.uploaded(datetime.fromisoformat(day).date())

    @pytest.mark.parametrize("columns", [{"snapshot": "soon"}, {"expected": 5}, {"format": 2}, {"format": "x"}])
    async def test_one_row_that_cannot_be_read_stops_no_other(self, table: Any, columns: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        seen = LastSeen(table, timedelta(minutes=15))
        await seen.note({(*self.KEY, False): now, (self.KEY[0], "SecureScores", True): now}, {}, now)
        row = {"PartitionKey": self.KEY[0], "RowKey": self.KEY[1], **columns}
        await table.upsert_entity(row)
        found = await seen.read()
        assert set(found) == {(self.KEY[0], "SecureScores")}
        assert isinstance(found[self.KEY[0], "SecureScores"], Seen)
        assert set(seen.unreadable) == {self.KEY}

    async def test_a_sum_that_cannot_be_known_is_left_out(self, table: Any) -> None:
        day = datetime.now(UTC).date()
        seen = LastSeen(table, timedelta(minutes=15))
        for name, row in (
            ("A-1", {"table": "A", "rows": 5}),
            ("A-2", {"table": "A"}),
            ("B-1", {"table": "B", "rows": 7}),
        ):
            await table.upsert_entity({"PartitionKey": f"uploaded-{day.isoformat()}", "RowKey": name, **row})
        assert await seen.uploaded(day) == {"B": 7}


@pytest.mark.parametrize(
    ("last", "read", "troubled"),
    [(9, 9, False), (9, 0, False), (9, 10, True), (-1, 4, True), (-1, None, True), (9, None, True)],
)
def test_a_checkpoint_that_is_none_of_this_hub_is_named(last: int, read: int | None, troubled: bool) -> None:
    partition = {"is_empty": last < 0, "last_enqueued_sequence_number": last, "beginning_sequence_number": 0}
    assert bool(misplaced(partition, read)) == troubled
