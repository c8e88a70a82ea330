"""Retry what may pass by itself: throttling, timeouts, server errors and lost connections.

azure-core's own policy leaves 408, 502 for POST and dropped connections after sending alone, retries a 400 that carries
`Retry-After`, and sleeps in real time beyond any deadline of ours; so the pipeline to Azure Resource Manager has none.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from shared.clock import Clock
from shared.retry_after_header import asked_seconds, capped

T = TypeVar("T")

ATTEMPTS = 8
UNAUTHORISED = 401
REFUSALS = 3
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


async def retried(
    call: Callable[[], Awaitable[T]],
    clock: Clock,
    *,
    attempts: int = ATTEMPTS,
    deadline: float = float("inf"),
    failed: Callable[[int], None] | None = None,
) -> T:
    """The result of `call`, tried again while its errors may pass; `deadline` is in the clock's monotonic seconds.

    `failed` is called with the status of each answer that was an error, 0 for a lost connection.

    Raises:
        azure.core.exceptions.AzureError: the last error, when it is permanent, attempts are used up, or waiting for
            another would pass the deadline.
    """
    from azure.core.exceptions import AzureError

    attempt, refusals = 0, 0
    while True:
        attempt += 1
        try:
            return await call()
        except AzureError as error:
            if failed:
                failed(status_of(error))
            pause = pause_after(error, attempt)
            refusals = refusals + 1 if status_of(error) == UNAUTHORISED else 0
            if 0 < refusals < REFUSALS:  # the pipeline has dropped its token, and a fresh one may be right
                pause = 0.0 if refusals == 1 else FIRST_PAUSE_SECONDS
            if pause is None or attempt >= attempts or clock.monotonic() + pause > deadline:
                raise
        await clock.sleep(pause)


def status_of(error: Exception) -> int:
    """The HTTP status that an SDK error carries; 0 when the connection failed."""
    return int(getattr(error, "status_code", None) or 0)


def pause_after(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before trying again after `error`; None when trying again is no use."""
    from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return _backoff(attempt)
    status = status_of(error)
    if status not in TRANSIENT or not isinstance(error, HttpResponseError):
        return None
    asked = asked_pause(error)
    return capped(asked) if asked else _backoff(attempt)


def asked_pause(error: Exception) -> float | None:
    """The seconds that the service asked to wait (`Retry-After`, or Resource Graph's quota), if it did; uncapped."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    asked = asked_seconds(headers, datetime.now(UTC))
    if asked is not None:
        return asked
    try:
        return clock_seconds(headers["x-ms-user-quota-resets-after"])
    except (KeyError, ValueError):
        return None


def clock_seconds(text: str) -> float:
    """Seconds of a time written as hh:mm:ss.

    Raises:
        ValueError: it is written otherwise.
    """
    hours, minutes, seconds = text.split(":")
    found = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if not math.isfinite(found):
        raise ValueError(f"{text!r} is no time")
    return found


def _backoff(attempt: int) -> float:
    ceiling = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * float(2**attempt))
    return ceiling * random.uniform(0.5, 1)  # noqa: S311  # nosec B311 # jitter, not a secret
