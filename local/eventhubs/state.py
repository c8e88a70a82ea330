"""What a namespace holds: hubs, partitions as logs, readers and the rules of who may read."""

from __future__ import annotations

import re
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from local.eventhubs import messages

DEFAULT_GROUP = "$Default"
# Event Hubs quotas: "Number of non-epoch receivers per consumer group", all tiers.
READERS_PER_GROUP = 5
NONE_YET = -1
SELECTOR = re.compile(r"amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=?)\s*'(@latest|-?\d+)'")


class RefusedError(Exception):
    """The broker refuses a link; `condition` is the AMQP error condition Azure answers with."""

    def __init__(self, condition: str, message: str) -> None:
        super().__init__(message)
        self.condition = condition


class Reader(Protocol):
    """A consumer's end, as partitions see it."""

    group: str
    epoch: int | None

    def notify(self) -> None:
        """There are new events."""

    def evict(self, reason: str) -> None:
        """Another reader took over."""


@dataclass(frozen=True)
class Placed:
    """Where an event lies: bytes before it in the partition, and milliseconds since 1970 when it came."""

    offset: int
    enqueued_ms: int


class Partition:
    """An append-only log of encoded events; an event's sequence number is its index."""

    def __init__(self, partition_id: str) -> None:
        self.id = partition_id
        self.events: list[bytes] = []
        self.placed: list[Placed] = []
        self.readers: list[Reader] = []
        self._size = 0

    def append(self, events: Iterable[bytes]) -> None:
        """Store events in order and tell the readers."""
        now = time.time_ns() // 1_000_000
        for event in events:
            self.events.append(messages.stamp(event, len(self.events), self._size, now))
            self.placed.append(Placed(self._size, now))
            self._size += len(event)
        for reader in list(self.readers):
            reader.notify()

    def position(self, selector: str | None) -> int:
        """The index of the first event a reader with this selector gets.

        Raises:
            RefusedError: the selector is none that Event Hubs knows, or an offset beyond the end.
        """
        if not selector:
            return 0
        match = SELECTOR.fullmatch(selector)
        if not match:
            raise RefusedError("amqp:invalid-field", f"The selector '{selector}' is not supported.")
        what, operator, value = match.groups()
        if value == "@latest":
            return len(self.events)
        number = int(value)
        if what == "sequence-number":
            return min(max(number + (operator == ">"), 0), len(self.events))
        bisect = bisect_left if operator == ">=" else bisect_right
        if what == "offset":
            last = self.placed[-1].offset if self.placed else -1
            if number > last:
                # As it was published: Azure/azure-event-hubs-python issue 13, azure-sdk-for-python issue 30931.
                raise RefusedError(
                    "com.microsoft:argument-error",
                    f"The supplied offset '{number}' is invalid. The last offset in the system is '{last}'",
                )
            return bisect(self.placed, number, key=lambda placed: placed.offset)
        return bisect(self.placed, number, key=lambda placed: placed.enqueued_ms)

    def admit(self, newcomer: Reader) -> None:
        """Add a reader; one with an epoch drives out those of its group with none, a lower or the same.

        Raises:
            RefusedError: a reader with a higher epoch holds the partition, or there are too many.
        """
        others = [reader for reader in self.readers if reader.group == newcomer.group]
        held = max((reader.epoch for reader in others if reader.epoch is not None), default=None)
        if held is not None and (newcomer.epoch is None or held > newcomer.epoch):
            raise RefusedError(
                "amqp:link:stolen",
                f"A receiver with a higher epoch '{held}' already exists. "
                f"A receiver with epoch '{newcomer.epoch or 0}' cannot be created.",
            )
        if newcomer.epoch is not None:
            for reader in others:
                self.readers.remove(reader)
                reader.evict(
                    f"New receiver with higher epoch of '{newcomer.epoch}' is created "
                    f"hence current receiver with epoch '{reader.epoch or 0}' is getting disconnected."
                )
        elif len(others) >= READERS_PER_GROUP:
            raise RefusedError(
                "amqp:resource-limit-exceeded",
                "Exceeded the maximum number of allowed receivers per partition in a consumer group "
                f"which is {READERS_PER_GROUP}.",
            )
        self.readers.append(newcomer)

    def dismiss(self, reader: Reader) -> None:
        """Take a reader off, if it is still on."""
        if reader in self.readers:
            self.readers.remove(reader)


class Hub:
    """An event hub: its partitions and consumer groups."""

    def __init__(self, name: str, partitions: int, consumer_groups: Iterable[str] = ()) -> None:
        self.name = name
        self.created_ms = time.time_ns() // 1_000_000
        self.partitions = {str(number): Partition(str(number)) for number in range(partitions)}
        self.consumer_groups = {DEFAULT_GROUP, *consumer_groups}
        self._turn = 0

    def choose(self, key: str | None) -> Partition:
        """The partition of a key, or the next in turn.  The hash is not Azure's, only as stable."""
        if key is None:
            self._turn += 1
            number = self._turn
        else:
            number = zlib.crc32(key.encode())
        return self.partitions[str(number % len(self.partitions))]


@dataclass(frozen=True)
class Entity:
    """What a link's address names: a hub, perhaps one partition, perhaps read by one consumer group."""

    hub: Hub
    partition: Partition | None = None
    group: str = ""


def find(hubs: Mapping[str, Hub], path: str) -> Entity:
    """The entity of an address path such as `hub/ConsumerGroups/g/Partitions/0`, without regard to case.

    Raises:
        RefusedError: there is no such hub, partition or consumer group.
    """
    missing = RefusedError("amqp:not-found", f"The messaging entity '{path}' could not be found.")
    name, *rest = path.split("/")
    if len(rest) % 2:
        raise missing
    named = dict(zip((kind.lower() for kind in rest[::2]), rest[1::2], strict=True))
    hub = next((hub for hub in hubs.values() if hub.name.lower() == name.lower()), None)
    if hub is None or named.keys() - {"consumergroups", "partitions"}:
        raise missing
    partition_id, group = named.get("partitions"), named.get("consumergroups", "")
    known = {known.lower() for known in hub.consumer_groups}
    if (partition_id is not None and partition_id not in hub.partitions) or (group and group.lower() not in known):
        raise missing
    return Entity(hub, hub.partitions[partition_id] if partition_id is not None else None, group.lower())
