"""An edit, and what a new release writes otherwise, go from one management group to the next."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

import shared.reconcile.plan.desired as compiling
from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from local.tenant.destinations import DEFENDER, add_hub, add_namespace, destinations
from local.tenant.roles import EVENT_HUBS_DATA_SENDER
from shared.exports.compiler import compile_automation
from shared.reconcile.plan.model import Action, Cause
from shared.reconcile.plan.plan_render import markdown, terminal
from shared.reconcile.plan.provenance_tags import LET_THROUGH_TAG, SINCE_TAG
from shared.reconcile.report.run_report import Report
from shared.reconcile.run import Request
from tests.integration.destinations.test_preflight import deny
from tests.integration.reconcile.world import ME, World, export, world

ORDER = ("contoso-sandbox", "contoso-nonprod", "contoso-prod")
SIZE = 20
DAY = 24 * 3600
HIGH, MEDIUM = "alerts: {minimumSeverity: High}", "alerts: {minimumSeverity: Medium}"


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    """60 subscriptions, 20 in each of three management groups, and a hub of their own that may go."""
    tenant = synthetic_tenant(1, 3 * SIZE, untidy=False)
    home = [one for one in tenant.subscriptions.values() if one.tenant_id == tenant.home]
    for number, one in enumerate(home):
        tenant.add_subscription(replace(one, management_group=ORDER[number % 3]))
    async with world(tenant, local_certs, storage) as running:
        yield running


def hub(here: World) -> str:
    namespace = destinations(here.tenant).event_hub.partition("/eventhubs/")[0]
    made = add_hub(here.tenant, f"{add_namespace(here.tenant, f'{namespace}-soc')}/eventhubs/soc")
    here.tenant.assign(DEFENDER, made, EVENT_HUBS_DATA_SENDER)
    return made


def file(here: World, content: str, *, wait: int = 24) -> str:
    text = export(
        here.tenant,
        "soc",
        groups=", ".join(reversed(ORDER)),
        content=content,
        destination=f"eventHub: {{resourceId: {hub(here)}, trustedService: true}}",
    )
    return f"{text}rollout: {{managementGroups: [{', '.join(ORDER)}], waitHours: {wait}}}\n"


async def put(here: World, content: str, **parts: Any) -> None:
    await here.store.put("soc", file(here, content, **parts))


def group_of(here: World, automation_id: str) -> str:
    return here.tenant.subscription(automation_id.split("/")[2]).management_group


def severities(here: World) -> dict[str, Counter[int]]:
    """For each group, how many automations have how many rule sets: one for High, two for Medium."""
    found: dict[str, Counter[int]] = {group: Counter() for group in ORDER}
    for document in here.ours().values():
        (source,) = document["properties"]["sources"]
        found[group_of(here, document["id"])][len(source["ruleSets"])] += 1
    return found


def of(here: World, group: str) -> list[dict[str, Any]]:
    return [one for one in here.ours().values() if group_of(here, one["id"]) == group]


def later(here: World, seconds: float = DAY + 60) -> None:
    here.tenant.advance(seconds)


async def settle(here: World) -> None:
    """The export in force everywhere."""
    for group in ORDER:
        assert (await here.apply()).counts["Created"] == SIZE, group
        later(here)
    assert (await here.apply()).outcome == "Succeeded"


def told(report: Report) -> str:
    (line,) = (finding for finding in report.plan.findings if finding.startswith("rollout of"))
    return line


async def lose_reports(here: World) -> None:
    container = here.clients.blobs.get_container_client(here.settings.reports_container)
    async for blob in container.list_blobs():
        await container.delete_blob(blob.name)


async def test_a_new_export_reaches_one_group_after_another(here: World) -> None:
    await put(here, MEDIUM)
    first = await here.apply()
    assert (first.counts["Created"], first.outcome) == (SIZE, "Partial")
    assert {group_of(here, one["id"]) for one in here.ours().values()} == {ORDER[0]}
    assert f"{ORDER[1]} 0 of {SIZE} in force, {SIZE} wait" in told(first)
    for _ in range(2):
        assert (await here.apply()).counts["Created"] == 0
    waiting = await here.plan()
    assert "it goes on at" in told(waiting)
    assert "rollout of soc" in terminal(waiting.plan, waiting.subscriptions)
    assert "rollout of soc" in markdown(waiting.plan, waiting.subscriptions)
    assert waiting.as_dict()["findings"] == [told(waiting)]
    assert waiting.row()["Problems"] == []
    later(here)
    assert (await here.apply()).counts["Created"] == SIZE
    later(here)
    assert (await here.apply()).counts["Created"] == SIZE
    assert (await here.apply()).outcome == "Succeeded"


async def test_a_destination_that_breaks_in_the_second_group_leaves_the_third_as_it_is(here: World) -> None:
    await put(here, MEDIUM)
    await settle(here)
    untouched = json.dumps(of(here, ORDER[2]), sort_keys=True)
    await put(here, HIGH)
    assert (await here.apply()).counts["Updated"] == SIZE
    later(here)
    some = [one["id"].split("/")[2] for one in of(here, ORDER[1])][:7]
    assert (await here.reconciler().apply(Request(ME, subscriptions=some))).counts["Updated"] == len(some)
    where = hub(here)
    here.tenant.delete_resource(where)
    here.arm.requests.clear()
    for _ in range(3):
        report = await here.apply()
        assert here.writes() == []
        assert f"{ORDER[2]} 0 of {SIZE} in force, {SIZE} wait" in told(report)
        assert "not in force" in told(report)
        assert report.outcome != "Succeeded"
        later(here, 2 * DAY)
    assert json.dumps(of(here, ORDER[2]), sort_keys=True) == untouched

    add_hub(here.tenant, where)
    await lose_reports(here)
    assert (await here.apply()).counts["Updated"] == SIZE - len(some)
    assert json.dumps(of(here, ORDER[2]), sort_keys=True) == untouched
    assert (await here.apply()).counts["Updated"] == 0
    await lose_reports(here)
    later(here)
    assert (await here.apply()).counts["Updated"] == SIZE
    assert severities(here) == {group: Counter({1: SIZE}) for group in ORDER}
    assert (await here.apply()).outcome == "Succeeded"


async def test_one_subscription_that_refuses_holds_the_groups_after_its_own_and_is_named(here: World) -> None:
    await put(here, MEDIUM)
    await settle(here)
    refusing = of(here, ORDER[0])[3]["id"].split("/")[2]
    deny(here.tenant, refusing)
    await put(here, HIGH)
    assert (await here.apply()).counts["Updated"] == SIZE - 1
    later(here, 30 * DAY)
    report = await here.apply()
    assert refusing.lower() in told(report)
    assert severities(here)[ORDER[1]] == severities(here)[ORDER[2]] == Counter({2: SIZE})
    here.tenant.policies.clear()
    assert (await here.apply()).counts["Updated"] == 1
    later(here)
    assert (await here.apply()).counts["Updated"] == SIZE


async def test_drift_is_mended_and_new_subscriptions_are_served_in_any_group_while_others_wait(here: World) -> None:
    await put(here, MEDIUM)
    await settle(here)
    gone = of(here, ORDER[2])[0]["id"]
    here.tenant.delete_resource(gone)
    await put(here, HIGH)
    off = of(here, ORDER[0])[0]
    off["properties"]["isEnabled"] = False
    here.tenant.set_automation(off)
    report = await here.apply()
    assert (report.counts["Updated"], report.counts["Created"]) == (SIZE, 1)
    assert gone.lower() in here.ours()
    off = of(here, ORDER[0])[0]
    since = off["tags"][SINCE_TAG]
    later(here, 3600)
    off["properties"]["isEnabled"] = False
    here.tenant.set_automation(off)
    assert (await here.apply()).counts["Updated"] == 1
    (mended,) = (one for one in of(here, ORDER[0]) if one["id"] == off["id"])
    assert mended["tags"][SINCE_TAG] == since  # its body is in force since then


async def test_a_renewed_key_waits_for_no_turn(here: World) -> None:
    into = destinations(here.tenant)

    def keyed(content: str) -> str:
        where = f"eventHub: {{resourceId: {into.event_hub}, authorizationRule: {into.key_name}}}"
        text = export(here.tenant, "soc", groups=", ".join(ORDER), content=content, destination=where)
        return f"{text}rollout: {{managementGroups: [{', '.join(ORDER)}]}}\n"

    await here.store.put("soc", keyed(MEDIUM))
    await settle(here)
    await here.store.put("soc", keyed(HIGH))
    assert (await here.apply()).counts["Updated"] == SIZE
    for document in of(here, ORDER[2]):
        document["tags"]["defender-export-key-fingerprint"] = "of-the-key-before"
        here.tenant.set_automation(document)
    report = await here.apply()
    assert report.counts["Updated"] == SIZE
    assert {item.cause for item in report.plan.writes} == {Cause.KEY}
    assert severities(here)[ORDER[2]] == Counter({2: SIZE})
    assert (await here.apply()).counts["Updated"] == 0
    for group in ORDER[1:]:
        later(here)
        assert (await here.apply()).counts["Updated"] == SIZE, group
    assert severities(here)[ORDER[2]] == Counter({1: SIZE})


async def test_a_release_that_is_let_through_once_goes_on_by_itself(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(here, MEDIUM)
    await settle(here)
    written = compile_automation

    def otherwise(*arguments: Any) -> dict[str, Any]:
        body = written(*arguments)
        body["properties"]["description"] += " (as the next release says it)"
        return body

    monkeypatch.setattr(compiling, "compile_automation", otherwise)
    # What was made anew has the new body, and nobody let it through by that.
    here.tenant.delete_resource(of(here, ORDER[0])[0]["id"])
    assert (await here.apply()).counts["Created"] == 1
    later(here)
    report = await here.apply()
    assert (report.counts["Updated"], report.plan.findings) == (0, ())
    assert "--cause release" in report.plan.items[0].reason + report.plan.items[1].reason
    report = await here.reconciler().apply(Request(ME, causes=[Cause.RELEASE]))
    assert report.counts["Updated"] == SIZE - 1
    assert sum(LET_THROUGH_TAG in one["tags"] for one in of(here, ORDER[0])) == SIZE - 1
    assert (await here.reconciler().apply(Request(ME, causes=[Cause.RELEASE]))).counts["Updated"] == 0
    off = of(here, ORDER[2])[0]
    off["properties"]["isEnabled"] = False
    here.tenant.set_automation(off)
    assert (await here.apply()).counts["Updated"] == 1
    assert "next release" not in json.dumps(of(here, ORDER[2]))
    for group in ORDER[1:]:
        await lose_reports(here)
        later(here)
        assert (await here.apply()).counts["Updated"] == SIZE, group
    assert (await here.apply()).outcome == "Succeeded"


async def test_what_an_edit_moves_or_leaves_out_goes_with_its_group(here: World) -> None:
    await put(here, MEDIUM)
    await settle(here)
    here.tenant.set_automation(of(here, ORDER[2])[0])
    text = file(here, MEDIUM).replace(
        "automation: {location: westeurope", "automation: {location: westeurope, name: moved"
    )
    await here.store.put("soc", text)
    report = await here.apply(max_deletes=1000)
    assert (report.counts["Created"], report.counts["Deleted"]) == (SIZE, SIZE)
    assert Counter(one["name"] for one in of(here, ORDER[0])) == {"moved": SIZE}
    assert Counter(one["name"] for one in of(here, ORDER[2])) == {"defender-export-soc": SIZE}
    await put(here, MEDIUM, wait=0)
    await here.apply(max_deletes=1000)
    excluded = of(here, ORDER[2])[0]["id"].split("/")[2]
    text = file(here, HIGH).replace("scope: {", f"scope: {{exclude: {{subscriptions: [{excluded}]}}, ")
    await here.store.put("soc", text)
    report = await here.reconciler().apply(Request(ME, waive_grace=True))
    assert report.counts["Deleted"] == 0
    (left,) = (item for item in report.plan.items if item.wanted is Action.DELETE)
    assert "waits for its turn" in left.reason


async def test_groups_that_hold_nothing_are_named_and_the_rest_comes_last(here: World) -> None:
    text = file(here, MEDIUM).replace(
        f"rollout: {{managementGroups: [{', '.join(ORDER)}]",
        "rollout: {managementGroups: [contoso-sandbxo, Contoso-Sandbox]",
    )
    await here.store.put("soc", text)
    report = await here.apply()
    assert report.counts["Created"] == SIZE
    assert any("contoso-sandbxo" in warning for warning in report.plan.warnings)
    assert f"all others 0 of {2 * SIZE} in force" in told(report)
