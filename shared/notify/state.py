"""What is kept between two looks: open events, messages that wait, digests, and when receivers are tried again.

Everything is in one blob, written before anything is sent.  That a message was sent is a blob of its own, written at
once; the next write of the state takes it in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from shared import stored_format
from shared.azure.archive_tier import kept_if_archived
from shared.clock import utc_moment, utc_text
from shared.notify.events import Event, read_event

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

BLOB: Final = "notify/state.json"
SENT: Final = "notify/sent/"
KIND: Final = "notices"
_MEMBERS: Final = frozenset({"since", "claimed", "runs", "open", "waiting", "digests", "standings"})


class BusyError(Exception):
    """Another process works on the notices."""


@dataclass(frozen=True)
class Waiting:
    """A message that a receiver is to have: one event, or a digest's news and what was open beside it."""

    receiver: str
    id: str
    phase: str
    events: tuple[Event, ...]
    still: tuple[Event, ...] = ()
    day: str = ""

    @property
    def mark(self) -> str:
        """The blob that says that it was sent."""
        text = f"{self.receiver}\n{self.id}\n{self.phase}"
        return f"{SENT}{hashlib.sha256(text.encode()).hexdigest()[:40]}"


@dataclass(frozen=True)
class Standing:
    """How a receiver does: failures in a row, and before when it is not tried."""

    failures: int = 0
    due: datetime | None = None


@dataclass(frozen=True)
class Digest:
    """What a receiver's next digest has, and the day of its last."""

    day: str
    news: tuple[Event, ...] = ()


@dataclass(frozen=True)
class State:
    """The whole; `since` is when notices began, and what happened before is no news."""

    since: datetime
    claimed: datetime | None = None
    """Until then the process that wrote this sends."""
    runs: tuple[str, ...] = ()
    """Runs that were looked at, of the last day."""
    open: tuple[Event, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    digests: Mapping[str, Digest] = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)

    def without(self, marks: frozenset[str]) -> State:
        """The state without the messages that were sent."""
        return replace(self, waiting=tuple(each for each in self.waiting if each.mark not in marks))


class StoredState:
    """The state in one container; a write fails where another process wrote since the last read."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container
        self._etag = ""

    async def read(self, now: datetime) -> State:
        """The state; a new one where there is none.

        Raises:
            stored_format.KeptAsIs: it can't be read, and so nothing is sent by it.
        """
        from azure.core.exceptions import ResourceNotFoundError

        from shared.exports.export_blobs import is_container_missing

        try:
            with kept_if_archived(BLOB):
                stream = await self._container.download_blob(BLOB)
                data = await stream.readall()
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            self._etag = ""
            return State(now)
        self._etag = str(stream.properties.etag)
        return _read(stored_format.read_object(KIND, data, _MEMBERS))

    async def write(self, state: State) -> None:
        """Keep the state.

        Raises:
            BusyError: another process wrote it meanwhile.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        condition: dict[str, Any] = (
            {"overwrite": True, "etag": self._etag, "match_condition": MatchConditions.IfNotModified}
            if self._etag
            else {"overwrite": False}
        )
        blob = self._container.get_blob_client(BLOB)
        try:
            answer = await blob.upload_blob(json.dumps(_document(state)), **condition)
        except (ResourceExistsError, ResourceModifiedError):
            raise BusyError("another process works on the notices") from None
        self._etag = str(answer["etag"])

    async def marks(self) -> frozenset[str]:
        """The marks of messages that were sent and that the state may still have."""
        return frozenset([name async for name in self._container.list_blob_names(name_starts_with=SENT)])

    async def mark(self, waiting: Waiting) -> None:
        """Note that a message was sent."""
        await self._container.upload_blob(waiting.mark, b"", overwrite=True)

    async def forget(self, marks: frozenset[str]) -> None:
        """Remove marks of messages that the stored state no longer has."""
        from azure.core.exceptions import ResourceNotFoundError

        for name in marks:
            try:
                await self._container.delete_blob(name)
            except ResourceNotFoundError:
                continue


def _document(state: State) -> dict[str, Any]:
    return {
        **stored_format.stamp(KIND),
        "since": utc_text(state.since),
        "claimed": _text(state.claimed),
        "runs": list(state.runs),
        "open": [each.as_document() for each in state.open],
        "waiting": [
            {
                "receiver": each.receiver,
                "id": each.id,
                "phase": each.phase,
                "day": each.day,
                "events": [event.as_document() for event in each.events],
                "still": [event.as_document() for event in each.still],
            }
            for each in state.waiting
        ],
        "digests": {
            name: {"day": each.day, "news": [event.as_document() for event in each.news]}
            for name, each in state.digests.items()
        },
        "standings": {
            name: {"failures": each.failures, "due": _text(each.due)} for name, each in state.standings.items()
        },
    }


def _read(document: Mapping[str, Any]) -> State:
    try:
        return State(
            utc_moment(document["since"]),
            _moment(document["claimed"]),
            tuple(map(str, document["runs"])),
            _events(document["open"]),
            tuple(
                Waiting(
                    str(each["receiver"]),
                    str(each["id"]),
                    str(each["phase"]),
                    _events(each["events"]),
                    _events(each["still"]),
                    str(each["day"]),
                )
                for each in document["waiting"]
            ),
            {name: Digest(str(each["day"]), _events(each["news"])) for name, each in document["digests"].items()},
            {
                name: Standing(int(each["failures"]), _moment(each["due"]))
                for name, each in document["standings"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        wrong = "these notices are misstated: nothing is sent; put them right or remove them"
        raise stored_format.KeptAsIs(wrong) from None


def _events(documents: Any) -> tuple[Event, ...]:
    return tuple(read_event(each) for each in documents)


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None


def _moment(text: Any) -> datetime | None:
    return utc_moment(text) if text else None
