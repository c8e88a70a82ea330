"""What the pipeline noted of simulated alerts: when the hub took each, and when its row was accepted and forwarded.

The notes lie in the table of what was seen.  Their partition sorts among those of uploads, which a release that knows
nothing of canaries reads by day alone, so that it takes none of them for a subscription.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from shared import stored_format
from shared.fail_points import touching

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

PARTITION = "uploaded-canary"
_KIND = "canary note"
_KEPT = timedelta(days=7)
_SAFE = re.compile(r"[\w.-]{1,200}", re.ASCII)


class Sighting(Protocol):
    """What the pipeline tells of one simulated alert."""

    @property
    def alert(self) -> str: ...  # noqa: D102
    @property
    def subscription(self) -> str: ...  # noqa: D102
    @property
    def enqueued(self) -> datetime: ...  # noqa: D102
    @property
    def accepted(self) -> datetime | None: ...  # noqa: D102
    @property
    def refused(self) -> str: ...  # noqa: D102
    @property
    def forwarded(self) -> datetime | None: ...  # noqa: D102
    @property
    def unforwarded(self) -> str: ...  # noqa: D102
    @property
    def places(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Note:
    """A note as it was read; `places` stand for the default place, where a route sends its row elsewhere."""

    alert: str
    subscription: str
    enqueued: datetime
    accepted: datetime | None = None
    refused: str = ""
    forwarded: datetime | None = None
    unforwarded: str = ""
    places: tuple[str, ...] = ()


class PipelineNotes:
    """The notes in their table."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    async def write(self, sightings: Sequence[Sighting]) -> None:
        """Note sightings; one that was noted is written over.

        Raises:
            azure.core.exceptions.AzureError: the table does not answer.
        """
        for one in sightings:
            entity: dict[str, Any] = {
                "PartitionKey": PARTITION,
                "RowKey": _key(one.alert),
                "alert": one.alert,
                "subscription": one.subscription.lower(),
                "enqueued": one.enqueued,
                "refused": one.refused,
                "unforwarded": one.unforwarded,
                **stored_format.stamp(_KIND),
            }
            entity |= {"accepted": one.accepted} if one.accepted else {}
            entity |= {"forwarded": one.forwarded} if one.forwarded else {}
            entity |= {"places": one.places} if one.places else {}
            with touching("canary.noted"):
                await self._table.upsert_entity(entity)

    async def since(self, subscription: str, moment: datetime) -> list[Note]:
        """The notes of a subscription's simulated alerts that the hub took since then.

        Raises:
            azure.core.exceptions.AzureError: the table does not answer.
        """
        found: list[Note] = []
        with touching("canary.notes"):
            async for entity in self._table.query_entities(
                "PartitionKey eq @notes and subscription eq @one",
                parameters={"notes": PARTITION, "one": subscription.lower()},
            ):
                note = _note(entity)
                if note is not None and note.enqueued >= moment:
                    found.append(note)
        return found

    async def expire(self, now: datetime) -> None:
        """Remove notes that are a week old: a canary has long ended by then."""
        with touching("canary.notes-expire"):
            old = [
                entity
                async for entity in self._table.query_entities(
                    "PartitionKey eq @notes", parameters={"notes": PARTITION}
                )
                if (note := _note(entity)) is not None and note.enqueued < now - _KEPT
            ]
            for entity in old:
                await self._table.delete_entity(entity)


def _key(alert: str) -> str:
    return alert if _SAFE.fullmatch(alert) else sha256(alert.encode()).hexdigest()


def _note(entity: Mapping[str, Any]) -> Note | None:
    """A note, None for one that can't be read."""
    try:
        stored_format.admit(_KIND, entity)
        enqueued = _time(entity.get("enqueued"))
    except (stored_format.KeptAsIs, ValueError):
        return None
    if enqueued is None:
        return None
    accepted, forwarded = (_time(entity.get(name)) for name in ("accepted", "forwarded"))
    told = {name: str(entity.get(name) or "") for name in ("alert", "subscription", "refused", "unforwarded")}
    places = tuple(filter(None, str(entity.get("places") or "").split(",")))
    return Note(enqueued=enqueued, accepted=accepted, forwarded=forwarded, places=places, **told)


def _time(value: Any) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None
