"""Export files in Blob Storage, the only source of truth: the newest of each, and the last one that was valid.

`current/<name>.yaml` is what was put; `accepted/<name>.yaml` is the last version that passed the checks, and carries
the ETag of the version it was copied from.  A file that was put behind the app's back and is invalid is reported, and
its accepted version stays in force.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.validation import Checked, check_text, check_together
from shared.exports.yaml_reader import MAX_BYTES

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.exports.model import ExportConfig

_CURRENT: Final = "current/"
_ACCEPTED: Final = "accepted/"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
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
    """An export in force; `last_known_good` when its newest version is invalid and an earlier one stands in."""

    name: str
    config: ExportConfig
    etag: str
    last_known_good: bool = False


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
    `warnings` are findings on the set as a whole (two exports that would own one automation).
    """

    exports: tuple[LoadedExport, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def unknown(self) -> frozenset[str]:
        """Names of exports that exist but say nothing readable."""
        return frozenset(problem.name for problem in self.problems if not problem.in_force)


class ExportStore:
    """Export files in one container, which is made on the first write.

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
        self, name: str, text: str | bytes, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> str:
        """Store a new version after all checks, and return its ETag; `if_none_match="*"` only creates.

        Raises:
            InvalidExport: the text is no valid export, or its name is another one.
            ExportConflict: the stored version is not `if_match`, or exists despite `if_none_match`.
        """
        checked = check_version(name, text)
        if not checked.valid:
            raise InvalidExport(checked.findings)
        data = text.encode() if isinstance(text, str) else text
        condition = _condition(if_match, if_none_match)
        uploaded = await self._write(lambda: self._upload(_CURRENT, name, data, **condition))
        etag = _quoted(uploaded["etag"])
        await self._upload(_ACCEPTED, name, data, metadata={"etag": etag.strip('"')})
        return etag

    async def delete(self, name: str, *, if_match: str | None = None) -> None:
        """Take an export out of the store, its accepted version too.

        Raises:
            ExportNotFound: there is none of this name.
            ExportConflict: the stored version is not `if_match`.
        """
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        try:
            await self._container.delete_blob(_blob(_CURRENT, name), **_condition(if_match, None))
        except ResourceNotFoundError as error:
            raise ExportNotFound(f"there is no export named {name!r}") from error
        except ResourceModifiedError as error:
            raise ExportConflict(f"export {name!r} has changed since it was read") from error
        await self._forget(name)

    async def load_all(self) -> LoadedExports:
        """Every export in force: its newest version, or the last one that was valid, with what is wrong.

        A valid version that is not yet kept as accepted is kept now.
        """
        current, accepted = await asyncio.gather(self._blobs(_CURRENT), self._blobs(_ACCEPTED))
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def load(name: str, blob: Any) -> tuple[LoadedExport | None, Problem | None]:
            async with gate:
                return await self._load(name, blob, accepted.get(name))

        loaded = await asyncio.gather(*(load(name, blob) for name, blob in sorted(current.items())))
        self._read = {key: checked for key, checked in self._read.items() if key[0] in current}
        exports = tuple(export for export, _ in loaded if export is not None)
        together = check_together([(export.name, export.config) for export in exports])
        return LoadedExports(exports, tuple(problem for _, problem in loaded if problem is not None), tuple(together))

    async def _load(self, name: str, blob: Any, accepted: Any) -> tuple[LoadedExport | None, Problem | None]:
        try:
            checked, etag = await self._checked(name, blob)
        except ExportNotFound:
            return None, None  # deleted since the listing
        if checked.config is not None and checked.valid:
            if accepted is None or _quoted((accepted.metadata or {}).get("etag", "")) != etag:
                await self._upload(_ACCEPTED, name, checked.text, metadata={"etag": etag.strip('"')})
            return LoadedExport(name, checked.config, etag), None
        earlier = await self._last_known_good(name) if accepted is not None else None
        problem = Problem(name, checked.findings, in_force=earlier is not None)
        return (None if earlier is None else LoadedExport(name, earlier, etag, last_known_good=True)), problem

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

    async def _blobs(self, prefix: str) -> dict[str, Any]:
        """Blobs under `prefix` by export name; none when there is no container yet."""
        from azure.core.exceptions import ResourceNotFoundError

        found = {}
        try:
            async for blob in self._container.list_blobs(name_starts_with=prefix, include=["metadata"]):
                if blob.name.endswith(".yaml"):
                    found[blob.name.removeprefix(prefix).removesuffix(".yaml")] = blob
        except ResourceNotFoundError:
            return {}
        return found

    async def _download(self, prefix: str, name: str) -> tuple[bytes, str]:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(_blob(prefix, name))
            return await stream.readall(), _quoted(stream.properties.etag)
        except ResourceNotFoundError as error:
            raise ExportNotFound(f"there is no export named {name!r}") from error

    async def _upload(self, prefix: str, name: str, data: str | bytes, **options: Any) -> dict[str, Any]:
        from azure.storage.blob import ContentSettings

        client = self._container.get_blob_client(_blob(prefix, name))
        settings = ContentSettings(content_type="application/yaml")
        options.setdefault("overwrite", True)
        result: dict[str, Any] = await client.upload_blob(data, content_settings=settings, **options)
        return result

    async def _write(self, upload: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Upload, making the container when it is missing."""
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        try:
            try:
                return await upload()
            except ResourceNotFoundError as error:
                if error.error_code != "ContainerNotFound":  # type: ignore[attr-defined] # storage adds it to every error
                    raise
                await self._make_container()
                return await upload()
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            raise ExportConflict("the stored export is not the version that was named") from error

    async def _make_container(self) -> None:
        from azure.core.exceptions import ResourceExistsError

        try:
            await self._container.create_container()
        except ResourceExistsError:
            return  # another writer was first

    async def _forget(self, name: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._container.delete_blob(_blob(_ACCEPTED, name))
        except ResourceNotFoundError:
            return


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
