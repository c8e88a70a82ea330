"""Run reports in Blob Storage, and what one run leaves for the next to know."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.reconcile.report.run_report import Report

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

LATEST_BLOB = "latest.json"
RUN_ID = re.compile("20[0-9]{6}T[0-9]{12}Z-[0-9a-f]{8}", re.ASCII)


class Reports:
    """Run reports in Blob Storage: `2026/11/22/<run id>.json`, and what the next run must know in `latest.json`."""

    def __init__(self, container: ContainerClient, retention: timedelta) -> None:
        self._container = container
        self._retention = retention

    async def open(self) -> None:
        """Make the container where it is missing."""
        from azure.core.exceptions import ResourceExistsError

        try:
            await self._container.create_container()
        except ResourceExistsError:
            return

    async def save(self, report: Report) -> None:
        """Keep a report; a complete run also leaves the number of subscriptions it saw, for the next to compare."""
        text = json.dumps(report.as_dict(), indent=1)
        await self._container.upload_blob(report.name, text, overwrite=True)
        if not (report.skipped or report.failure or report.plan.reasons):
            seen = {"runId": report.run_id, "subscriptions": len(report.subscriptions)}
            await self._container.upload_blob(LATEST_BLOB, json.dumps(seen), overwrite=True)

    async def subscriptions_seen(self) -> int:
        """How many subscriptions the last complete run saw; 0 before the first."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(LATEST_BLOB)
        except ResourceNotFoundError:
            return 0
        return int(json.loads(await stream.readall()).get("subscriptions", 0))

    async def read(self, run_id: str) -> dict[str, Any] | None:
        """A run's report, or None."""
        from azure.core.exceptions import ResourceNotFoundError

        if not RUN_ID.fullmatch(run_id):
            return None
        try:
            stream = await self._container.download_blob(f"{day_of(run_id):%Y/%m/%d}/{run_id}.json")
        except ValueError:
            return None  # no such day
        except ResourceNotFoundError:
            return None
        report: dict[str, Any] = json.loads(await stream.readall())
        return report

    async def recent(self, now: datetime, limit: int = 20, before: str = "") -> list[str]:
        """The ids of the newest runs, newest first, as far back as reports are kept; those before the id `before`."""
        found: list[str] = []
        for age in range(self._retention.days + 1):
            day = now - timedelta(days=age)
            names = [name async for name in self._container.list_blob_names(name_starts_with=f"{day:%Y/%m/%d}/")]
            ids = (name.rpartition("/")[2].removesuffix(".json") for name in sorted(names, reverse=True))
            found += [run_id for run_id in ids if not before or run_id < before]
            if len(found) >= limit:
                break
        return found[:limit]

    async def expire(self, now: datetime) -> int:
        """Delete reports older than the retention and return how many; names are in the order of time."""
        oldest = f"{now - self._retention:%Y/%m/%d}"
        expired = 0
        async for name in self._container.list_blob_names():
            if not name[:1].isdigit() or name[: len(oldest)] >= oldest:
                break  # the rest is younger, or no report
            await self._container.delete_blob(name)
            expired += 1
        return expired


def day_of(run_id: str) -> datetime:
    """When the run of this id began, to the microsecond: two runs in one second keep their order.

    Raises:
        ValueError: the id holds no time.
    """
    return datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
