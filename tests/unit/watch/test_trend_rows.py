import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.enrich.record_functions import in_order
from shared.watch.freshness_outcome import Outcome
from shared.watch.freshness_verdicts import FRESH, NOT_OBSERVABLE, QUIET, SILENT, Health
from shared.watch.health_rows import as_document, as_far_as_readable
from shared.watch.trend_figures import days_filled, first_month, line, months_filled
from shared.watch.trend_functions import FUNCTIONS, IN_ORDER, SCORE
from shared.watch.trend_rows import Silences, Standing, kept, read_back, settle, trend_rows
from tools import infra
from tools.workbook import queries, workbook

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DUE = NOW - timedelta(days=1)
KEY = ("a", "Assessments")


def one(verdict: str, snapshot: datetime | None = None, since: datetime | None = DUE, name: str = "A") -> Health:
    return Health(name, "Assessments", "all", verdict, since, "", snapshot, snapshot)


@pytest.mark.parametrize(
    ("before", "health", "complete", "still", "ended"),
    [
        ({}, [one(SILENT)], True, {KEY: DUE}, []),
        ({}, [one(SILENT, since=None)], True, {KEY: NOW}, []),
        ({}, [one(SILENT, since=NOW + timedelta(days=9))], True, {KEY: NOW}, []),
        ({KEY: DUE}, [one(SILENT, since=NOW)], True, {KEY: DUE}, []),
        ({KEY: DUE}, [one(QUIET)], True, {KEY: DUE}, []),
        ({KEY: DUE}, [one(FRESH, NOW - timedelta(hours=2))], True, {}, [NOW - timedelta(hours=2)]),
        ({KEY: DUE}, [one(FRESH, DUE - timedelta(days=9))], True, {}, [NOW]),
        ({KEY: DUE}, [one(FRESH, NOW + timedelta(days=1))], True, {}, [NOW]),
        ({KEY: DUE}, [one(FRESH, None)], True, {}, [NOW]),
        ({KEY: DUE}, [one(SILENT, DUE + timedelta(hours=3), NOW)], True, {KEY: NOW}, [DUE + timedelta(hours=3)]),
        ({KEY: DUE}, [one(NOT_OBSERVABLE)], True, {}, []),
        ({KEY: DUE}, [], True, {}, []),
        ({KEY: DUE}, [], False, {KEY: DUE}, []),
        ({}, [one(FRESH, NOW)], True, {}, []),
    ],
)
def test_a_silence_ends_by_repair_only_where_records_came(
    before: dict[Any, Any], health: list[Health], complete: bool, still: dict[Any, Any], ended: list[datetime]
) -> None:
    found = settle(before, health, NOW, complete=complete)
    assert found.open == still
    assert [each.ended for each in found.repaired] == ended
    assert all(each.began == DUE for each in found.repaired)


def test_open_silences_are_read_back_from_the_kept_answer_and_what_is_none_is_left_out() -> None:
    document = as_document(Outcome(NOW, ()), (), kept({KEY: DUE}))
    assert read_back(document["silences"]) == {KEY: DUE}
    head = {"subscription_id": "a", "kind": "b"}
    odd: list[dict[str, Any]] = [{}, head, head | {"since": 5}, head | {"since": "x"}]
    assert read_back(odd) == {}
    older = {name: value for name, value in document.items() if name != "silences"}
    assert as_far_as_readable(json.dumps(older).encode())["silences"] == []
    assert as_far_as_readable(json.dumps({**document, "silences": ["x", 3]}).encode())["silences"] == []


def test_rows_count_what_is_watched_and_say_whether_all_was_read() -> None:
    health = [one(SILENT), one(QUIET, name="b"), one(NOT_OBSERVABLE, name="c")]
    standing = Standing("cis", "not met", {"met": 1, "not met": 2, "excepted": 0, "not judged": 3}, complete=False)
    rows = list(trend_rows(Outcome(NOW, health), [standing], Silences(), {}, "prod"))
    assert [row["CheckName"] for row in rows] == ["coverage", "silence"]
    assert rows[0]["Details"] == {"met": 1, "notMet": 2, "excepted": 0, "notJudged": 3, "complete": False}
    assert rows[1]["Details"] == {"silent": 1, "watched": 2}
    assert {row["Verdict"] for row in rows} == {"not met", "counted"}


@pytest.mark.parametrize(
    ("now", "months", "first"),
    [(NOW, 1, "2026-11-01"), (NOW, 3, "2026-09-01"), (NOW, 12, "2025-12-01"), (NOW, 24, "2024-12-01")],
)
def test_months_begin_with_their_first_day(now: datetime, months: int, first: str) -> None:
    begin = first_month(now, months)
    assert f"{begin:%Y-%m-%d}" == first
    figures = months_filled([], begin, months)
    assert len({each.period for each in figures}) == months
    assert figures[-1].period == "2026-11"


def test_what_no_row_tells_is_not_known_and_never_zero() -> None:
    begin = first_month(NOW, 2)
    unknown = [*months_filled([], begin, 2), *days_filled([], begin, NOW)]
    assert {(each.value, each.days) for each in unknown} == {(None, 0)}
    assert line({**unknown[0]._asdict(), "unit": "%", "standsOn": "subscriptions judged"})[2:] == ("not known", "", "")
    row = {"Period": begin, "Measure": "time to repair", "Name": "", "Value": None, "Over": 0.0, "Days": 4}
    (told,) = [each for each in months_filled([row], begin, 2) if each.days]
    assert line({**told._asdict(), "unit": "hours", "standsOn": "repairs"})[2:] == (
        "none repaired",
        "4 days",
        "0 repairs",
    )


def test_scores_are_taken_in_the_order_of_every_function() -> None:
    assert in_order() == IN_ORDER


def test_no_other_text_makes_a_score_of_several_subscriptions() -> None:
    texts = [query.text for query in (*infra.library(), *infra.saved_functions(), *infra.alerts())]
    texts += [text for _, text in queries(workbook())]
    for text in texts:
        plain = " ".join(text.split())
        assert "avg(PercentageScore" not in plain
        assert plain.count("sum(CurrentScore") == plain.count(SCORE)
    assert sum(SCORE in text for text in texts) >= len(FUNCTIONS) - 3
