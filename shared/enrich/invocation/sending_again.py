"""Dead letters to bodies and back: what a replay sends, and what it hands back of letters that were not taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shared.enrich.dead_letters.dead_letter_format import NO_PLACE, NO_ROUTES, Letter, answered, failed_again, unsent
from shared.enrich.delivery.output_hub import NotForwarded, Outgoing
from shared.enrich.delivery.packing import Body, Encoded, pack_encoded
from shared.enrich.delivery.upload import Report

_FAULT = "the file of routes can't be read, and where this belongs is not known without it"


def packed(letters: Iterable[Letter]) -> tuple[Mapping[str, Sequence[Letter]], list[Body]]:
    """The letters by stream, and their rows as bodies."""
    by_stream: dict[str, list[Letter]] = defaultdict(list)
    for letter in letters:
        by_stream[f"Custom-{letter.table}"].append(letter)
    bodies = [
        body
        for stream, own in by_stream.items()
        for body in pack_encoded(Encoded(stream, (), [bytes(letter.row) for letter in own]))
    ]
    return by_stream, bodies


def not_accepted(by_stream: Mapping[str, Sequence[Letter]], report: Report[Body]) -> list[Letter]:
    """The letters of rows that were not accepted, with their counts moved on."""
    return [
        failed_again(before, answered(before, refusal.answer, outage=refusal.outage, tries=refusal.tries))
        for refusal in report.refused
        for before in by_stream[refusal.body.stream][refusal.body.start : refusal.body.stop]
    ]


def events_of(letters: Iterable[Letter]) -> list[Outgoing]:
    """The events of letters for an output hub, as they were meant."""
    return [Outgoing(letter.record, letter.table, bytes(letter.row), letter.form) for letter in letters]


def not_taken(letters: Sequence[Letter], failures: Iterable[NotForwarded]) -> list[Letter]:
    """The letters of events that an output hub did not take, with their counts moved on."""
    return [failed_again(letters[each.index], unsent(letters[each.index], each)) for each in failures]


def all_failed(letters: Iterable[Letter], reason: str, message: str, *, outage: bool) -> list[Letter]:
    """Letters that could not even be sent, with their counts moved on."""
    failure = NotForwarded(0, reason, message, outage=outage)
    return [failed_again(letter, unsent(letter, failure)) for letter in letters]


def not_known(letters: Iterable[Letter]) -> list[Letter]:
    """Letters that wait for a file of routes that can be read."""
    return all_failed(letters, NO_ROUTES, _FAULT, outage=True)


def without_place(letters: Iterable[Letter]) -> list[Letter]:
    """Letters for a place that is no longer declared, which are parked."""
    return all_failed(letters, NO_PLACE, "the file of routes names no such place any more", outage=False)
