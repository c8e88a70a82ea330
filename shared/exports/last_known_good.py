"""What the export store declares: of each export the newest version, or the last known good one in its place.

The last known good version is the one that the app took on after its checks.  A file that was put
without the app's checks and is invalid is reported, and its accepted version stays in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared import stored_format
from shared.exports.diagnostics import Diagnostic
from shared.exports.export_blobs import (
    ACCEPTED,
    ARCHIVED,
    CURRENT,
    DELETED,
    REHYDRATE,
    ExportBlobs,
    ExportNotFound,
    is_archived,
    is_export_name,
    quoted,
)
from shared.exports.store_number import Number, StoreNumber, about_version, is_readable, stated, version_number
from shared.exports.validation import Checked, check_together, check_version
from shared.exports.yaml_reader import MAX_BYTES

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig

BY: Final = "by"
TOMBSTONE_MEMBERS: Final = frozenset({"name", "number", "deleted", "reason", BY})
_READS_AT_ONCE: Final = 16


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


class ExportsInForce:
    """Reads what is in force, each version once, and keeps the valid ones as accepted."""

    def __init__(self, blobs: ExportBlobs, number: StoreNumber) -> None:
        self._blobs = blobs
        self._number = number
        self._read: dict[tuple[str, str], Checked] = {}

    async def take_on(self, loaded: LoadedExports) -> int:
        """Keep the valid versions that were loaded as accepted ones; only the app's own writing runs do so.

        Gives the store's number, which is raised for those that were put without the app.
        """
        number = loaded.number
        for export in loaded.exports:
            checked = self._read.get((export.name, export.etag))
            if not export.new or checked is None:
                continue
            if export.number > number:
                number = await self._number.raised()
            about = {**about_version(min(export.number, number)), "etag": export.etag.strip('"')}
            await self._blobs.upload(ACCEPTED, export.name, checked.text, metadata=about)
        return number

    async def load_all(self) -> LoadedExports:
        """Every export in force: its newest version, or the last one that was taken on, with what is wrong."""
        store, trouble = Number(0, 0, None), ""
        try:
            store = await self._number.read()
        except stored_format.KeptAsIs as kept:
            trouble = str(kept)
        # Listed after the number was read: what is put meanwhile has a higher number, and so counts as an edit later.
        current, accepted, deleted = await asyncio.gather(
            self._blobs.listed(CURRENT), self._blobs.listed(ACCEPTED), self._blobs.listed(DELETED, ".json")
        )
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def load(name: str, blob: Any) -> tuple[LoadedExport | None, Problem | None]:
            async with gate:
                # What was taken on before a delete stays deleted, whatever is put under its name later.
                return await self._load(name, blob, None if name in deleted else accepted.get(name), store)

        async def record(name: str) -> tuple[str, str | Problem | None]:
            if is_archived(deleted[name]):
                sentence = f"the record of its delete {ARCHIVED}."
                found = Diagnostic("archived", "error", name, sentence, REHYDRATE)
                return name, Problem(name, (found,), in_force=False)
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
            data = await (await self._blobs.container.download_blob(f"{DELETED}{name}.json")).readall()
            found = stored_format.read_object("tombstone", data, TOMBSTONE_MEMBERS)
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
        self, name: str, blob: Any, accepted: Any, store: Number
    ) -> tuple[LoadedExport | None, Problem | None]:
        try:
            checked, etag = await self._checked(name, blob)
        except ExportNotFound:
            return None, None  # deleted since the listing
        known = (accepted.metadata or {}) if accepted is not None else {}
        taken_on = accepted is not None and quoted(known.get("etag", "")) == etag
        if checked.config is not None and checked.valid:
            number = version_number(blob.metadata or {}, known, store, taken_on=taken_on)
            new = not taken_on and is_readable(known)
            return LoadedExport(name, checked.config, etag, number=number, new=new), None
        kept = accepted is not None and is_readable(known) and not is_archived(accepted)
        earlier = await self._last_known_good(name) if kept else None
        findings = (*checked.findings, *_written_by(name, blob.metadata or {}))
        problem = Problem(name, findings, in_force=earlier is not None)
        if earlier is None:
            return None, problem
        return LoadedExport(
            name, earlier, etag, last_known_good=True, number=max(stated(known), store.accepted)
        ), problem

    async def _checked(self, name: str, blob: Any) -> tuple[Checked, str]:
        """The checks of the newest version and its ETag; a version is read once."""
        etag = quoted(blob.etag)
        if (name, etag) in self._read:
            return self._read[name, etag], etag
        if is_archived(blob):
            finding = Diagnostic("archived", "error", name, f"its blob {ARCHIVED}.", REHYDRATE)
            return Checked(name, b"", None, (finding,)), etag
        if not is_export_name(name):
            finding = Diagnostic("bad-name", "error", name, "this is no export's name.", "Delete the blob.")
            return Checked(name, b"", None, (finding,)), etag
        if blob.size > MAX_BYTES:
            sentence = f"the file has {blob.size:,} bytes; at most {MAX_BYTES:,} are read."
            return Checked(
                name, b"", None, (Diagnostic("too-large", "error", name, sentence, "Split the export."),)
            ), etag
        data, etag = await self._blobs.download(CURRENT, name)
        checked = await asyncio.to_thread(check_version, name, data)  # of a large file it takes a second
        self._read = {k: v for k, v in self._read.items() if k[0] != name} | {(name, etag): checked}
        return checked, etag

    async def _last_known_good(self, name: str) -> ExportConfig | None:
        """The accepted version; checks that came later are not held against it."""
        try:
            data, _ = await self._blobs.download(ACCEPTED, name)
        except ExportNotFound:
            return None
        return (await asyncio.to_thread(check_version, name, data)).config


def _written_by(name: str, metadata: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """What to do about a file that another release put."""
    if (
        not metadata.get(stored_format.RELEASE)
        or metadata[stored_format.RELEASE] == stored_format.stamp("tombstone")["release"]
    ):
        return ()
    return (Diagnostic("other-release", "error", name, f"{stored_format.needs(metadata)}.", ""),)
