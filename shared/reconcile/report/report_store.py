"""Run reports in Blob Storage, and what one run leaves for the next to know."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from sys import intern
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.azure.storage_time import storage_time
from shared.reconcile.plan.change_limits import WINDOW, Done
from shared.reconcile.plan.model import Left
from shared.reconcile.plan.ownership_record import OwnershipRecord
from shared.reconcile.report.approvals import FOLDER as APPROVALS
from shared.reconcile.report.equal_items import expanded, grouped
from shared.reconcile.report.run_report import Report

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

logger = logging.getLogger(__name__)

LATEST_BLOB = "latest.json"
DAY_BLOB = "changes-of-a-day.json"
LEFT_BLOB = "left-scopes.json"
OWNED_BLOB = "owned.json"
SUMMARIES = "summaries/"
# One block of an append blob has at most 4 MiB, and is added whole or not at all.
MAX_LINE = 1 << 20
UNREADABLE = "Unreadable"
RUN_ID = re.compile("20[0-9]{6}T[0-9]{12}Z-[0-9a-f]{8}", re.ASCII)
ID_LENGTH = len("20261122T000000000000Z-00000000")


_OWNED_MEMBERS = frozenset({"instanceId", "subscriptions", "owned", "repairs"})
_NAME = re.compile(rf"20[0-9]{{2}}/[0-9]{{2}}/[0-9]{{2}}/{RUN_ID.pattern}\.json", re.ASCII)
# What every report holds, by the type that its readers rely on.
_MEMBERS: Mapping[str, Any] = {
    "runId": "", "instanceId": "", "trigger": "", "actor": "", "mode": "", "started": "", "ended": "", "seconds": 0.0,
    "outcome": "", "reason": "", "complete": False, "incompleteBecause": [], "guards": [], "warnings": [],
    "findings": [], "exports": [], "unreadable": {}, "subscriptions": 0, "tenants": {}, "counts": {}, "requests": {},
    "items": [], "scope": {}, "identity": "", "inForce": [], "release": "", "writer": "", "storeNumber": 0,
    "asked": {}, "fingerprint": "", "waiting": False, "approvedBy": "", "approvedAt": "", "written": [],
    "destinations": [],
}  # fmt: skip
# Of a run that has ended since, should its last line be missing, and of what can't be read.
_MORE_IN_THE_WHOLE = frozenset({"Running", UNREADABLE})
_STORED_ONLY = frozenset({"subscriptionIds", "groups"})
# Since the first reports.
_ADDED = frozenset({
    "findings", "release", "writer", "storeNumber", "warnings", "tenants", "requests", "scope", "identity", "inForce",
    "asked", "fingerprint", "waiting", "approvedBy", "approvedAt", "written",
    "destinations",
})  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """What the last complete run saw, and as whom; `trouble` is why that is not known, empty before the first run.

    `known` are the states of its subscriptions by id, with those that vanished before for no reason that was seen.
    """

    subscriptions: int = 0
    store_number: int = 0
    trouble: str = ""
    identity: str = ""
    known: Mapping[str, str] = field(default_factory=dict)


class Reports:
    """Run reports in Blob Storage: `2026/11/22/<run id>.json`, and what the next run must know in `latest.json`.

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

    async def save(self, report: Report) -> None:
        """Keep a report; a complete run that may write also leaves what it saw, for the next to compare."""
        summary = report.summary()
        text = json.dumps({**summary, **grouped(report.items())})
        await self._container.upload_blob(report.name, text, overwrite=True)
        await self._note_summary(report.run_id, summary)
        wrote = report.mode == "apply" and not (report.running or report.skipped or report.failure)
        if wrote and report.saw_all:
            seen = {
                **stored_format.stamp("baseline"),
                "runId": report.run_id,
                "subscriptions": len(report.known) or len(report.subscriptions),
                "known": dict(report.known),
                "storeNumber": report.store_number,
                "identity": report.identity,
            }
            await self._container.upload_blob(LATEST_BLOB, json.dumps(seen), overwrite=True)
            if report.plan.left is not None:
                await self._container.upload_blob(LEFT_BLOB, _left_as_text(report.plan.left), overwrite=True)

    async def baseline(self) -> Baseline:
        """What the last complete run saw; where that can't be read, why."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(LATEST_BLOB)
            document = stored_format.read_object("baseline", await stream.readall())
        except ResourceNotFoundError as error:
            if error.error_code == "ContainerNotFound":  # type: ignore[attr-defined] # storage adds it to every error
                raise
            return Baseline()
        except stored_format.KeptAsIs as kept:
            return Baseline(trouble=str(kept))
        seen, number = document.get("subscriptions"), document.get("storeNumber", 0)
        if seen is None or not _is_number(seen) or not _is_number(number):
            return Baseline(trouble="this baseline does not say how many subscriptions were seen")
        identity = document.get("identity", "")
        return Baseline(
            int(seen),
            int(number),
            identity=identity if isinstance(identity, str) else "",
            known=_states(document.get("known")),
        )

    async def left(self) -> dict[str, Left]:
        """What the last complete run that wrote saw out of scope; what can't be read waits anew."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(LEFT_BLOB)
            document = stored_format.read_object("left scopes", await stream.readall())
        except (ResourceNotFoundError, stored_format.KeptAsIs):
            return {}
        return _left_from(document.get("left"))

    async def owned(self, instance_id: str) -> OwnershipRecord:
        """Which automations were ours when a run last wrote; none where that is not known."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(OWNED_BLOB)
            document = stored_format.read_object("ownership record", await stream.readall(), _OWNED_MEMBERS)
        except (ResourceNotFoundError, stored_format.KeptAsIs):
            return OwnershipRecord()
        return _owned_from(document) if document.get("instanceId") == instance_id else OwnershipRecord()

    async def note_owned(self, record: OwnershipRecord, instance_id: str) -> None:
        """Keep which automations are ours; only a run that holds the lease does so."""
        await self._container.upload_blob(OWNED_BLOB, _owned_as_text(record, instance_id), overwrite=True)

    async def done(self, now: datetime) -> tuple[Done, str]:
        """What runs of the last 24 hours deleted and repaired; and why that is not known, where it can't be read."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(DAY_BLOB)
            document = stored_format.read_object("changes of a day", await stream.readall())
            deletes, repairs = (_moments(document.get(name)) for name in ("deletes", "repairs"))
        except ResourceNotFoundError as error:
            if error.error_code == "ContainerNotFound":  # type: ignore[attr-defined] # storage adds it to every error
                raise
            return Done(), ""
        except stored_format.KeptAsIs as kept:
            return Done(), str(kept)
        return Done(deletes, repairs).since(now - WINDOW), ""

    async def note_done(self, done: Done) -> None:
        """Keep what was done within a day; only a run that holds the lease does so."""
        document: dict[str, Any] = stored_format.stamp("changes of a day")
        for name, moments in (("deletes", done.deletes), ("repairs", done.repairs)):
            document[name] = {key: moment.isoformat() for key, moment in moments.items()}
        await self._container.upload_blob(DAY_BLOB, json.dumps(document), overwrite=True)

    async def read(self, run_id: str) -> dict[str, Any] | None:
        """A run's report, or None; one that can't be read whole is shown as far as it can be, with the reason."""
        from azure.core.exceptions import ResourceNotFoundError

        if not RUN_ID.fullmatch(run_id):
            return None
        try:
            stream = await self._container.download_blob(f"{day_of(run_id):%Y/%m/%d}/{run_id}.json")
        except ValueError:
            return None  # no such day
        except ResourceNotFoundError:
            return None
        return as_far_as_readable(run_id, await stream.readall())

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
        found = [await self._summary(run_id, lines.get(run_id, b"")) for run_id in run_ids]
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

    async def _summary(self, run_id: str, line: bytes) -> dict[str, Any] | None:
        report = as_far_as_readable(run_id, line, items=False) if line else None
        if report is None or report["outcome"] in _MORE_IN_THE_WHOLE or report["runId"] != run_id:
            report = await self.read(run_id)
        return None if report is None else {name: value for name, value in report.items() if name != "items"}

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
                    summary = await self._summary(run_id, lines.get(run_id, b""))
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


def as_far_as_readable(run_id: str, data: bytes, *, items: bool = True) -> dict[str, Any]:
    """A report with every member of the right type; what is wrong with it is its reason, its outcome `Unreadable`.

    Without `items` it is a summary, which has none.
    """
    try:
        document = stored_format.read_object("run report", data)
        document = _with_items(document) if items else {**document, "items": []}
    except stored_format.KeptAsIs as kept:
        return _unreadable(run_id, {}, str(kept))
    report = {**_MEMBERS, **document}
    absent = sorted({*_MEMBERS} - {*document} - _ADDED)
    wrong = sorted(name for name, example in _MEMBERS.items() if not _is_like(report[name], example))
    if absent or wrong:
        return _unreadable(run_id, report, f"this report lacks or misstates {', '.join([*absent, *wrong])}")
    if not all(isinstance(item, dict) for item in report["items"]):
        return _unreadable(run_id, report, "this report holds items that are none")
    if not all(map(_is_moment, (report["started"], report["ended"]))):
        return _unreadable(run_id, report, "this report holds a time that is none")
    return report


def _with_items(document: dict[str, Any]) -> dict[str, Any]:
    """The report with each item for itself; earlier formats hold them so.

    Raises:
        stored_format.KeptAsIs: its groups of items are none.
    """
    if "groups" not in document:
        return document
    try:
        items = expanded(document)
    except ValueError as error:
        raise stored_format.KeptAsIs(f"this report's items can't be read: {error}") from None
    return {name: value for name, value in document.items() if name not in _STORED_ONLY} | {"items": items}


def _summaries_of(run_id: str) -> str:
    """The blob that the summaries of a run's day are appended to.

    Raises:
        ValueError: the id holds no time.
    """
    return f"{SUMMARIES}{day_of(run_id):%Y/%m/%d}.ndjson"


def _left_as_text(left: Mapping[str, Left]) -> str:
    noted = {name: [each.since.isoformat(), each.runs] for name, each in left.items()}
    return json.dumps({**stored_format.stamp("left scopes"), "left": noted})


def _left_from(noted: Any) -> dict[str, Left]:
    found = {}
    for name, entry in noted.items() if isinstance(noted, dict) else ():
        since, runs = entry if isinstance(entry, list) and len(entry) == 2 else ("", 0)  # noqa: PLR2004 - since, runs
        if isinstance(since, str) and _is_moment(since) and _is_number(runs) and runs:
            found[name] = Left(datetime.fromisoformat(since), runs)
    return found


def _owned_as_text(record: OwnershipRecord, instance_id: str) -> str:
    """The record with each subscription's id once, and by place the numbers of those: 100,000 take less than 1 MB."""
    subscriptions = sorted({one for many in record.places.values() for one in many})
    number = {one: place for place, one in enumerate(subscriptions)}
    document = {
        **stored_format.stamp("ownership record"),
        "instanceId": instance_id,
        "subscriptions": subscriptions,
        "owned": [[*place, sorted(number[one] for one in many)] for place, many in sorted(record.places.items())],
        "repairs": [[*key, [at.isoformat() for at in moments]] for key, moments in sorted(record.repairs.items())],
    }
    return json.dumps(document, separators=(",", ":"))


def _owned_from(document: Mapping[str, Any]) -> OwnershipRecord:
    """The record as kept; empty where it is misstated, since something is written by it."""
    try:
        subscriptions = [str(one).lower() for one in document["subscriptions"]]
        places = {
            (intern(str(group)), intern(str(name)), str(export)): frozenset(subscriptions[number] for number in numbers)
            for group, name, export, numbers in document["owned"]
        }
        repairs = {
            (str(where), str(group), str(name)): tuple(datetime.fromisoformat(at).astimezone(UTC) for at in moments)
            for where, group, name, moments in document["repairs"]
        }
    except (KeyError, IndexError, TypeError, ValueError):
        return OwnershipRecord()
    return OwnershipRecord(places, repairs)


def _unreadable(run_id: str, report: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """What is known of a run from its id, and of its report as far as the types are right."""
    try:
        began = day_of(run_id).isoformat()
    except ValueError:
        began = datetime.fromtimestamp(0, UTC).isoformat()
    sound = {name: value for name, value in report.items() if name in _MEMBERS and _is_like(value, _MEMBERS[name])}
    times = {name: value for name in ("started", "ended") if _is_moment(value := sound.get(name, ""))}
    shown = {"started": began, "ended": began, **times}
    return {**_MEMBERS, **sound, "items": [], **shown, "runId": run_id, "outcome": UNREADABLE, "reason": reason}


def _is_like(value: Any, example: Any) -> bool:
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(example, bool)
    return isinstance(value, int | float) if isinstance(example, int | float) else isinstance(value, type(example))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _states(value: Any) -> dict[str, str]:
    """States by subscription; none where they are not told."""
    told = value if isinstance(value, Mapping) else {}
    return {name: state for name, state in told.items() if isinstance(name, str) and isinstance(state, str)}


def _moments(value: Any) -> dict[str, datetime]:
    """Moments by digest.

    Raises:
        stored_format.KeptAsIs: these are none.
    """
    try:
        return {str(key): datetime.fromisoformat(moment).astimezone(UTC) for key, moment in dict(value).items()}
    except (TypeError, ValueError):
        raise stored_format.KeptAsIs(f"{DAY_BLOB} does not say what was done within a day: remove it") from None


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def day_of(run_id: str) -> datetime:
    """When the run of this id began, to the microsecond: two runs in one second keep their order.

    Raises:
        ValueError: the id holds no time.
    """
    return datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
