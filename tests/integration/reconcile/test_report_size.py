"""Reports of large tenants: small as stored, read as they were, and listed by their summaries."""

from __future__ import annotations

import json
import time
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.reconcile.model import ResourceId, Subscription
from shared.reconcile.plan.model import Action, Item, Plan
from shared.reconcile.report.report_store import Reports
from shared.reconcile.report.run_report import Report, new_run_id
from tests.integration.reconcile.world import ME, World, world

EXPORTS = [f"export-{number}" for number in range(10)]
LISTED = 20


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, 3, untidy=False), local_certs, storage) as running:
        yield running


def blocked(here: World, size: int) -> Report:
    """A run over ten exports in so many subscriptions, whose hub is missing, beside as many automations of others."""
    ids = [str(uuid.UUID(int=number)) for number in range(1, size + 1)]
    items = []
    for one in ids:
        for export in EXPORTS:
            place = ResourceId(one, "rg-defender-export", f"defender-export-{export}")
            item = Item(Action.CREATE, place, export, declared=True)
            items.append(item.blocked(f"the event hub of {one} does not exist: correct `resourceId`, or create it"))
        items.append(Item(Action.FOREIGN, ResourceId(one, "rg-asc", "theirs")))
    now = here.clock.now()
    plan = Plan(tuple(items))
    subscriptions = [Subscription(one, tenant_id="t") for one in ids]
    return Report(new_run_id(now), "test", ME, "apply", now, now, plan, subscriptions=subscriptions, exports=EXPORTS)


async def keep(here: World, size: int) -> tuple[Reports, Report, int]:
    """Keep a report, and copies of earlier runs, as many as are listed; gives the report and how many bytes it has."""
    reports = here.reconciler().reports
    report = blocked(here, size)
    await reports.save(report)
    stored = await (await reports._container.download_blob(report.name)).readall()
    for number in range(1, LISTED):
        started = report.started - timedelta(minutes=number)
        name = new_run_id(started)
        blob = f"{started:%Y/%m/%d}/{name}.json"
        await reports._container.upload_blob(blob, stored.replace(report.run_id.encode(), name.encode()))
        await reports._note_summary(name, {**report.summary(), "runId": name})
    return reports, report, len(stored)


async def one(reports: Reports, run_id: str) -> dict[str, Any]:
    (summary,) = await reports.summaries([run_id])
    return summary


async def test_a_report_is_small_and_is_read_as_it_was(here: World) -> None:
    size = 500
    reports, report, stored = await keep(here, size)
    assert stored < 200 * size  # 2 MB for 10,000
    kept = await reports.read(report.run_id)
    assert kept is not None
    assert len(kept["items"]) == len(EXPORTS) * size  # others' are counted alone
    assert kept["counts"]["Foreign"] == size
    assert kept == json.loads(json.dumps(report.as_dict()))
    summary = await one(reports, report.run_id)
    assert summary == {name: value for name, value in kept.items() if name != "items"}
    assert [len(each["rest"]) for each in summary["inForce"]] == [1] * len(EXPORTS)


async def test_a_list_reads_no_whole_report(here: World) -> None:
    reports, report, _ = await keep(here, 20)
    await reports._container.delete_blob(report.name)
    summary = await one(reports, report.run_id)
    assert (summary["outcome"], summary["runId"]) == ("Partial", report.run_id)


async def test_a_report_without_a_summary_is_listed_from_the_whole(here: World) -> None:
    reports, report, _ = await keep(here, 20)
    await reports._container.delete_blob(f"summaries/{report.started:%Y/%m/%d}.ndjson")
    summary = await one(reports, report.run_id)
    assert (summary["runId"], "items" in summary) == (report.run_id, False)


async def test_summaries_go_with_their_reports(here: World) -> None:
    reports, _, _ = await keep(here, 2)
    older = Reports(reports._container, timedelta(seconds=-5))
    assert await older.expire() == LISTED
    assert [name async for name in reports._container.list_blob_names(name_starts_with="summaries/")] == []


@pytest.mark.soak
async def test_ten_thousand_subscriptions_with_one_hub_missing(here: World) -> None:
    reports, _, stored = await keep(here, 10_000)
    assert stored < 2_000_000
    assert len(await listed(reports, here)) == LISTED  # what is imported on first use is no part of it
    tracemalloc.start()
    try:
        await listed(reports, here)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    before = time.process_time()
    await listed(reports, here)
    assert time.process_time() - before < 0.05


async def listed(reports: Reports, here: World) -> list[dict[str, Any]]:
    return await reports.summaries(await reports.recent(here.clock.now(), limit=LISTED))
