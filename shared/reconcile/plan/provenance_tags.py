"""What a write leaves on an automation: who wrote it, from which state of the store, what, and by which release.

The marks are tags outside the prefix that decides about changes, so they are never a reason to write; each write that
happens anyway renews them.  An automation without them is ours as far as its ownership tags say so.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared import __version__, stored_format
from shared.clock import utc_moment, utc_text
from shared.exports.compiler import FINGERPRINT_TAG
from shared.exports.ownership import owned, tag
from shared.reconcile.model import Inventory, Live

WRITER_TAG = "managed-by-writer"
NUMBER_TAG = "managed-by-store-number"
APPLIED_TAG = "managed-by-applied"
RELEASE_TAG = "managed-by-release"
SINCE_TAG = "managed-by-since"
LET_THROUGH_TAG = "managed-by-let-through"
MARK_TAGS = frozenset({WRITER_TAG, NUMBER_TAG, APPLIED_TAG, RELEASE_TAG, SINCE_TAG, LET_THROUGH_TAG})
_MAX_DIGITS = 15
# A mark on one subscription's automations holds that subscription; from this many on it holds the whole instance.
WITNESSES = 2
_FORMAT = stored_format.FORMATS["writer's mark"].number


@dataclass(frozen=True)
class Mark:
    """The marks of one automation; empty and 0 where it has none.  `trouble` says why they can't be read.

    `since` is when the body that it has was first written, `let_through` the release whose changes to it a run
    named.
    """

    writer: str = ""
    number: int = 0
    applied: str = ""
    trouble: str = ""
    since: datetime | None = None
    let_through: str = ""


@dataclass(frozen=True)
class Writer:
    """Who writes for an instance: `name` is the storage account and the container of its files.

    `number` is the store's number as read for this run, `reported` the one that the last complete run noted.
    `trouble` says why the store's number is not known.
    """

    name: str = ""
    number: int = 0
    reported: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class Standing:
    """What the marks in the tenant let this writer do: `hold` stops every write, `held` those of a subscription."""

    hold: str = ""
    held: Mapping[str, str] = field(default_factory=dict)


def read_mark(tags: Mapping[str, str]) -> Mark:
    """The marks among an automation's tags."""
    number, applied = tag(tags, NUMBER_TAG), tag(tags, APPLIED_TAG)
    form, colon, digest = applied.partition(":")
    trouble = ""
    if applied and (not colon or not form.isdecimal()):
        trouble = f"its tag {APPLIED_TAG} is none of this app's"
    elif applied:
        try:
            stored_format.admit("writer's mark", {"format": form, "release": tag(tags, RELEASE_TAG)})
        except stored_format.KeptAsIs as kept:
            trouble = str(kept)
    if number and not (number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS):
        trouble = trouble or f"its tag {NUMBER_TAG} is no number"
        number = ""
    return Mark(
        tag(tags, WRITER_TAG).lower(),
        int(number or 0),
        digest if not trouble else "",
        trouble,
        _moment(tag(tags, SINCE_TAG)),
        tag(tags, LET_THROUGH_TAG),
    )


def mark_tags(
    writer: Writer, applied: str, before: Mapping[str, str], now: datetime, *, let_through: bool = False
) -> dict[str, str]:
    """The tags that a write leaves on an automation that had the tags `before`.

    `applied` is the digest of the whole body, empty where only a part was written: what is known of the body then
    stays.  With `let_through` the run names what this release changes.
    """
    tags = {WRITER_TAG: writer.name, RELEASE_TAG: __version__}
    if not applied:
        return tags | _kept(before, NUMBER_TAG, APPLIED_TAG, SINCE_TAG, LET_THROUGH_TAG)
    tags |= {NUMBER_TAG: str(writer.number), APPLIED_TAG: f"{_FORMAT}:{applied}"}
    if read_mark(before).applied == applied:
        return tags | _kept(before, SINCE_TAG, LET_THROUGH_TAG)
    since = utc_text(now, "seconds")
    return tags | {SINCE_TAG: since} | ({LET_THROUGH_TAG: __version__} if let_through else {})


def _kept(before: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name in names if (value := tag(before, name))}


def _moment(text: str) -> datetime | None:
    """A time with its zone; None for anything else, which then holds nothing up."""
    try:
        return utc_moment(text)
    except ValueError:
        return None


def digest(body: Mapping[str, Any]) -> str:
    """What identifies a compiled body, apart from the key's fingerprint: 16 hexadecimal digits of its SHA-256.

    The name of the key's rule is left out: the marks of releases that did not compile it are still to be read.
    """
    tags = {name: value for name, value in (body.get("tags") or {}).items() if name != FINGERPRINT_TAG}
    properties = dict(body.get("properties") or {})
    if "actions" in properties:
        properties["actions"] = [
            {name: value for name, value in action.items() if name != "sasPolicyName"}
            for action in properties["actions"]
        ]
    text = json.dumps([tags, properties], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def standing(inventory: Inventory, instance_id: str, writer: Writer) -> Standing:
    """Compare what the marks say with this writer and its store."""
    foreign: dict[str, set[str]] = defaultdict(set)
    ahead: dict[str, int] = {}
    held: dict[str, str] = {}
    for automation in inventory.automations:
        if not owned(automation.tags, instance_id):
            continue
        mark, where = read_mark(automation.tags), automation.id.key[0]
        if mark.trouble:
            held[where] = f"{automation.id.name}: {mark.trouble}"
        if writer.name and mark.writer not in {"", writer.name}:
            foreign[where].add(mark.writer)
        if mark.number > writer.number:
            ahead[where] = max(mark.number, ahead.get(where, 0))
    enough = min(WITNESSES, max(1, len(inventory.subscriptions)))
    for where, names in foreign.items():
        held[where] = _written_by_others(names)
    for where, number in ahead.items():
        held.setdefault(where, _went_back(number, writer.number))
    return Standing(_whole(foreign, ahead, writer, enough), held)


def _whole(foreign: Mapping[str, set[str]], ahead: Mapping[str, int], writer: Writer, enough: int) -> str:
    """Why the whole instance writes nothing; empty when it may."""
    if writer.trouble:
        return writer.trouble
    if len(foreign) >= enough:
        return _written_by_others({name for names in foreign.values() for name in names})
    highest = max((*ahead.values(), writer.reported), default=0)
    if writer.reported > writer.number or len(ahead) >= enough:
        return _went_back(highest, writer.number)
    return ""


def _written_by_others(names: Iterable[str]) -> str:
    return (
        f"another app writes for this instance ({', '.join(sorted(names))}): let only one run, or take over with "
        "`defender-export claim`"
    )


def _went_back(seen: int, number: int) -> str:
    return (
        f"the store of export files has the number {number}, and {seen} was in force: it was put back to an earlier "
        "state or filled anew; put the missing files back, then say that it is meant: `defender-export exports accept`"
    )


def highest_number(automations: Iterable[Live], instance_id: str) -> int:
    """The highest number of the store that this instance's automations tell of."""
    marks = (read_mark(each.tags) for each in automations if owned(each.tags, instance_id))
    return max((mark.number for mark in marks), default=0)
