"""Each answer that the OpenAPI document names, over HTTP: one request for every one of them, and none left out."""

import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic.alias_generators import to_snake

from shared.bootstrap import Services
from shared.jobs.store import MAX_OPEN
from shared.watch.stored_requirements import BLOB
from shared.web.openapi_examples import EXPORT_YAML, MUTES, NOTIFY, REQUIREMENTS
from shared.web.routing import OPERATIONS
from tests.e2e.api import Answer, Api, Caller
from tests.e2e.test_api_entra import principal
from tests.e2e.test_api_in_time import silent_port
from tools.package import build

PATIENCE_SECONDS = 30
JSON, YAML, CSV, HTML, NOTHING = "application/json", "application/yaml", "text/csv", "text/html", ""
PROBLEM = "application/problem+json"
NAME = "soc-alerts"
KEY = "documented"
BODIES: dict[str, str | dict[str, Any]] = {
    "put_export": EXPORT_YAML,
    "validate_export": EXPORT_YAML,
    "put_requirements": json.dumps(REQUIREMENTS),
    "put_notify": json.dumps(NOTIFY),
    "put_mutes": json.dumps(MUTES),
    "plan_changes": {"output": "markdown"},
    "import_live": {"adopt": True},
    "start_job": {"kind": "replay"},
    "cancel_job": {},
}


class Named(NamedTuple):
    """An answer that the document names, by status and media type."""

    operation: str
    status: int
    kind: str


@dataclass(frozen=True)
class Case:
    """A request and what it is answered; `to` names the app that it goes to, `after` a request that comes first.

    `times` is how often it is sent.
    """

    operation: str
    status: int
    kind: str = ""
    to: str = "sound"
    id: str = ""
    query: str = ""
    body: str | Mapping[str, Any] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    after: "Case | None" = None
    times: int = 1

    @property
    def answer(self) -> Named:
        usual = NOTHING if self.status in {204, 304, 401} else PROBLEM if self.status >= 400 else JSON
        return Named(self.operation, self.status, self.kind or usual)

    def __str__(self) -> str:
        return f"{self.operation}-{self.status}-{self.answer.kind.rpartition('/')[2] or 'nothing'}"


def accept(kind: str) -> dict[str, str]:
    return {"accept": kind}


OF_PERSONS = {
    "start_job",
    "approve_plan",
    "read_dead_letter",
    "get_shapes",
}  # asked otherwise than under a key, or in other cases
STORED = Case("put_export", 201)
REQUIRED = Case("put_requirements", 204)
INFORMED = Case("put_notify", 204)
MUTED = Case("put_mutes", 200)
TABLES = ("list_exports", "get_coverage", "get_status", "get_freshness", "list_runs", "list_dead_letters")
USUAL = (
    Case("health", 200),
    Case("ready", 200),
    Case("openapi", 200),
    Case("operations_page", 200, HTML),
    Case("get_metrics", 200),
    Case("list_canaries", 200),
    Case("list_canaries", 404, query="subscription=99999999-9999-4999-8999-999999999999"),
    Case("get_trend", 200),
    Case("get_evidence", 200),
    Case("get_evidence", 200, CSV, headers=accept(CSV)),
    Case("get_evidence", 200, HTML, headers=accept(HTML)),
    Case("get_evidence", 404, query="managementGroup=none"),
    Case("get_evidence", 406, headers=accept("image/png")),
    Case("get_evidence", 422, to="full"),
    Case("get_evidence", 429, to="full", query="maxAge=0", times=100),
    Case("get_requirements", 404, to="mangled"),
    Case("get_requirements", 200, YAML, after=REQUIRED),
    Case("get_requirements", 304, headers={"if_none_match": "*"}, after=REQUIRED),
    Case("get_requirements", 412, headers={"if_match": '"0x1"'}, after=REQUIRED),
    REQUIRED,
    Case("put_requirements", 412, headers={"if_match": '"0x1"'}),
    Case("put_requirements", 422, body="version: 1\n"),
    Case("get_notify", 404, to="mangled"),
    Case("get_notify", 200, YAML, after=INFORMED),
    INFORMED,
    Case("put_notify", 422, body="version: 1\n"),
    Case("get_mutes", 404, to="mangled"),
    Case("get_mutes", 200, YAML, after=MUTED),
    Case("get_mutes", 304, headers={"if_none_match": "*"}, after=MUTED),
    Case("get_mutes", 412, headers={"if_match": '"0x1"'}, after=MUTED),
    MUTED,
    Case("put_mutes", 412, headers={"if_match": '"0x1"'}),
    Case("put_mutes", 422, body="version: 1\n"),
    *(Case(name, 200) for name in (*TABLES, "list_jobs")),
    *(Case(name, 200, CSV, headers=accept(CSV)) for name in TABLES),
    *(Case(name, 400, query="surprise=1") for name in OPERATIONS if name not in OF_PERSONS),
    *(Case(name, 406, headers=accept("image/png")) for name in (*TABLES, "get_export")),
    Case("get_export", 200, YAML, headers=accept(YAML), after=STORED),
    Case("get_export", 304, headers={"if_none_match": "*"}, after=STORED),
    Case("get_export", 412, headers={"if_match": '"0x1"'}, after=STORED),
    Case("get_export", 200, JSON, headers=accept(JSON), after=STORED),
    Case("get_export", 404),
    Case("get_export", 422, to="mangled", headers=accept(JSON)),
    STORED,
    Case("put_export", 200, after=STORED),
    Case("put_export", 412, headers={"if_match": '"0x1"'}),
    Case("put_export", 422, body="version: 1\n"),
    Case("delete_export", 204, after=STORED),
    Case("delete_export", 412, headers={"if_match": '"0x1"'}, after=STORED),
    Case("validate_export", 200),
    Case("plan_changes", 200),
    Case("plan_changes", 422, body={"files": {"soc.yaml": "version: 1\n"}}),
    Case("import_live", 200),
    *(Case(name, 413, body=" " * 1_000_001) for name in BODIES),
    *(Case(name, 415, headers={"content_type": "text/xml"}) for name in BODIES),
    Case("start_job", 200, query="wait=20"),
    Case("start_job", 202),
    Case("start_job", 400, body={"kind": "launch"}),
    Case("start_job", 404, body={"kind": "plan", "exports": ["none"]}),
    Case("get_coverage", 404, query="managementGroup=none"),
    Case("get_status", 404, query="managementGroup=none"),
    Case("get_freshness", 404, query="subscription=00000000-0000-4000-8000-000000000000"),
    Case(
        "start_job",
        409,
        body={"kind": "plan"},
        headers={"idempotency_key": KEY},
        after=Case("start_job", 202, headers={"idempotency_key": KEY}),
    ),
    Case("start_job", 429, to="full"),
    Case("get_coverage", 429, to="full", query="maxAge=0", times=100),
    Case("get_status", 429, to="full", query="maxAge=0", times=100),
    Case("get_job", 200),
    Case("get_job", 404, id="none"),
    Case("cancel_job", 200, id="queued_job"),
    Case("cancel_job", 404, id="none"),
    Case("cancel_job", 409),
    Case("get_run", 200),
    Case("get_run", 404, id="none"),
)

# No function key bears the role that this takes; a run's id is filled in for the name of its place in `ids`.
APPROVER = {"x_ms_client_principal": principal("Exports.Approve")}
APPROVING = (
    Case("approve_plan", 201, to="entra", body={"runId": "approve_plan"}, headers=APPROVER),
    Case("approve_plan", 400, to="entra", body={"fingerprint": "0"}, headers=APPROVER),
    Case("approve_plan", 404, to="entra", body={"runId": "none"}, headers=APPROVER),
    Case("approve_plan", 409, to="entra", body={"runId": "approve_twice"}, headers=APPROVER, times=2),
    Case("approve_plan", 413, to="entra", body=" " * 1_000_001, headers=APPROVER),
    Case("approve_plan", 415, to="entra", body="{}", headers={**APPROVER, "content_type": "text/xml"}),
)

# Its row is as fresh as a heartbeat while the apps beside are asked.
WRITER = {"x_ms_client_principal": principal("Exports.Write")}
CANCELLING = (Case("cancel_job", 202, to="entra", id="running_job", headers=WRITER),)

READER = {"x_ms_client_principal": principal("Records.Read")}
READING = (
    Case("read_dead_letter", 200, to="entra", query="name={read_dead_letter}", headers=READER),
    Case("read_dead_letter", 400, to="entra", query="surprise=1", headers=READER),
    Case("read_dead_letter", 404, to="entra", query="name=none", headers=READER),
    Case("get_shapes", 200, to="entra", query="from=dead-letters", headers=READER),
    Case("get_shapes", 400, to="entra", query="surprise=1", headers=READER),
)

# Under keys the host refuses before the app is asked, so it is under Entra that the app itself does.
REFUSED = (
    *(Case(name, 401, to="entra") for name in OPERATIONS),
    *(Case(name, 403, to="entra", headers={"x_ms_client_principal": principal()}) for name in OPERATIONS),
)

# So that a request gets as far as the fault, it bears every role.
EVERYTHING = {"x_ms_client_principal": principal("Exports.Read", "Exports.Write", "Exports.Approve", "Records.Read")}
# What needs no storage is unavailable only while the app can't read its settings.
SELF_CONTAINED = ("validate_export", "get_metrics", "get_trend", "operations_page", "openapi")
# What asks Azure Resource Manager alone has no answer in time while that is silent.
TENANT_ALONE = ("import_live",)
UNAVAILABLE = (
    *(Case(name, 503, to="misconfigured") for name in (*SELF_CONTAINED, "ready")),
    *(
        Case(name, 503, to="without storage", headers=EVERYTHING)
        for name in OPERATIONS
        if name not in {*SELF_CONTAINED, *TENANT_ALONE, "ready", "read_dead_letter", "get_shapes"}
    ),
    Case("read_dead_letter", 503, to="without storage", query="name=none", headers=EVERYTHING),
    Case("get_shapes", 503, to="without storage", query="from=oversize", headers=EVERYTHING),
    *(Case(name, 503, to="without tenant") for name in TENANT_ALONE),
    Case("ready", 503, JSON, to="without storage", headers=EVERYTHING),
    Case("health", 503, JSON, to="built for another"),
)

# Documents of the app's own that somebody spoilt are borne with, so only the app itself can be at fault: a deployment
# that was cut short.
FAILED = tuple(Case(name, 500, to="cut short", headers=EVERYTHING) for name in OPERATIONS)
SPOILT = (
    Case("start_job", 409, to="mangled", headers={"idempotency_key": KEY}),
    Case("get_job", 200, to="mangled"),
    Case("list_jobs", 200, to="mangled"),
    Case("get_status", 200, to="mangled"),
    Case("get_freshness", 200, to="mangled"),
    Case("list_runs", 200, to="mangled"),
    Case("get_run", 200, to="mangled"),
    Case("list_exports", 200, to="mangled"),
)

CASES = (*USUAL, *APPROVING, *CANCELLING, *READING, *REFUSED, *UNAVAILABLE, *FAILED)


class Document:
    """The running app's own description of itself."""

    def __init__(self, api: Api) -> None:
        described = api.call("GET", "/api/openapi.json").json()["paths"]
        self._operations = {
            to_snake(operation["operationId"]): (method.upper(), path, operation["responses"])
            for path, operations in described.items()
            for method, operation in operations.items()
        }

    @property
    def answers(self) -> set[Named]:
        return {
            Named(name, int(status), kind)
            for name, (_, _, responses) in self._operations.items()
            for status, response in responses.items()
            for kind in response.get("content", [NOTHING])
        }

    def slugs(self, named: Named) -> set[str]:
        """The problems that an answer may be."""
        _, _, responses = self._operations[named.operation]
        return set(responses[str(named.status)]["content"][named.kind]["examples"])

    def send(self, case: Case, to: Caller, ids: Mapping[str, str]) -> Answer:
        """Ask as the document says."""
        method, path, _ = self._operations[case.operation]
        path = path.format(name=NAME, id=ids.get(case.id, case.id) or ids.get(case.operation))
        body = BODIES.get(case.operation) if case.body is None else case.body
        if isinstance(body, Mapping) and "runId" in body:
            body = {"runId": ids.get(body["runId"], body["runId"])}
        elif body is None and case.operation == "approve_plan":
            body = {"runId": ids["approve_plan"]}
        address = f"{path}?{case.query.format(**ids)}"
        for _ in range(case.times):
            answer = to.call(method, address, body, **case.headers)
            if answer.status == case.status:
                break
        return answer


@pytest.fixture(scope="module")
def document(api: Api) -> Document:
    return Document(api)


@pytest.fixture(scope="module")
def ids(api: Api) -> Iterator[dict[str, str]]:
    """A job and runs that there are, by the operation that asks for one; the last two have a plan each to approve."""
    job = api.job(kind="plan", subscriptions=[api.subscription])
    letter, _ = api.dead_letter()
    found = {
        "get_job": job["id"],
        "cancel_job": job["id"],
        "queued_job": api.quiet_job(),
        "get_run": job["result"]["runId"],
        "approve_plan": run_to_approve(api, "to-approve"),
        "approve_twice": run_to_approve(api, "to-approve-twice"),
        "read_dead_letter": letter,
        "running_job": api.quiet_job(state="running", attempt=1),
    }
    yield found
    api.discard(letter)
    api.without_requirements()
    api.without_notify()
    api.without_mutes()


def run_to_approve(api: Api, export: str) -> str:
    """The run that planned an export which is nowhere yet."""
    api.put(export)
    planned = api.job(kind="plan", exports=[export])
    api.call("DELETE", f"/api/exports/{export}")
    return str(planned["result"]["runId"])


@pytest.fixture(scope="module")
def elsewhere(
    api: Api, document: Document, ids: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, Named], Future[Answer]]]:
    """What the apps with a fault answer, all asked at once: to find that storage is gone takes a while."""
    with ExitStack() as stack:
        gone = f"https://127.0.0.1:{stack.enter_context(deaf_port())}/devstoreaccount1"
        silent = f"https://127.0.0.1:{stack.enter_context(silent_port())}"
        apps = {
            "entra": api.beside("entra", AUTH_MODE="entra", WEBSITE_AUTH_ENABLED="true"),
            "misconfigured": api.beside("misconfigured", AUTH_MODE="yolo"),
            "without storage": api.beside(
                "without-storage",
                AUTH_MODE="entra",
                WEBSITE_AUTH_ENABLED="true",
                **{f"AzureWebJobsStorage__{one}ServiceUri": gone for one in ("blob", "queue", "table")},
            ),
            "without tenant": api.beside("without-tenant", ARM_ENDPOINT=silent, REQUEST_DEADLINE_SECONDS="5"),
            "mangled": api.beside("mangled", **mangled(api, ids)),
            "full": api.beside("full", **api.crowded("full", MAX_OPEN), EXPORTS_CONTAINER=spoilt_requirements(api)),
            "cut short": api.beside(
                "cut-short",
                cut_short(tmp_path_factory.mktemp("package")),
                AUTH_MODE="entra",
                WEBSITE_AUTH_ENABLED="true",
            ),
            "built for another": api.beside("built-for-another", built_for_another(tmp_path_factory.mktemp("package"))),
        }
        running = {name: stack.enter_context(app) for name, app in apps.items()}
        pool = stack.enter_context(ThreadPoolExecutor(16))
        cases = [case for case in (*CASES, *SPOILT) if case.to in running]
        yield {(case.to, case.answer): pool.submit(document.send, case, running[case.to], ids) for case in cases}


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port of loopback that refuses connections: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def mangled(api: Api, ids: Mapping[str, str]) -> dict[str, str]:
    """Settings that lead to documents which the app never wrote, where it looks for its own."""
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient

    run = ids["get_run"]
    blobs: dict[str, tuple[str, ...]] = {
        "mangled-exports": (f"current/{NAME}.yaml",),
        "mangled-reports": ("freshness/latest.json", f"{run[:4]}/{run[4:6]}/{run[6:8]}/{run}.json"),
    }
    used = hashlib.sha256(f"key {KEY}".encode()).hexdigest()
    connection = api.azure.azurite.main.connection_string
    trust: dict[str, Any] = {"connection_verify": str(api.azure.certificates.ca_file)}
    with (
        BlobServiceClient.from_connection_string(connection, **trust) as storage,
        TableServiceClient.from_connection_string(connection, **trust) as tables,
    ):
        for container, names in blobs.items():
            storage.create_container(container)
            for name in names:
                storage.get_blob_client(container, name).upload_blob(b"{")
        table = tables.create_table("mangledjobs")
        for partition, row in (("job", ids["get_job"]), ("idempotency", used)):
            table.create_entity({"PartitionKey": partition, "RowKey": row})
    return {
        "EXPORTS_CONTAINER": "mangled-exports",
        "REPORTS_CONTAINER": "mangled-reports",
        "JOBS_TABLE": "mangledjobs",
    }


def spoilt_requirements(api: Api) -> str:
    """The name of a container of export files whose file of requirements is none."""
    container = "spoilt-requirements"

    async def make(services: Services) -> None:
        blobs = await services.clients.blobs.create_container(container)
        await blobs.upload_blob(BLOB, b"{")

    api._with_services(make)
    return container


def cut_short(folder: Path) -> Path:
    """The published app without two of its files."""
    build(folder)
    for lost in ("serialization.py", "page/operations.html"):
        (folder / "shared" / "web" / lost).unlink()
    return folder / "function_app.py"


def built_for_another(folder: Path) -> Path:
    """The published app beside a package whose wheel was built for another Python."""
    build(folder)
    about = folder / "orjson-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: orjson\nVersion: 0\n")
    (about / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp39-cp39-manylinux_2_17_x86_64\n")
    return folder / "function_app.py"


def test_the_table_has_a_request_for_each_answer_that_the_document_names_and_no_other(document: Document) -> None:
    assert {case.answer for case in CASES} == document.answers
    assert len(CASES) == len(document.answers)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_documented_answer_is_given(
    api: Api, document: Document, ids: dict[str, str], elsewhere: dict[tuple[str, Named], Future[Answer]], case: Case
) -> None:
    try:
        if case.after:
            assert document.send(case.after, api, ids).status == case.after.status
        answer = document.send(case, api, ids) if case.to == "sound" else elsewhere[case.to, case.answer].result()
    finally:
        api.call("DELETE", f"/api/exports/{NAME}")
    assert answer.status == case.status, answer.text
    assert answer.seconds < PATIENCE_SECONDS
    assert "+00:00" not in answer.text  # each time ends in Z
    if case.status == 401:  # the app's own, behind a platform that answers without a body
        assert answer.problem == "unauthenticated"
    elif case.answer.kind == NOTHING:
        assert answer.text == ""
    else:
        assert answer.headers["content-type"].partition(";")[0] == case.answer.kind
    if case.answer.kind == PROBLEM:
        assert answer.problem in document.slugs(case.answer)


@pytest.mark.parametrize("case", SPOILT, ids=str)
def test_what_the_app_stored_and_somebody_spoilt_takes_no_list_with_it(
    elsewhere: dict[tuple[str, Named], Future[Answer]], case: Case
) -> None:
    answer = elsewhere[case.to, case.answer].result()
    assert answer.status == case.status, answer.text
