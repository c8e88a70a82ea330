"""What one deployment does at a time, however many callers ask at once, and of whichever of its instances."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.jobs.store import MAX_OPEN
from shared.tenant_state import MAX_FORCED
from tests.e2e.api import Answer, Api, Caller

CALLERS = 30
FREE = 10
REPLAY = {"kind": "replay"}
TABLE = {"JOBS_TABLE": "crowded"}


@pytest.fixture(scope="module")
def instances(api: Api) -> Iterator[list[Caller]]:
    """Two instances of one app, in which ten more jobs have a place."""
    settings = api.crowded("crowded", MAX_OPEN - FREE)
    with api.beside("crowded-1", **settings) as one, api.beside("crowded-2", **settings) as other:
        yield [one, other]


def at_once(instances: list[Caller], ask: Callable[[Caller], Answer]) -> list[Answer]:
    """What 30 callers get, half of them from each instance."""
    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(ask, [instances[caller % 2] for caller in range(CALLERS)]))


def test_thirty_readings_are_forced_in_a_minute_of_however_many_instances(api: Api, instances: list[Caller]) -> None:
    api.note_forced(MAX_FORCED - FREE, TABLE)

    def ask(app: Caller) -> list[int]:
        return [app.call("GET", "/api/coverage?maxAge=0&limit=1").status for _ in range(FREE - 2)]

    with ThreadPoolExecutor(2) as pool:
        counted = Counter(status for statuses in pool.map(ask, instances) for status in statuses)
    assert counted == {200: FREE, 429: FREE - 4}
    assert [app.call("GET", "/api/coverage?limit=1").status for app in instances] == [200, 200]


def test_a_hundred_jobs_are_queued_by_however_many_callers_at_once(instances: list[Caller]) -> None:
    keyed = at_once(instances, lambda app: app.call("POST", "/api/jobs", REPLAY, idempotency_key="same"))
    (same,) = {answer.json()["id"] for answer in keyed}
    answers = at_once(instances, lambda app: app.call("POST", "/api/jobs", REPLAY))
    assert Counter(answer.status for answer in answers) == {202: FREE - 1, 429: CALLERS - FREE + 1}
    for refused in (answer for answer in answers if answer.status == 429):
        assert (refused.problem, refused.headers["retry-after"]) == ("too-many-requests", "10")
    listed = instances[0].call("GET", "/api/jobs?limit=200").json()["value"]
    assert [each["state"] for each in listed] == ["queued"] * MAX_OPEN
    again = instances[1].call("POST", "/api/jobs", REPLAY, idempotency_key="same")
    assert (again.status, again.json()["id"]) == (202, same)
