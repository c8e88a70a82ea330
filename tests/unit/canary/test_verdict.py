"""What a canary proves, from every mixture of observations: only what was seen, and the first hop that was not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from shared.canary.verdict import Outcome, Verdict, judge

BEGUN = datetime(2026, 11, 27, 12, tzinfo=UTC)
WHOLE = (Hop.STORED, Hop.FORWARDED)
ORDER = [*Hop]
AT_LAST = BEGUN + sum(ALLOWED.values(), timedelta())
THROUGH = {State.REACHED, State.PASSED}

reached = st.builds(
    Reached, st.sampled_from(ORDER), st.integers(-60, 1_500).map(lambda seconds: BEGUN + timedelta(seconds=seconds))
)
refused = st.builds(Refused, st.sampled_from(ORDER), st.just("403"))
unseen = st.builds(Unseen, st.sampled_from(ORDER), st.just("no right"))
observed = st.lists(st.one_of(reached, reached, refused, unseen), max_size=12)
paths = st.lists(st.sampled_from(ORDER), min_size=1, max_size=6)
moments = st.integers(0, 2_000).map(lambda seconds: BEGUN + timedelta(seconds=seconds))
obstacles = st.lists(
    st.builds(Obstacle, st.sampled_from(ORDER), st.just("why"), st.just("do"), st.booleans()), max_size=3
)


def until(hop: Hop, seconds: int = 10) -> list[Reached]:
    """The alert was seen at a hop and all before it, so many seconds apart."""
    chain = [*reversed(all_before(hop)), hop]
    return [Reached(one, BEGUN + timedelta(seconds=seconds * (place + 1))) for place, one in enumerate(chain)]


def states(verdict: Verdict) -> dict[Hop, State]:
    return {leg.hop: leg.state for leg in verdict.legs}


def test_an_alert_that_arrives_everywhere_proves_the_path_with_the_latency_of_each_hop() -> None:
    verdict = judge(BEGUN, AT_LAST, WHOLE, [*until(Hop.STORED), *until(Hop.FORWARDED)])
    assert verdict.outcome is Outcome.PROVEN
    assert [leg.latency for leg in verdict.legs] == [timedelta(seconds=10)] * 6
    assert (verdict.hop, verdict.reason, verdict.mend, verdict.due) == (None, "", "", None)


@pytest.mark.parametrize("broken", [hop for hop in Hop if hop in BEFORE])
def test_the_first_hop_that_is_not_reached_is_named_with_what_to_do(broken: Hop) -> None:
    seen = {one.hop: one for hop in WHOLE for one in until(hop)}
    others = [one for hop, one in seen.items() if broken not in {hop, *all_before(hop)}]
    verdict = judge(BEGUN, AT_LAST, WHOLE, others)
    assert (verdict.outcome, verdict.hop) == (Outcome.NOT_PROVEN, broken)
    assert verdict.reason.startswith("not there within ")
    assert verdict.mend
    after = {hop: state for hop, state in states(verdict).items() if broken in all_before(hop)}
    assert set(after.values()) <= {State.NOT_REACHED}
    latencies = {leg.hop: leg.latency for leg in verdict.legs if leg.latency is not None}
    assert latencies.keys() == {one.hop for one in others}


def test_a_hop_is_named_as_soon_as_it_is_late_however_long_the_others_may_take() -> None:
    seen = until(Hop.EMITTED)
    late = seen[-1].at + ALLOWED[Hop.HUB]
    assert judge(BEGUN, late - timedelta(seconds=1), [Hop.STORED], seen).outcome is Outcome.RUNNING
    assert judge(BEGUN, late, [Hop.STORED], seen).hop is Hop.HUB
    assert late - BEGUN < timedelta(minutes=15)


def test_every_failure_is_named_within_what_the_hops_may_take_together() -> None:
    longest = max(sum((ALLOWED[one] for one in (hop, *all_before(hop))), timedelta()) for hop in WHOLE)
    assert judge(BEGUN, BEGUN + longest, WHOLE, []).outcome is Outcome.NOT_PROVEN
    assert judge(BEGUN, BEGUN, WHOLE, []).due == BEGUN + longest


def test_what_could_not_be_looked_at_neither_proves_nor_breaks_the_path() -> None:
    blind: list[Observation] = [*until(Hop.EMITTED), Unseen(Hop.HUB, "no consumer group")]
    verdict = judge(BEGUN, AT_LAST, [Hop.STORED], [*blind, Reached(Hop.STORED, BEGUN + timedelta(minutes=3))])
    assert verdict.outcome is Outcome.PROVEN
    assert states(verdict)[Hop.HUB] is State.PASSED
    verdict = judge(BEGUN, AT_LAST, [Hop.STORED], blind)
    assert (verdict.outcome, verdict.hop) == (Outcome.NOT_PROVEN, Hop.ACCEPTED)
    assert states(verdict)[Hop.HUB] is State.UNSEEN
    verdict = judge(BEGUN, AT_LAST, [Hop.STORED], [*until(Hop.ACCEPTED), Unseen(Hop.STORED, "no right to query")])
    assert (verdict.outcome, verdict.hop, verdict.reason) == (Outcome.NOT_PROVEN, Hop.STORED, "no right to query")
    assert "could not be looked at" in verdict.mend


def test_a_fault_comes_before_what_only_this_alert_cannot_prove() -> None:
    filtered = Obstacle(Hop.HUB, "the filter asks for other alerts", "choose another bundle", fault=False)
    disabled = Obstacle(Hop.HUB, "the automation is disabled", "apply")
    assert judge(BEGUN, BEGUN, WHOLE, [], obstacles=[filtered]).outcome is Outcome.NOT_POSSIBLE
    verdict = judge(BEGUN, BEGUN, WHOLE, [], obstacles=[filtered, disabled])
    assert (verdict.outcome, verdict.reason, verdict.mend) == (Outcome.NOT_PROVEN, disabled.reason, "apply")
    arrived = [*until(Hop.STORED), *until(Hop.FORWARDED)]
    assert judge(BEGUN, AT_LAST, WHOLE, arrived, obstacles=[filtered, disabled]).outcome is Outcome.PROVEN


SHORT = settings(max_examples=150, deadline=None)
LONG = settings(max_examples=10_000, deadline=None)


def check(
    now: datetime, path: Sequence[Hop], found: list[Observation], before: list[Obstacle], another: Observation
) -> None:
    verdict = judge(BEGUN, now, path, found, obstacles=before)
    known = states(verdict)
    assert set(known) == {each for hop in path for each in (hop, *all_before(hop))}
    assert judge(BEGUN, now, path, found[::-1], obstacles=before[::-1]).outcome is verdict.outcome
    seen = {one.hop for one in found if isinstance(one, Reached)}
    come_to = seen | {one.hop for one in found if isinstance(one, Refused)}
    proven = all(hop in seen or any(hop in all_before(other) for other in come_to) for hop in known)
    assert (verdict.outcome is Outcome.PROVEN) is proven
    if verdict.outcome is Outcome.PROVEN:
        assert judge(BEGUN, now, path, [*found, another], obstacles=before).outcome is Outcome.PROVEN
    else:
        assert verdict.hop is not None
        assert before or known[verdict.hop] not in THROUGH
    for leg in verdict.legs:
        assert (leg.state is State.REACHED) is (leg.at is not None) is (leg.latency is not None) is (leg.hop in seen)
        assert leg.latency is None or leg.latency >= timedelta(0)
        if leg.state in THROUGH and leg.hop in BEFORE:
            assert known[BEFORE[leg.hop]] in THROUGH
    running = verdict.outcome is Outcome.RUNNING
    assert running is (verdict.due is not None)
    if running and verdict.due is not None:
        assert verdict.due > now
        assert judge(BEGUN, verdict.due, path, found, obstacles=before).outcome is not Outcome.RUNNING
    assert bool(verdict.reason and verdict.mend) is (not running and not proven)


@SHORT
@given(moments, paths, observed, obstacles, st.one_of(reached, refused, unseen))
def test_whatever_is_observed(
    now: datetime, path: list[Hop], found: list[Observation], before: list[Obstacle], another: Observation
) -> None:
    check(now, path, found, before, another)


@pytest.mark.soak
@LONG
@given(moments, paths, observed, obstacles, st.one_of(reached, refused, unseen))
def test_whatever_is_observed_thousands_of_times(
    now: datetime, path: list[Hop], found: list[Observation], before: list[Obstacle], another: Observation
) -> None:
    check(now, path, found, before, another)


def test_what_is_known_is_never_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        judge(BEGUN, BEGUN, WHOLE, []).outcome = Outcome.PROVEN  # type: ignore[misc] # that is what is tried
