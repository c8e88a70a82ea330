"""Rows stored against rows uploaded, and scores, where rows lie in several workspaces."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.watch.freshness_outcome import InTable, StoredDay
from shared.watch.scores_of_places import by_day, in_days, in_months
from shared.watch.stored_comparison import compared

DAY = date(2026, 11, 27)
A, S = "DefenderAlerts_CL", "DefenderSecureScores_CL"


def held(**tables: int) -> dict[str, InTable]:
    return {name: InTable(rows) for name, rows in tables.items()}


def test_each_place_is_compared_by_itself_and_what_is_not_known_is_no_loss() -> None:
    uploaded = {A: 5, f"one.{A}": 4, f"two.{A}": 2, f"home.{A}": 3, "siem.hub": 9, f"gone.{A}": 1, f"blind.{S}": 1}
    elsewhere: dict[tuple[str, ...], StoredDay] = {
        ("one", "two"): StoredDay(held(**{A: 5}), operations=("capped",)),
        ("siem",): StoredDay(trouble="not known for place siem: a hub"),
        ("blind",): StoredDay(trouble="not known for place blind: 403"),
        ("idle",): StoredDay(trouble="not known for place idle: nothing was sent there"),
    }
    stored = StoredDay(held(**{A: 8, S: 1}), elsewhere=elsewhere, with_default=("home",))
    found, trouble, unknown = compared(DAY, uploaded, stored)
    assert [(each.table, each.uploaded, each.stored, each.because) for each in found] == [
        (A, 8, 8, ""),
        (f"one+two.{A}", 6, 5, "capped"),
    ]
    assert trouble == ""
    assert sorted(unknown) == [
        "not known for place blind: 403",
        "not known for place gone: the routes in force do not name it",
        "not known for place siem: a hub",
    ]


def test_the_default_place_that_can_not_be_asked_keeps_no_other_from_it_and_is_a_trouble_only_where_it_got_rows() -> (
    None
):
    elsewhere: dict[tuple[str, ...], StoredDay] = {("one",): StoredDay(held(**{A: 4}))}
    stored = StoredDay(trouble="403", elsewhere=elsewhere)
    for uploaded, trouble in (({A: 1, f"one.{A}": 4}, "403"), ({f"one.{A}": 4}, "")):
        found, said, unknown = compared(DAY, uploaded, stored)
        assert [(each.table, each.lost) for each in found] == [(f"one.{A}", 0)]
        assert (said, unknown) == (trouble, [])


def test_a_table_whose_name_is_not_known_there_is_not_compared() -> None:
    stored = StoredDay(elsewhere={("one",): StoredDay(held(**{S: 1}), renamed=frozenset({A, "DefenderOther_CL"}))})
    found, _, unknown = compared(DAY, {f"one.{A}": 4, f"one.{S}": 1, "one.DefenderGone_CL": 3}, stored)
    assert [each.table for each in found] == [f"one.{S}"]
    assert unknown == [f"not known for place one: {A} has another name there"]


def standing(day: int, subscription: str, current: float, weight: float, order: int) -> dict[str, Any]:
    start = datetime(2026, 10, 30, tzinfo=UTC)
    return {
        "Day": start + timedelta(days=day), "SubscriptionId": subscription, "CurrentScore": current, "MaxScore": 50,
        "Weight": weight, "OrderTime": start + timedelta(days=order),
    }  # fmt: skip


def test_a_subscription_counts_once_by_its_newest_score() -> None:
    here = [standing(0, "a", 10, 1, -3), standing(0, "b", 50, 1, 0), standing(1, "a", 10, 1, -3)]
    there = [standing(0, "A", 40, 1, -1), standing(1, "a", 30, 1, 1)]
    for order in ([here, there], [there, here], [here, there, there]):
        assert [tuple(each)[1:] for each in by_day(order)] == [(90.0, 2), (60.0, 1)]
    assert by_day([]) == by_day([[], []]) == []


def test_figures_have_these_scores_in_place_of_one_workspaces() -> None:
    rows = [{"Measure": "secure score", "Value": 1.0}, {"Measure": "coverage", "Value": 2.0}]
    scores = by_day([[standing(day, "a", day, 1, day) for day in range(4)]])
    assert [each["Value"] for each in in_days(rows, scores)] == [2.0, 0.0, 2.0, 4.0, 6.0]
    months = [(each["Period"].month, each["Value"], each["Days"]) for each in in_months(rows, scores)[1:]]
    assert months == [(10, 2.0, 2), (11, 6.0, 2)], "as of the last day that is known"


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.floats(0, 50), st.integers(0, 9)), max_size=30))
def test_however_scores_are_spread_over_workspaces_the_score_is_the_same(
    found: list[tuple[int, str, float, int]],
) -> None:
    newest = {(day, name, order): (day, name, score, order) for day, name, score, order in found}  # no two at one time
    rows = [standing(day, name, score, 2, order) for day, name, score, order in newest.values()]
    assert by_day([rows]) == by_day([rows[::2], rows[1::2], rows[::3]])
