"""Decoding of an Event Hub batch at the cost of what is read of it.

The programming model parses the time of each event by a list of up to sixteen formats and encodes and decodes every
other property, which costs more than all that the handler does.  `install` puts a decoding before it that leaves each
property of an event until it is read.  What it doesn't know, the programming model's own decoding takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import orjson
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?P<zone>Z|[+-]00:00)?"
)
_decode_batch = EventHubTriggerConverter.decode_multiple_events
_parse_any = EventHubTriggerConverter._parse_datetime  # noqa: SLF001 # the fallback has to be the model's own


class DeferredEvent(func.EventHubEvent):
    """An event of a batch whose properties are decoded when they are read, to the programming model's values."""

    def __init__(self, body: bytes, properties: Mapping[str, Any], shared: Mapping[str, Datum]) -> None:
        self._body = body
        self._properties = properties
        self._shared = shared
        self._decoded: func.EventHubEvent | None = None

    def get_body(self) -> bytes:
        """The bytes that were sent."""
        return self._body

    @property
    def enqueued_time(self) -> datetime | None:
        """When the hub took it, without a zone where the host says none; ValueError when it is no time."""
        return parse_time(self._properties.get("EnqueuedTimeUtc"))

    def enqueued_in_utc(self) -> datetime | None:
        """The same, in UTC where the host says no zone and the time is as hosts write it."""
        text = self._properties.get("EnqueuedTimeUtc")
        found = _TIME.fullmatch(text) if isinstance(text, str) else None
        if text and found:
            with suppress(ValueError):
                return datetime.fromisoformat(text if found["zone"] else f"{text}+00:00")  # naming it later costs more
        return parse_time(text)

    @property
    def sequence_number(self) -> int | None:
        """Its number in its partition."""
        number = self._properties.get("SequenceNumber")
        return number if type(number) is int else self._whole().sequence_number

    @property
    def partition_key(self) -> str | None:
        """The key that it was sent with."""
        return self._whole().partition_key

    @property
    def offset(self) -> str | None:
        """Its place in its partition."""
        return self._whole().offset

    @property
    def iothub_metadata(self) -> Mapping[str, str] | None:
        """What an IoT hub says of it."""
        return self._whole().iothub_metadata

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """The trigger's metadata, which every event of a batch shares."""
        return {name: value.python_value for name, value in self._shared.items()}

    def _whole(self) -> func.EventHubEvent:
        """The event as the programming model decodes it."""
        if self._decoded is None:
            alone = {**self._shared, "SystemPropertiesArray": Datum(orjson.dumps([self._properties]).decode(), "json")}
            (self._decoded,) = _decode_batch(Datum(SimpleNamespace(bytes=[self._body]), "collection_bytes"), alone)
        return self._decoded


def parse_time(text: str | None) -> datetime | None:
    """Read a time as the programming model does; ValueError when it is none."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if text and found:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:  # such as the 30th of February: the model's own error
            return _parse_any(text)
        return moment.replace(tzinfo=UTC) if found["zone"] else moment
    return _parse_any(text)


def decode(data: Datum, trigger_metadata: Mapping[str, Datum]) -> Sequence[func.EventHubEvent]:
    """Decode a batch; AssertionError when bodies and properties differ in number."""
    listed = trigger_metadata.get("SystemPropertiesArray")
    if data.type == "collection_bytes" and listed is not None:
        properties = orjson.loads(listed.value)
        bodies = data.value.bytes
        if len(bodies) == len(properties) and all(type(each) is dict for each in properties):
            return [DeferredEvent(body, each, trigger_metadata) for body, each in zip(bodies, properties, strict=True)]
    return _decode_batch(data, trigger_metadata)


def install() -> None:
    """Let this process decode Event Hub batches so."""
    EventHubTriggerConverter.decode_multiple_events = staticmethod(decode)  # type: ignore[method-assign, assignment] # replaces the model's
