"""The rules of a deployment: `notify.yaml` beside the export files, kept as it was put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.audit.deed import NOTIFY
from shared.exports.kept_file import KeptFile
from shared.notify.rules import Rules, read_rules

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail

BLOB: Final = "notify.yaml"


class StoredRules(KeptFile):
    """The file in one container."""

    def __init__(self, container: ContainerClient, trail: Trail) -> None:
        super().__init__(container, trail, BLOB, NOTIFY, read_rules)

    async def read(self) -> Rules:
        """The rules; none where there is no file.

        Raises:
            shared.exports.diagnostics.InvalidExport: what is stored is no such file.
        """
        text = await self.text()
        return read_rules(text, BLOB) if text is not None else Rules()
