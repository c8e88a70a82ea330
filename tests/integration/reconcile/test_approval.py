"""RECONCILE_MODE=approve: nothing is written without an approval, none is carried out twice or after a change."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.clock import utc_moment
from shared.jobs.model import Job
from shared.jobs.runners import Runners
from shared.reconcile.plan.change_limits import raised
from shared.reconcile.plan.saved_plan import plan_as_dict, plan_from_dict
from shared.reconcile.report.approvals import FOLDER, ApprovalRefused
from shared.reconcile.report.run_report import Report
from shared.reconcile.run import Reconciler, Request
from tests.integration.reconcile.world import INSTANCE, ME, World, export, world

SIZE = 4
ALICE, BOB = "entra:6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f", "entra:11111111-2222-4333-8444-555555555555"


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    tenant = synthetic_tenant(1, SIZE, untidy=False)
    async with world(tenant, local_certs, storage, reconcile_mode="approve") as running:
        await running.store.put("soc", export(tenant, "soc"), by=ALICE)
        yield running


async def tick(here: World, **changes: Any) -> Report:
    return await here.reconciler(**changes).tick()


async def reviewed(here: World) -> str:
    """The run whose plan somebody looks at."""
    return (await tick(here)).run_id


async def test_without_an_approval_nothing_is_written_whoever_asks(here: World) -> None:
    reconciler = here.reconciler()
    kept = plan_from_dict(plan_as_dict((await reconciler.plan(Request(ME))).plan, INSTANCE), INSTANCE)
    reports = [
        await tick(here),
        await reconciler.apply(Request(ME)),
        await reconciler.apply(Request(ME, reviewed=kept)),
        await reconciler.apply(Request(ME, guards=partial(raised, max_deletes=100, percent=100))),
        await reconciler.carry_out_approved(ME),
    ]
    assert here.writes() == []
    assert {(report.outcome, report.mode, report.waiting) for report in reports} == {("Partial", "plan", True)}
    assert f"{SIZE} changes wait for approval" in reports[0].reason
    assert "defender-export approve" in reports[0].reason


async def test_a_claim_waits_too(here: World) -> None:
    await here.reconciler().approve(await reviewed(here), BOB)
    await tick(here)
    for document in list(here.ours().values()):
        here.tenant.set_automation({**document, "tags": {**document["tags"], "managed-by-writer": "another/store"}})
    here.arm.requests.clear()
    claim = Request(ME, claim=True)
    report = await here.reconciler().apply(claim)
    assert (here.writes(), report.waiting) == ([], True)
    await here.reconciler().approve(report.run_id, BOB)
    assert (await tick(here)).counts["Updated"] == SIZE


async def test_what_is_approved_is_carried_out_once_by_the_timer(here: World) -> None:
    run_id = await reviewed(here)
    approval = await here.reconciler().approve(run_id, BOB)
    report = await tick(here)
    assert (report.outcome, report.mode, report.counts["Created"]) == ("Succeeded", "apply", SIZE)
    assert (report.approved_by, report.approved_at) == (BOB, approval.at)
    for each in list(here.ours()):
        here.tenant.delete_automation(each)
    here.arm.requests.clear()
    again = await tick(here)  # the same plan to the byte
    assert again.as_dict()["fingerprint"] == approval.fingerprint
    assert (here.writes(), again.waiting) == ([], True)
    await here.reconciler().approve(again.run_id, BOB)
    assert (await tick(here)).counts["Created"] == SIZE


async def test_the_approver_is_in_report_and_row(here: World) -> None:
    await here.reconciler().approve(await reviewed(here), BOB)
    report = await tick(here)
    kept = await here.reconciler().reports.read(report.run_id)
    assert kept is not None
    assert (kept["approvedBy"], kept["waiting"]) == (BOB, False)
    assert kept["approvedAt"]
    row = here.rows[-1]
    assert (row["ApprovedBy"], utc_moment(row["ApprovedTime"])) == (BOB, utc_moment(kept["approvedAt"]))


async def test_after_its_plan_changed_an_approval_is_none(here: World) -> None:
    await here.reconciler().approve(await reviewed(here), BOB)
    await here.store.put("soc", export(here.tenant, "soc", content="alerts: {minimumSeverity: Low}"), by=ALICE)
    changed = await tick(here)
    assert (here.writes(), changed.waiting, changed.approved_by) == ([], True, "")
    await here.store.put("soc", export(here.tenant, "soc"), by=ALICE)
    assert (await tick(here)).waiting  # it is void, although the plan is the same again
    assert here.writes() == []


async def test_of_two_runs_at_once_one_carries_it_out(here: World) -> None:
    await here.reconciler().approve(await reviewed(here), BOB)
    reports = await asyncio.gather(*(tick(here) for _ in range(3)))
    assert [report.counts["Created"] for report in reports if report.approved_by] == [SIZE]
    assert sum(method == "PUT" and "/automations/" in path for method, path in here.writes()) == SIZE


async def test_an_approval_of_a_narrowed_run_with_raised_limits_is_of_just_that(here: World) -> None:
    await here.reconciler().approve(await reviewed(here), BOB)
    await tick(here)
    for document in list(here.ours().values()):
        here.tenant.set_automation({**document, "properties": {**document["properties"], "isEnabled": False}})
    assert (await tick(here)).waiting is False  # the guard holds all of it, so there is nothing to approve
    one = min(here.ours()).split("/")[2]
    limits = partial(raised, percent=100)
    plan = await here.reconciler().plan(Request(ME, subscriptions=[one], guards=limits))
    await here.reconciler().approve(plan.run_id, BOB)
    assert (await tick(here)).counts["Updated"] == 1
    enabled = {place.split("/")[2] for place, each in here.ours().items() if each["properties"]["isEnabled"]}
    assert enabled == {one}


async def test_an_approval_ends_after_a_day(here: World) -> None:
    await here.reconciler().approve(await reviewed(here), BOB)
    here.tenant.advance(24 * 3600 + 1)
    assert (await tick(here)).waiting
    assert here.writes() == []


async def test_what_cannot_be_approved_is_refused(here: World) -> None:
    reconciler = here.reconciler()
    run_id = await reviewed(here)
    with pytest.raises(LookupError):
        await reconciler.approve("20260101T000000000000Z-00000000", BOB)
    with pytest.raises(ApprovalRefused, match="planned nothing"):
        await here.reconciler(instance_id="another").approve(run_id, BOB)
    await reconciler.approve(run_id, BOB)
    with pytest.raises(ApprovalRefused, match="was approved by"):
        await reconciler.approve(run_id, ALICE)
    done = await tick(here)
    with pytest.raises(ApprovalRefused, match="carried out a plan"):
        await reconciler.approve(done.run_id, BOB)
    with pytest.raises(ApprovalRefused, match="planned nothing"):
        await reconciler.approve((await tick(here)).run_id, BOB)
    here.tenant.advance(25 * 3600)
    with pytest.raises(ApprovalRefused, match="more than a day"):
        await reconciler.approve(run_id, BOB)


async def test_a_forged_or_damaged_approval_lets_nothing_through(here: World) -> None:
    container = here.clients.blobs.get_container_client(here.settings.reports_container)
    approval = await here.reconciler().approve(await reviewed(here), BOB)
    name = f"{FOLDER}{approval.fingerprint}.json"
    for text in (b"{}", b"[]", b'{"format": 9}', b'{"format": 1, "fingerprint": "0"}'):
        await container.upload_blob(name, text, overwrite=True)
        assert (await tick(here)).waiting
    assert here.writes() == []


class TestFourEyes:
    @pytest.fixture
    def strict(self, here: World) -> Reconciler:
        return here.reconciler(approval="four-eyes")

    async def test_whoever_wrote_the_export_cannot_approve_its_plan(self, here: World, strict: Reconciler) -> None:
        run_id = await reviewed(here)
        with pytest.raises(ApprovalRefused, match="somebody else") as refused:
            await strict.approve(run_id, ALICE)
        assert refused.value.forbidden
        await strict.approve(run_id, BOB)
        assert (await tick(here)).counts["Created"] == SIZE

    async def test_nor_whoever_deleted_it(self, here: World, strict: Reconciler) -> None:
        await here.store.put("other", export(here.tenant, "other", content="secureScore: {}"), by=BOB)
        await here.reconciler().approve(await reviewed(here), ALICE)
        await tick(here)
        await here.store.delete("other", by=BOB)
        run_id = await reviewed(here)
        with pytest.raises(ApprovalRefused, match="somebody else"):
            await strict.approve(run_id, BOB)
        await strict.approve(run_id, ALICE)

    @pytest.mark.parametrize("by", ["", "key:192.0.2.1", "cli:alice"])
    async def test_where_it_is_not_known_who_wrote_it_nobody_can(
        self, here: World, strict: Reconciler, by: str
    ) -> None:
        await here.store.put("soc", export(here.tenant, "soc"), by=by)
        with pytest.raises(ApprovalRefused, match="not known who wrote soc"):
            await strict.approve(await reviewed(here), BOB)

    async def test_somebody_at_a_terminal_is_nobody(self, here: World, strict: Reconciler) -> None:
        with pytest.raises(ApprovalRefused, match="signed in with Entra"):
            await strict.approve(await reviewed(here), "cli:bob")


async def test_a_job_carries_out_what_is_approved_and_nothing_else(here: World) -> None:
    make: Any = Runners
    others = ("tenant_state", "present", "replay", "discard", "deliver", "deadline", "gone", "canary", "to_rows")
    unused = dict.fromkeys(others)
    runners = make(reconciler=here.reconciler(), exports=here.store, **unused)
    progress: Any = type("Silent", (), {"say": lambda *_: None})()
    job = Job("1", "reconcile", {}, BOB, here.clock.now())
    assert (await runners.reconcile(job, progress))["waiting"] is True
    assert here.writes() == []
    await here.reconciler().approve(await reviewed(here), BOB)
    done = await runners.reconcile(job, progress)
    assert (done["approvedBy"], done["counts"]["Created"]) == (BOB, SIZE)
