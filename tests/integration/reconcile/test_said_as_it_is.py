"""What is the case is said as it is: jobs that wait, queries that are refused, files whose own tests fail."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.exports.diagnostics import InvalidExport
from shared.exports.scope_findings import NotAllSeen, UnknownName
from shared.jobs.model import Job
from shared.jobs.runners import Runners
from shared.jobs.worker import JobRefusedError, WaitingError
from shared.reconcile.apply.run_lock import RunLease
from shared.reconcile.run import Request
from tests.integration.reconcile.world import ME, World, export, world

SIZE = 3


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        await running.put("soc")
        yield running


async def test_a_job_that_meets_the_lease_waits_and_is_not_succeeded(here: World) -> None:
    make: Any = Runners
    others = ("tenant_state", "present", "replay", "discard", "deliver", "deadline", "gone", "canary", "to_rows")
    unused = dict.fromkeys(others)
    runners = make(reconciler=here.reconciler(), exports=here.store, **unused)
    said: list[str] = []
    progress: Any = type("Said", (), {"say": lambda _, text: said.append(text)})()
    job = Job("1", "reconcile", {}, "key:192.0.2.1", here.clock.now())
    container = here.clients.blobs.get_container_client(here.settings.reports_container)
    async with RunLease(container, {"run": "another"}):
        for run in (runners.reconcile, runners.claim):
            with pytest.raises(WaitingError):
                await run(job, progress)
        here.tenant.advance(3600 + 60)
        with pytest.raises(JobRefusedError, match="it waited for 1:00:00, and another run is writing"):
            await runners.reconcile(job, progress)
    assert "waiting: another run is writing: run another" in said
    assert here.writes() == []
    fresh = Job("2", "reconcile", {}, "key:192.0.2.1", here.clock.now())
    assert (await runners.reconcile(fresh, progress))["counts"]["Created"] == SIZE


async def test_a_query_that_is_refused_is_said_once_with_its_cure_and_no_word_on_rights(here: World) -> None:
    await here.apply()
    here.arm.faults.add("error", matching="POST .*ResourceGraph", status=400)
    report = await here.plan()
    (reason,) = report.plan.reasons
    assert reason.startswith("Resource Graph refused the query")
    assert "INVENTORY=list" in reason
    assert "Reader" not in report.reason
    assert "accept-fewer" not in report.reason
    assert (await here.plan(inventory="list")).plan.reasons == ()


@pytest.mark.parametrize("inventory", ["graph", "list"])
async def test_without_any_right_to_read_the_rights_are_the_cure(here: World, inventory: str) -> None:
    await here.apply()
    here.tenant.assignments = []
    report = await here.plan(inventory=inventory)
    assert report.plan.reasons[0].endswith("no subscription is visible: give the app Reader or Security Reader")
    assert "INVENTORY=list" not in report.reason
    assert "accept-fewer" not in report.reason
    assert not report.plan.writes


async def test_where_nothing_could_be_read_no_name_is_said_not_to_be_there(here: World) -> None:
    await here.apply()
    here.arm.faults.add("error", matching="POST .*ResourceGraph", status=500)
    report = await here.plan()
    assert report.reason.startswith("Resource Graph did not answer: ")
    assert "\n" not in report.reason
    assert "no visible subscription" not in report.reason
    for asked in (
        Request(ME, subscriptions=[str(uuid4())]),
        Request(ME, management_groups=["contosso"]),
        Request(ME, exports=["sco"]),
    ):
        with pytest.raises(NotAllSeen, match="may well be there: Resource Graph did not answer"):
            await here.reconciler().plan(asked)
    here.arm.faults.clear()
    with pytest.raises(UnknownName, match=r"Did you mean contoso\?"):
        await here.reconciler().plan(Request(ME, management_groups=["contosso"]))


async def test_a_file_whose_own_tests_fail_is_refused_wherever_it_is_put(here: World) -> None:
    tests = "tests: [{record: {SystemAlertId: one, Severity: Low}, exported: true}]\n"
    text = export(here.tenant, "soc", content="alerts: {minimumSeverity: High}") + tests
    before = await here.store.get("soc")
    with pytest.raises(InvalidExport, match="failing-test") as refused:
        await here.store.put("soc", text)
    assert "one" not in str([finding.sentence for finding in refused.value.findings])
    assert await here.store.get("soc") == before
