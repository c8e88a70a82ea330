"""Two who write at once: etags in header and body, creates that only create, and what Azure gives back."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import Tenant, synthetic_tenant
from local.tenant.destinations import destinations
from shared.exports.compiler import FINGERPRINT_TAG
from shared.exports.model import ExportConfig
from shared.reconcile.apply.executor import Status
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.destinations.event_hub_keys import KeyedDestinations
from shared.reconcile.plan.desired import Prepared
from shared.reconcile.plan.model import Cause
from shared.reconcile.run import Reconciler, Request
from tests.integration.reconcile.world import ME, World, world

SIZE = 3


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


class _Edited(KeyedDestinations):
    """Destinations whose last step before the PUT finds that somebody edits the automation once."""

    def __init__(self, arm: Arm, tenant: Tenant) -> None:
        super().__init__(arm)
        self._tenant = tenant
        self._done = False

    async def prepare(self, configs: Sequence[ExportConfig]) -> Mapping[str, Prepared]:
        return await super().prepare(configs)

    def seal(self, export: str, body: dict[str, Any]) -> dict[str, Any]:
        if not self._done:
            self._done = True
            first = next(iter(sorted(self._tenant.all_automations(), key=lambda one: one["id"])))
            tags = {**first["tags"], "edited": "between GET and PUT"}
            self._tenant.set_automation({**first, "tags": tags})
        return super().seal(export, body)


@pytest.mark.parametrize("only_the_body", [False, True])
async def test_an_edit_between_get_and_put_is_not_overwritten_where_the_etag_is_honoured(
    here: World, only_the_body: bool
) -> None:
    await here.put("soc")
    await here.apply()
    here.arm.ignore_headers = only_the_body
    document = min(here.ours().values(), key=lambda one: one["id"])
    here.tenant.set_automation({**document, "properties": {**document["properties"], "isEnabled": False}})
    reconciler = Reconciler(
        here.settings,
        here.clients,
        here.store,
        clock=here.clock,
        destinations=lambda arm: _Edited(arm, here.tenant),
    )
    report = await reconciler.apply(Request(ME))
    assert (report.counts["Updated"], report.counts["Failed"]) == (1, 0)
    written = here.automations()[document["id"].lower()]
    assert (written["tags"]["edited"], written["properties"]["isEnabled"]) == ("between GET and PUT", True)


async def test_a_create_that_meets_somebody_elses_overwrites_nothing(here: World) -> None:
    await here.put("soc")
    await here.apply()
    (taken, *_) = sorted(here.ours())
    document = here.automations()[taken]
    for each in list(here.ours()):
        here.tenant.delete_automation(each)
    here.tenant.advance(3600)
    here.arm.read_delay = here.arm.graph_lag = 120
    theirs = here.tenant.set_automation({**document, "tags": {"made-by": "portal"}})
    report = await here.apply()
    (one,) = [outcome for outcome in report.outcomes if str(outcome.id).lower() == taken]
    assert one.status is Status.UNCONFIRMED
    assert here.automations()[taken] == theirs


async def test_where_azure_looks_at_no_precondition_it_is_told(here: World) -> None:
    await here.put("soc")
    await here.apply()
    (taken, *_) = sorted(here.ours())
    document = here.automations()[taken]
    for each in list(here.ours()):
        here.tenant.delete_automation(each)
    here.tenant.advance(3600)
    here.arm.ignore_if_match = True
    here.arm.read_delay = here.arm.graph_lag = 120
    here.tenant.set_automation({**document, "tags": {"made-by": "portal"}})
    report = await here.apply()
    told = [outcome for outcome in report.outcomes if "replaced something" in outcome.reason]
    assert [str(outcome.id).lower() for outcome in told] == [taken]
    assert any("replaced something" in problem["reason"] for problem in report.row()["Problems"])


async def test_what_azure_adds_to_its_answers_is_never_sent_back(here: World) -> None:
    await here.put("soc")
    await here.apply()
    document = next(iter(here.ours().values()))
    assert document["properties"]["metadata"]["createdBy"]
    here.tenant.set_automation({**document, "properties": {**document["properties"], "isEnabled": False}})
    assert (await here.apply()).counts["Updated"] == 1
    assert here.arm.strays == []


async def test_another_rules_key_is_repaired(here: World) -> None:
    into = destinations(here.tenant)
    keyed = f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"
    await here.put("soc", destination=keyed)
    await here.apply()
    document = next(iter(here.ours().values()))
    (action,) = document["properties"]["actions"]
    other = [{**action, "sasPolicyName": "someone-elses-rule"}]
    here.tenant.set_automation({**document, "properties": {**document["properties"], "actions": other}})
    report = await here.apply()
    (item,) = report.plan.writes
    assert (item.cause, [change.path for change in item.changes]) == (Cause.DRIFT, ["properties.actions"])
    after = here.automations()[document["id"].lower()]
    assert after["properties"]["actions"][0]["sasPolicyName"] == into.key_name
    assert after["tags"][FINGERPRINT_TAG]
    assert (await here.apply()).counts["Updated"] == 0
