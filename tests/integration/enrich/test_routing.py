"""Rows to several places over the wire: each place has its own rule, its own trouble and its own dead letters."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import orjson
import pytest
import yaml

from local.certs import Certificates
from local.eventhubs import EventHubsBroker
from local.ingestion import Ingestion
from local.places import further_place, keys_at
from local.stack import LocalAzure
from local.tenant import OTHER_TENANT
from local.tenant.synthetic import CROSS_TENANT_APP_THERE
from shared.azure.blob_container import StoreError
from shared.bootstrap import Services
from shared.cli import main
from shared.enrich.context.resource_context import Context
from shared.enrich.dead_letters.dead_letter_format import Letter
from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from shared.enrich.invocation.pipeline import Pipeline
from shared.enrich.invocation.pipeline_factory import pipeline
from shared.enrich.records.model import Event
from shared.enrich.routing.routes_in_force import RoutesUnknownError
from shared.settings import Settings
from shared.web.health_check import CHECKS, NotWell
from shared.web.response_models import RoutesKnown
from tests.integration.enrich.conftest import MARK, START, Plant
from tests.integration.enrich.test_forward import received

PAYMENTS, CARDS, CLAIMS, OTHERS = (f"{digit * 8}-{digit * 4}-{digit * 4}-{digit * 4}-{digit * 12}" for digit in "1234")
ROOT = Path(__file__).parents[3]
PARKED = LetterFilter(parked=True, due_only=False)
WAITING = LetterFilter(due_only=False)


@dataclass
class Routed:
    """A plant with further places, and a file of routes for them."""

    plant: Plant
    folder: Path
    opened: AsyncExitStack
    places: dict[str, Ingestion] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def open(self, *names: str, **options: Any) -> None:
        """Further places by name."""
        azure, now = self.plant.azure, self.plant.time.clock().now
        for name in names:
            place = further_place(self.folder, azure.tokens, azure.certificates, now=now, **options)
            self.places[name] = await self.opened.enter_async_context(place)

    def write(self, rules: list[dict[str, Any]], **more: Mapping[str, Any]) -> Path:
        """The file of routes with these rules, the open places and more."""
        places = [
            {
                "name": name,
                "rule": {"endpoint": place.endpoint, "immutableId": place.rule_id, **self.about.get(name, {})},
            }
            for name, place in self.places.items()
        ]
        places += [{"name": name, **place} for name, place in more.items()]
        path = self.folder / "routes.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "places": places, "rules": rules}))
        return path

    def process(self, path: Path, **changes: Any) -> Pipeline:
        """The pipeline of a process that starts with this file."""
        return self.plant.rebuilt(routes_file=str(path), **changes)

    def seen(self) -> dict[str, Counter[str]]:
        """How often each key was taken, by place."""
        return {name: keys_at(place) for name, place in {**self.places, "default": self.plant.azure.ingestion}.items()}


@pytest.fixture
async def routed(plant: Plant, tmp_path: Path) -> AsyncIterator[Routed]:
    async with AsyncExitStack() as opened:
        yield Routed(plant, tmp_path, opened)


def assessments(numbers: Iterable[int], subscription: str, title: str = "Fine") -> list[Event]:
    """Assessments of a subscription, each its own record."""
    return [_event(number, subscription, title) for number in numbers]


def _event(number: int, subscription: str, title: str) -> Event:
    scope = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm{number}"
    record = {
        "type": "Microsoft.Security/assessments",
        "id": f"{scope}/providers/Microsoft.Security/assessments/a{number}",
        "name": f"a{number}",
        "properties": {"displayName": title, "status": {"code": "Unhealthy", "statusChangeDate": START.isoformat()}},
    }
    return Event(json.dumps(record).encode(), START, "0", number)


def instead(name: str, subscription: str) -> dict[str, Any]:
    return {"name": name, "subscriptions": [subscription], "instead": [name]}


async def test_places_down_throttled_and_refused_for_an_hour_get_exactly_their_rows_and_hold_up_no_other(
    routed: Routed,
) -> None:
    await routed.open("payments", "cards", "claims")
    rules = [*map(instead, routed.places, (PAYMENTS, CARDS, CLAIMS))]
    rules.insert(0, {"name": "all-to-cards-too", "subscriptions": [OTHERS], "also": ["cards"]})
    delivering = routed.process(routed.write(rules))
    routed.places["payments"].faults.add("drop_before")
    routed.places["cards"].records.limit.requests = 1  # a minute, which is less than comes
    routed.places["claims"].publishers = set()
    time, longest, spent, sent, throttled = routed.plant.time, 0.0, 0.0, 0, 0
    wanted: dict[str, set[str]] = {}
    for turn in range(90):
        batch = [
            event
            for place, subscription in zip((*routed.places, "default"), (PAYMENTS, CARDS, CLAIMS, OTHERS), strict=True)
            for event in assessments(range(sent, sent + 3), subscription)
        ]
        wanted = await _expected(routed.plant, batch, wanted)
        began = time.seconds
        summary = await delivering.run(batch)
        took = time.seconds - began
        longest, spent, throttled = max(longest, took), spent + took, throttled + summary.throttled
        assert set(keys_at(routed.plant.azure.ingestion)) == wanted[OTHERS]
        assert summary.places["payments", "dead_letters"] == summary.places["claims", "dead_letters"] == 3
        sent += 3
        if turn % 10 == 0:
            await delivering.replay()
        time.move(max(0.0, 40 - (time.seconds - began)))
    assert throttled > 10
    assert longest <= 10
    assert spent <= 0.1 * 3600  # the throttled place's patience, of which chance decides how much is needed
    assert routed.seen()["payments"] == routed.seen()["claims"] == Counter()
    assert {letter.route for letter in await routed.plant.lost()} <= {"payments", "cards", "claims"}
    routed.places["payments"].faults.clear()
    routed.places["cards"].records.limit.requests = 100
    routed.places["claims"].publishers = routed.plant.azure.ingestion.publishers
    for _ in range(40):
        await delivering.replay()
        if not await routed.plant.letters():
            break
        time.move(600)
    assert await routed.plant.letters() == []
    assert routed.seen() == {
        "payments": Counter(dict.fromkeys(wanted[PAYMENTS], 1)),
        "cards": Counter(dict.fromkeys(wanted[CARDS] | wanted[OTHERS], 1)),
        "claims": Counter(dict.fromkeys(wanted[CLAIMS], 1)),
        "default": Counter(dict.fromkeys(wanted[OTHERS], 1)),
    }


async def _expected(plant: Plant, batch: list[Event], before: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The keys of all batches so far, by subscription, as the parser alone gives them."""
    work = await plant.pipeline._preparer.prepare(batch, plant.time.clock().now())
    found = {name: set(keys) for name, keys in before.items()}
    for row in work.parsed.rows:
        found.setdefault(row.subscription, set()).add(row.record_key)
    return found


async def test_a_row_goes_to_several_places_and_a_bad_one_costs_its_neighbours_nothing_at_either(
    routed: Routed,
) -> None:
    await routed.open("payments", "cards")
    for place in routed.places.values():
        place.poison = MARK.encode()
    rules = [{"name": "both", "subscriptions": [PAYMENTS], "also": ["payments", "cards"]}]
    delivering = routed.process(routed.write(rules))
    batch = assessments(range(50), PAYMENTS) + assessments([99], PAYMENTS, MARK)
    summary = await delivering.run(batch)
    assert {name: len(keys) for name, keys in routed.seen().items()} == {"payments": 50, "cards": 50, "default": 51}
    letters = await routed.plant.lost()
    assert sorted((letter.route, letter.place, letter.reason) for letter in letters) == [
        ("cards", "cards.DefenderAssessments_CL", "refused"),
        ("payments", "payments.DefenderAssessments_CL", "refused"),
    ]
    assert summary.places == {
        (name, what): n for name in routed.places for what, n in (("accepted", 50), ("dead_letters", 1))
    }
    assert summary.log()["places"] == {name: {"accepted": 50, "dead_letters": 1} for name in routed.places}


async def test_a_replay_delivers_to_its_place_alone(routed: Routed) -> None:
    await routed.open("payments", "cards")
    routed.places["cards"].publishers = set()
    rules = [{"name": "both", "instead": ["payments", "cards"]}]
    delivering = routed.process(routed.write(rules))
    await delivering.run(assessments(range(5), OTHERS))
    routed.places["cards"].publishers = routed.plant.azure.ingestion.publishers
    replay = await delivering.replay()
    assert (replay.delivered, replay.remaining) == (5, 0)
    assert {name: sum(keys.values()) for name, keys in routed.seen().items()} == {
        "payments": 5,
        "cards": 5,
        "default": 0,
    }


async def test_rows_for_a_hub_go_there_in_its_form_and_wait_where_it_is_not_there(
    routed: Routed, broker: EventHubsBroker
) -> None:
    hubs = {name: {"hub": {"name": hub, "format": "ocsf"}} for name, hub in {"siem": "events", "lost": "none"}.items()}
    connections = dict.fromkeys(hubs, broker.connection_string)
    path = routed.write([{"name": "all", "also": ["siem"]}, {"name": "some", "also": ["lost"]}], **hubs)
    delivering = routed.process(path, route_connections=connections)
    summary = await delivering.run(assessments(range(7), OTHERS))
    assert summary.places == {("siem", "accepted"): 7, ("lost", "dead_letters"): 7}
    events = [orjson.loads(event.body_as_str()) for _, event in await received(broker, 7)]
    assert {event["metadata"]["uid"] for event in events} == set(keys_at(routed.plant.azure.ingestion))
    letters = await routed.plant.lost()
    assert {(letter.place, letter.form, letter.reason) for letter in letters} == {
        ("lost.hub", "ocsf", "hub-unavailable")
    }


async def test_letters_for_a_place_that_is_no_longer_declared_are_parked_and_delivered_once_it_is_again(
    routed: Routed,
) -> None:
    await routed.open("payments", "cards")
    routed.places["cards"].publishers = set()
    rules = [{"name": "both", "instead": ["payments", "cards"]}]
    await routed.process(routed.write(rules)).run(assessments(range(5), OTHERS))
    off = await routed.plant.rebuilt().replay()
    assert (off.delivered, off.remaining, off.parked) == (0, 5, 5)
    assert {letter.reason for letter in await routed.plant.lost()} == {"no-place"}
    routed.places["cards"].publishers = routed.plant.azure.ingestion.publishers
    back = await routed.process(routed.write(rules)).replay(PARKED)
    assert (back.delivered, back.remaining) == (5, 0)
    assert sum(routed.seen()["cards"].values()) == 5
    assert sum(routed.seen()["default"].values()) == 0


async def test_a_rule_in_another_tenant_is_reached_through_the_multi_tenant_app(routed: Routed) -> None:
    await routed.open("partner", tenant_id=OTHER_TENANT, publishers=[CROSS_TENANT_APP_THERE.object_id])
    path = routed.write([{"name": "all", "also": ["partner"]}])
    without = await routed.process(path).run(assessments(range(3), OTHERS))
    assert without.letters == {"no-access": 3}  # a token of the app's own tenant
    document = yaml.safe_load(path.read_text())
    document["places"][0]["rule"]["tenantId"] = OTHER_TENANT
    path.write_text(yaml.safe_dump(document))
    delivering = routed.process(path)
    routed.places["partner"].faults.add("expire_token", times=1)
    await delivering.run(assessments(range(3, 6), OTHERS))
    await delivering.replay()
    assert sum(routed.seen()["partner"].values()) == 6
    assert await routed.plant.letters() == []


async def test_streams_may_be_called_otherwise_at_a_place(routed: Routed) -> None:
    await routed.open("payments")
    place = routed.places["payments"]
    path = routed.write([{"name": "all", "instead": ["payments"]}])
    document = yaml.safe_load(path.read_text())
    document["places"][0]["rule"]["streams"] = {"DefenderAssessments_CL": "Custom-DefenderAlerts_CL"}
    path.write_text(yaml.safe_dump(document))
    await routed.process(path).run(assessments(range(3), OTHERS))
    assert [stored.stream for stored in place.stored] == ["Custom-DefenderAlerts_CL"]


class TestAFileThatCannotBeRead:
    async def test_leaves_the_routes_in_force_that_were(self, routed: Routed) -> None:
        await routed.open("payments")
        path = routed.write([{"name": "all", "instead": ["payments"]}])
        await routed.process(path).run(assessments(range(3), OTHERS))
        for broken in ("version: 2\n", "{", "version: 1\nplaces: []\nrules: []\n", "\0", None):
            path.unlink() if broken is None else path.write_text(broken)
            delivering = routed.process(path)
            await delivering.run(assessments(range(3, 6), OTHERS))
            assert delivering.routed is not None
            assert "stay in force" in (await delivering.routed.load()).fault
        assert sum(routed.seen()["payments"].values()) == 18
        assert sum(routed.seen()["default"].values()) == 0

    async def test_where_it_is_not_known_what_was_in_force_the_batch_waits_at_the_hub(
        self, routed: Routed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivering = routed.process(routed.folder / "absent.yaml", freshness_table="notthere")
        with pytest.raises(StoreError):
            await delivering.run(assessments(range(3), OTHERS))
        assert sum(routed.seen()["default"].values()) == 0

    async def test_a_long_one_stays_in_force_too(self, routed: Routed) -> None:
        await routed.open("payments")
        many = [str(uuid4()) for _ in range(4_900)]  # what compression makes least of
        long = [{"name": "many", "subscriptions": many, "also": ["default"]}]
        for rules in ([*long, {"name": "all", "instead": ["payments"]}], [{"name": "all", "instead": ["payments"]}]):
            path = routed.write(rules)
            await routed.process(path).run(assessments(range(3), OTHERS))
            path.write_text("{")
            await routed.process(path).run(assessments(range(3, 6), OTHERS))
        assert sum(routed.seen()["payments"].values()) == 12
        assert sum(routed.seen()["default"].values()) == 0

    async def test_routes_that_were_in_force_do_not_stay_so_once_the_hub_of_one_is_read(
        self, routed: Routed, broker: EventHubsBroker
    ) -> None:
        path = routed.write([{"name": "all", "also": ["soc"]}], soc={"hub": {"name": "defender-export"}})
        connections: dict[str, Any] = {"route_connections": {"soc": broker.connection_string}}
        connections["event_hub_connection"] = broker.connection_string
        process = routed.process(path, event_hub_name="another", **connections)
        assert process.routed is not None
        assert (await process.routed.load()).fault == ""
        for broken in (path.read_text(), "{"):
            path.write_text(broken)
            delivering = routed.process(path, **connections)
            with pytest.raises(StoreError, match="rows would come back"):
                await delivering.run(assessments(range(3), OTHERS))

    async def test_routes_that_this_release_can_not_read_are_not_known(self, routed: Routed) -> None:
        await routed.open("payments")
        path = routed.write([{"name": "all", "instead": ["payments"]}])
        before = routed.process(path)
        assert before.routed is not None
        await before.routed.load()
        table = routed.plant.clients.data_tables.get_table_client(routed.plant.settings.freshness_table)
        kept = [row async for row in table.query_entities("PartitionKey eq 'uploaded-routes'")]
        kept[0]["text"] = zlib.compress(b"version: 1\nplaces: later\n", wbits=31)
        await table.upsert_entity(kept[0])
        path.write_text("{")
        with pytest.raises(StoreError, match="places"):
            await routed.process(path).run(assessments(range(3), OTHERS))

    async def test_letters_of_its_places_wait_and_are_not_parked(self, routed: Routed) -> None:
        await routed.open("payments")
        routed.places["payments"].publishers = set()
        path = routed.write([{"name": "all", "instead": ["payments"]}])
        await routed.process(path, freshness_table="jobs").run(assessments(range(3), OTHERS))
        path.unlink()
        replay = await routed.process(path).replay()
        assert (replay.remaining, replay.parked) == (3, 0)
        assert {(letter.reason, letter.outage) for letter in await routed.plant.lost()} == {("routes-unknown", True)}


async def test_a_place_that_is_the_hub_that_is_read_is_refused(routed: Routed, broker: EventHubsBroker) -> None:
    path = routed.write([{"name": "all", "also": ["loop"]}], loop={"hub": {"name": "defender-export"}})
    connection = {"loop": broker.connection_string}
    delivering = routed.process(path, route_connections=connection, event_hub_connection=broker.connection_string)
    with pytest.raises(RoutesUnknownError, match=r"is the hub that is read, .* events wait at the hub"):
        await delivering.run(assessments(range(3), OTHERS))
    assert sum(routed.seen()["default"].values()) == 0


async def test_the_place_that_is_down_is_asked_again_and_the_default_place_may_be_down_too(routed: Routed) -> None:
    await routed.open("payments")
    delivering = routed.process(routed.write([instead("payments", PAYMENTS)]))
    routed.plant.azure.ingestion.faults.add("error", status=503)
    time = routed.plant.time
    for number in range(0, 30, 3):
        batch = assessments(range(number, number + 3), PAYMENTS) + assessments(range(number, number + 3), OTHERS)
        began = time.seconds
        await delivering.run(batch)
        assert time.seconds - began <= 10
        time.move(60)
    assert sum(routed.seen()["payments"].values()) == 30
    routed.plant.azure.ingestion.faults.clear()
    time.move(timedelta(hours=1).total_seconds())
    await delivering.replay(WAITING)
    assert sum(routed.seen()["default"].values()) == 30


class Graph:
    """Resource Graph as far as context asks it: what it knows of ids, and whether it answers."""

    def __init__(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        self.known, self.down = known, False

    async def __call__(self, kql: str, _: Sequence[str]) -> list[Mapping[str, Any]]:
        if self.down:
            raise OSError("no answer")
        return [{"id": name, **about} for name, about in self.known.items() if f"'{name}'" in kql]


async def test_while_resource_graph_does_not_answer_rows_that_ask_it_wait_and_go_where_they_belong(
    routed: Routed,
) -> None:
    await routed.open("payments", "cards")
    rules: list[dict[str, Any]] = [
        {"name": "by-tag", "subscriptionTags": {"unit": ["payments"]}, "instead": ["payments"]},
        {"name": "by-owner", "owners": ["ann"], "instead": ["cards"]},
    ]
    graph = Graph(
        {
            f"/subscriptions/{PAYMENTS}": {"tags": {"Unit": "payments"}},
            f"/subscriptions/{CARDS}": {"tags": {"Owner": "Ann"}},
            f"/subscriptions/{OTHERS}": {"tags": {"unit": "Payments"}},
        }
    )
    settings = replace(routed.plant.settings, routes_file=str(routed.write(rules)))
    clock = routed.plant.time.clock()
    context = Context(graph, clock=clock.monotonic, patience=1)
    delivering = pipeline(settings, routed.plant.clients, {}, make_context=lambda: context, clock=clock)
    graph.down = True
    batch = [event for one in (PAYMENTS, CARDS, OTHERS) for event in assessments(range(3), one)]
    numbered = [event._replace(sequence=number) for number, event in enumerate(batch)]
    summary = await delivering.run(numbered)
    assert summary.letters == {"route-unknown": 9}
    assert {letter.outage for letter in await routed.plant.lost()} == {True}
    again = await delivering.replay()
    assert (again.delivered, again.remaining) == (0, 9)
    graph.down = False
    routed.plant.time.move(600)
    last = await delivering.replay()
    assert (last.delivered, last.remaining) == (9, 0)
    assert {name: len(keys) for name, keys in routed.seen().items()} == {"payments": 3, "cards": 3, "default": 3}


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
    await services().pipeline.replay()
    await services().close()
    return summary.accepted.total()

print(json.dumps({
    "done": asyncio.run(run()),
    "modules": [name for name in sys.modules if name.startswith("shared.enrich.routing") or "routed" in name],
    "files": [name for name in opened if "enrich/routing" in name.replace("\\\\", "/") or "routes" in name],
}))
"""


@pytest.mark.parametrize("on", [False, True])
async def test_unless_it_is_on_no_module_of_it_is_imported_and_no_file_read(routed: Routed, *, on: bool) -> None:
    await routed.open("payments")
    path = routed.write([{"name": "all", "subscriptions": [PAYMENTS], "instead": ["payments"]}])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", A_RUN, cwd=ROOT, env=os.environ | ({"ROUTES_FILE": str(path)} if on else {}),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate(
        json.dumps([event.body.decode() for event in assessments(range(3), OTHERS)]).encode()
    )
    said = json.loads(out.splitlines()[-1])
    assert said["done"] == 3
    assert bool(said["modules"]) == on
    assert bool(said["files"]) == on


async def test_ready_and_status_name_each_place_that_needs_a_person(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await routed.open("payments", "cards")
    routed.places["cards"].publishers = set()
    rules = [{"name": "both", "subscriptions": [PAYMENTS], "also": ["payments", "cards"]}]
    more = {"siem": {"hub": {"name": "rows"}}}
    monkeypatch.setenv("ROUTES_FILE", str(routed.write([*rules, {"name": "all", "also": ["siem"]}], **more)))
    services = Services(Settings.load())
    monkeypatch.setattr(Services, "_context", lambda _: Context(Graph({})))
    try:
        await services.pipeline.run(assessments(range(4), PAYMENTS))
        known = await services.routes()
        assert known is not None
        assert {one["name"]: (one["state"], one["waiting"], one["today"]) for one in known["places"]} == {
            "default": ("well", 0, 4),
            "payments": ("well", 0, 4),
            "cards": ("refused", 4, 0),
            "siem": ("misconfigured", 4, 0),
        }
        RoutesKnown.model_validate(known)
        with pytest.raises(NotWell, match="cards is refused: no-access; siem is misconfigured: siem has no namespace"):
            await CHECKS["routes"](services)
        assert "no upload was refused" in await CHECKS["ingestion"](services)
        routed.places["cards"].publishers = routed.plant.azure.ingestion.publishers
    finally:
        await services.close()
    monkeypatch.setenv("ROUTES_FILE", "")
    services = Services(Settings.load())
    try:
        assert await services.routes() is None
        assert await CHECKS["routes"](services) == "off: all rows go to the workspace"
    finally:
        await services.close()


async def test_the_preview_says_who_would_get_what_and_who_may_change_it(
    tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with LocalAzure(tmp_path / "azure", parts=("arm",), certificates=local_certs) as azure:
        for name, value in azure.app_settings().items():
            monkeypatch.setenv(name, value)
        home = [one for one in azure.tenant.subscriptions.values() if one.tenant_id == azure.tenant.home]
        group = azure.tenant.ancestors(home[0].management_group)[0].name
        path = tmp_path / "routes.yaml"
        place = {"name": "payments", "rule": {"endpoint": "https://x.ingest.monitor.azure.com", "immutableId": "dcr-1"}}
        rules = [
            {"name": "by-group", "managementGroups": [group], "instead": ["payments"]},
            {"name": "by-tag", "subscriptionTags": {"unit": ["x"]}, "also": ["payments"]},
        ]
        path.write_text(yaml.safe_dump({"version": 1, "places": [place], "rules": rules}))
        assert await asyncio.to_thread(main, ["routes", "check", str(path)]) == 0
        assert capsys.readouterr().out == "1 places, 2 rules\n"
        await asyncio.to_thread(main, ["routes", "preview", str(path)])
        printed = capsys.readouterr().out
        await asyncio.to_thread(main, ["routes", "preview", str(path), "--json"])
        told = json.loads(capsys.readouterr().out)
    assert max(map(len, printed.splitlines())) <= 100
    said = " ".join(printed.split())
    assert f"{home[0].name}: all kinds -> payments by by-group" in said
    assert "by-tag: the tag unit of a subscription is changed by whoever holds Microsoft.Resources/tags/write" in said
    below = {one.id for one in home if group in {each.name for each in azure.tenant.ancestors(one.management_group)}}
    assert {one["subscriptionId"] for one in told["value"] if "payments" in one["places"]} == below
    path.write_text(path.read_text().replace("instead", "insted"))
    assert await asyncio.to_thread(main, ["routes", "check", str(path)]) == 1
    assert "Did you mean instead?" in capsys.readouterr().err


class TestOddInputs:
    async def test_records_of_one_event_go_each_to_its_own_place(self, routed: Routed) -> None:
        await routed.open("payments", "cards")
        delivering = routed.process(routed.write([instead("payments", PAYMENTS), instead("cards", CARDS)]))
        records = [json.loads(event.body) for one in (PAYMENTS, CARDS, OTHERS) for event in assessments([1], one)]
        await delivering.run([Event(json.dumps(records).encode(), START, "0", 1)])
        assert {name: len(keys) for name, keys in routed.seen().items()} == {"payments": 1, "cards": 1, "default": 1}

    async def test_what_is_cut_for_several_places_is_kept_whole_once(
        self, routed: Routed, broker: EventHubsBroker
    ) -> None:
        await routed.open("payments")
        siem = {"siem": {"hub": {"name": "events", "eventKb": 256}}}
        path = routed.write([{"name": "all", "also": ["payments", "siem"]}], **siem)
        delivering = routed.process(path, route_connections={"siem": broker.connection_string})
        large = assessments([1], OTHERS, "x" * 300_000)
        summary = await delivering.run(large + assessments([2], OTHERS))
        assert summary.oversize == 1
        container = routed.plant.clients.blobs.get_container_client(routed.plant.settings.oversize_container)
        assert len([blob async for blob in container.list_blobs()]) == 1
        events = await received(broker, 2)
        assert max(len(event.body_as_str()) for _, event in events) <= 256 * 1024
        assert await routed.plant.letters() == []

    @pytest.mark.parametrize("route", ["../x", "A", "x" * 41, "a.b", "a/b"])
    async def test_a_letter_that_names_no_place_that_can_be_is_left_as_it_is(self, route: str) -> None:
        known = {"reason": "refused", "table": "DefenderAlerts_CL", "row": msgspec.Raw(b"{}")}
        letter = Letter(**known, route=route, enqueued=START, failed=START)  # type: ignore[arg-type]
        assert not letter.sound
        assert msgspec.structs.replace(letter, route="payments").sound

    async def test_a_place_that_became_a_hub_takes_no_rows_that_were_meant_for_a_rule(self, routed: Routed) -> None:
        await routed.open("payments")
        routed.places["payments"].publishers = set()
        await routed.process(routed.write([{"name": "all", "instead": ["payments"]}])).run(assessments([1], OTHERS))
        routed.places.clear()
        hub = {"payments": {"hub": {"name": "events", "namespace": "ns.servicebus.windows.net"}}}
        replay = await routed.process(routed.write([{"name": "all", "also": ["payments"]}], **hub)).replay()
        assert (replay.delivered, replay.parked) == (0, 1)

    @pytest.mark.parametrize("text", [b"\xff\xfe", b"version: 1\n" * 30_000, b"a: " + b"[" * 10_000, b""])
    async def test_a_file_of_nothing_sensible_is_no_file(self, routed: Routed, text: bytes) -> None:
        path = routed.folder / "odd.yaml"
        path.write_bytes(text)
        for odd in (path, routed.folder):  # the other a folder
            with pytest.raises(RoutesUnknownError):
                await routed.process(odd).run(assessments([1], OTHERS))
        assert routed.seen()["default"] == Counter()

    async def test_what_a_later_release_kept_is_left_and_not_used(self, routed: Routed) -> None:
        await routed.open("payments")
        path = routed.write([{"name": "all", "instead": ["payments"]}])
        clients, settings = routed.plant.clients, routed.plant.settings
        table = clients.data_tables.get_table_client(settings.freshness_table)
        kept = {"PartitionKey": "uploaded-routes", "RowKey": "accepted", "format": 2, "text": b"later"}
        await table.upsert_entity(kept)
        await routed.process(path).run(assessments([1], OTHERS))
        assert (await table.get_entity("uploaded-routes", "accepted"))["text"] == b"later"
        path.unlink()
        with pytest.raises(StoreError, match="format 2"):
            await routed.process(path).run(assessments([2], OTHERS))

    async def test_a_row_whose_record_says_another_tenant_goes_by_what_it_says_and_by_nothing_odd(
        self, routed: Routed
    ) -> None:
        await routed.open("payments")
        delivering = routed.process(routed.write([{"name": "t", "tenants": [OTHER_TENANT], "instead": ["payments"]}]))
        odd = [OTHER_TENANT.upper(), "", "x" * 5_000, "\u0000", {"a": 1}, 7]
        events = []
        for number, tenant in enumerate(odd):
            record = json.loads(assessments([number], OTHERS)[0].body) | {"tenantId": tenant}
            events.append(Event(json.dumps(record).encode(), START, "0", number))
        summary = await delivering.run(events)
        assert len(keys_at(routed.places["payments"])) == 1
        assert sum(summary.places.values()) + sum(summary.accepted.values()) + sum(summary.letters.values()) >= len(odd)
