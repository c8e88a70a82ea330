"""One YAML file beside the export files, kept as it was put, with a deed for each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from shared.audit.deed import Deed, digest
from shared.exports.export_blobs import condition, is_container_missing, quoted

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail

_TRIES: Final = 5


class FileChanged(RuntimeError):  # noqa: N818 - names the state of the store
    """The stored file is not the version that was meant."""


class FileBusy(RuntimeError):  # noqa: N818 - names the state of the store
    """Others put the file all the time; nothing was stored."""


class KeptFile:
    """A file by its name in one container; `check` raises for a text that is no such file."""

    def __init__(
        self, container: ContainerClient, trail: Trail, blob: str, deed: str, check: Callable[[bytes, str], object]
    ) -> None:
        self._container = container
        self._trail = trail
        self._blob = blob
        self._deed = deed
        self._check = check
        self._turn = asyncio.Lock()

    @property
    def check(self) -> Callable[[bytes, str], object]:
        """What raises for a text that is no such file; it takes the text and a name for it."""
        return self._check

    @property
    def blob(self) -> str:
        """Its name."""
        return self._blob

    async def stored(self) -> tuple[bytes, str] | None:
        """The file as it was put, and its quoted ETag; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(self._blob)
            return await stream.readall(), quoted(stream.properties.etag)
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            return None

    async def text(self) -> bytes | None:
        """The file as it was put; None where there is none."""
        stored = await self.stored()
        return stored[0] if stored else None

    async def put(
        self, text: bytes, by: str, *, meant: Callable[[str | None], bool] = lambda _: True, checked: bool = False
    ) -> str:
        """Store a file in place of the one that is there, of which the account keeps versions; gives its ETag.

        `meant` tells by the ETag of the file that is there (None: there is none) whether that may be replaced;
        `checked` says that the caller has checked the text.

        Raises:
            shared.exports.diagnostics.InvalidExport: it is wrong; its findings say where.
            FileChanged: another file is there than was meant.
            FileBusy: other instances put one each time that this one tried.
            azure.core.exceptions.AzureError: it is not stored, or can't be noted, and so is not stored.
        """
        if not checked:
            await asyncio.to_thread(self._check, text, self._blob)
        async with self._turn:
            for _ in range(_TRIES):
                before, etag = await self.stored() or (None, None)
                if not meant(etag):
                    raise FileChanged(f"{self._blob} has changed since it was read")
                deed = Deed.now(self._deed, self._blob, by, before=digest(before), after=digest(text))
                try:
                    async with self._trail.doing(deed, (FileChanged,)):
                        return await self._replace(text, etag)
                except FileChanged:  # another one was put meanwhile: it is asked again whether that is meant
                    continue
        raise FileBusy(f"Others store {self._blob} all the time: read it, and put yours again.")

    async def _replace(self, text: bytes, etag: str | None) -> str:
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        as_read = condition(etag, None) if etag else condition(None, "*")
        if etag:
            as_read["overwrite"] = True
        try:
            return quoted((await self._container.get_blob_client(self._blob).upload_blob(text, **as_read))["etag"])
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if is_container_missing(error):
                raise
            raise FileChanged(f"{self._blob} has changed since it was read") from error

    async def witness(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """Whether a file was put, by its digest: one that is not there now may have been replaced since."""
        there = digest(await self.text())
        if there == deed.after:
            return True
        return False if there == deed.before else None
