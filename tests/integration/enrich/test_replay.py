from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest
from isal import igzip

from shared.enrich.dead_letters.dead_letter_format import Letter, defective_event
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


async def test_a_place_in_an_outage_is_left_for_the_next_replay_after_three_blobs(plant: Plant) -> None:
    plant.azure.ingestion.publishers.clear()
    for number in range(8):
        await plant.pipeline.run(assessments([number]))
    before = len(plant.azure.ingestion.requests)
    replay = await plant.pipeline.replay()
    assert (replay.stopped, replay.waiting) == ("", {"DefenderAssessments_CL": "no-access"})
    assert len(plant.azure.ingestion.requests) - before == 3
    assert len(await plant.letters()) == 8


async def test_letters_of_one_place_never_hold_up_another(plant: Plant) -> None:
    """Sixty blobs of a table whose stream is gone, older than one of a table that is well again."""
    rule = plant.azure.ingestion.records
    every, rule.tables = rule.tables, without(rule.tables, "Custom-DefenderAlerts_CL")
    for number in range(60):
        await plant.pipeline.dead_letters.write([letter_of("DefenderAlerts_CL", number)])
    plant.time.move(60)
    await spill(plant, range(1))
    replay = await plant.pipeline.replay()
    assert plant.stored() == ["a0"]
    assert replay.waiting == {"DefenderAlerts_CL": "not-found"}
    rule.tables = every
    plant.time.move(3600)
    assert (await plant.pipeline.replay()).delivered == 60


async def test_letters_for_an_output_hub_that_the_settings_no_longer_name_park_at_once(plant: Plant) -> None:
    bound = [msgspec.structs.replace(letter_of("DefenderAssessments_CL", number), target="hub") for number in range(5)]
    await plant.pipeline.dead_letters.write(bound)
    replay = await plant.pipeline.replay()
    assert (replay.parked, replay.waiting) == (5, {})
    (blob,) = await plant.letters()
    assert (blob.parked, blob.reason, blob.place) == (True, "no-output-hub", "hub")
    assert (await plant.pipeline.replay(NOW)).blobs == 0


async def test_a_batch_that_is_delivered_again_leaves_no_copies_of_its_letters(plant: Plant) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    batch = [*assessments(range(9), marked={2, 5}), Event(b"[", START, "0", 9), Event(b"", START, "0", 10)]
    for _ in range(5):
        await plant.pipeline.run(batch)
        plant.time.move(60)
    assert sorted((blob.reason, blob.letters) for blob in await plant.letters()) == [("refused", 2), ("unreadable", 2)]


async def test_letters_that_differ_are_never_taken_for_the_same(plant: Plant) -> None:
    one = letter_of("DefenderAlerts_CL", 1)
    others = [
        msgspec.structs.replace(one, row=msgspec.Raw(b'{"RecordKey":"other"}')),
        msgspec.structs.replace(one, target="hub"),
        msgspec.structs.replace(one, table="DefenderOther_CL"),
        msgspec.structs.replace(one, sequence=2),
        msgspec.structs.replace(one, partition="1"),
    ]
    for letter in [one, *others, one]:
        await plant.pipeline.dead_letters.write([letter])
    assert len(await plant.lost()) == 6


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (0, 2))])
async def test_any_letter_ends_delivered_or_parked_or_waits_for_its_own_place(plant: Plant, seed: int) -> None:
    """Letters of every sort, written and replayed in any order while each place fails and heals as it likes."""
    for story in range(seed, seed + 1 if seed else 20):
        await one_story(plant, random.Random(story), story * 10_000)


async def one_story(plant: Plant, chance: random.Random, first: int) -> None:
    rule = plant.azure.ingestion.records
    every, allowed = rule.tables, set(plant.azure.ingestion.publishers)
    lasting = chance.choice(["DefenderAlerts_CL", "DefenderSecureScores_CL"])
    written: dict[int, Letter] = {}
    plant.azure.ingestion.poison = POISON
    for _ in range(25):
        plant.azure.ingestion.publishers = set(allowed) if chance.random() < 0.8 else set()
        rule.tables = without(every, *(name for name in every if chance.random() > 0.7))
        letters = [any_letter(chance, first + len(written) + number) for number in range(chance.randrange(6))]
        written |= {letter.sequence: letter for letter in letters}
        await plant.pipeline.dead_letters.write(letters)
        choice = chance.choice(
            [None, None, NOW, LetterFilter(reason="refused", parked=None), replace(NOW, parked=True)]
        )
        await plant.pipeline.replay(choice)
        plant.time.move(chance.choice([60, 600, 7200]))
    plant.azure.ingestion.publishers = allowed
    rule.tables = without(every, f"Custom-{lasting}")
    for _ in range(15):
        await plant.pipeline.replay()
        plant.time.move(6 * 3600)
    rule.tables = every
    left = {
        letter.sequence: blob
        for blob in await plant.letters()
        for letter in await plant.pipeline.dead_letters.read(blob.name)
    }
    rows = [row for body in plant.azure.ingestion.stored for row in json.loads(body.body)]
    accepted = {row.get("Number") for row in rows} | {row.get("RecommendationId") for row in rows}
    for number, letter in written.items():
        delivered = bool({number, f"a{number}"} & accepted)
        if number not in left:
            assert delivered, letter
            continue
        blob = left[number]
        assert not delivered
        hopeless = blob.place in {"hub", "events"} or POISON in bytes(letter.row)
        assert blob.place == lasting or (blob.parked and hopeless), (blob, letter)
        assert blob.reason in {"no-output-hub", "unreadable", "refused", "not-found", "stream-refused"}
    await plant.pipeline.replay(replace(NOW, parked=None))


POISON = MARK.encode()


def without(tables: Mapping[str, str], *streams: str) -> dict[str, str]:
    return {stream: table for stream, table in tables.items() if stream not in streams}


def letter_of(table: str, number: int) -> Letter:
    row = json.dumps({"RecordKey": f"k{number}", "RecordId": f"r{number}", "Number": number}).encode()
    return Letter(
        reason="unavailable",
        outage=True,
        table=table,
        row=msgspec.Raw(row),
        partition="0",
        sequence=number,
        enqueued=START,
        failed=START,
    )


def any_letter(chance: random.Random, number: int) -> Letter:
    """A letter of any sort; about a fifth can never be delivered."""
    table = chance.choice(["DefenderAlerts_CL", "DefenderSecureScores_CL", "DefenderAssessments_CL"])
    letter = letter_of(table, number)
    sort = chance.choice(["row", "row", "row", "poison", "hub", "event", "unreadable", "empty"])
    if sort == "poison":
        return msgspec.structs.replace(letter, row=msgspec.Raw(bytes(letter.row).replace(b'"r', b'"POISON r')))
    if sort == "hub":
        return msgspec.structs.replace(letter, target="hub")
    body = {"event": assessments([number])[0].body, "unreadable": b"{]", "empty": b""}.get(sort)
    if body is None:
        return letter
    return defective_event(Event(body, START, "0", number), ValueError(), START)


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
