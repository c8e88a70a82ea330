"""Events to bodies: parse, add context, pack; what can't be made a row of becomes a dead letter, never an exception."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared.enrich.dead_letters.dead_letter_format import Letter, defective_event, defective_row, undecided, unreadable
from shared.enrich.delivery.packing import Body, pack
from shared.enrich.records.field_mapping import OTHER
from shared.enrich.records.model import Event, Parsed, Row
from shared.fail_points import touching

if TYPE_CHECKING:
    from shared.enrich.context.resource_context import Counts, Known
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

    def known_of(self, row: Row) -> tuple[Known | None, Known | None, Known | None]:
        """Of a row's subscription, resource group and resource; None for what was asked and not answered."""


class _NoContext:
    """Where nothing is ever asked, nothing is known."""

    def known_of(self, row: Row) -> tuple[None, None, None]:  # noqa: ARG002 # the protocol's
        return None, None, None


@dataclass
class Divided:
    """Rows by where they go: the default place, each other place, and those of which it is not known yet."""

    own: list[Row] = field(default_factory=list)
    places: dict[str, list[Row]] = field(default_factory=dict)
    undecided: list[Row] = field(default_factory=list)


@dataclass
class PlaceWork:
    """What to send to one place of the file of routes: bodies to a rule, or events to a hub."""

    bodies: list[Body] = field(default_factory=list)
    forwarded: list[tuple[Row, Outgoing]] = field(default_factory=list)

    def keys(self) -> set[str]:
        """The RecordKeys of its rows."""
        rows = [row for body in self.bodies for row in body.rows] + [row for row, _ in self.forwarded]
        return {row.record_key for row in rows}


class Router(Protocol):
    """Divides rows by the file of routes."""

    async def load(self) -> object:
        """Know the routes in force; raises StoreError where they are not known."""

    def divide(self, rows: Sequence[Row], lookup: Context | _NoContext) -> Divided:
        """Which rows go to which place."""

    def encoder(self, place: str) -> OutputEncoder | None:
        """What makes the events of a place that is a hub; None for one that is a rule."""


@dataclass
class Work:
    """What to upload and to forward, what to keep whole beside it, and what no row can be made of.

    `unplaced` counts by shape the records of no known kind.  Where there are routes, `own` are the rows of the default
    place, and `places` what goes elsewhere.
    """

    parsed: Parsed = field(default_factory=Parsed)
    bodies: list[Body] = field(default_factory=list)
    oversize: list[Row] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    forwarded: list[tuple[Row, Outgoing]] = field(default_factory=list)
    context: Counter[str] = field(default_factory=Counter)
    unplaced: Counter[str] = field(default_factory=Counter)
    own: list[Row] | None = None
    places: dict[str, PlaceWork] = field(default_factory=dict)

    @property
    def default_rows(self) -> list[Row]:
        """What goes to the default place."""
        return self.parsed.rows if self.own is None else self.own


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
        router: Router | None = None,
    ) -> None:
        """All are made for the first batch: a process that only sends the app's own rows needs none."""
        self._make_parser = make_parser
        self._make_context = make_context
        self._make_output = make_output
        self._router = router
        self._parser: Parser | None = None
        self._context: Context | None = None
        self._output: OutputEncoder | None = None
        self._counted: Counter[str] = Counter()

    async def prepare(self, events: Sequence[Event], now: datetime) -> Work:
        """Parse, add context, divide where there are routes, pack, and encode for output hubs.

        Raises:
            shared.azure.blob_container.StoreError: there are routes, and which are in force is not known.
        """
        work = Work()
        if self._router is not None:
            await self._router.load()
        small = sum(len(event.body) for event in events) <= SMALL_BYTES
        if self._parser is None:
            self._parser = self._make_parser()
            self._context = self._make_context() if self._make_context else None
            self._output = self._make_output() if self._make_output else None
        await _apart(small, _parse, self._parser, events, now, work)
        if self._context is not None:
            await self._add_context(self._context, work)
        if self._router is not None:
            lookup = _NoContext() if self._context is None else self._context
            await _apart(small, _divide, self._router, lookup, now, work)
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
    work.bodies = _packed(work.default_rows, now, work)


def _packed(rows: Sequence[Row], now: datetime, work: Work) -> list[Body]:
    """The bodies of some rows; what had to be cut for them is kept whole."""
    bodies: list[Body] = []

    def defect(row: Row, error: Exception) -> None:
        work.letters.append(defective_row(row, error, now))

    for packed in _isolating(pack, rows, defect):
        bodies += packed.bodies
        work.oversize += packed.oversize
    return bodies


def _encode(output: OutputEncoder, work: Work) -> None:
    work.forwarded = _encoded(output, [row for body in work.bodies for row in body.rows], work)


def _encoded(output: OutputEncoder, rows: Sequence[Row], work: Work) -> list[tuple[Row, Outgoing]]:
    """The events of some rows; what had to be cut for them is kept whole, once."""
    events, cut = output.encode(rows)
    kept = {id(row) for row in work.oversize}
    work.oversize += [row for row in cut if id(row) not in kept]
    return list(zip(rows, events, strict=True))


def _divide(router: Router, lookup: Context | _NoContext, now: datetime, work: Work) -> None:
    """Divide the rows, and make ready what goes to other places than the default one."""
    whole = Divided()

    def defect(row: Row, error: Exception) -> None:
        work.letters.append(defective_row(row, error, now))

    for divided in _isolating(lambda rows: router.divide(rows, lookup), work.parsed.rows, defect):
        whole.own += divided.own
        whole.undecided += divided.undecided
        for place, rows in divided.places.items():
            whole.places.setdefault(place, []).extend(rows)
    work.own = whole.own
    work.letters += [undecided(row, now) for row in whole.undecided]
    for place, rows in whole.places.items():
        encoder = router.encoder(place)
        made = PlaceWork() if encoder else PlaceWork(bodies=_packed(rows, now, work))
        if encoder:
            made.forwarded = _encoded(encoder, rows, work)
        work.places[place] = made


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
