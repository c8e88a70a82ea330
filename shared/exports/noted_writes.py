"""Deeds on export files for the audit trail: what each replaces and leaves, and whether one that was cut off was done.

Every put and delete raises the store's number first, and what it leaves bears that number, so that no two look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared import stored_format
from shared.audit.deed import ACCEPT, DELETE, DONE, END, PUT, Deed, digest
from shared.audit.trail import Witness
from shared.exports.export_blobs import DELETED, ExportBlobs, Version
from shared.exports.last_known_good import TOMBSTONE_MEMBERS
from shared.exports.store_number import StoreNumber, stated

_NOTHING, _UNNUMBERED = 0, -1
STORE: Final = "the store of export files"


def put_deed(name: str, by: str, number: int, before: Version | None, data: bytes) -> Deed:
    """The deed of storing a version under the store's `number`."""
    marks = {"leaves": number, "replaces": _of(before)}
    return Deed.now(PUT, name, by, before=_digest(before), after=digest(data), marks=marks)


def delete_deed(name: str, by: str, number: int, before: Version | None, reason: str) -> Deed:
    """The deed of deleting an export, or of ending one that has no file."""
    kind = END if before is None else DELETE
    marks = {"leaves": _NOTHING, "replaces": _of(before), "tombstone": number}
    return Deed.now(kind, name, by, before=_digest(before), marks=marks, details={"why": reason} if reason else {})


def accept_deed(by: str, number: int) -> Deed:
    """The deed of saying that the store is meant as it is."""
    return Deed.now(ACCEPT, STORE, by, marks={"accepted": number}, details={"number": number})


def _digest(version: Version | None) -> str:
    return digest(version.data) if version else ""


def _of(version: Version | None) -> int:
    """The number of a version, as a mark; -1 where it bears none, 0 where there is no version."""
    return _NOTHING if version is None else stated(version.metadata) or _UNNUMBERED


def was_done(deed: Deed, others: Sequence[Deed], now: int) -> bool | None:
    """Whether a put or delete was done, when the version `now` is there; None where that can't be told.

    What a deed leaves was there if it is now, or if another deed replaced it.  A version is replaced once, for every
    write names its ETag: another deed that did so was not this one.
    """
    leaves, replaces = deed.marks.get("leaves"), deed.marks.get("replaces")
    seen = {now, *(each.marks.get("replaces") for each in others)} - {_NOTHING}
    after = {each.marks.get("replaces") for each in others if each.at > deed.at}
    rivals = [each for each in others if each.marks.get("replaces") == replaces and replaces != _NOTHING]
    if leaves in seen:
        return True
    if now == replaces or any(each.marks.get("leaves") in seen or _deleted(each) for each in rivals):
        return False
    if leaves != _NOTHING:
        return False if replaces == _NOTHING and _NOTHING in after else None
    if any(each.deed == DELETE for each in rivals):
        return None
    return True if _NOTHING in {now, *after} else None


def _deleted(each: Deed) -> bool:
    return each.deed == DELETE and each.outcome == DONE


class Witnesses:
    """Tell from what is stored whether a deed that was cut off was done."""

    def __init__(self, blobs: ExportBlobs, number: StoreNumber) -> None:
        self._blobs = blobs
        self._number = number

    def by_kind(self) -> dict[str, Witness]:
        """The witness of each kind of deed."""
        return {PUT: self._written, DELETE: self._written, END: self._buried, ACCEPT: self._accepted}

    async def _written(self, deed: Deed, others: Sequence[Deed]) -> bool | None:
        """By the version that is there now, and those that other deeds found."""
        return was_done(deed, others, _of(await self._blobs.version(deed.target)))

    async def _buried(self, deed: Deed, others: Sequence[Deed]) -> bool | None:
        """By the record of the delete, which bears the number."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._blobs.container.download_blob(f"{DELETED}{deed.target}.json")
            found = stored_format.read_object("tombstone", await stream.readall(), TOMBSTONE_MEMBERS).get("number")
        except ResourceNotFoundError:
            return None if others else False
        except stored_format.KeptAsIs:
            return None
        if found == deed.marks.get("tombstone"):
            return True
        return None if others else False

    async def _accepted(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """By what the store's number was when it was last accepted."""
        try:
            accepted = (await self._number.read()).accepted
        except stored_format.KeptAsIs:
            return None
        mine = deed.marks.get("accepted")
        if accepted == mine:
            return True
        return False if isinstance(mine, int) and accepted < mine else None
