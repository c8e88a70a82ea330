"""One run after another against the local ARM: purity, budget, guards, doubt, stale reads, reports."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob.aio import ContainerClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import Tenant, synthetic_tenant
from local.tenant.destinations import destinations
from shared.azure.storage_time import storage_time
from shared.reconcile.apply.executor import Outcome, Status
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.destinations.event_hub_keys import KeyedDestinations
from shared.reconcile.plan.change_limits import Guards
from shared.reconcile.plan.model import Action
from shared.reconcile.plan.saved_plan import StalePlan, plan_as_dict, plan_from_dict
from shared.reconcile.report.report_store import Reports
from shared.reconcile.run import Reconciler, Request
from tests.integration.reconcile.world import INSTANCE, ME, World, world

SIZE = 12


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


@pytest.fixture
async def settled(here: World) -> World:
    """One export in force everywhere."""
    await here.put("soc")
    assert (await here.apply()).outcome == "Succeeded"
    here.arm.requests.clear()
    return here


def drift(here: World, number: int) -> None:
    """Someone disables some of our automations."""
    for document in list(here.ours().values())[:number]:
        here.tenant.set_automation({**document, "properties": {**document["properties"], "isEnabled": False}})


class TestApply:
    async def test_the_first_run_creates_and_the_second_writes_nothing(self, here: World) -> None:
        await here.put("soc")
        first = await here.apply()
        assert (first.outcome, first.counts["Created"]) == ("Succeeded", SIZE)
        assert len(here.ours()) == SIZE
        here.arm.requests.clear()
        second = await here.apply()
        assert (second.outcome, second.counts["Unchanged"]) == ("Succeeded", SIZE)
        assert here.writes() == []

    async def test_drift_is_repaired_and_tags_of_others_stay(self, settled: World) -> None:
        for document in settled.ours().values():
            settled.tenant.set_automation({**document, "tags": {**document["tags"], "costCenter": "42"}})
        drift(settled, 2)
        report = await settled.apply()
        assert report.counts["Updated"] == 2
        assert all(one["properties"]["isEnabled"] for one in settled.ours().values())
        assert all(one["tags"]["costCenter"] == "42" for one in settled.ours().values())

    async def test_a_removed_export_is_pruned_and_a_disabled_one_disabled(self, settled: World) -> None:
        await settled.put("extra", content="secureScore: {}")
        await settled.apply()
        await settled.store.delete("extra")
        await settled.put("soc", enabled=False)
        report = await settled.reconciler(max_deletes=SIZE, max_change_percent=100).apply(Request(ME))
        assert (report.counts["Deleted"], report.counts["Updated"]) == (SIZE, SIZE)
        assert {one["properties"]["isEnabled"] for one in settled.ours().values()} == {False}

    async def test_an_existing_resource_group_keeps_its_tags_and_a_new_one_gets_the_files(self, here: World) -> None:
        first, *rest = sorted(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)
        here.tenant.add_resource_group(first, "rg-defender-export", "northeurope", {"keep": "me"})
        await here.put("soc", automation=", tags: {team: soc}")
        await here.apply()
        kept, made = (here.tenant.resource_group(one, "rg-defender-export") for one in (first, rest[0]))
        assert kept is not None
        assert made is not None
        assert (kept["tags"], made["tags"]) == ({"keep": "me"}, {"team": "soc"})

    async def test_without_leave_to_create_it_a_missing_group_blocks(self, here: World) -> None:
        await here.put("soc", automation=", createResourceGroup: false")
        report = await here.apply()
        assert report.counts["Blocked"] == SIZE
        assert "rg-defender-export is not there" in report.outcomes[0].reason

    async def test_an_adopted_automation_becomes_ours_and_keeps_its_tags(self, here: World) -> None:
        await here.put("soc")
        await here.apply()
        for document in here.ours().values():
            here.tenant.set_automation({**document, "tags": {"made-by": "portal"}})
        await here.reconciler().reports._container.delete_blob("owned.json")  # then nobody knows that they were ours
        conflict = await here.plan()
        assert conflict.plan.counts[Action.FOREIGN] == SIZE
        await here.put("soc", automation=", adopt: true")
        report = await here.apply()
        assert report.counts["Adopted"] == SIZE
        assert all(one["tags"]["made-by"] == "portal" for one in here.ours().values())

    async def test_another_instances_automations_are_never_touched(self, settled: World) -> None:
        before = json.dumps(settled.ours(), sort_keys=True)
        report = await settled.apply(instance_id="other")
        assert report.counts["Foreign"] == SIZE
        assert json.dumps(settled.ours(), sort_keys=True) == before
        assert settled.writes() == []

    async def test_what_a_get_shows_wins_over_resource_graph(self, settled: World) -> None:
        settled.tenant.advance(7200)
        settled.arm.graph_lag = 3600
        await settled.put("soc", content="alerts: {minimumSeverity: High}")
        document = next(iter(settled.ours().values()))
        taken = settled.tenant.set_automation({**document, "tags": {"made-by": "portal"}})
        report = await settled.apply(max_change_percent=100)
        assert report.plan.counts[Action.UPDATE] == SIZE
        assert (report.counts["Updated"], report.counts["Foreign"]) == (SIZE - 1, 1)
        assert settled.tenant.resource(taken["id"]) == taken


class TestMoves:
    async def test_the_new_one_is_made_before_the_old_one_goes(self, settled: World) -> None:
        await settled.put("soc", automation=", name: moved")
        report = await settled.apply(max_deletes=SIZE)
        assert (report.counts["Created"], report.counts["Deleted"]) == (SIZE, SIZE)
        assert {place.rpartition("/")[2] for place in settled.ours()} == {"moved"}
        for subscription in {path.split("/")[2] for _, path in settled.writes()}:
            assert [method for method, path in settled.writes() if subscription in path] == ["PUT", "DELETE"]

    async def test_the_old_one_stays_where_the_new_one_could_not_be_made(self, settled: World) -> None:
        unlucky = next(iter(settled.ours().values()))["id"].split("/")[2]
        settled.arm.faults.add("error", matching=f"PUT /subscriptions/{unlucky}.*/moved", status=500)
        await settled.put("soc", automation=", name: moved")
        report = await settled.apply(max_deletes=SIZE)
        assert (report.counts["Failed"], report.counts["Blocked"], report.counts["Deleted"]) == (1, 1, SIZE - 1)
        assert "successor" in next(one.reason for one in report.outcomes if one.status is Status.BLOCKED)

    async def test_what_was_taken_between_plan_and_delete_is_not_deleted(self, settled: World) -> None:
        settled.tenant.advance(7200)
        settled.arm.graph_lag = 3600
        await settled.put("other", content="secureScore: {}")
        await settled.store.delete("soc")
        stripped, renamed, *_ = list(settled.ours().values())
        settled.tenant.set_automation({**stripped, "tags": {}})
        settled.tenant.set_automation({**renamed, "tags": {**renamed["tags"], "defender-export-name": "other"}})
        report = await settled.apply(max_deletes=SIZE)
        assert report.plan.counts[Action.DELETE] == SIZE
        assert (report.counts["Deleted"], report.counts["Foreign"], report.counts["NotReached"]) == (SIZE - 2, 1, 1)

    async def test_a_delete_that_reads_still_show_is_unconfirmed_and_no_error(self, settled: World) -> None:
        settled.tenant.advance(120)
        settled.arm.read_delay = 60
        await settled.store.delete("soc")
        report = await settled.apply(max_deletes=SIZE)
        assert (report.counts["Unconfirmed"], report.counts["Failed"]) == (SIZE, 0)

    async def test_nothing_goes_where_the_new_one_is_not_visible_yet(self, settled: World) -> None:
        settled.tenant.advance(120)
        settled.arm.read_delay = 60
        await settled.put("other", content="secureScore: {}")
        await settled.store.delete("soc")
        report = await settled.apply(max_deletes=SIZE)
        assert (report.counts["Unconfirmed"], report.counts["Blocked"]) == (SIZE, SIZE)


class TestPurity:
    async def test_a_plan_makes_no_write(self, settled: World) -> None:
        drift(settled, 2)
        hub = destinations(settled.tenant)
        keyed = f"eventHub: {{resourceId: {hub.event_hub}, authorizationRule: {hub.key_name}}}"
        await settled.put("new", destination=keyed)
        report = await settled.plan()
        assert {Action.CREATE, Action.UPDATE} <= set(report.plan.counts)
        assert settled.arm.requests
        assert settled.writes() == []

    async def test_neither_does_the_timer_in_plan_mode(self, settled: World) -> None:
        drift(settled, 2)
        report = await settled.reconciler(reconcile_mode="plan").tick()
        assert (report.mode, report.caller.trigger, report.counts["Updated"]) == ("plan", "timer", 2)
        assert settled.writes() == []

    async def test_the_timer_in_apply_mode_repairs(self, settled: World) -> None:
        drift(settled, 2)
        report = await settled.reconciler(reconcile_mode="apply").tick()
        assert (report.mode, report.counts["Updated"]) == ("apply", 2)
        assert len(settled.writes()) == 2


class TestDoubt:
    @pytest.fixture
    async def doubtful(self, settled: World) -> World:
        """An export was removed, so everything of it is to go."""
        await settled.put("other", content="secureScore: {}")
        await settled.store.delete("soc")
        return settled

    async def test_a_truncated_discovery_deletes_nothing_but_creates(self, doubtful: World) -> None:
        doubtful.arm.subscription_limit = SIZE - 1
        report = await doubtful.apply(max_deletes=100)
        assert report.counts["Deleted"] == 0
        assert report.counts["Created"] > 0
        assert report.outcome == "Partial"
        assert any("first 10,000" in reason for reason in report.plan.reasons)

    async def test_a_lost_page_deletes_nothing(self, doubtful: World) -> None:
        doubtful.arm.faults.add("error", matching="POST .*ResourceGraph", status=500)
        report = await doubtful.apply(max_deletes=100)
        assert report.plan.reasons
        assert doubtful.writes() == []

    async def test_a_sharp_fall_in_subscriptions_deletes_nothing_until_accepted(self, doubtful: World) -> None:
        home = [one.id for one in doubtful.tenant.subscriptions.values() if one.tenant_id == doubtful.tenant.home]
        hub = destinations(doubtful.tenant).event_hub.split("/")[2]
        for gone in [one for one in home if one != hub][: SIZE // 2]:
            doubtful.tenant.subscriptions.delete(gone)
        reconciler = doubtful.reconciler(max_deletes=100)
        report = await reconciler.apply(Request(ME))
        assert report.counts["Deleted"] == 0
        assert "rights may be lost" in report.plan.reasons[0]
        report = await reconciler.apply(Request(ME, accept_fewer=True))
        assert report.counts["Deleted"] > 0, report.reason

    async def test_an_empty_store_deletes_nothing_until_somebody_ends_the_export(self, settled: World) -> None:
        for blob in ("current/soc.yaml", "accepted/soc.yaml"):
            await settled.store._container.delete_blob(blob)
        reconciler = settled.reconciler(max_deletes=100)
        assert (await reconciler.apply(Request(ME))).counts["Deleted"] == 0
        assert (await reconciler.apply(Request(ME, accept_fewer=True))).counts["Deleted"] == 0
        await settled.store.end("soc", by="me")
        assert (await reconciler.apply(Request(ME))).counts["Deleted"] == SIZE

    async def test_a_file_that_cannot_be_read_loses_nothing(self, doubtful: World) -> None:
        container = doubtful.clients.blobs.get_container_client(doubtful.settings.exports_container)
        await container.upload_blob("current/soc.yaml", b"version: 7")
        report = await doubtful.apply(max_deletes=100)
        assert report.counts["Deleted"] == 0
        assert "soc" in report.unreadable
        assert report.outcome == "Partial"

    async def test_guards_hold_everything_of_a_kind(self, doubtful: World) -> None:
        report = await doubtful.apply(max_deletes=SIZE - 1)
        assert (report.counts["Deleted"], report.counts["Created"]) == (0, SIZE)
        assert (report.outcome, len(report.plan.guards)) == ("Blocked", 1)
        widened = Request(ME, guards=lambda guards: Guards(SIZE, guards.max_change_percent))
        assert (await doubtful.reconciler(max_deletes=1).apply(widened)).counts["Deleted"] == SIZE


class TestBudget:
    async def test_a_run_that_its_budget_cuts_says_so_and_the_next_finishes(self, here: World) -> None:
        await here.put("soc")

        def slowly(outcome: Outcome) -> None:
            if outcome.status is Status.CREATED:
                here.tenant.advance(100)

        reconciler = here.reconciler(apply_concurrency=1, apply_budget=timedelta(seconds=420))
        first = await reconciler.apply(Request(ME, progress=slowly))
        assert (first.counts["Created"], first.counts["NotReached"]) == (5, SIZE - 5)
        assert "420 s" in first.outcomes[-1].reason
        assert first.outcome == "Partial"
        second = await here.apply()
        assert (second.outcome, second.counts["Created"]) == ("Succeeded", SIZE - 5)

    async def test_a_cancelled_run_reports_how_far_it_came(self, here: World) -> None:
        await here.put("soc")
        done: list[Outcome] = []

        def stop(outcome: Outcome) -> None:
            done.append(outcome)
            if len(done) == 3:
                task.cancel()

        reconciler = here.reconciler(apply_concurrency=1)
        task = asyncio.ensure_future(reconciler.apply(Request(ME, progress=stop)))
        with pytest.raises(asyncio.CancelledError):
            await task
        (run_id,) = await reconciler.reports.recent(here.clock.now())
        report = await reconciler.reports.read(run_id)
        assert report is not None
        assert report["counts"]["Created"] == 3
        assert report["counts"]["NotReached"] + report["counts"]["Unconfirmed"] == SIZE - 3
        assert "cancelled" in report["reason"]
        assert (await here.apply()).outcome == "Succeeded"


class _Meddling(KeyedDestinations):
    """Destinations that let somebody edit the automation between our GET and our PUT."""

    def __init__(self, arm: Arm, tenant: Tenant, times: int = 1) -> None:
        super().__init__(arm)
        self._tenant = tenant
        self._left = times

    def seal(self, export: str, body: dict[str, Any]) -> dict[str, Any]:
        for document in list(self._tenant.all_automations()):
            if self._left and document["tags"].get("defender-export-name") == export:
                self._left -= 1
                self._tenant.set_automation({**document, "tags": {**document["tags"], "meanwhile": "yes"}})
                break
        return super().seal(export, body)


def _meddled(here: World, **options: int) -> Reconciler:
    return Reconciler(
        here.settings,
        here.clients,
        here.store,
        clock=here.clock,
        destinations=lambda arm: _Meddling(arm, here.tenant, **options),
    )


class TestLostUpdates:
    async def test_an_edit_between_get_and_put_is_kept(self, settled: World) -> None:
        drift(settled, 1)
        report = await _meddled(settled).apply(Request(ME))
        assert report.counts["Updated"] == 1
        assert sum(one["tags"].get("meanwhile") == "yes" for one in settled.ours().values()) == 1
        assert all(one["properties"]["isEnabled"] for one in settled.ours().values())

    async def test_an_automation_that_never_rests_is_left_to_the_next_run(self, settled: World) -> None:
        drift(settled, 1)
        report = await _meddled(settled, times=99).apply(Request(ME))
        assert (report.counts["Unconfirmed"], report.counts["Failed"]) == (1, 0)

    @pytest.mark.parametrize("ignored", [True, False])
    async def test_with_reads_delayed_by_a_minute_nothing_is_lost_and_nothing_is_an_error(
        self, here: World, ignored: bool
    ) -> None:
        here.arm.ignore_if_match = ignored
        here.arm.read_delay = here.arm.graph_lag = 60
        foreign = json.dumps(here.foreign(), sort_keys=True)
        await here.put("soc")
        reports = [await here.apply()]
        assert reports[0].counts["Unconfirmed"] == SIZE
        here.tenant.advance(90)
        for document in here.ours().values():
            here.tenant.set_automation({**document, "tags": {**document["tags"], "costCenter": "42"}})
        here.tenant.advance(90)
        for severity in ("Medium", "High", "Low"):
            await here.put("soc", content=f"alerts: {{minimumSeverity: {severity}}}")
            reports.append(await here.apply(max_change_percent=100))
            here.tenant.advance(10)
        here.tenant.advance(90)
        reports.append(await here.apply(max_change_percent=100))
        here.tenant.advance(90)
        here.arm.requests.clear()
        last = await here.apply(max_change_percent=100)
        assert (last.outcome, here.writes()) == ("Succeeded", [])
        assert [report.counts["Failed"] for report in reports] == [0] * len(reports)
        for document in here.ours().values():
            assert len(document["properties"]["sources"][0]["ruleSets"]) == 3
            assert document["tags"]["costCenter"] == "42"
        assert json.dumps(here.foreign(), sort_keys=True) == foreign


class TestRegistration:
    @pytest.fixture
    def unregistered(self, here: World) -> str:
        chosen = next(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)
        here.tenant.set_registration(chosen, "Microsoft.Security", "NotRegistered")
        return chosen

    async def test_an_unregistered_subscription_is_blocked_with_the_command(
        self, here: World, unregistered: str
    ) -> None:
        await here.put("soc")
        planned = await here.plan()
        report = await here.apply()
        (blocked,) = [item for item in report.plan.items if item.action is Action.BLOCKED]
        assert [item for item in planned.plan.items if item.action is Action.BLOCKED] == [blocked]
        assert f"az provider register --namespace Microsoft.Security --subscription {unregistered}" in blocked.reason
        assert report.counts["Created"] == SIZE - 1

    async def test_or_registered_first_when_allowed(self, here: World, unregistered: str) -> None:
        here.arm.registration_delay = 20
        await here.put("soc")
        report = await here.apply(register_provider=True)
        assert report.counts["Created"] == SIZE

    async def test_a_registration_that_takes_long_is_left_to_the_next_run(self, here: World, unregistered: str) -> None:
        here.arm.registration_delay = 600
        await here.put("soc")
        report = await here.apply(register_provider=True)
        assert (report.counts["NotReached"], report.counts["Created"]) == (1, SIZE - 1)


class TestKeys:
    async def test_a_rotated_key_shows_in_the_plan_and_is_repaired_and_no_key_is_shown(self, here: World) -> None:
        into = destinations(here.tenant)
        await here.put(
            "soc", destination=f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"
        )
        first = await here.apply()
        rule_id = f"{into.event_hub}/authorizationRules/{into.key_name}".lower()
        old = here.tenant.keys[rule_id]["primary"]
        assert all(old in str(here.tenant.secrets[key].connection_strings) for key in here.ours())
        assert sum(seen.path.lower().endswith("listkeys") for seen in here.arm.requests) == 1
        new = here.tenant.keys[rule_id]["primary"] = "rotated" * 6 + "="
        plan = (await here.plan()).plan
        assert {change.path for item in plan.items for change in item.changes} == {
            "tags.defender-export-key-fingerprint"
        }
        second = await here.apply(max_change_percent=100)
        assert second.counts["Updated"] == SIZE
        assert all(new in str(here.tenant.secrets[key].connection_strings) for key in here.ours())
        told = json.dumps([first.as_dict(), second.as_dict(), *here.rows], default=str) + str(here.ours())
        assert old not in told
        assert new not in told

    async def test_a_key_that_cannot_be_read_blocks_its_export_only(self, here: World) -> None:
        into = destinations(here.tenant)
        await here.put("keyed", destination=f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: nothere}}")
        await here.put("soc")
        report = await here.apply()
        assert (report.counts["Created"], report.counts["Blocked"]) == (SIZE, SIZE)
        assert "nothere" in next(item.reason for item in report.plan.items if item.action is Action.BLOCKED)


class TestReviewedPlans:
    async def test_a_plan_that_still_fits_is_applied(self, here: World) -> None:
        await here.put("soc")
        kept = json.loads(json.dumps(plan_as_dict((await here.plan()).plan, INSTANCE)))
        report = await here.reconciler().apply(Request(ME, reviewed=plan_from_dict(kept, INSTANCE)))
        assert report.counts["Created"] == SIZE

    async def test_one_that_no_longer_fits_is_refused_before_anything_is_written(self, settled: World) -> None:
        drift(settled, 1)
        kept = plan_as_dict((await settled.plan()).plan, INSTANCE)
        drift(settled, 2)
        with pytest.raises(StalePlan, match="update"):
            await settled.reconciler().apply(Request(ME, reviewed=plan_from_dict(kept, INSTANCE)))
        assert settled.writes() == []

    async def test_a_run_can_be_narrowed_to_subscriptions_groups_and_exports(self, here: World) -> None:
        await here.put("soc")
        await here.put("other", content="secureScore: {}")
        one = next(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)
        reconciler = here.reconciler()
        narrow = await reconciler.plan(Request(ME, subscriptions=[one.upper()], exports=["soc"]))
        assert [(item.id.subscription_id, item.export) for item in narrow.plan.items] == [(one, "soc")]
        below = await reconciler.plan(Request(ME, management_groups=["Contoso-Management"]))
        assert 0 < len(below.plan.items) < 2 * SIZE


class TestReports:
    async def test_a_run_leaves_a_report_and_a_row(self, here: World) -> None:
        await here.put("soc")
        report = await here.apply()
        reports = here.reconciler().reports
        assert await reports.recent(here.clock.now()) == [report.run_id]
        kept = await reports.read(report.run_id)
        assert kept is not None
        assert kept == json.loads(json.dumps(report.as_dict()))
        assert (kept["actor"], kept["counts"]["Created"], kept["complete"]) == ("tester", SIZE, True)
        assert kept["tenants"][here.tenant.home]["create"] == SIZE
        assert kept["requests"]["put automation"] == SIZE
        (row,) = here.rows
        assert (row["table"], row["RunId"], row["Created"]) == ("DefenderExportRuns_CL", report.run_id, SIZE)
        assert row["Outcome"] == "Succeeded"

    async def test_reports_are_kept_for_their_time_and_no_longer(self, here: World) -> None:
        first = await here.plan(report_retention_days=30)
        container = here.clients.blobs.get_container_client(here.settings.reports_container)
        ahead = timedelta(days=29)

        async def now(of: ContainerClient) -> datetime:
            return await storage_time(of) + ahead

        reports = Reports(container, timedelta(days=30), now)
        others = ("0-summaries/20261126.json", "1.json", "2026-summary.json", f"{first.name[:10]}/x.json")
        for name in others:
            await container.upload_blob(name, b"{}")
        assert await reports.expire() == 0
        ahead = timedelta(days=31)
        assert await reports.expire() == 1
        assert await reports.read(first.run_id) is None
        assert {name async for name in container.list_blob_names()} >= {*others}

    async def test_a_hosts_clock_deletes_no_report(self, here: World) -> None:
        first = await here.plan(report_retention_days=30)
        here.tenant.advance(timedelta(days=91).total_seconds())
        await here.plan(report_retention_days=30)
        assert await here.reconciler().reports.read(first.run_id) is not None

    @pytest.mark.parametrize("run_id", ["", "..", "../../x", "20261122T000000Z-../x", "20261122T000000Z-abc/../../x"])
    async def test_a_run_id_is_no_path(self, here: World, run_id: str) -> None:
        assert await here.reconciler().reports.read(run_id) is None

    async def test_a_run_that_breaks_leaves_its_reason(self, here: World) -> None:
        class Broken(KeyedDestinations):
            async def prepare(self, configs: Any) -> Any:
                raise RuntimeError("no destinations today")

        reconciler = Reconciler(here.settings, here.clients, here.store, clock=here.clock, destinations=Broken)
        with pytest.raises(RuntimeError):
            await reconciler.plan(Request(ME))
        (run_id,) = await reconciler.reports.recent(here.clock.now())
        report = await reconciler.reports.read(run_id)
        assert report is not None
        assert report["outcome"] == "Failed"
        assert "no destinations today" in report["reason"]


async def test_listing_finds_what_resource_graph_finds(local_certs: Certificates, storage: StorageAccount) -> None:
    async with world(synthetic_tenant(5, 30), local_certs, storage) as here:
        await here.put(
            "soc", groups="contoso-landing-zones", scope=", exclude: {managementGroups: [contoso-prod-corp]}"
        )
        graph = await here.plan()
        listed = await here.plan(inventory="list")
        assert graph.plan.writes
        assert [item.id.key for item in listed.plan.writes] == [item.id.key for item in graph.plan.writes]
        assert {item.id.key for item in graph.plan.items} == {item.id.key for item in listed.plan.items}
        assert listed.requests["list automations"] >= 30
