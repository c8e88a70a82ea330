"""RecordKey says which change of which record a row is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from local.records import generate
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.enrich.records.record_key import canonical_entities
from tests.unit.enrich.builders import ENQUEUED, NOW, alert, assessment, enrichment, finding, row
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import SUB, Golden
from tests.unit.enrich.golden.casings import CASINGS
from tests.unit.enrich.golden.paths import AS_EXPORTED

SCORE = {
    "type": "Microsoft.Security/secureScores",
    "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/secureScores/ascScore",
    "properties": {"score": {"max": 10, "current": 5.5, "percentage": 0.55}},
    **enrichment(),
}
STATUS = {"code": "Unhealthy", "statusChangeDate": "2026-11-10T09:00:00Z"}
FURTHER_EAST = timezone(timedelta(hours=14))


def key(record: Any, **changes: Any) -> str:
    return row(record, **changes).record_key


def path(**changes: Any) -> dict[str, Any]:
    return AS_EXPORTED.record | {"attackPath": AS_EXPORTED.record["attackPath"] | changes}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (alert(), "59cfe75e878b6bf190de8c3aa563110e"),
        (assessment(), "efddd4ee048c630da2b2c78330b604b0"),
        (finding({}), "90e61dad69641131087796e81fb0019d"),
        (SCORE, "0820f0045fccd213487dc546f2c3c3cc"),
        (SCORE | enrichment(snapshot=True), "2ae526e85e9f5f93802b788838926e9f"),
        (SCORE | enrichment("Backfill"), "4ceadcb0e346f5360dd76e17f8bdbbb9"),
        (path(), "3dfd511c65ce80f9fee445bed3bb2fb7"),
    ],
)
def test_a_key_is_the_same_in_every_release(record: Any, expected: str) -> None:
    """Rows from before and after an upgrade must collapse; a column more for one of the last kinds is a reason."""
    assert key(record) == expected


def test_a_key_is_128_bits_in_hexadecimal() -> None:
    assert re.fullmatch("[0-9a-f]{32}", key(alert()))


@pytest.mark.parametrize("record", [alert(), assessment(), finding({}), SCORE])
def test_where_and_when_an_event_arrived_says_nothing(record: Any) -> None:
    later = {"partition": "9", "sequence": 77, "enqueued": ENQUEUED + timedelta(minutes=10)}
    assert key(record) == key(record, **later)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_casing_and_order_of_names_say_nothing(golden: Golden) -> None:
    alike = [casing.record(golden.record) for casing in CASINGS] + [dict(reversed(golden.record.items()))]
    assert {key(record) for record in alike} == {key(golden.record)}


@pytest.mark.parametrize(
    ("record", "other"),
    [
        (alert(), alert(Status="Resolved")),
        (alert(), alert(ProcessingEndTime="2026-11-10T07:46:00Z")),
        (alert(), alert(SystemAlertId="other")),
        (assessment(status=STATUS), assessment(status=STATUS | {"code": "Healthy"})),
        (assessment(status=STATUS), assessment(status=STATUS | {"statusChangeDate": "2026-11-10T09:00:01Z"})),
        (assessment(), assessment() | enrichment("Delete") | {"assessmentEventDataEnrichment": None}),
        (assessment(), assessment() | enrichment(snapshot=True) | {"assessmentEventDataEnrichment": None}),
        (finding({}), finding({}, timeGenerated="2026-11-10T08:00:01Z")),
        (finding({}), finding({}, status={"code": "Healthy"})),
        (SCORE, SCORE | {"properties": {"score": {"max": 10, "current": 5.51, "percentage": 0.55}}}),
        (SCORE, SCORE | {"novelty": 1}),
        (SCORE | {"novelty": {"a": 1}}, SCORE | {"novelty": {"a": 2}}),
        (SCORE | {"novelty": 1}, SCORE | {"novelty": 1, "properties": {"score": {"max": 11}}}),
        (path(), path(riskFactors=["Data"])),
        (alert(ProcessingEndTime="2026-11-10T09:45:00+02:00"), alert(ProcessingEndTime="2026-11-10T09:46:00+02:00")),
    ],
)
def test_another_change_has_another_key(record: Any, other: Any) -> None:
    assert key(record) != key(other)


@pytest.mark.parametrize(
    ("record", "other"),
    [
        (alert(), alert(Description="reworded")),
        (assessment(status=STATUS), assessment(status=STATUS, displayName="reworded")),
        (finding({}), finding({"scanner": "newer"})),
    ],
)
def test_what_has_a_time_of_its_own_is_told_by_it(record: Any, other: Any) -> None:
    assert key(record) == key(other)


@pytest.mark.parametrize("record", [alert(), assessment(status=STATUS), finding({})])
def test_what_has_a_time_of_its_own_may_arrive_whenever(record: Any) -> None:
    assert key(record) == key(record, enqueued=ENQUEUED + timedelta(days=1))


def test_what_has_no_time_of_its_own_collapses_within_the_hour() -> None:
    assert key(SCORE) != key(SCORE, enqueued=ENQUEUED + timedelta(hours=1))


@pytest.mark.parametrize("record", [SCORE, finding({}) | enrichment(snapshot=True)])
def test_the_zone_in_which_the_time_of_arrival_is_told_says_nothing(record: Any) -> None:
    assert key(record) == key(record, enqueued=ENQUEUED.astimezone(FURTHER_EAST))


def test_the_zone_of_a_records_own_time_says_nothing() -> None:
    assert key(alert(ProcessingEndTime="2026-11-10T09:45:00+02:00")) == key(alert())


def test_a_record_without_a_state_has_a_key() -> None:
    assert key(alert(Status=None)) != key(alert())


@pytest.mark.parametrize("what", [enrichment(snapshot=True), enrichment("Backfill")])
def test_a_snapshots_and_a_backfills_key_carries_the_day(what: Any) -> None:
    record = finding({}) | what
    assert key(record) == key(record, enqueued=ENQUEUED - timedelta(hours=3))
    assert key(record) != key(record, enqueued=ENQUEUED + timedelta(days=7))


def several_keys() -> str:
    records = (SCORE, alert(), finding({}) | enrichment(snapshot=True))
    return "".join(key(record, enqueued=ENQUEUED.astimezone(FURTHER_EAST)) for record in records)


BEYOND = 123_456_789_012_345_678_901


def with_number(name: str, number: int) -> dict[str, Any]:
    """A record with a number in a column of JSON, or in an input that no column carries."""
    if name == "entities":
        return alert(Entities=[{"Type": "file", "Size": number}])
    if name == "risk factors":
        return assessment(risk={"riskFactors": [{"weight": number}]})
    return AS_EXPORTED.record | {"attackPath": AS_EXPORTED.record["attackPath"] | {name: {"id": "x", "n": number}}}


@pytest.mark.parametrize("name", ["entities", "risk factors", "entryPoint", "attackPathSteps"])
@pytest.mark.parametrize("beyond", [BEYOND, -BEYOND, 2**64])
def test_an_integer_beyond_64_bits_has_all_its_digits_in_the_key_and_in_the_row(name: str, beyond: int) -> None:
    one, other = with_number(name, beyond), with_number(name, beyond + 1)
    assert row(one).record_key != row(other).record_key
    assert row(one).record_key == row([one]).record_key, "whichever reader it came from"
    assert str(beyond).encode() in row(one).json


def test_keys_are_the_same_in_another_process() -> None:
    code = "from tests.unit.enrich.test_record_key import several_keys; print(several_keys(), end='')"
    zone = os.environ | {"TZ": "EAST-14"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=zone)
    assert other.stdout == several_keys()


def test_duplicates_in_a_stream_share_their_key_and_nothing_else_does() -> None:
    events = [event for event in generate(9, [SUB], 2000, duplicates=0.1) if event.fault != "bad"]
    parser = Parser()
    keys: dict[bytes, str] = {}
    for number, event in enumerate(events):
        enqueued = NOW.replace(minute=0) + timedelta(seconds=number)
        (made,) = parser.parse([Event(event.body, enqueued, str(number % 4), number)], NOW).rows
        assert keys.setdefault(event.body, made.record_key) == made.record_key
    assert len(set(keys.values())) == len(keys)


TEXTS = st.sampled_from(
    ["A", "b", "\u00c9t\u00e9", "\u03a3", "a\u03a3", "\n\u03a3", "\\N", '"', "\u0130", "1", "2", "\u2028", ""]
)
NAMES = ["$id", "$ref", "$type", "Host", "address", "Type", "\u00c9", "x"]
ENTITIES = st.recursive(
    st.one_of(TEXTS, TEXTS, st.none(), st.booleans(), st.integers(1, 2), st.just(1.5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)),
    max_leaves=12,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(st.lists(ENTITIES, max_size=4))
def test_entities_are_the_same_lowered_as_one_text_or_one_by_one(entities: list[Any]) -> None:
    one_by_one = canonical_entities(orjson.loads(orjson.dumps(entities)))
    assert canonical_entities(Raw(orjson.dumps(entities))) == one_by_one
    assert canonical_entities(Raw(json.dumps(entities).encode())) == one_by_one  # characters escaped


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        (
            [{"$id": "1", "Name": "VM"}, {"$id": "2", "Host": {"$ref": "1"}}],
            ['{"host":{"name":"vm"}}', '{"name":"vm"}'],
        ),
        ([{"$id": "7", "$type": "T", "A": None}], ["{}"]),
        ([{"A": "\u00c9"}], ['{"a":"\u00e9"}']),
        ([{"A": {"$id": "1", "B": "C"}}, {"$ref": "1"}], ['{"a":{"b":"c"}}', '{"b":"c"}']),
        ([{"A": {"$ref": "9"}, "$id": "1"}], ['{"a":{}}']),
    ],
)
def test_entities_lose_their_numbers_and_their_casing(entities: list[Any], expected: list[str]) -> None:
    assert canonical_entities(Raw(orjson.dumps(entities))) == canonical_entities(entities) == expected
