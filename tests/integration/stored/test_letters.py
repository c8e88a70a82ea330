"""Dead letters of other releases: read rightly, or left as they are and named."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from isal import igzip

from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from tests.integration.enrich.conftest import ANY, Plant, assessments, plant
from tests.integration.stored.captured import blobs, restore

__all__ = ["plant"]
NOW = LetterFilter(due_only=False)
Lines = list[dict[str, Any]]


async def contents(plant: Plant) -> dict[str, tuple[bytes, dict[str, str]]]:
    container = plant.clients.blobs.get_container_client(plant.settings.dead_letters_container)
    found = {}
    async for blob in container.list_blobs(include=["metadata"]):
        data = await (await container.download_blob(blob.name)).readall()
        found[blob.name] = (data, dict(blob.metadata or {}))
    return found


async def store(plant: Plant, name: str, data: bytes, metadata: dict[str, str]) -> None:
    client = plant.clients.blobs.get_blob_client(plant.settings.dead_letters_container, name)
    await client.upload_blob(data, metadata=metadata, overwrite=True)


async def spilt(plant: Plant, number: int = 5) -> tuple[str, Lines, dict[str, str]]:
    """One blob as this release writes it: its name, its lines and its metadata."""
    publishers = set(plant.azure.ingestion.publishers)
    plant.azure.ingestion.publishers.clear()
    await plant.pipeline.run(assessments(range(number)))
    plant.azure.ingestion.publishers |= publishers
    ((name, (data, metadata)),) = (await contents(plant)).items()
    return name, [json.loads(line) for line in gzip.decompress(data).splitlines()], metadata


def packed(lines: Lines) -> bytes:
    return igzip.compress(b"\n".join(json.dumps(line).encode() for line in lines))


async def test_letters_of_43a9e6c_are_delivered(plant: Plant) -> None:
    await restore(plant.clients, "dead-letters")
    listed = {blob.reason: (blob.letters, blob.trouble) for blob in await plant.letters()}
    assert listed == {"no-access": (10, ""), "refused": (1, ""), "unreadable": (2, "")}
    replay = await plant.pipeline.replay(NOW)
    assert (replay.delivered, replay.remaining, replay.unreadable) == (11, 2, 0)
    assert sorted(plant.stored()) == sorted([*(f"a{number}" for number in range(10)), "a21"])
    assert len(blobs("dead-letters")) == 3
    assert [letter.sequence for letter in await plant.lost()] == [30, 31]


def renamed(lines: Lines) -> None:
    lines[1]["payload"] = lines[1].pop("row")


def unknown_member(lines: Lines) -> None:
    lines[2]["place"] = "customer-a"


def newer(lines: Lines) -> None:
    lines[0]["format"] = 2


def no_number(lines: Lines) -> None:
    lines[0]["format"] = "one"


def header_member(lines: Lines) -> None:
    lines[0]["digest"] = "sha256:00"


def one_less(lines: Lines) -> None:
    lines.pop()


def one_more(lines: Lines) -> None:
    lines.append(lines[-1])


def empty(lines: Lines) -> None:
    lines.clear()


def header_only(lines: Lines) -> None:
    del lines[1:]


def unknown_target(lines: Lines) -> None:
    lines[1]["target"] = "archive"


def other_type(lines: Lines) -> None:
    lines[1]["sequence"] = "one"


def row_is_text(lines: Lines) -> None:
    lines[1]["row"] = "eNqrVkrLz1eyUkpKLFKqBQA"


def no_table(lines: Lines) -> None:
    lines[1].pop("table")


def empty_event(lines: Lines) -> None:
    lines[1].pop("row")
    lines[1] |= {"event": "", "sort": "event"}


def not_base64(lines: Lines) -> None:
    lines[1].pop("row")
    lines[1]["event"] = "%%%"


ALTERED: tuple[Callable[[Lines], None], ...] = (
    renamed, unknown_member, newer, no_number, header_member, one_less, one_more, empty, header_only, unknown_target,
    other_type, row_is_text, no_table, empty_event, not_base64,
)  # fmt: skip


async def assert_untouched(plant: Plant, name: str, data: bytes, metadata: dict[str, str]) -> None:
    before = len(plant.stored())
    replay = await plant.pipeline.replay(NOW)
    assert (replay.delivered, replay.unreadable + replay.refused) == (0, 1)
    assert len(plant.stored()) == before
    assert (await contents(plant))[name] == (data, metadata)


@pytest.mark.parametrize("alter", ALTERED)
async def test_what_a_later_release_may_write_is_left_as_it_is(plant: Plant, alter: Callable[[Lines], None]) -> None:
    name, lines, metadata = await spilt(plant)
    alter(lines)
    data = packed(lines)
    await store(plant, name, data, metadata)
    await assert_untouched(plant, name, data, metadata)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": "2", "release": "2.0.0"}, "run release 2.0.0"),
        ({"format": "soon"}, "no number"),
        ({"place": "customer-a"}, "place"),
        ({"letters": "500"}, ""),
        ({"letters": "many"}, "metadata"),
        ({"parked": "yes"}, "metadata"),
    ],
)
async def test_metadata_of_another_shape_are_not_guessed(plant: Plant, changed: dict[str, str], said: str) -> None:
    name, lines, metadata = await spilt(plant)
    data = packed(lines)
    await store(plant, name, data, {**metadata, **changed})
    (listed,) = await plant.letters()
    assert said in listed.trouble
    await assert_untouched(plant, name, data, {**metadata, **changed})


@pytest.mark.parametrize(
    "data",
    [b"", igzip.compress(b""), b"plain", igzip.compress(b"[1]")[:-3]],
    ids=["nothing", "no lines", "plain text", "cut"],
)
async def test_a_blob_that_is_cut_or_empty_is_kept(plant: Plant, data: bytes) -> None:
    name, _, metadata = await spilt(plant)
    await store(plant, name, data, metadata)
    await assert_untouched(plant, name, data, metadata)


async def test_one_such_blob_holds_up_no_other(plant: Plant) -> None:
    name, lines, metadata = await spilt(plant)
    await store(plant, f"{name[:-10]}x.ndjson.gz", packed(lines[:-1]), metadata)
    replay = await plant.pipeline.replay(NOW)
    assert (replay.delivered, replay.unreadable) == (5, 1)


async def test_a_letter_in_the_archive_tier_is_named_with_its_cure_and_sent_later(plant: Plant) -> None:
    name, _, _ = await spilt(plant)
    client = plant.clients.blobs.get_blob_client(plant.settings.dead_letters_container, name)
    await client.set_standard_blob_tier("Archive")
    (listed,) = await plant.letters()
    assert "rehydrate" in listed.trouble
    replay = await plant.pipeline.replay(NOW)
    assert (replay.delivered, replay.skipped, replay.unreadable) == (0, 0, 1)
    assert plant.stored() == []
    await client.set_standard_blob_tier("Hot")
    assert (await plant.pipeline.replay(NOW)).delivered == 5


async def test_a_lease_of_others_is_told_from_a_refusal(plant: Plant) -> None:
    name, _, _ = await spilt(plant)
    client = plant.clients.blobs.get_blob_client(plant.settings.dead_letters_container, name)
    lease = await client.acquire_lease(15)
    replay = await plant.pipeline.replay(NOW)
    assert (replay.skipped, replay.refused, replay.delivered) == (1, 0, 0)
    await lease.release()
    assert (await plant.pipeline.replay(NOW)).delivered == 5


async def test_a_replay_that_never_ends_is_parked(plant: Plant) -> None:
    await spilt(plant)

    async def killed(*_: Any) -> Any:
        raise KeyboardInterrupt

    letters = plant.rebuilt(dead_letter_park_after=3).dead_letters
    clock = plant.time.clock()
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            await letters.replay(killed, clock.deadline(60), NOW)
    (blob,) = [one async for one in letters.find(ANY)]
    assert (blob.begun, blob.parked, blob.letters) == (3, True, 5)


def drawn(lines: Lines, chance: random.Random) -> bytes:
    """A blob as some later release, or an accident, could leave it; always another one than this release's."""
    kind = chance.randrange(4)
    if kind == 0:
        line = chance.choice(lines)
        line[chance.choice(["sort", "payload", "digest", "event64z", "x"])] = chance.choice([1, "a", None, {}, [1]])
    elif kind == 1:
        line = chance.choice(lines[1:])
        line.pop(chance.choice(["reason", "enqueued", "failed", "row", "table"]))
    elif kind == 2:
        line = chance.choice(lines[1:])
        line[chance.choice(["reason", "enqueued", "failed", "row", "table", "sequence", "target"])] = chance.choice(
            [{"x": 1}["x"], "word", None, [1]]
        )
    else:
        data = packed(lines)
        return data[: chance.randrange(len(data) - 8)]
    return packed(lines)


async def draw(plant: Plant, seeds: range) -> None:
    name, lines, metadata = await spilt(plant)
    written = json.dumps(lines)
    container = plant.clients.blobs.get_container_client(plant.settings.dead_letters_container)
    for seed in seeds:
        data = drawn(json.loads(written), random.Random(seed))
        for other in await contents(plant):  # what the draw before moved under another reason
            await container.delete_blob(other)
        await store(plant, name, data, metadata)
        before = len(plant.stored())
        replay = await plant.pipeline.replay(NOW)
        assert len(plant.stored()) - before == replay.delivered, seed
        if replay.unreadable:
            assert (replay.delivered, (await contents(plant))[name][0]) == (0, data), seed
        else:
            # A word where a word is allowed (a reason, a table) is a letter like any other.
            assert replay.delivered + replay.remaining == 5, (seed, gzip.decompress(data))
            kept = [letter for one in await contents(plant) for letter in await plant.pipeline.dead_letters.read(one)]
            assert len(kept) == replay.remaining, seed


async def test_of_a_few_that_are_drawn_nothing_is_sent_or_deleted(plant: Plant) -> None:
    await draw(plant, range(4))


@pytest.mark.soak
async def test_nothing_that_is_drawn_is_sent_or_deleted(plant: Plant) -> None:
    await draw(plant, range(4, 504))
