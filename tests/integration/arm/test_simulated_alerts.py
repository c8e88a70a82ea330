"""Alerts simulated through the genuine client, and continuous export of them with each hop broken in turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.eventhub.aio import EventHubConsumerClient
from azure.mgmt.security.aio import SecurityManagementClient
from azure.mgmt.security.models import BundleType

from local.arm import Arm
from local.certs import Certificates
from local.sample_alerts import SAMPLES
from local.stack import LocalAzure
from local.tenant import APP, Subscription, Tenant, destinations
from local.tenant.destinations import DEFENDER
from local.tenant.roles import custom_role
from local.tenant.state import Secrets
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser

from .conftest import GROUP, Make, Rest, automation, connection_string

EXPORT = "export"
SIMULATE = "Microsoft.Security/locations/alerts/simulate/action"


def asked(*bundles: str) -> dict[str, Any]:
    return {"properties": {"kind": "Bundles", "bundles": [*bundles]}}


@pytest.fixture
def sent(arm: Arm) -> list[dict[str, Any]]:
    """What continuous export puts into hubs."""
    found: list[dict[str, Any]] = []

    async def send(_: str, body: bytes) -> None:
        found.append(json.loads(body))

    arm.continuous_export.send = send
    return found


@pytest.fixture
async def exporting(arm: Arm, tenant: Tenant, home: Subscription, client: Make) -> Any:
    """A client, and an export of alerts with severity High as a trusted service; there is no other export."""
    for one in [*tenant.all_automations()]:
        tenant.delete_automation(one["id"])
    tenant.assign(APP, home.scope, custom_role("Simulates alerts", SIMULATE))
    security = client(SecurityManagementClient, home.id)
    await security.automations.create_or_update(GROUP, EXPORT, trusted(tenant, home))
    return security


def trusted(tenant: Tenant, home: Subscription) -> dict[str, Any]:
    body = automation(tenant, home)
    hub = destinations(tenant).event_hub
    rule = {"propertyJPath": "Severity", "propertyType": "String", "operator": "Equals", "expectedValue": "high"}
    body["properties"]["sources"] = [{"eventSource": "Alerts", "ruleSets": [{"rules": [rule]}]}]
    body["properties"]["actions"] = [
        {"actionType": "EventHub", "eventHubResourceId": hub, "isTrustedServiceEnabled": True}
    ]
    return body


async def simulate(security: Any, arm: Arm, *bundles: str) -> list[str]:
    """Simulate, wait for the operation, export what is due; what became of each alert."""
    before = len(arm.continuous_export.outcomes)
    await (await security.alerts.begin_simulate("westeurope", asked(*bundles))).result()
    await arm.continuous_export.export_due()
    return [outcome.state for outcome in arm.continuous_export.outcomes[before:]]


async def test_each_bundle_makes_an_alert_that_the_app_reads(
    exporting: Any, arm: Arm, sent: list[dict[str, Any]], home: Subscription
) -> None:
    assert list(SAMPLES) == [bundle.value for bundle in BundleType]
    await simulate(exporting, arm, *SAMPLES)
    assert {alert["Severity"] for alert in sent} == {"High"}
    assert len(sent) == sum(sample.severity == "High" for sample in SAMPLES.values())
    now = datetime.fromtimestamp(arm.now(), UTC)
    parsed = Parser().parse([Event(json.dumps(alert).encode(), now) for alert in sent], now)
    assert not parsed.bad
    for row in parsed.rows:
        values = json.loads(row.json)
        assert (row.kind, values["SubscriptionId"]) == ("Alert", home.id)
        assert values["AlertType"].startswith("SIMULATED_")
        assert values["DisplayName"].startswith("[SAMPLE ALERT] ")


def disable(tenant: Tenant) -> None:
    (export,) = tenant.all_automations()
    tenant.set_automation({**export, "properties": {**export["properties"], "isEnabled": False}})


def ask_for_low_ones(tenant: Tenant) -> None:
    (export,) = tenant.all_automations()
    changed = json.loads(json.dumps(export))
    changed["properties"]["sources"][0]["ruleSets"][0]["rules"][0]["expectedValue"] = "Low"
    tenant.set_automation(changed)


def delete_the_hub(tenant: Tenant) -> None:
    tenant.delete_resource(destinations(tenant).event_hub)


def close_the_firewall(tenant: Tenant) -> None:
    rules_id = destinations(tenant).event_hub.partition("/eventhubs/")[0] + "/networkRuleSets/default"
    rules = tenant.resource(rules_id)
    assert rules
    tenant.put_resource({**rules, "properties": {**rules["properties"], "trustedServiceAccessEnabled": False}})


def take_the_right(tenant: Tenant) -> None:
    tenant.revoke(DEFENDER)


def give_an_old_key(tenant: Tenant) -> None:
    (export,) = tenant.all_automations()
    changed = json.loads(json.dumps(export))
    changed["properties"]["actions"][0]["isTrustedServiceEnabled"] = False
    tenant.set_automation(changed, Secrets((connection_string("old"),), (None,)))
    open_the_firewall(tenant)


def open_the_firewall(tenant: Tenant) -> None:
    rules_id = destinations(tenant).event_hub.partition("/eventhubs/")[0] + "/networkRuleSets/default"
    rules = tenant.resource(rules_id)
    assert rules
    tenant.put_resource({**rules, "properties": {**rules["properties"], "defaultAction": "Allow"}})


Break = Callable[[Tenant], None]
BROKEN: dict[str, Break] = {
    "disabled": disable,
    "filtered": ask_for_low_ones,
    "no hub": delete_the_hub,
    "firewall": close_the_firewall,
    "no right": take_the_right,
    "wrong key": give_an_old_key,
}


@pytest.mark.parametrize("state", BROKEN)
async def test_what_is_broken_on_the_way_stops_it_there(
    exporting: Any, arm: Arm, sent: list[dict[str, Any]], tenant: Tenant, state: str
) -> None:
    assert await simulate(exporting, arm, "StorageAccounts") == ["sent"]
    BROKEN[state](tenant)
    assert await simulate(exporting, arm, "StorageAccounts") == [state]
    assert len(sent) == 1


async def test_a_key_of_today_gets_through_an_open_firewall(
    exporting: Any, arm: Arm, sent: list[dict[str, Any]], tenant: Tenant
) -> None:
    key = tenant.keys[f"{destinations(tenant).event_hub}/authorizationRules/defender-send".lower()]["primary"]
    give_an_old_key(tenant)
    (export,) = tenant.all_automations()
    tenant.set_automation(export, Secrets((connection_string(key),), (None,)))
    assert await simulate(exporting, arm, "SqlServers") == ["sent"]
    close_the_firewall(tenant)
    assert await simulate(exporting, arm, "SqlServers") == ["sent"], "an open one asks for no trust"
    assert len(sent) == 2


async def test_it_takes_as_long_as_it_is_told_and_waits_while_it_is_paused(
    exporting: Any, arm: Arm, sent: list[dict[str, Any]], tenant: Tenant
) -> None:
    arm.continuous_export.delay = 120
    assert await simulate(exporting, arm, "VirtualMachines") == []
    tenant.advance(119)
    await arm.continuous_export.export_due()
    assert sent == []
    arm.continuous_export.paused = True
    tenant.advance(1)
    await arm.continuous_export.export_due()
    assert sent == []
    arm.continuous_export.paused = False
    await arm.continuous_export.export_due()
    assert [alert["CompromisedEntity"] for alert in sent] == ["Sample-VM"]


async def test_what_the_contract_does_not_know_is_refused(
    exporting: Any, rest: Rest, arm: Arm, tenant: Tenant, home: Subscription
) -> None:
    path = f"{home.scope}/providers/Microsoft.Security/locations/westeurope/alerts/default/simulate"
    wrong: Any
    for wrong in ({}, {"properties": {}}, asked(), asked("Everything"), {"properties": {"bundles": ["DNS"]}}, []):
        answer = await rest("POST", path, wrong, version="2022-01-01")
        assert answer.status == 400, wrong
    assert (await rest("POST", path, asked("DNS"), version="2019-01-01")).status == 400
    begun = await rest("POST", path, asked("dns"), version="2022-01-01")
    assert begun.status == 202
    assert (await rest("GET", begun.headers["Location"])).status == 204
    assert (
        await rest("GET", begun.headers["Location"].replace("operationResults/", "operationResults/0"))
    ).status == 404

    tenant.set_registration(home.id, "Microsoft.Security", "NotRegistered")
    assert (await rest("POST", path, asked("DNS"), version="2022-01-01")).status == 404
    tenant.set_registration(home.id, "Microsoft.Security", "Registered")
    tenant.revoke(APP)
    tenant.assign(APP, home.scope, custom_role("Reads alone", "Microsoft.Security/*/read"))
    with pytest.raises(HttpResponseError, match=SIMULATE):
        await exporting.alerts.begin_simulate("westeurope", asked("DNS"))


async def test_over_the_wire_it_arrives_in_the_broker(tmp_path: Path, local_certs: Certificates) -> None:
    async with LocalAzure(tmp_path, parts=("arm", "eventhubs"), certificates=local_certs) as azure:
        home = next(iter(azure.tenant.subscriptions.values()))
        for one in [*azure.tenant.all_automations()]:
            azure.tenant.delete_automation(one["id"])
        azure.tenant.set_automation(
            {
                **trusted(azure.tenant, home),
                "id": f"{home.scope}/resourceGroups/{GROUP}/providers/Microsoft.Security/automations/{EXPORT}",
                "name": EXPORT,
                "type": "Microsoft.Security/automations",
            }
        )
        (alert,) = azure.continuous_export.simulate(home.id, "westeurope", ["StorageAccounts"])
        reader = EventHubConsumerClient.from_connection_string(
            azure.broker.connection_string,
            "$Default",
            eventhub_name=destinations(azure.tenant).event_hub.split("/")[-1],
        )
        arrived: asyncio.Queue[Any] = asyncio.Queue()

        async def on_event(_: Any, event: Any) -> None:
            arrived.put_nowait(event)

        async with reader:
            reading = asyncio.ensure_future(reader.receive(on_event=on_event, starting_position="-1"))
            event = await asyncio.wait_for(arrived.get(), 30)
            reading.cancel()
        assert json.loads(event.body_as_str()) == alert
        assert [outcome.state for outcome in azure.continuous_export.outcomes] == ["sent"]
