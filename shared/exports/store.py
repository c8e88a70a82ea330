"""Export files in Blob Storage, the only source of truth: list, read, put and delete.

`current/<name>.yaml` is what was put; `accepted/<name>.yaml` is the last version that the app took on after its checks,
and carries the ETag of the version it was copied from.  `deleted/<name>.json` is the record of a delete: a name without
a file and without that record was lost, not deleted.  `number.json` holds the store's number.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared import stored_format
from shared.clock import utc_text
from shared.exports.diagnostics import InvalidExport
from shared.exports.export_blobs import (
    ACCEPTED,
    CURRENT,
    DELETED,
    ExportBlobs,
    ExportConflict,
    ExportNotFound,
    blob_name,
    condition,
    is_export_name,
    quoted,
)
from shared.exports.last_known_good import BY, TOMBSTONE_MEMBERS, ExportsInForce, LoadedExports
from shared.exports.noted_writes import Witnesses, accept_deed, delete_deed, put_deed
from shared.exports.store_number import StoreNumber, about_version
from shared.exports.validation import Checked, check_beside, check_new_version

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.deed import Deed
    from shared.audit.trail import Trail, Witness
    from shared.exports.export_blobs import Version
    from shared.exports.model import ExportConfig


@dataclass(frozen=True)
class StoredExport:
    """One export file as stored; `etag` is quoted, as HTTP has it."""

    name: str
    text: bytes
    etag: str


@dataclass(frozen=True)
class StoredEntry:
    """One export file in a listing; `size` in bytes."""

    name: str
    etag: str
    size: int
    modified: datetime


class ExportStore:
    """Export files in one container, which the deployment makes; one that is missing is an error.

    Each write is noted in the audit `trail`, and not done where it can't be; only tests write without one.
    """

    def __init__(self, container: ContainerClient, trail: Trail | None = None) -> None:
        self._container = container
        self._trail = trail
        self._blobs = ExportBlobs(container)
        self._number = StoreNumber(self._blobs)
        self._in_force = ExportsInForce(self._blobs, self._number)

    async def list(self) -> list[StoredEntry]:
        """Every stored export, ordered by name; blobs that are no export file are left out."""
        return [
            StoredEntry(name, quoted(blob.etag), blob.size, blob.last_modified)
            for name, blob in sorted((await self._blobs.listed(CURRENT)).items())
            if is_export_name(name)
        ]

    async def get(self, name: str) -> StoredExport:
        """The newest version, valid or not.

        Raises:
            ExportNotFound: there is none of this name.
        """
        return StoredExport(name, *await self._blobs.download(CURRENT, name))

    async def put(
        self,
        name: str,
        text: str | bytes | Checked,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        accept: bool = True,
        by: str = "",
        beside: Mapping[str, ExportConfig | None] | None = None,
    ) -> str:
        """Store a new version after all checks, and return its ETag; `if_none_match="*"` only creates.

        With `accept` it is taken on at once; else the app takes it on in its next run, after checks of its own.
        A text that `check_new_version` checked already is checked in the set only.
        `beside` has what is put or deleted (None) in the same turn, for the check of the set.  `by` is who puts it,
        kept beside the version.

        Raises:
            InvalidExport: the text is no valid export, or its name is another one.
            ExportConflict: the stored version is not `if_match`, or exists despite `if_none_match`.
            shared.stored_format.KeptAsIs: the store's number can't be read, so that nothing may be written.
        """
        if isinstance(text, Checked):
            checked = await self.check_beside(name, text, beside)
        else:
            checked = await self.check(name, text, beside)
        if not checked.valid:
            raise InvalidExport(checked.findings)
        data = checked.text.encode() if isinstance(checked.text, str) else checked.text
        before = await self._blobs.version(name)
        _refuse_if_other(name, before, if_match, if_none_match)
        number = await self._number.raised()
        about = about_version(number) | ({BY: _ascii(by)} if by else {})
        as_read = condition(before.etag, None) if before else condition(None, "*")
        async with self._noted(put_deed(name, by, number, before, data)):
            uploaded = await self._blobs.upload_if(name, data, about, as_read)
        etag = quoted(uploaded["etag"])
        await self._blobs.remove(f"{DELETED}{name}.json")
        if accept:
            await self._blobs.upload(ACCEPTED, name, data, metadata={**about, "etag": etag.strip('"')})
        return etag

    async def check(
        self, name: str, text: str | bytes, beside: Mapping[str, ExportConfig | None] | None = None
    ) -> Checked:
        """All checks of `text` as the new version of `name`: the file, its own tests, and the set that it joins."""
        return await self.check_beside(name, await asyncio.to_thread(check_new_version, name, text), beside)

    async def check_beside(
        self, name: str, checked: Checked, beside: Mapping[str, ExportConfig | None] | None = None
    ) -> Checked:
        """A version that `check_new_version` checked, with the findings of the set that it joins."""
        if checked.config is None or not checked.valid:
            return checked
        stored = {each.name: each.config for each in (await self.load_all()).exports}
        others = {one: config for one, config in (stored | dict(beside or {})).items() if config and one != name}
        found = await asyncio.to_thread(check_beside, name, checked.config, others)
        return replace(checked, findings=(*checked.findings, *found))

    async def delete(self, name: str, *, if_match: str | None = None, reason: str = "", by: str = "") -> None:
        """Take an export out of the store, its accepted version too, and leave a record of it.

        Raises:
            ExportNotFound: there is none of this name.
            ExportConflict: the stored version is not `if_match`.
            shared.stored_format.KeptAsIs: the store's number can't be read, so that nothing may be written.
        """
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        before = await self._blobs.version(name)
        if before is None:
            raise ExportNotFound(f"there is no export named {name!r}")
        _refuse_if_other(name, before, if_match, None)
        number = await self._number.raised()
        async with self._noted(delete_deed(name, by, number, before, reason)):
            await self._bury(name, number, reason, by)
            try:
                await self._container.delete_blob(blob_name(CURRENT, name), **condition(before.etag, None))
            except (ResourceNotFoundError, ResourceModifiedError) as error:
                if isinstance(error, ResourceModifiedError):
                    await self._blobs.remove(f"{DELETED}{name}.json")
                    raise ExportConflict(f"export {name!r} has changed since it was read") from error
                raise ExportNotFound(f"there is no export named {name!r}") from error
        await self._blobs.remove(blob_name(ACCEPTED, name))

    async def end(self, name: str, *, by: str, reason: str = "") -> None:
        """Record that an export is deleted whose file is not there any more, so that its automations may go.

        Raises:
            ExportNotFound: this can be no export's name.
            ExportConflict: the export has a file; delete that.
            shared.stored_format.KeptAsIs: the store's number can't be read, so that nothing may be written.
        """
        try:
            await self.get(name)
        except ExportNotFound:
            blob_name(DELETED, name)
            number = await self._number.raised()
            async with self._noted(delete_deed(name, by, number, None, reason)):
                await self._bury(name, number, reason, by)
            await self._blobs.remove(blob_name(ACCEPTED, name))
            return
        raise ExportConflict(f"export {name!r} has a file")

    def _noted(self, deed: Deed) -> AbstractAsyncContextManager[None]:
        return self._trail.doing(deed, (ExportConflict, ExportNotFound)) if self._trail else nullcontext()

    async def _bury(self, name: str, number: int, reason: str, by: str) -> None:
        record = {
            **stored_format.stamp("tombstone"),
            "name": name,
            "number": number,
            "deleted": utc_text(datetime.now(UTC), "seconds"),
            "reason": reason,
            BY: by,
        }
        await self._container.upload_blob(f"{DELETED}{name}.json", json.dumps(record), overwrite=True)

    def witness(self, kind: str) -> Witness | None:
        """What tells whether a deed of this kind on export files was done; None for other kinds."""
        return Witnesses(self._blobs, self._number).by_kind().get(kind)

    async def authors(self, names: Collection[str]) -> dict[str, str]:
        """Who put the newest version of each export, or deleted it; a name is absent where that is not known."""
        current, deleted = await asyncio.gather(self._blobs.listed(CURRENT), self._blobs.listed(DELETED, ".json"))
        found = {name: str((current[name].metadata or {}).get(BY, "")) for name in names if name in current}
        for name in names:
            if name in deleted and name not in current:
                try:
                    data = await (await self._container.download_blob(f"{DELETED}{name}.json")).readall()
                    found[name] = str(stored_format.read_object("tombstone", data, TOMBSTONE_MEMBERS).get(BY, ""))
                except stored_format.KeptAsIs:
                    continue
        return {name: author for name, author in found.items() if author}

    async def number(self) -> int:
        """The store's number, as `StoreNumber.current` has it."""
        return await self._number.current()

    async def accept(self, seen: int, by: str = "") -> int:
        """Say that the store is meant as it is, as `StoreNumber.accept` does; `by` is who, where that is not noted."""
        number = await self._number.next_above(seen)
        async with self._noted(accept_deed(by, number)) if by else nullcontext():
            await self._number.accept(number)
        return number

    async def load_all(self) -> LoadedExports:
        """Every export in force, as `ExportsInForce.load_all` reads them."""
        return await self._in_force.load_all()

    async def take_on(self, loaded: LoadedExports) -> int:
        """Keep the valid versions that were loaded as accepted ones; gives the store's number."""
        return await self._in_force.take_on(loaded)


def _refuse_if_other(name: str, version: Version | None, if_match: str | None, if_none_match: str | None) -> None:
    """Refuse a write whose condition does not hold.

    Raises:
        ExportConflict: the stored version is not the one that was named.
    """
    named = if_match is None or (version is not None and if_match in {"*", version.etag, version.etag.strip('"')})
    if not named or (if_none_match is not None and version is not None):
        raise ExportConflict(f"export {name!r} has changed since it was read")


def _ascii(text: str) -> str:
    """A text as a blob's metadata can hold it."""
    return text.encode("ascii", "backslashreplace").decode()
