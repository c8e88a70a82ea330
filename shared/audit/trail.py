"""The audit trail in storage: each deed is noted before it is done, and sent to the table from here.

`audit/open/<id>.<digest of the target>.json` is a deed that is not sent yet; `audit/sent/<day>/` holds those that are.
A deed that was cut off between its note and its end is judged by what its target shows: done, not done (its note goes),
or not known.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from shared import stored_format
from shared.audit.deed import AUDIT_TABLE, DONE, INTENDED, UNKNOWN, Deed, digest, read_deed
from shared.azure.storage_time import storage_time

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

log = logging.getLogger(__name__)

OPEN: Final = "audit/open/"
SENT: Final = "audit/sent/"
SETTLE_AFTER: Final = timedelta(minutes=15)
"""Longer than any request or command works on one deed: what is older was cut off."""
_ROWS_AT_A_TIME: Final = 200
_AT_A_TIME: Final = 8
MANY_WAIT: Final = 1_000

Witness = Callable[[Deed, Sequence[Deed]], Awaitable[bool | None]]
"""Whether a deed was done, by what its target shows and by other deeds on the same target; None: not known."""
Offer = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[Sequence[int]]]
"""Sends rows to a table of the app's own; gives the places of those that were accepted."""


@dataclass(frozen=True)
class Sending:
    """What one round of sending did: deeds sent, left for the next round, found not done, and not readable."""

    sent: int = 0
    left: int = 0
    not_done: int = 0
    unreadable: int = 0


class Trail:
    """The notes in one container."""

    def __init__(
        self,
        container: ContainerClient,
        witness: Callable[[str], Witness | None],
        *,
        settle_after: timedelta = SETTLE_AFTER,
        now: Callable[[ContainerClient], Awaitable[datetime]] = storage_time,
    ) -> None:
        self._container = container
        self._witness = witness
        self._settle_after = settle_after
        self._now = now

    async def note(self, deed: Deed) -> None:
        """Note a deed that is done by being let happen, such as a look at something.

        Raises:
            azure.core.exceptions.AzureError: it is not noted, and so must not be done.
        """
        await self._write(replace(deed, outcome=DONE), overwrite=True)

    @asynccontextmanager
    async def doing(self, deed: Deed, refusals: tuple[type[Exception], ...] = ()) -> AsyncIterator[None]:
        """Note a deed, let it be done, and note that it was.

        Of `refusals` it is asked at once whether the deed was done after all, as where an answer was lost and the
        repetition refused.  After any other failure it is not known, and settled later.

        Raises:
            azure.core.exceptions.AzureError: it is not noted, and is not begun.
        """
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            await self._write(deed, overwrite=False)
        except ResourceExistsError:
            log.info("%s is noted already", deed.id)
        try:
            yield
        except refusals:
            await self._settle_quietly(deed)
            raise
        try:
            await self._write(replace(deed, outcome=DONE), overwrite=True)
        except AzureError as error:  # the deed is done, and its note there: it is settled with the next sending
            log.warning("the end of %s could not be noted: %s", deed.id, type(error).__name__)

    async def send(self, offer: Offer, instance_id: str) -> Sending:
        """Send what is open, and note it as sent; what is not accepted stays for the next time.

        Raises:
            azure.core.exceptions.AzureError: the notes can't be read.
        """
        now = await self._now(self._container)
        noted = [(blob.name, blob.last_modified) async for blob in self._container.list_blobs(name_starts_with=OPEN)]
        sent = left = not_done = unreadable = 0
        for start in range(0, len(noted), _ROWS_AT_A_TIME):
            deeds: list[Deed] = []
            for name, written in noted[start : start + _ROWS_AT_A_TIME]:
                try:
                    deed = await self._read(name)
                except stored_format.KeptAsIs as kept:
                    log.error("%s is left as it is: %s", name, kept)  # noqa: TRY400 # says all
                    unreadable += 1
                    continue
                settled = deed if deed is None else await self._settled(deed, now - written)
                if settled is None:
                    not_done += deed is not None
                elif settled.outcome == INTENDED:
                    left += 1
                else:
                    deeds.append(settled)
            accepted = await self._offer(offer, deeds, instance_id)
            sent += len(accepted)
            left += len(deeds) - len(accepted)
        return Sending(sent, left, not_done, unreadable)

    async def _offer(self, offer: Offer, deeds: Sequence[Deed], instance_id: str) -> Sequence[int]:
        if not deeds:
            return ()
        sent = datetime.now(UTC)
        accepted = await offer(AUDIT_TABLE, [deed.as_row(instance_id, sent) for deed in deeds])
        gate = asyncio.Semaphore(_AT_A_TIME)

        async def move(deed: Deed) -> None:
            async with gate:
                await self._note_sent(deed)

        await asyncio.gather(*(move(deeds[place]) for place in accepted))
        return accepted

    async def waiting(self) -> tuple[int, datetime | None]:
        """How many deeds are not sent yet, counted as far as a thousand, and since when the oldest of them is noted."""
        noted: list[datetime] = []
        async for blob in self._container.list_blobs(name_starts_with=OPEN):
            noted.append(blob.last_modified)
            if len(noted) == MANY_WAIT:
                break
        return len(noted), min(noted, default=None)

    async def now(self) -> datetime:
        """The storage's time, by which deeds are noted."""
        return await self._now(self._container)

    async def deeds(self, since: date = date.min, target: str = "") -> list[Deed]:
        """The deeds from that day (UTC) on that can be read, sent or not, oldest first; of one target, or of all."""
        ending = _ending(target) if target else ".json"
        found = {}
        for prefix in (OPEN, SENT):  # in the order in which notes move
            async for name in self._container.list_blob_names(name_starts_with=prefix):
                if not name.endswith(ending) or (prefix == SENT and name < f"{SENT}{since}"):
                    continue
                try:
                    deed = await self._read(name)
                except stored_format.KeptAsIs:
                    continue
                if deed is not None:
                    found[deed.id] = deed
        return sorted(found.values(), key=lambda deed: (deed.at, deed.id))

    async def expire(self, retention: timedelta) -> int:
        """Forget deeds that were sent longer ago than that, by the storage's time; gives how many."""
        oldest = await self._now(self._container) - retention
        expired = 0
        async for blob in self._container.list_blobs(name_starts_with=SENT):
            if blob.last_modified >= oldest:
                continue
            await self._container.delete_blob(blob.name)
            expired += 1
        return expired

    async def _settled(self, deed: Deed, age: timedelta) -> Deed | None:
        """The deed with its outcome; None where it was not done.  What may still be under way is as it was.

        `age` is by the storage's time: a terminal's clock may be wrong.
        """
        if deed.outcome != INTENDED or age < self._settle_after:
            return deed
        return await self._judged(deed)

    async def _settle_quietly(self, deed: Deed) -> None:
        from azure.core.exceptions import AzureError

        try:
            await self._judged(deed)
        except AzureError as error:  # the next sending asks again
            log.warning("what became of %s is not known yet: %s", deed.id, type(error).__name__)

    async def _judged(self, deed: Deed) -> Deed | None:
        noted = await self.deeds(deed.at.date() - timedelta(days=1), deed.target)
        witness = self._witness(deed.deed)
        done = await witness(deed, [each for each in noted if each.id != deed.id]) if witness else None
        if done is False:
            await self._remove(OPEN + _file(deed))
            return None
        cut_off = "It was cut off before its end was noted; its target does not tell whether it was done."
        judged = replace(deed, outcome=DONE) if done else replace(deed, outcome=UNKNOWN, reason=cut_off)
        await self._write(judged, overwrite=True)
        return judged

    async def _note_sent(self, deed: Deed) -> None:
        name = f"{SENT}{deed.at:%Y-%m-%d}/{_file(deed)}"
        await self._container.upload_blob(name, json.dumps(deed.as_document()), overwrite=True)
        await self._remove(OPEN + _file(deed))

    async def _write(self, deed: Deed, *, overwrite: bool) -> None:
        await self._container.upload_blob(OPEN + _file(deed), json.dumps(deed.as_document()), overwrite=overwrite)

    async def _read(self, name: str) -> Deed | None:
        """A note, or None where it is gone meanwhile.

        Raises:
            stored_format.KeptAsIs: it can't be read by this release.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self._container.download_blob(name)
            return read_deed(await stream.readall())
        except ResourceNotFoundError:
            return None

    async def _remove(self, name: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._container.delete_blob(name)
        except ResourceNotFoundError:
            return


def _file(deed: Deed) -> str:
    return deed.id + _ending(deed.target)


def _ending(target: str) -> str:
    return f".{digest(target)[:16]}.json"
