"""Run reports in Blob Storage."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from shared.azure.archive_tier import kept_if_archived
from shared.azure.storage_time import storage_time
from shared.reconcile.report.approvals import FOLDER as APPROVALS
from shared.reconcile.report.equal_items import grouped
from shared.reconcile.report.report_reader import RUN_ID, UNREADABLE, as_far_as_readable, day_of, unreadable
from shared.reconcile.report.run_report import Report
from shared.stored_format import KeptAsIs

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

logger = logging.getLogger(__name__)

SUMMARIES = "summaries/"
# One block of an append blob has at most 4 MiB, and is added whole or not at all.
MAX_LINE = 1 << 20
ID_LENGTH = len("20261122T000000000000Z-00000000")
_KEPT = 200
_NAME = re.compile(rf"20[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}}/{RUN_ID.pattern}\.json", re.ASCII)
# Of a run that has ended since, should its last line be missing, and of what can't be read.
_MORE_IN_THE_WHOLE = frozenset({"Running", UNREADABLE})


class Reports:
    """Run reports in Blob Storage: `2026/11/22/<run id>.json`.

    For lists there is a line without items for each in `summaries/2026/11/22.ndjson`.
    """

    def __init__(
        self,
        container: ContainerClient,
        retention: timedelta,
        now: Callable[[ContainerClient], Awaitable[datetime]] = storage_time,
    ) -> None:
        self._container = container
        self._retention = retention
        self._now = now
        self._ended: dict[str, dict[str, Any]] = {}
        self._turn = asyncio.Lock()

    async def save(self, report: Report) -> None:
        """Keep a report, and its line for lists."""
        summary = report.summary()
        text = json.dumps({**summary, **grouped(report.items())})
        await self._container.upload_blob(report.name, text, overwrite=True)
        await self._note_summary(report.run_id, summary)

    async def read(self, run_id: str) -> dict[str, Any] | None:
        """A run's report, or None; one that can't be read whole is shown as far as it can be, with the reason."""
        from azure.core.exceptions import ResourceNotFoundError

        if not RUN_ID.fullmatch(run_id):
            return None
        try:
            name = f"{day_of(run_id):%Y/%m/%d}/{run_id}.json"
        except ValueError:
            return None  # no such day
        try:
            with kept_if_archived(name):
                data = await (await self._container.download_blob(name)).readall()
        except ResourceNotFoundError:
            return None
        except KeptAsIs as kept:
            return unreadable(run_id, {}, str(kept))
        return await asyncio.to_thread(as_far_as_readable, run_id, data)

    async def _note_summary(self, run_id: str, summary: Mapping[str, Any]) -> None:
        """Add a line to the summaries of the day; without one, lists read the whole report."""
        from azure.core.exceptions import AzureError
        from azure.storage.blob import BlobType

        line = f"{run_id} {json.dumps(summary)}\n".encode()
        if len(line) > MAX_LINE:
            return
        try:
            await self._container.upload_blob(_summaries_of(run_id), line, blob_type=BlobType.APPENDBLOB)
        except AzureError:
            logger.exception("run %s: its summary could not be kept", run_id)

    async def summaries(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The reports of runs without their items, in the order of the ids; those that are there.

        The whole report is read for one without a summary, as of earlier releases.
        """
        lines: dict[str, bytes] = {}
        for blob in dict.fromkeys(map(_summaries_of, run_ids)):
            lines |= await self._lines(blob)
        noted = await asyncio.to_thread(
            lambda: {run_id: _of_line(run_id, line) for run_id in run_ids if (line := lines.get(run_id))}
        )
        found = [await self._summary(run_id, noted.get(run_id)) for run_id in run_ids]
        return [each for each in found if each is not None]

    async def _lines(self, blob: str) -> dict[str, bytes]:
        """The summaries of a day as JSON, by run; the last line of a run is as it ended."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(blob)
        except ResourceNotFoundError:
            return {}
        lines = (await stream.readall()).splitlines()
        return {line[:ID_LENGTH].decode(errors="replace"): line[ID_LENGTH + 1 :] for line in lines}

    async def _summary(self, run_id: str, noted: dict[str, Any] | None) -> dict[str, Any] | None:
        if noted is None or noted["outcome"] in _MORE_IN_THE_WHOLE or noted["runId"] != run_id:
            return await self._of_whole(run_id)
        return noted

    async def _of_whole(self, run_id: str) -> dict[str, Any] | None:
        """The whole report without its items, kept once the run has ended: callers at the same time read it once."""
        async with self._turn:
            if (kept := self._ended.get(run_id)) is not None:
                return kept
            report = await self.read(run_id)
            if report is None:
                return None
            summary = {name: value for name, value in report.items() if name != "items"}
            if summary["outcome"] not in _MORE_IN_THE_WHOLE:
                self._ended[run_id] = summary
                if len(self._ended) > _KEPT:
                    del self._ended[next(iter(self._ended))]
            return summary

    async def recent(self, now: datetime, limit: int = 20, before: str = "") -> list[str]:
        """The ids of the newest runs, newest first, as far back as reports are kept; those before the id `before`."""
        found: list[str] = []
        for prefix, end in self._folders(now):
            found += [run_id for run_id in await self._run_ids(prefix, end) if not before or run_id < before]
            if len(found) >= limit:
                break
        return found[:limit]

    async def _run_ids(self, prefix: str, end: str) -> list[str]:
        """The runs whose reports lie below a prefix and before `end`, newest first."""
        names = [name async for name in self._container.list_blob_names(name_starts_with=prefix)]
        reports = sorted((name for name in names if _NAME.fullmatch(name) and name < end), reverse=True)
        return [name.rpartition("/")[2].removesuffix(".json") for name in reports]

    def _folders(self, now: datetime) -> Iterator[tuple[str, str]]:
        """Where reports lie, newest first: two days, then whole months, so that few are asked where there are few.

        The second text is where those listed before begin: a run that begins meanwhile belongs to an earlier answer.
        """
        end = "~"
        for prefix in self._prefixes(now):
            yield prefix, end
            end = min(end, prefix)

    def _prefixes(self, now: datetime) -> Iterator[str]:
        for age in range(2):
            yield f"{now - timedelta(days=age):%Y/%m/%d}/"
        month = now
        while f"{month:%Y/%m}" >= f"{now - self._retention:%Y/%m}":
            yield f"{month:%Y/%m}/"
            month = month.replace(day=1) - timedelta(days=1)

    async def newest(self, now: datetime) -> AsyncIterator[dict[str, Any]]:
        """The reports without their items, newest first, as far back as they are kept; each is read when asked for."""
        for prefix, end in self._folders(now):
            for blob, run_ids in groupby(await self._run_ids(prefix, end), key=_summaries_of):
                lines = await self._lines(blob)
                for run_id in run_ids:
                    line = lines.get(run_id)
                    summary = await self._summary(run_id, _of_line(run_id, line) if line else None)
                    if summary is not None:
                        yield summary

    async def expire(self) -> int:
        """Delete reports and approvals that were written longer ago than the retention; gives how many reports.

        The time is the storage's.
        Nothing else in the container is touched, whatever its name.
        """
        oldest = await self._now(self._container) - self._retention
        expired = 0
        async for blob in self._container.list_blobs(name_starts_with="20"):
            if f"{oldest + timedelta(days=1):%Y/%m/%d}/" < blob.name:
                break  # begun later than that, so written later too
            if _NAME.fullmatch(blob.name) and blob.last_modified < oldest:
                await self._container.delete_blob(blob.name)
                expired += 1
        for folder in (APPROVALS, SUMMARIES):
            async for blob in self._container.list_blobs(name_starts_with=folder):
                if blob.last_modified < oldest:
                    await self._container.delete_blob(blob.name)
        return expired


def _of_line(run_id: str, line: bytes) -> dict[str, Any]:
    """The report that a line of the summaries holds."""
    report = as_far_as_readable(run_id, line, items=False)
    return {name: value for name, value in report.items() if name != "items"}


def _summaries_of(run_id: str) -> str:
    """The blob that the summaries of a run's day are appended to.

    Raises:
        ValueError: the id holds no time.
    """
    return f"{SUMMARIES}{day_of(run_id):%Y/%m/%d}.ndjson"
