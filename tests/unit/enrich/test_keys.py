"""RecordKey says which change of which record a row is."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from local.records import generate
from shared.enrich.records import Event, Parser
from tests.unit.enrich.builders import ENQUEUED, NOW, alert, assessment, enrichment, finding, row
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import SUB, Golden
from tests.unit.enrich.golden.casings import CASINGS

SCORE = {
    "type": "Microsoft.Security/secureScores",
    "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/secureScores/ascScore",
    "properties": {"score": {"max": 10, "current": 5.5, "percentage": 0.55}},
    **enrichment(),
}
STATUS = {"code": "Unhealthy", "statusChangeDate": "2026-11-10T09:00:00Z"}


def key(record: Any, **changes: Any) -> str:
    return row(record, **changes).record_key


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


def test_what_has_no_time_of_its_own_collapses_within_the_hour() -> None:
    assert key(SCORE) != key(SCORE, enqueued=ENQUEUED + timedelta(hours=1))


@pytest.mark.parametrize("what", [enrichment(snapshot=True), enrichment("Backfill")])
def test_a_snapshots_and_a_backfills_key_carries_the_day(what: Any) -> None:
    record = finding({}) | what
    assert key(record) == key(record, enqueued=ENQUEUED - timedelta(hours=3))
    assert key(record) != key(record, enqueued=ENQUEUED + timedelta(days=7))


def test_keys_are_the_same_in_another_process() -> None:
    code = "from tests.unit.enrich.test_keys import key, SCORE, alert; print(key(SCORE) + key(alert()), end='')"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout == key(SCORE) + key(alert())


def test_duplicates_in_a_stream_share_their_key_and_nothing_else_does() -> None:
    events = [event for event in generate(9, [SUB], 2000, duplicates=0.1) if event.fault != "bad"]
    parser = Parser()
    keys: dict[bytes, str] = {}
    for number, event in enumerate(events):
        enqueued = NOW.replace(minute=0) + timedelta(seconds=number)
        (made,) = parser.parse([Event(event.body, enqueued, str(number % 4), number)], NOW).rows
        assert keys.setdefault(event.body, made.record_key) == made.record_key
    assert len(set(keys.values())) == len(keys)
