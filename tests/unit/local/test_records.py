"""The generator of exported records: seeded, lifelike, and as faulty as asked for."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import pytest

from local.records import KINDS, Event, generate

SUBSCRIPTIONS = [f"00000000-0000-4000-8000-{number:012}" for number in range(20)]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(generate(5, SUBSCRIPTIONS, 4000))


def test_the_same_seed_gives_the_same_bytes(events: list[Event]) -> None:
    assert list(generate(5, SUBSCRIPTIONS, 4000)) == events
    assert list(generate(6, SUBSCRIPTIONS, 50)) != events[:50]


def test_every_kind_occurs(events: list[Event]) -> None:
    assert set(Counter(event.kind for event in events)) == {*KINDS, "Bad"}


def test_sizes_are_lifelike(events: list[Event]) -> None:
    sizes = [len(event.body) for event in events if event.fault != "bad"]
    assert 1_500 < statistics.median(sizes) < 3_000
    assert 40_000 < max(sizes) < 70_000


def test_shares_of_faults_are_as_asked_for() -> None:
    faults = Counter(event.fault for event in generate(1, SUBSCRIPTIONS, 4000, duplicates=0.1, late=0.05, bad=0.02))
    assert 300 < faults["duplicate"] < 500
    assert 130 < faults["late"] < 270
    assert 40 < faults["bad"] < 120


def test_a_duplicate_is_an_earlier_event_byte_for_byte(events: list[Event]) -> None:
    seen: set[bytes] = set()
    for event in events:
        assert (event.body in seen) == (event.fault == "duplicate") or event.fault == "bad"
        seen.add(event.body)


def test_bodies_parse_unless_bad(events: list[Event]) -> None:
    for event in events:
        if event.fault != "bad":
            assert isinstance(json.loads(event.body), dict)


def test_both_casings_and_both_modes_occur(events: list[Event]) -> None:
    text = b"\n".join(event.body for event in events)
    for mark in (b'"$type"', b'"Properties"', b'"properties"', b'"isSnapshot":true', b'"isSnapshot":false', b'"$ref"'):
        assert mark in text


def test_only_the_given_subscriptions_occur() -> None:
    for event in generate(2, SUBSCRIPTIONS[:1], 200, bad=0):
        assert SUBSCRIPTIONS[0] in event.body.decode().lower() or event.kind == "AttackPath"
        assert SUBSCRIPTIONS[1] not in event.body.decode().lower()
