"""What a canary has proven: from what was found before it, what was observed of it, and the time.

What was seen decides over what was foreseen: an alert that arrived is proven to arrive.  What could not be looked at is
never taken for a failure of the path, and never for success.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.canary.advice import advice
from shared.canary.hops import (
    ALLOWED,
    BEFORE,
    Hop,
    Observation,
    Obstacle,
    Reached,
    Refused,
    State,
    Unseen,
    all_before,
)


class Outcome(StrEnum):
    """What the whole says; `running` as long as something may still arrive in time."""

    PROVEN = "proven"
    NOT_PROVEN = "not-proven"
    NOT_POSSIBLE = "not-possible"
    RUNNING = "running"


_THROUGH = frozenset({State.REACHED, State.PASSED})
_STOPPED = frozenset({State.LATE, State.REFUSED, State.NOT_REACHED})


@dataclass(frozen=True)
class Leg:
    """One hop of a canary; `latency` since the nearest hop before it that has a time, None where there is none.

    Clocks of two services differ: a time before that of the hop before it counts as no time taken.
    """

    hop: Hop
    state: State
    at: datetime | None = None
    latency: timedelta | None = None
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a canary has proven; `hop` is the first that it did not reach, `reason` why and `mend` what to do.

    A hop that could not be looked at is named only where no other is late or refused.
    `due` is when the last hop that is waited for is late; None where nothing is waited for.
    """

    outcome: Outcome
    legs: tuple[Leg, ...]
    hop: Hop | None = None
    reason: str = ""
    mend: str = ""
    due: datetime | None = None


def judge(
    begun: datetime,
    now: datetime,
    hops: Iterable[Hop],
    observations: Iterable[Observation],
    *,
    obstacles: Iterable[Obstacle] = (),
    allowed: Mapping[Hop, timedelta] = ALLOWED,
) -> Verdict:
    """Judge a canary.

    Args:
        begun: when the alert was asked for.
        now: when this is judged.
        hops: those that this path has; all that lie before one of them belong to it too.
        observations: what was observed, in any order; of a hop that was reached several times the first counts.
        obstacles: what was found before.
        allowed: how long each hop may take.
    """
    legs = _legs(begun, now, _path(hops), list(observations), allowed)
    if all(leg.state in _THROUGH for leg in legs):
        return Verdict(Outcome.PROVEN, legs)
    if found := sorted(obstacles, key=lambda each: (not each.fault, [*Hop].index(each.hop))):
        outcome = Outcome.NOT_PROVEN if found[0].fault else Outcome.NOT_POSSIBLE
        return Verdict(outcome, legs, found[0].hop, found[0].reason, found[0].mend)
    if waiting := [leg for leg in legs if leg.state is State.WAITING]:
        return Verdict(Outcome.RUNNING, legs, waiting[0].hop, due=_due(begun, legs, allowed))
    failed = min((leg for leg in legs if leg.state not in _THROUGH), key=lambda leg: leg.state is State.UNSEEN)
    return Verdict(Outcome.NOT_PROVEN, legs, failed.hop, failed.reason, advice(failed.hop, failed.state))


def _path(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    wanted = {each for hop in hops for each in (hop, *all_before(hop))}
    return tuple(hop for hop in Hop if hop in wanted)


def _legs(
    begun: datetime,
    now: datetime,
    path: tuple[Hop, ...],
    observations: list[Observation],
    allowed: Mapping[Hop, timedelta],
) -> tuple[Leg, ...]:
    times: dict[Hop, datetime] = {}
    for each in observations:
        if isinstance(each, Reached):
            times[each.hop] = min(each.at, times.get(each.hop, each.at))
    refused = {each.hop: each.reason for each in observations if isinstance(each, Refused)}
    unseen = {each.hop: each.reason for each in observations if isinstance(each, Unseen)}
    passed = {before for hop in (*times, *refused) for before in all_before(hop)}
    found: dict[Hop, Leg] = {}
    for hop in path:
        if hop in times:
            found[hop] = Leg(hop, State.REACHED, times[hop], _latency(begun, hop, times))
        elif hop in passed:
            found[hop] = Leg(hop, State.PASSED)
        elif hop in refused:
            found[hop] = Leg(hop, State.REFUSED, reason=refused[hop])
        elif hop in BEFORE and found[BEFORE[hop]].state in _STOPPED:
            found[hop] = Leg(hop, State.NOT_REACHED)
        elif now < _deadline(begun, hop, times, allowed):
            found[hop] = Leg(hop, State.WAITING)
        elif hop in unseen:
            found[hop] = Leg(hop, State.UNSEEN, reason=unseen[hop])
        else:
            _, took = _wait(begun, hop, times, allowed)
            found[hop] = Leg(hop, State.LATE, reason=f"not there within {_minutes(took)}")
    return tuple(found.values())


def _latency(begun: datetime, hop: Hop, times: Mapping[Hop, datetime]) -> timedelta:
    since = next((times[before] for before in all_before(hop) if before in times), begun)
    return max(times[hop] - since, timedelta(0))


def _deadline(begun: datetime, hop: Hop, times: Mapping[Hop, datetime], allowed: Mapping[Hop, timedelta]) -> datetime:
    """When a hop is late."""
    since, took = _wait(begun, hop, times, allowed)
    return since + took


def _wait(
    begun: datetime, hop: Hop, times: Mapping[Hop, datetime], allowed: Mapping[Hop, timedelta]
) -> tuple[datetime, timedelta]:
    """Since when a hop is waited for, and how long it may take with those before it that were not seen."""
    took = allowed[hop]
    for before in all_before(hop):
        if before in times:
            return times[before], took
        took += allowed[before]
    return begun, took


def _due(begun: datetime, legs: Iterable[Leg], allowed: Mapping[Hop, timedelta]) -> datetime:
    legs = list(legs)
    times = {leg.hop: leg.at for leg in legs if leg.at is not None}
    return max(_deadline(begun, leg.hop, times, allowed) for leg in legs if leg.state is State.WAITING)


def _minutes(took: timedelta) -> str:
    minutes, seconds = divmod(int(took.total_seconds()), 60)
    return f"{minutes} min" if not seconds else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
