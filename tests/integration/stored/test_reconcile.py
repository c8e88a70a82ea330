"""What a store that was lost, put back or shared, and what another release or app wrote, may do to automations."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.azurite import Azurite, StorageAccount
from local.certs import Certificates
from local.stack import provision_storage
from local.tenant import Tenant, synthetic_tenant
from local.tenant.destinations import destinations
from shared.exports.compiler import compile_automation
from shared.exports.store import ExportStore
from shared.jobs.runners import Runners
from shared.jobs.worker import JobWorker
from shared.reconcile.plan.model import Cause
from shared.reconcile.plan.provenance_tags import NUMBER_TAG, WRITER_TAG
from shared.reconcile.plan.saved_plan import plan_from_dict
from shared.reconcile.report.run_report import Report
from shared.reconcile.run import Reconciler, Request
from shared.settings import Settings
from shared.web.health_check import NotWell, last_run
from tests.e2e.job_worker import open_store
from tests.integration.reconcile.world import INSTANCE, ME, LocalClients, World, export, world
from tests.integration.stored.captured import captured, restore
from tests.unit.infra.command_reference import wrong

SIZE = 3


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


@pytest.fixture
async def settled(here: World) -> World:
    """Three exports in force."""
    for name in ("a", "b", "c"):
        await here.put(name)
    assert (await here.apply()).counts["Created"] == 3 * SIZE
    return here


async def put_behind(here: World, blob: str, data: bytes | str) -> None:
    await here.store._container.upload_blob(blob, data, overwrite=True)


async def lose_store(here: World) -> None:
    """The account was lost and made anew: the containers are there, and empty."""
    for name in (here.settings.exports_container, here.settings.reports_container):
        container = here.clients.blobs.get_container_client(name)
        async for blob in container.list_blobs():
            await container.delete_blob(blob.name)


def reasons(report: Report) -> str:
    return "; ".join([*report.plan.guards, *(item.reason for item in report.plan.items)])


def changed(here: World, report: Report) -> dict[str, int]:
    return {name: report.counts[name] for name in ("Created", "Updated", "Deleted") if report.counts[name]}


class TestAbsence:
    async def test_a_store_that_is_refilled_file_by_file_deletes_nothing(self, settled: World) -> None:
        await lose_store(settled)
        for name in ("a", "b", "c"):
            await settled.put(name)
            report = await settled.apply()
            assert changed(settled, report) == {}, name
            assert len(settled.ours()) == 3 * SIZE
            if name != "c":
                assert report.outcome != "Succeeded"
                assert "exports accept" in reasons(report)
        assert await settled.reconciler().accept_store() > 3
        report = await settled.apply()
        assert (changed(settled, report), report.outcome) == ({}, "Succeeded")

    async def test_a_store_of_yesterday_undoes_nothing(self, settled: World) -> None:
        container = settled.store._container
        yesterday = {
            blob.name: (await (await container.download_blob(blob.name)).readall(), dict(blob.metadata or {}))
            async for blob in container.list_blobs(include=["metadata"])
        }
        await settled.put("a", content="alerts: {minimumSeverity: High}")
        await settled.put("d")
        await settled.store.delete("c")
        assert changed(settled, await settled.apply()) == {"Created": SIZE, "Updated": SIZE, "Deleted": SIZE}
        before = json.dumps(settled.ours(), sort_keys=True)
        async for blob in container.list_blobs():
            await container.delete_blob(blob.name)
        for name, (data, metadata) in yesterday.items():
            await container.upload_blob(name, data, metadata=metadata)
        report = await settled.apply()
        assert changed(settled, report) == {}
        assert "put back to an earlier state" in reasons(report)
        assert json.dumps(settled.ours(), sort_keys=True) == before
        # The reports are gone too, and the automations' own marks still tell.
        reports = settled.clients.blobs.get_container_client(settled.settings.reports_container)
        await reports.delete_blob("latest.json")
        assert changed(settled, await settled.apply()) == {}

    @pytest.mark.parametrize("name", ["readme", "b2", "Not A Name"])
    async def test_any_file_that_cannot_be_read_holds_all_deletes(self, settled: World, name: str) -> None:
        await put_behind(settled, f"current/{name}.yaml", "version: 2\nrenamedFrom: a\n")
        await settled.store.delete("a")
        report = await settled.apply()
        assert changed(settled, report) == {}
        assert len(settled.ours()) == 3 * SIZE
        await settled.store._container.delete_blob(f"current/{name}.yaml")
        assert changed(settled, await settled.apply()) == {"Deleted": SIZE}

    async def test_a_merge_or_a_folder_of_a_later_release_deletes_nothing(self, settled: World) -> None:
        for name in ("a", "b"):
            await settled.store._container.delete_blob(f"current/{name}.yaml")
        await put_behind(settled, "current/team/merged.yaml", "version: 2\n")
        await put_behind(settled, "v2/merged.yaml", "version: 2\n")
        assert changed(settled, await settled.apply(max_deletes=100)) == {}
        await settled.store._container.delete_blob("current/team/merged.yaml")
        report = await settled.apply(max_deletes=100)
        assert changed(settled, report) == {}
        assert "exports delete a" in reasons(report)

    @pytest.mark.parametrize("tag", [None, "", "A", "nobody"])
    async def test_without_a_known_name_nothing_of_ours_goes(self, settled: World, tag: str | None) -> None:
        for document in settled.ours().values():
            if document["tags"]["defender-export-name"] == "a":
                del document["tags"]["defender-export-name"]
                document["tags"] |= {} if tag is None else {"defender-export-name": tag}
                settled.tenant.set_automation(document)
        await settled.store._container.delete_blob("current/a.yaml")
        assert changed(settled, await settled.apply(max_deletes=100)) == {}
        assert len(settled.ours()) == 3 * SIZE

    async def test_a_record_of_a_delete_that_cannot_be_read_deletes_nothing(self, settled: World) -> None:
        await settled.store.delete("a")
        for data in (b"{", b"", b"[]", b'{"format": 2, "name": "a"}', b'{"format": 1, "name": "b", "deleted": "x"}'):
            await put_behind(settled, "deleted/a.json", data)
            assert changed(settled, await settled.apply()) == {}, data
        await settled.store.end("a", by="me")
        assert changed(settled, await settled.apply()) == {"Deleted": SIZE}

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"number": "x"}', b'{"format": 2, "number": 9}', b"null"])
    async def test_a_number_that_cannot_be_read_holds_everything(self, settled: World, data: bytes) -> None:
        await put_behind(settled, "number.json", data)
        await settled.store._container.upload_blob("current/d.yaml", export(settled.tenant, "d"))
        report = await settled.apply()
        assert changed(settled, report) == {}
        assert "number" in reasons(report)

    async def test_put_again_it_is_no_longer_deleted(self, settled: World) -> None:
        await settled.store.delete("a")
        await settled.put("a")
        assert changed(settled, await settled.apply()) == {}


class TestBaseline:
    @pytest.mark.parametrize("data", [b"", b"{cut", b"[]", b"null", b"5", b'{"format": 2, "seen": 9}', b"{}"])
    async def test_one_that_cannot_be_read_holds_deletes_and_heals(self, settled: World, data: bytes) -> None:
        reports = settled.clients.blobs.get_container_client(settled.settings.reports_container)
        await reports.upload_blob("latest.json", data, overwrite=True)
        await settled.store.delete("a")
        first = await settled.apply()
        assert changed(settled, first) == {}
        assert first.outcome == "Partial"
        assert changed(settled, await settled.apply()) == {"Deleted": SIZE}

    async def test_a_run_that_was_killed_is_seen(self, settled: World) -> None:
        reconciler = settled.reconciler()
        run = reconciler._begin(Request(ME), "apply")
        await reconciler.reports.save(run.report)
        kept = await reconciler.reports.read(run.report.run_id)
        assert kept is not None
        assert (kept["outcome"], kept["ended"]) == ("Running", kept["started"])

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"[]", b'{"runId": 5}', b'{"format": 7, "release": "9.0"}', b"\x1f\x8b\x00", b'{"counts": []}'],
    )
    async def test_a_report_that_cannot_be_read_is_shown_and_takes_no_list_with_it(
        self, settled: World, data: bytes
    ) -> None:
        reports = settled.reconciler().reports
        report = await settled.apply()
        await reports._container.upload_blob(report.name, data, overwrite=True)
        found = await reports.read(report.run_id)
        assert found is not None
        assert (found["outcome"], found["runId"], found["items"]) == ("Unreadable", report.run_id, [])
        assert found["reason"]
        names = await reports.recent(settled.clock.now())
        assert [one["runId"] for name in names if (one := await reports.read(name))] == names


@dataclass
class Ready:
    """What the check of the last run asks for."""

    reconciler: Reconciler
    settings: Settings


class TestRuns:
    @pytest.mark.parametrize("name", ["{run}.summary.json", "{run}.json.gz", "1.json", "2026-summary.json", "z.json"])
    async def test_what_lies_beside_reports_hides_none_of_them(self, settled: World, name: str) -> None:
        report = await settled.reconciler(reconcile_mode="apply").tick()
        reports = settled.reconciler().reports
        day = report.name.rpartition("/")[0]
        blob = f"{day}/{name.format(run=report.run_id)}"
        await reports._container.upload_blob(blob, b"{}")
        assert (await reports.recent(settled.clock.now()))[0] == report.run_id
        assert "Succeeded" in await last_run(Ready(settled.reconciler(), settled.settings))  # type: ignore[arg-type] # all that it asks for
        await reports.expire()
        assert await reports._container.get_blob_client(blob).exists()

    async def test_a_job_that_finds_another_run_writing_waits_and_is_done_later(self, settled: World) -> None:
        async with open_store(settled.settings.storage_connection) as store:
            other: Any = None  # this kind asks for the reconciler alone
            runners = Runners(
                reconciler=settled.reconciler(),
                exports=settled.store,
                tenant_state=other,
                present=other,
                replay=other,
                discard=other,
                deliver=other,
                deadline=other,
                gone=other,
                canary=other,
                to_rows=other,
            )
            work = JobWorker(store, {"reconcile": runners.reconcile}, retention=timedelta(days=90))
            job = await store.submit("reconcile", {}, "test", now=datetime.now(UTC))
            await store._queue.clear_messages()
            reports = settled.clients.blobs.get_container_client(settled.settings.reports_container)
            lease = await reports.get_blob_client("reconcile.lock").acquire_lease(60)
            await work.run(job.id)
            waiting = (await store.get(job.id)).job
            assert (waiting.state, waiting.attempt) == ("queued", 0)
            assert "another run is writing" in waiting.progress
            assert (await store._queue.get_queue_properties()).approximate_message_count == 1
            await lease.release()
            await work.run(job.id)
            done = await store.settled(job.id, datetime.now(UTC))
            assert (done.state, (done.result or {})["outcome"]) == ("succeeded", "Succeeded")

    async def test_a_lease_without_end_is_named_with_what_ends_it(self, settled: World) -> None:
        reports = settled.clients.blobs.get_container_client(settled.settings.reports_container)
        lease = await reports.get_blob_client("reconcile.lock").acquire_lease(-1)
        for _ in range(4):
            report = await settled.reconciler(reconcile_mode="apply").tick()
            assert (report.outcome, "az storage blob lease break" in report.reason) == ("Skipped", True)
            assert wrong(report.reason) == []
        asked = Ready(settled.reconciler(), settled.settings)
        with pytest.raises(NotWell, match=r"none of the timer's last 4 runs came to write: .* lease break"):
            await last_run(asked)  # type: ignore[arg-type] # all that it asks for
        await lease.break_lease(0)
        assert (await settled.reconciler(reconcile_mode="apply").tick()).outcome == "Succeeded"
        assert "Succeeded" in await last_run(asked)  # type: ignore[arg-type] # as above

    async def test_a_version_that_was_deleted_with_its_export_never_comes_back(self, settled: World) -> None:
        accepted = settled.store._container.get_blob_client("accepted/a.yaml")
        text, about = await (await accepted.download_blob()).readall(), (await accepted.get_blob_properties()).metadata
        await settled.store.delete("a")
        await accepted.upload_blob(text, metadata=about)  # the delete ended before this was taken away
        assert changed(settled, await settled.apply()) == {"Deleted": SIZE}
        await put_behind(settled, "current/a.yaml", "version: 1\nname: a\nexport: {alerts: 5}\n")
        report = await settled.apply()
        assert changed(settled, report) == {}
        assert "a" in report.unreadable
        await settled.put("a")
        assert changed(settled, await settled.apply()) == {"Created": SIZE}


@pytest.fixture
async def other(here: World, azurite: Azurite, local_certs: Certificates) -> AsyncIterator[World]:
    """A second app of the same instance, with a storage account of its own."""
    from dataclasses import replace

    from tests.conftest import _spares

    account = azurite.account(next(_spares))
    provision_storage(account.connection_string, local_certs)
    settings = replace(here.settings, storage_connection=account.connection_string)
    clients = LocalClients(settings, here.clients.credential)
    store = ExportStore(clients.blobs.get_container_client(settings.exports_container))
    try:
        yield replace(here, settings=settings, clients=clients, store=store, rows=[])
    finally:
        await clients.close()


@pytest.fixture
async def beside(here: World) -> AsyncIterator[World]:
    """A second app of the same instance, on the same storage account, whose files lie in a container of their own."""
    from dataclasses import replace

    settings = replace(here.settings, exports_container="exports-of-another")
    clients = LocalClients(settings, here.clients.credential)
    container = clients.blobs.get_container_client(settings.exports_container)
    await container.create_container()
    try:
        yield replace(here, settings=settings, clients=clients, store=ExportStore(container), rows=[])
    finally:
        await clients.close()


@pytest.mark.parametrize("turns", [4, pytest.param(20, marks=pytest.mark.soak)])
class TestWritersOfOneAccount:
    async def test_two_apps_with_files_of_their_own_do_not_undo_each_other(
        self, here: World, beside: World, turns: int
    ) -> None:
        await here.put("a")
        await beside.put("a", content="alerts: {minimumSeverity: High}")
        assert changed(here, await here.apply()) == {"Created": SIZE}
        here.arm.requests.clear()
        for turn in range(turns):
            first, second = (here, beside) if turn % 2 else (beside, here)
            reports = {app is here: await app.apply() for app in (first, second)}
            assert reports[True].outcome == "Succeeded", turn
            assert "another app writes for this instance" in reasons(reports[False])
            assert (reports[False].outcome, changed(beside, reports[False])) == ("Blocked", {}), turn
        assert here.writes() == []
        claim = Request(ME, claim=True)
        for app, rest in ((beside, here), (here, beside)):
            assert (await app.reconciler().apply(claim)).counts["Updated"] == SIZE
            assert "another app writes" in reasons(await rest.apply())
            assert changed(app, await app.apply()) == {"Updated": SIZE}

    async def test_two_apps_of_one_store_write_in_turn_and_nothing_twice(self, here: World, turns: int) -> None:
        """As two slots or regions that share all: one of them runs at a time, the other says which holds it."""
        import asyncio

        await here.put("a")
        for turn in range(turns):
            if turn == turns // 2:
                await here.store.delete("a")
            found = await asyncio.gather(here.apply(), here.apply(), return_exceptions=True)
            reports = [one for one in found if isinstance(one, Report)]
            assert len(reports) == 2, found
            skipped = [one for one in reports if one.outcome == "Skipped"]
            assert all("another run is writing" in one.reason for one in skipped), turn
            assert all(one.outcome == "Succeeded" for one in reports if one not in skipped), turn
            assert len(skipped) < 2, turn
        written = [(method, path.lower()) for method, path in here.writes() if "/automations/" in path.lower()]
        assert sorted(method for method, _ in written) == ["DELETE"] * SIZE + ["PUT"] * SIZE
        assert len(set(written)) == 2 * SIZE


class TestWriters:
    async def test_two_apps_of_one_instance_do_not_undo_each_other(self, here: World, other: World) -> None:
        for name in ("a", "b"):
            await here.put(name)
        await other.put("a", content="alerts: {minimumSeverity: High}")
        assert changed(here, await here.apply()) == {"Created": 2 * SIZE}
        here.arm.requests.clear()
        for turn in range(10):
            assert (await here.apply()).outcome == "Succeeded", turn
            report = await other.apply()
            assert "another app writes for this instance" in reasons(report)
            assert "claim" in reasons(report)
            assert report.outcome != "Succeeded"
        assert here.writes() == []

    async def test_both_at_once_from_nothing_write_each_automation_once(self, here: World, other: World) -> None:
        import asyncio

        for app in (here, other):
            await app.put("a")
        await asyncio.gather(here.apply(), other.apply())
        for _ in range(10):
            await asyncio.gather(here.apply(), other.apply())
        puts = [path for method, path in here.writes() if method == "PUT" and "automations/" in path.lower()]
        deletes = [path for method, path in here.writes() if method == "DELETE"]
        assert (len(set(puts)), deletes) == (SIZE, [])
        assert len(puts) <= 2 * SIZE  # a write that both began before either could be seen

    async def test_a_claim_takes_over_and_the_way_back_does_too(self, here: World, other: World) -> None:
        await here.put("a")
        await here.apply()
        await other.put("a", content="alerts: {minimumSeverity: High}")
        claim = Request(ME, claim=True)
        taken = await other.reconciler().apply(claim)
        assert (taken.outcome, taken.counts["Updated"]) == ("Succeeded", SIZE)
        assert {one.cause for one in taken.plan.writes} == {Cause.CLAIM}
        assert "another app writes" in reasons(await here.apply())
        assert changed(other, await other.apply()) == {"Updated": SIZE}
        assert (await here.reconciler().apply(claim)).counts["Updated"] == SIZE
        assert "another app writes" in reasons(await other.apply())

    async def test_a_former_instance_is_taken_over(self, here: World) -> None:
        await here.put("a")
        await here.apply()
        renamed = {"instance_id": "renamed"}
        assert (await here.apply(**renamed)).counts["Foreign"] == SIZE
        request = Request(ME, claim=True, former_instance=INSTANCE.upper())
        assert (await here.reconciler(**renamed).apply(request)).counts["Updated"] == SIZE
        assert (await here.apply(**renamed)).counts["Unchanged"] == SIZE

    @pytest.mark.parametrize(
        ("tag", "value"), [(WRITER_TAG, "somebody/else"), (NUMBER_TAG, "999999"), (NUMBER_TAG, "many")]
    )
    async def test_a_mark_forged_in_one_subscription_holds_that_one_alone(
        self, settled: World, tag: str, value: str
    ) -> None:
        documents = list(settled.ours().values())
        where = documents[0]["id"].split("/")[2].lower()
        forged = next(one for one in documents if f"/{where}/" in one["id"].lower())
        forged["tags"][tag] = value
        settled.tenant.set_automation(forged)
        for document in settled.ours().values():
            document["properties"]["isEnabled"] = False
            settled.tenant.set_automation(document)
        report = await settled.apply(max_change_percent=100)
        assert changed(settled, report) == {"Updated": 3 * (SIZE - 1)}
        assert report.outcome != "Succeeded"
        off = [one for one in settled.ours().values() if not one["properties"]["isEnabled"]]
        assert {one["id"].split("/")[2].lower() for one in off} == {where}

    async def test_the_instance_in_another_case_is_the_same_for_plan_and_coverage(self, settled: World) -> None:
        from shared.tenant_state import TenantStateReader

        state = await TenantStateReader(settled.clients, settled.store, INSTANCE.upper()).take()
        owners = {each.owner for one in state.coverage for found in one.exporters.values() for each in found}
        assert owners == {"ours"}


class TestCauses:
    async def test_an_edit_passes_and_drift_counts(self, local_certs: Certificates, storage: StorageAccount) -> None:
        async with world(synthetic_tenant(1, 12, untidy=False), local_certs, storage) as here:
            await here.put("a")
            await here.apply()
            await here.put("a", content="alerts: {minimumSeverity: High}")
            assert changed(here, await here.apply(max_change_percent=20)) == {"Updated": 12}
            for document in here.ours().values():
                document["properties"]["isEnabled"] = False
                here.tenant.set_automation(document)
            report = await here.apply(max_change_percent=20)
            assert (changed(here, report), report.outcome) == ({}, "Blocked")

    async def test_a_renewed_key_passes_at_once(self, local_certs: Certificates, storage: StorageAccount) -> None:
        async with world(synthetic_tenant(1, 12, untidy=False), local_certs, storage) as here:
            into = destinations(here.tenant)
            keyed = f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"
            await here.put("a", destination=keyed)
            await here.apply()
            for secret in here.ours().values():
                secret["tags"]["defender-export-key-fingerprint"] = "of-the-key-before"
                here.tenant.set_automation(secret)
            report = await here.apply(max_change_percent=20)
            assert changed(here, report) == {"Updated": 12}
            assert {item.cause for item in report.plan.writes} == {Cause.KEY}

    async def test_what_a_release_writes_otherwise_waits_and_drift_does_not(
        self, settled: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import shared.reconcile.plan.desired as compiling

        written = compile_automation

        def otherwise(*arguments: Any) -> dict[str, Any]:
            body = written(*arguments)
            body["properties"]["description"] += " (as the next release says it)"
            return body

        monkeypatch.setattr(compiling, "compile_automation", otherwise)
        off = next(iter(settled.ours().values()))
        off["properties"]["isEnabled"] = False
        settled.tenant.set_automation(off)
        report = await settled.apply()
        assert changed(settled, report) == {"Updated": 1}
        assert all(one["properties"]["isEnabled"] for one in settled.ours().values())
        assert "next release" not in json.dumps(settled.ours())
        assert "--cause release" in reasons(report)
        assert changed(settled, await settled.apply()) == {}
        report = await settled.reconciler().apply(Request(ME, causes=[Cause.RELEASE]))
        assert changed(settled, report) == {"Updated": 3 * SIZE}
        assert changed(settled, await settled.apply()) == {}


def tenant_of_43a9e6c() -> Tenant:
    """The captured tenant, with the automations as 43a9e6c made them."""
    tenant = synthetic_tenant(3, 4, untidy=False)
    for document in captured()["automations"]:
        group = document["id"].split("/providers/")[0]
        subscription = document["id"].split("/")[2]
        if tenant.resource(group) is None:
            tenant.add_resource_group(subscription, group.rsplit("/", 1)[-1], "westeurope", {})
        tenant.set_automation(json.loads(json.dumps(document)))
    return tenant


async def test_automations_of_43a9e6c_stay_ours_and_are_rewritten_only_by_a_named_cause(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    tenant = tenant_of_43a9e6c()
    async with world(tenant, local_certs, storage, instance_id="captured") as here:
        await restore(here.clients, "export-configs", "run-reports")
        before = json.dumps(here.automations(), sort_keys=True)
        reports = here.reconciler().reports
        ids = await reports.recent(here.clock.now(), limit=50)
        kept = [blob["name"] for blob in captured()["blobs"] if blob["name"].startswith("2026/")]
        assert len(ids) == len(kept) or not ids  # those of a day that is past its retention are not listed
        for name in kept:
            found = await reports.read(name.rpartition("/")[2].removesuffix(".json"))
            assert found is not None
            assert found["outcome"] in {"Succeeded", "Partial"}
        baseline = await here.reconciler().last_run.baseline()
        assert (baseline.subscriptions > 0, baseline.trouble) == (True, "")
        report = await here.apply()
        names = {item.export for item in report.plan.items if item.export}
        assert names <= {"soc", "keyed", "broken"}
        assert report.counts["Foreign"] == 0
        rewritten = {item.cause for item in report.plan.writes}
        assert rewritten <= {Cause.KEY}, [(item.reason, item.changes) for item in report.plan.writes]
        if not rewritten:
            assert json.dumps(here.automations(), sort_keys=True) == before


def test_a_plan_of_43a9e6c_is_refused_since_it_does_not_bind_what_it_creates() -> None:
    with pytest.raises(ValueError, match="does not bind what it creates; make a new one"):
        plan_from_dict(captured()["plan"], "captured")


async def test_freshness_does_not_take_a_file_it_cannot_read_for_an_export_that_ended(settled: World) -> None:
    from shared.tenant_state import TenantStateReader

    for blob in ("current/a.yaml", "accepted/a.yaml"):
        await put_behind(settled, blob, "version: 2\n")
    state = await TenantStateReader(settled.clients, settled.store, INSTANCE).take()
    assert not state.complete
    assert "file of a can't be read" in state.reasons[0]


class TestPush:
    async def test_a_file_that_the_app_refuses_stops_all_of_them(
        self, here: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from shared.cli.push import StoreTarget, push_files
        from shared.exports.validation import check_text

        class Older(StoreTarget):
            """An app of a release that knows less."""

            async def release(self) -> str:
                return "0.9.0"

            async def refusal(self, name: str, text: bytes) -> str:
                return "'severities' is not a key here" if name == "b" else ""

        files = [check_text(export(here.tenant, name).encode(), name) for name in ("a", "b", "c")]
        assert await push_files(files, Older(here.store)) == 1
        assert await here.store.list() == []
        shown = capsys.readouterr().out
        assert "release 0.9.0" in shown
        assert "b: the app would refuse it" in shown

    async def test_only_the_app_takes_a_version_on(self, here: World) -> None:
        from shared.cli.push import StoreTarget, push_files
        from shared.exports.validation import check_text

        file = check_text(export(here.tenant, "a").encode(), "a")
        assert await push_files([file], StoreTarget(here.store)) == 0
        blobs = {blob.name async for blob in here.store._container.list_blobs()}
        assert blobs == {"current/a.yaml", "number.json"}
        await here.plan()
        assert {blob.name async for blob in here.store._container.list_blobs()} == blobs
        await here.apply()
        assert "accepted/a.yaml" in {blob.name async for blob in here.store._container.list_blobs()}
