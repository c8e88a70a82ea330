"""Two tenants with management groups of one name: what names one of them, what is refused, what silences nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from local.certs import Certificates
from local.tenant import synthetic_tenant
from local.tenant.state import Tenant
from local.tenant.synthetic import CUSTOMER_TENANT
from local.tokens import HOME_TENANT
from shared.bootstrap import Services
from shared.notify.events import Event
from shared.notify.looking import placing
from shared.notify.rules import AT_ONCE, read_rules
from tests.e2e.api import Api, Caller
from tests.e2e.shell import Shell
from tests.e2e.test_api_entra import principal

NAME = "contoso-nonprod"
HERE, THEIRS = f"{HOME_TENANT}/{NAME}", f"{CUSTOMER_TENANT}/{NAME}"
WRITE = f"2 tenants have a management group {NAME}: write {' or '.join(sorted((HERE, THEIRS)))}"
READER = "Exports.Read.Customer"
ALL = "Exports.Read"


def tenant() -> Tenant:
    made = synthetic_tenant(5, 14, untidy=False)
    made.add_management_group(NAME, "Customer's own", CUSTOMER_TENANT, key="customers")
    for one in list(made.subscriptions.values()):
        if one.tenant_id == CUSTOMER_TENANT:
            made.add_subscription(replace(one, management_group="customers"))
    return made


def ids(document: Any) -> frozenset[str]:
    return frozenset(row["subscriptionId"].lower() for row in document["value"])


@dataclass(frozen=True)
class World:
    api: Api
    entra: Caller
    here: frozenset[str]
    theirs: frozenset[str]

    def shown(self, path: str, group: str) -> frozenset[str]:
        answer = self.api.call("GET", f"/api/{path}?limit=1000&managementGroup={quote(group, safe='')}")
        assert answer.status == 200, answer.text
        return ids(answer.json())

    def theirs_alone(self, path: str) -> Any:
        answer = self.entra.call("GET", f"/api/{path}", key=False, x_ms_client_principal=principal(READER))
        assert answer.status == 200, answer.text
        return answer.json()

    def requirements(self, *groups: str) -> None:
        held = "owner: Lab, reason: Throw-away, until: 2099-12-31"
        lines = [f"  - {{requirement: cis-8.1.5.2, managementGroups: ['{each}'], {held}}}\n" for each in groups]
        text = f"version: 1\nrequirements: [{{name: a, kind: Alerts}}]\nexceptions:\n{''.join(lines)}"
        assert self.api.call("PUT", "/api/requirements", text).status == 204

    def mutes(self, *groups: str) -> list[str]:
        now = datetime.now(UTC)
        since, until = now - timedelta(days=1), now + timedelta(days=9)
        held = f"owner: Lab, reason: Moves, from: {since:%FT%TZ}, until: {until:%FT%TZ}"
        lines = [f"  - {{name: m{i}, managementGroup: '{each}', {held}}}\n" for i, each in enumerate(groups)]
        answer = self.api.call("PUT", "/api/mutes", f"version: 1\nmutes:\n{''.join(lines)}")
        assert answer.status == 200, answer.text
        found: list[str] = answer.json()["warnings"]
        return found

    def excepted(self) -> frozenset[str]:
        rows = self.api.call("GET", "/api/evidence?limit=1000").json()["value"]
        return frozenset(row["subscriptionId"].lower() for row in rows if row["verdict"] == "excepted")

    def muted(self) -> frozenset[str]:
        rows = self.api.call("GET", "/api/status?limit=1000").json()["value"]
        return frozenset(row["subscriptionId"].lower() for row in rows if row.get("subscriptionMuted"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("groups")
    (folder / "readers.yaml").write_text(f"version: 1\nreaders: [{{role: {READER}, tenants: [{CUSTOMER_TENANT}]}}]\n")
    made = tenant()
    below = {
        owner: frozenset(
            one.id.lower()
            for one in made.subscriptions.values()
            if one.tenant_id == owner and one.management_group in {NAME, "customers"}
        )
        for owner in (HOME_TENANT, CUSTOMER_TENANT)
    }
    assert all(len(each) >= 2 for each in below.values())
    limited = {"AUTH_MODE": "entra", "WEBSITE_AUTH_ENABLED": "true", "READERS_FILE": str(folder / "readers.yaml")}
    with Api(folder, local_certs, made) as api, api.beside("entra", **limited) as entra:
        yield World(api, entra, below[HOME_TENANT], below[CUSTOMER_TENANT])


@pytest.mark.parametrize("path", ["coverage", "status", "evidence"])
def test_a_question_by_a_name_of_several_tenants_is_refused_with_what_to_write(world: World, path: str) -> None:
    for name in (NAME, NAME.upper()):
        answer = world.api.call("GET", f"/api/{path}?managementGroup={name}")
        assert (answer.status, answer.problem, answer.json()["detail"]) == (400, "bad-request", f"{WRITE}.")
    assert world.shown(path, HERE) == world.here
    assert world.shown(path, THEIRS.upper()) == world.theirs
    for root in (CUSTOMER_TENANT, f"{CUSTOMER_TENANT}/{CUSTOMER_TENANT.upper()}"):
        assert world.shown(path, root) == world.theirs
    assert world.shown(path, "contoso-prod") == world.shown(path, f"{HOME_TENANT}/Contoso-Prod")
    odd = (f"/{NAME}", f"{NAME}/", f"{THEIRS}/x", f"{NAME} ", f"{NAME}%", "🚀", "%2F")
    for name in (f"{CUSTOMER_TENANT}/contoso-prod", *odd):
        answer = world.api.call("GET", f"/api/{path}?managementGroup={quote(name, safe='')}")
        assert (answer.status, answer.problem) == (404, "not-found"), name


@pytest.mark.parametrize("kind", ["plan", "reconcile", "backfill"])
def test_a_job_over_a_name_of_several_tenants_is_refused(world: World, kind: str) -> None:
    answer = world.api.call("POST", "/api/jobs", {"kind": kind, "managementGroups": [NAME]})
    assert (answer.status, answer.json()["detail"]) == (400, f"{WRITE}.")
    for name in ("🚀", f"{NAME}/x", f"{NAME} ", "a/b/c", f"{CUSTOMER_TENANT}/", "%20"):
        assert world.api.call("POST", "/api/jobs", {"kind": kind, "managementGroups": [name]}).status == 400
    if kind == "plan":
        assert world.api.job(kind=kind, managementGroups=[THEIRS.upper()])["state"] == "succeeded"


def test_what_is_planned_and_imported_is_so_too(world: World) -> None:
    for path in ("plan", "import"):
        answer = world.api.call("POST", f"/api/{path}", {"managementGroups": [NAME]})
        assert answer.status == 400
        assert WRITE in answer.json()["detail"]
        assert world.api.call("POST", f"/api/{path}", {"managementGroups": [THEIRS]}).status == 200


def test_a_scope_names_the_group_of_one_tenant_and_a_name_of_several_is_a_finding(world: World) -> None:
    def planned(scope: str, output: str = "json") -> str:
        files = {"soc.yaml": world.api.export("soc", scope=scope)}
        answer = world.api.call("POST", "/api/plan", {"files": files, "output": output, "full": True})
        assert answer.status == 200, answer.text
        return " ".join(answer.text.lower().replace("\\n", " ").split())

    text = planned(f"managementGroups: ['{THEIRS}']")
    assert all(one in text for one in world.theirs)
    assert not any(one in text for one in world.here)
    assert WRITE not in text
    assert f"soc: scope.managementgroups: {WRITE}" in planned(f"managementGroups: [{NAME}]", "text")
    left_out = f"managementGroups: [{HOME_TENANT}], exclude: {{managementGroups: ['{THEIRS}']}}"
    assert all(one in planned(left_out) for one in world.here)


def test_an_exception_by_a_name_of_several_tenants_covers_nothing_and_says_so(world: World) -> None:
    world.requirements(NAME, "contoso-sandbox")
    report = world.api.call("GET", "/api/evidence?limit=1000").json()
    assert not world.excepted() & (world.here | world.theirs)
    assert report["exceptions"][0]["covers"] == 0
    assert f"By this name an exception covers nothing: {WRITE}." in report["limits"]
    notes = {row["note"] for row in report["value"] if row["subscriptionId"].lower() in world.here}
    assert any(WRITE in note for note in notes)
    world.requirements(THEIRS.upper())
    assert world.excepted() == world.theirs
    world.requirements(HERE, "gone", "🚀", f"{NAME} ", f"{NAME}%2f")
    assert world.excepted() == world.here
    world.requirements(CUSTOMER_TENANT.upper())
    assert world.excepted() == world.theirs


def test_a_mute_by_a_name_of_several_tenants_mutes_nothing_and_says_so(world: World) -> None:
    assert world.mutes(NAME) == [f"m0: {WRITE}."]
    assert world.muted() == frozenset()
    assert world.api.call("GET", "/api/status").json()["muteTrouble"] == f"m0 mutes nothing: {WRITE}"
    assert world.mutes(THEIRS.upper()) == []
    assert world.muted() == world.theirs
    assert world.api.call("GET", "/api/status").json()["muteTrouble"] == ""
    odd = ("gone", f"{NAME} ", f"/{NAME}", f"{HERE}/", "🚀", "%2f")
    assert len(world.mutes(HERE, *odd)) == len(odd)  # a blank at the end is none of the name
    assert world.muted() == world.here
    world.api.without_mutes()


def test_ready_names_each_file_with_a_name_of_several_tenants(world: World) -> None:
    rule = f"{{send: [hook], managementGroups: [{NAME}]}}"
    notices = f"version: 1\nreceivers: [{{name: hook, channel: mail}}]\nrules: [{rule}]\n"
    assert world.api.call("PUT", "/api/notify", notices).status == 204
    world.requirements(NAME)
    world.mutes(NAME)
    warned = world.api.call("GET", "/api/ready").json()["warnings"]
    named = [each for each in warned if NAME in each]
    assert named == [f"{file}: {WRITE}" for file in ("mutes", "requirements", "notices")]
    assert world.api.call("PUT", "/api/notify", notices.replace(NAME, f"'{THEIRS}'")).status == 204
    world.requirements(THEIRS)
    world.mutes(HERE)
    assert NAME not in json.dumps(world.api.call("GET", "/api/ready").json()["warnings"])
    world.api.without_notify()
    world.api.without_mutes()


def test_notices_of_the_group_of_one_tenant_are_of_that_one(world: World) -> None:
    groups = {"here": HERE, "theirs": THEIRS.upper(), "both": NAME}
    receivers = "".join(f"  - {{name: {name}, channel: mail}}\n" for name in groups)
    lines = "".join(f"  - {{send: [{name}], managementGroups: ['{group}']}}\n" for name, group in groups.items())
    rules = read_rules(f"version: 1\nreceivers:\n{receivers}rules:\n{lines}")

    def event(**more: Any) -> Event:
        return Event("subscription-silent", "x", "x", "x", datetime.now(UTC), **more)

    async def told(services: Services) -> list[tuple[str, ...]]:
        events = [
            event(subscription=min(world.here)),
            event(subscription=min(world.theirs)),
            event(groups=(THEIRS,)),
            event(groups=(NAME,)),
        ]
        placed = await placing(services._tenant, ())(events)
        assert placed.known
        return [rules.told(each, AT_ONCE, placed=True) for each in placed.events]

    assert world.api._with_services(told) == [("here", "both"), ("theirs", "both"), ("theirs",), ("both",)]


def test_a_limited_reader_names_what_it_sees_and_is_told_of_no_other_tenant(world: World) -> None:
    assert ids(world.theirs_alone(f"coverage?managementGroup={NAME}")) == world.theirs
    world.requirements(NAME)
    world.mutes(NAME)
    report = world.theirs_alone("evidence?limit=1000")
    assert "excepted" not in {row["verdict"] for row in report["value"]}
    assert (report["exceptions"], report["mutes"]) == ([], [])
    assert HOME_TENANT not in json.dumps([report["value"], report["limits"], report["muteTrouble"]])
    status = world.theirs_alone("status?limit=1000")
    assert not any(row.get("subscriptionMuted") for row in status["value"])
    world.requirements(THEIRS, HERE)
    world.mutes(THEIRS, HERE)
    report = world.theirs_alone("evidence?limit=1000")
    assert {row["verdict"] for row in report["value"] if row["requirement"] == "cis-8.1.5.2"} == {"excepted"}
    assert [each["managementGroups"] for each in report["exceptions"]] == [[THEIRS]]
    assert [each["what"] for each in report["mutes"]] == [f"management group {THEIRS}"]
    assert HOME_TENANT not in json.dumps([report["value"], report["limits"], report["exceptions"], report["mutes"]])
    world.api.without_mutes()


def test_the_command_line_is_told_the_same(world: World, tmp_path: Path) -> None:
    world.api._with_services(lambda services: services.check_freshness())
    shell = Shell(tmp_path)
    shell(f"use {world.api.url}", DEFENDER_EXPORT_KEY=world.api.key)
    for command in ("coverage", "freshness", "evidence"):
        shell(f"{command} --management-group {NAME}", 1)
        assert WRITE in " ".join(shell.err.split()), command
    assert ids(shell.json(f"coverage --management-group {THEIRS}")) == world.theirs


def test_a_name_is_one_tenants_again_once_the_other_group_is_gone(world: World) -> None:
    moved = [world.api.azure.tenant.change_subscription(one, management_group="contoso-sandbox") for one in world.here]
    world.api.until(lambda: world.api.call("GET", f"/api/coverage?maxAge=0&managementGroup={NAME}").status == 200)
    assert world.shown("coverage", NAME) == world.theirs
    world.mutes(NAME)
    assert world.muted() == world.theirs
    for one in moved:
        world.api.azure.tenant.change_subscription(one.id, management_group=NAME)
    world.api.until(lambda: world.api.call("GET", f"/api/coverage?maxAge=0&managementGroup={NAME}").status == 400)
    assert world.muted() == frozenset()
    world.api.without_mutes()


def test_where_one_tenant_is_unread_a_name_alone_silences_nothing(world: World) -> None:
    graph = world.api.azure.arm.graph

    def part(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Without what is of this tenant's group, and with a row that comes twice: so the reading is incomplete."""
        left = [row for row in rows if str(row.get("subscriptionId", "")).lower() not in world.here]
        return [*left, *left[:1]]

    def muted() -> tuple[frozenset[str], str]:
        document = world.api.call("GET", "/api/status?limit=1000&maxAge=0").json()
        assert document["complete"] is (graph.alter is not part)
        rows = [row for row in document["value"] if row.get("subscriptionMuted")]
        return frozenset(row["subscriptionId"].lower() for row in rows), document["muteTrouble"]

    before, graph.alter = graph.alter, part
    try:
        world.mutes(NAME)
        held, trouble = muted()
        assert held == frozenset()
        assert trouble.startswith("m0 mutes nothing: not everything was read, so several tenants may have")
        world.mutes(THEIRS)
        assert muted() == (world.theirs, "")
    finally:
        graph.alter = before
    assert muted() == (world.theirs, "")
    world.api.without_mutes()
