"""The requirements of a deployment, with their exceptions: one file beside the export files, kept as it was put."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from shared.audit.deed import REQUIRE, Deed, digest
from shared.exports.export_blobs import condition, is_container_missing, quoted
from shared.watch.requirements_file import Required, read_requirements

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail

BLOB: Final = "requirements.yaml"
_TRIES: Final = 5


class RequirementsChanged(RuntimeError):  # noqa: N818 - names the state of the store
    """The stored file is not the version that was meant."""


class StoredRequirements:
    """The file in one container."""

    def __init__(self, container: ContainerClient, trail: Trail) -> None:
        self._container = container
        self._trail = trail

    async def stored(self) -> tuple[bytes, str] | None:
        """The file as it was put, and its quoted ETag; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(BLOB)
            return await stream.readall(), quoted(stream.properties.etag)
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            return None

    async def text(self) -> bytes | None:
        """The file as it was put; None where there is none."""
        stored = await self.stored()
        return stored[0] if stored else None

    async def read(self) -> tuple[Required, str]:
        """What it requires and excepts, and the digest of the file; nothing and empty where there is none.

        Raises:
            shared.exports.diagnostics.InvalidExport: what is stored is no such file.
        """
        text = await self.text()
        return (
            (await asyncio.to_thread(read_requirements, text, BLOB), digest(text))
            if text is not None
            else (Required(), "")
        )

    async def put(self, text: bytes, by: str, *, meant: Callable[[str | None], bool] = lambda _: True) -> str:
        """Store a file in place of the one that is there, of which the account keeps versions; gives its ETag.

        `meant` tells by the ETag of the file that is there (None: there is none) whether that may be replaced.

        Raises:
            shared.exports.diagnostics.InvalidExport: it is wrong; its findings say where.
            RequirementsChanged: another file is there than was meant, or others are put all the time.
            azure.core.exceptions.AzureError: it is not stored, or can't be noted, and so is not stored.
        """
        await asyncio.to_thread(read_requirements, text, BLOB)
        for _ in range(_TRIES):
            before, etag = await self.stored() or (None, None)
            if not meant(etag):
                break
            deed = Deed.now(REQUIRE, BLOB, by, before=digest(before), after=digest(text))
            try:
                async with self._trail.doing(deed, (RequirementsChanged,)):
                    return await self._replace(text, etag)
            except RequirementsChanged:  # another one was put meanwhile: it is asked again whether that is meant
                continue
        raise RequirementsChanged(f"{BLOB} has changed since it was read")

    async def _replace(self, text: bytes, etag: str | None) -> str:
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        as_read = condition(etag, None) if etag else condition(None, "*")
        if etag:
            as_read["overwrite"] = True
        try:
            return quoted((await self._container.get_blob_client(BLOB).upload_blob(text, **as_read))["etag"])
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if is_container_missing(error):
                raise
            raise RequirementsChanged(f"{BLOB} has changed since it was read") from error

    async def witness(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """Whether a file was put, by its digest: one that is not there now may have been replaced since."""
        there = digest(await self.text())
        if there == deed.after:
            return True
        return False if there == deed.before else None
