"""The number of the export store: raised before each put and each delete, and noted on each version that is put.

By it a store that was put back to an earlier state can be told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shared import stored_format
from shared.azure.archive_tier import kept_if_archived
from shared.exports.export_blobs import ExportBlobs, ExportConflict, is_container_missing

_NUMBER: Final = "number.json"
_NUMBER_MEMBERS: Final = frozenset({"number", "accepted"})
_WRITE_TRIES: Final = 20


class Number(NamedTuple):
    """The store's number, what it was when the store was last said to be meant, and the ETag of the record."""

    number: int
    accepted: int
    etag: str | None


class StoreNumber:
    """The number in its blob beside the files."""

    def __init__(self, blobs: ExportBlobs) -> None:
        self._blobs = blobs

    async def current(self) -> int:
        """The store's number: how often something was put or deleted; 0 where that was never counted.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read, or a newer release wrote it.
        """
        return (await self.read()).number

    async def next_above(self, seen: int) -> int:
        """The number of a store that is accepted now, though `seen` was in force elsewhere."""
        try:
            number = await self.current()
        except stored_format.KeptAsIs:
            number = 0
        return max(number, seen) + 1

    async def accept(self, number: int) -> None:
        """Say that the store is meant as it is; from then on every stored file counts as put just now."""
        await self._blobs.container.upload_blob(_NUMBER, _numbered(number, number), overwrite=True)

    async def read(self) -> Number:
        """The number with what it was when the store was last accepted.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read, or a newer release wrote it.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            with kept_if_archived(_NUMBER):
                stream = await self._blobs.container.download_blob(_NUMBER)
                data = await stream.readall()
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            return Number(0, 0, None)
        document = stored_format.read_object("store number", data, _NUMBER_MEMBERS)
        found = [document.get("number"), document.get("accepted", 0)]
        numbers = [one for one in found if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
        if len(numbers) < len(found):
            raise stored_format.KeptAsIs("this store number is none: say that the store is meant with `exports accept`")
        return Number(numbers[0], numbers[1], stream.properties.etag)

    async def raised(self) -> int:
        """Raise the number by one; gives the new one.

        Raises:
            ExportConflict: others write all the time.
            shared.stored_format.KeptAsIs: it can't be read, or a newer release wrote it.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        for _ in range(_WRITE_TRIES):
            known = await self.read()
            condition: dict[str, Any] = (
                {"overwrite": False}
                if known.etag is None
                else {"overwrite": True, "etag": known.etag, "match_condition": MatchConditions.IfNotModified}
            )
            try:
                number = _numbered(known.number + 1, known.accepted)
                await self._blobs.container.upload_blob(_NUMBER, number, **condition)
            except (ResourceExistsError, ResourceModifiedError):
                continue  # another writer was first
            return known.number + 1
        raise ExportConflict("others write to the store all the time; try again")


def _numbered(number: int, accepted: int) -> str:
    return json.dumps({**stored_format.stamp("store number"), "number": number, "accepted": accepted})


def about_version(number: int) -> dict[str, str]:
    """The metadata of a version that was put when the store had this number."""
    return {**stored_format.stamp_texts("accepted file"), "number": str(number)}


def stated(metadata: Mapping[str, str]) -> int:
    """The number that a version says it was put at; 0 where it says none."""
    text = metadata.get("number", "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def is_readable(metadata: Mapping[str, str]) -> bool:
    """Whether an accepted version may be read and replaced: a newer release's is kept for it."""
    try:
        stored_format.admit("accepted file", metadata)
    except stored_format.KeptAsIs:
        return False
    return True


def version_number(current: Mapping[str, str], accepted: Mapping[str, str], store: Number, *, taken_on: bool) -> int:
    """The number of a version; one that was put without the app, or restored, counts as put just now."""
    if taken_on:
        return max(stated(accepted), store.accepted)
    put_at = stated(current)
    return max(put_at, store.accepted) if put_at > stated(accepted) else store.number + 1
