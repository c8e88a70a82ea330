"""Secrets stay where they belong: everything that the app produces is searched for every secret that it was given."""

import asyncio
import gzip
import json
import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableServiceClient
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from local.certs import Certificates
from local.host import FunctionsHost
from local.host.http import Keys
from local.identity import Application
from local.records import generate
from local.stack import FORWARD_HUB, LocalAzure
from local.tenant import CROSS_TENANT_APP, OTHER_TENANT, synthetic_tenant
from local.tenant.destinations import destinations
from shared.bootstrap import Services
from shared.cli import main
from shared.reconcile.arm.arm_client import _arm_error
from shared.settings import Settings
from tests.integration.reconcile.world import export
from tests.integration.test_identity import PRIVATE, PUBLIC

ROOT = Path(__file__).resolve().parents[3]
RECEIVER = "hook-canary-71d0c4a9e8"
FUNCTION_KEYS = Keys("canary-master-key-5d1f", "canary-host-key-7a2c", {"start_job": "canary-function-key-93be"})


class Witness:
    """Texts that the app produced, by where they were found; `said` remembers exceptions."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}

    def saw(self, where: str, text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else text
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        self.texts.setdefault(where, []).append(raw.decode("utf-8", "replace"))

    def failed(self, error: BaseException) -> None:
        """The exception with its causes, as whoever logs it would have it."""
        self.saw("exceptions", "".join(traceback.format_exception(error)) + repr(error))

    def leaks(self, secrets: Mapping[str, str]) -> list[tuple[str, str]]:
        """Which secret was found where; a multi-line secret counts by each of its lines."""
        return [
            (name, where)
            for where, texts in self.texts.items()
            for text in texts
            for name, secret in secrets.items()
            if any(form in text for form in _forms(secret))
        ]


def _forms(secret: str) -> Iterator[str]:
    for line in secret.splitlines():
        if len(line) >= 16 and not line.startswith("-----"):
            yield from (line, quote(line, safe=""), json.dumps(line)[1:-1])


def given_secrets(azure: LocalAzure, environment: Mapping[str, str]) -> dict[str, str]:
    """Every secret input, by name."""
    storage = dict(part.split("=", 1) for part in azure.azurite.main.connection_string.split(";") if "=" in part)
    hub = dict(part.split("=", 1) for part in environment["EventHubConnection"].split(";") if "=" in part)
    return {
        "storage key": storage["AccountKey"],
        "storage connection string": azure.azurite.main.connection_string,
        "event hub key": hub["SharedAccessKey"],
        "client secret": azure.cross_tenant_secret,
        "certificate's key": PRIVATE.removesuffix(PUBLIC).partition("-----BEGIN PRIVATE KEY-----")[2],
        "identity header": azure.identity.header,
        "master key": FUNCTION_KEYS.master,
        "host key": FUNCTION_KEYS.host,
        "function key": FUNCTION_KEYS.functions["start_job"],
        "receiver's address": RECEIVER,
    }


async def command(witness: Witness, *arguments: str) -> int:
    try:
        return await asyncio.to_thread(main, arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)
    except Exception as error:  # noqa: BLE001 - what escapes is searched like the rest
        witness.failed(error)
        return 1


async def what_was_stored(azure: LocalAzure, witness: Witness) -> None:
    account = azure.azurite.main
    trust: dict[str, Any] = {"connection_verify": str(azure.certificates.ca_file)}
    async with BlobServiceClient.from_connection_string(account.connection_string, **trust) as blobs:
        async for container in blobs.list_containers():
            client = blobs.get_container_client(container.name)
            async for blob in client.list_blobs(include=["metadata"]):
                content = await (await client.download_blob(blob.name)).readall()
                witness.saw(f"blobs in {container.name}", content)
                witness.saw(f"blobs in {container.name}", f"{blob.name} {blob.metadata}")
    key = dict(part.split("=", 1) for part in account.connection_string.split(";") if "=" in part)
    credential = AzureNamedKeyCredential(key["AccountName"], key["AccountKey"])
    async with TableServiceClient(account.table_uri, credential=credential, **trust) as tables:
        async for table in tables.list_tables():
            async for entity in tables.get_table_client(table.name).list_entities():
                witness.saw("tables", str(entity))
    async with QueueServiceClient.from_connection_string(account.connection_string, **trust) as queues:
        async for queue in queues.list_queues():
            for message in await queues.get_queue_client(queue.name).peek_messages(max_messages=32):
                witness.saw("queues", str(message.content))
    for body in azure.ingestion.stored:
        witness.saw("rows", body.body)
    for document in azure.tenant.all_automations():
        witness.saw("automations and their tags", json.dumps(document))


@pytest.fixture
async def azure(tmp_path: Path, local_certs: Certificates) -> Any:
    tenant = synthetic_tenant(2, 6)
    async with LocalAzure(tmp_path / "azure", tenant=tenant, certificates=local_certs) as running:
        known = running.identity.applications[CROSS_TENANT_APP.app_id]
        running.identity.applications[CROSS_TENANT_APP.app_id] = Application(
            known.client_id, known.object_ids, known.secrets, (PUBLIC,), known.federated
        )
        yield running


async def everything(azure: LocalAzure, folder: Path, witness: Witness, secrets: dict[str, str]) -> None:
    """Declare, plan, apply, rotate, fail, import, deliver, dead-letter, ask over HTTP."""
    tenant, into = azure.tenant, destinations(azure.tenant)
    partner = next(
        one["id"]
        for one in tenant.resources.values()
        if one["type"] == "Microsoft.EventHub/namespaces/eventhubs" and "rg-soc" in one["id"]
    )
    keyed = f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"
    files = {
        "keyed": export(tenant, "keyed", destination=keyed),
        "bad-rule": export(tenant, "bad-rule", destination=keyed.replace(into.key_name, "listen-only")),
        "partner": export(
            tenant,
            "partner",
            destination=f"eventHub: {{resourceId: {partner}, authorizationRule: defender-send}}\n"
            f"          tenantId: {OTHER_TENANT}",
        ),
    }
    (folder / "exports").mkdir(parents=True)
    for name, text in files.items():
        (folder / "exports" / f"{name}.yaml").write_text(text)
    assert await command(witness, "push", str(folder / "exports")) == 0
    assert await command(witness, "plan", "--out", str(folder / "plan.json")) == 0
    await command(witness, "plan", "--markdown")
    await command(witness, "apply", str(folder / "plan.json"))
    assert any("Shared" in str(one) for one in tenant.secrets.values())
    assert any(one["tags"].get("defender-export-name") == "partner" for one in tenant.all_automations())
    for number, rule_id in enumerate(tenant.keys):
        secrets[f"rotated key {number}"] = tenant.keys[rule_id]["primary"] = f"canary-rotated-key-{number:04}="
    await command(witness, "plan", "--json")
    await command(witness, "apply", "--yes", "--json", "--max-change-percent", "100")
    azure.arm.faults.add("error", matching="listKeys", status=503, times=1)
    await command(witness, "plan")
    azure.arm.faults.clear()
    for setting, wrong in (("CROSS_TENANT_CREDENTIAL", "certificate"), ("CROSS_TENANT_CLIENT_ID", "no-such-app")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(setting, wrong)
            await command(witness, "plan")
    await command(witness, "status", "--json")
    await command(witness, "import", "--adopt", "--out", str(folder / "imported"))
    azure.ingestion.publishers.clear()
    rules = "version: 1\nreceivers: [{name: soc, channel: slack}]\nrules: [{send: [soc]}]\n"
    (folder / "notify.yaml").write_text(rules)
    assert await command(witness, "notify", "put", str(folder / "notify.yaml")) == 0
    await inform()
    await over_the_host(azure, witness)
    await asyncio.to_thread(read_files, folder, witness)


def read_files(folder: Path, witness: Witness) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            witness.saw("files", path.read_bytes())


async def inform() -> None:
    """A look of the timer that informs people, at an address that does not answer."""
    services = Services(Settings.load())
    try:
        await services.timer_runs.note("check_freshness", datetime.now(UTC) - timedelta(hours=7))
        await services.send_notices()
    finally:
        await services.close()


async def over_the_host(azure: LocalAzure, witness: Witness) -> None:
    """The function app itself: events that end as dead letters, jobs, right and wrong keys."""
    ids = [one.id for one in azure.tenant.subscriptions.values()]
    hub = Settings.load().event_hub_name
    async with EventHubProducerClient.from_connection_string(azure.broker.connection_string, eventhub_name=hub) as out:
        batch = await out.create_batch(partition_id="0")
        for event in generate(1, ids, 20, bad=0.2):
            batch.add(EventData(event.body))
        await out.send_batch(batch)
    async with (
        FunctionsHost(ROOT / "function_app.py", os.environ, keys=FUNCTION_KEYS, timers=False) as host,
        aiohttp.ClientSession() as session,
    ):
        asked = (
            ("POST", "/api/jobs?wait=20", FUNCTION_KEYS.functions["start_job"], {"kind": "plan"}),
            ("POST", "/api/jobs?code=" + FUNCTION_KEYS.functions["start_job"], "", {"kind": "nonsense"}),
            ("GET", "/api/runs", FUNCTION_KEYS.host, None),
            ("GET", "/api/ready", FUNCTION_KEYS.master, None),
            ("GET", "/api/exports/nothere", FUNCTION_KEYS.host, None),
            ("GET", "/api/exports", "canary-wrong-key-00000", None),
        )
        for method, path, key, body in asked:
            headers = {"x-functions-key": key} if key else {}
            async with session.request(method, host.url + path, headers=headers, json=body) as answer:
                witness.saw("HTTP answers", await answer.text() + str(answer.headers))
        for _ in range(150):
            if any(one.function == "enrich_records" for one in host.invocations):
                break
            await asyncio.sleep(0.2)
        for invocation in host.invocations:
            witness.saw("invocations", repr(invocation))


async def test_no_secret_is_found_in_anything_that_a_run_produces(
    azure: LocalAzure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    environment = {
        name: value for name, value in azure.app_settings().items() if not name.startswith("AzureWebJobsStorage")
    } | {
        "AzureWebJobsStorage": azure.azurite.main.connection_string,
        "ForwardConnection": azure.broker.connection_string,
        "FORWARD_EVENT_HUB": FORWARD_HUB,
        "CROSS_TENANT_CERTIFICATE": PRIVATE,
        "RECONCILE_MODE": "plan",
        "ROUTE_CONNECTIONS": json.dumps({"siem": azure.broker.connection_string}),
        "SEND_NOTICES": "true",
        "NOTIFY_RECEIVERS": json.dumps({"soc": f"https://127.0.0.1:9/{RECEIVER}"}),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    for name in ("azure", "azure.identity", "msal", "aiohttp", "shared"):
        caplog.set_level(logging.DEBUG, name)
    witness, secrets = Witness(), given_secrets(azure, environment)
    secrets |= {f"{rule_id} {name}": key for rule_id, keys in azure.tenant.keys.items() for name, key in keys.items()}
    try:
        await everything(azure, tmp_path / "work", witness, secrets)
    finally:
        logging.getLogger("azure").setLevel(logging.NOTSET)
    await what_was_stored(azure, witness)
    witness.saw("logs", caplog.text)
    printed = capfd.readouterr()
    witness.saw("stdout and stderr", printed.out + printed.err)
    services = Services(Settings.load())
    witness.saw("settings", repr(services.settings))

    expected = {"logs", "stdout and stderr", "files", "blobs in run-reports", "automations and their tags", "settings"}
    assert expected | {"blobs in dead-letters", "HTTP answers", "invocations"} <= set(witness.texts)
    assert len(caplog.records) > 100
    assert "notices for soc wait" in caplog.text
    assert witness.leaks(secrets) == []
    assert witness.leaks({"control": "defender-export-name"}) != []  # what is there is found
    witness.saw("a leak", f"x {azure.cross_tenant_secret} x")
    assert witness.leaks(secrets) == [("client secret", "a leak")]


def test_a_key_that_azure_quotes_is_hidden_in_the_error() -> None:
    quoted = (
        "The json value of connectionString failed: 'Endpoint=sb://x/;SharedAccessKeyName=s;SharedAccessKey=abc+/=;E=h'"
    )
    error = _arm_error(RuntimeError(quoted))
    assert "abc+/=" not in str(error)
    assert "SharedAccessKey=(hidden)" in str(error)
    assert "SharedAccessKeyName=s" in str(error)
