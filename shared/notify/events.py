"""News for people: events that begin and end, from what is wrong now and what was before.  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared.clock import utc_moment, utc_text
from shared.muting.mutes import Muting, Part

SEVERITIES: Final = ("Low", "Medium", "High")
BEGAN, ENDED, HAPPENED = "began", "ended", "happened"


class Kind(NamedTuple):
    """A kind of event: how bad it is, and what it is called in a message."""

    severity: str
    words: str


KINDS: Final[Mapping[str, Kind]] = {
    "subscription-silent": Kind("Medium", "Data stopped coming"),
    "run-failed": Kind("High", "The run of reconcile_exports failed"),
    "guard-refused": Kind("High", "A guard held changes back"),
    "destination-broken": Kind("High", "A destination takes no data"),
    "drift-put-back": Kind("Low", "Changed automations were put back"),
    "dead-letters-parked": Kind("High", "Records wait as parked dead letters"),
    "timer-stopped": Kind("High", "A timer has stopped"),
    "exception-expired": Kind("Medium", "An exception has run out"),
}
MAX_TEXT: Final = 500

Key = tuple[str, str]
"""Kind and subject of an event: no two that are open share it."""


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now, or with `moment` something that happened.

    `subject` is the same each time it is seen, `name` is for people.  `began` is when it did, where that is known.
    """

    kind: str
    subject: str
    name: str
    reason: str = ""
    began: datetime | None = None
    subscription: str = ""
    owner: str = ""
    groups: tuple[str, ...] = ()
    moment: bool = False
    parts: tuple[Part, ...] = ()
    """What it is about, as far as that can be muted; nothing else of it ever is."""

    @property
    def key(self) -> Key:
        """Kind and subject."""
        return self.kind, self.subject


@dataclass(frozen=True)
class Observed:
    """What was seen.  Only what was looked at can end: a kind in `unseen` ends where its key is in `well`.

    A key in `doubtful` does not end either.
    """

    conditions: Sequence[Condition] = ()
    unseen: frozenset[str] = frozenset()
    doubtful: frozenset[Key] = frozenset()
    well: frozenset[Key] = frozenset()
    muted: frozenset[Key] = frozenset()
    """What is wrong and muted: neither a beginning nor an end of it is news."""

    def quieted(self, muting: Muting, now: datetime) -> Observed:
        """Without what is muted now."""
        muted = frozenset(each.key for each in self.conditions if muting.of(each.parts, now))
        if not muted:
            return self
        left = [each for each in self.conditions if each.key not in muted]
        return replace(self, conditions=left, doubtful=self.doubtful | muted, well=self.well - muted, muted=muted)

    def over(self, key: Key) -> bool:
        """Whether an event that is not among the conditions has ended for certain."""
        return key in self.well or (key not in self.doubtful and key[0] not in self.unseen)


@dataclass(frozen=True)
class Event:
    """One event; its id is the same however often it is worked out from the same beginning."""

    kind: str
    subject: str
    name: str
    reason: str
    began: datetime
    subscription: str = ""
    owner: str = ""
    groups: tuple[str, ...] = ()
    moment: bool = False
    ended: datetime | None = None
    heard: tuple[str, ...] = ()
    """Receivers that were informed of its beginning at once, and so are informed of its end."""
    listed: tuple[str, ...] = ()
    """Receivers whose digests have it."""

    @property
    def id(self) -> str:
        """Of kind, subject and beginning."""
        text = "\n".join((self.kind, self.subject, utc_text(self.began)))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]

    @property
    def key(self) -> Key:
        """Kind and subject."""
        return self.kind, self.subject

    @property
    def severity(self) -> str:
        """That of its kind; of one that a later release wrote, the highest."""
        known = KINDS.get(self.kind)
        return known.severity if known else SEVERITIES[-1]

    @property
    def phase(self) -> str:
        """What there is to say of it now."""
        return ENDED if self.ended else HAPPENED if self.moment else BEGAN

    def as_document(self) -> dict[str, Any]:
        """The event as it is stored."""
        texts = {"began": utc_text(self.began), "ended": utc_text(self.ended) if self.ended else None}
        return asdict(self) | texts


def read_event(document: Mapping[str, Any]) -> Event:
    """A stored event.

    Raises:
        ValueError: it is none.
    """
    try:
        ended = document["ended"]
        return Event(
            str(document["kind"]),
            str(document["subject"]),
            str(document["name"]),
            str(document["reason"]),
            utc_moment(document["began"]),
            str(document["subscription"]),
            str(document["owner"]),
            tuple(map(str, document["groups"])),
            bool(document["moment"]),
            utc_moment(ended) if ended else None,
            tuple(map(str, document["heard"])),
            tuple(map(str, document["listed"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"this event is none ({type(error).__name__})") from None


@dataclass(frozen=True)
class Followed:
    """What is open after a look, and what began and ended with it."""

    open: tuple[Event, ...]
    begun: tuple[Event, ...] = ()
    ended: tuple[Event, ...] = ()
    muted: frozenset[Key] = frozenset()
    """What no digest lists for now: it waits for the next after the end of its mute."""


def follow(before: Collection[Event], observed: Observed, now: datetime) -> Followed:
    """Which events begin, last and end, by what was open and what is seen; of a moment nothing ends."""
    there = {each.key: each for each in observed.conditions}
    kept = [each for each in before if each.key in there or not observed.over(each.key)]
    gone = [each for each in before if each.key not in there and observed.over(each.key)]
    known = {each.key for each in before}
    begun = tuple(_begun(each, now) for key, each in there.items() if key not in known)
    ended = tuple(replace(each, ended=now) for each in gone if not each.moment)
    return Followed((*kept, *begun), begun, ended)


def _begun(condition: Condition, now: datetime) -> Event:
    return Event(
        condition.kind,
        condition.subject,
        condition.name[:MAX_TEXT],
        condition.reason[:MAX_TEXT],
        min(condition.began or now, now),
        condition.subscription,
        condition.owner,
        condition.groups,
        condition.moment,
    )
