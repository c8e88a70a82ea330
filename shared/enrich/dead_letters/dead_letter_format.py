"""One dead letter: a row or a raw event that could not be delivered, and all that is needed to deliver it later."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from shared.enrich.delivery.ingestion_status import Answer
from shared.enrich.delivery.output_hub import NotForwarded, Outgoing
from shared.enrich.delivery.packing import Body
from shared.enrich.delivery.upload import Refusal
from shared.enrich.records.model import BadRecord, Event, Row
from shared.exports.suggestions import suggest

Target = Literal["workspace", "hub"]
_ROUTE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
NO_OUTPUT_HUB = "no-output-hub"  # the reason of letters for an output hub that the settings no longer name
NO_PLACE = "no-place"  # the same for a place that the file of routes no longer names
UNDECIDED = "route-unknown"  # the reason of records of which it is not known yet where they go
NO_ROUTES = "routes-unknown"  # the reason of letters that wait for a file of routes that can be read
REASONS = frozenset(
    {
        NO_OUTPUT_HUB, NO_PLACE, UNDECIDED, NO_ROUTES, "unreadable", "defect", "not-configured", "stream-refused",
        "no-token", "no-access", "not-found", "throttled", "unavailable", "refused", "too-large", "hub-unavailable",
    }
)  # fmt: skip
"""Reasons of this release's dead letters; others' can have more."""


class Letter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One row or one raw event, and what happened to it.

    `row` is the row's JSON for `table`, or for the output hub its event in the form that `form` names, which a replay
    sends as it is; `event` is base64 of bytes that no row can be made of, which may be empty.
    `target` is where it was bound, `route` the place of the file of routes, empty for what the settings name; `key` and
    `record` are RecordKey and RecordId.  `replays` counts the replays that refused it, `outages` those that met an
    outage.
    """

    reason: str
    message: str = ""
    status: int = 0
    code: str = ""
    outage: bool = False
    tries: int = 0
    replays: int = 0
    outages: int = 0
    target: Target = "workspace"
    route: str = ""
    form: str = ""
    table: str = ""
    row: msgspec.Raw = msgspec.Raw()
    event: str | None = None
    key: str = ""
    record: str = ""
    partition: str = ""
    sequence: int = 0
    enqueued: datetime
    failed: datetime

    @property
    def sound(self) -> bool:
        """Whether it holds what it takes to send it: a row, as an object, and its table, or an event, never both."""
        row = bytes(self.row)
        if self.form and self.target != "hub":
            return False
        if self.event is not None:
            return not row and self.target == "workspace" and not self.route and _is_base64(self.event)
        if self.route and not _ROUTE.fullmatch(self.route):  # it becomes part of a blob's name
            return False
        return row.startswith(b"{") and bool(self.table)

    @property
    def place(self) -> str:
        """Where it has to get through: a table, `hub` for the output hub, or `events` for what must be read first.

        For a place of the file of routes, its name and a dot stand before.
        """
        if self.event is not None:
            return "events"
        where = "hub" if self.target == "hub" else self.table
        return f"{self.route}.{where}" if self.route else where

    @property
    def homeless(self) -> bool:
        """Whether the settings name its target no more, so that trying it again delivers nothing."""
        return self.reason in {NO_OUTPUT_HUB, NO_PLACE}

    @property
    def raw_event(self) -> Event:
        """The event as it came; decoded anew each time."""
        return Event(base64.b64decode(self.event or ""), self.enqueued, self.partition, self.sequence)


def texts(body: Body) -> Sequence[bytes]:
    """The JSON of each row in a body."""
    return body.batch.json[body.start : body.stop]


def refused(refusal: Refusal[Body], now: datetime, route: str = "") -> Iterator[Letter]:
    """A letter for each row that the workspace did not take, or a place's rule."""
    answer = refusal.answer
    for row, text in zip(refusal.body.rows, texts(refusal.body), strict=True):
        letter = _of_row(row, text, now, answer, outage=refusal.outage, tries=refusal.tries)
        yield msgspec.structs.replace(letter, route=route) if route else letter


def not_forwarded(row: Row, outgoing: Outgoing, failure: NotForwarded, now: datetime, route: str = "") -> Letter:
    """A letter for a row that the output hub did not take, or a place's."""
    letter = _of_row(row, outgoing.row, now, Answer(0), outage=failure.outage, tries=1)
    return unsent(msgspec.structs.replace(letter, target="hub", form=outgoing.form, route=route), failure)


def undecided(row: Row, now: datetime) -> Letter:
    """A letter for a record of which it is not known where it goes; a replay reads it again and decides then."""
    said = "Resource Graph did not answer, and a route asks for what it knows"
    return msgspec.structs.replace(_of_event(row.event, row.whole, now, UNDECIDED, said), outage=True)


def no_such_reason(reason: str) -> str:
    """What to say to who asks for a reason that no dead letter was found with; empty where that may well be."""
    if not reason or reason in REASONS:
        return ""
    return f"no dead letter has the reason {reason}. {suggest(reason, sorted(REASONS))}".strip()


def unreadable(bad: BadRecord, now: datetime) -> Letter:
    """A letter for bytes that no row can be made of."""
    return _of_event(bad.event, bad.body, now, "unreadable", bad.reason)


def defective_event(event: Event, error: Exception, now: datetime) -> Letter:
    """A letter for an event whose reading raised; only the error's type is kept, since its text may quote the event."""
    return _of_event(event, event.body, now, "defect", type(error).__name__)


def defective_row(row: Row, error: Exception, now: datetime) -> Letter:
    """The same for a record."""
    return _of_event(row.event, row.whole, now, "defect", type(error).__name__)


def answered(letter: Letter, answer: Answer, *, outage: bool, tries: int) -> Letter:
    """A letter of a row that was sent to the workspace again and not accepted."""
    return msgspec.structs.replace(
        letter,
        reason=answer.reason,
        message=answer.message,
        status=answer.status,
        code=answer.code,
        outage=outage,
        tries=tries,
    )


def unsent(letter: Letter, failure: NotForwarded) -> Letter:
    """A letter of a row that was sent to the output hub again and not accepted."""
    return msgspec.structs.replace(
        letter, reason=failure.reason, message=failure.message, outage=failure.outage, tries=1
    )


def failed_again(before: Letter, after: Letter) -> Letter:
    """A letter after a replay that did not deliver it: the latest reason, the first time, the counts so far."""
    return msgspec.structs.replace(
        after,
        failed=before.failed,
        tries=before.tries + after.tries,
        replays=before.replays + (not after.outage),
        outages=before.outages + 1 if after.outage else 0,
    )


def one_line(row: bytes) -> msgspec.Raw:
    """A row's JSON without line ends: outside strings they mean nothing, and inside JSON has none."""
    if b"\n" in row or b"\r" in row:
        row = row.replace(b"\n", b" ").replace(b"\r", b" ")
    return msgspec.Raw(row)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _of_row(row: Row, text: bytes, now: datetime, answer: Answer, *, outage: bool, tries: int) -> Letter:
    event = row.event
    return Letter(
        reason=answer.reason,
        message=answer.message,
        status=answer.status,
        code=answer.code,
        outage=outage,
        tries=tries,
        table=row.table,
        row=one_line(text),
        key=row.record_key,
        record=row.record_id,
        partition=event.partition,
        sequence=event.sequence,
        enqueued=event.enqueued,
        failed=now,
    )


def _of_event(event: Event, body: bytes, now: datetime, reason: str, message: str) -> Letter:
    return Letter(
        reason=reason,
        message=message,
        tries=1,
        event=base64.b64encode(body).decode(),
        partition=event.partition,
        sequence=event.sequence,
        enqueued=event.enqueued,
        failed=now,
    )
