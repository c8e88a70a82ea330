from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.retry_after_header import LONGEST_SECONDS, asked_seconds, capped

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("86400", 86400.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 12:00:30", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("inf", None),
        ("-inf", None),
        ("nan", None),
        ("1e999", None),
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: float | None) -> None:
    assert asked_seconds({"Retry-After": header}, NOW) == seconds


def test_without_the_header_nothing_is_asked_for() -> None:
    assert asked_seconds({}, NOW) is None


def test_a_date_is_compared_with_the_services_own_clock() -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2026 09:00:30 GMT", "Date": "Sun, 22 Nov 2026 09:00:00 GMT"}
    assert asked_seconds(headers, NOW) == 30.0


@pytest.mark.parametrize("seconds", [60.1, 86400.0, 1e300])
def test_no_pause_is_longer_than_a_minute(seconds: float) -> None:
    assert capped(seconds) == LONGEST_SECONDS == 60
    assert capped(0.5) == 0.5
