"""When each subscription last sent each kind, and how many rows were uploaded, in Table Storage.

A row is written at most once per interval and key, whatever the traffic: the pipeline notes in memory, and what is
new enough is written in one transaction per subscription.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.watch.freshness import Key, Seen

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

_UPLOADED = "uploaded-"
_CONCURRENT_WRITES = 16

# (subscription id, kind, whether it was a snapshot) -> the newest enqueued time
Sightings = Mapping[tuple[str, str, bool], datetime]
# (table, day of arrival) -> rows accepted
Uploads = Mapping[tuple[str, date], int]


class LastSeen:
    """The table `freshness`: one partition per subscription, one per day of uploads."""

    def __init__(self, table: TableClient, interval: timedelta) -> None:
        self._table = table
        self._interval = interval
        self._written: dict[tuple[str, str, bool], datetime] = {}
        self._uploads: dict[tuple[str, date], int] = {}
        self._uploads_due: datetime | None = None
        # Each process adds up its own rows, so no two ever write the same entity.
        self._process = uuid.uuid4().hex

    async def note(self, sightings: Sightings, uploads: Uploads, now: datetime) -> None:
        """Take note of one invocation's records; writes only what an interval has passed for."""
        for key, rows in uploads.items():
            self._uploads[key] = self._uploads.get(key, 0) + rows
        new = {
            (subscription_id.lower(), kind, snapshot): seen
            for (subscription_id, kind, snapshot), seen in sightings.items()
            if self._is_due((subscription_id.lower(), kind, snapshot), seen)
        }
        due: dict[str, dict[str, dict[str, Any]]] = {}
        for (subscription_id, kind, snapshot), seen in new.items():
            due.setdefault(subscription_id, {}).setdefault(kind, {})["snapshot" if snapshot else "streaming"] = seen
        await self._write(due)
        self._written.update(new)
        if uploads and (self._uploads_due is None or now >= self._uploads_due):
            self._uploads_due = now + self._interval
            await self.flush()

    def _is_due(self, key: tuple[str, str, bool], seen: datetime) -> bool:
        before = self._written.get(key)
        return before is None or seen - before >= self._interval

    async def flush(self) -> None:
        """Write the rows added up so far."""
        for (table, day), rows in sorted(self._uploads.items()):
            await self._table.upsert_entity(
                {
                    "PartitionKey": f"{_UPLOADED}{day.isoformat()}",
                    "RowKey": f"{table}-{self._process}",
                    "table": table,
                    "rows": rows,
                }
            )
        newest = max((day for _, day in self._uploads), default=None)
        # Yesterday's sums are final once today has begun; keeping two days bounds the memory.
        self._uploads = {
            key: rows for key, rows in self._uploads.items() if newest and newest - key[1] <= timedelta(days=1)
        }

    async def expect(self, keys: Iterable[Key], now: datetime) -> None:
        """Note that each key is waited for from now on, for those that are not yet."""
        known = await self.read()
        due: dict[str, dict[str, dict[str, Any]]] = {}
        for subscription_id, kind in keys:
            if known.get((subscription_id, kind), Seen()).expected_since is None:
                due.setdefault(subscription_id, {})[kind] = {"expected": now}
        await self._write(due)

    async def read(self) -> dict[Key, Seen]:
        """Everything known, by subscription and kind."""
        found: dict[Key, Seen] = {}
        entities = self._table.query_entities("PartitionKey lt @uploads or PartitionKey gt @after", parameters=_BOUNDS)
        async for entity in entities:
            found[entity["PartitionKey"], entity["RowKey"]] = Seen(
                _utc(entity.get("streaming")), _utc(entity.get("snapshot")), _utc(entity.get("expected"))
            )
        return found

    async def uploaded(self, day: date) -> dict[str, int]:
        """Rows accepted on a day (UTC), by table, over all processes."""
        sums: dict[str, int] = {}
        entities = self._table.query_entities(
            "PartitionKey eq @day", parameters={"day": f"{_UPLOADED}{day.isoformat()}"}
        )
        async for entity in entities:
            sums[entity["table"]] = sums.get(entity["table"], 0) + entity["rows"]
        return sums

    async def _write(self, due: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        turns = asyncio.Semaphore(_CONCURRENT_WRITES)

        async def write(subscription_id: str, kinds: Mapping[str, Mapping[str, Any]]) -> None:
            operations = [
                ("upsert", {"PartitionKey": subscription_id, "RowKey": kind, **columns}, {"mode": "merge"})
                for kind, columns in kinds.items()
            ]
            async with turns:
                await self._table.submit_transaction(operations)

        await asyncio.gather(*(write(subscription_id, kinds) for subscription_id, kinds in due.items()))


_BOUNDS = {"uploads": _UPLOADED, "after": _UPLOADED + "~"}


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)
