"""A subscription that was seen and is not any more: said by each run and reading, until it is said to be gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import APP, synthetic_tenant
from local.tenant.ids import management_group_id
from local.tenant.roles import READER
from local.tenant.synthetic import EXPORT_ROLE
from shared.reconcile.arm.arm_client import Arm, ArmError
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.model import ResourceId
from shared.reconcile.report.last_run_state import LATEST_BLOB, LastRunState
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.tenant_state import TenantState, TenantStateReader
from shared.watch.open_items import OpenItems
from shared.web.health_check import _newest_of_the_tenant
from tests.integration.reconcile.world import ME, World, world

SIZE = 12
SAID = "took writes at the last complete run and can't be seen any more"


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(2, SIZE, untidy=False), local_certs, storage) as running:
        await running.put("soc")
        assert (await running.apply()).outcome == "Succeeded"
        yield running


def home(here: World) -> list[str]:
    return sorted(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)


def sees(here: World, *seen: str) -> None:
    """From now on the app has its roles over these subscriptions of the home tenant alone."""
    here.tenant.revoke(APP, management_group_id(here.tenant.home))
    for one in seen:
        for role in (READER, EXPORT_ROLE):
            here.tenant.assign(APP, f"/subscriptions/{one}", role)


async def read(here: World) -> TenantState:
    last = LastRunState(here.clients.blobs.get_container_client(here.settings.reports_container))
    return await TenantStateReader(here.clients, here.store, here.settings.instance_id, last_run=last).take()


async def test_rights_that_are_lost_on_one_are_said_until_they_are_back(here: World) -> None:
    lost, *others = home(here)
    assert not (await read(here)).lost
    sees(here, *others)
    for report in (await here.apply(), await here.plan(), await here.apply()):
        assert report.outcome == "Partial"
        assert [lost in one and SAID in one for one in report.plan.findings].count(True) == 1
        assert [lost in one["reason"] for one in report.row()["Problems"]] == [True]
        assert not report.plan.reasons
        assert not report.plan.writes
    state = await read(here)
    assert (state.complete, state.unseen, state.failed) == (False, state.lost, False)
    assert lost in state.lost[0]
    for role in (READER, EXPORT_ROLE):
        here.tenant.assign(APP, management_group_id(here.tenant.home), role)
    assert (await here.apply()).outcome == "Succeeded"
    assert (await read(here)).complete


async def test_what_is_really_gone_is_said_until_that_is_accepted(here: World) -> None:
    first, second = home(here)[:2]
    for gone in (first, second):
        here.tenant.subscriptions.delete(gone)
    (said,) = (await here.apply()).plan.findings
    assert said.startswith(f"the subscriptions {first} and 1 more {SAID}")
    assert (await here.reconciler().apply(Request(ME, accept_fewer=True))).outcome == "Succeeded"
    assert (await here.apply()).outcome == "Succeeded"
    assert (await read(here)).complete


async def test_what_was_seen_disabled_goes_without_a_word(here: World) -> None:
    ending = home(here)[0]
    here.tenant.change_subscription(ending, state="Disabled")
    await here.apply()
    here.tenant.subscriptions.delete(ending)
    assert (await here.apply()).outcome == "Succeeded"
    assert (await read(here)).complete


async def test_one_that_moves_out_of_what_the_app_may_see_is_not_in_force_either(here: World) -> None:
    lost, *others = home(here)
    sees(here, *others)
    narrowed = await here.reconciler().plan(Request(ME, subscriptions=others[:1]))
    assert SAID not in narrowed.reason
    by_export = await here.reconciler().plan(Request(ME, exports=["soc"]))
    assert lost in by_export.reason


async def test_where_much_is_lost_it_is_said_once(here: World) -> None:
    sees(here, *home(here)[6:])
    report = await here.plan()
    assert "rights may be lost" in report.plan.reasons[0]
    assert SAID not in report.reason


async def test_a_person_who_sees_more_or_less_takes_the_place_of_nothing_that_the_app_saw(here: World) -> None:
    hidden, gone, *others = home(here)
    last = LastRunState(here.clients.blobs.get_container_client(here.settings.reports_container))
    app = await here.reconciler().apply(Request(Caller("timer", "reconcile_exports")))
    kept = json.loads(await (await last._container.download_blob(LATEST_BLOB)).readall())
    assert (kept["trigger"], kept["identity"]) == ("timer", app.identity)
    known = {name: state for name, state in kept["known"].items() if name != others[0]}  # which a person sees as well
    changed = json.dumps(kept | {"identity": "the app's", "known": known})
    await last._container.upload_blob(LATEST_BLOB, changed, overwrite=True)
    sees(here, gone, *others)
    assert (await here.apply()).outcome in {"Succeeded", "Partial"}
    baseline = await last.baseline()
    assert (baseline.identity, baseline.trigger, dict(baseline.known)) == ("the app's", "timer", known)
    await here.reconciler().apply(Request(ME, accept_fewer=True))
    assert dict((await last.baseline()).known) == {name: state for name, state in known.items() if name != hidden}


@pytest.mark.parametrize("kept", [json.dumps({"format": 99, "release": "9.0.0"}), "no JSON", "{}"])
async def test_where_it_is_not_known_which_there_were_no_reading_is_complete(here: World, kept: str) -> None:
    reports = here.clients.blobs.get_container_client(here.settings.reports_container)
    await reports.upload_blob(LATEST_BLOB, kept, overwrite=True)
    sees(here, *home(here)[1:])
    state = await read(here)
    assert (state.complete, state.failed, state.lost) == (False, False, ())
    assert state.unseen[0].startswith("which subscriptions there were is not known: this baseline ")


async def test_nothing_is_gone_of_a_subscription_that_is_not_shown(here: World) -> None:
    lost = home(here)[0]
    here.tenant.subscriptions.delete(lost)
    arm = Arm(here.clients, here.clock, Pacer(here.clock), halt=lambda: "")
    place = ResourceId(lost, "rg-defender-export", "defender-export-soc")
    for asked in (arm.get(place), arm.delete(place), arm.group_exists(place)):
        with pytest.raises(ArmError, match="could not be found"):
            await asked


async def test_a_run_that_only_claims_is_not_the_newest_that_looked_at_the_tenant(here: World) -> None:
    timer = await here.reconciler().apply(Request(Caller("timer", "reconcile_exports")))
    for caller, claim in ((Caller("job", "someone"), True), (ME, False)):
        assert (await here.reconciler().apply(Request(caller, claim=claim))).outcome == "Succeeded"
    reports = here.reconciler().reports
    newest = await OpenItems(reports.newest, reports.read).newest(here.clock.now())
    assert newest.run is not None
    assert newest.run["runId"] == timer.run_id
    assert [each["runId"] for each in newest.reports] == [timer.run_id]
    found = await _newest_of_the_tenant(reports, here.clock.now())
    assert found is not None
    assert found["runId"] == timer.run_id


async def test_another_identity_that_sees_less_does_not_make_the_rest_forgotten(here: World) -> None:
    lost, *others = home(here)
    last = LastRunState(here.clients.blobs.get_container_client(here.settings.reports_container))
    kept = json.loads(await (await last._container.download_blob(LATEST_BLOB)).readall())
    await last._container.upload_blob(LATEST_BLOB, json.dumps(kept | {"identity": "the former"}), overwrite=True)
    sees(here, *others)
    of_timer = Request(Caller("timer", "reconcile_exports"))
    await here.reconciler().apply(of_timer)
    assert lost in (await last.baseline()).known
    assert lost in (await here.reconciler().apply(of_timer)).reason
    assert not (await read(here)).complete
