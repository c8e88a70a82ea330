"""What ended, over the wire: a tenant whose clock is moved, its records in the tables, and Resource Graph."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import os
import random
import re
import sys
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from local.arm import TABLES
from local.arm.calls import Call, Operations, Reply
from local.arm.graph import ResourceGraph
from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import APP, synthetic_tenant
from local.tenant.roles import custom_role
from local.tenant.security import ASSESSMENTS, ATTACK_PATHS, SUB_ASSESSMENTS, SecurityData
from shared.azure.resource_graph import Graph
from shared.azure.role_permissions import OwnPermissions
from shared.bootstrap import Services
from shared.enrich.records.model import Event
from shared.lifecycle.closing_guard import ALWAYS
from shared.lifecycle.gone_check import LATEST, GoneCheck
from shared.lifecycle.gone_pass import Pass
from shared.lifecycle.open_in_tables import OpenInTables
from shared.lifecycle.present_ids import PresentIds
from shared.settings import Settings
from shared.stored_format import KeptAsIs
from shared.watch.present_records import as_exported
from shared.web.health_check import unseen_cves

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = timedelta(days=1)
HALF = 0.5
Record = dict[str, Any]


WORKER = """
import asyncio
from datetime import UTC, datetime
from shared.bootstrap import services

async def work():
    check, ticks = services().gone, 1
    state = await check.begin(datetime.now(UTC))
    while state.ended is None:
        state, ticks = await check.tick(datetime.now(UTC)) or state, ticks + 1
    requests = check._tables.requests, check._present.graph.requests
    await services().close()
    return state, ticks, requests

state, ticks, requests = asyncio.run(work())
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(state.seen, state.concluded.get("Missing", 0), state.left_out, ticks, *requests, peak)
"""


class ManyIds(ResourceGraph):
    """Resource Graph with as many records of one subscription as are asked for, but for every thousandth."""

    def __init__(self, azure: LocalAzure, records: int) -> None:
        super().__init__(azure.tenant, azure.arm.now)
        self.parts: dict[str, list[str]] = {}
        for number in range(records):
            if number % 1_000:
                name = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
                self.parts.setdefault(name[:2], []).append(name)

    def query(self, call: Call) -> Reply:
        body = call.document()
        if "attackPathId" not in str(body.get("query")):
            return super().query(call)
        asked = re.search(r"== '([0-9a-f]*)'", body["query"])
        assert asked is not None
        names = self.parts.get(asked[1], [])
        options = body["options"]
        start = int(options.get("$skipToken") or 0)
        page = names[start : start + options["$top"]]
        rows = [{"id": f"/s/{name}", "name": name, "type": ASSESSMENTS, "own": "", "other": ""} for name in page]
        answer = {"totalRecords": len(names), "data": rows}
        if start + len(page) < len(names):
            answer["$skipToken"] = str(start + len(page))
        return Reply(200, json.dumps(answer).encode(), {})


class Life:
    """A tenant's records: what is there, what was exported, and the time, in days after the start."""

    def __init__(self, azure: LocalAzure, services: Services) -> None:
        self.azure = azure
        self.services = services
        assert isinstance(azure.tenant.security_records, SecurityData)
        self.security = azure.tenant.security_records
        self.start = datetime.now(UTC)
        self.day = 0.0
        self.there: dict[str, Record] = {}
        mine = [one for one in azure.tenant.subscriptions.values() if one.tenant_id == azure.tenant.home]
        self.subscriptions = sorted(one.id for one in mine if one.state == "Enabled")
        for one in mine:
            for kind in (ASSESSMENTS, SUB_ASSESSMENTS, ATTACK_PATHS):
                self.security.remove(one.id, kind)
        azure.ingestion._now = lambda: self.now

    @property
    def now(self) -> datetime:
        return self.start + self.day * DAY

    def check(self, *, seconds: float = 60, percent: float = 20) -> GoneCheck:
        clients, settings = self.services.clients, self.services.settings
        return GoneCheck(
            OpenInTables(clients.logs_query, settings.workspace_id),
            PresentIds(Graph(clients), OwnPermissions(clients)),
            clients.blobs.get_container_client(settings.reports_container),
            self.services.pipeline.sink,
            instance_id="local",
            every=timedelta(hours=12),
            most_percent=percent,
            seconds=seconds,
        )

    async def compare(self, day: float, **how: Any) -> Pass:
        """A whole pass on a day."""
        self.day = day
        check = self.check(**how)
        state = await check.begin(self.now)
        while state.ended is None:
            state = await check.tick(self.now) or state
        return state

    async def appear(self, day: float, *rows: Record, exported: bool = True) -> None:
        """Records come to be, in Resource Graph and as exported events."""
        self.day = day
        for row in rows:
            self.security.add(row["subscriptionId"], row)
            self.there[row["id"].lower()] = row
        if exported:
            await self.export(day, rows)

    async def export(self, day: float, rows: Iterable[Record]) -> None:
        self.day = day
        mark = {"securityEventDataEnrichment": {"action": "Insert", "isSnapshot": False}}
        events = [
            Event(json.dumps({**as_exported(row), **mark}).encode(), self.now, "0", int(day * 1000) + index)
            for index, row in enumerate(rows)
        ]
        await self.services.pipeline.run(events)

    def vanish(self, rows: Iterable[Record]) -> None:
        for row in list(rows):
            self.security.take_away(row["subscriptionId"], row["id"])
            self.there.pop(row["id"].lower(), None)

    def package(self, subscription: str, day: float, machine: str = "vm1") -> Record:
        """A package to update, as of a day; `machine` names where."""
        since = (self.start + day * DAY).isoformat()
        own = uuid.uuid4()
        target = (
            f"/subscriptions/{subscription}/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/{machine}"
        )
        return row(subscription, f"{target}/providers/Microsoft.Security/assessments/{own}", ASSESSMENTS, {
            "displayName": "Update openssl",
            "resourceDetails": {"Source": "Azure", "Id": target, "ResourceName": machine},
            "status": {"code": "Unhealthy", "statusChangeDate": since},
            "metadata": {"assessmentType": "DynamicBuiltIn", "severity": "High",
                         "recommendationCategory": "SoftwareUpdate"},
        })  # fmt: skip

    def packages(self, count: int, day: float = 0, subscription: int = 0) -> list[Record]:
        return [self.package(self.subscriptions[subscription], day) for _ in range(count)]

    def finding(self, subscription: str) -> Record:
        parent = (
            f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/old"
            "/providers/Microsoft.Security/assessments/1195afff-c881-495e-9bc5-1486211ae03f"
        )
        return row(subscription, f"{parent}/subAssessments/{uuid.uuid4()}", SUB_ASSESSMENTS, {
            "id": "CVE-2026-1", "displayName": "a finding", "status": {"code": "Unhealthy", "severity": "High"},
            "timeGenerated": self.start.isoformat(), "resourceDetails": {"source": "Azure", "id": parent},
        })  # fmt: skip

    def path(self, subscription: str) -> Record:
        name = str(uuid.uuid4())
        place = f"/subscriptions/{subscription}/providers/Microsoft.Security/attackPaths/{name}"
        return row(subscription, place, ATTACK_PATHS, {
            "displayName": "Internet exposed VM", "attackPathID": name, "riskLevel": "High",
        })  # fmt: skip

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return (await self.azure.workspace.kql(query)).rows

    async def open_now(self) -> set[str]:
        found = await self.rows("DefenderRecords_Open() | project RecordId")
        assert len(found) == len(set(found))
        return {each for (each,) in found}

    async def said(self) -> dict[str, list[str]]:
        """What was concluded of each record, in its order."""
        found: dict[str, list[str]] = {}
        asked = "DefenderGone_CL | order by TimeGenerated asc | project RecordId, Action"
        for record_id, action in await self.rows(asked):
            found.setdefault(record_id, []).append(action)
        return found

    def ids(self, rows: Iterable[Record]) -> set[str]:
        """The ids of records as the tables have them."""
        return {
            each["name"].lower() if each["type"] == ATTACK_PATHS else each["id"].lower() for each in rows
        }  # an attack path's own id

    @property
    def truth(self) -> set[str]:
        return self.ids(self.there.values())


def row(subscription: str, id_: str, kind: str, properties: Record) -> Record:
    return {
        "id": id_, "name": id_.rsplit("/", 1)[-1], "type": kind, "tenantId": "", "kind": "", "location": "",
        "resourceGroup": "rg", "subscriptionId": subscription, "tags": None, "properties": properties,
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_azure(
    tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates
) -> AsyncIterator[LocalAzure]:
    tenant = synthetic_tenant(3, 6, untidy=False)
    parts, folder = ("azurite", "arm", "ingestion"), tmp_path_factory.mktemp("azure")
    async with LocalAzure(folder, parts=parts, tenant=tenant, certificates=local_certs) as azure:
        azure.arm.throttling = False  # waiting for a quota is another test's matter
        yield azure


@pytest_asyncio.fixture(loop_scope="module")
async def life(shared_azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    """A tenant without a record, its tables empty, its roles as they were."""
    azure, assignments = shared_azure, copy.copy(shared_azure.tenant.assignments)
    for name, value in azure.app_settings().items():
        monkeypatch.setenv(name, value)
    for table in azure.workspace.tables:
        await azure.workspace.sql(f'DELETE FROM "{table}"')
    services = Services(Settings.load())
    yield Life(azure, services)
    await services.close()
    azure.tenant.assignments = assignments
    azure.tenant.cve_details = []
    azure.arm._operations = Operations(*TABLES, azure.arm.graph.operations)


@pytest.mark.parametrize("whole_story", [False, pytest.param(True, marks=pytest.mark.soak)])
async def test_what_is_fixed_ends_after_two_complete_answers_and_what_comes_back_is_open(
    life: Life, monkeypatch: pytest.MonkeyPatch, whole_story: bool
) -> None:
    first, second, *_ = life.subscriptions
    kept, fixed, machine = life.packages(6), life.packages(3), [life.package(second, 0, "vm9") for _ in range(4)]
    old, paths = [life.finding(first) for _ in range(30)], [life.path(first), life.path(second)]
    await life.appear(0.1, *kept, *fixed, *machine, *old, *paths)
    life.vanish([*fixed, *machine, *old, paths[0]])
    away = life.ids([*fixed, *machine, *old, paths[0]])
    # Answers that are not whole say nothing, however often.
    life.azure.arm.graph.subscription_limit = 0
    assert (await life.compare(2)).left_out > 0
    life.azure.arm.graph.subscription_limit = 10_000
    life.azure.logs_query.limits.rows = 5
    assert any("not known" in why for why in (await life.compare(4)).reasons)
    life.azure.logs_query.limits.rows = 500_000
    assert await life.said() == {}

    noted = await life.compare(5)
    assert noted.concluded == {"Missing": len(away)}
    assert await life.open_now() == life.truth | away, "once is not enough"
    if whole_story:
        monkeypatch.setattr("shared.lifecycle.slices.MOST_RECORDS", 4)  # the same in many small parts
    done = await life.compare(5.5)
    assert done.concluded == {"Gone": len(away) - len(old), "Retired": len(old)}, "what was retired is not called fixed"
    assert await life.open_now() == life.truth
    ended = await life.rows(
        "DefenderRecords_Ended() | where EndedAs == 'Gone' and RecordKind == 'Assessment'"
        " | summarize Rows = count(), Days = max(abs(DaysOpen - 5.0)), Severity = min(RecommendationSeverity)"
    )
    assert ended == [(7, 0.0, "High")], "since the state changed until the first answer without it"
    await life.appear(6.2, fixed[0])  # by an export
    await life.appear(6.2, fixed[1], exported=False)  # and without one
    again = await life.compare(7)
    assert again.concluded == {"Back": 1}
    assert await life.open_now() == life.truth
    if not whole_story:
        return
    life.vanish(fixed[:2])
    await life.compare(8)
    await life.compare(8.5)
    assert await life.open_now() == life.truth
    said = await life.said()
    assert said[fixed[0]["id"].lower()] == ["Missing", "Gone", "Missing", "Gone"]
    assert said[fixed[1]["id"].lower()] == ["Missing", "Gone", "Back", "Missing", "Gone"]
    assert said[fixed[2]["id"].lower()] == ["Missing", "Gone"]
    assert not {record for record in said if record in life.truth}


async def test_where_a_right_was_lost_nothing_ends_and_the_place_is_named(life: Life) -> None:
    first, second, *_ = life.subscriptions
    here, there = life.packages(3), [life.package(second, 0) for _ in range(3)]
    await life.appear(0.1, *here, *there)
    life.azure.tenant.revoke(APP)
    reads = custom_role("Reads", "Microsoft.Security/*/read", "Microsoft.Resources/subscriptions/read",
                        "Microsoft.Authorization/*/read")  # fmt: skip
    life.azure.tenant.assign(APP, f"/subscriptions/{first}", reads)
    one_group = f"/subscriptions/{second}/resourceGroups/other"
    life.azure.tenant.assign(APP, one_group, reads)
    life.vanish(here[:1])
    told = await life.compare(1)
    assert told.concluded == {"Missing": 1}, "the other subscription is its own"
    assert any(second in why for why in told.reasons)
    assert set(await life.said()) == life.ids(here[:1])


@pytest.mark.soak
async def test_too_much_at_once_is_held_back_until_somebody_lets_it_through(life: Life) -> None:
    many = life.packages(ALWAYS + 5)
    await life.appear(0.1, *many, *life.packages(10))
    life.vanish(many)
    await life.compare(1)
    held = await life.compare(2)
    assert held.concluded == {}
    (verdict, reason) = (
        await life.rows(
            "DefenderExportHealth_CL | where CheckName == 'gone' | top 1 by TimeGenerated | project Verdict, Reason"
        )
    )[0]
    assert (verdict, reason) == ("held back", held.told()["heldBack"][0])
    assert "30 of 40 open records" in held.told()["heldBack"][0]
    assert len(await life.open_now()) == 40
    let_through = await life.check().begin(life.now, 100)
    assert let_through.concluded == {"Gone": 30}
    assert await life.open_now() == life.truth


@pytest.mark.soak
async def test_a_pass_goes_on_where_a_tick_stopped_and_a_newer_releases_pass_is_left_alone(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.lifecycle.slices.MOST_RECORDS", 4)
    gone = life.packages(12)
    await life.appear(0.1, *gone, *life.packages(3, subscription=1))
    life.vanish(gone)
    await life.compare(1)

    life.day = 2
    kept = life.services.clients.blobs.get_container_client(life.services.settings.reports_container)
    begun = await life.check(percent=100)._begun(life.now, 100, life.check()._deadline())
    assert len(begun.left) == 18
    short = life.check(seconds=2, percent=100)
    ticks = 0
    state: Pass | None = begun
    while state is not None and state.ended is None:
        state = await short.tick(life.now)
        assert state is not None
        ticks += 1
        assert ticks < 100
    assert ticks > 1, "and a slice that does not fit into a tick is made smaller"
    assert state is not None
    assert state.concluded == {"Gone": 12}
    assert await life.open_now() == life.truth
    assert await life.check().tick(life.now) is None, "the next is not due"
    await kept.upload_blob(LATEST, json.dumps({"format": 99, "release": "9.9"}), overwrite=True)
    with pytest.raises(KeptAsIs, match="format 99"):
        await life.check().tick(life.now)


async def test_details_of_cves_are_read_where_they_may_be_and_otherwise_it_is_said_once(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = life.packages(2)
    for number, each in enumerate(named, 1):
        each["properties"]["additionalData"] = {"CvesDetails": json.dumps([{"CveId": f"CVE-2026-000{number}"}])}
    await life.appear(0.1, *named)
    life.azure.tenant.cve_details.append({
        "id": "/providers/microsoft.security/cvedetails/cve-2026-0001", "name": "cve-2026-0001",
        "properties": {"cveId": "CVE-2026-0001", "severity": "High", "cvss": {"4.0": {"base": 8.1}},
                       "exploitabilityDetails": {"IsInExploitKit": True}},
    })  # fmt: skip
    monkeypatch.setenv("REFRESH_CVES", "true")
    services = Services(Settings.load())
    try:
        done = await services.cves.tick(life.now)
        assert done is not None
        assert (done.asked, done.found, done.warning, done.reason) == (2, 1, "", "")
        assert await services.cves.tick(life.now) is None, "once a day"
        asked = "DefenderRecords_Cves() | project CveId, Exploited, CveCvssScore | order by CveId asc"
        assert await life.rows(asked) == [("CVE-2026-0001", "yes", 8.1), ("CVE-2026-0002", "not known", None)]
        assert await unseen_cves(services) == []

        life.azure.tenant.revoke(APP)
        below = custom_role("Below", "Microsoft.Security/*/read", "Microsoft.Resources/subscriptions/read")
        life.azure.tenant.assign(APP, f"/subscriptions/{life.subscriptions[0]}", below)
        life.day = 1.2
        blind = await services.cves.tick(life.now)
        assert blind is not None
        assert (blind.asked, blind.found) == (2, 0)
        (warning,) = await unseen_cves(services)
        assert "Security Reader" in warning
        assert await life.rows(asked) == [("CVE-2026-0001", "yes", 8.1), ("CVE-2026-0002", "not known", None)]
    finally:
        await services.close()


@pytest.mark.parametrize("days", [pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)])])
async def test_sixty_days_of_a_tenant(life: Life, days: int) -> None:
    """Open now is the tenant's truth two complete passes after each change, and time to fix is what happened."""
    chance = random.Random(32)
    fixed_on: dict[str, float] = {}
    opened_on: dict[str, float] = {}
    settled: set[str] = set()
    for half in range(days * 2):
        day = half * HALF
        new = [life.package(chance.choice(life.subscriptions), day) for _ in range(chance.randrange(6))]
        await life.appear(day + 0.01, *new)
        opened_on |= {each["id"].lower(): day for each in new}
        going = [each for each in life.there.values() if chance.random() < 0.05]
        life.vanish(going)
        fixed_on |= {each["id"].lower(): day + 0.01 for each in going}
        whole = chance.random() < 0.7
        life.azure.arm.graph.subscription_limit = 10_000 if whole else 0
        before = await life.said()
        done = await life.compare(day + 0.25, percent=100)
        if not whole:
            assert await life.said() == before, "nothing on an incomplete answer"
        else:
            assert done.reasons == ()
            assert settled <= {name for name, actions in (await life.said()).items() if actions[-1] == "Gone"}
            assert await life.open_now() - life.truth == set(fixed_on) - settled - {
                name for name, actions in (await life.said()).items() if actions[-1] == "Gone"
            }
            settled = {
                name for name, actions in (await life.said()).items() if actions[-1] in ("Gone", "Missing")
            } & set(fixed_on)
    life.azure.arm.graph.subscription_limit = 10_000
    await life.compare(days, percent=100)
    await life.compare(days + 0.5, percent=100)
    assert await life.open_now() == life.truth
    ended = await life.rows("DefenderRecords_Ended() | project RecordId, DaysOpen")
    assert {name for name, _ in ended} == set(fixed_on)
    for name, open_for in ended:
        took = fixed_on[name] - opened_on[name]
        assert took - 0.001 <= open_for <= took + 6, "by the first complete answer without it"


@pytest.mark.parametrize("records", [pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)])])
async def test_many_open_records_of_one_subscription_are_compared_in_bounded_memory(
    life: Life, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    """Within the limits of the query API and a tick's time, over as many ticks as it takes."""
    one = life.subscriptions[0]
    await life.azure.workspace.sql(
        f"""INSERT INTO DefenderAssessments_CL BY NAME SELECT t AS TimeGenerated, t AS EventTime, t AS EnqueuedTime,
        '/s/' || md5(i::VARCHAR) AS RecordId, 'Assessment' AS RecordKind, 'Insert' AS Action, '{one}' AS SubscriptionId,
        i AS SequenceNumber, 'Unhealthy' AS RecommendationState, 'DynamicBuiltIn' AS AssessmentType,
        t AS StatusChangeDate FROM (SELECT range AS i, now()::TIMESTAMP - INTERVAL 2 DAY AS t FROM range({records}))"""
    )
    life.azure.arm._operations = Operations(*TABLES, ManyIds(life.azure, records).operations)
    life.azure.ingestion._now = lambda: datetime.now(UTC)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, cwd=Path(__file__).parents[3], env=os.environ, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    seen, missing, left_out, ticks, queries, pages, peak = map(int, out.split())
    assert (seen, missing, left_out) == (records, records // 1_000, 0)
    assert ticks >= 1
    assert queries <= 3 * (ticks + 257 + ticks)
    assert pages <= records / 1_000 + 2 * 257
    assert peak < 300 * 1024
