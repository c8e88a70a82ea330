"""Backfill and preview over the wire: complete after kills, one key a record, and what preview counts is sent."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_scale
from local.arm import TABLES
from local.arm.calls import Operations
from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import destinations, synthetic_tenant
from local.tenant.state import Subscription
from shared.azure.resource_graph import Graph
from shared.azure.role_permissions import OwnPermissions
from shared.bootstrap import Services
from shared.clock import Clock, Deadline
from shared.jobs.model import STALE_AFTER, Job
from shared.jobs.runners import Runners, preview, stored_choice
from shared.jobs.worker import JobWorker
from shared.settings import Settings
from shared.watch.present_records import Gaps, PresentRecords

ROOT = Path(__file__).parents[3]
RECORDS = 20_000
ASSESSMENTS = "microsoft.security/assessments"
WORKER = """
import asyncio, sys
from datetime import timedelta
from shared.bootstrap import services
from shared.jobs.store import JobStore

class AheadStore(JobStore):
    async def now(self):
        return await super().now() + timedelta(seconds=float(sys.argv[2]))

services().jobs.__class__ = AheadStore

async def work():
    await services().job_worker.run(sys.argv[1])
    await services().close()

asyncio.run(work())
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(peak)
"""
FILTERED = """
version: 1
name: filtered
scope: {{managementGroups: [contoso]}}
automation: {{location: westeurope}}
export:
  alerts: {{minimumSeverity: Medium}}
  recommendations:
    minimumSeverity: High
    ids: [f97aa83c-9b63-4f9a-99f6-b22c4398f936, 1c5de8e1-f68d-6a17-e0d2-ec259c42768c]
    findings: {{severities: [Low]}}
  attackPaths: {{riskLevels: [Critical, High]}}
destination:
  eventHub: {{resourceId: {hub}, trustedService: true}}
"""

ALL_RECOMMENDATIONS = """
version: 1
name: scope-{number}
scope: {scope}
automation: {{location: westeurope}}
export: {{recommendations: true}}
destination:
  eventHub: {{resourceId: {hub}, trustedService: true}}
"""


@pytest.fixture
async def azure(
    tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalAzure]:
    parts = ("azurite", "arm", "ingestion")
    tenant = synthetic_tenant(5, 24, untidy=False)
    async with LocalAzure(tmp_path / "azure", parts=parts, tenant=tenant, certificates=local_certs) as running:
        for name, value in running.app_settings().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
async def services(azure: LocalAzure) -> AsyncIterator[Services]:
    made = Services(Settings.load())
    yield made
    await made.close()


def fill(azure: LocalAzure, records: int) -> None:
    """Give the tenant so many assessments, evenly."""
    security: Any = azure.tenant.security_records
    everyone = [one for one in azure.tenant.subscriptions.values() if one.tenant_id == azure.tenant.home]
    have = sum(len(security(one, ASSESSMENTS)) for one in everyone)
    for number in range(records - have):
        one = everyone[number % len(everyone)]
        record = copy.copy(security(one, ASSESSMENTS)[0])
        record["id"] = f"{record['id']}-{number:05}"
        security.add(one.id, record)


async def submitted(services: Services, **arguments: Any) -> Job:
    return await services.jobs.submit("backfill", arguments, "test", now=datetime.now(UTC))


async def worker(job: Job, until: Callable[[], bool] | None = None, peaks: list[int] | None = None) -> int:
    """Work on a job in a process of its own; with `until`, kill the process as soon as that holds.

    The most memory that it took, in KiB, goes into `peaks`.
    """
    # The storage's clock is ahead, so that the heartbeat of a killed worker is old when the queue delivers again.
    ahead = str(STALE_AFTER.total_seconds() + 5)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, job.id, ahead, cwd=ROOT, env=os.environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    ended = asyncio.ensure_future(process.wait())
    while until is not None and not ended.done() and not until():
        await asyncio.wait([ended], timeout=0.01)
    if until is not None and not ended.done():
        process.send_signal(signal.SIGKILL)
    code = await ended
    if peaks is not None and process.stdout:
        peaks.append(int(await process.stdout.read()))
    return code


async def left(services: Services, job: Job) -> Job:
    """What a killed worker left of a job."""
    stored, _ = await services.jobs.get(job.id)
    assert stored.state == "running"
    return stored


async def test_a_backfill_killed_twice_ends_complete_and_gives_each_record_one_key(
    azure: LocalAzure, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "local.arm.graph.QUOTA", 1_000
    )  # waiting for it is another test's matter, and takes half a minute
    fill(azure, RECORDS)
    job = await submitted(services, kinds=["Assessments"], managementGroups=["contoso"])
    for threshold in (RECORDS // 4, RECORDS // 2):
        assert await worker(job, lambda: azure.ingestion.rows > threshold) == -signal.SIGKILL  # noqa: B023 - used at once
        killed = await left(services, job)
        assert 0 < killed.cursor["records"] < RECORDS
        assert "records sent" in killed.progress
    assert await worker(job) == 0

    done = await services.jobs.settled(job.id, datetime.now(UTC))
    assert (done.state, done.attempt) == ("succeeded", 3)
    assert done.result is not None
    assert done.result["records"] == RECORDS
    query = """SELECT count(*), count(DISTINCT RecordKey), count(DISTINCT RecordId), min(Action), max(Action)
        FROM DefenderAssessments_CL"""
    rows, keys, ids, first, last = (await azure.workspace.sql(query)).rows[0]
    assert (ids, keys) == (RECORDS, RECORDS), "every record is there, under one key"
    assert (first, last) == ("Backfill", "Backfill")
    assert rows - keys <= 2 * 1000, "a kill costs at most the batch in hand"
    assert not azure.ingestion.losses
    assert await services.last_seen.read() == {}, "a backfill is no sign that an export works"


async def test_previews_counts_equal_what_a_filtered_backfill_sends(azure: LocalAzure, services: Services) -> None:
    hub = destinations(azure.tenant).event_hub
    await services.exports.put("filtered", FILTERED.format(hub=hub).encode())
    export = await stored_choice(services.exports, "filtered")
    everyone = export.of_those(await services.tenant_state.take(), (), ())
    told = await preview(services.present, export, everyone, services.to_rows)
    assert 0 < told["sent"] < told["records"]

    job = await submitted(services, export="filtered")
    await services.job_worker.run(job.id)
    done = await services.jobs.settled(job.id, datetime.now(UTC))
    assert done.result == {"subscriptions": len(everyone.ids), "records": told["sent"], "reasons": []}

    by_kind: dict[str, int] = {}
    for line in told["counts"]:  # no two rule sets of this export let the same record through
        by_kind[line["eventSource"]] = by_kind.get(line["eventSource"], 0) + line["records"]
        assert len(line["examples"]) == min(5, line["records"])
    sent = {
        kind: (await azure.workspace.sql(f"SELECT count(*), count(DISTINCT RecordKey) FROM {table}")).rows[0]
        for kind, table in {
            "Alerts": "DefenderAlerts_CL",
            "Assessments": "DefenderAssessments_CL",
            "SubAssessments": "DefenderSubAssessments_CL",
            "AttackPaths": "DefenderAttackPaths_CL",
        }.items()
    }
    assert sent == {kind: (count, count) for kind, count in by_kind.items()}


@dataclass(frozen=True)
class InScope:
    """A scope, and which subscriptions and records of the tenant are its own, said apart from the app."""

    scope: Mapping[str, Any]
    subscriptions: Callable[[Subscription], bool]
    record: Callable[[Mapping[str, Any]], bool] = lambda _: True


def in_group(record: Mapping[str, Any], group: str) -> bool:
    return f"/resourcegroups/{group}/" in f"{record['id']}/".lower()


async def test_what_is_previewed_and_sent_is_of_the_exports_scope(azure: LocalAzure, services: Services) -> None:
    """The subscriptions, groups, tags, exclusions and resource groups that its file names, and no others."""
    security: Any = azure.tenant.security_records
    everyone = [one for one in azure.tenant.subscriptions.values() if one.tenant_id == azure.tenant.home]
    first, second, third = everyone[:3]
    azure.tenant.change_subscription(first.id, tags={"team": "Payments", "defender": "on"})
    azure.tenant.change_subscription(second.id, tags={"team": "payments"})
    places = (record["id"].lower().split("/") for one in everyone for record in security(one, ASSESSMENTS))
    group = next(each[4] for each in places if "resourcegroups" in each)
    other = "rg-nothing-here"
    in_contoso = {"managementGroups": ["contoso"]}
    cases = [
        InScope({"subscriptions": [first.id.upper()]}, lambda one: one.id == first.id),
        InScope({**in_contoso, "tags": {"Team": "PAYMENTS"}}, lambda one: one.id in {first.id, second.id}),
        InScope(
            {**in_contoso, "tags": {"team": "payments"}, "exclude": {"tags": {"defender": "on"}}},
            lambda one: one.id == second.id,
        ),
        InScope({**in_contoso, "exclude": {"subscriptions": [third.id]}}, lambda one: one.id != third.id),
        InScope({**in_contoso, "resourceGroups": [group.upper()]}, lambda _: True, lambda each: in_group(each, group)),
        InScope({**in_contoso, "resourceGroups": [other]}, lambda _: True, lambda each: in_group(each, other)),
    ]
    hub = destinations(azure.tenant).event_hub
    for number, case in enumerate(cases):
        text = ALL_RECOMMENDATIONS.format(number=number, scope=json.dumps(case.scope), hub=hub)
        await services.exports.put(f"scope-{number}", text.encode())
        covered = [one for one in everyone if case.subscriptions(one)]
        own = [record for one in covered for record in security(one, ASSESSMENTS) if case.record(record)]
        read = sum(len(security(one, ASSESSMENTS)) for one in covered)
        export = await stored_choice(services.exports, f"scope-{number}")
        told = await preview(
            services.present, export, export.of_those(await services.tenant_state.take(), (), ()), services.to_rows
        )
        assert (told["subscriptions"], told["sent"], told["records"]) == (len(covered), len(own), read), case.scope
        before = azure.ingestion.rows
        job = await submitted(services, export=f"scope-{number}")
        await services.job_worker.run(job.id)
        done = await services.jobs.settled(job.id, datetime.now(UTC))
        assert done.result == {"subscriptions": len(covered), "records": len(own), "reasons": []}, case.scope
        assert azure.ingestion.rows - before == len(own)
    assert await aside(services, "scope-0", second.id) == (0, ["the scope of scope-0 covers none of 1 subscriptions"])
    both = await aside(services, "scope-0", first.id, second.id)
    assert both == (1, ["the scope of scope-0 leaves out 1 of those asked for"])


async def aside(services: Services, export: str, *asked: str) -> tuple[int, list[str]]:
    """Of how many of the subscriptions asked for an export would be sent again, and what is said of the others."""
    job = await submitted(services, export=export, subscriptions=list(asked))
    await services.job_worker.run(job.id)
    done = await services.jobs.settled(job.id, datetime.now(UTC))
    assert done.result is not None
    return done.result["subscriptions"], done.result["reasons"]


async def test_a_backfill_goes_on_after_the_record_where_it_stopped_and_from_the_start_when_that_is_gone(
    azure: LocalAzure, services: Services
) -> None:
    one = next(iter(azure.tenant.subscriptions.values())).id
    found = [each async for each in services.present.read(["Assessments"], [one], Gaps())]
    third, others = found[2].id, len(found) - 3
    for inside, at, left in ((third, 0, others), (third, 3, others), (third, 2, others), (third, 10**6, others),
                             ("no longer there", 0, len(found)), ("no longer there", 3, len(found))):  # fmt: skip
        job = await submitted(services, kinds=["Assessments"], subscriptions=[one])
        stored, etag = await services.jobs.get(job.id)
        await services.jobs.save(
            replace(stored, cursor={"step": [one], "inside": inside, "at": at, "records": 3}), etag
        )
        await services.job_worker.run(job.id)
        done = await services.jobs.settled(job.id, datetime.now(UTC))
        assert done.result == {"subscriptions": 1, "records": 3 + left, "reasons": []}


async def test_a_preview_cut_short_at_every_page_counts_what_one_read_counts(
    azure: LocalAzure, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.arm.graph.QUOTA", 1_000)
    fill(azure, 5_000)
    hub = destinations(azure.tenant).event_hub
    await services.exports.put("filtered", FILTERED.format(hub=hub).encode())
    export = await stored_choice(services.exports, "filtered")
    everyone = export.of_those(await services.tenant_state.take(), (), ())
    graph = Graph(services.clients)
    present = PresentRecords(graph, OwnPermissions(services.clients))
    told = await preview(present, export, everyone, services.to_rows)
    graph.requests = 0

    def one_page() -> Deadline:
        """A moment that has passed once it was looked at."""
        ticks = itertools.count()
        return Clock(monotonic=lambda: next(ticks)).deadline(2)

    runners = Runners(
        reconciler=services.reconciler,
        exports=services.exports,
        tenant_state=services.tenant_state,
        present=present,
        replay=services.pipeline.replay,
        discard=services.discard,
        deliver=services._deliver_present,
        deadline=one_page,
        gone=services.gone_checks,
        canary=lambda: services.canary,
        to_rows=services.to_rows,
    )
    worker = JobWorker(services.jobs, runners.by_kind(), retention=timedelta(days=1))
    job = await services.jobs.submit("preview", {"export": "filtered"}, "test", now=datetime.now(UTC))
    attempts = 0
    while not (done := await services.jobs.settled(job.id, datetime.now(UTC))).final:
        await worker.run(job.id)
        attempts += 1
    assert attempts > 3
    assert done.result == {"export": "filtered", **told}
    assert graph.requests <= 3 * attempts, "no attempt reads again what an earlier one has read"


@pytest.mark.parametrize(
    ("records", "kills"),
    [(6_000, 1), pytest.param(1_000_000, 5, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)])],
)
async def test_one_subscription_of_many_records_is_sent_and_counted_in_bounded_memory(
    azure: LocalAzure, services: Services, monkeypatch: pytest.MonkeyPatch, records: int, kills: int
) -> None:
    """Its records are made when they are asked for; the backfill is killed on its way, and the preview reads all."""
    monkeypatch.setattr(bench_scale, "PRESENT", records)
    azure.arm.throttling = False
    one = next(each.id for each in azure.tenant.subscriptions.values() if each.tenant_id == azure.tenant.home)
    azure.arm._operations = Operations(*TABLES, bench_scale.MadeOnRequest(azure.tenant, azure.arm.now).operations)
    peaks: list[int] = []
    job = await submitted(services, kinds=["Assessments"], subscriptions=[one])
    for turn in range(kills):
        enough = records * (turn + 1) // (kills + 1)
        assert await worker(job, lambda: azure.ingestion.rows > enough) == -signal.SIGKILL  # noqa: B023 - used at once
        await left(services, job)
    while not (done := await services.jobs.settled(job.id, datetime.now(UTC))).final:
        assert await worker(job, peaks=peaks) == 0
    assert done.result == {"subscriptions": 1, "records": records, "reasons": []}
    query = "SELECT count(DISTINCT RecordKey), count(DISTINCT RecordId) FROM DefenderAssessments_CL"
    assert (await azure.workspace.sql(query)).rows == [(records, records)]

    alone = FILTERED.replace("managementGroups: [contoso]", f"subscriptions: [{one}]")
    await services.exports.put("filtered", alone.format(hub=destinations(azure.tenant).event_hub).encode())
    job = await services.jobs.submit("preview", {"export": "filtered"}, "test", now=datetime.now(UTC))
    while not (done := await services.jobs.settled(job.id, datetime.now(UTC))).final:
        assert await worker(job, peaks=peaks) == 0
    assert done.result is not None
    assert done.result["records"] == records
    assert 0 < max(peaks) < 300 * 1024
