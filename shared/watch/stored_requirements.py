"""The requirements of a deployment, with their exceptions: one file beside the export files, kept as it was put."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from shared.audit.deed import REQUIRE, digest
from shared.exports.kept_file import KeptFile
from shared.watch.requirements_file import Required, read_requirements

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail

BLOB: Final = "requirements.yaml"


class StoredRequirements(KeptFile):
    """The file in one container."""

    def __init__(self, container: ContainerClient, trail: Trail) -> None:
        super().__init__(container, trail, BLOB, REQUIRE, read_requirements)

    async def read(self) -> tuple[Required, str]:
        """What it requires and excepts, and the digest of the file; nothing and empty where there is none.

        Raises:
            shared.exports.diagnostics.InvalidExport: what is stored is no such file.
        """
        text = await self.text()
        if text is None:
            return Required(), ""
        return await asyncio.to_thread(read_requirements, text, BLOB), digest(text)
