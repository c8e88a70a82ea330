"""The hops of a canary, in what order they follow each other, and what can be observed of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType


class Hop(StrEnum):
    """Where a simulated alert is seen, one after the other."""

    SIMULATED = "simulated"
    EMITTED = "emitted"
    HUB = "hub"
    ACCEPTED = "accepted"
    STORED = "stored"
    FORWARDED = "forwarded"


class State(StrEnum):
    """What is known of one hop.

    `passed` is one that was not seen but lies before one that was, `unseen` one that can't be looked at, and
    `not-reached` one behind a hop that is late or refused.
    """

    REACHED = "reached"
    PASSED = "passed"
    WAITING = "waiting"
    LATE = "late"
    REFUSED = "refused"
    UNSEEN = "unseen"
    NOT_REACHED = "not-reached"


BEFORE: Mapping[Hop, Hop] = MappingProxyType(
    {
        Hop.EMITTED: Hop.SIMULATED,
        Hop.HUB: Hop.EMITTED,
        Hop.ACCEPTED: Hop.HUB,
        Hop.STORED: Hop.ACCEPTED,
        Hop.FORWARDED: Hop.HUB,
    }
)
"""Which hop each one follows: what is seen at a hop has passed all before it."""
ALLOWED: Mapping[Hop, timedelta] = MappingProxyType(
    {
        Hop.SIMULATED: timedelta(minutes=1),
        Hop.EMITTED: timedelta(minutes=3),
        Hop.HUB: timedelta(minutes=4),
        Hop.ACCEPTED: timedelta(minutes=2),
        Hop.STORED: timedelta(minutes=5),
        Hop.FORWARDED: timedelta(minutes=2),
    }
)
"""How long each hop may take after the one before it, where nothing else is said: 15 minutes to the table."""


def allowed_in(minutes: int) -> Mapping[Hop, timedelta]:
    """How long each hop may take so that all of them to the table take so long, in the proportions of `ALLOWED`."""
    whole = sum((ALLOWED[hop] for hop in (Hop.STORED, *all_before(Hop.STORED))), timedelta())
    return MappingProxyType({hop: took * minutes / (whole / timedelta(minutes=1)) for hop, took in ALLOWED.items()})


def all_before(hop: Hop) -> tuple[Hop, ...]:
    """The hops before one, the nearest first."""
    found: list[Hop] = []
    while (before := BEFORE.get(hop)) is not None:
        found.append(before)
        hop = before
    return tuple(found)


@dataclass(frozen=True)
class Reached:
    """The alert was seen at a hop, at a time that the hop's own clock gives."""

    hop: Hop
    at: datetime


@dataclass(frozen=True)
class Refused:
    """A hop refused the alert, which had come as far as that; `reason` is what it said, no value of the alert."""

    hop: Hop
    reason: str


@dataclass(frozen=True)
class Unseen:
    """It can't be looked at whether the alert is at a hop; `reason` says why."""

    hop: Hop
    reason: str


Observation = Reached | Refused | Unseen


@dataclass(frozen=True)
class Obstacle:
    """Something found before the alert was asked for, which would stop it; `mend` is what to do about it.

    `hop` is the one that it would not reach.  `fault` is false where nothing is wrong with the path, but this alert
    can't prove it: a plan that is off, a filter that asks for other alerts, no right to simulate.
    """

    hop: Hop
    reason: str
    mend: str
    fault: bool = True
