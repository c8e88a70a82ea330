"""`accept` beside a running app: every item that a program can look at holds, also over a restart of the app."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from local.certs import Certificates
from local.records import generate
from local.stack import LocalAzure
from local.tenant import APP, destinations, synthetic_tenant
from local.tenant.roles import custom_role
from shared.accept.acceptance_run import CHECKS
from shared.canary.security_alerts import SIMULATE
from shared.settings import Settings
from tests.e2e.api import Api
from tests.integration.accept.conftest import Deployment, grant
from tests.integration.forked import run_commands
from tests.integration.watch.test_canary import automation

RESTARTER = custom_role("Who restarts", "Microsoft.Web/sites/restart/action")


def test_what_the_app_itself_answers_holds(api: Api, tmp_path: Path) -> None:
    group = destinations(api.azure.tenant).event_hub.partition("/providers/")[0]
    settings = api.azure.app_settings() | {"DEFENDER_EXPORT_URL": api.url, "DEFENDER_EXPORT_KEY": api.key}
    deployment = Deployment(api.azure, settings, tmp_path, group)
    (ended,) = run_commands([(deployment.command("--only ready --only without-proof"), settings)], tmp_path)
    held = {item["id"]: item for item in deployment.report()["items"] if item["verdict"] == "holds"}
    assert "without-proof" in held, ended.said
    assert "ready" in held or "a check of `ready`" in ended.out  # other tests of this app leave letters there


@pytest.mark.soak
@pytest.mark.timeout(180)
async def test_all_holds_beside_a_running_app_that_is_restarted(
    tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    for name, value in local_certs.environment().items():
        monkeypatch.setenv(name, value)
    tenant = synthetic_tenant(1, 4, untidy=False)
    hub = destinations(tenant).event_hub
    own = {"CANARY": "true", "EVENT_HUB_RESOURCE_ID": hub}
    async with LocalAzure(tmp_path / "azure", app=True, tenant=tenant, certificates=local_certs, settings=own) as azure:
        assert grant(azure) == hub
        scope = "/".join(hub.split("/")[:3])
        azure.tenant.set_automation(automation(scope, hub))
        azure.tenant.assign(APP, scope, custom_role("Simulates alerts", SIMULATE))
        group = hub.partition("/providers/")[0]
        azure.tenant.roles[RESTARTER.guid] = RESTARTER
        azure.tenant.assign(APP, group, RESTARTER)
        await sent(azure, 40)
        assert azure.app is not None
        settings = azure.app_settings() | {
            "EVENT_HUB_RESOURCE_ID": hub,
            "DEFENDER_EXPORT_URL": azure.app.url,
            "DEFENDER_EXPORT_KEY": azure.app.host_key,
        }
        deployment = Deployment(azure, settings, folder, group)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        process = azure.app.process
        ended = await deployment.run("--app-id", f"{group}/providers/Microsoft.Web/sites/func-defender-export")
        report = deployment.report()
        assert {item["id"] for item in report["items"] if item["verdict"] == "holds"} == {*CHECKS}, ended.said
        assert report["unlisted"] == []
        assert ended.code == 0
        assert azure.app.process != process
        assert await deployment.leftovers() == []


async def sent(azure: LocalAzure, count: int) -> None:
    """Events in the hub, of which the app has read some of each partition."""
    subscription = next(iter(azure.tenant.subscriptions.values())).id
    bodies = [each.body for each in generate(1, [subscription], count, bad=0)]
    async with EventHubProducerClient.from_connection_string(
        azure.broker.connection_string, eventhub_name=Settings.load({}).event_hub_name
    ) as producer:
        for partition in await producer.get_partition_ids():
            await producer.send_batch([EventData(body) for body in bodies], partition_id=partition)
    async with asyncio.timeout(60):
        while azure.ingestion.rows < count * 4:  # noqa: ASYNC110 - the emulator has no event to wait for
            await asyncio.sleep(0.5)
