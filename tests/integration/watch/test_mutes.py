"""What is muted raises nothing by any channel until its end, and does from then on: over the wire, by the clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from local.certs import Certificates
from local.notice_receivers import NoticeReceivers
from local.stack import LocalAzure
from local.tenant import Tenant, destinations, synthetic_tenant
from shared.bootstrap import Services
from shared.cli import main
from shared.exports.diagnostics import InvalidExport
from shared.muting.stored_mutes import BLOB
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.settings import Settings
from shared.watch.freshness_check import Tenant as Seen
from shared.web.authorization import Actor
from shared.web.coverage import get_coverage, get_status
from shared.web.freshness import get_freshness
from shared.web.routing import Call
from tools.infra import alerts

RULES = b"""version: 1
receivers: [{name: hook, channel: webhook}]
rules: [{send: [hook], events: [subscription-silent, destination-broken]}]
"""
NOBODY = "99999999-9999-4999-8999-999999999999"
ALERTS = {alert.name: alert.text for alert in alerts()}


def export(name: str, subscription: str, hub: str) -> bytes:
    return (
        f"version: 1\nname: {name}\nscope: {{subscriptions: [{subscription}]}}\nautomation: {{location: westeurope}}\n"
        f"export: {{frequency: [streaming, snapshot], recommendations: {{}}}}\n"
        f"destination: {{eventHub: {{resourceId: {hub}, trustedService: true}}}}\n"
    ).encode()


def mutes(until: datetime, *what: str) -> bytes:
    begun = datetime.now(UTC) - timedelta(hours=1)
    held = f'owner: Ann, reason: moves, from: "{begun:%Y-%m-%dT%H:%M:%SZ}", until: "{until:%Y-%m-%dT%H:%M:%SZ}"'
    return "\n".join(
        ("version: 1", "mutes:", *(f"- {{name: m{i}, {each}, {held}}}" for i, each in enumerate(what)))
    ).encode()


class World:
    """Three subscriptions of one export each, all of them silent, and every channel that would say so."""

    def __init__(self, azure: LocalAzure, receivers: NoticeReceivers) -> None:
        self.azure = azure
        self.receivers = receivers
        self.tenant: Tenant = azure.tenant
        self.hub = destinations(azure.tenant).event_hub
        enabled = [one.id for one in self.tenant.subscriptions.values() if one.state == "Enabled"]
        self.subscriptions = dict(zip("abc", (one.lower() for one in enabled), strict=False))
        self.names = {one: name for name, one in self.subscriptions.items()}

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        services = Services(Settings.load())
        try:
            yield services
        finally:
            await services.close()

    async def fall_silent(self) -> None:
        async with self.services() as services:
            for name, subscription in self.subscriptions.items():
                await services.exports.put(name, export(name, subscription, self.hub))
            report = await services.reconciler.apply(Request(Caller("cli", "test")))
            assert report.outcome == "Succeeded", report.as_dict()
            await services.notify_rules.put(RULES, "me")
            survey = await services.tenant_state.take()
            seen = Seen(survey.declared, survey.coverage, survey.reasons)
            await services.freshness.run(seen, datetime.now(UTC) - timedelta(days=20))

    async def put(self, text: bytes) -> None:
        async with self.services() as services:
            await services.mutes.put(text, "me")

    async def check(self) -> None:
        """What the two timers do."""
        async with self.services() as services:
            await services.check_freshness()
            await services.send_news()

    async def notices(self) -> None:
        async with self.services() as services:
            await services.send_news()

    async def found(self, rule: str, now: datetime) -> list[dict[str, Any]]:
        """What an alert rule finds when it is evaluated then, over what has been stored by now."""
        text = ALERTS[rule].replace("{InstanceId}", Settings.load().instance_id)
        await self.azure.workspace.flush()
        # The check of 20 days ago is not among the rows that the rule looks at.
        found = await self.azure.workspace.kql(text, (now - timedelta(days=2), now + timedelta(seconds=1)), now)
        return [dict(zip(found.columns, row, strict=True)) for row in found.rows]

    async def alerted(self, now: datetime) -> set[str]:
        """Whom the rule on silence names."""
        return {self.names[row["SubscriptionId"]] for row in await self.found("silent-export", now)}

    def told(self, phase: str = "began") -> set[str]:
        """Whom notices named so far."""
        said = [each for _, each in self.receivers.got["hook"] if each["phase"] == phase]
        return {self.names[each["subscription"]] for each in said}

    async def answer(self, handler: Any, **params: str) -> dict[str, Any]:
        request = func.HttpRequest("GET", "/api/x", params=params, headers={}, route_params={}, body=b"")
        async with self.services() as services:
            found: dict[str, Any] = json.loads(
                (await handler(Call(request, services, Actor("key", "test"), {}))).get_body()
            )
            return found


@pytest.fixture
async def world(tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    tenant = synthetic_tenant(3, 12, untidy=False)
    async with NoticeReceivers(local_certs.server_context()) as receivers:
        settings = {
            "EVENT_HUB_RESOURCE_ID": destinations(tenant).event_hub.upper(),
            "RECONCILE_MODE": "apply",
            "SEND_NOTICES": "true",
            "NOTIFY_RECEIVERS": json.dumps(receivers.addresses("hook")),
        }
        parts = ("azurite", "arm", "ingestion")
        async with LocalAzure(
            tmp_path / "azure", parts=parts, tenant=tenant, certificates=local_certs, settings=settings
        ) as azure:
            for name, value in azure.app_settings().items():
                monkeypatch.setenv(name, value)
            yield World(azure, receivers)


async def check_exit(world: World, capsys: pytest.CaptureFixture[str], name: str) -> tuple[int, str]:
    code = await asyncio.to_thread(main, ("freshness", "--check", "--subscription", world.subscriptions[name]))
    return code, capsys.readouterr().out


async def test_no_channel_raises_what_is_muted_until_its_end_and_each_does_from_then_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.fall_silent()
    end = (datetime.now(UTC) + timedelta(minutes=10)).replace(microsecond=0)
    what = f"subscription: {world.subscriptions['a']}", "export: b"
    await world.put(mutes(end, *what))
    await world.check()

    assert await world.alerted(datetime.now(UTC)) == {"c"}
    assert await world.alerted(end - timedelta(seconds=1)) == {"c"}
    assert world.told() == {"c"}
    assert [(await check_exit(world, capsys, name))[0] for name in "abc"] == [0, 0, 1]
    assert "by Ann: moves" in " ".join((await check_exit(world, capsys, "a"))[1].split())
    fresh = {(each["subscriptionId"], each["verdict"]): each for each in (await world.answer(get_freshness))["value"]}
    shown = {name: fresh[one, "silent"].get("muted") for one, name in world.names.items()}
    assert shown["c"] is None
    assert shown["a"] == {"until": f"{end:%Y-%m-%dT%H:%M:%SZ}", "mute": "m0", "owner": "Ann", "reason": "moves"}
    rows = {each["subscriptionId"].lower(): each for each in (await world.answer(get_status))["value"]}
    muted = {name: rows[one]["muted"].get("Assessments") for one, name in world.names.items()}
    assert (muted["a"]["mute"], muted["b"]["mute"], muted["c"]) == ("m0", "m1", None)
    assert {rows[one]["states"]["Assessments"] for one in world.names} == {"silent"}, "muted is not sound"
    covered = {
        each["subscriptionId"].lower(): each.get("muted") for each in (await world.answer(get_coverage))["value"]
    }
    assert covered[world.subscriptions["a"]]["owner"] == "Ann"
    assert covered[world.subscriptions["b"]] is None, "an export is muted, not all of its subscription"

    assert await world.alerted(end) == {"a", "b", "c"}, "no check came since: the rule itself finds that it is over"
    end = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
    await world.put(mutes(end, *what))
    await world.notices()
    assert world.told() == {"c"}
    await asyncio.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()))
    await world.notices()
    assert world.told() == {"a", "b", "c"}
    assert world.told("ended") == set()
    assert [(await check_exit(world, capsys, name))[0] for name in "abc"] == [1, 1, 1]
    assert {str(each["muted"]) for each in (await world.answer(get_status))["value"]} == {"{}"}


async def test_a_destination_is_muted_the_mute_is_lifted_early_and_a_file_that_cannot_be_read_mutes_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.fall_silent()
    later = datetime.now(UTC) + timedelta(days=2)
    await world.put(mutes(later, f"destination: {world.hub}"))
    await world.check()
    assert await world.alerted(datetime.now(UTC)) == set()
    assert world.receivers.got.get("hook", []) == []
    assert [(await check_exit(world, capsys, name))[0] for name in "abc"] == [0, 0, 0]

    await world.put(b"version: 1\nmutes: []\n")  # lifted
    assert (await check_exit(world, capsys, "a"))[0] == 1
    await world.check()
    assert await world.alerted(datetime.now(UTC)) == {"a", "b", "c"}
    assert world.told() == {"a", "b", "c"}

    await world.put(mutes(later, "export: a", "export: b", "export: c"))
    async with world.services() as services:
        with pytest.raises(InvalidExport):
            await services.mutes.put(b"version: 1\nmutes: [{name: x}]\n", "me")
        assert len((await services.muting()).mutes) == 3
        said = await services.mute_warnings((await services.muting()).mutes)
        assert said == []
        await services.mutes.put(
            mutes(later, "export: none", "subscription: " + "9" * 8 + "-9999" * 3 + "-" + "9" * 12), "me"
        )
        assert len(await services.mute_warnings((await services.muting()).mutes)) == 2
        container = services.clients.blobs.get_container_client(services.settings.exports_container)
        await container.upload_blob(BLOB, b"version: 2\nmutes: []\n", overwrite=True)
        trouble = (await services.muting()).trouble
        assert trouble.startswith("nothing is muted: mutes.yaml:1: version: error invalid")
        deeds = [each for each in await services.trail.deeds() if each.deed == "PutMutes"]
        assert [bool(each.before) for each in sorted(deeds, key=lambda each: each.id)] == [False, True, True, True]
    code, out = await check_exit(world, capsys, "a")
    assert (code, "nothing is muted" in out) == (1, True)
    assert (await world.answer(get_freshness))["muteTrouble"] == trouble
    await world.check()
    assert await world.alerted(datetime.now(UTC)) == {"a", "b", "c"}


@pytest.mark.parametrize("by", ["export: broken", "destination", "subscription"])
async def test_what_a_run_cannot_do_is_raised_only_after_the_end_of_its_mute(world: World, by: str) -> None:
    one, other = world.subscriptions["a"], world.subscriptions["b"]
    nowhere = world.hub + "-nowhere"
    end = (datetime.now(UTC) + timedelta(minutes=10)).replace(microsecond=0)
    what = {
        "destination": f"destination: {nowhere.upper().replace('/SUB', '/sub')}",
        "subscription": f"subscription: {one}",
    }
    await world.put(mutes(end, what.get(by, by)))
    async with world.services() as services:
        await services.exports.put("broken", export("broken", one, nowhere))
        await services.exports.put("other", export("other", other, nowhere + "-either"))
        await services.notify_rules.put(RULES, "me")
        report = await services.reconciler.tick()
        assert {each.export for each in report.plan.items if each.reason} == {"broken", "other"}
        await services.send_news()
    for now, exports in (
        (datetime.now(UTC), {"other"}),
        (end - timedelta(seconds=1), {"other"}),
        (end, {"broken", "other"}),
    ):
        assert {row["Export"] for row in await world.found("blocked-destination", now)} == exports
    broken = [each["name"].rpartition(" ")[2] for _, each in world.receivers.got["hook"]]
    # A destination is wrong for all, whoever of its subscriptions is muted.
    assert sorted(broken) == (["broken", "other"] if by == "subscription" else ["other"])
    places = {each["exports"][0]: each.get("muted") for each in (await world.answer(get_status))["destinations"]}
    assert (places["other"], bool(places["broken"])) == (None, by != "subscription")
