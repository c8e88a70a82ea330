"""Rows to the places that the file of routes names: each place by itself, side by side."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.azure.blob_container import StoreError
from shared.clock import Clock, Deadline
from shared.enrich.dead_letters.dead_letter_format import NO_ROUTES, Letter, not_forwarded, refused
from shared.enrich.delivery.output_format import OutputEncoder
from shared.enrich.delivery.output_hub import Forward, NotForwarded, Outgoing
from shared.enrich.delivery.upload import Delivering
from shared.enrich.invocation.delivery_summary import Summary
from shared.enrich.invocation.preparation import Divided, PlaceWork
from shared.enrich.invocation.sending_again import all_failed, events_of, not_accepted, not_taken, packed, without_place
from shared.enrich.records.model import Row
from shared.enrich.routing.route_model import DEFAULT, Place
from shared.enrich.routing.routes_in_force import InForce
from shared.enrich.routing.row_facts import Lookup, RowFacts

HUB = "hub"
_FAULT = "the file of routes can't be read, and no such place is known without it"


@dataclass(frozen=True)
class RuleSender:
    """Uploads to a place's data collection rule."""

    deliverer: Delivering


@dataclass(frozen=True)
class HubSender:
    """Sends to a place's output hub, and makes the events for it."""

    hub: Forward
    encoder: OutputEncoder


Sender = RuleSender | HubSender


class Source(Protocol):
    """Where routes come from."""

    async def load(self) -> InForce:
        """The routes in force; raises StoreError where they are not known."""


class RoutedDelivery:
    """Divides rows by the routes in force and delivers to each place; one per process."""

    def __init__(
        self, source: Source, make: Callable[[Place], Sender], owner_tags: Sequence[str], clock: Clock
    ) -> None:
        self._source = source
        self._make = make
        self._owner_tags = owner_tags
        self._clock = clock
        self._senders: dict[str, Sender] = {}
        self._in_force: InForce | None = None
        self._turn = asyncio.Lock()

    async def load(self) -> InForce:
        """The routes in force, read once.

        Raises:
            shared.azure.blob_container.StoreError: they are not known.
        """
        if self._in_force is None:
            async with self._turn:
                if self._in_force is None:
                    self._in_force = await self._source.load()
                    self._senders = {place.name: self._make(place) for place in self._in_force.routes.places}
        return self._in_force

    def divide(self, rows: Sequence[Row], lookup: Lookup) -> Divided:
        """Which rows go to which place; `load` comes before."""
        if self._in_force is None:
            raise RuntimeError("the routes were not loaded")
        facts = RowFacts(self._in_force.routes, lookup, self._owner_tags)
        divided = Divided()
        for row in rows:
            decision = facts.decide(row)
            if decision is None:
                divided.undecided.append(row)
                continue
            for place in decision.places:
                (divided.own if place == DEFAULT else divided.places.setdefault(place, [])).append(row)
        return divided

    def encoder(self, place: str) -> OutputEncoder | None:
        """What makes the events of a place that is a hub; None for one that is a rule."""
        sender = self._senders[place]
        return sender.encoder if isinstance(sender, HubSender) else None

    async def send(self, places: Mapping[str, PlaceWork], deadline: Deadline, summary: Summary) -> list[Letter]:
        """Deliver to every place at the same time; return what was not taken."""
        sending = [self._send_to(place, work, deadline, summary) for place, work in places.items()]
        return [letter for part in await asyncio.gather(*sending) for letter in part]

    async def _send_to(self, place: str, work: PlaceWork, deadline: Deadline, summary: Summary) -> list[Letter]:
        sender = self._senders[place]
        if isinstance(sender, RuleSender):
            report = await sender.deliverer.deliver(work.bodies, deadline)
            summary.count_place(place, report)
            now = self._clock.now()
            return [letter for refusal in report.refused for letter in refused(refusal, now, place)]
        failures = await self._forward(place, sender.hub, [event for _, event in work.forwarded], deadline, summary)
        now = self._clock.now()
        return [not_forwarded(*work.forwarded[each.index], each, now, place) for each in failures]

    async def send_again(self, letters: Sequence[Letter], deadline: Deadline, summary: Summary) -> list[Letter]:
        """Send letters once more, each to its place alone; return those not taken, with their counts moved on."""
        if not letters:
            return []
        try:
            in_force = await self.load()
        except StoreError:
            return all_failed(letters, NO_ROUTES, _FAULT, outage=True)
        by_place: dict[tuple[str, str], list[Letter]] = defaultdict(list)
        for letter in letters:
            by_place[letter.route, letter.target].append(letter)
        sending = [self._again_to(place, own, in_force, deadline, summary) for (place, _), own in by_place.items()]
        return [letter for part in await asyncio.gather(*sending) for letter in part]

    async def _again_to(
        self, place: str, letters: Sequence[Letter], in_force: InForce, deadline: Deadline, summary: Summary
    ) -> list[Letter]:
        sender = self._senders.get(place)
        if sender is None or isinstance(sender, HubSender) != (letters[0].target == HUB):
            # A file that can't be read names no place, which says nothing of the place.
            return all_failed(letters, NO_ROUTES, _FAULT, outage=True) if in_force.fault else without_place(letters)
        if isinstance(sender, HubSender):
            failures = await self._forward(place, sender.hub, events_of(letters), deadline, summary)
            return not_taken(letters, failures)
        by_stream, bodies = packed(letters)
        report = await sender.deliverer.deliver(bodies, deadline)
        summary.count_place(place, report)
        return not_accepted(by_stream, report)

    async def _forward(
        self, place: str, forward: Forward, events: Sequence[Outgoing], deadline: Deadline, summary: Summary
    ) -> list[NotForwarded]:
        failures = await forward.send(events, deadline)
        if taken := len(events) - len(failures):
            summary.count_arrived(place, HUB, self._clock.now().date(), taken)
        return failures
