"""One way to write a time, and what is read as one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.clock import utc_moment, utc_text
from shared.reconcile.report.report_reader import as_far_as_readable

MOMENT = datetime(2026, 11, 22, 18, 5, 0, 120_000, UTC)
RUN_ID = "20261122T180500000000Z-0123abcd"


@pytest.mark.parametrize(
    ("moment", "timespec", "text"),
    [
        (MOMENT, "auto", "2026-11-22T18:05:00.120000Z"),
        (MOMENT.replace(microsecond=0), "auto", "2026-11-22T18:05:00Z"),
        (MOMENT, "milliseconds", "2026-11-22T18:05:00.120Z"),
        (MOMENT, "seconds", "2026-11-22T18:05:00Z"),
        (MOMENT, "minutes", "2026-11-22T18:05Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))), "seconds", "2026-11-22T18:05:00Z"),
    ],
)
def test_a_time_is_written_in_utc_and_ends_in_z(moment: datetime, timespec: str, text: str) -> None:
    assert utc_text(moment, timespec) == text
    assert utc_moment(text) == utc_moment(utc_text(utc_moment(text)))


@pytest.mark.parametrize("text", ["2026-11-22T18:05:00.120000Z", "2026-11-22T18:05:00.120000+00:00"])
def test_either_way_of_writing_it_is_read(text: str) -> None:
    assert utc_moment(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "2026-11-22", "2026-11-22T18:05:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
        "2026-02-30T00:00:00Z", "2026-11-22T18:05:00+25:00",
    ],
)  # fmt: skip
def test_what_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        utc_moment(text)


def test_a_report_of_an_earlier_release_is_shown_with_times_as_this_one_writes_them() -> None:
    report = as_far_as_readable(RUN_ID, json.dumps({"started": "2026-11-22T18:05:00+00:00"}).encode())
    assert report["started"] == "2026-11-22T18:05:00Z"
    lost = as_far_as_readable(RUN_ID, json.dumps({"started": "0001-01-01T00:00:00+14:00"}).encode())
    assert lost["started"] == "2026-11-22T18:05:00Z"  # what its id says
