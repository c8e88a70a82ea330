from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.oddities import Oddity
from shared.azure.blob_container import StoreError
from shared.enrich.invocation.freshness_notes import FreshnessNotes
from shared.enrich.invocation.pipeline import PART_BYTES
from shared.enrich.invocation.preparation import Work
from shared.enrich.records.model import Event
from tests.integration.enrich.conftest import MARK, START, Plant, assessments, names

BUSY = [
    {"kind": "throttle", "retry_after": 3},
    {"kind": "throttle_bare"},
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 502},
    {"kind": "error", "status": 503},
    {"kind": "timeout"},
    {"kind": "drop_before"},
]


async def test_every_record_of_a_batch_is_accepted(plant: Plant) -> None:
    summary = await plant.pipeline.run(assessments(range(1000)))
    assert sorted(plant.stored()) == sorted(names(range(1000)))
    assert (summary.requests, summary.accepted) == (1, {"DefenderAssessments_CL": 1000})
    assert await plant.letters() == []


@pytest.mark.parametrize("fault", BUSY, ids=lambda fault: "-".join(map(str, fault.values())))
async def test_a_service_in_trouble_is_asked_again(plant: Plant, fault: dict[str, Any]) -> None:
    plant.azure.ingestion.faults.add(times=3, **fault)
    summary = await plant.pipeline.run(assessments(range(10)))
    assert plant.stored() == names(range(10))
    assert summary.retries == 3
    assert await plant.letters() == []


NO_SUCCESSES = {
    "a page of a proxy": Oddity("", 204, 200, body=lambda _: "<html>Sign in</html>"),
    "an error in a 200": Oddity("", 204, 200, body=lambda _: {"error": {"code": "Busy", "message": "later"}}),
    "some of it": Oddity("", 204, 206),
    "of several parts": Oddity("", 204, 207, body=lambda _: {"responses": []}),
}


@pytest.mark.parametrize("name", NO_SUCCESSES)
async def test_a_2xx_that_says_no_success_accepts_nothing(plant: Plant, name: str) -> None:
    plant.azure.ingestion.oddities.append(NO_SUCCESSES[name])
    summary = await plant.pipeline.run(assessments(range(10)))
    assert not summary.accepted
    letters = await plant.lost()
    assert len(letters) == 10
    assert {(letter.reason, letter.outage) for letter in letters} == {("unavailable", True)}
    assert "Sign in" not in str(letters)


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("body", ["", "{}"])
async def test_a_success_of_the_documentation_accepts(plant: Plant, status: int, body: str) -> None:
    plant.azure.ingestion.oddities.append(Oddity("", 204, status, body=lambda _: body))
    summary = await plant.pipeline.run(assessments(range(10)))
    assert summary.accepted == {"DefenderAssessments_CL": 10}
    assert await plant.letters() == []


async def test_no_answer_is_waited_for_longer_than_the_upload_timeout(plant: Plant) -> None:
    plant.azure.ingestion.faults.add("hang", seconds=30, times=1)
    pipeline = plant.rebuilt(upload_timeout=timedelta(seconds=3))  # ample for an answer on a busy machine
    summary = await asyncio.wait_for(pipeline.run(assessments(range(10))), 20)
    assert plant.stored() == names(range(10))
    assert summary.retries == 1


async def test_an_answer_lost_after_the_body_was_stored_costs_a_duplicate_with_the_same_key(plant: Plant) -> None:
    plant.azure.ingestion.faults.add("drop_after", times=1)
    await plant.pipeline.run(assessments(range(10)))
    assert Counter(plant.stored()) == dict.fromkeys(names(range(10)), 2)
    assert len(plant.keys()) == 10


async def test_an_expired_token_is_replaced_by_a_new_one_once(plant: Plant) -> None:
    await plant.pipeline.run(assessments(range(1)))
    issued = len(plant.azure.identity.requests)
    plant.azure.ingestion.faults.add("expire_token", times=1)
    summary = await plant.pipeline.run(assessments(range(1, 10)))
    assert sorted(plant.stored()) == names(range(10))
    assert summary.requests == 2
    assert len(plant.azure.identity.requests) == issued + 1


async def test_a_tenants_revoked_tokens_are_all_replaced_with_one_request(plant: Plant) -> None:
    await plant.pipeline.run(assessments(range(1)))
    issued = len(plant.azure.identity.requests)
    plant.azure.ingestion.faults.add("expire_token", times=4)
    events = [event for number in range(1, 5) for event in assessments([number])]
    await asyncio.gather(*(plant.pipeline.run([event]) for event in events))
    assert sorted(plant.stored()) == names(range(5))
    assert len(plant.azure.identity.requests) == issued + 1


@pytest.mark.parametrize(("bad", "extra"), [({500}, 21), ({3, 250, 500, 750, 998}, 105)], ids=["one", "five"])
async def test_bad_rows_are_found_by_halving_and_cost_no_neighbour(plant: Plant, bad: set[int], extra: int) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    summary = await plant.pipeline.run(assessments(range(1000), marked=bad))
    assert sorted(plant.stored()) == sorted(names(set(range(1000)) - bad))
    assert summary.requests - 1 <= extra
    letters = await plant.lost()
    assert sorted(letter.sequence for letter in letters) == sorted(bad)
    assert {(letter.reason, letter.status, letter.outage) for letter in letters} == {("refused", 400, False)}


async def test_what_no_row_can_be_made_of_is_kept_as_it_came(plant: Plant) -> None:
    nonsense = b"\xff not json"
    summary = await plant.pipeline.run([*assessments(range(5)), Event(nonsense, START, "3", 77)])
    assert plant.stored() == names(range(5))
    assert summary.letters == {"unreadable": 1}
    (letter,) = await plant.lost()
    assert letter.raw_event == Event(nonsense, START, "3", 77)


async def test_a_batch_of_large_events_is_handled_in_parts_of_bounded_size(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    prepare = plant.pipeline._preparer.prepare

    async def noted(events: Sequence[Event], now: datetime) -> Work:
        sizes.append(sum(len(event.body) for event in events))
        return await prepare(events, now)

    monkeypatch.setattr(plant.pipeline._preparer, "prepare", noted)
    batch = assessments(range(80))
    large = [event._replace(body=event.body + b" " * (900_000 * (number % 2))) for number, event in enumerate(batch)]
    summary = await plant.pipeline.run([*large, Event(b"\xff", START, "3", 77)])
    assert sorted(plant.stored()) == sorted(names(range(80)))
    assert (summary.events, summary.letters) == (81, {"unreadable": 1})
    assert len(sizes) == 3
    assert max(sizes) <= PART_BYTES + 1_000_000
    assert sum(sizes) == sum(len(event.body) for event in large) + 1


async def test_a_record_with_a_value_too_long_is_kept_whole_beside_its_row(plant: Plant) -> None:
    (event,) = assessments([1])
    record = json.loads(event.body)
    record["properties"]["metadata"] = {"description": "long " * 20_000}
    event = event._replace(body=json.dumps(record).encode())
    summary = await plant.pipeline.run([event])
    assert summary.oversize == 1
    (row,) = json.loads(plant.azure.ingestion.stored[0].body)
    container = plant.clients.blobs.get_container_client(plant.settings.oversize_container)
    (name,) = [blob.name async for blob in container.list_blobs()]
    assert name.endswith(f"{row['RecordKey']}.json.gz")
    whole = await (await container.download_blob(name)).readall()
    assert gzip.decompress(whole) == event.body


async def test_two_records_of_one_key_that_are_too_long_are_both_kept_whole(plant: Plant) -> None:
    (event,) = assessments([1])
    bodies = []
    for text in ("first ", "second ", "first "):
        record = json.loads(event.body)
        record["properties"]["metadata"] = {"description": text * 20_000}
        bodies.append(json.dumps(record).encode())
    summary = await plant.pipeline.run([event._replace(body=body) for body in bodies])
    assert summary.oversize == 3
    keys = {row["RecordKey"] for row in json.loads(plant.azure.ingestion.stored[0].body)}
    assert len(keys) == 1  # the texts are no change of state
    container = plant.clients.blobs.get_container_client(plant.settings.oversize_container)
    names = [blob.name async for blob in container.list_blobs()]
    wholes = [gzip.decompress(await (await container.download_blob(name)).readall()) for name in names]
    assert sorted(wholes) == sorted(set(bodies))  # a repeat replaces its like, and no other


@pytest.mark.parametrize("status", [403, 404], ids=["no role", "no rule"])
async def test_an_outage_of_the_rule_is_asked_once_and_spilled_whole(plant: Plant, status: int) -> None:
    if status == 403:
        plant.azure.ingestion.publishers.clear()
        pipeline = plant.pipeline
    else:
        pipeline = plant.rebuilt(ingestion_rule_id="dcr-00000000000000000000000000000000")
    summary = await pipeline.run(assessments(range(1000)))
    assert summary.requests == 1
    letters = await plant.lost()
    assert sorted(letter.sequence for letter in letters) == list(range(1000))
    assert all(letter.outage for letter in letters)


async def test_ten_minutes_gone_then_thirty_forbidden_spills_everything_replays_it_and_parks_nothing(
    plant: Plant,
) -> None:
    ingestion = plant.azure.ingestion
    publishers = set(ingestion.publishers)
    gone = [{"kind": "drop_before"}]

    def weather() -> None:
        minutes = plant.time.seconds / 60
        ingestion.faults.configure({"rules": gone if minutes < 10 else []})
        ingestion.publishers = publishers if minutes >= 40 or minutes < 10 else set()

    plant.time.on_move.append(weather)
    weather()
    sent = 0
    while plant.time.seconds < 45 * 60:
        await plant.pipeline.run(assessments(range(sent, sent + 20)))
        sent += 20
        await plant.pipeline.replay()
        plant.time.move(60)
    for _ in range(10):
        plant.time.move(600)
        await plant.pipeline.replay()
    assert await plant.letters() == []
    assert sorted(plant.stored()) == sorted(names(range(sent)))


async def test_with_the_dead_letter_store_gone_too_the_batch_is_not_given_up(plant: Plant) -> None:
    publishers = set(plant.azure.ingestion.publishers)
    plant.azure.ingestion.publishers.clear()
    storeless = plant.rebuilt(dead_letters_container="not--a--container")
    with pytest.raises(StoreError):
        await storeless.run(assessments(range(10)))
    plant.azure.ingestion.publishers |= publishers
    await storeless.run(assessments(range(10)))
    assert plant.stored() == names(range(10))


async def test_a_container_that_the_deployment_makes_is_never_made_anew(plant: Plant) -> None:
    gone = plant.rebuilt(dead_letters_container="deleted-by-mistake")
    with pytest.raises(StoreError, match="ContainerNotFound"):
        await gone.replay()
    with pytest.raises(StoreError, match="ContainerNotFound"):
        await gone.run([Event(b"nonsense", START)])
    names = [one.name async for one in plant.clients.blobs.list_containers()]
    assert "deleted-by-mistake" not in names


async def test_no_upload_is_begun_after_the_deadline(plant: Plant) -> None:
    plant.azure.ingestion.faults.add("throttle_bare")
    summary = await plant.pipeline.run(assessments(range(10)))
    deadline = plant.settings.function_timeout.total_seconds() * plant.settings.delivery_deadline_percent / 100
    assert summary.seconds <= deadline
    assert {letter.reason for letter in await plant.lost()} == {"throttled"}


async def test_the_observer_hears_once_who_sent_what_and_how_much_was_uploaded(plant: Plant) -> None:
    heard: list[tuple[Any, Any, datetime]] = []

    async def observer(sightings: Any, uploads: Any, now: datetime) -> None:
        heard.append((dict(sightings), dict(uploads), now))

    plant.pipeline._notes = FreshnessNotes(observer, plant.time.clock())
    await plant.pipeline.run(assessments(range(7)))
    subscription = "11111111-1111-1111-1111-111111111111"
    today = START.astimezone(UTC).date()
    assert heard == [({(subscription, "Assessment", False): START}, {("DefenderAssessments_CL", today): 7}, START)]


async def test_what_a_cost_filter_leaves_out_has_arrived_all_the_same(plant: Plant) -> None:
    heard: list[Any] = []

    async def observer(sightings: Any, uploads: Any, now: datetime) -> None:
        heard.append(dict(sightings))

    everything = '[{"eventSource": "Assessments"}]'
    pipeline = plant.rebuilt(drop_records=everything)
    pipeline._notes = FreshnessNotes(observer, plant.time.clock())
    summary = await pipeline.run(assessments(range(7)))
    assert summary.dropped == {"Assessment": 7}
    assert plant.stored() == []
    assert heard == [{("11111111-1111-1111-1111-111111111111", "Assessment", False): START}]


async def test_an_observer_that_fails_holds_nothing_up(plant: Plant) -> None:
    async def observer(sightings: Any, uploads: Any, now: datetime) -> None:
        raise RuntimeError

    plant.pipeline._notes = FreshnessNotes(observer, plant.time.clock())
    await plant.pipeline.run(assessments(range(3)))
    assert plant.stored() == names(range(3))


async def test_an_observer_that_never_answers_costs_the_first_batch_a_second_and_later_ones_nothing(
    plant: Plant,
) -> None:
    async def observer(sightings: Any, uploads: Any, now: datetime) -> None:
        await asyncio.sleep(3600)

    plant.pipeline._notes = FreshnessNotes(observer, plant.time.clock())
    await plant.pipeline.run(assessments(range(3)))
    begun = time.monotonic()
    for start in range(3, 30, 3):
        await plant.pipeline.run(assessments(range(start, start + 3)))
    assert time.monotonic() - begun < 9 * 0.9, "a second for each would be nine"
    assert plant.stored() == names(range(30))


RUN = ("DefenderExportRuns_CL", [{"TimeGenerated": START, "RunId": "r1"}])


async def test_the_apps_own_rows_have_the_same_guarantees_through_a_rule_of_their_own(plant: Plant) -> None:
    own = plant.azure.ingestion.own
    publishers, own.publishers = own.publishers, set()
    await plant.pipeline.sink(*RUN)
    assert plant.azure.ingestion.stored == []
    await plant.pipeline.run(assessments(range(3)))  # the records' own rule lets them in all the while
    assert plant.stored() == names(range(3))
    plant.azure.ingestion.stored.clear()
    own.publishers = publishers
    await plant.pipeline.replay()
    (stored,) = plant.azure.ingestion.stored
    assert stored.stream == "Custom-DefenderExportRuns_CL"
    assert [row["RunId"] for row in json.loads(stored.body)] == ["r1"]
    rules = {request.path.split("/")[2] for request in plant.azure.ingestion.requests if "Runs_CL" in request.path}
    assert rules == {own.immutable_id}


async def test_without_a_rule_of_their_own_they_go_to_that_of_records(plant: Plant) -> None:
    """As a deployment has it whose resources are older than the code; the rule then has all streams."""
    ingestion = plant.azure.ingestion
    ingestion.records.tables = {**ingestion.records.tables, **ingestion.own.tables}
    pipeline = plant.rebuilt(own_ingestion_endpoint="", own_ingestion_rule_id="")
    await pipeline.sink(*RUN)
    (stored,) = ingestion.stored
    assert stored.stream == "Custom-DefenderExportRuns_CL"
    assert {request.path.split("/")[2] for request in ingestion.requests} == {ingestion.records.immutable_id}


@pytest.mark.parametrize("given", ["own_ingestion_endpoint", "own_ingestion_rule_id"])
async def test_half_a_rule_of_their_own_is_named_and_costs_no_record(plant: Plant, given: str) -> None:
    pipeline = plant.rebuilt(**{given: ""})
    await pipeline.sink(*RUN)
    await pipeline.run(assessments(range(3)))
    assert plant.stored() == names(range(3))
    (letter,) = await plant.lost()
    assert letter.table == RUN[0]


async def test_log_lines_carry_numbers_and_no_contents(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    plant.azure.ingestion.poison = MARK.encode()
    with caplog.at_level("DEBUG", "defender_export"):
        await plant.pipeline.run([*assessments(range(20), marked={4}), Event(b"secret nonsense", START)])
        await plant.pipeline.replay()
    lines = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("defender_export"))
    assert '"dead_letters":{"unreadable":1,"refused":1}' in lines
    for content in (MARK, "secret", "11111111-1111", "vm4"):
        assert content not in lines
