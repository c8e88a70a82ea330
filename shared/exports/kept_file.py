"""One YAML file beside the export files, kept as it was put, with a deed for each change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shared.audit.deed import Deed, digest
from shared.exports.export_blobs import is_container_missing

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail


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

    async def text(self) -> bytes | None:
        """The file as it was put; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return await (await self._container.download_blob(self._blob)).readall()
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            return None

    async def put(self, text: bytes, by: str) -> None:
        """Store a file in place of the one that is there, of which the account keeps versions.

        Raises:
            shared.exports.diagnostics.InvalidExport: it is wrong; its findings say where.
            azure.core.exceptions.AzureError: it is not stored, or can't be noted, and so is not stored.
        """
        self._check(text, self._blob)
        deed = Deed.now(self._deed, self._blob, by, before=digest(await self.text()), after=digest(text))
        async with self._trail.doing(deed):
            await self._container.upload_blob(self._blob, text, overwrite=True)

    async def witness(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """Whether a file was put, by its digest: one that is not there now may have been replaced since."""
        there = digest(await self.text())
        if there == deed.after:
            return True
        return False if there == deed.before else None
