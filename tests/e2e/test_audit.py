"""The audit trail over random deeds: one row for each that was done, by its key, and no other.

What was done is told by what the deeds were done to, never by the trail.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.async_api import async_playwright

from local.app import ROOT
from local.faults import Faults
from local.tenant import APP
from shared.audit.deed import ACCEPT, APPROVE, CLAIM, DELETE, DISCARD, LIFT, LOOK, MUTE, PUT, REQUIRE, digest
from shared.audit.trail import OPEN, Trail
from shared.azure.blob_container import StoreError
from shared.bootstrap import Services
from shared.exports.export_blobs import ExportNotFound
from shared.muting.stored_mutes import BLOB as MUTES_BLOB
from shared.watch.stored_requirements import BLOB
from tests.e2e.api import Answer, Api, Caller
from tests.e2e.browser import CHROMIUM, launch, visit
from tests.e2e.easy_auth import easy_auth
from tests.e2e.shell import Shell
from tests.e2e.test_api_entra import OBJECT_ID, principal
from tests.e2e.test_personas import RESOURCE

ROLES = ("Exports.Write", "Exports.Approve", "Records.Read")
NAMES = ("one", "two", "three")
KINDS = {PUT, DELETE, LOOK, DISCARD, LIFT, CLAIM, ACCEPT, APPROVE, REQUIRE, MUTE}
MANY = 100
MUTES = """version: 1
mutes:
- {{name: number-{number}, export: one, owner: Ann, reason: x, from: "2026-01-01T00:00Z", until: "2026-02-01T00:00Z"}}
"""
NOWHERE = "nowhere"
"""An export that selects no subscription: a run over it alone writes nothing."""
_ADDRESS = "203.0.113.7"
Row = tuple[str, str, str, str]
"""A deed's kind, target, digest before and after, as far as the world tells of them."""


@dataclass
class World:
    """Does deeds, and keeps what the world shows of them.

    A deed is done by a request, by a command to the app, or by a command on the storage itself (`direct`), whose
    process is killed amid some of them.
    """

    api: Api
    shell: Shell
    chance: random.Random
    done: Counter[Row] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)
    number: int = 0
    kills: int = 0
    kills_left: int = 0
    required: bytes | None = None
    muted: bytes | None = None

    def ask(self, method: str, path: str, body: Any = None, caller: Caller | None = None) -> Answer:
        return (caller or self.api).call(
            method, path, body, key=False, x_ms_client_principal=principal(*ROLES), x_forwarded_for=_ADDRESS
        )

    def stored(self, name: str) -> str | None:
        """A file as it is stored now."""

        async def read(services: Services) -> str | None:
            try:
                return (await services.exports.get(name)).text.decode()
            except ExportNotFound:
                return None

        found: str | None = self.api._with_services(read)
        return found

    def note(self, name: str, after: str | None) -> None:
        """Count a put or delete if the world shows it, and remember what is there."""
        before = self.files.get(name)
        if after == before:
            return
        kind = "PutExport" if after is not None else "DeleteExport"
        self.done[kind, name, digest(before), digest(after)] += 1
        if after is None:
            self.files.pop(name, None)
        else:
            self.files[name] = after

    # Each of these does one deed that is drawn.

    def put(self, caller: Caller | None = None, name: str = "") -> None:
        name = name or self.chance.choice(NAMES)
        self.number += 1
        text = f"{self.api.export(name)}description: number {self.number}\n"
        channel = self.channel(caller)
        if channel == "api":
            self.sent("PUT", f"/api/exports/{name}", text, caller)
        else:
            (self.shell.folder / f"{name}.yaml").write_text(text)
            self.run(["push", f"{name}.yaml"], channel)
        self.note(name, self.stored(name))

    def delete(self, caller: Caller | None = None) -> None:
        name, channel = self.chance.choice(NAMES), self.channel(caller)
        if channel == "api":
            self.sent("DELETE", f"/api/exports/{name}", None, caller)
        else:
            before = self.ended()
            self.run(["exports", "delete", name, "--yes"], channel, codes={0, 1})
            if name not in self.files:  # there was none: a terminal ends it, and its record says by which number
                self.done["EndExport", name, "", ""] += self.ended() != before
                return
        self.note(name, self.stored(name))

    def look(self, caller: Caller | None = None) -> None:
        name, _ = self.api.dead_letter()
        channel = self.channel(caller)
        if channel == "api":
            answer = self.ask("GET", f"/api/dead-letters/contents?name={quote(name)}")
            assert answer.status == 200, answer.text
        else:
            self.run(["dead-letters", "show", name], channel, kill=False)
        self.done["LookAtDeadLetter", name, "", ""] += 1

    def look_on_page(self, caller: Caller | None = None) -> None:
        self.api.dead_letter()
        name, shown = asyncio.run(looked_at(self.api.url))
        self.done["LookAtDeadLetter", name, "", ""] += shown

    def discard(self, caller: Caller | None = None) -> None:
        name, _ = self.api.dead_letter()
        before, channel = digest(self.letter(name)), self.channel(caller)
        if channel == "api":
            self.job(kind="discard", name=name)
        else:
            self.run(["dead-letters", "discard", name, "--yes"], channel)
        self.done["DiscardDeadLetter", name, before, ""] += self.letter(name) is None

    def letter(self, name: str) -> bytes | None:
        async def read(services: Services) -> bytes | None:
            try:
                return await services.pipeline.dead_letters.contents(name)
            except StoreError:
                return None

        found: bytes | None = self.api._with_services(read)
        return found

    def lift(self, caller: Caller | None = None) -> None:
        channel = self.channel(caller)
        if channel == "api":
            self.job(kind="reconcile", maxDeletes=50, exports=[NOWHERE])
        else:
            command = ["apply", "--max-deletes", "50", "--export", NOWHERE, "--yes"]
            self.run(command, channel, codes={0, 1}, kill=False)  # 1: something else is the matter with the run
        self.done["LiftGuard", self.newest(channel), "", ""] += 1

    def claim(self, caller: Caller | None = None) -> None:
        channel = self.channel(caller)
        if channel == "api":
            self.claim_by_job()
            return
        self.run(["claim", "--yes"], channel, kill=False)
        # There is nothing to take over, so a terminal takes nothing over: that is no deed, as a job is one.
        if channel != "direct":
            self.done["ClaimAutomations", self.newest(channel), "", ""] += 1

    def claim_by_job(self) -> None:
        self.job(kind="claim")
        self.done["ClaimAutomations", self.newest("api"), "", ""] += 1

    def accept(self, caller: Caller | None = None) -> None:
        channel = self.channel(caller)
        if channel == "api":
            self.job(kind="accept")
        else:
            self.run(["exports", "accept", "--yes"], channel, kill=False)
        target = "the store of export files" if channel == "direct" else self.newest(channel)
        self.done["AcceptStore", target, "", ""] += 1

    def approve(self, caller: Caller | None = None) -> None:
        if not self.files:
            self.put()
        run, channel = self.job(kind="plan")["result"], self.channel(caller)
        if channel == "api":
            approved = self.ask("POST", "/api/approvals", {"runId": run["runId"]}).status == 201
        else:
            approved = self.run(["approve", run["runId"]], channel, codes={0, 1}, kill=False) == 0
        self.done["ApprovePlan", run["fingerprint"], "", run["fingerprint"]] += approved

    def require(self, caller: Caller | None = None) -> None:
        self.number += 1
        text = f"version: 1\nrequirements: [{{name: number-{self.number}, kind: Alerts}}]\n"
        channel = self.channel(caller)
        if channel == "api":
            assert self.ask("PUT", "/api/requirements", text).status == 204
        else:
            (self.shell.folder / "requirements.yaml").write_text(text)
            self.run(["requirements", "put", "requirements.yaml"], channel)
        before, after = self.required, self.requirements()
        if after != before:
            self.done["PutRequirements", BLOB, digest(before), digest(after)] += 1
            self.required = after

    def requirements(self) -> bytes | None:
        found: bytes | None = self.api._with_services(lambda services: services.requirements.text())
        return found

    def mute(self, caller: Caller | None = None) -> None:
        self.number += 1
        text = MUTES.format(number=self.number)
        channel = self.channel(caller)
        if channel == "api":
            assert self.ask("PUT", "/api/mutes", text).status == 200
        else:
            (self.shell.folder / "mutes.yaml").write_text(text)
            self.run(["mutes", "put", "mutes.yaml"], channel)
        before, after = self.muted, self.mutes()
        if after != before:
            self.done["PutMutes", MUTES_BLOB, digest(before), digest(after)] += 1
            self.muted = after

    def mutes(self) -> bytes | None:
        found: bytes | None = self.api._with_services(lambda services: services.mutes.text())
        return found

    def refused(self, caller: Caller | None = None) -> None:
        """What is refused is no deed."""
        assert self.ask("PUT", "/api/exports/one", "version: 1\nname: other\n").status == 422
        assert self.ask("DELETE", "/api/exports/one?dryRun=true").status == 204
        assert self.ask("POST", "/api/approvals", {"runId": "20260101T000000000000Z-00000000"}).status == 404

    # How they are done.

    def channel(self, caller: Caller | None) -> str:
        return "api" if caller else self.chance.choice(("api", "app", "direct"))

    def job(self, **asked: Any) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("POST", "/api/jobs?wait=60", asked).json()
        assert job["state"] == "succeeded", job
        return job

    def newest(self, channel: str) -> str:
        """The newest run of a terminal, or the newest job, as deeds name them."""
        if channel == "direct":
            return f"run {self.ask('GET', '/api/runs?limit=1').json()['value'][0]['runId']}"
        return f"job {self.ask('GET', '/api/jobs?limit=1').json()['value'][0]['id']}"

    def sent(self, method: str, path: str, body: Any, caller: Caller | None) -> None:
        """A request whose app is killed meanwhile, where it is to another than the first."""
        if caller is None:
            assert self.ask(method, path, body).status in {200, 201, 204}
            return
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.ask, method, path, body, caller)
            wait = self.chance.uniform(0.0, 0.08)
            self.api.on_loop(lambda: asyncio.sleep(wait))
            self.api.on_loop(caller.app.kill)
            with contextlib.suppress(OSError, http.client.HTTPException):  # its app was killed
                asked.result()
        self.kills += 1

    def run(self, command: list[str], channel: str, *, codes: Collection[int] = (0,), kill: bool = True) -> int:
        """A command in this process, or directly in one of its own that is killed amid it."""
        if channel == "direct":
            command = [*command, "--direct"]
            if kill and self.kills_left > 0 and self.chance.random() < 0.6:
                return self.killed(command)
        code = self.shell.ended(shlex.join(command))
        assert code in codes, self.shell.err
        return code

    def killed(self, command: list[str]) -> int:
        self.kills_left -= 1
        self.kills += 1
        at = f"{self.chance.randrange(3, 12)}:{self.chance.choice(('before', 'after'))}"
        environment = self.shell.environment | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        code = subprocess.run(
            [sys.executable, "-m", "tests.e2e.audit_deeds", json.dumps(command), at],
            cwd=self.shell.folder, env=environment, capture_output=True, check=False, timeout=60,
        ).returncode  # fmt: skip
        assert code in {-signal.SIGKILL, 0, 1}
        return code

    def ended(self) -> dict[str, bytes]:
        """The records of deleted and ended exports."""

        async def read(services: Services) -> dict[str, bytes]:
            container = services.clients.blobs.get_container_client("export-configs")
            names = [name async for name in container.list_blob_names(name_starts_with="deleted/")]
            return {name: await (await container.download_blob(name)).readall() for name in names}

        found: dict[str, bytes] = self.api._with_services(read)
        return found


async def looked_at(url: str) -> tuple[str, bool]:
    """The dead letter at which a person looks on the page, and whether it is shown."""
    as_person = {"x-ms-client-principal": principal(*ROLES), "x-forwarded-for": _ADDRESS}
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        context = await browser.new_context(extra_http_headers=as_person)
        page = await (await visit(context, f"{url}/api/operations")).open()
        async with page.expect_response("**/api/dead-letters/contents*") as asked:
            await page.get_by_role("button", name="Look at one").first.click()
        answer = await asked.value
        found = bool((await answer.json())["value"])
        await browser.close()
    return parse_qs(urlsplit(answer.url).query)["name"][0], found


def send(api: Api) -> None:
    """What the timer does, where no deed is under way any more."""

    async def do(services: Services) -> None:
        container = services.clients.blobs.get_container_client(services.settings.exports_container)
        services.__dict__["trail"] = Trail(container, services._witness, settle_after=timedelta(seconds=-60))
        await services.send_audit()

    api._with_services(do)


def rows(api: Api) -> list[dict[str, Any]]:
    """The table's rows, one by key; rows of one key must tell the same."""
    columns = ("DeedId", "Deed", "Target", "DigestBefore", "DigestAfter", "Outcome", "Actor", "Channel", "Address")
    found = api.on_loop(
        lambda: api.azure.workspace.sql(f"SELECT DISTINCT {', '.join(columns)} FROM DefenderExportAudit_CL")
    ).rows
    by_key = {row[0]: dict(zip(columns, row, strict=True)) for row in found}
    assert len(by_key) == len(found), "rows of one key differ"
    return [*by_key.values()]


@pytest.fixture
def world(entra_api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    azure = entra_api.azure
    monkeypatch.delenv("AUTH_MODE", raising=False)
    with easy_auth(entra_api.url, azure.tokens, RESOURCE, ROLES) as front:
        signed_in = azure.identity.environment(APP.app_id) | azure.certificates.environment()
        shell = Shell(tmp_path, azure.app_settings() | signed_in)
        shell(f"use {front} --resource {RESOURCE}")
        yield World(entra_api, shell, random.Random(31))
    azure.ingestion.faults.clear()


@pytest.fixture
def nowhere(world: World) -> Iterator[None]:
    """`NOWHERE` as a stored export."""
    scope = f"managementGroups: [{world.api.azure.tenant.home}], tags: {{nobody: has-this}}"
    assert world.ask("PUT", f"/api/exports/{NOWHERE}", world.api.export(NOWHERE, scope=scope)).status == 201
    yield
    world.ask("DELETE", f"/api/exports/{NOWHERE}")


EACH = (
    World.put, World.delete, World.look, World.discard, World.lift, World.claim, World.accept, World.approve,
    World.require, World.mute, World.refused,
)  # fmt: skip
SOME = (World.put,) * 6 + (World.delete,) * 3 + EACH


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("deeds", "kills", "app_kills"),
    [(12, 1, 0), pytest.param(200, 3, 2, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])],
)
def test_each_deed_has_one_row_and_nothing_else_has(world: World, deeds: int, kills: int, app_kills: int) -> None:
    api, chance = world.api, world.chance
    send(api)
    known = {row["DeedId"] for row in rows(api)}
    world.required = world.requirements()
    world.muted = world.mutes()
    world.kills_left = kills
    killed_at = set(chance.sample(range(deeds), app_kills))
    drawn: list[Callable[..., None]] = [*EACH, *(chance.choice(SOME) for _ in range(deeds - len(EACH)))]
    if CHROMIUM and deeds > MANY:  # to start a browser takes longer than all deeds of the short form
        drawn[-2:] = [World.look_on_page] * 2
    chance.shuffle(drawn)
    faults: Faults = api.azure.ingestion.faults
    for number, deed in enumerate(drawn):
        if number == deeds // 4:
            faults.add("error", status=404)  # the workspace is away for half of them
        if number == deeds * 3 // 4:
            send_while_away(api)
            faults.clear()
        if number in killed_at:
            with api.beside(f"victim-{number}") as victim:
                chance.choice((World.put, World.delete))(world, victim)
        else:
            deed(world)
        if number % 25 == 24 and not deeds // 4 <= number < deeds * 3 // 4:
            send(api)
    while world.kills_left > 0:
        world.number += 1
        (world.shell.folder / "one.yaml").write_text(f"{api.export('one')}description: number {world.number}\n")
        world.killed(["push", "one.yaml", "--direct"])
        world.note("one", world.stored("one"))
    for deed in (World.put, World.discard, World.require, World.mute):  # once more: the one so far may have been killed
        deed(world)
    world.claim_by_job()  # the one so far may have been a terminal's
    for name in [*world.files]:
        world.sent("DELETE", f"/api/exports/{name}", None, None)
        world.note(name, None)
    send(api)
    found = [row for row in rows(api) if row["DeedId"] not in known]
    told = Counter((row["Deed"], row["Target"], row["DigestBefore"], row["DigestAfter"]) for row in found)
    assert told == +world.done
    assert {kind for kind, *_ in told} >= KINDS
    assert world.kills == kills + app_kills
    by_request = {row["Actor"] for row in found if row["Address"] == _ADDRESS}
    by_command = {row["Actor"] for row in found if row["Channel"] == "api" and row["Address"] != _ADDRESS}
    assert (by_request, by_command) == ({f"entra:{OBJECT_ID}"}, {f"entra:{APP.object_id}"})
    assert {row["Channel"] for row in found} == {"api", "direct"}
    assert all(row["Actor"] for row in found)
    unknown = [row["Deed"] for row in found if row["Outcome"] != "Done"]
    assert len(unknown) <= world.kills
    assert noted(api, OPEN) == []


def send_while_away(api: Api) -> None:
    """A sending that reaches nobody leaves every note."""
    before = noted(api, OPEN)
    send(api)
    assert set(noted(api, OPEN)) <= set(before)
    assert noted(api, OPEN)


def noted(api: Api, prefix: str) -> list[str]:
    async def read(services: Services) -> list[str]:
        container = services.clients.blobs.get_container_client("export-configs")
        return [name async for name in container.list_blob_names(name_starts_with=prefix)]

    found: list[str] = api._with_services(read)
    return found
