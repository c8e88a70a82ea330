"""Noting what arrived: few writes, whatever the traffic."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.exports.event_sources import KINDS
from shared.watch.last_arrival import Seen
from shared.watch.last_seen import LastSeen
from tests.unit.watch.builders import sub

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)
ONE, TWO = sub(1).id, sub(2).id


class Table:
    """Entities in memory, with Table Storage's merge; counts each entity written."""

    def __init__(self) -> None:
        self.entities: dict[tuple[str, str], dict[str, Any]] = {}
        self.partitions: dict[str, dict[str, dict[str, Any]]] = {}
        self.writes: Counter[tuple[str, str]] = Counter()
        self.transactions = 0
        self.broken = False

    async def submit_transaction(self, operations: Sequence[tuple[str, dict[str, Any], dict[str, str]]]) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise ConnectionError
        assert len({entity["PartitionKey"] for _, entity, _ in operations}) == 1, "a transaction is of one partition"
        assert len(operations) <= 100
        self.transactions += 1
        for operation, entity, how in operations:
            assert (operation, how) == ("upsert", {"mode": "merge"})
            self._upsert(entity)

    async def upsert_entity(self, entity: dict[str, Any]) -> None:
        self._upsert(entity)

    def _upsert(self, entity: dict[str, Any]) -> None:
        key = entity["PartitionKey"], entity["RowKey"]
        self.writes[key] += 1
        self.entities.setdefault(key, {}).update(entity)
        self.partitions.setdefault(key[0], {})[key[1]] = self.entities[key]

    def query_entities(self, query: str, *, parameters: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        wanted = parameters.get("day") or parameters.get("one")

        async def found() -> AsyncIterator[dict[str, Any]]:
            chosen = self.partitions.get(wanted, {}) if wanted else self.entities
            for entity in list(chosen.values()):
                uploads = entity["PartitionKey"].startswith("uploaded-")
                if entity["PartitionKey"] == wanted or (wanted is None and not uploads):
                    yield entity

        return found()


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def last_seen(table: Table) -> LastSeen:
    return LastSeen(table, INTERVAL)  # type: ignore[arg-type] # as much of a table as it uses


@pytest.mark.slow
async def test_a_million_records_over_2000_subscriptions_cost_at_most_a_write_per_subscription_and_kind_an_interval(
    table: Table, last_seen: LastSeen
) -> None:
    """A thousand invocations of a thousand records each within an interval, ten at a time, as partitions deliver."""
    chance = random.Random(1)
    streams = [(sub(number).id, kind, False) for number in range(2_000) for kind in KINDS]
    batches = []
    for number in range(1_000):
        seen = NOW + number * INTERVAL / 1_000 * 0.99
        sightings = dict.fromkeys(chance.choices(streams, k=1_000), seen)
        batches.append((sightings, {("DefenderAlerts_CL", NOW.date()): 1_000}, seen))
    for start in range(0, len(batches), 10):
        await asyncio.gather(*(last_seen.note(*batch) for batch in batches[start : start + 10]))
    last = {key: count for key, count in table.writes.items() if not key[0].startswith("uploaded-")}
    assert sum(last.values()) <= 2_000 * 7
    assert set(last.values()) == {1}
    assert table.transactions <= 2_000 * 7

    sightings, _, _ = batches[0]
    await last_seen.note(dict.fromkeys(sightings, NOW + 2 * INTERVAL), {}, NOW + 2 * INTERVAL)
    assert max(table.writes[key[0], key[1]] for key in sightings) == 2


async def test_a_weeks_snapshot_is_noted_at_once_though_changes_were_noted_a_moment_ago(
    table: Table, last_seen: LastSeen
) -> None:
    await last_seen.note({(ONE, "Alerts", False): NOW}, {}, NOW)
    await last_seen.note({(ONE, "Alerts", True): NOW + timedelta(seconds=5)}, {}, NOW + timedelta(seconds=5))
    assert await last_seen.read() == {(ONE, "Alerts"): Seen(NOW, NOW + timedelta(seconds=5))}


async def test_what_is_read_again_never_moves_a_time_backwards(table: Table, last_seen: LastSeen) -> None:
    """The checkpoints were deleted, or another process lags behind: old events come after newer ones."""
    day = timedelta(days=1)
    await last_seen.note({(ONE, "Alerts", True): NOW}, {}, NOW)
    other = LastSeen(table, INTERVAL)  # type: ignore[arg-type] # as above
    for days in range(7, 0, -1):
        for process in (last_seen, other):
            await process.note({(ONE, "Alerts", True): NOW - days * day}, {}, NOW + timedelta(hours=8 - days))
            assert (await last_seen.read())[ONE, "Alerts"].snapshot == NOW
    await other.note({(ONE, "Alerts", True): NOW + 7 * day}, {}, NOW + 7 * day)
    assert (await last_seen.read())[ONE, "Alerts"].snapshot == NOW + 7 * day


async def test_a_process_that_lags_does_not_undo_what_another_has_seen_since(table: Table, last_seen: LastSeen) -> None:
    other = LastSeen(table, INTERVAL)  # type: ignore[arg-type] # as above
    day = timedelta(days=1)
    await last_seen.note({(ONE, "Alerts", True): NOW}, {}, NOW)
    await other.note({(ONE, "Alerts", True): NOW + 7 * day}, {}, NOW + 7 * day)
    await last_seen.note({(ONE, "Alerts", True): NOW + day}, {}, NOW + 8 * day)
    assert (await last_seen.read())[ONE, "Alerts"].snapshot == NOW + 7 * day


async def test_catching_up_ends_with_the_newest_time_however_fast_it_goes(last_seen: LastSeen) -> None:
    for hours in range(6 * 24):
        seen = NOW - timedelta(days=6) + timedelta(hours=hours)
        await last_seen.note({(ONE, "Alerts", False): seen}, {}, NOW + timedelta(seconds=hours / 100))
    assert (await last_seen.read())[ONE, "Alerts"].streaming == NOW - timedelta(hours=1)


async def test_what_could_not_be_written_is_written_next_time(table: Table, last_seen: LastSeen) -> None:
    table.broken = True
    with pytest.raises(ConnectionError):
        await last_seen.note({(ONE, "Alerts", False): NOW}, {("A", NOW.date()): 5}, NOW)
    table.broken = False
    await last_seen.note({(ONE, "Alerts", False): NOW}, {("A", NOW.date()): 2}, NOW + timedelta(seconds=1))
    assert (await last_seen.read())[ONE, "Alerts"].streaming == NOW
    assert await last_seen.uploaded(NOW.date()) == {"A": 7}


async def test_ids_that_are_none_are_not_noted(table: Table, last_seen: LastSeen) -> None:
    await last_seen.note({("a/b#c?", "Alerts", False): NOW, (ONE.upper(), "Alerts", False): NOW}, {}, NOW)
    assert list(table.entities) == [(ONE, "Alerts")]


@pytest.mark.parametrize("wrong", [{"streaming": "yesterday"}, {"streaming": NOW, "format": 99}])
async def test_a_row_that_can_not_be_read_is_left_as_it_is_and_holds_up_no_other(
    table: Table, last_seen: LastSeen, wrong: dict[str, Any]
) -> None:
    await table.upsert_entity({"PartitionKey": ONE, "RowKey": "Alerts", **wrong})
    seen = NOW + timedelta(hours=1)
    sightings = {(ONE, "Alerts", False): seen, (ONE, "Assessments", False): seen, (TWO, "Alerts", False): seen}
    await last_seen.note(sightings, {("DefenderAlerts_CL", NOW.date()): 3}, seen)
    assert table.entities[ONE, "Alerts"] == {"PartitionKey": ONE, "RowKey": "Alerts", **wrong}
    found = await last_seen.read()
    assert {key: each.streaming for key, each in found.items()} == {(ONE, "Assessments"): seen, (TWO, "Alerts"): seen}
    assert set(last_seen.unreadable) == {(ONE, "Alerts")}
    assert await last_seen.uploaded(NOW.date()) == {"DefenderAlerts_CL": 3}


async def test_marks_leave_arrivals_alone(last_seen: LastSeen) -> None:
    await last_seen.note({(ONE, "Alerts", True): NOW}, {}, NOW)
    await last_seen.mark({(ONE, "Alerts"): Seen(expected=NOW, idle=NOW), (TWO, "Alerts"): Seen(withdrawn=NOW)})
    assert await last_seen.read() == {
        (ONE, "Alerts"): Seen(None, NOW, NOW, None, NOW),
        (TWO, "Alerts"): Seen(withdrawn=NOW),
    }


async def test_rows_are_added_up_over_processes_and_days(table: Table, last_seen: LastSeen) -> None:
    other = LastSeen(table, INTERVAL)  # type: ignore[arg-type] # as above
    today, tomorrow = NOW.date(), date(2026, 11, 23)
    await last_seen.note({}, {("A", today): 3}, NOW)
    await last_seen.note({}, {("A", today): 4, ("B", today): 1}, NOW + timedelta(seconds=1))
    await other.note({}, {("A", today): 10}, NOW)
    assert await last_seen.uploaded(today) == {"A": 13}, "the next sum is written an interval later"
    await last_seen.note({}, {("A", tomorrow): 2}, NOW + timedelta(days=1))
    assert await last_seen.uploaded(today) == {"A": 17, "B": 1}
    assert await last_seen.uploaded(tomorrow) == {"A": 2}
