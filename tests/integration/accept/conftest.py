"""A local Azure with everything that `accept` looks at, and what it leaves there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import APP, AUTOMATIONS, destinations, synthetic_tenant
from local.tenant.roles import custom_role
from shared.accept.world import PREFIX
from shared.bootstrap import Services
from shared.settings import Settings
from tests.integration.forked import Ended, run_commands

RULES = "Microsoft.EventHub/namespaces/eventhubs/authorizationRules/"
OF_A_PERSON = custom_role(
    "Who accepts",
    *(RULES + action for action in ("read", "write", "delete", "listKeys/action", "regenerateKeys/action")),
)


def grant(azure: LocalAzure) -> str:
    """Let the app's identity do what a person who accepts may; gives the hub's id."""
    hub = destinations(azure.tenant).event_hub
    azure.tenant.roles[OF_A_PERSON.guid] = OF_A_PERSON
    azure.tenant.assign(APP, hub, OF_A_PERSON)
    return hub


async def leftovers(azure: LocalAzure, settings: dict[str, str]) -> list[str]:
    """What a run made and did not remove."""
    tenant = azure.tenant
    found = [one["id"] for one in tenant.resources.values() if PREFIX in one["id"]]
    found += [key for key in tenant.keys if PREFIX in key]
    services = Services(Settings.load(settings))
    try:
        found += [one.name async for one in services.clients.queues.list_queues() if one.name.startswith(PREFIX)]
        found += [one.name async for one in services.clients.blobs.list_containers() if one.name.startswith(PREFIX)]
    finally:
        await services.close()
    return found


@dataclass
class Deployment:
    """Runs the command as a person would, and reads its report."""

    azure: LocalAzure
    settings: dict[str, str]
    folder: Path
    group: str

    def command(self, *arguments: str) -> str:
        return " ".join(("accept --yes --wait 60 --out report --resource-group", self.group, *arguments))

    async def run(self, *arguments: str, **settings: str) -> Ended:
        (ended,) = await self.run_all([self.command(*arguments)], **settings)
        return ended

    async def run_all(self, commands: list[str], **settings: str) -> list[Ended]:
        orders = [(command, self.settings | settings) for command in commands]
        return await asyncio.to_thread(run_commands, orders, self.folder)

    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "report" / "accept.json").read_text()))

    def differing(self) -> set[str]:
        """Ids of the items that differ, and what is named beside the checklist."""
        report = self.report()
        differing = {item["id"] for item in report["items"] if item["verdict"] == "differs"}
        return differing | {each["what"] for each in report["unlisted"]}

    async def leftovers(self) -> list[str]:
        return await leftovers(self.azure, self.settings)

    def automations(self) -> list[str]:
        return [one["id"] for one in self.azure.tenant.resources.values() if one["type"] == AUTOMATIONS]


@pytest.fixture
async def deployment(
    tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Deployment]:
    folder = tmp_path / "here"
    folder.mkdir()
    tenant = synthetic_tenant(1, 4, untidy=False)
    parts = ("azurite", "eventhubs", "arm", "ingestion")
    async with LocalAzure(tmp_path / "azure", parts=parts, tenant=tenant, certificates=local_certs) as azure:
        hub = grant(azure)
        settings = azure.app_settings() | {"EVENT_HUB_RESOURCE_ID": hub}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield Deployment(azure, settings, folder, hub.partition("/providers/")[0])
