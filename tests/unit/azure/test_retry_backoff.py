"""What is tried again, how long it waits, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError, ServiceResponseError

from shared.azure.retry_backoff import ATTEMPTS, LONGEST_PAUSE_SECONDS, clock_seconds, retried
from tests.unit.reconcile.virtual import clock, run


class Answer:
    """The parts of an SDK response that an error looks at."""

    reason = ""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status_code = status
        self.headers = headers


def refused(status: int, **headers: str) -> HttpResponseError:
    answer: Any = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()})
    return HttpResponseError(message=f"{status}", response=answer)


class Script:
    """A call that raises these errors in turn, then succeeds."""

    def __init__(self, *errors: AzureError) -> None:
        self._errors: Iterator[AzureError] = iter(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        for error in self._errors:
            raise error
        return "done"


def outcome(script: Script, **options: Any) -> tuple[str, float]:
    """The result, or the error's status, and the seconds it took."""

    async def work() -> tuple[str, float]:
        time = clock()
        try:
            result = await retried(script, time, **options)
        except AzureError as error:
            result = str(getattr(error, "status_code", "lost"))
        return result, time.monotonic()

    return run(work())


@pytest.mark.parametrize(
    "error",
    [
        *[refused(status) for status in (408, 429, 500, 502, 503, 504)],
        ServiceRequestError("not sent"),
        ServiceResponseError("cut"),
    ],
)
def test_what_may_pass_is_tried_again(error: AzureError) -> None:
    script = Script(error, error)
    result, seconds = outcome(script)
    assert (result, script.calls) == ("done", 3)
    assert 0 < seconds < 2 * LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412])
def test_what_will_not_pass_is_not(status: int) -> None:
    script = Script(refused(status, Retry_After="1"))
    assert outcome(script) == (str(status), 0)
    assert script.calls == 1


def test_a_401_is_tried_with_a_fresh_token_at_once_and_once_more_and_no_further() -> None:
    assert outcome(Script(refused(401))) == ("done", 0)
    assert outcome(Script(refused(401), refused(401))) == ("done", 0.5)
    assert outcome(Script(*[refused(401)] * 3)) == ("401", 0.5)
    assert outcome(Script(refused(401), refused(401), refused(503, Retry_After="1"), refused(401)))[0] == "done"


def test_the_service_says_how_long_to_wait() -> None:
    assert outcome(Script(refused(429, Retry_After="17"))) == ("done", 17)
    assert outcome(Script(refused(429, x_ms_user_quota_resets_after="00:00:05"))) == ("done", 5)
    assert outcome(Script(refused(429, x_ms_user_quota_resets_after="00:01:05"))) == ("done", 60), "tried each minute"
    assert outcome(Script(refused(429, Retry_After="86400"))) == ("done", 60)


def test_a_header_that_cannot_be_read_is_none() -> None:
    result, seconds = outcome(Script(refused(429, Retry_After="soon")))
    assert result == "done"
    assert 0.5 <= seconds <= 1


def test_attempts_are_limited() -> None:
    script = Script(*[refused(503)] * 99)
    assert outcome(script)[0] == "503"
    assert script.calls == ATTEMPTS


def test_nothing_waits_past_the_deadline() -> None:
    script = Script(refused(429, Retry_After="100"))
    assert outcome(script, deadline=50) == ("429", 0)
    assert outcome(Script(refused(429, Retry_After="50")), deadline=50) == ("done", 50)


def test_each_failure_is_heard() -> None:
    heard: list[int] = []
    outcome(Script(refused(429), ServiceRequestError("x"), refused(503)), failed=heard.append)
    assert heard == [429, 0, 503]


def test_hours_minutes_and_seconds() -> None:
    assert clock_seconds("01:02:03.5") == 3723.5
    with pytest.raises(ValueError, match="unpack"):
        clock_seconds("5")
    with pytest.raises(ValueError, match="no time"):
        clock_seconds("0:0:nan")
