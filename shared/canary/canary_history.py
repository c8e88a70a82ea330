"""What canaries have proven, by subscription: each that ended, and the newest that proved its path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.canary.verdict import Outcome
from shared.clock import utc_moment
from shared.fail_points import touching

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

PARTITION = "uploaded-canary-history"
"""Sorts among the partitions of uploads, as that of the notes does and for the same reason."""
_KIND = "canary"
_END_OF_TIME_MS = 10**13


class CanaryHistory:
    """The table's rows, the newest of a subscription first."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def add(self, result: Mapping[str, Any], by: str) -> None:
        """Keep what a canary told; once more is the same.

        Raises:
            azure.core.exceptions.AzureError: the table does not answer.
        """
        begun = utc_moment(result["begun"])
        entity = {
            "PartitionKey": PARTITION,
            "RowKey": f"{result['subscription'].lower()}-{_END_OF_TIME_MS - int(begun.timestamp() * 1000):013d}",
            "subscription": result["subscription"].lower(),
            "begun": begun,
            "outcome": result["outcome"],
            "told": json.dumps({**result, "by": by}),
            **stored_format.stamp(_KIND),
        }
        with touching("canary.keep"):
            await self._table.upsert_entity(entity)

    async def read(self, subscription: str = "") -> list[dict[str, Any]]:
        """What is known, newest first; what can't be read is left as it is and left out.

        Raises:
            azure.core.exceptions.AzureError: the table does not answer.
        """
        which, parameters = "PartitionKey eq @history", {"history": PARTITION}
        if subscription:
            which, parameters = f"{which} and subscription eq @one", {**parameters, "one": subscription.lower()}
        found: list[dict[str, Any]] = []
        with touching("canary.history"):
            async for entity in self._table.query_entities(which, parameters=parameters):
                try:
                    stored_format.admit(_KIND, entity)
                    told = json.loads(entity["told"])
                    utc_moment(told["begun"])
                except (stored_format.KeptAsIs, KeyError, TypeError, ValueError, RecursionError):
                    continue
                found.append(told)
        return sorted(found, key=lambda told: str(told["begun"]), reverse=True)

    async def expire(self, before: datetime) -> None:
        """Remove what began before then, but for the newest of each subscription that proved its path."""
        newest: set[str] = set()
        with touching("canary.history-expire"):
            async for entity in self._table.query_entities(
                "PartitionKey eq @history", parameters={"history": PARTITION}
            ):
                begun, subscription = entity.get("begun"), str(entity.get("subscription"))
                if not isinstance(begun, datetime) or entity.get("outcome") is None:
                    continue
                first = entity["outcome"] == Outcome.PROVEN and subscription not in newest
                if first:
                    newest.add(subscription)
                elif begun.astimezone(UTC) < before:
                    await self._table.delete_entity(entity)


def proven(history: list[dict[str, Any]]) -> dict[str, str]:
    """When each subscription's path was last proven, by its lower-case id."""
    found: dict[str, str] = {}
    for told in history:
        if told.get("outcome") == Outcome.PROVEN:
            found.setdefault(str(told.get("subscription")).lower(), str(told.get("ended") or told["begun"]))
    return found


def kept_since(now: datetime, days: int) -> datetime:
    """The moment before which history is forgotten."""
    return now - timedelta(days=days)
