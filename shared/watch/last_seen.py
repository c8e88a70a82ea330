"""When each subscription last sent each kind, and how many rows were uploaded, in Table Storage.

A process writes a subscription, kind and stream (changes or snapshot) at most once per interval, whatever the traffic:
the pipeline notes in memory, and what is new enough is written in one transaction per subscription.  Times never go
backwards: what is older than the table's own, as when events are read again, is not written.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.watch.last_arrival import Key, Seen
from shared.watch.timer_runs import PARTITION as TIMERS

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

_UPLOADED = "uploaded-"
_BOUNDS = {"uploads": _UPLOADED, "after": _UPLOADED + "~", "timers": TIMERS}
_OF_SUBSCRIPTIONS = "PartitionKey lt @uploads and PartitionKey ne @timers or PartitionKey gt @after"
_TIMES = ("streaming", "snapshot", "expected", "withdrawn", "idle")
_CONCURRENT_WRITES = 16
# A record may say anything; only what looks like a subscription becomes a key.
_SUBSCRIPTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# (subscription id, kind, whether it was a snapshot) -> the newest enqueued time
Stream = tuple[str, str, bool]
Sightings = Mapping[Stream, datetime]
# (table, day of arrival) -> rows accepted
Uploads = Mapping[tuple[str, date], int]


class LastSeen:
    """The table `freshness`: one partition per subscription, one per day of uploads; the timers' is not read here."""

    def __init__(self, table: TableClient, interval: timedelta) -> None:
        self._table = table
        self._interval = interval
        self._written: dict[Stream, datetime] = {}  # when, by the clock
        self._newest: dict[Stream, datetime] = {}  # the enqueued time that the table is known to hold
        self._uploads: dict[tuple[str, date], int] = {}
        self._uploads_due: datetime | None = None
        # Each process adds up its own rows, so no two ever write the same entity.
        self._process = uuid.uuid4().hex
        self.unreadable: dict[Key, str] = {}

    async def note(self, sightings: Sightings, uploads: Uploads, now: datetime) -> None:
        """Take note of one invocation's records; writes only what is newer, and what an interval has passed for.

        The uploads are taken over even when this raises; the sightings are not.
        """
        for table_and_day, rows in uploads.items():
            self._uploads[table_and_day] = self._uploads.get(table_and_day, 0) + rows
        before: dict[Stream, datetime | None] = {}
        due: dict[str, dict[str, dict[str, datetime]]] = {}
        for (subscription, kind, snapshot), seen in sightings.items():
            subscription_id = subscription.lower()
            key = (subscription_id, kind, snapshot)
            if not _SUBSCRIPTION.fullmatch(subscription_id):
                continue
            written, newest = self._written.get(key), self._newest.get(key)
            if newest is not None and seen <= newest:
                continue
            caught_up = newest is not None and seen - newest >= self._interval
            if written is None or now - written >= self._interval or caught_up:
                before[key] = written
                column = "snapshot" if snapshot else "streaming"
                due.setdefault(subscription_id, {}).setdefault(kind, {})[column] = seen
        # Claimed before it is written, for other invocations of this process note meanwhile.
        self._written.update(dict.fromkeys(before, now))
        try:
            await self._write_newer(due)
        except BaseException:
            self._written = {key: time for key, time in self._written.items() if key not in before}
            raise
        if self._uploads and (self._uploads_due is None or now >= self._uploads_due):
            await self.flush()
            self._uploads_due = now + self._interval

    async def flush(self) -> None:
        """Write the rows added up so far."""
        for (table, day), rows in sorted(self._uploads.items()):
            await self._table.upsert_entity(
                {
                    "PartitionKey": f"{_UPLOADED}{day.isoformat()}",
                    "RowKey": f"{table}-{self._process}",
                    "table": table,
                    "rows": rows,
                    **stored_format.stamp("last seen"),
                }
            )
        newest = max((day for _, day in self._uploads), default=None)
        # Yesterday's sums are final once today has begun; keeping two days bounds the memory.
        self._uploads = {
            key: rows for key, rows in self._uploads.items() if newest and newest - key[1] <= timedelta(days=1)
        }

    async def mark(self, changed: Mapping[Key, Seen]) -> None:
        """Write the times that waiting is counted from; arrivals are left alone."""
        due: dict[str, dict[str, dict[str, datetime]]] = {}
        for (subscription_id, kind), seen in changed.items():
            marked = {"expected": seen.expected, "withdrawn": seen.withdrawn, "idle": seen.idle}
            due.setdefault(subscription_id, {})[kind] = {name: time for name, time in marked.items() if time}
        await self._write(due)

    async def read(self) -> dict[Key, Seen]:
        """Everything known, by subscription and kind; rows that can't be read are left as they are, in `unreadable`."""
        found: dict[Key, Seen] = {}
        self.unreadable = {}
        entities = self._table.query_entities(_OF_SUBSCRIPTIONS, parameters=_BOUNDS)
        async for entity in entities:
            key = (str(entity["PartitionKey"]), str(entity["RowKey"]))
            try:
                found[key] = Seen(**_times(entity))
            except stored_format.KeptAsIs as kept:
                self.unreadable[key] = str(kept)
        return found

    async def uploaded(self, day: date) -> dict[str, int]:
        """Rows accepted on a day (UTC), by table, over all processes; without tables whose sum can't be known."""
        sums: dict[str, int] = {}
        unknown: set[str] = set()
        entities = self._table.query_entities(
            "PartitionKey eq @day", parameters={"day": f"{_UPLOADED}{day.isoformat()}"}
        )
        async for entity in entities:
            table, rows = entity.get("table"), entity.get("rows")
            if not isinstance(table, str) or not isinstance(rows, int) or isinstance(rows, bool):
                unknown.add(str(entity["RowKey"]).rpartition("-")[0])
                continue
            sums[table] = sums.get(table, 0) + rows
        return {table: rows for table, rows in sums.items() if table not in unknown}

    async def _write_newer(self, due: Mapping[str, Mapping[str, Mapping[str, datetime]]]) -> None:
        """Write arrivals that are newer than the table's: another process, or this one before, may have seen later.

        A row that can't be read is left as it is, and holds up no other.
        """
        newer: dict[str, dict[str, dict[str, datetime]]] = {}
        turns = asyncio.Semaphore(_CONCURRENT_WRITES)

        async def compare(subscription_id: str, kinds: Mapping[str, Mapping[str, datetime]]) -> None:
            async with turns:
                found = self._table.query_entities("PartitionKey eq @one", parameters={"one": subscription_id})
                known = {entity["RowKey"]: entity async for entity in found}
            for kind, columns in kinds.items():
                try:
                    times = _times(known.get(kind, {}))
                except stored_format.KeptAsIs:
                    continue
                for column, seen in columns.items():
                    stored = times.get(column)
                    if stored is None or seen > stored:
                        newer.setdefault(subscription_id, {}).setdefault(kind, {})[column] = seen
                    else:
                        self._newest[subscription_id, kind, column == "snapshot"] = stored

        await asyncio.gather(*(compare(subscription_id, kinds) for subscription_id, kinds in due.items()))
        await self._write(newer)
        for subscription_id, kinds in newer.items():
            for kind, columns in kinds.items():
                for column, seen in columns.items():
                    self._newest[subscription_id, kind, column == "snapshot"] = seen

    async def _write(self, due: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        turns = asyncio.Semaphore(_CONCURRENT_WRITES)
        stamp = stored_format.stamp("last seen")

        async def write(subscription_id: str, kinds: Mapping[str, Mapping[str, Any]]) -> None:
            operations = [
                ("upsert", {"PartitionKey": subscription_id, "RowKey": kind, **stamp, **columns}, {"mode": "merge"})
                for kind, columns in kinds.items()
            ]
            async with turns:
                await self._table.submit_transaction(operations)

        await asyncio.gather(*(write(subscription_id, kinds) for subscription_id, kinds in due.items()))


def _times(entity: Mapping[str, Any]) -> dict[str, datetime]:
    """The times in a row.

    Raises:
        shared.stored_format.KeptAsIs: a newer release wrote it, or it can't be read.
    """
    stored_format.admit("last seen", entity)
    present = {name: entity[name] for name in _TIMES if entity.get(name) is not None}
    if wrong := sorted(name for name, value in present.items() if not isinstance(value, datetime)):
        raise stored_format.KeptAsIs(f"its column {wrong[0]} holds no time: remove the row, or put it right")
    return {name: value.astimezone(UTC) for name, value in present.items()}
