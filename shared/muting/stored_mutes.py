"""The mutes of a deployment: `mutes.yaml` beside the export files, kept as it was put."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from shared.audit.deed import MUTE
from shared.exports.kept_file import KeptFile
from shared.exports.management_groups import GroupNames
from shared.muting.mutes import NOTHING, Mute, Muting
from shared.muting.mutes_file import read_mutes

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail

BLOB: Final = "mutes.yaml"
READING_SECONDS: Final = 5.0
_SHOWN: Final = 5


class Grouped(Protocol):
    """A reading of the tenant, as far as it is asked here."""

    @property
    def group_names(self) -> GroupNames: ...  # noqa: D102 # says what it is


log = logging.getLogger(__name__)


class StoredMutes(KeptFile):
    """The file in one container."""

    def __init__(self, container: ContainerClient, trail: Trail, seconds: float = READING_SECONDS) -> None:
        super().__init__(container, trail, BLOB, MUTE, read_mutes)
        self._seconds = seconds
        self._last: tuple[bytes, tuple[Mute, ...]] | None = None

    async def muting(self, groups: Callable[[], Awaitable[GroupNames]]) -> Muting:
        """What is muted; where that can't be read nothing is, and `trouble` says why: an alarm rather than silence.

        `groups` gives the management groups above each subscription; it is asked where a mute names one.
        """
        from azure.core.exceptions import AzureError

        from shared.exports.diagnostics import InvalidExport

        try:
            async with asyncio.timeout(self._seconds):
                text = await self.text()
            mutes = await self.mutes_of(text) if text is not None else ()
        except InvalidExport as invalid:
            return _nothing(f"nothing is muted: {invalid.findings[0]}")
        except (AzureError, TimeoutError) as error:
            return _nothing(f"nothing is muted: {BLOB} can't be read ({type(error).__name__})")
        if not any(mute.management_group for mute in mutes):
            return Muting(mutes) if mutes else NOTHING
        try:
            known = await groups()
        except Exception as error:  # noqa: BLE001 - who can't be placed is not muted, whatever the reason
            told = f"nothing is muted by management group: these can't be read ({type(error).__name__})"
            log.warning("mutes: %s", told)
            return Muting(mutes, None, told)
        doubts = list(_doubts(mutes, known))
        more = [f"{len(doubts) - _SHOWN} more of them mute nothing either"] if len(doubts) > _SHOWN else []
        return Muting(mutes, known, "; ".join([*doubts[:_SHOWN], *more]))

    async def mutes_of(self, text: bytes) -> tuple[Mute, ...]:
        """The mutes in a file's text; the text read last is not read again, since each answer of a list asks.

        Raises:
            shared.exports.diagnostics.InvalidExport: it is no such file.
        """
        if self._last is None or self._last[0] != text:
            self._last = text, await asyncio.to_thread(read_mutes, text, BLOB)
        return self._last[1]


def _doubts(mutes: Sequence[Mute], known: GroupNames) -> Iterator[str]:
    now = datetime.now(UTC)
    for mute in mutes:
        if mute.management_group and mute.until > now and (doubt := known.doubt(mute.management_group)):
            yield f"{mute.name} mutes nothing: {doubt}"


def _nothing(told: str) -> Muting:
    log.warning("mutes: %s", told)
    return Muting((), None, told)
