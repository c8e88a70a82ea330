"""Containers under an immutability policy: what is there stays, and nothing is sent without end or stands still."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from local.azurite import StorageAccount
from local.certs import Certificates
from local.immutable import ImmutableBlobs
from local.stack import LocalAzure
from local.tenant import synthetic_tenant
from shared.azure.clients import Clients
from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from shared.enrich.invocation.pipeline_factory import pipeline
from shared.enrich.records.model import Event
from shared.settings import Settings
from shared.web.frozen_containers import frozen_containers
from tests.integration.enrich.conftest import MovableTime, Plant, assessments, names
from tests.integration.reconcile.world import World, world
from tests.integration.stored.test_reconcile import changed
from tests.integration.watch.test_freshness import Flow, export, flow

__all__ = ["flow"]
CONTAINERS = ("dead-letters", "oversize-records", "run-reports")
NOW = LetterFilter(due_only=False)


@pytest.fixture
async def plant(
    local_certs: Certificates, storage: StorageAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Plant]:
    """As the other tests have it, with a policy on the containers."""
    async with (
        ImmutableBlobs(storage, local_certs, CONTAINERS) as front,
        LocalAzure(tmp_path, parts=("ingestion",), certificates=local_certs) as azure,
    ):
        places = storage.identity_settings() | {"AzureWebJobsStorage__blobServiceUri": front.blob_uri}
        for name, value in (azure.app_settings() | places).items():
            monkeypatch.setenv(name, value)
        settings = Settings.load()
        clients, time = Clients(settings), MovableTime()
        try:
            yield Plant(azure, time, clients, pipeline(settings, clients, {}, clock=time.clock()), settings)
        finally:
            await clients.close()


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with ImmutableBlobs(storage, local_certs, CONTAINERS) as front:
        account = StorageAccount(storage.name, front.blob_uri, storage.queue_uri, storage.table_uri)
        async with world(synthetic_tenant(1, 2, untidy=False), local_certs, account) as running:
            yield running


async def test_letters_that_cannot_be_noted_are_not_sent_again_and_again(plant: Plant) -> None:
    publishers = set(plant.azure.ingestion.publishers)
    plant.azure.ingestion.publishers.clear()
    await plant.pipeline.run(assessments(range(20)))
    plant.azure.ingestion.publishers |= publishers
    for _ in range(6):
        replay = await plant.pipeline.replay(NOW)
        assert (replay.refused, replay.skipped, replay.delivered) == (1, 0, 0)
    assert plant.stored() == []
    assert len(await plant.lost()) == 20


async def test_a_whole_record_that_is_kept_already_holds_no_batch_up(plant: Plant) -> None:
    (event,) = assessments([7])
    record = json.loads(event.body)
    record["properties"]["description"] = "x" * 70_000
    long = Event(json.dumps(record).encode(), event.enqueued, event.partition, event.sequence)
    assert (await plant.pipeline.run([long])).oversize == 1
    await plant.pipeline.run([long, *assessments(range(3))])
    assert sorted(plant.stored()) == sorted([*names([7, 7]), *names(range(3))])


async def test_runs_go_on_where_no_report_can_be_changed(here: World) -> None:
    await here.put("a")
    assert changed(here, await here.apply()) == {"Created": 2}
    await here.put("b")
    report = await here.apply()
    assert (changed(here, report), report.outcome) == ({"Created": 2}, "Succeeded")
    assert (await here.reconciler().reports.recent(here.clock.now()))[0] == report.run_id


async def test_a_check_whose_answer_cannot_be_kept_still_sends_its_rows(
    flow: Flow, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(one.id for one in flow.tenant.subscriptions.values() if one.tenant_id == flow.tenant.home)
    hub = f"{{eventHub: {{resourceId: {flow.into.event_hub}, trustedService: true}}}}"
    await flow.declare(soc=export("soc", [first], hub))
    await flow.check(0)
    async with ImmutableBlobs(flow.azure.azurite.main, local_certs, ["run-reports"]) as front:
        monkeypatch.setenv("AzureWebJobsStorage__blobServiceUri", front.blob_uri)
        before = len(flow.azure.ingestion.stored)
        with pytest.raises(HttpResponseError, match="immutable"):
            await flow.check(0.5)
        assert len(flow.azure.ingestion.stored) > before


async def test_ready_warns_of_each_container_under_a_policy(plant: Plant) -> None:
    with suppress(ResourceExistsError):
        await plant.clients.blobs.create_container(plant.settings.exports_container)
    services: Any = SimpleNamespace(settings=plant.settings, clients=plant.clients)
    told = await frozen_containers(services, control=True)
    assert [sentence.split(" is under ")[0] for sentence in told] == [
        "the container dead-letters",
        "the container run-reports",
    ]
    assert len(await frozen_containers(services, control=False)) == 1
