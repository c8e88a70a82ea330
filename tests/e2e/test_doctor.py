"""`doctor` against a deployment in which one thing is wrong: the cause is the first that it says, and the only one."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.certs import Certificates
from local.tenant import APP, destinations, synthetic_tenant
from local.tenant.destinations import add_hub
from shared.bootstrap import Services
from shared.settings import Settings
from tests.e2e.api import Api
from tests.e2e.shell import Shell

NEVER = "0 0 0 1 1 *"
SETTINGS = {
    "RECONCILE_MODE": "apply",
    "MAX_DELETES": "0",
    "RECONCILE_SCHEDULE": NEVER,
    "FRESHNESS_SCHEDULE": NEVER,
    "NEWS_SCHEDULE": NEVER,
    "DEAD_LETTER_SCHEDULE": NEVER,
}
WELL = "all is well: "
Plant = Callable[["Deployment"], AbstractContextManager[None]]


class Deployment(Api):
    """A small tenant with one export in force, and an app whose timers fire when a test says so."""

    def reconcile(self) -> dict[str, Any]:
        found: dict[str, Any] = self.job(kind="reconcile")["result"]
        return found

    def with_services(self, work: Callable[[Services], Awaitable[Any]], **settings: str) -> Any:
        """The result of work with the app's own services, in this process."""
        before = dict(os.environ)
        os.environ.update(self.azure.app_settings() | settings)

        async def run() -> Any:
            services = Services(Settings.load())
            try:
                return await work(services)
            finally:
                await services.close()

        try:
            return asyncio.run(run())
        finally:
            os.environ.clear()
            os.environ.update(before)

    def send(self, *bodies: bytes) -> None:
        """Events into the hub."""
        from azure.eventhub import EventData, EventHubProducerClient

        name = Settings.load({}).event_hub_name
        connection = self.azure.broker.connection_string
        with EventHubProducerClient.from_connection_string(connection, eventhub_name=name) as producer:
            for body in bodies:
                producer.send_event(EventData(body))

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/api/dead-letters").json()["value"]
        return found


def soc(here: Api) -> str:
    """Alerts as they come, and a weekly snapshot of recommendations, whose absence can be told."""
    text = here.export("soc", "minimumSeverity: Medium, frequency: [streaming]")
    return text.replace("export: {", "export: {frequency: [streaming, snapshot], recommendations: {}, ")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[Deployment]:
    tenant = synthetic_tenant(3, 4, untidy=False)
    with Deployment(tmp_path_factory.mktemp("doctor"), local_certs, tenant, **SETTINGS) as running:
        assert running.put("soc", soc(running)).status == 201
        assert running.reconcile()["outcome"] == "Succeeded"
        yield running


@pytest.fixture
def shell(here: Deployment, tmp_path: Path) -> Shell:
    return Shell(tmp_path, {"DEFENDER_EXPORT_URL": here.url, "DEFENDER_EXPORT_KEY": here.key})


@contextmanager
def without_container(here: Deployment) -> Iterator[None]:
    name = Settings.load({}).dead_letters_container
    here.with_services(lambda services: services.clients.blobs.delete_container(name))
    yield
    here.with_services(lambda services: services.clients.blobs.create_container(name))


@contextmanager
def without_table(here: Deployment) -> Iterator[None]:
    name = Settings.load({}).jobs_table
    here.with_services(lambda services: services.clients.tables.delete_table(name))
    yield
    here.with_services(lambda services: services.clients.tables.create_table(name))


@contextmanager
def checkpoint_of_another_hub(here: Deployment) -> Iterator[None]:
    from shared.watch.hub_lag import CHECKPOINTS

    async def kept(services: Services) -> list[tuple[str, dict[str, str]]]:
        blobs = services.clients.data_blobs.get_container_client(CHECKPOINTS)
        return [
            (blob.name, dict(blob.metadata))
            async for blob in blobs.list_blobs(include=["metadata"])
            if "/checkpoint/" in blob.name and blob.metadata
        ]

    async def set_back(services: Services) -> None:
        blobs = services.clients.data_blobs.get_container_client(CHECKPOINTS)
        for name, metadata in before:
            await blobs.get_blob_client(name).set_blob_metadata(metadata)

    async def move(services: Services) -> None:
        blobs = services.clients.data_blobs.get_container_client(CHECKPOINTS)
        name, metadata = before[0]
        moved = {each: "999999" if each.lower() == "sequencenumber" else text for each, text in metadata.items()}
        await blobs.get_blob_client(name).set_blob_metadata(moved)

    here.send(b"{not a record")
    (letter,) = here.until(here.letters)
    before = here.until(lambda: here.with_services(kept))
    here.with_services(lambda services: services.pipeline.dead_letters.discard(letter["name"]))
    here.with_services(move)
    yield
    here.with_services(set_back)


@contextmanager
def without_queue(here: Deployment) -> Iterator[None]:
    name = Settings.load({}).jobs_queue
    here.with_services(lambda services: services.clients.queues.delete_queue(name))
    yield
    here.with_services(lambda services: services.clients.queues.create_queue(name))


@contextmanager
def invalid_file(here: Deployment) -> Iterator[None]:
    name = Settings.load({}).exports_container

    async def put(services: Services) -> None:
        blobs = services.clients.blobs.get_container_client(name)
        await blobs.upload_blob("current/broken.yaml", b"version: 1\nnmae: broken\n")

    async def remove(services: Services) -> None:
        await services.clients.blobs.get_blob_client(name, "current/broken.yaml").delete_blob()

    here.with_services(put)
    yield
    here.with_services(remove)


@contextmanager
def no_export(here: Deployment) -> Iterator[None]:
    here.call("DELETE", "/api/exports/soc")
    yield
    here.put("soc", soc(here))


@contextmanager
def hub_deleted(here: Deployment) -> Iterator[None]:
    hub = destinations(here.azure.tenant).event_hub
    here.azure.tenant.delete_resource(hub)
    here.reconcile()
    yield
    add_hub(here.azure.tenant, hub)
    here.reconcile()


@contextmanager
def without_right_to_write(here: Deployment) -> Iterator[None]:
    tenant = here.azure.tenant
    kept = list(tenant.assignments)
    tenant.delete_automation(next(tenant.all_automations())["id"])
    tenant.assignments = [one for one in kept if one.principal_id != APP.object_id or "Reader" in one.role.name]
    here.reconcile()
    yield
    tenant.assignments = kept
    here.reconcile()


@contextmanager
def without_right_to_read(here: Deployment) -> Iterator[None]:
    tenant = here.azure.tenant
    kept = list(tenant.assignments)
    tenant.assignments = []
    here.reconcile()
    yield
    tenant.assignments = kept
    here.reconcile()


@contextmanager
def in_anothers_hands(here: Deployment) -> Iterator[None]:
    tenant = here.azure.tenant
    before = next(tenant.all_automations())
    tenant.set_automation(before | {"tags": {"defender-export-instance": "theirs", "defender-export-name": "soc"}})
    here.reconcile()
    yield
    tenant.set_automation(before)
    here.reconcile()


@contextmanager
def guard_in_the_way(here: Deployment) -> Iterator[None]:
    here.put("extra", here.export("extra", scope=f"subscriptions: [{here.subscription}]"))
    here.reconcile()
    here.call("DELETE", "/api/exports/extra")
    here.reconcile()
    yield
    for live in list(here.azure.tenant.all_automations()):
        if live["tags"].get("defender-export-name") == "extra":
            here.azure.tenant.delete_automation(live["id"])
    here.reconcile()


@contextmanager
def lease_without_end(here: Deployment) -> Iterator[None]:
    from shared.reconcile.apply.run_lock import LEASE_BLOB

    name = Settings.load({}).reports_container

    async def take(services: Services) -> None:
        lock = services.clients.blobs.get_blob_client(name, LEASE_BLOB)
        await lock.acquire_lease(-1)
        for _ in range(4):
            await services.reconciler.tick()

    async def give_back(services: Services) -> None:
        from azure.storage.blob.aio import BlobLeaseClient

        await BlobLeaseClient(services.clients.blobs.get_blob_client(name, LEASE_BLOB)).break_lease(0)

    here.with_services(take)
    yield
    here.with_services(give_back)
    here.reconcile()


@contextmanager
def no_right_on_the_rule(here: Deployment) -> Iterator[None]:
    from local.records import generate

    here.azure.ingestion.publishers = set()
    here.send(*(each.body for each in generate(1, [here.subscription], 3, bad=0.0, duplicates=0.0)))
    here.until(here.letters)
    yield
    here.azure.ingestion.publishers = {APP.object_id}
    assert here.job(kind="replay")["result"]["delivered"] == 3


@contextmanager
def unreadable_record(here: Deployment) -> Iterator[None]:
    here.send(b"{not a record")
    here.until(here.letters)
    yield
    for letter in here.letters():
        assert here.job(kind="discard", name=letter["name"])["state"] == "succeeded"


@contextmanager
def letters_of_a_later_release(here: Deployment) -> Iterator[None]:
    name = Settings.load({}).dead_letters_container
    blob = "2026-11-20/outage/hub/x.ndjson.gz"

    async def put(services: Services) -> None:
        about = {"format": "99", "release": "9.0.0", "letters": "7"}
        await services.clients.data_blobs.get_blob_client(name, blob).upload_blob(b"x", metadata=about)

    here.with_services(put)
    yield
    here.with_services(lambda services: services.clients.data_blobs.get_blob_client(name, blob).delete_blob())


@contextmanager
def column_not_deployed(here: Deployment) -> Iterator[None]:
    table = 'ALTER TABLE "DefenderExportHealth_CL" RENAME COLUMN'
    here.on_loop(lambda: here.azure.workspace.sql(f'{table} "Release" TO "Former"'))
    yield
    here.on_loop(lambda: here.azure.workspace.sql(f'{table} "Former" TO "Release"'))


@contextmanager
def workspace_refuses(here: Deployment) -> Iterator[None]:
    readers = here.azure.logs_query.readers
    here.azure.logs_query.readers = set()
    yield
    here.azure.logs_query.readers = readers


def checked(days: float) -> Callable[[Services], Awaitable[Any]]:
    async def check(services: Services) -> Any:
        from shared.watch.freshness_check import Tenant

        survey = await services.tenant_state.take()
        seen = Tenant(survey.declared, survey.coverage, survey.reasons)
        return await services.freshness.run(seen, datetime.now(UTC) + timedelta(days=days))

    return check


@contextmanager
def silence(here: Deployment) -> Iterator[None]:
    hub = destinations(here.azure.tenant).event_hub
    here.with_services(checked(0), EVENT_HUB_RESOURCE_ID=hub)
    here.with_services(checked(90), EVENT_HUB_RESOURCE_ID=hub)
    yield
    here.with_services(checked(0), EVENT_HUB_RESOURCE_ID=hub)


@contextmanager
def stale_check(here: Deployment) -> Iterator[None]:
    here.with_services(checked(-3))
    yield
    here.with_services(checked(0))


PLANTED = [
    (checkpoint_of_another_hub, "eventHub", "its checkpoint (999999) lies beyond the end"),
    (without_container, "storage", "ContainerNotFound"),
    (without_table, "storage", "TableNotFound"),
    (without_queue, "storage", "QueueNotFound"),
    (invalid_file, "stored", "broken"),
    (no_export, "exports", "no export is stored: nothing is exported"),
    (hub_deleted, "inForce", "does not exist"),
    (without_right_to_write, "inForce", "may not do Microsoft.Security/automations/"),
    (without_right_to_read, "inForce", "give the app Reader or Security Reader"),
    (in_anothers_hands, "inForce", "it belongs to the deployment theirs"),
    (guard_in_the_way, "inForce", "1 deletes are more than MAX_DELETES allows (0)"),
    (lease_without_end, "lastRun", "has a lease without end"),
    (no_right_on_the_rule, "ingestion", "uploads met an outage"),
    (unreadable_record, "deadLetters", "not delivered: 1 records"),
    (letters_of_a_later_release, "stored", "2026-11-20/outage/hub/x.ndjson.gz"),
    (column_not_deployed, "tables", "DefenderExportHealth_CL lacks Release"),
    (workspace_refuses, "tables", "403"),
    (silence, "freshness", "silent: "),
    (stale_check, "freshness", "the last check was more than a day ago"),
]


@pytest.mark.parametrize(("plant", "about", "told"), PLANTED, ids=[plant.__name__ for plant, *_ in PLANTED])
def test_a_planted_fault_is_the_first_and_only_one(
    here: Deployment, shell: Shell, plant: Plant, about: str, told: str
) -> None:
    with plant(here):
        found = shell.json("doctor", 1)["faults"]
    assert [fault["about"] for fault in found] == [about], found
    assert told in found[0]["cause"], found
    assert found[0]["mend"]


def soak(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.soak)


@pytest.mark.parametrize(
    ("settings", "about", "told"),
    [
        ({"MAX_CHANGE_PERCENT": "many"}, "settings", "MAX_CHANGE_PERCENT"),
        soak({"AUTH_MODE": "maybe"}, "settings", "AUTH_MODE"),
        soak({"AZURE_CLIENT_ID": "99999999-0000-4000-8000-000000000000"}, "identity", "ClientAuthenticationError"),
        soak({"LOGS_INGESTION_RULE_ID": ""}, "ingestion", "are not both set: no record gets a row"),
        soak({"LOGS_INGESTION_OWN_RULE_ID": ""}, "ingestion", "LOGS_INGESTION_OWN_RULE_ID"),
        soak({"LOGS_INGESTION_ENDPOINT": "https://127.0.0.1:9"}, "ingestion", "ClientConnectorError"),
        soak({"WORKSPACE_ID": "99999999-0000-4000-8000-000000000000"}, "tables", "404"),
        soak({"DEAD_LETTERS_CONTAINER": "nowhere"}, "storage", "ContainerNotFound"),
        soak({"REPORTS_CONTAINER": "nowhere"}, "storage", "ContainerNotFound"),
    ],
)
def test_a_wrong_setting_is_the_first(
    here: Deployment, shell: Shell, settings: dict[str, str], about: str, told: str
) -> None:
    with here.beside("wrong", **settings) as wrong:
        shown = shell(f"doctor --json --url {wrong.url}", 1, DEFENDER_EXPORT_KEY=wrong.key)
        found = json.loads(shown)["faults"]
    assert [fault["about"] for fault in found] == [about], found
    assert told in found[0]["cause"], found


def test_whoever_is_not_let_in_or_finds_no_app_is_told_so(here: Deployment, shell: Shell) -> None:
    shown = shell("doctor", 1, DEFENDER_EXPORT_KEY="wrong")
    assert shown.startswith("! access: GET /api/ready answered 401: is the key right")
    shown = shell("doctor --url http://127.0.0.1:9", 1)
    assert shown.startswith("! app: http://127.0.0.1:9 does not answer")
    assert max(map(len, shown.splitlines())) <= 100


def test_dead_letters_are_discarded_by_their_names_and_nothing_else_is(here: Deployment, shell: Shell) -> None:
    here.send(b"{not a record either")
    (name,) = here.until(lambda: [each["name"] for each in here.letters()])
    shell(f"dead-letters discard {name}", 1)
    assert shell.err == "nothing was done: confirm with --yes\n"
    assert shell(f"dead-letters discard {name} --yes") == f"{name}: deleted\n"
    assert here.letters() == []
    shell(f"dead-letters discard {name} --yes", 1)
    assert shell.err.startswith(f"error: {name} is not discarded (")
    for wrong in ("x", "2026-11-20/../x.ndjson.gz", "2026-11-20/outage/hub/x.json", "current/soc.yaml"):
        shell(f"dead-letters discard {wrong} --yes", 2)
        assert here.call("POST", "/api/jobs", {"kind": "discard", "name": wrong}).problem == "bad-request"


def test_a_sound_deployment_is_well(shell: Shell) -> None:
    assert shell("doctor").startswith(WELL)
    assert shell.json("doctor") == {"well": True, "faults": [], "warnings": []}
