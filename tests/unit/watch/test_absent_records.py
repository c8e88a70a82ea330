"""Reasons where nothing of a kind is there: a kind that is gone, a subscription that is not evaluated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.watch.absent_records import EVALUATED, explain_absence, gone_kinds
from shared.watch.freshness_verdicts import FRESH, NONE_PRESENT, QUIET, SILENT, Health

LAST = datetime(2026, 7, 30, 6, tzinfo=UTC)
PLANS = "; Defender plans that are off: Containers"


def absent(subscription: str, kind: str, last: datetime | None = None, more: str = "") -> Health:
    return Health(subscription, kind, "soc", QUIET, last, NONE_PRESENT + more, last, present=0)


def other(subscription: str, kind: str, verdict: str, **known: Any) -> Health:
    return Health(subscription, kind, "soc", verdict, None, "as it is", **known)


def reasons(*health: Health) -> list[str]:
    return [one.reason for one in explain_absence(health)]


def test_a_kind_that_is_gone_from_every_subscription_is_said_with_since_when() -> None:
    health = [
        absent("a", "SubAssessments", LAST),
        absent("b", "SubAssessments", LAST, PLANS),
        absent("c", "SubAssessments"),
    ]
    assert gone_kinds(health) == {"SubAssessments": (2, LAST)}
    first, second, third = reasons(*health)
    assert first.startswith(f"{NONE_PRESENT}, though some came until 2026-07-30; none of the 2 subscriptions")
    assert "retired on 31 July 2026" in first
    assert second.endswith(PLANS)
    assert third == NONE_PRESENT, "it never sent any"
    assert "this app may not read them" in reasons(*(absent(name, "Alerts", LAST) for name in "ab"))[0]


@pytest.mark.parametrize(
    "there",
    [
        other("c", "SubAssessments", FRESH, last_seen=LAST),
        other("c", "SubAssessments", SILENT, present=5),
        other("c", "SubAssessments", QUIET, present=0),
        other("c", "SubAssessments", QUIET, last_seen=LAST, due_by=LAST),
    ],
    ids=["fresh", "silent", "filtered out", "not read"],
)
def test_a_kind_is_not_gone_while_one_subscription_has_it_or_may_have_it(there: Health) -> None:
    health = [absent("a", "SubAssessments", LAST), absent("b", "SubAssessments", LAST), there]
    assert gone_kinds(health) == {}
    assert reasons(*health)[:2] == [f"{NONE_PRESENT}, though some came until 2026-07-30"] * 2
    assert explain_absence(health)[2] == there


def test_one_that_is_disabled_or_only_streams_says_nothing_of_a_kind() -> None:
    health = [absent("a", "Alerts", LAST), absent("b", "Alerts", LAST), other("c", "Alerts", QUIET, last_seen=LAST)]
    assert gone_kinds(health) == {"Alerts": (2, LAST)}


def test_one_subscription_says_nothing_of_a_kind() -> None:
    assert gone_kinds([absent("a", "Alerts", LAST)]) == {}


def test_a_subscription_that_never_had_what_every_evaluated_one_has_is_said_with_the_cure() -> None:
    health = [absent("a", kind) for kind in sorted({*EVALUATED, "Alerts"})]
    said = dict(zip(sorted({*EVALUATED, "Alerts"}), reasons(*health), strict=True))
    assert said.pop("Alerts") == NONE_PRESENT
    (reason,) = {*said.values()}
    assert "Defender for Cloud seems not to evaluate" in reason
    assert "benchmark" in reason


@pytest.mark.parametrize(
    "another",
    [
        other("a", "SecureScores", FRESH),
        absent("a", "SecureScores", LAST),
        other("a", "SecureScores", QUIET),
        other("a", "SecureScores", SILENT, present=1),
    ],
    ids=["fresh", "came before", "not read", "silent"],
)
def test_one_kind_that_is_there_came_before_or_was_not_read_is_enough(another: Health) -> None:
    assert reasons(absent("a", "Assessments"), another)[0] == NONE_PRESENT


def test_subscriptions_are_told_apart_and_verdicts_stay() -> None:
    health = [absent("a", "Assessments"), other("b", "Assessments", FRESH)]
    explained = explain_absence(health)
    assert [one.verdict for one in explained] == [QUIET, FRESH]
    assert "evaluate" in explained[0].reason
    assert explained[1] == health[1]
