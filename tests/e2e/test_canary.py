"""A canary asked for at a terminal: by the app's address, with its own trigger and queue, and directly."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from local.certs import Certificates
from local.stack import FORWARD_HUB, LocalAzure
from local.tenant import APP, destinations
from local.tenant.roles import custom_role
from local.tenant.synthetic import synthetic_tenant
from shared.canary.security_alerts import SIMULATE
from tests.integration.forked import Ended, run_commands
from tests.integration.watch.test_canary import automation

pytestmark = pytest.mark.soak


async def test_a_person_is_told_the_same_by_the_app_and_directly(tmp_path: Path, local_certs: Certificates) -> None:
    tenant = synthetic_tenant()
    home, hub = next(iter(tenant.subscriptions.values())), destinations(tenant).event_hub
    for one in [*tenant.all_automations()]:
        tenant.delete_automation(one["id"])
    tenant.set_automation(automation(home.scope, hub))
    tenant.assign(APP, home.scope, custom_role("Simulates alerts", SIMULATE))
    settings = {"CANARY": "true", "EVENT_HUB_RESOURCE_ID": hub, "FORWARD_EVENT_HUB": FORWARD_HUB}
    async with LocalAzure(
        tmp_path / "azure", app=True, tenant=tenant, certificates=local_certs, settings=settings
    ) as azure:
        assert azure.app
        by_app = {"DEFENDER_EXPORT_URL": azure.app.url, "DEFENDER_EXPORT_KEY": azure.app.master_key}
        own = {"DEFENDER_EXPORT_CONFIG": str(tmp_path / "app.json"), **local_certs.environment()}

        async def ask(command: str, environment: dict[str, str]) -> Ended:
            (ended,) = await asyncio.to_thread(run_commands, [(command, own | environment)], tmp_path)
            return ended

        command = f"canary --subscription {home.id} --json"
        for environment, more in ((by_app, ""), (azure.app_settings(), " --direct --bundle SqlServers")):
            ended = await ask(f"{command}{more}", environment)
            assert ended.code == 0, (ended.out, ended.err)
            (told,) = json.loads(ended.out)
            assert (told["outcome"], told["bundle"]) == ("proven", "SqlServers" if more else "StorageAccounts")
            assert {each["hop"]: each["state"] for each in told["hops"]} == dict.fromkeys(
                ("simulated", "emitted", "hub", "accepted", "stored", "forwarded"), "reached"
            )
        spent = await ask(f"canary --subscription {home.id}", by_app)
        assert spent.code == 1
        assert "not possible at simulated: there were 2 canaries of this subscription within 24 hours" in spent.out
        nobody = await ask("canary --subscription no-such-one", by_app)
        assert (nobody.code, "no subscription" in nobody.err) == (1, True)
        shown: Any = json.loads((await ask("coverage --json", by_app)).out)
        notes = [
            verdict.get("note", "")
            for row in shown["value"]
            if row["subscriptionId"].lower() == home.id.lower()
            for verdict in row["verdicts"]
        ]
        assert any("a simulated alert reached its table" in note for note in notes)
