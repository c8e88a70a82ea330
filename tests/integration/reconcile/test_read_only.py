"""With rights to read alone, all that only looks ends as with full rights, and nothing tries to write."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from local.azurite import ACCOUNT_KEY, StorageAccount
from local.certs import Certificates
from local.identity import Identity
from local.tenant import APP, synthetic_tenant
from local.tenant.destinations import destinations
from local.tenant.roles import READER
from local.tokens import Principal
from shared.cli import main
from tests.integration.reconcile.world import INSTANCE, World, world

AUDITOR = Principal("4b3f3c0e-7a10-4e0a-9d53-6f0a2f8f1d11", "4b3f3c0e-7a10-4e0a-9d53-6f0a2f8f1d12", APP.tenant_id)
HTTP_LOG = "azure.core.pipeline.policies.http_logging_policy"
COMMANDS = (
    ("plan", "--no-color", "--detailed-exitcode"),
    ("status",),
    ("import",),
    ("coverage",),
    ("freshness", "--as-of", "2026-12-05T00:00:00+00:00"),
)


@dataclass
class Terminal:
    """A terminal with the rights of one identity."""

    environment: dict[str, str]
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    async def run(self, *command: str) -> tuple[int, str]:
        """The exit code and what was printed."""
        for name, value in self.environment.items():
            self.monkeypatch.setenv(name, value)
        code = await asyncio.to_thread(main, command)
        return code, self.capsys.readouterr().out


def keyed(here: World) -> str:
    into = destinations(here.tenant)
    return f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"


def to_workspace(here: World) -> str:
    return f"logAnalyticsWorkspace: {{resourceId: {destinations(here.tenant).workspace}}}"


@pytest.fixture
async def here(
    local_certs: Certificates, storage: StorageAccount, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, 4, untidy=False), local_certs, storage) as running:
        where = getattr(request, "param", None)
        destination = where(running) if where else ""
        await running.put("soc", destination=destination)
        assert (await running.apply()).outcome == "Succeeded"
        await running.put("soc", content="alerts: {minimumSeverity: High}", destination=destination)
        yield running


@pytest.fixture
async def terminals(
    here: World,
    local_certs: Certificates,
    storage: StorageAccount,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[list[Terminal]]:
    """Of the app's own identity with the account's key, and of a reader's with a signature to read and list."""
    for subscription in here.tenant.subscriptions.values():
        here.tenant.assign(AUDITOR, subscription.scope, READER)
    signature = generate_account_sas(
        storage.name,
        ACCOUNT_KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
        services="bqt",
    )
    reading = (
        f"BlobEndpoint={storage.blob_uri};QueueEndpoint={storage.queue_uri};TableEndpoint={storage.table_uri};"
        f"SharedAccessSignature={signature}"
    )
    async with (
        Identity(here.tokens, local_certs, system_assigned=APP) as full,
        Identity(here.tokens, local_certs, system_assigned=AUDITOR) as reader,
    ):
        common = {"INSTANCE_ID": INSTANCE, "ARM_ENDPOINT": here.arm.endpoint, "ARM_AUDIENCE": here.arm.endpoint}
        yield [
            Terminal(
                full.environment() | common | {"AzureWebJobsStorage": storage.connection_string}, capsys, monkeypatch
            ),
            Terminal(reader.environment() | common | {"AzureWebJobsStorage": reading}, capsys, monkeypatch),
        ]


@pytest.mark.parametrize("here", [keyed, to_workspace], indirect=True)
@pytest.mark.parametrize("edited", [True, False])
async def test_a_plan_needs_neither_the_key_nor_the_right_to_write(
    here: World, terminals: list[Terminal], *, edited: bool
) -> None:
    if not edited:
        assert (await here.apply()).outcome == "Succeeded"
    full, reader = terminals
    expected = await full.run("plan", "--no-color", "--detailed-exitcode")
    here.arm.requests.clear()
    found = await reader.run("plan", "--no-color", "--detailed-exitcode")
    assert found[0] == expected[0] == (2 if edited else 0), found
    assert without_warnings(found[1]) == without_warnings(expected[1])
    assert here.writes() == []


def without_warnings(text: str) -> list[str]:
    """The lines of a plan but for warnings, which say what this identity can't see."""
    lines, warned = [], False
    for line in text.splitlines():
        warned = line.startswith("! warning") or (warned and line.startswith("  "))
        lines += [] if warned or line.startswith("--full") else [line]
    return lines


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
async def test_what_only_looks_needs_no_right_to_write(
    here: World,
    terminals: list[Terminal],
    command: tuple[str, ...],
    storage: StorageAccount,
    caplog: pytest.LogCaptureFixture,
) -> None:
    full, reader = terminals
    expected = await full.run(*command)
    here.arm.requests.clear()
    caplog.clear()
    caplog.set_level(logging.INFO, HTTP_LOG)
    found = await reader.run(*command)
    assert without_times(found) == without_times(expected)
    assert here.arm.requests or command[0] == "status"
    assert here.writes() == []
    asked = [text for record in caplog.records if f"/{storage.name}" in (text := record.getMessage())]
    assert asked or command == ("import",)
    assert [text for text in asked if "Request method: 'GET'" not in text and "'HEAD'" not in text] == []


def without_times(found: tuple[int, str]) -> tuple[int, list[str]]:
    """An exit code and lines, but for the moment at which something was checked."""
    code, text = found
    return code, [line for line in text.splitlines() if not line.startswith("checked ")]
