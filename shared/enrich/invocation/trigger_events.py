"""Events as the trigger hands them over, to events as the pipeline takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from shared.enrich.records.model import Event


class HubEvent(Protocol):
    """What is used of `azure.functions.EventHubEvent`."""

    def get_body(self) -> bytes:
        """The bytes that were sent."""

    @property
    def enqueued_time(self) -> datetime | None:
        """When the hub took it."""

    @property
    def sequence_number(self) -> int | None:
        """Its number in its partition."""

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """The trigger's metadata, which every event of a batch shares."""


def from_trigger(events: Sequence[HubEvent], now: datetime | None = None) -> list[Event]:
    """Read a batch; an event without a time was enqueued just now."""
    if not events:
        return []
    partition = _partition(events[0].metadata or {})
    moment = now or datetime.now(UTC)
    return [
        Event(event.get_body(), _enqueued(event) or moment, partition, event.sequence_number or 0) for event in events
    ]


def _partition(metadata: Mapping[str, Any]) -> str:
    """The partition's id: the host sends it as part of the partition's context."""
    context = metadata.get("PartitionContext")
    return str(context.get("PartitionId", "")) if isinstance(context, Mapping) else ""


def _enqueued(event: HubEvent) -> datetime | None:
    """When the hub took it, in UTC, which the host leaves unsaid."""
    read: Callable[[], datetime | None] | None = getattr(event, "enqueued_in_utc", None)  # of what this app decoded
    moment = event.enqueued_time if read is None else read()
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
