"""Beside the worst that a caller can send: a reconcile, deliveries and `health` go on nearly as without."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.storage.blob import ContainerClient

from local.certs import Certificates
from local.records import generate
from local.tenant.synthetic import synthetic_tenant
from shared.reconcile.report.run_report import new_run_id
from tests.e2e.api import Api, Caller
from tests.e2e.delivery_world import HUB
from tests.unit.exports.test_worst_files import filled

pytestmark = pytest.mark.timeout(600)
LOG = logging.getLogger(__name__)
SUBSCRIPTIONS = 14
A_SECOND = 100
ARM_SECONDS = 0.1
"""Of a request to Azure Resource Manager, which answers no sooner on Azure either."""
HEALTH_SECONDS = 1
LATER_SECONDS = 5
MEGABYTE = 1_000_000
RUNS = 200
ITEMS = 500
Load = Callable[[Caller], Any]


@dataclass(frozen=True)
class Seen:
    """What went on meanwhile, in seconds: a reconcile, the latest record, the slowest `health`."""

    reconcile: float
    latest: float
    health: float
    outcomes: Counter[str]
    sent: int


def validated(text: str) -> Load:
    return lambda app: app.call("POST", "/api/exports/validate", text)


def fetched(path: str) -> Load:
    return lambda app: app.call("GET", path)


WORST: dict[str, tuple[int, Load]] = {
    "a megabyte of rules": (10, validated(filled("rules on unknown paths", MEGABYTE))),
    "a megabyte of unknown keys": (10, validated(filled("unknown keys", MEGABYTE))),
    "200 parallel reads": (200, fetched("/api/status")),
    "forced refreshes": (30, fetched("/api/coverage?maxAge=0")),
    "200 large reports": (10, fetched(f"/api/runs?limit={RUNS}")),
}
"""How many callers at once, and what each of them asks for without a pause."""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[Api]:
    tenant = synthetic_tenant(3, SUBSCRIPTIONS, untidy=False)
    with Api(tmp_path_factory.mktemp("busy"), local_certs, tenant) as running:
        running.azure.arm.faults.add("latency", seconds=ARM_SECONDS)
        reconcile(running, "High")
        reconcile(running, "Medium")
        yield running


def reconcile(api: Api, severity: str) -> dict[str, Any]:
    """The job of a reconcile that rewrites every automation."""
    put = api.put("beside", api.export("beside", f"minimumSeverity: {severity}"))
    assert put.status in {200, 201}, put.text
    return api.job(kind="reconcile", exports=["beside"])


def seen(api: Api, severity: str, seconds: float) -> Seen:
    """What goes on for so long, and until the reconcile has ended."""
    put = api.put("beside", api.export("beside", f"minimumSeverity: {severity}"))
    assert put.status == 200, put.text
    ended = threading.Event()
    before = len(api.azure.ingestion.stored)
    with ThreadPoolExecutor(3) as pool:
        health = pool.submit(slowest_health, api, ended)
        sending = pool.submit(lambda: api.on_loop(lambda: send(api, seconds)))
        job = api.job(wait=100, kind="reconcile", exports=["beside"])
        sent = sending.result()
        delays = api.until(lambda: found if len(found := delays_of(api, before)) >= sent else None)
        ended.set()
        return Seen(
            (datetime.fromisoformat(job["finished"]) - datetime.fromisoformat(job["started"])).total_seconds(),
            max(delays),
            health.result(),
            outcomes(api, job["result"]["runId"]),
            sent,
        )


def outcomes(api: Api, run_id: str) -> Counter[str]:
    """What became of the automations of a run."""
    report = api.call("GET", f"/api/runs/{run_id}").json()
    assert (report["outcome"], report["complete"]) == ("Succeeded", True), report["reason"]
    return Counter(str(item.get("outcome")) for item in report["items"])


def slowest_health(api: Api, ended: threading.Event) -> float:
    slowest = 0.0
    while not ended.wait(0.1):
        answer = api.call("GET", "/api/health", key=False)
        assert answer.status == 200
        slowest = max(slowest, answer.seconds)
    return slowest


async def send(api: Api, seconds: float) -> int:
    """Send a hundred records a second, five times a second."""
    subscriptions = [each.id for each in api.azure.tenant.subscriptions.values()]
    count = int(A_SECOND * seconds)  # as many as fill whole batches of the trigger: none waits for others to come
    bodies = [event.body for event in generate(11, subscriptions, 2 * count) if event.kind != "Bad"][:count]
    hub = EventHubProducerClient.from_connection_string(api.azure.broker.connection_string, eventhub_name=HUB)
    share = A_SECOND // 5
    begun = time.monotonic()
    async with hub:
        for place in range(0, len(bodies), share):
            await asyncio.sleep(max(0.0, begun + place / A_SECOND - time.monotonic()))
            batch = await hub.create_batch(partition_id=str(place // share % 2))
            for body in bodies[place : place + share]:
                batch.add(EventData(body))
            await hub.send_batch(batch)
    return len(bodies)


def delays_of(api: Api, before: int) -> list[float]:
    """Seconds from the hub to the table, of each event whose rows came since."""
    latest: dict[tuple[str, int], float] = {}
    for stored in list(api.azure.ingestion.stored)[before:]:
        for row in json.loads(stored.body):
            if "EnqueuedTime" in row and row.get("SequenceNumber") is not None:
                place = (row["PartitionId"], row["SequenceNumber"])
                delay = stored.arrived - datetime.fromisoformat(row["EnqueuedTime"])
                latest[place] = max(latest.get(place, 0.0), delay.total_seconds())
    return list(latest.values())


@contextmanager
def asked_without_pause(app: Caller, callers: int, load: Load) -> Iterator[list[Future[set[int]]]]:
    """Callers who ask again as soon as they have an answer; the statuses that each of them got."""
    ended = threading.Event()

    def ask() -> set[int]:
        statuses = set()
        while not ended.is_set():
            statuses.add(load(app).status)
        return statuses

    with ThreadPoolExecutor(callers) as pool:
        waiting = [pool.submit(ask) for _ in range(callers)]
        try:
            yield waiting
        finally:
            ended.set()


def large_reports(api: Api) -> None:
    """Runs of a large tenant, as an earlier release kept them: without a line for lists."""
    whole = api.call("GET", f"/api/runs/{api.call('GET', '/api/runs?limit=1').json()['value'][0]['runId']}").json()
    whole["items"] = [dict(whole["items"][0], id=f"{whole['items'][0]['id']}-{at}") for at in range(ITEMS)]
    connection = api.azure.azurite.main.connection_string
    trust: dict[str, Any] = {"connection_verify": str(api.azure.certificates.ca_file)}
    now = datetime.fromisoformat(whole["started"])
    with ContainerClient.from_connection_string(connection, "run-reports", **trust) as reports:
        for age in range(RUNS):
            moment = now - timedelta(days=1, minutes=age)
            run_id = new_run_id(moment)
            text = json.dumps({**whole, "format": 1, "runId": run_id})
            reports.upload_blob(f"{moment:%Y/%m/%d}/{run_id}.json", text)


def goes_on(api: Api, alone: Seen, worst: str, severity: str, seconds: float) -> None:
    callers, load = WORST[worst]
    with asked_without_pause(api, callers, load) as asking:
        beside = seen(api, severity, seconds)
    statuses = set().union(*(each.result() for each in asking))
    LOG.info("%s: alone %s, beside %s, %s", worst, alone, beside, statuses)
    assert statuses <= {200, 422, 429, 503}
    assert beside.outcomes == alone.outcomes == {"updated": SUBSCRIPTIONS}
    assert beside.health < HEALTH_SECONDS + alone.health  # which is what the machine does beside
    assert beside.latest <= alone.latest + LATER_SECONDS
    assert beside.reconcile <= 2 * alone.reconcile


def test_health_answers_beside_a_megabyte_of_rules(api: Api) -> None:
    """The short form, by health alone: what runs beside it is what deliveries and a reconcile run on too."""
    _, load = WORST["a megabyte of rules"]
    alone = max(api.call("GET", "/api/health", key=False).seconds for _ in range(10))
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(load, api) for _ in range(2)]
        slowest = 0.0
        while not all(each.done() for each in asking):
            slowest = max(slowest, api.call("GET", "/api/health", key=False).seconds)
            time.sleep(0.05)
    assert {each.result().status for each in asking} == {200}
    assert 0 < slowest < HEALTH_SECONDS + alone


@pytest.mark.soak
@pytest.mark.parametrize("worst", WORST)
def test_the_worst_requests_harm_nothing(busy: Api, worst: str) -> None:
    if worst == "200 large reports":
        large_reports(busy)
    alone = seen(busy, "Low", 20)
    goes_on(busy, alone, worst, "High", 20)
