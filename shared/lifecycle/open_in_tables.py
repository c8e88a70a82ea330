"""Reads which records are open by the tables, in slices below the query API's limits; a part of an answer is none."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.azure.log_analytics import whole_answer
from shared.clock import Deadline
from shared.lifecycle.closing_guard import OpenCount
from shared.lifecycle.model import Action, KnownRecord, Mark
from shared.lifecycle.open_queries import WATCHED, WatchedKind, counting, listing
from shared.lifecycle.slices import Slice

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

_GUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
QUERY_SECONDS = 180
"""For one query; the service allows ten minutes."""
LEAST_SECONDS = 1
"""With less than this no query is begun."""


class UnknownError(Exception):
    """What the tables hold is not known; the message says why."""


@dataclass(frozen=True)
class Survey:
    """How much there is to look for: records by subscription, and counts by kind and model for the guard."""

    records: Mapping[str, int]
    counts: tuple[OpenCount, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that there is something of."""
        return tuple(sorted({each.kind for each in self.counts}))


class OpenInTables:
    """Asks the workspace of some kinds; `requests` counts the queries."""

    def __init__(self, client: LogsQueryClient, workspace_id: str, watched: Sequence[WatchedKind] = WATCHED) -> None:
        self._watched = watched
        self._client = client
        self._workspace_id = workspace_id
        self.requests = 0

    async def survey(self, now: datetime, deadline: Deadline) -> Survey:
        """What there is to look for.

        Raises:
            UnknownError: some of it could not be counted.
        """
        records: Counter[str] = Counter()
        totals: dict[tuple[str, bool], list[int]] = {}
        for kind in self._watched:
            for row in await self.ask(counting(kind, now), deadline):
                if not _GUID.fullmatch(str(row["SubscriptionId"])):
                    continue  # a record of no subscription, which nothing can be asked about
                records[str(row["SubscriptionId"])] += int(row["Records"])
                total = totals.setdefault((kind.name, bool(row["RetiredModel"])), [0, 0])
                total[0] += int(row["Open"])
                total[1] += int(row["Missing"])
        return Survey(records, tuple(OpenCount(*key, *total) for key, total in totals.items()))

    async def listed(self, part: Slice, kinds: Collection[str], now: datetime, deadline: Deadline) -> list[KnownRecord]:
        """The records of a slice, of some kinds.

        Raises:
            UnknownError: some of them are not known.
        """
        found = []
        for kind in (each for each in self._watched if each.name in kinds):
            found += [_record(kind, row) for row in await self.ask(listing(kind, part, now), deadline)]
        return found

    async def ask(self, query: str, deadline: Deadline) -> Sequence[Mapping[str, Any]]:
        """Every row of a query's answer.

        Raises:
            UnknownError: there is none, or only a part of it.
        """
        self.requests += 1
        return await all_rows(self._client, self._workspace_id, query, deadline)


async def all_rows(
    client: LogsQueryClient, workspace_id: str, query: str, deadline: Deadline
) -> Sequence[Mapping[str, Any]]:
    """Every row of a query's answer.

    Raises:
        UnknownError: there is no answer before the deadline, or only a part of one.
    """
    from azure.core.exceptions import AzureError

    seconds = int(min(QUERY_SECONDS, deadline.left))
    if seconds < LEAST_SECONDS:
        raise UnknownError("there was no time left to ask the workspace")
    try:
        async with asyncio.timeout(deadline.left):
            return await whole_answer(client, workspace_id, query, None, seconds=seconds)
    except TimeoutError:
        raise UnknownError("the workspace did not answer in time") from None
    except AzureError as error:
        why = getattr(error, "status_code", None) or getattr(error, "message", error)
        raise UnknownError(f"what the tables hold is not known: {why}") from None


def _record(kind: WatchedKind, row: Mapping[str, Any]) -> KnownRecord:
    mark = None
    if row["Mark"]:
        mark = Mark(Action(str(row["Mark"])), _utc(row["MarkSince"] or row["MarkWritten"]), _utc(row["MarkWritten"]))
    return KnownRecord(
        str(row["RecordId"]),
        kind.name,
        str(row["SubscriptionId"]),
        _utc(row["FirstSeen"]),
        _utc(row["LastSeen"]),
        bool(row["RetiredModel"]),
        mark,
    )


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
