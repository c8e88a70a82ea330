"""What stands of subscriptions that are not shown any more, and what makes one such a subscription."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.reconcile.discover.missing_subscriptions import hidden_now
from shared.reconcile.model import Subscription
from shared.watch.freshness_verdicts import FRESH, QUIET, SILENT, Health, marks
from shared.watch.hidden_subscriptions import missed, standing, stubs, undecided
from shared.watch.last_arrival import Seen

NOW = datetime(2026, 11, 28, tzinfo=UTC)
KEY = ("a", "Alerts")


def entry(**changes: Any) -> dict[str, Any]:
    times = dict.fromkeys(("since", "last_seen", "last_snapshot", "due_by"), "2026-11-01T00:00:00Z")
    about = {"subscription_id": "a", "kind": "Assessments", "export": "soc", "verdict": SILENT, "reason": "why"}
    return {**about, **times, "present": 3, "name": "A", "tenant_id": "t"} | changes


@pytest.mark.parametrize(
    ("state", "hidden"), [("Enabled", {"a"}), ("PastDue", {"a"}), ("Disabled", set()), ("Deleted", set()), ("", set())]
)
def test_one_that_ended_was_seen_to_end(state: str, hidden: set[str]) -> None:
    assert hidden_now([Subscription("B")], {"a": state, "b": "Enabled"}) == hidden


def test_only_silences_of_hidden_ones_stand_and_are_told_once() -> None:
    before = [entry(), entry(verdict=QUIET), entry(verdict=FRESH), entry(subscription_id="b")]
    (one,) = standing(before, {"a"})
    assert (one.verdict, one.present, one.since) == (SILENT, 3, datetime(2026, 11, 1, tzinfo=UTC))
    assert one.reason == "it is not shown to the app any more, and before: why"
    (again,) = standing([entry(reason=one.reason)], {"a"})
    assert again.reason == one.reason
    assert [each.name for each in stubs(before, {"a"})] == ["A"]
    assert standing(before, ()) == []
    assert stubs(before, ()) == []


@pytest.mark.parametrize("odd", ["", None, "yesterday", "2026-11-01", "9999-99-99T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_none(odd: str | None) -> None:
    (one,) = standing([entry(since=odd)], {"a"})
    assert one.since is None


def test_what_was_waited_for_is_not_withdrawn_and_is_named() -> None:
    seen = {KEY: Seen(expected=NOW - timedelta(days=20)), ("b", "Alerts"): Seen(expected=NOW - timedelta(days=20))}
    assert set(marks([], seen, NOW, complete=True, hidden={"a"})) == {("b", "Alerts")}
    assert [reason.split()[0] for reason in missed(seen, {"a"})] == ["a"]
    assert missed(seen, {"c"}) == missed({KEY: Seen()}, {"a"}) == []


@pytest.mark.parametrize(
    ("verdict", "unknown", "complete", "stands"),
    [
        (QUIET, True, True, True),  # it could not be read what there is to send
        (QUIET, False, False, False),  # nothing is there any more, whatever else was not seen
        (FRESH, True, False, False),
        (SILENT, True, True, False),  # judged so anew
        (None, False, False, True),  # an expectation may be missing
        (None, False, True, False),  # it is not expected any more
    ],
)
def test_a_silence_stands_until_it_is_judged(verdict: str | None, unknown: bool, complete: bool, stands: bool) -> None:
    health = [Health("a", "Assessments", "soc", verdict, None, "")] if verdict else []
    key = ("a", "Assessments")
    found = undecided(
        [entry(), entry(kind="Alerts", verdict=QUIET)], health, {key} if unknown else (), complete=complete
    )
    assert set(found) == ({key} if stands else set())
    for one in found.values():
        assert (one.verdict, one.reason) == (SILENT, "it could not be judged now, and before: why")
    again = undecided([entry(reason=one.reason) for one in found.values()], (), (), complete=False)
    assert [one.reason for one in again.values()] == [one.reason for one in found.values()]
