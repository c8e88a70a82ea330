"""When each timer last succeeded, in the table `freshness`, which both apps reach where delivery has one of its own.

A timer that fails to start says nothing, and what its work would have found stays as it was: only its own silence tells
of it, whatever other runs there are (github.com/Azure/azure-functions-host/issues/11828).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared import stored_format

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

PARTITION = "timers"
SILENT_FOR = timedelta(hours=6)
"""As in infra/alerts/timer-stopped.kql."""


class TimerRuns:
    """The partition `timers`: a row for each timer."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def note(self, name: str, ended: datetime) -> None:
        """Keep when a timer's work succeeded."""
        await self._table.upsert_entity(
            {"PartitionKey": PARTITION, "RowKey": name, "ended": ended, **stored_format.stamp("last seen")}
        )

    async def read(self) -> dict[str, datetime]:
        """When each timer last succeeded; those that never did, or whose row can't be read, are not among them."""
        found: dict[str, datetime] = {}
        async for entity in self._table.query_entities("PartitionKey eq @timers", parameters={"timers": PARTITION}):
            if isinstance(ended := entity.get("ended"), datetime):
                found[str(entity["RowKey"])] = ended.astimezone(UTC)
        return found


def stopped(last: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """The timers that have not succeeded for longer than six hours, and when they last did."""
    return {name: ended for name, ended in sorted(last.items()) if now - ended > SILENT_FOR}
