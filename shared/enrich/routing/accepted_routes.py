"""The file of routes that was last in force, so that one that can't be read leaves each row's places as they were.

A row of the table `freshness`, which delivery reaches wherever it runs; nothing else reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared import stored_format
from shared.azure.blob_container import StoreError
from shared.fail_points import touching
from shared.settings import SettingsError

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

logger = logging.getLogger("defender_export.enrich")
PATIENCE_SECONDS: Final = 5.0
_KIND: Final = "accepted routes"
PARTITION: Final = "uploaded-routes"  # among those that freshness passes over
_ROW: Final = "accepted"
PART: Final = 60_000
"""Bytes: a property of an entity holds 64 KB, all of them 1 MB (Table Storage, data model).

A file has at most 256 KB, of which compression takes nothing off in the worst case, so a few properties hold it.
"""
_WBITS: Final = 31


@dataclass(frozen=True)
class Keeping:
    """Whether a file was kept: why not, empty where it was, and whether others are kept in its place."""

    why_not: str = ""
    others: bool = False


class AcceptedRoutes:
    """The row in one table."""

    def __init__(self, table: Callable[[], TableClient]) -> None:
        """The table is reached on first use."""
        self._table = table

    async def keep(self, text: bytes) -> Keeping:
        """Keep a file that is in force, for the day when the next can't be read; never raises, and takes few seconds.

        One that is kept already, or that a later release kept, is left.
        """
        from azure.core.exceptions import AzureError

        others = False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                digest = hashlib.sha256(text).hexdigest()
                found = await self._found()
                if found is not None and (found.get("digest") == digest or not _of_this_release(found)):
                    return Keeping()
                others = found is not None
                await self._replace(text, digest)
        except (AzureError, TimeoutError, ValueError) as error:  # the last of settings
            logger.warning("the routes in force could not be kept: %s", type(error).__name__)
            return Keeping(type(error).__name__, others=others)
        return Keeping()

    async def _replace(self, text: bytes, digest: str) -> None:
        from azure.data.tables import UpdateMode

        packed = zlib.compress(text, wbits=_WBITS)
        parts = {_part(at): packed[at * PART : (at + 1) * PART] for at in range(-(-len(packed) // PART))}
        entity = {"PartitionKey": PARTITION, "RowKey": _ROW, "digest": digest, **parts}
        with touching("routes.keep"):
            # Merged, a longer file's last parts would stay.
            await self._table().upsert_entity({**entity, **stored_format.stamp(_KIND)}, mode=UpdateMode.REPLACE)

    async def read(self) -> bytes | None:
        """The file that was last in force; None where none ever was.

        Raises:
            shared.azure.blob_container.StoreError: it is not known.
        """
        from azure.core.exceptions import AzureError

        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await self._found()
        except (AzureError, SettingsError, TimeoutError) as error:
            raise StoreError(f"which routes were in force can't be read: {type(error).__name__}") from error
        if found is None:
            return None
        try:
            stored_format.admit(_KIND, found)
            return zlib.decompress(_packed(found), wbits=_WBITS)
        except (stored_format.KeptAsIs, zlib.error, KeyError, TypeError) as error:
            raise StoreError(f"which routes were in force can't be read: {error}") from error

    async def _found(self) -> dict[str, Any] | None:
        rows = self._table().query_entities("PartitionKey eq @routes", parameters={"routes": PARTITION})
        with touching("routes.read"):
            found = [dict(row) async for row in rows]
        return found[0] if found else None


def _part(number: int) -> str:
    return f"text{number or ''}"


def _packed(found: dict[str, Any]) -> bytes:
    parts = [bytes(found[_part(0)])]
    while (more := found.get(_part(len(parts)))) is not None:
        parts.append(bytes(more))
    return b"".join(parts)


def _of_this_release(found: dict[str, Any]) -> bool:
    try:
        stored_format.admit(_KIND, found)
    except stored_format.KeptAsIs:
        return False
    return True
