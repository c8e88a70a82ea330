"""A limited reader gets what a tenant of its part alone would give: over every route, with every id of others."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect, sync_playwright

from local.certs import Certificates
from local.tenant import APP, synthetic_tenant
from local.tenant.destinations import destinations
from local.tenant.ids import management_group_id
from local.tenant.state import Tenant
from local.tenant.synthetic import CUSTOMER_TENANT
from shared.bootstrap import Services
from shared.web.problems import ApiError
from shared.web.readers import DECISIONS, Decision, limiting
from shared.web.routing import OPERATIONS
from tests.e2e.api import Answer, Api, Caller
from tests.e2e.browser import ARGUMENTS, CHROMIUM
from tests.e2e.test_api_entra import principal

GROUPS = ("contoso-management", "contoso-nonprod")
MINE = "Exports.Read.Nonprod"
FILE = f"""version: 1
readers:
  - role: {MINE}
    managementGroups: [{", ".join(GROUPS)}]
  - role: Exports.Read.Management
    managementGroups: [contoso-management]
  - role: Exports.Read.Customer
    tenants: [{CUSTOMER_TENANT}]
  - role: Exports.Read.Nobody
    managementGroups: [contoso-nonprd]
  - role: Exports.Read.Gone
    managementGroups: [contoso-nonprod]
    tenants: [99999999-9999-4999-8999-999999999999]
"""
REQUIREMENTS = """version: 1
requirements:
  - {{name: attack-paths, kind: AttackPaths}}
exceptions:
  - {{requirement: cis-8.1.5.2, subscriptions: [{mine}], owner: Mine, reason: Moved in spring, until: 2099-12-31}}
"""
MORE = """  - {{requirement: cis-8.1.5.2, subscriptions: [{theirs}], owner: Secret, reason: Hidden, until: 2099-12-31}}
  - {{requirement: cis-8.1.5.2, managementGroups: [contoso-sandbox], owner: Secret, reason: Hidden, until: 2099-12-31}}
  - {{requirement: cis-8.1.5.2, managementGroups: [secret-gone], owner: Secret, reason: Hidden, until: 2099-12-31}}
"""
MUTES = """version: 1
mutes:
  - {{name: mine, subscription: {mine}, owner: Mine, reason: Moved, from: {since}, until: {until}}}
  - {{name: ours, export: baseline, owner: Ours, reason: New filter, from: {since}, until: {until}}}
  - {{name: later, export: later, owner: Ours, reason: Not yet, from: {since}, until: {until}}}
  - {{name: gone, subscription: {mine}, export: gone, owner: Mine, reason: Went, from: {since}, until: {until}}}
"""
MORE_MUTES = """  - {{name: other, subscription: {theirs}, owner: Secret, reason: Hid, from: {since}, until: {until}}}
  - {{name: sandbox, managementGroup: contoso-sandbox, owner: Secret, reason: Hidden, from: {since}, until: {until}}}
  - {{name: hidden, export: secret, owner: Secret, reason: Hidden, from: {since}, until: {until}}}
  - {{name: went, subscription: 99999999-9999-4999-8999-999999999999, export: gone, owner: Secret, reason: Hidden,
      from: {since}, until: {until}}}
"""
UNPLACED = "It does not show 1 exception and 2 mutes: it can't be told whether that is about your part of the tenant."
ENTRA = {"AUTH_MODE": "entra", "WEBSITE_AUTH_ENABLED": "true"}
ALL = "Exports.Read"


def tenant() -> Tenant:
    return synthetic_tenant(5, 14)


def their_part() -> Tenant:
    """The same tenant, of which the app sees nothing but the part."""
    made = tenant()
    held = [each for each in made.assignments if each.principal_id == APP.object_id]
    made.revoke(APP)
    for group in GROUPS:
        for role in {each.role.guid: each.role for each in held}.values():
            made.assign(APP, management_group_id(group), role)
    return made


def call(api: Caller, path: str, *roles: str, method: str = "GET", **headers: str) -> Answer:
    body: str | dict[str, str] | None = {} if method == "POST" else "version: 1\n" if method == "PUT" else None
    return api.call(method, f"/api/{path}", body, key=False, x_ms_client_principal=principal(*roles), **headers)


@dataclass(frozen=True)
class Worlds:
    whole: Api
    part: Api
    mine: frozenset[str]
    others: frozenset[str]
    ids: dict[str, str]

    def limited(self, path: str, **headers: Any) -> Answer:
        return call(self.whole, path, MINE, **headers)


def fill(api: Api, mine: str, theirs: str) -> str:
    """An export, a plan, a check of freshness, requirements; the id of the job."""
    who: dict[str, Any] = {"key": False, "x_ms_client_principal": principal("Exports.Write")}
    assert api.put("baseline", **who).status == 201
    text = REQUIREMENTS.format(mine=mine) + (MORE.format(theirs=theirs) if theirs else "")
    assert api.call("PUT", "/api/requirements", text, **who).status == 204
    now = datetime.now(UTC)
    times = {"since": f"{now - timedelta(days=1):%FT%TZ}", "until": f"{now + timedelta(days=9):%FT%TZ}"}
    text = MUTES.format(mine=mine, **times) + (MORE_MUTES.format(theirs=theirs, **times) if theirs else "")
    assert api.call("PUT", "/api/mutes", text, **who).status == 200
    answer = api.call("POST", "/api/jobs?wait=60", {"kind": "reconcile"}, **who)
    assert answer.status == 200, answer.text
    job = str(answer.json()["id"])
    # It is declared and there is no automation of it yet.
    assert api.put("later", api.export("later", scope=f"subscriptions: [{mine}]"), **who).status == 201
    ended = {"outcome": "proven", "begun": "2026-11-01T00:00:00Z", "ended": "2026-11-01T00:01:00Z", "hops": []}

    async def check(services: Services) -> None:
        await services.check_freshness()
        for one in filter(None, (mine, theirs)):
            await services.canary.history.add({**ended, "subscription": one, "reason": one}, "me")

    api._with_services(check)
    assert call(api, "coverage?maxAge=0", ALL).status == 200
    return job


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[Worlds]:
    folder = tmp_path_factory.mktemp("readers")
    (folder / "readers.yaml").write_text(FILE)
    settings = {**ENTRA, "READERS_FILE": str(folder / "readers.yaml")}
    with (
        Api(tmp_path_factory.mktemp("whole"), local_certs, tenant(), **settings) as whole,
        Api(tmp_path_factory.mktemp("part"), local_certs, their_part(), **ENTRA) as part,
    ):
        rows = {
            name: {row["subscriptionId"]: row for row in call(api, "coverage", ALL).json()["value"]}
            for name, api in (("whole", whole), ("part", part))
        }
        mine, others = frozenset(rows["part"]), frozenset(rows["whole"]) - frozenset(rows["part"])
        assert len(mine) >= 3
        assert len(others) >= 5
        # Later automations bear the time at which they were written.
        whole_read, part_read = call(whole, "evidence", MINE).json(), call(part, "evidence", ALL).json()
        assert whole_read["sources"]["sha256"] == part_read["sources"]["sha256"]
        job = fill(whole, min(mine), min(others))
        fill(part, min(mine), "")
        letter, _ = whole.dead_letter()
        run = call(whole, "runs", ALL).json()["value"][0]["runId"]
        yield Worlds(whole, part, mine, others, {"job": job, "run": run, "letter": letter})


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
HEADERS = {"date", "server", "content-length", "transfer-encoding", "keep-alive"}


def told(answer: Answer) -> tuple[int, dict[str, str], Any]:
    """An answer without times, and without what is closed (the newest run, figures, the digest of the requirements)."""
    headers = {name: value for name, value in answer.headers.items() if name not in HEADERS}
    text = TIME.sub("T", answer.text)
    if "json" in headers.get("content-type", ""):
        document = json.loads(text)
        for name in ("run", "runMuted"):  # the newest run of the tenant
            document.pop(name, None)
        document.pop("trend", None)
        if UNPLACED in document.get("limits", ()):
            document["limits"].remove(UNPLACED)
        for name in ("requirementsSha256", "sha256"):
            document.get("sources", {}).pop(name, None)
        if document.get("continuation"):
            document["continuation"] = "more"
        return answer.status, headers, document
    headers |= {"continuation": "more"} if headers.get("continuation") else {}
    return answer.status, headers, text


def queries(worlds: Worlds) -> list[str]:
    one, other = min(worlds.mine), min(worlds.others)
    names = ("coverage", "status", "freshness", "canaries")
    common = ["", "?limit=2", f"?subscription={one}", f"?subscription={other}", f"?subscription={other.upper()}"]
    groups = ["contoso", *GROUPS, "contoso-sandbox", "contoso-prod", "contoso-sandbx", "contoso-nonprd"]
    common += [f"?managementGroup={name}" for name in groups]
    status = [
        *common,
        f"?tenant={CUSTOMER_TENANT}",
        f"?tenant={other}",
        "?unmet=cis-8.1.5.2",
        "?unmet=x",
        "?surprise=1",
    ]
    return [
        *(f"coverage{each}" for each in [*status, "?source=Alerts", "?source=Alert"]),
        *(f"status{each}" for each in status),
        *(f"evidence{each}" for each in common),
        *(f"freshness{each}" for each in [*common[:5], "?verdict=silent", "?kind=Alerts", "?kind=Alert"]),
        *(f"canaries{each}" for each in common[:5]),
        *(f"{name}?subscription={each}" for name in names for each in worlds.others),
    ]  # fmt: skip


def test_every_route_has_a_decision() -> None:
    assert set(DECISIONS) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("accept", "step"), [("application/json", 1), ("text/csv", 5), ("text/html", 7), ("image/png", 9)]
)
def test_each_answer_is_that_of_a_tenant_of_that_part_alone(worlds: Worlds, accept: str, step: int) -> None:
    def both(path: str) -> tuple[str, Answer, Answer]:
        return path, worlds.limited(path, accept=accept), call(worlds.part, path, ALL, accept=accept)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(both, queries(worlds)[::step]))
    for path, mine, alone in answers:
        if path.startswith("evidence") and accept != "application/json":  # it prints the trend and a digest
            assert (mine.status, mine.headers["content-type"]) == (alone.status, alone.headers["content-type"])
        else:
            assert told(mine) == told(alone), path


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "text/html"])
def test_nothing_of_others_is_in_any_answer(worlds: Worlds, accept: str) -> None:
    rows = call(worlds.whole, "coverage", ALL).json()["value"]
    names = {row["subscription"] for row in rows if row["subscriptionId"] in worlds.others}
    secrets = {*worlds.others, *names, *worlds.ids.values(), "Secret", "contoso-sandbox", "secret of a record"}
    for operation in OPERATIONS.values():
        if operation.method == "GET":
            path = operation.path.format(name="baseline", id="none")
            text = worlds.limited(path, accept=accept).text.lower()
            if operation.name != "openapi":
                assert [each for each in secrets if each.lower() in text] == [], operation.name
    report = worlds.limited("evidence").json()
    assert UNPLACED in report["limits"]
    assert "gone" in [each["name"] for each in report["mutes"]]
    # They are there for who sees all.
    assert "Secret" in call(worlds.whole, "evidence", ALL).text
    assert len(call(worlds.whole, "canaries", ALL).json()["value"]) == 2
    assert len(worlds.limited("canaries").json()["value"]) == 1
    assert len(worlds.limited("freshness").json()["value"]) > 0
    assert any(row["exports"] for row in worlds.limited("status").json()["value"])


def spelt(worlds: Worlds) -> list[str]:
    """Every parameter of every route that shows a part, with ids and names of others in any spelling."""
    other, group = min(worlds.others), "contoso-sandbox"
    encoded = "".join(f"%{ord(letter):02x}" for letter in other)
    values = [
        other, encoded, f"{other}%00", f"%20{other}", f"/subscriptions/{other}", f"{other},{min(worlds.mine)}",
        group, group.upper(), f"{group}%0d%0a", f"{group}/../contoso", f"{CUSTOMER_TENANT}/{group}", CUSTOMER_TENANT,
        "*", "' or 1==1", "x" * 3000, "-1", "1001",
    ]  # fmt: skip
    shown = [each for each in OPERATIONS.values() if DECISIONS[each.name] is Decision.THEIRS]
    asked = [f"{each.path}?{name}=" for each in shown for name in each.query]
    places = [
        *(f"{each.path}?subscription={min(worlds.mine)}&subscription={other}" for each in shown),
        *(f"{each.path}?subscription={other}&managementGroup={GROUPS[0]}" for each in shown),
        *(f"{each.path.upper()}?Subscription={other}" for each in shown),
        *(f"{each.path}%2f..%2fruns" for each in shown),
    ]
    return [f"{path}{quote(value, safe='%')}" for path in asked for value in values][::3] + places


def test_ids_of_others_in_any_parameter_and_spelling_are_unknown(worlds: Worlds) -> None:
    def both(path: str) -> tuple[str, Answer, Answer]:
        return path, worlds.limited(path), call(worlds.part, path, ALL)

    with ThreadPoolExecutor(4) as pool:
        for path, mine, alone in pool.map(both, spelt(worlds)):
            assert told(mine) == told(alone), path


def forged(path: str, last: str, *roles: str) -> str:
    """A continuation token as the API makes it for readers with these limiting roles."""
    parts: list[Any] = [f"/api/{path}", [], *([roles] if roles else [])]
    bound = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return base64.urlsafe_b64encode(f"{bound}.{last}".encode()).decode().rstrip("=")


@pytest.mark.parametrize("last", ['[9,"{other}"]', '[1,"{mine}"]', '[-5,"{other}"]', "[1]", "{{}}"])
def test_a_cursor_that_a_limited_reader_made_shows_nothing_more(worlds: Worlds, last: str) -> None:
    last = last.format(other=max(worlds.others), mine=min(worlds.mine))
    for path in ("coverage", "status", "canaries", "freshness", "evidence"):
        mine = worlds.limited(f"{path}?continuation={forged(path, last, MINE)}")
        assert told(mine) == told(call(worlds.part, f"{path}?continuation={forged(path, last)}", ALL)), path
    for path, end in (("jobs", worlds.ids["job"]), ("runs", worlds.ids["run"])):
        answer = worlds.limited(f"{path}?continuation={forged(path, end, MINE)}")
        assert answer.json() == {"value": [], "continuation": ""}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("condition", [{}, {"if_none_match": "*"}, {"if_match": "*"}, {"if_match": '"no"'}], ids=str)
def test_no_method_and_no_precondition_tells_what_there_is(
    worlds: Worlds, method: str, condition: dict[str, str]
) -> None:
    etag = call(worlds.whole, "exports/baseline", ALL).headers["etag"]
    for headers in (condition, dict.fromkeys(condition, etag)):
        for path, name, none in (
            ("exports", "baseline", "baselinf"),
            ("runs", worlds.ids["run"], worlds.ids["run"][:-4] + "0000"),
            ("jobs", worlds.ids["job"], worlds.ids["job"][:-4] + "0000"),
        ):
            mine = call(worlds.whole, f"{path}/{name}", MINE, method=method, **headers)
            assert told(mine) == told(call(worlds.whole, f"{path}/{none}", MINE, method=method, **headers))
            assert mine.status >= 400, path


def told_to(app: Caller, worlds: Worlds, *more: str) -> dict[str, int]:
    """The status of each operation that a limited reader is answered, where no answer names others."""
    rows = call(worlds.whole, "coverage", ALL).json()["value"]
    names = {row["subscription"] for row in rows if row["subscriptionId"] in worlds.others}
    secrets = {*worlds.others, *names, *worlds.ids.values(), "Secret", "contoso-sandbox", *more}
    found = {}
    for each in OPERATIONS.values():
        if each.method == "GET" and each.name != "openapi":
            for accept in ("text/html", "text/csv", "application/json"):
                answer = call(app, each.path.format(name="baseline", id="none"), MINE, accept=accept)
                assert [one for one in secrets if one.lower() in answer.text.lower()] == [], each.name
                found[each.name] = answer.status
    return found


def test_nothing_of_others_is_shown_where_all_is_switched_on(worlds: Worlds) -> None:
    hub = destinations(worlds.whole.azure.tenant).event_hub
    switched = dict.fromkeys(("CANARY", "CLOSE_GONE", "REFRESH_CVES", "SEND_NOTICES"), "true")
    with worlds.whole.beside("all", EVENT_HUB_RESOURCE_ID=hub, **switched) as app:
        assert set(told_to(app, worlds).values()) == {200, 403, 404}


def test_files_that_can_not_be_read_name_nobody_of_the_others(worlds: Worlds) -> None:
    other = min(worlds.others)
    files = {
        "requirements.yaml": f"version: 1\nrequirements:\n  - {{name: hidden-away, kind: {other}}}\n",
        "mutes.yaml": f"version: 1\nmutes:\n  - {{name: hidden-away, subscription: {other}}}\n",
        "current/hidden-away.yaml": f"version: 1\nname: hidden-away\nscope: {{subscriptions: [{other}]}}\n",
        "freshness/latest.json": '{"checked": 5, "health": [{"subscription_id": 5, "reason": "hidden-away"}]}',
    }
    whole = worlds.whole

    async def exchange(services: Services, name: str, contents: bytes | None) -> bytes | None:
        settings, clients = services.settings, services.clients
        kept = clients.blobs.get_container_client(settings.exports_container)
        if "freshness" in name:
            kept = clients.data_blobs.get_container_client(settings.reports_container)
        before = await (await kept.download_blob(name)).readall() if await kept.get_blob_client(name).exists() else None
        await (kept.upload_blob(name, contents, overwrite=True) if contents is not None else kept.delete_blob(name))
        return before

    for name, text in files.items():
        before = whole._with_services(partial(exchange, name=name, contents=text.encode()))
        try:
            assert call(whole, "coverage?maxAge=0", ALL).status == 200
            found = told_to(whole, worlds, "hidden-away")
            reasons = worlds.limited("coverage").json()["reasons"]
        finally:
            whole._with_services(partial(exchange, name=name, contents=before))
            call(whole, "coverage?maxAge=0", ALL)
        assert set(found.values()) <= {200, 403, 404, 503}
        assert (found["get_evidence"] == 503) is (name == "requirements.yaml")
        assert bool(reasons) is ("away" in name)


def test_a_reading_that_is_not_whole_names_nobody_and_a_group_in_two_tenants_is_nobodys(worlds: Worlds) -> None:
    graph = worlds.whole.azure.arm.graph
    rows = call(worlds.whole, "coverage", ALL).json()["value"]
    known = {row["subscriptionId"] for row in rows if row["tenantId"] != CUSTOMER_TENANT}
    other = min(known & worlds.others)

    def altered(app: Caller, change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> list[Answer]:
        before = graph.alter
        graph.alter = lambda rows: [new for row in rows for new in (change(row) if "subscriptionId" in row else [row])]
        try:
            call(app, "coverage?maxAge=0", ALL)
            return [call(app, path, MINE) for path in ("coverage", "status", "evidence")]
        finally:
            graph.alter = before

    def one(row: dict[str, Any], **new: Any) -> list[dict[str, Any]]:
        return [row | new if row["subscriptionId"] == other and "chain" in row else row]

    def twice(row: dict[str, Any]) -> list[dict[str, Any]]:
        return [row, *([row] if row["subscriptionId"] == other else [])]

    incomplete = "not everything could be read, of your part or of others"
    with worlds.whole.beside("altered") as app:
        worlds.whole.azure.arm.faults.add("error", matching="POST .*Microsoft.ResourceGraph", status=403)
        try:
            nothing = [call(app, path, MINE) for path in ("coverage", "status", "evidence", "freshness", "canaries")]
        finally:
            worlds.whole.azure.arm.faults.clear()
        assert {answer.problem for answer in nothing} == {"unavailable"}
        for change in (twice, partial(one, chain=[])):
            for answer in altered(app, change):
                document = answer.json()
                assert (document["complete"], document["reasons"]) == (False, [incomplete])
                assert {row["subscriptionId"] for row in document["value"]} == worlds.mine
                assert other not in answer.text
        # Those of another tenant lie below none of its groups.
        for answer in altered(app, partial(one, chain=[], tenantId=CUSTOMER_TENANT)):
            assert answer.json()["complete"]
        for answer in altered(app, partial(one, chain=[{"name": GROUPS[0]}], tenantId=CUSTOMER_TENANT)):
            assert answer.problem == "unavailable"
            assert f"there are management groups {GROUPS[0]} in 2 tenants" in answer.json()["detail"]


def test_jobs_runs_letters_and_files_of_others_are_as_if_there_were_none(worlds: Worlds) -> None:
    ids = worlds.ids
    for path, none in (
        (f"jobs/{ids['job']}", f"jobs/{ids['job'][:-4]}0000"),
        (f"runs/{ids['run']}", f"runs/{ids['run'][:-4]}0000"),
        ("exports/baseline", "exports/baselinf"),
    ):
        assert call(worlds.whole, path, ALL).status == 200
        assert told(worlds.limited(path)) == told(worlds.limited(none))
        assert worlds.limited(path).status == 404
    for path in ("requirements", "notify"):
        assert worlds.limited(path).status == 404
    for path in ("jobs", "runs", "exports", "dead-letters", f"dead-letters?day={ids['letter'][:10]}"):
        assert call(worlds.whole, path, ALL).json()["value"] != [], path
        document = worlds.limited(path).json()
        assert (document["value"], document["continuation"]) == ([], "")
        if path != "jobs":
            assert len(worlds.limited(path, accept="text/csv").text.splitlines()) == 1, path


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_follows_its_decision(worlds: Worlds, operation: str) -> None:
    asked = OPERATIONS[operation]
    path = asked.path.format(name="baseline", id=worlds.ids["job"])
    for more in ((), ("Records.Read",)):
        answer = call(worlds.whole, path, MINE, *more, method=asked.method)
        if DECISIONS[operation] is Decision.REFUSED:
            assert answer.problem == "forbidden"
        else:
            assert answer.status in {200, 404}
    letter = f"{path}?name={quote(worlds.ids['letter'])}"
    if operation == "read_dead_letter":
        assert call(worlds.whole, letter, MINE, "Records.Read").problem == "forbidden"
    assert call(worlds.whole, path, "Exports.Read.Other", method=asked.method).problem == "forbidden"


@pytest.mark.parametrize("role", ["Exports.Read.Nobody", "Exports.Read.Gone"])
@pytest.mark.parametrize("path", ["coverage", "status", "evidence", "freshness", "canaries"])
def test_a_limit_that_can_not_be_resolved_reads_nothing(worlds: Worlds, role: str, path: str) -> None:
    for roles in ((role,), (role, MINE)):
        answer = call(worlds.whole, path, *roles)
        assert answer.problem == "unavailable"
        assert "can't be told" in answer.json()["detail"]


def test_several_roles_see_all_of_theirs_and_who_sees_all_is_not_limited(worlds: Worlds) -> None:
    def seen(*roles: str) -> set[str]:
        return {row["subscriptionId"] for row in call(worlds.whole, "coverage", *roles).json()["value"]}

    assert seen(MINE) == worlds.mine
    assert seen("Exports.Read.Management") < worlds.mine
    assert seen("Exports.Read.Customer") <= worlds.others
    assert seen(MINE, "Exports.Read.Customer") == worlds.mine | seen("Exports.Read.Customer")
    for role in (ALL, "Exports.Write", "Exports.Approve"):
        assert seen(MINE, role) == worlds.mine | worlds.others


def test_a_cursor_is_good_for_the_same_limit_alone(worlds: Worlds) -> None:
    pages, token = [], ""
    while True:
        document = worlds.limited(f"coverage?limit=2{token and '&continuation=' + token}").json()
        pages += [row["subscriptionId"] for row in document["value"]]
        if not (token := document["continuation"]):
            break
    assert sorted(pages) == sorted(worlds.mine)
    of_all = call(worlds.whole, "coverage?limit=2", ALL).json()["continuation"]
    of_mine = worlds.limited("coverage?limit=2").json()["continuation"]
    assert worlds.limited(f"coverage?continuation={of_all}").problem == "bad-request"
    assert call(worlds.whole, f"coverage?continuation={of_mine}", ALL).problem == "bad-request"
    assert call(worlds.whole, f"coverage?continuation={of_mine}", "Exports.Read.Customer").problem == "bad-request"


def test_a_limited_reader_has_nothing_read_anew(worlds: Worlds) -> None:
    taken = [worlds.limited("coverage?maxAge=0").json()["generated"] for _ in range(3)]
    assert len(set(taken)) == 1


def test_ready_names_roles_that_see_nothing(worlds: Worlds) -> None:
    checks = call(worlds.whole, "ready", ALL).json()["checks"]
    found = next(each for each in checks if each["name"] == "signIn")
    assert not found["ok"]
    assert "Exports.Read.Nobody sees nothing: the management group contoso-nonprd" in found["detail"]


def test_a_file_that_can_not_be_read_shows_limited_readers_nothing(worlds: Worlds, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("version: 1\nreaders:\n  - {role: Exports.Read.A, tenant: [x]}\n")
    with worlds.whole.beside("wrong", READERS_FILE=str(tmp_path / "wrong.yaml")) as app:
        assert call(app, "coverage", MINE).problem == "unavailable"
        assert call(app, "coverage", ALL).status == 200
        assert call(app, "coverage", "Records.Read").problem == "forbidden"
        checks = call(app, "ready", ALL).json()["checks"]
        detail = next(each for each in checks if each["name"] == "signIn")["detail"]
        assert "Did you mean tenants?" in detail


def test_a_file_that_is_not_there_limits_to_nothing_and_others_not_at_all(tmp_path: Path) -> None:
    for roles in ([MINE], [MINE, "Records.Read"]):
        with pytest.raises(ApiError) as refused:
            limiting(roles, str(tmp_path / "none.yaml"), "get_coverage")
        assert refused.value.problem.status == 503
    for roles in ([], [ALL], [MINE, ALL], [MINE, "Exports.Write"], ["exports.read.nonprod"], ["Records.Read"]):
        assert limiting(roles, str(tmp_path / "none.yaml"), "get_coverage") == frozenset()
    (tmp_path / "there.yaml").write_text(FILE)
    with pytest.raises(ApiError) as closed:
        limiting([MINE], str(tmp_path / "there.yaml"), "a_route_without_a_decision")
    assert closed.value.problem.status == 403


def test_off_its_role_opens_nothing(worlds: Worlds) -> None:
    assert call(worlds.part, "coverage", MINE).problem == "forbidden"


@pytest.mark.parametrize("name", ["shared.web.readers", "shared.web.limited_services", "shared.readers_file"])
def test_off_no_module_of_it_is_imported(name: str) -> None:
    modules = "function_app, shared.web.routing, shared.web.coverage, shared.web.health_check"
    code = f"import sys, {modules}; print({name!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "False"


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (apt-get install chromium)")
def test_the_page_says_that_it_shows_a_part_and_names_nobody_of_the_others(worlds: Worlds) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(extra_http_headers={"x-ms-client-principal": principal(MINE)})
        page.goto(f"{worlds.whole.url}/api/operations")
        expect(page.locator("#part")).to_contain_text("Your role sees a part of the tenant")
        expect(page.locator("#tile-exported")).to_contain_text(f"of {len(worlds.mine)}")
        expect(page.locator("#tile-changed")).to_contain_text("not shown")
        expect(page.locator("#tile-flowing")).to_contain_text("not known")
        expect(page.locator("#tile-needed")).not_to_contain_text("Loading")
        expect(page.locator("#tile-needed")).not_to_contain_text("All is as declared")
        shown = page.content()
        browser.close()
    assert not [other for other in worlds.others if other in shown]
