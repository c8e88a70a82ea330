"""What others made, imported as it is: the plan that follows shows nothing but adoption, and repeats nothing."""

import copy
import json
from collections.abc import AsyncIterator

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import samples, synthetic_tenant
from local.tenant.destinations import destinations
from shared.exports.compiler import compile_automation
from shared.exports.rule_sets import normalise, parse_sources
from shared.reconcile.importer.imported_exports import Imported, Left, import_exports
from shared.reconcile.plan.model import Action
from tests.integration.reconcile.world import INSTANCE, World, world

SIZE = 60
OWN_TAGS = "tags.managed-by", "tags.defender-export-"


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    tenant = synthetic_tenant(3, SIZE)
    into = destinations(tenant)
    writable = [
        one
        for one in tenant.subscriptions.values()
        if (one.state, one.tenant_id) == ("Enabled", tenant.home)
        and tenant.registration(one.id, "Microsoft.Security") == "Registered"
    ]
    for subscription, write in zip(writable, samples.WRITERS, strict=False):  # every kind at least once
        tenant.set_automation(write(subscription.id, "rg-asc-export", into))
    logic = samples.terraform(writable[0].id, "rg-asc-export", into)
    name = "workflow"
    tenant.set_automation(
        {
            **logic,
            "id": logic["id"].replace("defender-high", name),
            "properties": {
                **logic["properties"],
                "actions": [{"actionType": "LogicApp", "logicAppResourceId": f"/subscriptions/{writable[0].id}/x"}],
            },
        }
    )
    async with world(tenant, local_certs, storage) as running:
        yield running


async def imported(here: World, *, adopt: bool = True) -> tuple[list[Imported], list[Left]]:
    inventory = await here.reconciler().discover()
    assert inventory.complete
    return import_exports(inventory.automations, inventory.subscriptions, INSTANCE, adopt=adopt)


async def test_import_then_plan_shows_nothing_but_adoption(here: World) -> None:
    before = copy.deepcopy(here.automations())
    files, left = await imported(here)
    for one in files:
        await here.store.put(one.name, one.text)
    report = await here.plan()
    assert report.unreadable == {}
    adopted = [item for item in report.plan.items if item.action is Action.ADOPT]
    assert len(adopted) == sum(len(one.automations) for one in files) >= len(samples.WRITERS)
    assert {item.action for item in report.plan.items} == {Action.ADOPT, Action.FOREIGN}
    assert {item.id for item in report.plan.items if item.action is Action.FOREIGN} == {
        one.automation.id for one in left
    }
    paths = {change.path for item in adopted for change in item.changes}
    assert all(path.startswith(OWN_TAGS) for path in paths)
    assert {item.reason for item in adopted} == {""}
    assert here.automations() == before

    applied = await here.apply()
    assert (applied.outcome, applied.counts["Adopted"]) == ("Succeeded", len(adopted))
    for key, document in here.automations().items():
        was = before[key]["properties"]
        assert document["properties"]["isEnabled"] == was["isEnabled"]
        assert document["properties"]["description"] == was["description"]
        assert normalise(parse_sources(document)) == normalise(parse_sources(was))
    here.arm.requests.clear()
    again = await here.apply()
    assert {item.action for item in again.plan.items} == {Action.UNCHANGED, Action.FOREIGN}
    assert here.writes() == []


async def test_compiled_bodies_mean_the_same_as_the_live_ones(here: World) -> None:
    files, _ = await imported(here)
    for one in files:
        for live in one.automations:
            body = compile_automation(one.config, live.id.subscription_id, INSTANCE)["properties"]
            assert normalise(parse_sources(body)) == normalise(parse_sources(live.properties))
            assert [one.lower() for one in _targets(body)] == [one.lower() for one in _targets(live.properties)]
            assert {scope["scopePath"] for scope in body["scopes"]} == {f"/subscriptions/{live.id.subscription_id}"}
            assert body["isEnabled"] == live.properties["isEnabled"]


def _targets(properties: dict[str, list[dict[str, str]]]) -> list[str]:
    return [value for action in properties["actions"] for name, value in action.items() if name.endswith("ResourceId")]


async def test_subscriptions_whose_exports_mean_the_same_share_a_file(here: World) -> None:
    files, _ = await imported(here)
    automations = sum(len(one.automations) for one in files)
    assert len(files) < automations
    policy = max(files, key=lambda one: len(one.automations))
    assert len(policy.config.scope.subscriptions) == len(policy.automations) > 1


async def test_faults_stay_and_are_waived_by_name(here: World) -> None:
    files, _ = await imported(here)
    anded = next(one for one in files if one.config.automation.name == "mdc-continuous-export")
    assert "contradictory-equals" in {waiver.code for waiver in anded.config.waive}
    assert "# contradictory-equals: " in anded.text
    wrong_path = next(one for one in files if one.config.automation.name == "example-automation")
    assert wrong_path.config.waive
    assert wrong_path.config.export.alerts is None  # only `custom` can say it
    policy = next(one for one in files if one.config.automation.name == "exportToEventHub")
    assert policy.config.export.custom == ()  # sections say all of it


async def test_what_no_file_can_say_is_named_with_the_reason(here: World) -> None:
    _, left = await imported(here)
    assert any("workflow automation" in one.reason for one in left)
    read_only = {one.automation.id.subscription_id for one in left if "read-only" in one.reason}
    states = {here.tenant.subscription(one).state for one in read_only}
    assert states <= {"Disabled", "Warned"}


async def test_without_adopt_the_plan_names_the_conflict_and_touches_nothing(here: World) -> None:
    files, _ = await imported(here, adopt=False)
    for one in files:
        await here.store.put(one.name, one.text)
    before = json.dumps(here.foreign(), sort_keys=True)
    report = await here.apply()
    assert {item.action for item in report.plan.items} == {Action.FOREIGN}
    assert json.dumps(here.foreign(), sort_keys=True) == before


async def test_what_is_declared_already_is_not_imported_again(here: World) -> None:
    files, _ = await imported(here)
    for one in files:
        await here.store.put(one.name, one.text)
    await here.apply()
    again, left = await imported(here)
    assert again == []
    assert sum("declares it already" in one.reason for one in left) == sum(len(one.automations) for one in files)
