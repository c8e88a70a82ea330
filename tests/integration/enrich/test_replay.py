from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from isal import igzip

from shared.enrich.dead_letters.dead_letter_format import defective_event
from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from shared.enrich.records.model import Event
from tests.integration.enrich.conftest import ANY, MARK, START, Plant, assessments, names

NOW = LetterFilter(due_only=False)


async def spill(plant: Plant, numbers: range) -> None:
    """Dead letters of an outage that is over."""
    publishers = set(plant.azure.ingestion.publishers)
    plant.azure.ingestion.publishers.clear()
    await plant.pipeline.run(assessments(numbers))
    plant.azure.ingestion.publishers |= publishers


async def test_a_second_replay_finds_nothing_left(plant: Plant) -> None:
    await spill(plant, range(20))
    assert (await plant.pipeline.replay()).delivered == 20
    assert (await plant.pipeline.replay()).blobs == 0
    assert plant.stored() == names(range(20))
    assert await plant.letters() == []


async def test_two_replays_at_once_share_the_work(plant: Plant) -> None:
    for start in range(0, 60, 20):
        await spill(plant, range(start, start + 20))
    replays = await asyncio.gather(*(plant.rebuilt().replay() for _ in range(2)))
    await plant.pipeline.replay()
    assert sum(done.delivered for done in replays) == 60
    assert sorted(plant.stored()) == sorted(names(range(60)))
    assert await plant.letters() == []


async def test_a_replay_removes_only_what_was_accepted(plant: Plant) -> None:
    plant.azure.ingestion.publishers, allowed = set(), set(plant.azure.ingestion.publishers)
    await plant.pipeline.run(assessments(range(50), marked={7, 30}))
    plant.azure.ingestion.publishers = allowed
    plant.azure.ingestion.poison = MARK.encode()
    replay = await plant.pipeline.replay()
    assert (replay.delivered, replay.remaining) == (48, 2)
    assert sorted(plant.stored()) == sorted(names(set(range(50)) - {7, 30}))
    (blob,) = await plant.letters()
    assert (blob.reason, blob.letters, blob.replays, blob.outage) == ("refused", 2, 1, False)
    assert [letter.sequence for letter in await plant.lost()] == [7, 30]


async def test_a_letter_carries_all_that_happened_to_it(plant: Plant) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    await plant.pipeline.run(assessments([3], marked={3}))
    plant.time.move(3600)
    await plant.pipeline.replay(NOW)
    (letter,) = await plant.lost()
    assert (letter.partition, letter.sequence, letter.enqueued, letter.failed) == ("0", 3, START, START)
    assert (letter.table, letter.status, letter.code) == ("DefenderAssessments_CL", 400, "InvalidRequestContent")
    assert (letter.tries, letter.replays) == (2, 1)
    assert letter.record.endswith("/assessments/a3")
    assert MARK.encode() in bytes(letter.row)


async def test_refused_letters_wait_longer_each_time_and_are_parked_after_the_tenth_replay(plant: Plant) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    await plant.pipeline.run(assessments([1], marked={1}))
    waits = []
    for _ in range(9):
        assert (await plant.pipeline.replay()).parked == 0
        (blob,) = await plant.letters()
        assert (await plant.pipeline.replay()).blobs == 0
        waits.append((blob.due - plant.time.clock().now()).total_seconds() / 60)
        plant.time.move(waits[-1] * 60)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 360, 360]
    assert (await plant.pipeline.replay()).parked == 1
    (blob,) = await plant.letters()
    assert blob.parked
    plant.time.move(100 * 86400)
    assert (await plant.pipeline.replay()).blobs == 0


async def test_a_parked_letter_is_replayed_on_demand(plant: Plant) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    plant.pipeline = plant.rebuilt(dead_letter_park_after=1)
    await plant.pipeline.run(assessments([1], marked={1}))
    await plant.pipeline.replay()
    plant.azure.ingestion.poison = b""
    assert (await plant.pipeline.replay(NOW)).blobs == 0
    assert (await plant.pipeline.replay(replace(NOW, parked=True))).delivered == 1
    assert plant.stored() == ["a1"]


async def test_outages_never_park_a_letter(plant: Plant) -> None:
    plant.azure.ingestion.publishers, allowed = set(), set(plant.azure.ingestion.publishers)
    await plant.pipeline.run(assessments(range(5)))
    for _ in range(50):
        await plant.pipeline.replay()
        plant.time.move(1800)
    (blob,) = await plant.letters()
    assert (blob.parked, blob.replays, blob.outage) == (False, 0, True)
    plant.azure.ingestion.publishers = allowed
    await plant.pipeline.replay()
    assert plant.stored() == names(range(5))


async def test_an_outage_ends_a_replay_early(plant: Plant) -> None:
    plant.azure.ingestion.publishers.clear()
    for number in range(8):
        await plant.pipeline.run(assessments([number]))
    before = len(plant.azure.ingestion.requests)
    replay = await plant.pipeline.replay()
    assert replay.stopped == "outage: no-access"
    assert len(plant.azure.ingestion.requests) - before == 3
    assert len(await plant.letters()) == 8


@pytest.mark.parametrize(
    "contents",
    [b"{", igzip.compress(b'{"reason": 1}'), igzip.compress(b"\xff")[:-3]],
    ids=["no gzip", "no letter", "cut off"],
)
async def test_a_blob_that_holds_no_letters_is_left_alone_and_holds_up_no_other(plant: Plant, contents: bytes) -> None:
    await spill(plant, range(4))
    container = plant.clients.blobs.get_container_client(plant.settings.dead_letters_container)
    spoilt = {"letters": "many", "replays": "-1", "due": "soon"}
    await container.upload_blob("2020-01-01/by-hand/x.gz", contents, metadata=spoilt)
    replay = await plant.pipeline.replay(NOW)
    assert (replay.delivered, replay.unreadable, replay.remaining) == (4, 1, 0)
    (left,) = await plant.letters()
    assert (left.reason, left.letters, left.replays) == ("by-hand", 0, 0)


@pytest.mark.parametrize(
    ("choice", "delivered"),
    [
        (LetterFilter(reason="no-access"), 4),
        (LetterFilter(reason="refused"), 0),
        (LetterFilter(day=f"{START:%Y-%m-%d}"), 4),
        (LetterFilter(day="2020-01-01"), 0),
        (LetterFilter(names=frozenset({"nothing"})), 0),
    ],
)
async def test_a_replay_can_be_narrowed(plant: Plant, choice: LetterFilter, delivered: int) -> None:
    await spill(plant, range(4))
    assert (await plant.pipeline.replay(choice)).delivered == delivered


async def test_raw_events_go_the_whole_way_again(plant: Plant) -> None:
    events = assessments(range(3))
    letters = [defective_event(event, ValueError(), START) for event in events]
    await plant.pipeline.dead_letters.write([*letters, defective_event(Event(b"[", START), ValueError(), START)])
    replay = await plant.pipeline.replay()
    assert (replay.delivered, replay.remaining) == (3, 1)
    assert plant.stored() == names(range(3))
    assert [(letter.reason, letter.replays) for letter in await plant.lost()] == [("unreadable", 1)]


async def test_letters_of_one_invocation_are_kept_by_day_and_reason(plant: Plant) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    await plant.pipeline.run([*assessments(range(9), marked={2}), Event(b"[", START, "0", 9)])
    day = f"{START:%Y-%m-%d}"
    assert sorted((blob.day, blob.reason, blob.letters) for blob in await plant.letters(ANY)) == [
        (day, "refused", 1),
        (day, "unreadable", 1),
    ]
