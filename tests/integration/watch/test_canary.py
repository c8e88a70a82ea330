"""Canaries on the local Azure: a whole path proven, each hop broken in turn, and services that say nothing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub.aio import EventHubConsumerClient

from local.certs import Certificates
from local.ingestion import Ingestion
from local.logs_query import FurtherWorkspace
from local.oddities import Oddity
from local.places import further_place, keys_at
from local.stack import FORWARD_HUB, LocalAzure
from local.tenant import APP, destinations
from local.tenant.destinations import DEFENDER
from local.tenant.plans import set_plan
from local.tenant.roles import custom_role
from shared.bootstrap import Services
from shared.canary.bundles import NAMES
from shared.canary.canary_history import proven
from shared.canary.security_alerts import SIMULATE
from shared.enrich.records.model import Event
from shared.jobs.canary_factory import canary_runner
from shared.jobs.canary_runner import CanaryRunner
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.worker import JobRefusedError, WaitingError
from shared.settings import Settings

LOOK = timedelta(seconds=30)
LIMIT = timedelta(minutes=15)
GROUP, EXPORT = "rg-defender-export", "export"
ACTOR = "cli test"


@dataclass
class World:
    """A subscription with one export of its alerts to this app's hub, an app that may ask for canaries, and a clock."""

    azure: LocalAzure
    services: Services
    subscription: str
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    passed: timedelta = timedelta()
    delivers: bool = True
    read: int = 0

    def now(self) -> datetime:
        return self.begun + self.passed

    @property
    def runner(self) -> CanaryRunner:
        services = self.services
        return canary_runner(
            services.settings, services.clients, services.tenant_state.take, self.now, services.routed_workspaces
        )

    async def set_to(self, **changes: Any) -> None:
        """The same world, whose app has other settings."""
        await self.services.close()
        self.services = Services(replace(self.services.settings, **changes))

    @property
    def export(self) -> dict[str, Any]:
        (live,) = self.azure.tenant.all_automations()
        return json.loads(json.dumps(live))  # type: ignore[no-any-return] # an automation is an object

    def change(self, **properties: Any) -> None:
        live = self.export
        self.azure.tenant.set_automation({**live, "properties": {**live["properties"], **properties}})

    async def deliver(self) -> None:
        """What enrich_records does with what arrived since it was last here."""
        hub = self.azure.broker.hubs[self.services.settings.event_hub_name]
        while self.delivers and (missing := sum(len(one.events) for one in hub.partitions.values()) - self.read) > 0:
            events = await received(self.azure.broker.connection_string, hub.name, self.read + missing)
            self.read += missing
            await self.services.pipeline.run(events[-missing:])

    async def prove(self, job: Job | None = None) -> dict[str, Any]:
        """The result of a job, carried out as the worker does, half a minute from one look to the next."""
        job = job or self.job()
        for _ in range(200):
            progress = Progress(job)
            try:
                found = await self.runner.job(job, progress)
            except WaitingError:
                job = replace(job, cursor=json.loads(json.dumps(progress.cursor)))
                await asyncio.sleep(0.1)
                await self.deliver()
                self.passed += LOOK
            else:
                (told,) = found["value"]
                return dict(told)
        raise AssertionError(f"the canary never ended: {job.cursor}")

    def job(self, number: int = 0, **arguments: Any) -> Job:
        asked = {"subscriptions": [self.subscription], **arguments}
        return Job(f"{1_000_000_000_000 + number:013d}-00000000", "canary", asked, ACTOR, self.now())


async def received(connection: str, hub: str, count: int) -> list[Event]:
    """All that a hub holds, the oldest first."""
    found: list[Any] = []
    done = asyncio.Event()

    async def take(context: Any, events: list[Any]) -> None:
        found.extend((context.partition_id, event) for event in events)
        if len(found) >= count:
            done.set()

    reader = EventHubConsumerClient.from_connection_string(connection, "$Default", eventhub_name=hub)
    async with reader:
        task = asyncio.create_task(reader.receive_batch(take, starting_position="-1", max_wait_time=1))
        await asyncio.wait_for(done.wait(), 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    found.sort(key=lambda each: each[1].enqueued_time)
    return [
        Event(event.body_as_str().encode(), event.enqueued_time, partition, event.sequence_number)
        for partition, event in found
    ]


@pytest.fixture
async def world(tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with LocalAzure(tmp_path, certificates=local_certs) as azure:
        hub = destinations(azure.tenant).event_hub
        more = {"CANARY": "true", "EVENT_HUB_RESOURCE_ID": hub, "FORWARD_EVENT_HUB": FORWARD_HUB}
        more["EVENT_HUB_CONSUMER_GROUP"] = "enrich"
        for name, value in (azure.app_settings() | more).items():
            monkeypatch.setenv(name, value)
        home = next(iter(azure.tenant.subscriptions.values()))
        for one in [*azure.tenant.all_automations()]:
            azure.tenant.delete_automation(one["id"])
        azure.tenant.assign(APP, home.scope, custom_role("Simulates alerts", SIMULATE))
        azure.tenant.set_automation(automation(home.scope, hub))
        services = Services(Settings.load())
        made = World(azure, services, home.id)
        try:
            yield made
        finally:
            await made.services.close()


def automation(scope: str, hub: str) -> dict[str, Any]:
    rule = {"propertyJPath": "Severity", "propertyType": "String", "operator": "Equals", "expectedValue": "high"}
    place = f"{scope}/resourceGroups/{GROUP}/providers/Microsoft.Security/automations/{EXPORT}"
    return {
        "id": place, "name": EXPORT, "type": "Microsoft.Security/automations", "location": "westeurope",
        "properties": {
            "isEnabled": True,
            "scopes": [{"description": "", "scopePath": scope}],
            "sources": [{"eventSource": "Alerts", "ruleSets": [{"rules": [rule]}]}],
            "actions": [{"actionType": "EventHub", "eventHubResourceId": hub, "isTrustedServiceEnabled": True}],
        },
    }  # fmt: skip


def states(told: dict[str, Any]) -> dict[str, str]:
    return {each["hop"]: each["state"] for each in told["hops"]}


def reached(told: dict[str, Any]) -> list[str]:
    """The hops that were reached, each with a latency."""
    found = [each for each in told["hops"] if each["state"] == "reached"]
    assert all(each["at"] and each["seconds"] is not None and each["seconds"] >= 0 for each in found)
    return [each["hop"] for each in found]


async def test_a_plan_that_is_off_is_named_and_another_bundle_is_taken(world: World) -> None:
    set_plan(world.azure.tenant, world.subscription, "StorageAccounts", pricingTier="Free")
    told = await world.prove(world.job(bundle="StorageAccounts"))
    assert (told["outcome"], told["reason"]) == ("not-possible", "the Defender plan StorageAccounts is off")
    assert world.azure.continuous_export.alerts == []
    told = await world.prove(world.job(1))
    assert (told["outcome"], told["bundle"]) == ("proven", "SqlServers")


async def test_a_whole_path_is_proven_with_the_latency_of_each_hop_and_leaves_no_sign_of_life(world: World) -> None:
    told = await world.prove()
    assert (told["outcome"], told["bundle"], told["hop"], told["reason"]) == ("proven", "StorageAccounts", "", "")
    assert reached(told) == ["simulated", "emitted", "hub", "accepted", "stored", "forwarded"]
    assert world.passed <= LIMIT
    history = await world.runner.history.read(world.subscription)
    assert [(each["outcome"], each["by"]) for each in history] == [("proven", ACTOR)]
    assert proven(history) == {world.subscription.lower(): told["ended"]}
    assert await world.services.last_seen.read() == {}, "no sign of life, and no subscription called canary"
    assert len(world.azure.continuous_export.alerts) == 1
    state = await world.services.tenant_state.take()
    report = await world.services.evidence(state, {world.subscription.lower()}, "auditor")
    notes = [row["note"] for row in report["value"] if row["subscriptionId"].lower() == world.subscription.lower()]
    assert f"Proven on {told['ended']}: a simulated alert reached its table." in notes[0]


async def disable(world: World) -> None:
    world.change(isEnabled=False)


async def delete_the_automation(world: World) -> None:
    await world.services.tenant_state.take()  # it was there a moment ago
    world.azure.tenant.delete_automation(world.export["id"])


async def delete_the_hub(world: World) -> None:
    world.azure.tenant.delete_resource(destinations(world.azure.tenant).event_hub)


async def close_the_firewall(world: World) -> None:
    rules_id = destinations(world.azure.tenant).event_hub.partition("/eventhubs/")[0] + "/networkRuleSets/default"
    rules = world.azure.tenant.resource(rules_id)
    assert rules
    about = {**rules["properties"], "trustedServiceAccessEnabled": False}
    world.azure.tenant.put_resource({**rules, "properties": about})


async def take_the_right_to_send(world: World) -> None:
    world.azure.tenant.revoke(DEFENDER)


async def stop_continuous_export(world: World) -> None:
    world.azure.continuous_export.paused = True


async def stop_the_app(world: World) -> None:
    world.delivers = False


async def refuse_ingestion(world: World) -> None:
    world.azure.ingestion.poison = b"SIMULATED_"


async def take_the_right_to_ingest(world: World) -> None:
    world.azure.ingestion.publishers = set()


async def drop_rows(world: World) -> None:
    world.azure.ingestion.drop_share = 1.0


async def take_the_output_hub(world: World) -> None:
    del world.azure.broker.hubs[FORWARD_HUB]


Break = Callable[[World], Awaitable[None]]
TO_EMITTED = ["simulated", "emitted"]
BROKEN: dict[str, tuple[Break, str, str, str, list[str]]] = {
    "automation disabled": (disable, "hub", "disabled", "apply", TO_EMITTED),
    "automation gone": (delete_the_automation, "hub", "gone", "apply", TO_EMITTED),
    "hub gone": (delete_the_hub, "hub", "does not exist", "Do what the reason names", TO_EMITTED),
    "firewall": (close_the_firewall, "hub", "trusted services out", "Do what the reason names", TO_EMITTED),
    "right to send lost": (take_the_right_to_send, "hub", "no right to send", "Do what the reason names", TO_EMITTED),
    "nothing exported": (stop_continuous_export, "hub", "not there within 4 min", "firewall", TO_EMITTED),
    "app stopped": (stop_the_app, "accepted", "not there within 2 min", "lag", [*TO_EMITTED, "hub"]),
    "ingestion refuses": (refuse_ingestion, "accepted", "", "dead-letters", [*TO_EMITTED, "hub", "forwarded"]),
    "right to ingest lost": (
        take_the_right_to_ingest, "accepted", "", "dead-letters", [*TO_EMITTED, "hub", "forwarded"],
    ),
    "rows dropped after 204": (
        drop_rows, "stored", "not there within 5 min", "DCRLogErrors", [*TO_EMITTED, "hub", "accepted", "forwarded"],
    ),
    "forward off": (
        take_the_output_hub, "forwarded", "", "output hub", [*TO_EMITTED, "hub", "accepted", "stored"],
    ),
}  # fmt: skip
"""What is broken, the hop that is named, what reason and advice say, and which hops were reached."""


DAILY = ("automation disabled", "right to ingest lost", "rows dropped after 204")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in DAILY else [pytest.mark.soak]) for name in BROKEN]
)
async def test_each_broken_hop_is_named_within_fifteen_minutes_with_what_to_do(world: World, name: str) -> None:
    break_it, hop, reason, mend, so_far = BROKEN[name]
    await break_it(world)
    told = await world.prove()
    assert (told["outcome"], told["hop"]) == ("not-proven", hop), json.dumps(told)
    assert reason in told["reason"]
    assert told["reason"]
    assert mend in told["mend"]
    assert reached(told) == so_far
    assert world.passed <= LIMIT
    assert [each["outcome"] for each in await world.runner.history.read()] == ["not-proven"]


async def filter_others(world: World) -> None:
    rule = {"propertyJPath": "AlertType", "propertyType": "String", "operator": "Equals", "expectedValue": "VM_Other"}
    world.change(sources=[{"eventSource": "Alerts", "ruleSets": [{"rules": [rule]}]}])


async def narrow_to_a_group(world: World) -> None:
    scope = f"/subscriptions/{world.subscription}/resourceGroups/one"
    world.change(scopes=[{"description": "", "scopePath": scope}])


async def take_the_right_to_simulate(world: World) -> None:
    world.azure.tenant.revoke(APP)
    for scope in ("/providers/Microsoft.Management/managementGroups/contoso", f"/subscriptions/{world.subscription}"):
        world.azure.tenant.assign(APP, scope, custom_role("Reads", "*/read"))


async def drop_alerts(world: World) -> None:
    await world.set_to(drop_records='[{"eventSource": "Alerts"}]')


async def hide_the_subscription(world: World) -> None:
    world.subscription = "99999999-9999-4999-8999-999999999999"


NOT_POSSIBLE: dict[str, tuple[Break, str, str]] = {
    "filter": (filter_others, "hub", "would not let the alert of any bundle"),
    "scope": (narrow_to_a_group, "hub", "scoped to resource groups"),
    "no right": (take_the_right_to_simulate, "simulated", SIMULATE),
    "dropped by the app": (drop_alerts, "accepted", "KEEP_RECORDS or DROP_RECORDS"),
    "not seen": (hide_the_subscription, "simulated", ""),
}


@pytest.mark.parametrize("name", NOT_POSSIBLE)
async def test_what_this_alert_can_not_prove_is_said_at_once_and_nothing_is_simulated(world: World, name: str) -> None:
    break_it, hop, reason = NOT_POSSIBLE[name]
    await break_it(world)
    told = await world.prove()
    assert (told["outcome"], told["hop"]) == ("not-possible", hop), told
    assert reason in told["reason"]
    assert told["mend"]
    assert world.passed == timedelta()
    assert world.azure.continuous_export.alerts == []


@pytest.mark.soak
async def test_a_filter_picks_the_bundle_that_gets_through(world: World) -> None:
    rule = {"propertyJPath": "Severity", "propertyType": "String", "operator": "Equals", "expectedValue": "Medium"}
    world.change(sources=[{"eventSource": "Alerts", "ruleSets": [{"rules": [rule]}]}])
    told = await world.prove()
    assert (told["outcome"], told["bundle"]) == ("proven", "KeyVaults")
    asked = await world.prove(world.job(1, bundle="ResourceManager"))
    assert (asked["outcome"], asked["bundle"]) == ("proven", "ResourceManager")
    assert {"KeyVaults", "ResourceManager"} < set(NAMES)


@pytest.mark.soak
async def test_the_budget_of_a_subscription_and_of_the_day_is_kept_whoever_asks(world: World) -> None:
    outcomes = [await world.prove(world.job(number)) for number in range(3)]
    assert [each["outcome"] for each in outcomes] == ["proven", "proven", "not-possible"]
    assert "2 canaries of this subscription within 24 hours" in outcomes[-1]["reason"]
    await world.set_to(canary_per_subscription=24, canary_per_day=2)
    told = await world.prove(world.job(3))
    assert "2 canaries of all subscriptions within 24 hours" in told["reason"]
    assert len(world.azure.continuous_export.alerts) == 2


async def test_an_alert_of_a_moment_ago_proves_nothing_of_now(world: World) -> None:
    assert (await world.prove())["outcome"] == "proven"
    await disable(world)
    told = await world.prove(world.job(1))
    assert (told["outcome"], told["hop"]) == ("not-proven", "hub")


async def test_an_alert_from_before_that_arrives_now_is_not_taken_for_the_canarys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = world.azure.continuous_export
    (another,) = export.simulate(world.subscription, "centralus", ["StorageAccounts"])
    another["TimeGenerated"] = another["ProcessingEndTime"] = f"{world.begun - timedelta(minutes=3):%Y-%m-%dT%H:%M:%SZ}"
    monkeypatch.setattr(export, "simulate", lambda *_: [])  # the request is taken, and no alert comes of it
    told = await world.prove()
    assert (told["outcome"], told["hop"]) == ("not-proven", "emitted"), told
    assert world.azure.ingestion.rows == 1, "the other alert went the whole way meanwhile"


OTHERWISE = {
    "no list": ("GET .*/locations$", {"error": {"code": "Busy"}}),
    "a page": ("(GET .*/locations|POST .*/simulate)$", "<html>Sign in</html>"),
    "an automation without properties": ("GET .*/automations/[^/]+$", {}),
    "alerts without a list": ("GET .*/locations/[^/]+/alerts$", {"values": []}),
}


@pytest.mark.parametrize("name", OTHERWISE)
async def test_an_answer_of_another_form_is_no_answer(world: World, name: str) -> None:
    matching, answer = OTHERWISE[name]
    for status in (200, 202):
        world.azure.arm.oddities.append(Oddity(matching, status, 200, body=lambda _: answer))
    told = await world.prove()
    assert (told["outcome"], told["hop"], states(told)["simulated"]) == ("not-proven", "simulated", "refused"), told
    assert "something else than was asked for" in told["reason"]
    asked = [each for each in world.azure.arm.requests if re.search(matching, f"{each.method} {each.path}")]
    assert len(asked) < 12, "asked again each half minute, not at once"


@pytest.mark.soak
async def test_a_job_that_is_killed_anywhere_goes_on_and_asks_for_no_second_alert(world: World) -> None:
    """Killed after each request that the first attempts make, and what they did not write is done again."""
    from shared import fail_points

    class Killed(BaseException):
        pass

    job, kills = world.job(), 0
    for kill_at in range(1, 12):
        left = kill_at

        def listener(point: str) -> None:
            nonlocal left
            if point == "canary.ask:after":
                left -= 1
                if left == 0:
                    raise Killed

        fail_points.listen(listener)
        progress = Progress(job)
        try:
            await world.runner.job(job, progress)
        except Killed:
            kills += 1
            job = replace(job, attempt=job.attempt + 1)
        except WaitingError:
            job = replace(job, cursor=json.loads(json.dumps(progress.cursor)))
        finally:
            fail_points.listen(None)
    told = await world.prove(job)
    assert told["outcome"] == "proven"
    assert kills >= 3
    assert len(world.azure.continuous_export.alerts) == 1


@pytest.mark.soak
@pytest.mark.parametrize("part", ["arm", "logs_query"])
async def test_a_service_that_errs_all_the_time_ends_in_time_and_is_named(world: World, part: str) -> None:
    getattr(world.azure, part).faults.add("error", rate=1.0, matching="locations" if part == "arm" else "")
    told = await world.prove()
    assert (told["outcome"], told["hop"]) == ("not-proven", "simulated" if part == "arm" else "stored")
    assert "Azure Resource Manager" in told["reason"] or "Log Analytics" in told["reason"] or "asked" in told["reason"]
    assert world.passed <= LIMIT


async def test_it_is_off_until_it_is_switched_on(world: World) -> None:
    await world.set_to(canary=False)
    with pytest.raises(JobRefusedError, match="CANARY is off"):
        await world.prove()
    world.azure.continuous_export.simulate(world.subscription, "centralus", ["StorageAccounts"])
    await asyncio.sleep(0.1)
    await world.deliver()
    assert await world.runner.notes.since(world.subscription, world.begun - timedelta(hours=1)) == []
    assert await world.services.last_seen.read() == {}


async def test_the_timer_asks_for_one_canary_a_day_where_one_is_due(world: World) -> None:
    await world.services.check_freshness()
    assert (await world.services.jobs.page(world.now(), size=9)).jobs == []
    await world.set_to(canary_every_days=7)
    for _ in range(2):
        await world.services.check_freshness()
    (job,) = (await world.services.jobs.page(world.now(), size=9)).jobs
    assert (job.kind, job.actor, job.arguments) == ("canary", "timer", {"subscriptions": [world.subscription.lower()]})


@asynccontextmanager
async def routed(world: World, *, about: dict[str, Any], **rule: Any) -> AsyncIterator[Ingestion]:
    """The same world, whose alerts a rule sends to a place; `about` is what the file says beside its address."""
    folder = world.azure.folder
    async with further_place(folder, world.azure.tokens, world.azure.certificates, now=world.now) as place:
        workspace = place.workspace
        world.azure.logs_query.further[workspace.workspace_id] = FurtherWorkspace(workspace, {APP.object_id})
        more = {name: workspace.workspace_id if value is True else value for name, value in about.items()}
        there = {"rule": {"endpoint": place.endpoint, "immutableId": place.rule_id, **more}}
        hub = {"hub": {"namespace": "nowhere.servicebus.windows.net", "name": "rows"}}
        places = [{"name": "payments", **there}, {"name": "siem", **hub}]
        path = folder / "routes.yaml"
        path.write_text(json.dumps({"version": 1, "places": places, "rules": [{"name": "alerts", **rule}]}))
        await world.set_to(routes_file=str(path))
        yield place


async def test_an_alert_is_looked_for_in_the_workspace_that_its_route_sends_it_to(world: World) -> None:
    async with routed(world, about={"workspaceId": True}, instead=["payments"]) as place:
        told = await world.prove()
        assert keys_at(place).total() == 1
    assert told["outcome"] == "proven"
    assert set(reached(told)) >= {"hub", "accepted", "stored"}
    assert "forwarded" not in states(told)  # the output hub of the settings gets none of it
    assert keys_at(world.azure.ingestion).total() == 0


async def test_of_a_place_that_nothing_is_known_of_no_alert_is_called_lost(world: World) -> None:
    async with routed(world, about={}, instead=["payments"]):
        told = await world.prove()
    assert (told["outcome"], told["hop"], states(told)["accepted"], states(told)["stored"]) == (
        "not-proven", "stored", "reached", "unseen",
    )  # fmt: skip
    assert told["reason"] == "not known for place payments: the file of routes does not say its workspaceId"


async def test_an_alert_that_its_place_lost_is_named(world: World) -> None:
    async with routed(world, about={"workspaceId": True}, instead=["payments"]) as place:
        place.drop_share = 1.0
        told = await world.prove()
    assert (told["hop"], states(told)["stored"]) == ("stored", "late")


async def test_a_copy_elsewhere_proves_nothing_of_the_default_place(world: World) -> None:
    async with routed(world, about={"workspaceId": True}, also=["payments"]) as place:
        world.azure.ingestion.drop_share = 1.0
        told = await world.prove()
        assert keys_at(place).total() == 1
    assert (told["hop"], states(told)["stored"]) == ("stored", "late")


async def test_where_the_pipeline_could_not_note_an_alert_it_is_not_called_missing_from_the_default_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with routed(world, about={"workspaceId": True}, instead=["payments"]):
        monkeypatch.setattr(Services, "_follower", None)
        told = await world.prove()
    assert states(told)["stored"] in {"unseen", "not-reached"}
    assert told["outcome"] == "not-proven"
