"""Events to bodies: parse, add context, pack; what can't be made a row of becomes a dead letter, never an exception."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared.enrich.dead_letters.dead_letter_format import Letter, defective_event, defective_row, unreadable
from shared.enrich.delivery.packing import Body, pack
from shared.enrich.records.field_mapping import OTHER
from shared.enrich.records.model import Event, Parsed, Row
from shared.fail_points import touching

if TYPE_CHECKING:
    from shared.enrich.context.resource_context import Counts
    from shared.enrich.delivery.output_format import OutputEncoder
    from shared.enrich.delivery.output_hub import Outgoing
    from shared.enrich.records.parser import Parser

logger = logging.getLogger("defender_export.enrich")
SMALL_BYTES = 100_000
"""Events of no more together are read where they are: some 2 ms, for which two changes of thread are not worth it."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Context(Protocol):
    """Fills the columns that come from Resource Graph."""

    @property
    def counts(self) -> Counts:
        """Look-ups since the process began."""

    async def enrich(self, rows: Sequence[Row]) -> None:
        """Fill what can be found and leave the rest empty; never raises."""


@dataclass
class Work:
    """What to upload and to forward, what to keep whole beside it, and what no row can be made of.

    `unplaced` counts by shape the records of no known kind.
    """

    parsed: Parsed = field(default_factory=Parsed)
    bodies: list[Body] = field(default_factory=list)
    oversize: list[Row] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    forwarded: list[tuple[Row, Outgoing]] = field(default_factory=list)
    context: Counter[str] = field(default_factory=Counter)
    unplaced: Counter[str] = field(default_factory=Counter)


class Preparer:
    """Turns batches of events into bodies.

    The CPU's share of all but small batches runs in a thread, so that the uploads of other partitions go on meanwhile
    (docs/decisions/cpu-work-in-a-thread.md).
    """

    def __init__(
        self,
        make_parser: Callable[[], Parser],
        make_context: Callable[[], Context] | None,
        make_output: Callable[[], OutputEncoder] | None = None,
    ) -> None:
        """All are made for the first batch: a process that only sends the app's own rows needs none."""
        self._make_parser = make_parser
        self._make_context = make_context
        self._make_output = make_output
        self._parser: Parser | None = None
        self._context: Context | None = None
        self._output: OutputEncoder | None = None
        self._counted: Counter[str] = Counter()

    async def prepare(self, events: Sequence[Event], now: datetime) -> Work:
        """Parse, add context, pack, and encode for the output hub."""
        work = Work()
        small = sum(len(event.body) for event in events) <= SMALL_BYTES
        if self._parser is None:
            self._parser = self._make_parser()
            self._context = self._make_context() if self._make_context else None
            self._output = self._make_output() if self._make_output else None
        await _apart(small, _parse, self._parser, events, now, work)
        if self._context is not None:
            await self._add_context(self._context, work)
        await _apart(small, _pack, now, work)
        if self._output is not None:
            await _apart(small, _encode, self._output, work)
        return work

    async def _add_context(self, context: Context, work: Work) -> None:
        """Fill the context columns; whatever happens there, rows go on without."""
        try:
            with touching("context.enrich"):
                await context.enrich(work.parsed.rows)
        except Exception as error:  # noqa: BLE001 # context never blocks delivery
            logger.warning("rows go on without context: %s", type(error).__name__)
        counts = context.counts
        now = Counter(hit=counts.hits, miss=counts.asked - counts.hits, failure=counts.failures)
        work.context, self._counted = now - self._counted, now


async def _apart(small: bool, step: Callable[..., None], *arguments: object) -> None:
    if small:
        step(*arguments)
    else:
        await asyncio.to_thread(step, *arguments)


def _parse(parser: Parser, events: Sequence[Event], now: datetime, work: Work) -> None:
    def defect(event: Event, error: Exception) -> None:
        work.letters.append(defective_event(event, error, now))

    for parsed in _isolating(lambda part: parser.parse(part, now), events, defect):
        work.parsed.rows += parsed.rows
        work.parsed.dropped += parsed.dropped
        for key, seen in parsed.left_out.items():
            work.parsed.left_out[key] = max(seen, work.parsed.left_out.get(key, seen))
        work.letters += [unreadable(bad, now) for bad in parsed.bad]
    work.unplaced = _unplaced(work.parsed.rows)


_MOST_TOLD_APART = 65_536
"""Bytes of a record whose shape is worked out on the way: one of a megabyte may take seconds of processor."""


def _unplaced(rows: Sequence[Row]) -> Counter[str]:
    """Records of no known kind by shape; whatever happens here, they go on."""
    others = [row.whole for row in rows if row.kind == OTHER.name]
    if not others:
        return Counter()
    try:
        from shared.enrich.shapes.shape_digest import digest_of_bytes  # where none comes, nothing of it is loaded

        return Counter(digest_of_bytes(one) if len(one) <= _MOST_TOLD_APART else "large" for one in others)
    except Exception as error:  # noqa: BLE001 # a count never blocks delivery
        logger.warning("records of no known kind go on without a shape: %s", type(error).__name__)
        return Counter(unknown=len(others))


def _pack(now: datetime, work: Work) -> None:
    def defect(row: Row, error: Exception) -> None:
        work.letters.append(defective_row(row, error, now))

    for packed in _isolating(pack, work.parsed.rows, defect):
        work.bodies += packed.bodies
        work.oversize += packed.oversize


def _encode(output: OutputEncoder, work: Work) -> None:
    rows = [row for body in work.bodies for row in body.rows]
    events, cut = output.encode(rows)
    work.forwarded = list(zip(rows, events, strict=True))
    kept = {id(row) for row in work.oversize}
    work.oversize += [row for row in cut if id(row) not in kept]


def _isolating(
    step: Callable[[Sequence[Item]], Result], items: Sequence[Item], defect: Callable[[Item, Exception], None]
) -> Iterator[Result]:
    """Apply a step to all items at once; should it raise, halve until the items that make it raise stand alone.

    The steps are written never to raise.  If one does all the same, one record must not hold up its partition.
    """
    try:
        result = step(items)
    except Exception as error:  # noqa: BLE001 # whatever it is, it must not end the invocation
        if len(items) == 1:
            defect(items[0], error)
            return
        middle = len(items) // 2
        yield from _isolating(step, items[:middle], defect)
        yield from _isolating(step, items[middle:], defect)
    else:
        yield result
