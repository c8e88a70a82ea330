"""The requirements of a deployment, with their exceptions: one file beside the export files, kept as it was put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from shared.audit.deed import REQUIRE, Deed, digest
from shared.watch.requirements_file import Required, read_requirements

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail

BLOB: Final = "requirements.yaml"


class StoredRequirements:
    """The file in one container."""

    def __init__(self, container: ContainerClient, trail: Trail) -> None:
        self._container = container
        self._trail = trail

    async def text(self) -> bytes | None:
        """The file as it was put; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        from shared.exports.export_blobs import is_container_missing

        try:
            return await (await self._container.download_blob(BLOB)).readall()
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            return None

    async def read(self) -> tuple[Required, str]:
        """What it requires and excepts, and the digest of the file; nothing and empty where there is none.

        Raises:
            shared.exports.diagnostics.InvalidExport: what is stored is no such file.
        """
        text = await self.text()
        return (read_requirements(text, BLOB), digest(text)) if text is not None else (Required(), "")

    async def put(self, text: bytes, by: str) -> None:
        """Store a file in place of the one that is there, of which the account keeps versions.

        Raises:
            shared.exports.diagnostics.InvalidExport: it is wrong; its findings say where.
            azure.core.exceptions.AzureError: it is not stored, or can't be noted, and so is not stored.
        """
        read_requirements(text, BLOB)
        deed = Deed.now(REQUIRE, BLOB, by, before=digest(await self.text()), after=digest(text))
        async with self._trail.doing(deed):
            await self._container.upload_blob(BLOB, text, overwrite=True)

    async def witness(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every witness
        """Whether a file was put, by its digest: one that is not there now may have been replaced since."""
        there = digest(await self.text())
        if there == deed.after:
            return True
        return False if there == deed.before else None
