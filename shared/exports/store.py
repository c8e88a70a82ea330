"""Export files in Blob Storage, the only source of truth: the newest of each, and the last one that was valid.

`current/<name>.yaml` is what was put; `accepted/<name>.yaml` is the last version that the app took on after its checks,
and carries the ETag of the version it was copied from.  A file that was put behind the app's back and is invalid is
reported, and its accepted version stays in force.  `deleted/<name>.json` is the record of a delete: a name without a
file and without that record was lost, not deleted.  `number.json` holds a number that is raised before each put and
each delete, so that a store that was put back to an earlier state can be told.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared import stored_format
from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.validation import Checked, check_text, check_together
from shared.exports.yaml_reader import MAX_BYTES

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.exports.model import ExportConfig

_CURRENT: Final = "current/"
_ACCEPTED: Final = "accepted/"
_DELETED: Final = "deleted/"
_NUMBER: Final = "number.json"
_NUMBER_MEMBERS: Final = frozenset({"number", "accepted"})
_TOMBSTONE_MEMBERS: Final = frozenset({"name", "number", "deleted", "reason"})
_WRITE_TRIES: Final = 20
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
EXPORT_NAME: Final = f"^{_NAME.pattern}$"
_READS_AT_ONCE: Final = 16


class ExportNotFound(LookupError):  # noqa: N818 - names the state of the store
    """The store has no export of this name."""


class ExportConflict(RuntimeError):  # noqa: N818 - names the state of the store
    """The stored export is not the version that the caller named, or exists already."""


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


@dataclass(frozen=True)
class LoadedExport:
    """An export in force; `last_known_good` when its newest version is invalid and an earlier one stands in.

    `number` is the store's number when this version was put; 0 for one that was put before the store had a number.
    `new` says that this version was not yet taken on by the app.
    """

    name: str
    config: ExportConfig
    etag: str
    last_known_good: bool = False
    number: int = 0
    new: bool = False


@dataclass(frozen=True)
class Problem:
    """An export whose newest version is invalid; `in_force` says whether an earlier version stands in."""

    name: str
    findings: tuple[Diagnostic, ...]
    in_force: bool


@dataclass(frozen=True)
class LoadedExports:
    """Everything the store declares, by name.

    `problems` with `in_force` false name exports whose intent is unknown: nothing of theirs may be deleted.
    `warnings` are findings on the set as a whole (two exports that would own one automation).  `deleted` maps a name
    to the sentence that tells of its delete.  `number` is the store's; `trouble` says why it is not known.
    """

    exports: tuple[LoadedExport, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    deleted: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    trouble: str = ""

    @property
    def unknown(self) -> frozenset[str]:
        """Names of exports that exist but say nothing readable."""
        return frozenset(problem.name for problem in self.problems if not problem.in_force)


class ExportStore:
    """Export files in one container, which the deployment makes; one that is missing is an error.

    Names are checked before they become part of a blob's name.  Failures of the storage itself are raised as the SDK
    raises them: an export that can't be read just now must never be taken for one that was deleted.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container
        self._read: dict[tuple[str, str], Checked] = {}

    async def list(self) -> list[StoredEntry]:
        """Every stored export, ordered by name; blobs that are no export file are left out."""
        return [
            StoredEntry(name, _quoted(blob.etag), blob.size, blob.last_modified)
            for name, blob in sorted((await self._blobs(_CURRENT)).items())
            if _NAME.fullmatch(name)
        ]

    async def get(self, name: str) -> StoredExport:
        """The newest version, valid or not.

        Raises:
            ExportNotFound: there is none of this name.
        """
        return StoredExport(name, *await self._download(_CURRENT, name))

    async def put(
        self,
        name: str,
        text: str | bytes,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        accept: bool = True,
    ) -> str:
        """Store a new version after all checks, and return its ETag; `if_none_match="*"` only creates.

        With `accept` it is taken on at once; else the app takes it on in its next run, after checks of its own.

        Raises:
            InvalidExport: the text is no valid export, or its name is another one.
            ExportConflict: the stored version is not `if_match`, or exists despite `if_none_match`.
            shared.stored_format.KeptAsIs: the store's number can't be read, so that nothing may be written.
        """
        checked = check_version(name, text)
        if not checked.valid:
            raise InvalidExport(checked.findings)
        data = text.encode() if isinstance(text, str) else text
        _blob(_CURRENT, name)
        number = await self._raise_number()
        about = _about(number)
        uploaded = await self._conditionally(name, data, about, _condition(if_match, if_none_match))
        etag = _quoted(uploaded["etag"])
        await self._remove(f"{_DELETED}{name}.json")
        if accept:
            await self._upload(_ACCEPTED, name, data, metadata={**about, "etag": etag.strip('"')})
        return etag

    async def delete(self, name: str, *, if_match: str | None = None, reason: str = "") -> None:
        """Take an export out of the store, its accepted version too, and leave a record of it.

        Raises:
            ExportNotFound: there is none of this name.
            ExportConflict: the stored version is not `if_match`.
            shared.stored_format.KeptAsIs: the store's number can't be read, so that nothing may be written.
        """
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        etag = (await self.get(name)).etag
        if if_match not in {None, "*"} and _quoted(str(if_match)) != etag:
            raise ExportConflict(f"export {name!r} has changed since it was read")
        await self._bury(name, reason)
        try:
            await self._container.delete_blob(_blob(_CURRENT, name), **_condition(etag, None))
        except (ResourceNotFoundError, ResourceModifiedError) as error:
            if isinstance(error, ResourceModifiedError):
                await self._remove(f"{_DELETED}{name}.json")
                raise ExportConflict(f"export {name!r} has changed since it was read") from error
            raise ExportNotFound(f"there is no export named {name!r}") from error
        await self._remove(_blob(_ACCEPTED, name))

    async def end(self, name: str, *, reason: str = "") -> None:
        """Record that an export is deleted whose file is not there any more, so that its automations may go.

        Raises:
            ExportNotFound: this can be no export's name.
            ExportConflict: the export has a file; delete that.
            shared.stored_format.KeptAsIs: the store's number can't be read, so that nothing may be written.
        """
        try:
            await self.get(name)
        except ExportNotFound:
            _blob(_DELETED, name)
            await self._bury(name, reason)
            await self._remove(_blob(_ACCEPTED, name))
            return
        raise ExportConflict(f"export {name!r} has a file")

    async def _bury(self, name: str, reason: str) -> None:
        number = await self._raise_number()
        record = {
            **stored_format.stamp("tombstone"),
            "name": name,
            "number": number,
            "deleted": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason,
        }
        await self._container.upload_blob(f"{_DELETED}{name}.json", json.dumps(record), overwrite=True)

    async def number(self) -> int:
        """The store's number: how often something was put or deleted; 0 where that was never counted.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read, or a newer release wrote it.
        """
        return (await self._read_number()).number

    async def accept(self, seen: int) -> int:
        """Say that the store is meant as it is, though the number `seen` was in force elsewhere; gives the new one.

        From then on every stored file counts as put just now.
        """
        try:
            number = await self.number()
        except stored_format.KeptAsIs:
            number = 0
        number = max(number, seen) + 1
        await self._container.upload_blob(_NUMBER, _numbered(number, number), overwrite=True)
        return number

    async def _read_number(self) -> _Number:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(_NUMBER)
            data = await stream.readall()
        except ResourceNotFoundError as error:
            if _is_container_missing(error):
                raise
            return _Number(0, 0, None)
        document = stored_format.read_object("store number", data, _NUMBER_MEMBERS)
        found = [document.get("number"), document.get("accepted", 0)]
        numbers = [one for one in found if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
        if len(numbers) < len(found):
            raise stored_format.KeptAsIs("this store number is none: say that the store is meant with `exports accept`")
        return _Number(numbers[0], numbers[1], stream.properties.etag)

    async def _raise_number(self) -> int:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        for _ in range(_WRITE_TRIES):
            known = await self._read_number()
            condition: dict[str, Any] = (
                {"overwrite": False}
                if known.etag is None
                else {"overwrite": True, "etag": known.etag, "match_condition": MatchConditions.IfNotModified}
            )
            try:
                await self._container.upload_blob(_NUMBER, _numbered(known.number + 1, known.accepted), **condition)
            except (ResourceExistsError, ResourceModifiedError):
                continue  # another writer was first
            return known.number + 1
        raise ExportConflict("others write to the store all the time; try again")

    async def take_on(self, loaded: LoadedExports) -> int:
        """Keep the valid versions that were loaded as accepted ones; only the app's own writing runs do so.

        Gives the store's number, which is raised for those that were put behind the app's back.
        """
        number = loaded.number
        for export in loaded.exports:
            checked = self._read.get((export.name, export.etag))
            if not export.new or checked is None:
                continue
            if export.number > number:
                number = await self._raise_number()
            about = {**_about(min(export.number, number)), "etag": export.etag.strip('"')}
            await self._upload(_ACCEPTED, export.name, checked.text, metadata=about)
        return number

    async def load_all(self) -> LoadedExports:
        """Every export in force: its newest version, or the last one that was taken on, with what is wrong."""
        store, trouble = _Number(0, 0, None), ""
        try:
            store = await self._read_number()
        except stored_format.KeptAsIs as kept:
            trouble = str(kept)
        # Listed after the number was read: what is put meanwhile has a higher number, and so counts as an edit later.
        current, accepted, deleted = await asyncio.gather(
            self._blobs(_CURRENT), self._blobs(_ACCEPTED), self._blobs(_DELETED, ".json")
        )
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def load(name: str, blob: Any) -> tuple[LoadedExport | None, Problem | None]:
            async with gate:
                return await self._load(name, blob, accepted.get(name), store)

        async def record(name: str) -> tuple[str, str | Problem | None]:
            async with gate:
                return name, await self._tombstone(name)

        loaded = await asyncio.gather(*(load(name, blob) for name, blob in sorted(current.items())))
        records = await asyncio.gather(*(record(name) for name in sorted(deleted) if name not in current))
        self._read = {key: checked for key, checked in self._read.items() if key[0] in current}
        exports = tuple(export for export, _ in loaded if export is not None)
        together = check_together([(export.name, export.config) for export in exports])
        problems = [problem for _, problem in loaded if problem is not None]
        return LoadedExports(
            exports,
            (*problems, *(found for _, found in records if isinstance(found, Problem))),
            tuple(together),
            {name: found for name, found in records if isinstance(found, str)},
            store.number,
            trouble,
        )

    async def _tombstone(self, name: str) -> str | Problem | None:
        """The sentence of a delete; a problem where its record can't be read, None where it is gone by now."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            data = await (await self._container.download_blob(f"{_DELETED}{name}.json")).readall()
            found = stored_format.read_object("tombstone", data, _TOMBSTONE_MEMBERS)
        except ResourceNotFoundError:
            return None
        except stored_format.KeptAsIs as kept:
            return Problem(name, (Diagnostic("tombstone", "error", name, str(kept), ""),), in_force=False)
        when, reason = found.get("deleted"), found.get("reason", "")
        if found.get("name") != name or not isinstance(when, str) or not isinstance(reason, str):
            sentence = "the record of its delete is damaged: delete it again, or put it again."
            return Problem(name, (Diagnostic("tombstone", "error", name, sentence, ""),), in_force=False)
        return f"it was deleted {when}" + (f" ({reason})" if reason else "")

    async def _load(
        self, name: str, blob: Any, accepted: Any, store: _Number
    ) -> tuple[LoadedExport | None, Problem | None]:
        try:
            checked, etag = await self._checked(name, blob)
        except ExportNotFound:
            return None, None  # deleted since the listing
        known = (accepted.metadata or {}) if accepted is not None else {}
        taken_on = accepted is not None and _quoted(known.get("etag", "")) == etag
        if checked.config is not None and checked.valid:
            number = _version_number(blob.metadata or {}, known, store, taken_on=taken_on)
            new = not taken_on and _is_readable(known)
            return LoadedExport(name, checked.config, etag, number=number, new=new), None
        earlier = await self._last_known_good(name) if accepted is not None and _is_readable(known) else None
        findings = (*checked.findings, *_written_by(name, blob.metadata or {}))
        problem = Problem(name, findings, in_force=earlier is not None)
        if earlier is None:
            return None, problem
        return LoadedExport(
            name, earlier, etag, last_known_good=True, number=max(_stated(known), store.accepted)
        ), problem

    async def _checked(self, name: str, blob: Any) -> tuple[Checked, str]:
        """The checks of the newest version and its ETag; a version is read once."""
        etag = _quoted(blob.etag)
        if (name, etag) in self._read:
            return self._read[name, etag], etag
        if not _NAME.fullmatch(name):
            finding = Diagnostic("bad-name", "error", name, "this is no export's name.", "Delete the blob.")
            return Checked(name, b"", None, (finding,)), etag
        if blob.size > MAX_BYTES:
            sentence = f"the file has {blob.size:,} bytes; at most {MAX_BYTES:,} are read."
            return Checked(
                name, b"", None, (Diagnostic("too-large", "error", name, sentence, "Split the export."),)
            ), etag
        data, etag = await self._download(_CURRENT, name)
        checked = check_version(name, data)
        self._read = {k: v for k, v in self._read.items() if k[0] != name} | {(name, etag): checked}
        return checked, etag

    async def _last_known_good(self, name: str) -> ExportConfig | None:
        """The accepted version; checks that came later are not held against it."""
        try:
            data, _ = await self._download(_ACCEPTED, name)
        except ExportNotFound:
            return None
        return check_version(name, data).config

    async def _blobs(self, prefix: str, suffix: str = ".yaml") -> dict[str, Any]:
        """Blobs under `prefix` by export name.

        Raises:
            azure.core.exceptions.ResourceNotFoundError: there is no container, which is not the same as no export.
        """
        return {
            blob.name.removeprefix(prefix).removesuffix(suffix): blob
            async for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"])
            if blob.name.endswith(suffix)
        }

    async def _download(self, prefix: str, name: str) -> tuple[bytes, str]:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(_blob(prefix, name))
            return await stream.readall(), _quoted(stream.properties.etag)
        except ResourceNotFoundError as error:
            if _is_container_missing(error):
                raise
            raise ExportNotFound(f"there is no export named {name!r}") from error

    async def _upload(self, prefix: str, name: str, data: str | bytes, **options: Any) -> dict[str, Any]:
        from azure.storage.blob import ContentSettings

        client = self._container.get_blob_client(_blob(prefix, name))
        settings = ContentSettings(content_type="application/yaml")
        options.setdefault("overwrite", True)
        result: dict[str, Any] = await client.upload_blob(data, content_settings=settings, **options)
        return result

    async def _conditionally(
        self, name: str, data: bytes, about: Mapping[str, str], condition: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Upload a new version if the stored one is the one that was named."""
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        try:
            return await self._upload(_CURRENT, name, data, metadata=dict(about), **condition)
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if _is_container_missing(error):
                raise
            raise ExportConflict("the stored export is not the version that was named") from error

    async def _remove(self, blob: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._container.delete_blob(blob)
        except ResourceNotFoundError:
            return


def _is_container_missing(error: Any) -> bool:
    return bool(error.error_code == "ContainerNotFound")  # storage adds it to every error


class _Number(NamedTuple):
    """The store's number, what it was when the store was last said to be meant, and the ETag of the record."""

    number: int
    accepted: int
    etag: str | None


def _numbered(number: int, accepted: int) -> str:
    return json.dumps({**stored_format.stamp("store number"), "number": number, "accepted": accepted})


def _about(number: int) -> dict[str, str]:
    """The metadata of a version that was put when the store had this number."""
    return {**stored_format.stamp_texts("accepted file"), "number": str(number)}


def _stated(metadata: Mapping[str, str]) -> int:
    text = metadata.get("number", "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _is_readable(metadata: Mapping[str, str]) -> bool:
    """Whether an accepted version may be read and replaced: a newer release's is kept for it."""
    try:
        stored_format.admit("accepted file", metadata)
    except stored_format.KeptAsIs:
        return False
    return True


def _version_number(current: Mapping[str, str], accepted: Mapping[str, str], store: _Number, *, taken_on: bool) -> int:
    """The number of a version; one that was put behind the app's back, or put back, counts as put just now."""
    if taken_on:
        return max(_stated(accepted), store.accepted)
    stated = _stated(current)
    return max(stated, store.accepted) if stated > _stated(accepted) else store.number + 1


def _written_by(name: str, metadata: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """What to do about a file that another release put."""
    if (
        not metadata.get(stored_format.RELEASE)
        or metadata[stored_format.RELEASE] == stored_format.stamp("tombstone")["release"]
    ):
        return ()
    return (Diagnostic("other-release", "error", name, f"{stored_format.needs(metadata)}.", ""),)


def is_export_name(name: str) -> bool:
    """Whether an export can have this name: 1 to 63 lower-case letters, digits and inner hyphens."""
    return _NAME.fullmatch(name) is not None


def check_version(name: str, text: str | bytes) -> Checked:
    """The checks of `text` as the version of export `name`: those of the file, and that its name is this one."""
    checked = check_text(text, name)
    if checked.config is None or checked.config.name == name:
        return checked
    finding = Diagnostic(
        "name-mismatch",
        "error",
        f"{name}: name",
        f"the file says {checked.config.name!r} but is stored as {name!r}.",
        "A name is an export's identity: store it under its own.",
    )
    return Checked(checked.source, checked.text, checked.config, (*checked.findings, finding))


def _blob(prefix: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ExportNotFound(f"{name!r} is no export's name")
    return f"{prefix}{name}.yaml"


def _quoted(etag: str) -> str:
    stripped = etag.strip('"')
    return f'"{stripped}"'


def _condition(if_match: str | None, if_none_match: str | None) -> dict[str, Any]:
    """The SDK's words for an HTTP precondition."""
    from azure.core import MatchConditions

    if if_none_match is not None:
        return {"overwrite": False}
    if if_match is None:
        return {}
    if if_match == "*":
        return {"match_condition": MatchConditions.IfPresent}
    return {"etag": _quoted(if_match), "match_condition": MatchConditions.IfNotModified}
