"""Every route while a service that the app depends on refuses, throttles or hangs: in time, and nothing empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager

import pytest

from shared.jobs.model import FINAL
from shared.web.routing import OPERATIONS
from tests.e2e.api import Answer, Api, Caller
from tests.e2e.test_api_in_time import BODIES, DEADLINE_SECONDS, GROUPS, PATIENCE_SECONDS, asked
from tests.integration.outages import behind_doors

pytestmark = pytest.mark.timeout(600)
SERVICES = ("identity", "logs_query", "graph", "blob", "table", "queue", "ingestion")
MODES = ("refuses", "a day's pause", "silent")
QUICK = ("identity", "silent")
QUICK_DEADLINE_SECONDS = 2
GRACE_SECONDS = PATIENCE_SECONDS - DEADLINE_SECONDS
QUICK_WAITS = [(operation, "?wait=1") for operation in ("start_job", "get_job")]
DEFAULT_DEADLINE_SECONDS = 60
WAITS = [(operation, "?wait=4") for operation in ("start_job", "get_job")]
# What a deletion would do is asked, so that the next caller finds the same.
QUERIES = {"delete_export": "?dryRun=true"}


@pytest.fixture(scope="module")
def sound(api: Api) -> Iterator[Mapping[str, Answer]]:
    """What each route answers while all is well, with something in every list."""
    api.put("kept")
    for name in ("requirements", "notify"):  # which callers put while a service that they do not need is away
        assert api.call("PUT", f"/api/{name}", BODIES[f"put_{name}"]).status == 204
    api.job(kind="plan", exports=["kept"])
    letter, _ = api.dead_letter()
    entra = {"AUTH_MODE": "entra", "WEBSITE_AUTH_ENABLED": "true"}
    with api.beside("sound", **entra) as app:
        yield dict(asked(app, [(each, QUERIES.get(each, "")) for each in OPERATIONS]))
    api.discard(letter)
    api.call("DELETE", "/api/exports/kept")
    api.without_requirements()
    api.without_notify()


@contextmanager
def troubled(api: Api, service: str, mode: str, deadline: int) -> Iterator[Caller]:
    """An app to which one service does this; who signs in to it may do everything."""
    doors = AsyncExitStack()
    tls = api.azure.certificates.server_context()
    settings = api.on_loop(
        lambda: doors.enter_async_context(behind_doors(api.azure.app_settings(), tls, **{service: mode}))
    )
    settings |= {"AUTH_MODE": "entra", "WEBSITE_AUTH_ENABLED": "true", "REQUEST_DEADLINE_SECONDS": str(deadline)}
    try:
        with api.beside(f"{service}-{mode.replace(' ', '-')}-{deadline}", **settings) as app:
            yield app
    finally:
        api.on_loop(doors.aclose)


def holds_up(app: Caller, operations: list[tuple[str, str]], sound: Mapping[str, Answer], seconds: float) -> None:
    """Each is answered within so long, by what is so or by a problem."""
    for operation, answer in asked(app, operations):
        told = f"{operation} {answer.status} after {answer.seconds:.1f} s: {answer.text[:300]}"
        assert answer.seconds < seconds, told
        if answer.status == 503 and operation != "ready":
            assert (answer.problem, answer.headers["retry-after"]) == ("unavailable", "10"), told
        elif answer.status == 429 and operation == "start_job":
            assert answer.problem == "too-many-requests"
        elif operation == "start_job" and answer.status == 200:
            assert answer.json()["state"] in FINAL, told  # it ended while its caller waited
        elif operation != "ready":
            assert answer.status == sound[operation].status, told
            assert not lacking(answer, sound[operation]), told


def lacking(answer: Answer, sound: Answer) -> list[str]:
    """The lists that are empty where they are not while all is well, of an answer that does not say why."""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return []
    document, whole = answer.json(), sound.json()
    if document.get("complete") is False or document.get("problem"):
        return []
    return [name for name, value in whole.items() if isinstance(value, list) and value and not document.get(name)]


def every_route(callers: int, operations: list[str]) -> list[tuple[str, str]]:
    return [(each, QUERIES.get(each, "")) for each in operations * callers]


def test_no_route_is_late_or_empty_while_no_token_is_given(api: Api, sound: Mapping[str, Answer]) -> None:
    """The short form, of an app that loads everything meanwhile, as the sound one did on this machine."""
    first_use = max(answer.seconds for answer in sound.values())
    with troubled(api, *QUICK, QUICK_DEADLINE_SECONDS) as app:
        operations = [*every_route(2, [*OPERATIONS]), *QUICK_WAITS]
        holds_up(app, operations, sound, QUICK_DEADLINE_SECONDS + GRACE_SECONDS + first_use)


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", SERVICES)
def test_no_route_is_late_or_empty_for_ten_callers_at_once(
    api: Api, sound: Mapping[str, Answer], service: str, mode: str
) -> None:
    with troubled(api, service, mode, DEADLINE_SECONDS) as app:
        asked(app, every_route(1, [*OPERATIONS]))  # what is loaded on first use is no part of it
        for operations in GROUPS:
            holds_up(app, every_route(10, operations), sound, PATIENCE_SECONDS)
        holds_up(app, WAITS, sound, 4 + 10)


@pytest.mark.soak
@pytest.mark.parametrize("service", SERVICES)
def test_no_route_is_late_or_empty_by_the_default_deadline(api: Api, sound: Mapping[str, Answer], service: str) -> None:
    with troubled(api, service, "silent", DEFAULT_DEADLINE_SECONDS) as app:
        for operations in GROUPS:
            holds_up(app, every_route(10, operations), sound, DEFAULT_DEADLINE_SECONDS + GRACE_SECONDS)
        holds_up(app, WAITS, sound, 4 + 10)


def test_an_empty_answer_is_found_out() -> None:
    full = Answer(200, {"content-type": "application/json"}, '{"value": [1], "complete": true}', 0)
    empty = Answer(200, full.headers, '{"value": [], "complete": true}', 0)
    part = Answer(200, full.headers, '{"value": [], "complete": false}', 0)
    assert [lacking(each, full) for each in (full, empty, part)] == [[], ["value"], []]
