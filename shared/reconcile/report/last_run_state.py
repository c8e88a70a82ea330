"""What one run leaves in Blob Storage for the next to know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.azure.archive_tier import kept_if_archived
from shared.clock import utc_moment, utc_text
from shared.reconcile.plan.change_limits import WINDOW, Done
from shared.reconcile.plan.model import Left
from shared.reconcile.plan.ownership_record import OwnershipRecord
from shared.reconcile.report.report_reader import is_moment
from shared.reconcile.report.run_report import Report

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

LATEST_BLOB = "latest.json"
DAY_BLOB = "changes-of-a-day.json"
LEFT_BLOB = "left-scopes.json"
OWNED_BLOB = "owned.json"
_TERMINAL = "cli"
_OWNED_MEMBERS = frozenset({"instanceId", "subscriptions", "owned", "repairs"})


@dataclass(frozen=True)
class Baseline:
    """What the last complete run saw, and as whom; `trouble` is why that is not known, empty before the first run.

    `known` are the states of its subscriptions by id, with those that vanished before for no reason that was seen;
    `trigger` is what began it, empty where that is not noted.
    """

    subscriptions: int = 0
    store_number: int = 0
    trouble: str = ""
    identity: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    trigger: str = ""


class LastRunState:
    """Baseline, scopes that were left, changes of a day and ownership record, in the container of the reports."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def note_seen(self, report: Report) -> None:
        """Keep what a complete run that may write saw, for the next to compare; of any other run nothing."""
        wrote = report.mode == "apply" and not (report.running or report.skipped or report.failure)
        if not (wrote and report.saw_all):
            return
        seen = {
            **stored_format.stamp("baseline"),
            "runId": report.run_id,
            "subscriptions": len(report.known) or len(report.subscriptions),
            "known": dict(report.known),
            "storeNumber": report.store_number,
            "identity": report.identity,
            "trigger": report.caller.trigger,
        }
        if report.caller.trigger == _TERMINAL:
            seen |= _of_the_app(await self.baseline(), report)
        await self._container.upload_blob(LATEST_BLOB, json.dumps(seen), overwrite=True)
        if report.plan.left is not None:
            await self._container.upload_blob(LEFT_BLOB, _left_as_text(report.plan.left), overwrite=True)

    async def baseline(self) -> Baseline:
        """What the last complete run saw; where that can't be read, why."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            with kept_if_archived(LATEST_BLOB):
                data = await (await self._container.download_blob(LATEST_BLOB)).readall()
            document = stored_format.read_object("baseline", data)
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
            trigger=str(document.get("trigger") or ""),
        )

    async def left(self) -> dict[str, Left]:
        """What the last complete run that wrote saw out of scope; what can't be read waits anew."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            with kept_if_archived(LEFT_BLOB):
                data = await (await self._container.download_blob(LEFT_BLOB)).readall()
            document = stored_format.read_object("left scopes", data)
        except (ResourceNotFoundError, stored_format.KeptAsIs):
            return {}
        return _left_from(document.get("left"))

    async def owned(self, instance_id: str) -> OwnershipRecord:
        """Which automations were ours when a run last wrote; none where that is not known."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            with kept_if_archived(OWNED_BLOB):
                data = await (await self._container.download_blob(OWNED_BLOB)).readall()
            document = stored_format.read_object("ownership record", data, _OWNED_MEMBERS)
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
            with kept_if_archived(DAY_BLOB):
                data = await (await self._container.download_blob(DAY_BLOB)).readall()
            document = stored_format.read_object("changes of a day", data)
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
            document[name] = {key: utc_text(moment) for key, moment in moments.items()}
        await self._container.upload_blob(DAY_BLOB, json.dumps(document), overwrite=True)


def _of_the_app(before: Baseline, report: Report) -> dict[str, Any]:
    """What a person's run leaves of what the app saw, who may see more or less; nothing where the app saw nothing.

    A person who accepts fewer says that what is not seen is gone.
    """
    if before.trigger in {"", _TERMINAL} or before.identity in {"", report.identity}:
        return {}
    accepted = bool(report.asked.get("acceptFewer"))
    known = {name: state for name, state in before.known.items() if not accepted or name in report.known}
    return {
        "subscriptions": len(known) or before.subscriptions,
        "known": known,
        "identity": before.identity,
        "trigger": before.trigger,
    }


def _left_as_text(left: Mapping[str, Left]) -> str:
    noted = {name: [utc_text(each.since), each.runs] for name, each in left.items()}
    return json.dumps({**stored_format.stamp("left scopes"), "left": noted})


def _left_from(noted: Any) -> dict[str, Left]:
    found = {}
    for name, entry in noted.items() if isinstance(noted, dict) else ():
        since, runs = entry if isinstance(entry, list) and len(entry) == 2 else ("", 0)  # noqa: PLR2004 - since, runs
        if isinstance(since, str) and is_moment(since) and _is_number(runs) and runs:
            found[name] = Left(utc_moment(since), runs)
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
        "repairs": [[*key, [utc_text(at) for at in moments]] for key, moments in sorted(record.repairs.items())],
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
            (str(where), str(group), str(name)): tuple(utc_moment(at) for at in moments)
            for where, group, name, moments in document["repairs"]
        }
    except (KeyError, IndexError, TypeError, ValueError):
        return OwnershipRecord()
    return OwnershipRecord(places, repairs)


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
        return {str(key): utc_moment(moment) for key, moment in dict(value).items()}
    except (TypeError, ValueError):
        raise stored_format.KeptAsIs(f"{DAY_BLOB} does not say what was done within a day: remove it") from None
