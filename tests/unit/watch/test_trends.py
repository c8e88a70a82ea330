from datetime import UTC, datetime, timedelta

import pytest

from shared.enrich.tables import TABLES
from shared.watch.trends import ARRIVALS, Arrival, Trends, window
from tools.kql import Text, bind, workspace

NOW = datetime(2026, 3, 4, 10, 17, 30, tzinfo=UTC)


@pytest.mark.slow
def test_microsofts_language_service_binds_the_query() -> None:
    about = {"since": "2026-03-01T00:00:00+00:00", "until": "2026-03-02T00:00:00+00:00", "minutes": 5}
    texts = [Text("arrivals", "workspace", ARRIVALS.format(**about))]
    assert bind({"workspace": workspace(())}, texts) == []


def test_arrivals_are_counted_in_every_table_that_holds_records() -> None:
    assert all(table.name in ARRIVALS for table in TABLES if table.holds_records)


@pytest.mark.parametrize(("hours", "minutes"), [(1, 1), (24, 30), (168, 180)])
def test_a_window_ends_after_now_on_a_whole_bin_and_has_at_most_sixty(hours: int, minutes: int) -> None:
    empty = window(NOW, hours)
    assert empty.minutes == minutes
    assert NOW < empty.until <= NOW + timedelta(minutes=minutes)
    assert empty.until.timestamp() % (minutes * 60) == 0
    assert len(empty.times) == hours * 60 / minutes <= 60


def test_every_kind_has_a_value_for_every_bin_in_records_a_minute() -> None:
    start = datetime(2026, 3, 4, tzinfo=UTC)
    step = timedelta(minutes=10)
    arrivals = [Arrival(start + step, "Alert", 30, 4.0), Arrival(start + step, "Assessment", 5, 9.5)]
    trends = Trends(start, start + 3 * step, 10, [*arrivals, Arrival(start - step, "Alert", 99, 1.0)])
    assert trends.records_a_minute() == {"Alert": [0.0, 3.0, 0.0], "Assessment": [0.0, 0.5, 0.0]}


def test_lag_is_the_slowest_kinds_and_unknown_where_nothing_arrived() -> None:
    start = datetime(2026, 3, 4, tzinfo=UTC)
    step = timedelta(minutes=1)
    arrivals = [
        Arrival(start, "Alert", 1, 4.0),
        Arrival(start, "Assessment", 1, 9.5),
        Arrival(start + step, "Alert", 1, None),
    ]
    assert Trends(start, start + 2 * step, 1, arrivals).lag_seconds() == [9.5, None]
