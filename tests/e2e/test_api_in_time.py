"""An answer in time, or none: every route while what it depends on refuses, throttles, hangs or drops connections."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.jobs.model import new_id
from shared.web.openapi_examples import MUTES, NOTIFY, REQUIREMENTS
from shared.web.routing import OPERATIONS
from tests.e2e.api import Answer, Api, Caller
from tests.e2e.test_api_entra import principal

pytestmark = pytest.mark.timeout(300)
DEADLINE_SECONDS = 5
PATIENCE_SECONDS = 8
GRAPH = "POST .*ResourceGraph"
# What needs no storage, and what is refused before storage is asked. An import reads the whole tenant for each caller,
# so that some of ten at once may be told to try again.
ANSWERS_WITHOUT_STORAGE = {
    "openapi": {200}, "operations_page": {200}, "validate_export": {200}, "put_export": {422},
    "import_live": {200, 503}, "get_metrics": {200, 503}, "get_trend": {200, 503},
}  # fmt: skip
JOB = new_id(datetime.now(UTC))
IDS = {"get_job": JOB, "cancel_job": JOB, "get_run": f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-00000000"}
BODIES: dict[str, Any] = {
    "put_export": "version: 1\n",
    "validate_export": "version: 1\n",
    "plan_changes": {"output": "markdown"},
    "import_live": {"adopt": True},
    "put_requirements": json.dumps(REQUIREMENTS),
    "put_notify": json.dumps(NOTIFY),
    "put_mutes": json.dumps(MUTES),
    "start_job": {"kind": "replay"},
    "approve_plan": {"runId": IDS["get_run"]},
}
QUERIES = {
    "read_dead_letter": "?name=2026-11-22/refused/DefenderAlerts_CL/0.ndjson.gz",
    "get_shapes": "?from=dead-letters",
}
# Under keys what asks for Exports.Approve or Records.Read is refused before anything is read.
EVERYTHING = principal("Exports.Read", "Exports.Write", "Exports.Approve", "Records.Read")
GROUPS = [[*OPERATIONS][start::3] for start in range(3)]
FAULTS: tuple[Any, ...] = (
    {"kind": "expire_token"},
    pytest.param({"kind": "error", "status": 500}, marks=pytest.mark.soak),
    {"kind": "error", "status": 403},
    {"kind": "throttle", "retry_after": 40},
    pytest.param({"kind": "throttle_bare"}, marks=pytest.mark.soak),
    pytest.param({"kind": "drop_before"}, marks=pytest.mark.soak),
    {"kind": "hang", "seconds": 30},
)


def ask(app: Caller, operation: str, query: str = "") -> Answer:
    query = query or QUERIES.get(operation, "")
    method, path = OPERATIONS[operation].method, OPERATIONS[operation].path.format(name="kept", id=IDS.get(operation))
    return app.call(method, f"/api/{path}{query}", BODIES.get(operation), x_ms_client_principal=EVERYTHING)


@pytest.fixture(scope="module")
def short(api: Api) -> Iterator[Caller]:
    """An app that has read nothing of the tenant yet, with a deadline of 5 s."""
    with api.beside("short", REQUEST_DEADLINE_SECONDS=str(DEADLINE_SECONDS)) as app:
        yield app


def asked(app: Caller, requests: list[tuple[str, str]]) -> list[tuple[str, Answer]]:
    """The answers to requests that are sent at the same time, each an operation and its query."""
    with ThreadPoolExecutor(len(requests)) as pool:
        waiting = [(operation, pool.submit(ask, app, operation, query)) for operation, query in requests]
        return [(operation, each.result()) for operation, each in waiting]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port of loopback that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(200)
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def hung(api: Api) -> Iterator[Caller]:
    """An app whose storage hangs; who signs in to it may do everything."""
    with silent_port() as port:
        entra = {"AUTH_MODE": "entra", "WEBSITE_AUTH_ENABLED": "true"}
        gone = f"https://127.0.0.1:{port}/devstoreaccount1"
        uris = {f"AzureWebJobsStorage__{one}ServiceUri": gone for one in ("blob", "queue", "table")}
        with api.beside("hung", REQUEST_DEADLINE_SECONDS=str(DEADLINE_SECONDS), **entra, **uris) as app:
            yield app


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_what_the_tenant_is_asked_is_503_and_never_empty_while_the_tenant_can_not_be_read(
    api: Api, short: Caller, fault: dict[str, Any]
) -> None:
    api.azure.arm.faults.add(matching=GRAPH, **fault)
    queries = ("?maxAge=0", "?maxAge=0&unmet=cis-8.1.5.2", "?maxAge=0&source=Alerts")
    try:
        answers = [answer for _, answer in asked(short, [("get_coverage", query) for query in queries * 4])]
        answers += [answer for _, answer in asked(short, [("import_live", ""), ("plan_changes", "")])]
        answers.append(ask(short, "get_status", "?maxAge=0"))
        answers.append(short.call("GET", "/api/coverage?maxAge=0", accept="text/csv"))
    finally:
        api.azure.arm.faults.clear()
    for answer in answers:
        assert (answer.problem, answer.headers["retry-after"]) == ("unavailable", "10")
        assert answer.seconds < PATIENCE_SECONDS


LISTS = "GET .*/subscriptions/{}/providers/Microsoft.Security/automations"


def test_what_is_read_in_part_is_said_to_be_so_and_what_is_not_read_at_all_is_503(api: Api) -> None:
    with api.beside("listing", INVENTORY="list") as app:
        for which, status in ((api.subscription, 200), ("[^/]*", 503)):
            api.azure.arm.faults.add("error", matching=LISTS.format(which), status=403)
            try:
                answers = [answer for _, answer in asked(app, [("import_live", ""), ("plan_changes", "")])]
            finally:
                api.azure.arm.faults.clear()
            for answer in answers:
                assert answer.status == status, answer.text
                if status == 503:
                    assert (answer.problem, answer.headers["retry-after"]) == ("unavailable", "10")
                else:
                    assert not answer.json()["complete"]
                    assert any("could not be listed" in reason for reason in answer.json()["reasons"])
        assert ask(app, "import_live").json()["complete"]
        assert "could not be listed" not in ask(app, "plan_changes").text


def test_a_failed_reading_is_kept_for_nobody_and_takes_the_place_of_no_complete_one(api: Api) -> None:
    with api.beside("recovering", REQUEST_DEADLINE_SECONDS=str(DEADLINE_SECONDS)) as app:
        before = ask(app, "get_coverage").json()
        api.azure.arm.faults.add("error", matching=GRAPH, status=403)
        try:
            assert ask(app, "get_coverage", "?maxAge=0").problem == "unavailable"
            kept = ask(app, "get_coverage").json()
        finally:
            api.azure.arm.faults.clear()
        assert (kept["generated"], kept["complete"], kept["value"]) == (before["generated"], True, before["value"])
        assert ask(app, "get_coverage", "?maxAge=0").json()["complete"] is True


def test_callers_at_the_same_time_share_one_reading(api: Api) -> None:
    api.azure.arm.faults.add("latency", matching=GRAPH, seconds=1)
    try:
        answers = [answer for _, answer in asked(api, [("get_coverage", "?maxAge=0")] * 20)]
    finally:
        api.azure.arm.faults.clear()
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["generated"] for answer in answers}) <= 2


@pytest.mark.parametrize("operations", GROUPS, ids=", ".join)
def test_every_route_answers_ten_callers_at_once_while_storage_hangs(hung: Caller, operations: list[str]) -> None:
    for operation, answer in asked(hung, [(operation, "") for operation in operations * 10]):
        assert answer.seconds < PATIENCE_SECONDS, operation
        assert answer.status in ANSWERS_WITHOUT_STORAGE.get(operation, {503}), answer.text
        if answer.status == 503 and operation != "ready":
            assert (answer.problem, answer.headers["retry-after"]) == ("unavailable", "10")
        if answer.status == 200 and operation == "import_live":
            assert answer.json()["complete"], answer.text
            assert answer.json()["files"], answer.text


def test_a_wait_ends_within_ten_seconds_more(hung: Caller) -> None:
    for operation, answer in asked(hung, [(each, "?wait=4") for each in ("start_job", "get_job")]):
        assert answer.problem == "unavailable", operation
        assert answer.seconds < 4 + 10


def test_health_answers_at_once_whatever_hangs(hung: Caller) -> None:
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(ask, hung, "list_exports") for _ in range(29)]
        answer = hung.call("GET", "/api/health", key=False)
        assert (answer.status, answer.seconds < 1) == (200, True)
        for each in waiting:
            each.result()
