"""Where the shapes of records are read from: dead letters, records kept whole, and the hub itself."""

from __future__ import annotations

import zlib
from collections import Counter

from shared.azure.blob_container import ChangedError, Container, RefusedError
from shared.azure.event_hub import NewestEvents
from shared.enrich.dead_letters.dead_letter_store import DeadLetters, LetterFilter, UnreadableLettersError
from shared.enrich.records.body_unwrapping import MOST_BYTES
from shared.enrich.shapes import shape_request
from shared.enrich.shapes.record_shapes import Met

_GONE = "a blob that was replayed or removed meanwhile"


class Reading:
    """What was read of a source: as much as is wanted, in number and in bytes.

    `passed_over` counts by reason what could not be read; `more` says that there is more than was read.
    """

    def __init__(self, most: int) -> None:
        self.met: list[Met] = []
        self.passed_over: Counter[str] = Counter()
        self.more = False
        self._most = most
        self._room = shape_request.MOST_BYTES

    @property
    def full(self) -> bool:
        """Whether nothing more is taken."""
        return len(self.met) >= self._most or self._room <= 0

    def add(self, met: Met) -> None:
        """Take one unless it is full."""
        if self.full:
            self.more = True
            return
        self.met.append(met)
        self._room -= len(met.body)


async def from_dead_letters(store: DeadLetters, day: str, most: int) -> Reading:
    """Rows and events that could not be delivered, oldest day first.

    Raises:
        shared.azure.blob_container.StoreError: the store can't be listed or read.
    """
    reading = Reading(most)
    async for blob in store.find(LetterFilter(day=day, parked=None, due_only=False)):
        if reading.full:
            reading.more = True
            break
        try:
            letters = [] if blob.trouble else await store.read(blob.name)
        except ChangedError:
            reading.passed_over[_GONE] += 1
            continue
        except UnreadableLettersError:
            letters = []
        if not letters:
            reading.passed_over["a blob of dead letters that this release leaves as it is"] += 1
        for letter in letters:
            event = letter.event is not None
            reading.add(Met(letter.raw_event.body) if event else Met(bytes(letter.row), letter.table))
    return reading


async def from_oversize(container: Container, day: str, most: int) -> Reading:
    """Records that were kept whole because their rows had to be cut, oldest day first.

    Raises:
        shared.azure.blob_container.StoreError: the store can't be listed or read.
    """
    reading = Reading(most)
    async for blob in container.entries(f"{day}/" if day else ""):
        if reading.full:
            reading.more = True
            break
        try:
            body, _ = await container.get(blob.name)
            reading.add(Met(zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(body, MOST_BYTES)))
        except ChangedError:
            reading.passed_over[_GONE] += 1
        except RefusedError as refused:
            reading.passed_over[f"a record that the store does not hand out: {refused.code}"] += 1
        except zlib.error:
            reading.passed_over["a record that is not gzip"] += 1
    return reading


def from_hub(newest: NewestEvents, most: int) -> Reading:
    """The newest events of the hub."""
    reading = Reading(most)
    for body in newest.bodies:
        reading.add(Met(body))
    if newest.foreign:
        reading.passed_over["an event whose body is not bytes"] = newest.foreign
    reading.more |= not newest.whole
    return reading
