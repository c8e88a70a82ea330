"""Every direct command ends in time and names who did not answer, whatever one of the services does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import destinations, synthetic_tenant
from shared.bootstrap import Services
from shared.cli.time_limit import CLEANING_SECONDS
from shared.enrich.dead_letters.dead_letter_format import NO_OUTPUT_HUB, Letter
from shared.settings import Settings
from tests.integration.forked import Ended, run_commands
from tests.integration.outages import MODES, NEEDS, SERVICES, behind_doors

LOG = logging.getLogger(__name__)
TIMEOUT = 14  # with what is then cleaned up, within 80 % of a function's 30 seconds
SHORT_TIMEOUT = 5
NOISE = 3.0  # seconds by which a loaded machine may be late
EXPORT = """
version: 1
name: {name}
scope: {{managementGroups: [contoso]}}
automation: {{location: westeurope}}
export: {{frequency: [streaming, snapshot], {content}}}
destination: {{eventHub: {{resourceId: {hub}, trustedService: true}}}}
"""
NAMES = {
    "blob": "Blob Storage", "queue": "Queue Storage", "table": "Table Storage", "graph": "Azure Resource Manager",
    "identity": "Microsoft Entra", "ingestion": "the Logs Ingestion API", "logs_query": "Log Analytics",
}  # fmt: skip
"""The services that commands ask, as errors name them; no command asks the output hub."""
COMMANDS = (
    "plan", "plan soc.yaml", "plan --keep", "apply --yes", "approve {run}", "status", "runs {run}", "coverage",
    "freshness", "freshness --now", "preview soc", "preview soc.yaml", "backfill --detach", "backfill --follow {job}",
    "import --out {number}-import", "push soc.yaml", "pull {number}-pull", "claim --yes", "exports list",
    "exports get soc", "exports delete gone --yes", "exports accept --yes", "jobs list", "jobs show {job} --wait",
    "dead-letters list", "dead-letters replay", "dead-letters show {letter}", "dead-letters discard {letter} --yes",
    "accept --yes --resource-group {group}", "accept --clean --yes --resource-group {group}",
)  # fmt: skip
QUICK = {
    "blob": "plan", "queue": "backfill --detach", "table": "backfill --follow {job}", "graph": "coverage",
    "identity": "exports list", "ingestion": "freshness --now", "logs_query": "freshness --now",
}  # fmt: skip
ESSENTIAL = {"blob", "queue", "table", "graph", "identity"}
"""Without them these commands can do nothing; rows about the app and what the workspace says are beside the point."""


@dataclass(frozen=True)
class Deployment:
    """A local Azure in which everything is there that a command may ask for."""

    azure: LocalAzure
    settings: dict[str, str]
    words: dict[str, str]
    folder: Path


@pytest.fixture
async def deployment(
    tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Deployment]:
    tenant = synthetic_tenant(1, 4, untidy=False)
    parts = ("azurite", "arm", "ingestion")
    folder = tmp_path / "here"
    folder.mkdir()
    async with LocalAzure(tmp_path / "azure", parts=parts, tenant=tenant, certificates=local_certs) as azure:
        azure.arm.throttling = False  # many commands at once would share one quota
        hub = destinations(tenant).event_hub
        settings = azure.app_settings() | {"EVENT_HUB_RESOURCE_ID": hub}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        group = hub.partition("/providers/")[0]
        services = Services(Settings.load(settings))
        text = EXPORT.format(name="soc", hub=hub, content="recommendations: {}")
        (folder / "soc.yaml").write_text(text)
        await services.exports.put("soc", text.encode())
        await services.exports.put("gone", EXPORT.format(name="gone", hub=hub, content="secureScore: {}").encode())
        run = await services.reconciler.tick()
        now = datetime.now(UTC)
        job = await services.jobs.submit("backfill", {}, "test", now=now)
        await services.pipeline.dead_letters.write([LETTER])
        (letter,) = [each.name async for each in services.pipeline.dead_letters.find()]
        await services.close()
        yield Deployment(azure, settings, {"run": run.run_id, "job": job.id, "letter": letter, "group": group}, folder)


LETTER = Letter(
    reason=NO_OUTPUT_HUB, target="hub", table="DefenderAlerts_CL", row=msgspec.Raw(b"{}"), sequence=1,
    enqueued=datetime(2026, 11, 20, tzinfo=UTC), failed=datetime(2026, 11, 20, tzinfo=UTC),
)  # fmt: skip


async def carried_out(
    here: Deployment, tls: Certificates, troubles: Sequence[tuple[str, str, str]], seconds: int
) -> list[tuple[str, str, Ended]]:
    """What came of each command beside a service in a mode, all at once."""
    context = tls.server_context()
    async with AsyncExitStack() as doors:
        environments: dict[tuple[str, str], dict[str, str]] = {}
        commands = []
        for number, (service, mode, command) in enumerate(troubles):
            if (service, mode) not in environments:
                behind = behind_doors(here.settings, context, **({service: mode} if service else {}))
                changed = await doors.enter_async_context(behind)
                environments[service, mode] = changed | {"DEFENDER_EXPORT_TIMEOUT": str(seconds)}
            commands.append((command.format(number=number, **here.words), environments[service, mode]))
        begun = time.monotonic()
        ended = await asyncio.to_thread(run_commands, commands, here.folder)
        LOG.info("%d commands in %.1f s", len(commands), time.monotonic() - begun)
    return [(service, mode, each) for (service, mode, _), each in zip(troubles, ended, strict=True)]


def judge(found: Sequence[tuple[str, str, Ended]], seconds: int) -> None:
    """Each ended in time, with a code that is documented, and without a fault of its own."""
    for service, mode, each in found:
        LOG.info("%s %s %s: %d after %.1f s: %s", service, mode, each.command, each.code, each.seconds, each.err[:400])
    late = [(service, mode, each) for service, mode, each in found if each.seconds > seconds + CLEANING_SECONDS + NOISE]
    assert late == []
    wrong = [
        (service, mode, each)
        for service, mode, each in found
        if each.code not in {0, 1, 124} or "Traceback" in each.err or "a fault of defender-export" in each.err
    ]
    assert wrong == []


def unnamed(found: Sequence[tuple[str, str, Ended]]) -> list[tuple[str, str, Ended]]:
    """Which were cut off, or failed by what they need, and do not say so of the service in trouble."""
    return [
        (service, mode, each)
        for service, mode, each in found
        if (each.code == 124 or (mode == "silent" and service in ESSENTIAL)) and not _named(each, NAMES[service])
    ]


def _named(each: Ended, service: str) -> bool:
    if each.code == 124 and "said nothing new" in each.err:
        return True  # a job that the app does not get on with
    return each.code != 0 and service in each.said and (each.code != 124 or "--timeout" in each.err)


async def test_a_few_commands_end_in_time_and_name_each_service_that_hangs_refuses_or_is_slow(
    deployment: Deployment, local_certs: Certificates
) -> None:
    troubles = [(service, mode, command) for service, command in QUICK.items() for mode in MODES[:3]]
    found = await carried_out(deployment, local_certs, troubles, SHORT_TIMEOUT)
    judge(found, SHORT_TIMEOUT)
    late = {(service, mode) for service, mode, _ in unnamed(found)}  # a loaded machine did not come so far
    if late:
        again = [each for each in troubles if each[:2] in late]
        found = await carried_out(deployment, local_certs, again, TIMEOUT)
        judge(found, TIMEOUT)
        assert unnamed(found) == []


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
async def test_every_command_ends_in_time_whatever_a_service_does(
    deployment: Deployment, local_certs: Certificates, mode: str
) -> None:
    well = await carried_out(deployment, local_certs, [("", "", each) for each in COMMANDS], TIMEOUT)
    for _, _, each in well:
        LOG.info("well %s: %d after %.1f s: %s", each.command, each.code, each.seconds, each.err[:400])
    for service in NAMES:
        found = await carried_out(deployment, local_certs, [(service, mode, each) for each in COMMANDS], TIMEOUT)
        judge(found, TIMEOUT)
        if mode in {"silent", "refuses"}:
            needing = [each for _, _, each in found if each.command.startswith(NEEDS[service])]
            assert [each for each in needing if each.code == 0] == []


def test_every_service_is_asked_for() -> None:
    assert {*NAMES} == {*SERVICES} - {"output_hub"} == {*QUICK}
