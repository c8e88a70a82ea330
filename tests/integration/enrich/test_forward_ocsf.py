"""Rows that go on as OCSF: what a receiver gets, what a dead letter keeps, and what a small hub takes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from local.app import ROOT
from local.eventhubs import EventHubsBroker
from local.ocsf_receiver import OcsfReceiver
from shared.azure.clients import Clients
from shared.enrich.invocation.pipeline import Pipeline
from shared.enrich.ocsf.attribute_mapping import PROFILES, VERSION
from shared.enrich.records.model import Event
from tests.integration.enrich.conftest import ANY, START, Plant, assessments
from tests.integration.enrich.test_forward import received
from tests.unit.enrich.builders import alert
from tests.unit.enrich.golden import GOLDENS

WAIT = 60.0


def goldens() -> list[Event]:
    return [Event(json.dumps(each.record).encode(), START, "0", number) for number, each in enumerate(GOLDENS)]


class Forwarding:
    """A plant whose rows go on to the hub `events` of a broker, in a form that may change meanwhile."""

    def __init__(self, plant: Plant, broker: EventHubsBroker) -> None:
        self.plant, self.broker = plant, broker
        self.all: list[Clients] = []

    def pipeline(self, form: str, hub: str = "events", **changes: Any) -> Pipeline:
        settings = replace(
            self.plant.settings,
            event_hub_connection=self.broker.connection_string,
            forward_event_hub=hub,
            forward_format=form,
            **changes,
        )
        self.plant.clients = Clients(settings)
        self.all.append(self.plant.clients)
        self.plant.settings = settings
        self.plant.pipeline = self.plant.rebuilt()
        return self.plant.pipeline


@pytest.fixture
async def forwarding(plant: Plant, broker: EventHubsBroker) -> AsyncIterator[Forwarding]:
    made = Forwarding(plant, broker)
    yield made
    for clients in made.all:
        await clients.close()


async def test_a_receiver_gets_valid_events_and_counts_each_record_once(
    forwarding: Forwarding, broker: EventHubsBroker
) -> None:
    events = [*goldens(), *assessments(range(100, 140))]
    pipeline = forwarding.pipeline("ocsf")
    for _ in range(2):  # the host delivers a batch again
        summary = await pipeline.run(events)
        assert summary.forwarded == len(events)
    keys = forwarding.plant.keys()
    receiver = OcsfReceiver(VERSION, PROFILES)
    await receiver.receive(broker.connection_string, "events", len(keys), WAIT)
    assert receiver.problems == {}
    assert receiver.records.keys() == keys
    assert sum(receiver.classes.values()) == len(keys)
    assert receiver.classes.keys() == {
        "Detection Finding", "Compliance Finding", "Vulnerability Finding", "Base Event"
    }  # fmt: skip


async def test_a_receiver_names_what_is_wrong(forwarding: Forwarding, broker: EventHubsBroker) -> None:
    await forwarding.pipeline("rows").run(assessments(range(3)))
    receiver = OcsfReceiver(VERSION, PROFILES)
    receiver.take([event for _, event in await received(broker, 3)])
    assert sum(receiver.problems.values()) == 3
    assert receiver.records == {}


@pytest.mark.parametrize(("meant", "by_then"), [("ocsf", "rows"), ("rows", "ocsf"), ("ocsf", "ocsf")])
async def test_a_dead_letter_keeps_its_form_and_its_replay_sends_it(
    forwarding: Forwarding, broker: EventHubsBroker, meant: str, by_then: str
) -> None:
    plant = forwarding.plant
    await forwarding.pipeline(meant, hub="nowhere").run(assessments(range(5)))
    letters = await plant.lost()
    assert {(letter.target, letter.form) for letter in letters} == {("hub", "ocsf" if meant == "ocsf" else "")}
    assert len(plant.stored()) == 5
    kept = sorted(bytes(letter.row) for letter in letters)
    assert all(("class_uid" in orjson.loads(row)) == (meant == "ocsf") for row in kept)

    replay = await forwarding.pipeline(by_then).replay(ANY)
    assert (replay.delivered, replay.remaining) == (5, 0)
    events = await received(broker, 5)
    assert sorted(event.body_as_str().encode() for _, event in events) == kept
    marks = {event.properties.get(b"Format") for _, event in events}
    assert marks == {b"ocsf" if meant == "ocsf" else None}
    assert await plant.lost() == []


async def test_letters_of_two_forms_lie_in_blobs_of_their_own(forwarding: Forwarding) -> None:
    plant = forwarding.plant
    for number, form in enumerate(("rows", "ocsf")):
        await forwarding.pipeline(form, hub="nowhere").run(assessments(range(number * 5, number * 5 + 5)))
    first, second = [
        {letter.form for letter in await plant.pipeline.dead_letters.read(blob.name)} for blob in await plant.letters()
    ]
    assert sorted([*first, *second]) == ["", "ocsf"]


@pytest.mark.parametrize("form", ["ocsf", "rows"])
async def test_a_hub_of_the_basic_tier_takes_every_event_and_what_was_cut_is_kept_whole(
    plant: Plant, form: str
) -> None:
    large = [
        alert(Description="é" * 400_000, SystemAlertId="A1", Entities=[{"n": n} for n in range(60_000)]),
        alert(RemediationSteps=['"\\' * 5_000] * 10, Entities=["x" * 60_000] * 5, SystemAlertId="A2"),
        alert(SystemAlertId="A3" * 40_000),
        alert(SystemAlertId="A4"),
    ]
    events = [Event(json.dumps(record).encode(), START, "0", number) for number, record in enumerate(large)]
    async with EventHubsBroker({"events": 4}, max_message_bytes=256 * 1024) as small:
        forwarding = Forwarding(plant, small)
        try:
            summary = await forwarding.pipeline(form, forward_event_kb="256").run(events)
            assert (summary.forwarded, dict(summary.letters)) == (4, {})
            found = [orjson.loads(event.body_as_str()) for _, event in await received(small, 4)]
        finally:
            for clients in forwarding.all[:-1]:
                await clients.close()
        columns = [event.get("unmapped", {}) if form == "ocsf" else event for event in found]
        cut = {
            (event["metadata"]["uid"] if form == "ocsf" else event["RecordKey"])
            for event, own in zip(found, columns, strict=True)
            if own.get("TruncatedColumns")
        }
        container = plant.clients.blobs.get_container_client(plant.settings.oversize_container)
        whole = {}
        async for blob in container.list_blobs():
            data = await (await container.download_blob(blob.name)).readall()
            whole[blob.name.rpartition("-")[2].removesuffix(".json.gz")] = gzip.decompress(data)
        assert whole.keys() == cut
        assert set(whole.values()) == {event.body for event in events[:3]}
        await forwarding.all[-1].close()


A_RUN = """
import asyncio, json, sys
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
import function_app
from shared.bootstrap import services
from shared.enrich.records.model import Event
from datetime import UTC, datetime

async def run():
    summary = await services().pipeline.run([Event(body.encode(), datetime.now(UTC)) for body in json.load(sys.stdin)])
    await services().close()
    return summary.accepted.total(), summary.forwarded

print(json.dumps({
    "done": asyncio.run(run()),
    "modules": [name for name in sys.modules if "ocsf" in name],
    "files": [name for name in opened if "enrich/ocsf" in name.replace("\\\\", "/") or "ocsf_" in name],
}))
"""


@pytest.mark.parametrize(("hub", "form"), [("", "ocsf"), ("events", "rows"), ("events", "ocsf")])
async def test_unless_it_is_on_no_module_of_it_is_imported_and_no_file_read(
    plant: Plant, broker: EventHubsBroker, hub: str, form: str
) -> None:
    settings = {"EventHubConnection": broker.connection_string, "FORWARD_EVENT_HUB": hub, "FORWARD_FORMAT": form}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", A_RUN, cwd=ROOT, env=os.environ | settings,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    bodies = [event.body.decode() for event in goldens()]
    out, _ = await process.communicate(json.dumps(bodies).encode())
    said = json.loads(out.splitlines()[-1])
    assert said["done"] == [len(bodies), len(bodies) if hub else 0]
    on = hub != "" and form == "ocsf"
    assert bool(said["modules"]) == on
    assert bool(said["files"]) == on
