"""How many may do something at once, or within a time, over all instances of the app: who does is noted in one row."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from shared import stored_format
from shared.clock import utc_moment, utc_text

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

log = logging.getLogger(__name__)

PARTITION = "quota"
_KIND = "quota"
_CONFLICT, _CHANGED = 409, 412  # statuses of HTTP

Holders = Mapping[str, datetime]
"""Who has a place, and since when."""


class QuotaExceededError(Exception):
    """Every place is taken."""


class _Noted(NamedTuple):
    holders: Holders
    etag: str | None


class Quota:
    """`places` for holders that are noted in the row `name` of the partition `quota`, and changed by its ETag.

    A holder leaves no note when it is done: once all places are taken, `still_held` says which of them are.
    """

    def __init__(
        self, table: TableClient, name: str, places: int, still_held: Callable[[Holders], Awaitable[Holders]]
    ) -> None:
        self._table = table
        self._name = name
        self._places = places
        self._still_held = still_held
        self._turn = asyncio.Lock()

    async def take(self, holder: str) -> None:
        """Note the holder of a place; one that has a place keeps it.

        Raises:
            QuotaExceededError: there is none left.
            azure.core.exceptions.AzureError: the table does not answer.
        """
        async with self._turn:  # within an instance in turn, so that only other instances come between
            while True:  # each further try is the success of another instance
                try:
                    holders, etag = await self._read()
                except stored_format.KeptAsIs as kept:
                    log.warning("the quota %s is not looked at: %s", self._name, kept)
                    return
                if holder in holders:
                    return
                if len(holders) >= self._places:
                    holders = await self._still_held(holders)
                if len(holders) >= self._places:
                    raise QuotaExceededError(self._name)
                if await self._write({**holders, holder: datetime.now(UTC)}, etag):
                    return

    async def _read(self) -> _Noted:
        """Who is noted; none where the row can't be read, which is then written anew.

        Raises:
            stored_format.KeptAsIs: a newer release wrote it.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            entity = await self._table.get_entity(PARTITION, self._name)
        except ResourceNotFoundError:
            return _Noted({}, None)
        stored_format.admit(_KIND, entity)
        return _Noted(_holders(entity.get("holders")), str(entity.metadata["etag"]))

    async def _write(self, holders: Holders, etag: str | None) -> bool:
        """Whether it was written, and not changed by another instance meanwhile."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.data.tables import UpdateMode

        entity = {
            "PartitionKey": PARTITION,
            "RowKey": self._name,
            "holders": json.dumps({holder: utc_text(since) for holder, since in holders.items()}),
            **stored_format.stamp(_KIND),
        }
        try:
            if etag is None:
                await self._table.create_entity(entity)
            else:
                await self._table.update_entity(
                    entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
        except HttpResponseError as error:
            if error.status_code == (_CONFLICT if etag is None else _CHANGED):
                return False
            raise
        return True


def _holders(text: Any) -> Holders:
    """The holders as noted; none where that can't be read."""
    try:
        return {str(holder): utc_moment(since) for holder, since in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError, RecursionError):
        return {}
