"""The audit trail over random deeds: one row for each that was done, by its key, and no other.

What was done is told by what the deeds were done to, never by the trail.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from local.app import ROOT
from local.faults import Faults
from shared.audit.deed import digest
from shared.audit.trail import OPEN, SENT, Trail
from shared.bootstrap import Services
from tests.e2e.api import Answer, Api, Caller
from tests.e2e.shell import Shell
from tests.e2e.test_api_entra import OBJECT_ID, principal

ROLES = ("Exports.Write", "Exports.Approve", "Records.Read")
NAMES = ("one", "two", "three")
_ADDRESS = "203.0.113.7"
Row = tuple[str, str, str, str]
"""A deed's kind, target, digest before and after, as far as the world tells of them."""


@dataclass
class World:
    """Does deeds, and keeps what the world shows of them."""

    api: Api
    shell: Shell
    chance: random.Random
    done: Counter[Row] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)
    number: int = 0
    kills: int = 0

    def ask(self, method: str, path: str, body: Any = None, caller: Caller | None = None) -> Answer:
        return (caller or self.api).call(
            method, path, body, key=False, x_ms_client_principal=principal(*ROLES), x_forwarded_for=_ADDRESS
        )

    def text(self, name: str) -> str:
        self.number += 1
        return self.api.export(name) + f"description: number {self.number}\n"

    def stored(self, name: str) -> str | None:
        """A file as it is stored now."""

        async def read(services: Services) -> str | None:
            from shared.exports.export_blobs import ExportNotFound

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

    def put(self, caller: Caller | None = None) -> None:
        name = self.chance.choice(NAMES)
        text = self.text(name)
        if self.direct(caller):
            (self.shell.folder / f"{name}.yaml").write_text(text)
            self.run(["push", f"{name}.yaml", "--direct"])
        else:
            self.sent("PUT", f"/api/exports/{name}", text, caller)
        self.note(name, self.stored(name))

    def delete(self, caller: Caller | None = None) -> None:
        name = self.chance.choice(NAMES)
        if self.direct(caller):
            self.run(["exports", "delete", name, "--yes", "--direct"], codes={0, 1})
            if name not in self.files:  # there was none, so it is ended: its record says by which number
                self.done["EndExport", name, "", ""] += self.last_ended
                return
        else:
            self.sent("DELETE", f"/api/exports/{name}", None, caller)
        self.note(name, self.stored(name))

    def look(self, caller: Caller | None = None) -> None:
        name, _ = self.api.dead_letter()
        if self.direct(None):
            self.run(["dead-letters", "show", name, "--direct"], kill=False)
        else:
            answer = self.ask("GET", f"/api/dead-letters/contents?name={quote(name)}")
            assert answer.status == 200, answer.text
        self.done["LookAtDeadLetter", name, "", ""] += 1

    def discard(self, caller: Caller | None = None) -> None:
        name, _ = self.api.dead_letter()
        before = digest(self.letter(name))
        if self.direct(None):
            self.run(["dead-letters", "discard", name, "--yes", "--direct"])
        else:
            job = self.ask("POST", "/api/jobs?wait=60", {"kind": "discard", "name": name})
            assert job.json()["state"] == "succeeded", job.text
        self.done["DiscardDeadLetter", name, before, ""] += self.letter(name) is None

    def letter(self, name: str) -> bytes | None:
        async def read(services: Services) -> bytes | None:
            from shared.azure.blob_container import StoreError

            try:
                return await services.pipeline.dead_letters.contents(name)
            except StoreError:
                return None

        found: bytes | None = self.api._with_services(read)
        return found

    def lift(self, caller: Caller | None = None) -> None:
        job = self.ask("POST", "/api/jobs", {"kind": "reconcile", "maxDeletes": 50, "exports": ["none-such"]})
        if job.status in {200, 202}:
            self.done["LiftGuard", f"job {job.json()['id']}", "", ""] += 1

    def accept(self, caller: Caller | None = None) -> None:
        if self.direct(None):
            self.run(["exports", "accept", "--yes", "--direct"], kill=False)
            self.done["AcceptStore", "the store of export files", "", ""] += 1
        else:
            job = self.ask("POST", "/api/jobs?wait=60", {"kind": "accept"}).json()
            self.done["AcceptStore", f"job {job['id']}", "", ""] += 1

    def approve(self, caller: Caller | None = None) -> None:
        run = self.ask("POST", "/api/jobs?wait=60", {"kind": "plan"}).json()["result"]
        if not run["fingerprint"]:
            return
        if self.direct(None):
            said = self.run(["approve", run["runId"], "--direct"], codes={0, 1}, kill=False)
            approved = said == 0
        else:
            approved = self.ask("POST", "/api/approvals", {"runId": run["runId"]}).status == 201
        self.done["ApprovePlan", run["fingerprint"], "", run["fingerprint"]] += approved

    def refused(self, caller: Caller | None = None) -> None:
        """What is refused is no deed."""
        assert self.ask("PUT", "/api/exports/one", "version: 1\nname: other\n").status == 422
        assert self.ask("DELETE", "/api/exports/one?dryRun=true").status == 204
        assert self.ask("POST", "/api/approvals", {"runId": "20260101T000000000000Z-00000000"}).status == 404

    def direct(self, caller: Caller | None) -> bool:
        return caller is None and self.chance.random() < 0.5

    def sent(self, method: str, path: str, body: Any, caller: Caller | None) -> None:
        """A request whose app may be killed meanwhile."""
        if caller is None:
            assert self.ask(method, path, body).status in {200, 201, 204}
            return
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.ask, method, path, body, caller)
            wait = self.chance.uniform(0.0, 0.08)
            self.api.on_loop(lambda: asyncio.sleep(wait))
            self.api.on_loop(caller.app.kill)
            try:
                asked.result()
            except (OSError, ConnectionError, Exception):  # noqa: BLE001 # it was killed
                pass
        self.kills += 1

    last_ended = 0

    def run(self, command: list[str], *, codes: set[int] | None = None, kill: bool = True) -> int:
        """A command in the terminal's process, or in one of its own that is killed amid it."""
        ended = self.tombstones()
        if kill and self.kills_left > 0 and self.chance.random() < 0.6:
            self.kills_left -= 1
            self.kills += 1
            at = f"{self.chance.randrange(3, 12)}:{self.chance.choice(('before', 'after'))}"
            environment = self.shell._environment | {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
            process = subprocess.run(
                [sys.executable, "-m", "tests.e2e.audit_deeds", json.dumps(command), at],
                cwd=self.shell.folder, env=environment, capture_output=True, check=False, timeout=60,
            )  # fmt: skip
            code = process.returncode
            assert code in {-9, 0, 1}, process.stderr
        else:
            code = self.command(command)
            assert code in (codes or {0}), self.shell.err
        self.last_ended = self.tombstones() != ended
        return code

    def command(self, command: list[str]) -> int:
        import shlex

        for code in (0, 1):
            try:
                self.shell(shlex.join(command), code)
            except AssertionError:
                if code == 1:
                    raise
                continue
            return code
        raise AssertionError(command)

    def tombstones(self) -> dict[str, bytes]:
        async def read(services: Services) -> dict[str, bytes]:
            container = services.clients.blobs.get_container_client("export-configs")
            names = [name async for name in container.list_blob_names(name_starts_with="deleted/")]
            return {name: await (await container.download_blob(name)).readall() for name in names}

        found: dict[str, bytes] = self.api._with_services(read)
        return found

    kills_left = 0


def send(api: Api) -> None:
    """What the timer does, where no deed is under way any more."""

    async def do(services: Services) -> None:
        container = services.clients.blobs.get_container_client(services.settings.reports_container)
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
    monkeypatch.delenv("AUTH_MODE", raising=False)
    yield World(entra_api, Shell(tmp_path, entra_api.azure.app_settings() | _trust()), random.Random(31))
    entra_api.azure.ingestion.faults.clear()


def _trust() -> dict[str, str]:
    import os

    return {name: os.environ[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") if name in os.environ}


SOME = (World.put,) * 6 + (World.delete,) * 3 + (World.look, World.discard, World.lift, World.refused)
EACH = (World.put, World.delete, World.look, World.discard, World.lift, World.accept, World.approve, World.refused)


@pytest.mark.parametrize(
    ("deeds", "kills", "app_kills"),
    [(20, 2, 0), pytest.param(200, 4, 3, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])],
)
def test_each_deed_has_one_row_and_nothing_else_has(world: World, deeds: int, kills: int, app_kills: int) -> None:
    api = world.api
    send(api)
    known = {row["DeedId"] for row in rows(api)}
    world.kills_left = kills
    killed_at = set(world.chance.sample(range(deeds), app_kills))
    drawn: list[Callable[..., None]] = [*EACH, *(world.chance.choice(SOME) for _ in range(deeds - len(EACH)))]
    world.chance.shuffle(drawn)
    faults: Faults = api.azure.ingestion.faults
    for number, deed in enumerate(drawn):
        if number == deeds // 4:
            faults.add("error", status=404)  # the workspace is away for half of them
        if number == deeds * 3 // 4:
            send_while_away(api)
            faults.clear()
        if number in killed_at:
            with api.beside(f"victim-{number}") as victim:
                world.chance.choice((World.put, World.delete))(world, victim)
        else:
            deed(world)
        if number % 25 == 24 and not deeds // 4 <= number < deeds * 3 // 4:
            send(api)
    for name in NAMES:
        if name in world.files:
            world.sent("DELETE", f"/api/exports/{name}", None, None)
            world.note(name, None)
    send(api)
    found = [row for row in rows(api) if row["DeedId"] not in known]
    told = Counter((row["Deed"], row["Target"], row["DigestBefore"], row["DigestAfter"]) for row in found)
    assert told == +world.done
    assert world.kills >= min(2, kills + app_kills)
    assert {row["Actor"] for row in found if row["Channel"] == "api"} == {f"entra:{OBJECT_ID}"}
    assert {row["Address"] for row in found if row["Channel"] == "api"} == {_ADDRESS}
    assert {row["Channel"] for row in found} == {"api", "direct"}
    unknown = [row["Deed"] for row in found if row["Outcome"] != "Done"]
    assert len(unknown) <= world.kills
    assert noted(api, OPEN) == []


def send_while_away(api: Api) -> None:
    """A sending that reaches nobody leaves every note."""
    before = noted(api, OPEN)
    send(api)
    assert set(noted(api, OPEN)) <= set(before)
    assert noted(api, OPEN)


def noted(api: Api, prefix: str = SENT) -> list[str]:
    async def read(services: Services) -> list[str]:
        container = services.clients.blobs.get_container_client("run-reports")
        return [name async for name in container.list_blob_names(name_starts_with=prefix)]

    found: list[str] = api._with_services(read)
    return found
