"""Under AUTH_MODE=entra: app roles out of the principal that Easy Auth writes."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from shared.web.authorization import check_front
from shared.web.problems import ApiError
from shared.web.routing import OPERATIONS
from tests.e2e.api import Answer, Api, Caller

OBJECT_ID = "6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f"


def principal(*roles: str, oid: str = OBJECT_ID) -> str:
    claims = [{"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": oid}]
    claims += [{"typ": "roles", "val": role} for role in roles]
    return base64.b64encode(json.dumps({"auth_typ": "aad", "claims": claims, "role_typ": "roles"}).encode()).decode()


def call(api: Api, method: str, path: str, *roles: str, **headers: str) -> Answer:
    body = {"kind": "replay"} if method == "POST" else None
    return api.call(method, f"/api/{path}", body, key=False, x_ms_client_principal=principal(*roles), **headers)


def test_without_a_principal_a_runbook_gets_401_and_no_redirect(entra_api: Api) -> None:
    answer = entra_api.call("GET", "/api/exports", key=False)
    assert answer.problem == "unauthenticated"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "location" not in answer.headers


@pytest.mark.parametrize("header", ["", "%%%", "bm90IGpzb24=", "W10=", "eyJjbGFpbXMiOiBbMV19", "W1tb" * 2_000])
def test_an_unreadable_principal_is_401(entra_api: Api, header: str) -> None:
    answer = entra_api.call("GET", "/api/exports", key=False, x_ms_client_principal=header)
    assert answer.problem == "unauthenticated"


def test_a_function_key_opens_nothing(entra_api: Api) -> None:
    assert entra_api.call("GET", "/api/exports").problem == "unauthenticated"


@pytest.mark.parametrize("path", ["exports", "jobs", "runs", "dead-letters", "freshness", "ready", "openapi.json"])
def test_reading_needs_a_role(entra_api: Api, path: str) -> None:
    assert call(entra_api, "GET", path).problem == "forbidden"
    assert call(entra_api, "GET", path, "Exports.Read").status == 200
    assert call(entra_api, "GET", path, "Exports.Write").status == 200


def test_writing_needs_the_role_to_write(entra_api: Api) -> None:
    assert call(entra_api, "POST", "jobs", "Exports.Read").problem == "forbidden"
    assert call(entra_api, "DELETE", "exports/none", "Exports.Read").problem == "forbidden"
    assert call(entra_api, "POST", "jobs", "Exports.Write").json()["actor"] == f"entra:{OBJECT_ID}"
    assert call(entra_api, "DELETE", "exports/none", "Exports.Write").status == 204


def test_a_job_is_cancelled_by_who_may_write_once_and_the_log_says_so(entra_api: Api) -> None:
    waiting, running = entra_api.quiet_job(), entra_api.quiet_job(state="running", attempt=1)

    def cancel(job: str, *roles: str, body: dict[str, int] | None = None) -> Answer:
        who = {"x_ms_client_principal": principal(*roles)}
        return entra_api.call("POST", f"/api/jobs/{job}/cancel", body, key=False, **who)

    assert cancel(waiting, "Exports.Read", "Exports.Approve").problem == "forbidden"
    assert cancel(waiting, "Exports.Write", body={"dryRun": 1}).problem == "bad-request"
    ended, again = cancel(waiting, "Exports.Write"), cancel(waiting, "Exports.Write")
    assert [(each.status, each.json()["state"]) for each in (ended, again)] == [(200, "cancelled")] * 2
    assert ended.json()["error"] == f"Cancelled by entra:{OBJECT_ID}; it had not begun."
    asked = cancel(running, "Exports.Write")
    assert (asked.status, asked.json()["state"], asked.json()["cancelledBy"]) == (202, "running", f"entra:{OBJECT_ID}")
    over = cancel(entra_api.quiet_job(state="succeeded"), "Exports.Write")
    assert (over.problem, "its state is succeeded" in over.json()["detail"]) == ("conflict", True)
    deed = {"event": "cancel_job", "actor": f"entra:{OBJECT_ID}", "target": {"id": waiting}, "state": "cancelled"}
    assert json.dumps({**deed, "status": 200}) in entra_api.log


ODD_CANCELLATIONS: tuple[tuple[str, str | None, str], ...] = (
    ("0000000000000-0000000g", None, "not-found"),
    ("0000000000000-00000000.", None, "not-found"),
    ("%E0%A5%A6000000000000-00000000", None, "not-found"),
    ("{id}x", None, "not-found"),
    ("x" * 2_000, None, "not-found"),
    ("{id}?dryRun=true", None, "bad-request"),
    ("{id}?wait=1", None, "bad-request"),
    ("{id}", "[]", "bad-request"),
    ("{id}", "null", "bad-request"),
    ("{id}", '{"id": "x", "id": "y"}', "bad-request"),
    ("{id}", "{", "bad-request"),
)


def test_a_cancellation_that_names_no_job_or_asks_for_more_cancels_nothing(entra_api: Api) -> None:
    job = entra_api.quiet_job()
    who = {"x_ms_client_principal": principal("Exports.Write")}
    for path, body, problem in ODD_CANCELLATIONS:
        name, _, query = path.format(id=job).partition("?")
        sent = {"content_type": "application/json"} if body else {}
        address = f"/api/jobs/{name}/cancel{f'?{query}' if query else ''}"
        assert entra_api.call("POST", address, body, key=False, **who, **sent).problem == problem, (path, body)
    assert call(entra_api, "GET", f"jobs/{job}", "Exports.Read").json()["state"] == "queued"


def test_raising_guards_needs_the_role_to_approve_too(entra_api: Api) -> None:
    job = {"kind": "reconcile", "maxDeletes": 50}

    def start(*roles: str) -> Answer:
        return entra_api.call("POST", "/api/jobs", job, key=False, x_ms_client_principal=principal(*roles))

    assert start("Exports.Write").problem == "forbidden"
    assert start("Exports.Approve").problem == "forbidden"
    assert start("Exports.Write", "Exports.Approve").status == 202


def test_approving_needs_a_role_of_its_own(entra_api: Api) -> None:
    assert call(entra_api, "POST", "approvals", "Exports.Write").problem == "forbidden"
    assert call(entra_api, "POST", "approvals", "Exports.Approve").problem == "bad-request"
    assert call(entra_api, "GET", "runs", "Exports.Approve").status == 200


def test_one_callers_idempotency_keys_mean_nothing_to_another(entra_api: Api) -> None:
    other = principal("Exports.Write", oid="11111111-2222-4333-8444-555555555555")
    first = call(entra_api, "POST", "jobs", "Exports.Write", idempotency_key="k").json()["id"]
    again = call(entra_api, "POST", "jobs", "Exports.Write", idempotency_key="k").json()["id"]
    theirs = entra_api.call(
        "POST", "/api/jobs", {"kind": "plan"}, key=False, x_ms_client_principal=other, idempotency_key="k"
    )
    assert first == again
    assert theirs.status == 202
    assert theirs.json()["id"] != first


def test_a_refused_write_is_in_the_log_too(entra_api: Api) -> None:
    call(entra_api, "DELETE", "exports/none", "Exports.Read")
    assert '"event": "delete_export", "actor": "unknown", "target": {"name": "none"}, "status": 403' in entra_api.log


def test_contents_of_a_dead_letter_are_read_by_a_role_of_their_own_and_each_look_is_logged(entra_api: Api) -> None:
    name, rows = entra_api.dead_letter(count=25)
    path = f"dead-letters/contents?name={quote(name, safe='')}"
    for roles in (("Exports.Read", "Exports.Write", "Exports.Approve"), ()):
        assert call(entra_api, "GET", path, *roles).problem == "forbidden"
    first = call(entra_api, "GET", path, "Records.Read").json()
    rest = call(entra_api, "GET", f"{path}&continuation={first['continuation']}", "Records.Read").json()
    assert (len(first["value"]), rest["continuation"], first["trouble"]) == (20, "", "")
    assert [letter["row"] for letter in (*first["value"], *rest["value"])] == rows
    assert {(letter["table"], letter["reason"]) for letter in first["value"]} == {
        ("DefenderAlerts_CL", "no-output-hub")
    }
    looks = [line for line in entra_api.log.splitlines() if '"event": "read_dead_letter"' in line and name in line]
    assert [f'"actor": "entra:{OBJECT_ID}"' in line for line in looks if '"status": 200' in line] == [True, True]
    assert not any("secret of a record" in line for line in entra_api.log.splitlines())

    gone = name.replace("no-output-hub", "throttled")
    assert call(entra_api, "GET", f"dead-letters/contents?name={gone}", "Records.Read").problem == "not-found"
    for wrong in ("", "?name=", "?name=%0a", "?name=../freshness/latest.json&name=x", f"?name={'x' * 501}"):
        assert call(entra_api, "GET", f"dead-letters/contents{wrong}", "Records.Read").problem == "bad-request"
    for elsewhere in ("../run-reports/latest.json", "..%2Frun-reports%2Flatest.json", "/", "2026-01-01"):
        answer = call(entra_api, "GET", f"dead-letters/contents?name={elsewhere}", "Records.Read")
        assert answer.problem == "not-found"


def test_shapes_need_the_same_role_say_nothing_of_the_records_and_each_look_is_logged(entra_api: Api) -> None:
    name, rows = entra_api.dead_letter(count=3)
    for roles in (("Exports.Read", "Exports.Write", "Exports.Approve"), ()):
        assert call(entra_api, "GET", "shapes?from=dead-letters", *roles).problem == "forbidden"
    answer = call(entra_api, "GET", "shapes?from=dead-letters", "Records.Read")
    entra_api.discard(name)
    assert not any(value in answer.text for row in rows for value in row.values())
    found = {shape["kind"]: shape for shape in answer.json()["value"]}
    assert found["DefenderAlerts_CL"]["records"] >= len(rows)
    assert "withheld" not in answer.json()
    asked = call(entra_api, "GET", "shapes?from=oversize&withheld=true&names=a,b&limit=1", "Records.Read").json()
    assert (asked["value"], asked["withheld"]) == ([], [])
    looks = [line for line in entra_api.log.splitlines() if '"event": "get_shapes"' in line and OBJECT_ID in line]
    assert [('"dead-letters"' in line, '"oversize"' in line) for line in looks if '"status": 200' in line] == [
        (True, False), (False, True),
    ]  # fmt: skip
    for wrong in (
        "", "?from=x", "?from=", "?from=oversize&day=2026-02-30", "?from=oversize&limit=201", "?from=oversize&names=,",
        "?from=oversize&consumerGroup=other", "?from=hub&day=2026-02-01", "?from=hub", "?from=hub&withheld=yes",
    ):  # fmt: skip
        assert call(entra_api, "GET", f"shapes{wrong}", "Records.Read").problem == "bad-request", wrong


def test_a_dead_letter_that_is_left_as_it_is_shows_nothing_and_says_why(entra_api: Api) -> None:
    name, _ = entra_api.dead_letter(contents=b"no letters")
    answer = call(entra_api, "GET", f"dead-letters/contents?name={name}", "Records.Read").json()
    assert (answer["value"], bool(answer["trouble"])) == ([], True)


ROLES = ("", "Exports.Read", "Exports.Write", "exports.read", "Exports.Approve", "Records.Read", "Other")
REQUESTS = {
    operation.name: (operation.method, operation.path.format(name="none", id="none"))
    for operation in OPERATIONS.values()
}
REFUSED = {401, 403}


WRITES = {"put_export", "delete_export", "put_mutes", "put_notify", "put_requirements", "start_job", "cancel_job"}
OF_ONE_ROLE = {"approve_plan": "Exports.Approve", "read_dead_letter": "Records.Read", "get_shapes": "Records.Read"}


def granted(operation: str, role: str) -> bool:
    """Which role opens which route, written out: what changes anything, what one role alone opens, and all others."""
    if operation in WRITES:
        return role == "Exports.Write"
    if operation in OF_ONE_ROLE:
        return role == OF_ONE_ROLE[operation]
    return role in {"Exports.Read", "Exports.Write", "Exports.Approve"}


def ask(api: Api | Caller, operation: str, *roles: str) -> Answer:
    method, path = REQUESTS[operation]
    body: str | dict[str, str] | None = "version: 1\n" if method == "PUT" else {} if method == "POST" else None
    return api.call(method, f"/api/{path}", body, key=False, x_ms_client_principal=principal(*roles))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("role", ROLES)
def test_every_route_under_every_role(entra_api: Api, operation: str, role: str) -> None:
    answer = ask(entra_api, operation, role)
    if granted(operation, role):
        assert answer.status not in REFUSED
        assert answer.status < 500
    else:
        assert answer.problem == "forbidden"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_under_no_sign_in(entra_api: Api, operation: str) -> None:
    method, path = REQUESTS[operation]
    answer = entra_api.call(method, f"/api/{path}", key=False)
    assert (answer.problem, answer.headers["www-authenticate"]) == ("unauthenticated", "Bearer")
    without_id = entra_api.call(method, f"/api/{path}", key=False, x_ms_client_principal=principal(ROLES[2], oid=""))
    assert (without_id.problem, without_id.headers["www-authenticate"]) == ("unauthenticated", "Bearer")


@pytest.mark.parametrize("roles", [None, ()])
def test_a_browser_that_asks_for_the_page_gets_a_way_to_sign_in_with_the_same_status(
    entra_api: Api, roles: tuple[str, ...] | None
) -> None:
    who = {} if roles is None else {"x_ms_client_principal": principal(*roles)}
    answer = entra_api.call("GET", "/api/operations", key=False, accept="text/html,*/*;q=0.8", **who)
    assert (answer.status, answer.headers["content-type"]) == (
        401 if roles is None else 403,
        "text/html; charset=utf-8",
    )
    assert "/.auth/login/aad?post_login_redirect_uri=" in answer.text
    assert "unsafe" not in answer.headers["content-security-policy"]
    program = entra_api.call("GET", "/api/operations", key=False, accept="*/*", **who)
    assert program.problem == ("unauthenticated" if roles is None else "forbidden")


def test_health_is_open_to_everyone(entra_api: Api) -> None:
    assert entra_api.call("GET", "/api/health", key=False).status == 200


@pytest.fixture(scope="module")
def unmarked(entra_api: Api) -> Iterator[Caller]:
    with entra_api.beside("unmarked", WEBSITE_AUTH_ENABLED="") as app:
        yield app


@pytest.fixture(scope="module")
def accepted(entra_api: Api) -> Iterator[Caller]:
    with entra_api.beside("accepted", WEBSITE_AUTH_ENABLED="", ACCEPT_MISSING_AUTH_MARKER="true") as app:
        yield app


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_the_platforms_marker_every_route_refuses_and_says_why(unmarked: Caller, operation: str) -> None:
    answer = ask(unmarked, operation, "Exports.Read", "Exports.Write")
    assert answer.problem == "unavailable"
    assert "ACCEPT_MISSING_AUTH_MARKER" in answer.json()["detail"]
    assert unmarked.call("GET", "/api/health", key=False).status == 200


def test_where_its_absence_is_accepted_routes_answer_and_ready_is_not_well(accepted: Caller) -> None:
    assert ask(accepted, "list_exports", "Exports.Read").status == 200
    assert ask(accepted, "list_exports").problem == "forbidden"
    answer = ask(accepted, "ready", "Exports.Read")
    check = next(each for each in answer.json()["checks"] if each["name"] == "signIn")
    assert (answer.status, check["ok"]) == (503, False)
    assert "ACCEPT_MISSING_AUTH_MARKER" in check["detail"]


@pytest.mark.parametrize("marker", ["false", "True", "1", "yes"])
def test_only_the_platforms_own_word_counts(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", marker)
    if marker == "True":
        check_front("entra", accept_missing=False)
        return
    with pytest.raises(ApiError):
        check_front("entra", accept_missing=False)
    check_front("key", accept_missing=False)
