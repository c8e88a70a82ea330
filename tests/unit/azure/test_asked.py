"""Who did not answer, and since when."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from shared.azure.asked import SIGN_IN, Asked, asking, noted


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def ask(
    asked: Asked, time: Time, service: str, *, seconds: float, status: int | BaseException, host: str = "h"
) -> None:
    raised = pytest.raises(type(status)) if isinstance(status, BaseException) else nullcontext()
    with raised, asked.request(service, host) as answered:
        time.now += seconds
        if isinstance(status, BaseException):
            raise status
        answered(status)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (ConnectionRefusedError(), "Blob Storage at h can't be reached (ConnectionRefusedError), for 2 s"),
        (asyncio.CancelledError(), "Blob Storage at h has not answered, for 2 s"),
        (429, "Blob Storage at h answers 429, for 2 s"),
        (503, "Blob Storage at h answers 503, for 2 s"),
    ],
)
def test_trouble_is_told_with_its_age(time: Time, status: int | BaseException, told: str) -> None:
    asked = Asked(time)
    ask(asked, time, "Blob Storage", seconds=2, status=status)
    assert asked.troubles() == [told]


@pytest.mark.parametrize("status", [200, 201, 202, 206, 301, 304, 400, 401, 403, 404, 409, 412, 416])
def test_what_answers_is_in_no_trouble(time: Time, status: int) -> None:
    asked = Asked(time)
    ask(asked, time, "Blob Storage", seconds=9, status=503)
    ask(asked, time, "Blob Storage", seconds=9, status=status)
    assert asked.troubles() == []
    assert asked.slowest() == "Blob Storage at h was slowest, with 18 s in all"


def test_trouble_lasts_from_its_first_sign_and_the_longest_is_told_first(time: Time) -> None:
    asked = Asked(time)
    ask(asked, time, "Table Storage", seconds=0.5, status=500)
    ask(asked, time, "Queue Storage", seconds=3, status=429)
    ask(asked, time, "Table Storage", seconds=1, status=OSError())
    assert asked.troubles() == [
        "Table Storage at h can't be reached (OSError), for 4 s",
        "Queue Storage at h answers 429, for 4 s",
    ]
    assert asked.troubles("Queue") == ["Queue Storage at h answers 429, for 4 s"]


def test_a_request_that_is_still_under_way_has_not_answered(time: Time) -> None:
    asked = Asked(time)
    with asked.request("Blob Storage", "h"):
        assert asked.troubles() == []
        time.now += 3
        assert asked.troubles() == ["Blob Storage at h has not answered, for 3 s"]


def test_the_probe_for_a_managed_identity_on_a_laptop_is_no_trouble(time: Time) -> None:
    asked = Asked(time)
    ask(asked, time, SIGN_IN, seconds=2, status=OSError(), host="169.254.169.254")
    assert asked.troubles() == []


def test_nobody_was_asked() -> None:
    assert (Asked().troubles(), Asked().slowest()) == ([], "")


def test_a_request_is_noted_only_where_that_is_wanted() -> None:
    with asking("Blob Storage", "https://a.blob.core.windows.net/c/b?sig=secret") as answered:
        answered(500)
    asked = Asked()
    token = noted.set(asked)
    try:
        with asking("Blob Storage", "https://a.blob.core.windows.net/c/b?sig=secret") as answered:
            answered(200)
    finally:
        noted.reset(token)
    assert asked.slowest().startswith("Blob Storage at a.blob.core.windows.net was slowest")
