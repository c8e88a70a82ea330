"""A stored run report as far as it can be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared import stored_format
from shared.clock import utc_moment, utc_text
from shared.reconcile.report.equal_items import expanded

UNREADABLE = "Unreadable"
RUN_ID = re.compile("20[0-9]{6}T[0-9]{12}Z-[0-9a-f]{8}", re.ASCII)

# What every report holds, by the type that its readers rely on.
_MEMBERS: Mapping[str, Any] = {
    "runId": "", "instanceId": "", "trigger": "", "actor": "", "mode": "", "started": "", "ended": "", "seconds": 0.0,
    "outcome": "", "reason": "", "complete": False, "incompleteBecause": [], "guards": [], "warnings": [],
    "findings": [], "exports": [], "unreadable": {}, "subscriptions": 0, "tenants": {}, "counts": {}, "requests": {},
    "items": [], "scope": {}, "identity": "", "inForce": [], "release": "", "writer": "", "storeNumber": 0,
    "asked": {}, "fingerprint": "", "waiting": False, "approvedBy": "", "approvedAt": "", "written": [],
    "destinations": [],
}  # fmt: skip
_STORED_ONLY = frozenset({"subscriptionIds", "groups"})
# Since the first reports.
_ADDED = frozenset({
    "findings", "release", "writer", "storeNumber", "warnings", "tenants", "requests", "scope", "identity", "inForce",
    "asked", "fingerprint", "waiting", "approvedBy", "approvedAt", "written",
    "destinations",
})  # fmt: skip


def as_far_as_readable(run_id: str, data: bytes, *, items: bool = True) -> dict[str, Any]:
    """A report with every member of the right type; what is wrong with it is its reason, its outcome `Unreadable`.

    Without `items` it is a summary, which has none.
    """
    try:
        document = stored_format.read_object("run report", data)
        document = _with_items(document) if items else {**document, "items": []}
    except stored_format.KeptAsIs as kept:
        return unreadable(run_id, {}, str(kept))
    report = {**_MEMBERS, **document}
    absent = sorted({*_MEMBERS} - {*document} - _ADDED)
    wrong = sorted(name for name, example in _MEMBERS.items() if not _is_like(report[name], example))
    if absent or wrong:
        return unreadable(run_id, report, f"this report lacks or misstates {', '.join([*absent, *wrong])}")
    if not all(isinstance(item, dict) for item in report["items"]):
        return unreadable(run_id, report, "this report holds items that are none")
    if not all(map(is_moment, (report["started"], report["ended"]))):
        return unreadable(run_id, report, "this report holds a time that is none")
    return {**report, **_times(report)}


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


def unreadable(run_id: str, report: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """What is known of a run from its id, and of its report as far as the types are right."""
    try:
        began = utc_text(day_of(run_id))
    except ValueError:
        began = utc_text(datetime.fromtimestamp(0, UTC))
    sound = {name: value for name, value in report.items() if name in _MEMBERS and _is_like(value, _MEMBERS[name])}
    shown = {"started": began, "ended": began, **_times(sound)}
    return {**_MEMBERS, **sound, "items": [], **shown, "runId": run_id, "outcome": UNREADABLE, "reason": reason}


def _times(report: Mapping[str, Any]) -> dict[str, str]:
    """The moments among the members, as this release writes them: earlier ones wrote `+00:00` for `Z`."""
    told = {name: report.get(name, "") for name in ("started", "ended", "approvedAt")}
    return {name: utc_text(utc_moment(text)) for name, text in told.items() if is_moment(text)}


def _is_like(value: Any, example: Any) -> bool:
    if isinstance(example, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(example, bool)
    return isinstance(value, int | float) if isinstance(example, int | float) else isinstance(value, type(example))


def is_moment(text: str) -> bool:
    """Whether the text is a time with its zone."""
    try:
        utc_moment(text)
    except ValueError:
        return False
    return True


def day_of(run_id: str) -> datetime:
    """When the run of this id began, to the microsecond: two runs in one second keep their order.

    Raises:
        ValueError: the id holds no time.
    """
    return datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
