"""The three commands as people run them, signed in through the identity endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.identity import Identity
from local.tenant import APP, synthetic_tenant
from shared.cli import main
from tests.integration.reconcile.world import INSTANCE, World, world


@pytest.fixture
async def here(
    local_certs: Certificates, storage: StorageAccount, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with (
        world(synthetic_tenant(1, 4, untidy=False), local_certs, storage) as running,
        Identity(running.tokens, local_certs, system_assigned=APP) as identity,
    ):
        environment = identity.environment() | {
            "INSTANCE_ID": INSTANCE,
            "ARM_ENDPOINT": running.arm.endpoint,
            "ARM_AUDIENCE": running.arm.endpoint,
            "AzureWebJobsStorage": storage.connection_string,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        await running.put("soc")
        yield running


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


async def test_a_plan_is_reviewed_kept_applied_and_then_no_longer_fits(
    here: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = str(tmp_path / "plan.json")
    assert await run("plan", "--out", kept, "--detailed-exitcode") == 2
    shown = capsys.readouterr().out
    assert shown.count("+ create") == 4
    assert shown.endswith(
        "Plan: 4 to create, 0 to update, 0 to adopt, 0 to delete, 0 unchanged, 0 foreign, 0 blocked.\n"
        "soc: in force in 0 of 4 subscriptions; 4: it is to be created\n"
    )
    assert "\033" not in shown
    assert here.writes() == []

    assert await run("apply", kept) == 0
    shown = capsys.readouterr().out
    assert shown.count("created      /subscriptions/") == 4
    assert "Succeeded: 4 created" in shown

    assert await run("plan", "--detailed-exitcode") == 0
    assert await run("apply", kept) == 1
    assert "no longer fits" in capsys.readouterr().err

    assert await run("status", "--json") == 0
    runs = json.loads(capsys.readouterr().out)
    assert [one["outcome"] for one in runs] == ["Failed", "Succeeded", "Succeeded", "Partial"]
    assert await run("status", runs[0]["runId"]) == 0
    assert await run("status", "20260101T000000Z-none") == 1
