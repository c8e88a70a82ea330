"""The check over the wire: real exports, real records through the pipeline, and a clock that is moved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from local.certs import Certificates
from local.oddities import Oddity
from local.records import generate
from local.stack import LocalAzure
from local.tenant import APP, Tenant, destinations, synthetic_tenant
from local.tenant.plans import set_plan
from local.tenant.roles import custom_role
from shared.bootstrap import Services
from shared.enrich.records.model import Event
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.settings import Settings
from shared.watch.present_records import OPERATION_OF_KIND, Gaps
from tools.roles import custom_actions

DAY = timedelta(days=1)
ALL = """
  frequency: [streaming, snapshot]
  alerts: {frequency: [streaming]}
  recommendations: {findings: {}}
  secureScore: {controls: true}
  regulatoryCompliance: {}
  attackPaths: {}
"""
KINDS = (
    "Assessments", "SubAssessments", "SecureScores", "SecureScoreControls", "RegulatoryComplianceAssessment",
    "AttackPaths",
)  # fmt: skip
FINDINGS = "microsoft.security/assessments/subassessments"


def export(name: str, subscriptions: Sequence[str], destination: str, content: str = ALL) -> str:
    listed = ", ".join(subscriptions)
    automation = "automation: {location: westeurope}"
    return (
        f"version: 1\nname: {name}\nscope: {{subscriptions: [{listed}]}}\n{automation}\n"
        f"export: {content}\ndestination: {destination}\n"
    )


class Flow:
    """A local Azure with exports in force, and the app's services, made anew for each day."""

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure
        self.tenant: Tenant = azure.tenant
        self.start = datetime.now(UTC)
        self.into = destinations(azure.tenant)

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        services = Services(Settings.load())
        try:
            yield services
        finally:
            await services.close()

    async def declare(self, **exports: str) -> None:
        async with self.services() as services:
            for name, text in exports.items():
                await services.exports.put(name, text.encode())
            report = await services.reconciler.apply(Request(Caller("cli", "test")))
            assert report.outcome == "Succeeded", report.as_dict()

    async def check(self, days: float) -> dict[tuple[str, str], dict[str, Any]]:
        """The verdicts of a check so many days after the start."""
        from shared.watch.freshness_check import Tenant as Seen

        async with self.services() as services:
            survey = await services.tenant_state.take()
            hidden = await services.hidden_subscriptions(survey)
            seen = Seen(survey.declared, survey.coverage, survey.reasons, hidden=hidden)
            document = await services.freshness.run(seen, self.start + days * DAY)
            assert await services.freshness.latest() == document
        return {(each["subscription_id"], each["kind"]): each for each in document["health"]}

    async def snapshot(self, days: float, subscriptions: Iterable[str], kinds: Sequence[str] = KINDS) -> None:
        """The weekly snapshot of some subscriptions arrives: what is present, as continuous export sends it."""
        mark = {"securityEventDataEnrichment": {"action": "Write", "isSnapshot": True}}
        async with self.services() as services:
            gaps = Gaps()
            read = services.present.read(kinds, sorted(subscriptions), gaps)
            records = [found.record async for found in read]
            events = [
                Event(json.dumps({**record, **mark}).encode(), self.start + days * DAY, "0", index)
                for index, record in enumerate(records)
            ]
            await services.pipeline.run(events)
            assert not gaps.said


@pytest.fixture
async def flow(tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flow]:
    tenant = synthetic_tenant(9, 12, untidy=False)
    hub = destinations(tenant).event_hub
    settings = {"EVENT_HUB_RESOURCE_ID": hub.upper(), "RECONCILE_MODE": "apply"}
    parts = ("azurite", "arm", "ingestion")
    async with LocalAzure(
        tmp_path / "azure", parts=parts, tenant=tenant, certificates=local_certs, settings=settings
    ) as azure:
        for name, value in azure.app_settings().items():
            monkeypatch.setenv(name, value)
        yield Flow(azure)


async def test_each_silence_gets_its_verdict_and_reason_and_nobody_else_is_accused(flow: Flow) -> None:
    tenant = flow.tenant
    enabled = (one for one in tenant.subscriptions.values() if one.tenant_id == tenant.home and one.state == "Enabled")
    deleted, emptied, unplanned, never, elsewhere, streaming, disabled, well, *_ = (one.id for one in enabled)
    hub, workspace = f"{{eventHub: {{resourceId: {flow.into.event_hub}, trustedService: true}}}}", flow.into.workspace
    await flow.declare(
        everything=export("everything", [deleted, emptied, unplanned, never, disabled, well], hub),
        elsewhere=export("elsewhere", [elsewhere], f"{{logAnalyticsWorkspace: {{resourceId: {workspace}}}}}"),
        changes=export("changes", [streaming], hub, "{frequency: [streaming], recommendations: {}}"),
    )

    before = await flow.check(0)
    assert {each["verdict"] for each in before.values()} == {"quiet", "not observable"}
    await flow.snapshot(0.1, {deleted, emptied, unplanned, disabled, well})

    ours = {each["id"].split("/")[2]: each for each in tenant.all_automations() if "everything" in each["id"]}
    tenant.delete_automation(ours[deleted]["id"])
    nothing = [{"propertyJPath": "name", "propertyType": "String", "operator": "Equals", "expectedValue": "none"}]
    filtered = {**ours[emptied]["properties"], "sources": [
        {**source, "ruleSets": [{"rules": nothing}]} for source in ours[emptied]["properties"]["sources"]
    ]}  # fmt: skip
    tenant.set_automation({**ours[emptied], "properties": filtered})
    tenant.set_automation({**ours[disabled], "properties": {**ours[disabled]["properties"], "isEnabled": False}})
    for plan in ("VirtualMachines", "SqlServers", "CloudPosture"):
        set_plan(tenant, unplanned, plan, pricingTier="Free")
    tenant.security_records.remove(unplanned, FINDINGS)  # type: ignore[attr-defined] # the synthetic tenant's
    await flow.check(3)
    await flow.snapshot(7.1, {well})
    await flow.snapshot(7.1, {unplanned}, [kind for kind in KINDS if kind != "SubAssessments"])

    assert "silent" not in {each["verdict"] for each in (await flow.check(9)).values()}, "the last snapshot is not due"
    found = await flow.check(9.5)
    silent = {key: each["reason"] for key, each in found.items() if each["verdict"] == "silent"}
    present = {each for each, _ in await present_keys(flow)}
    expected: dict[tuple[str, str], str] = {}
    for kind in KINDS:
        if (deleted, kind) in present:
            expected[deleted, kind] = "the automation is missing"
        if (disabled, kind) in present:
            expected[disabled, kind] = "the automation is disabled"
    for (subscription, kind), count in await present_keys(flow):
        if subscription == emptied:
            why = f"the automation's filter was changed and lets none of {count} present records through"
            expected[subscription, kind] = why
        if subscription == never and kind != "AttackPaths":
            expected[subscription, kind] = f"nothing ever arrived, though {count} present records should have been sent"
    assert silent == expected

    assert found[unplanned, "SubAssessments"]["verdict"] == "quiet"
    reason = found[unplanned, "SubAssessments"]["reason"]
    assert reason.startswith("there are no such records at present, though some came until ")
    assert reason.endswith("; Defender plans that are off: CloudPosture, SqlServers, VirtualMachines")

    assert {found[elsewhere, kind]["verdict"] for kind in KINDS} == {"not observable"}
    assert (found[streaming, "Assessments"]["verdict"], found[streaming, "Assessments"]["reason"]) == (
        "quiet",
        "only changes are exported, and nothing may have changed",
    )
    for kind in KINDS:
        if (well, kind) in present:
            assert (found[well, kind]["verdict"], found[well, kind]["reason"]) == ("fresh", "")
    assert found[deleted, "Assessments"]["since"][:16] == (flow.start + 9.1 * DAY).isoformat()[:16]

    await flow.azure.workspace.flush()
    lost = {
        loss for loss in flow.azure.ingestion.losses if loss.reason != "time"
    }  # the clock was moved past the window
    assert not lost, "health rows have the types of their table"
    rows = (
        await flow.azure.workspace.sql("SELECT count(*) FROM DefenderExportHealth_CL WHERE Verdict = 'silent'")
    ).rows
    assert rows == [(len(silent),)]


async def present_keys(flow: Flow) -> list[tuple[tuple[str, str], int]]:
    """How many records there are by subscription and kind."""
    async with flow.services() as services:
        counts: dict[tuple[str, str], int] = {}
        everyone = [each.id for each in flow.tenant.subscriptions.values()]
        async for found in services.present.read(KINDS, everyone, Gaps()):
            counts[found.subscription, found.kind] = counts.get((found.subscription, found.kind), 0) + 1
    return list(counts.items())


async def test_what_comes_back_or_is_new_is_waited_for_before_it_is_called_silent(flow: Flow) -> None:
    tenant = flow.tenant
    one = [each.id for each in tenant.subscriptions.values()][1]
    hub = f"{{eventHub: {{resourceId: {flow.into.event_hub}, trustedService: true}}}}"
    text = export("everything", [one], hub)
    await flow.declare(everything=text)
    await flow.check(0)
    await flow.snapshot(0.1, {one})
    await flow.declare(everything=text.replace("name: everything", "name: everything\nenabled: false"))
    assert await flow.check(2) == {}
    await flow.declare(everything=text)
    assert (await flow.check(30))[one, "Assessments"]["verdict"] == "quiet"
    assert (await flow.check(38))[one, "Assessments"]["verdict"] == "quiet"
    assert (await flow.check(40))[one, "Assessments"]["verdict"] == "silent"


async def test_rows_lost_behind_a_204_are_found_by_table_and_number(flow: Flow) -> None:
    azure = flow.azure
    azure.ingestion.drop_share = 0.01
    subscriptions = [each.id for each in flow.tenant.subscriptions.values()]
    now, an_hour = datetime.now(UTC), timedelta(hours=1)
    events = [  # every second one waited for an hour
        Event(each.body, now - an_hour * (number % 2), "0", number)
        for number, each in enumerate(generate(3, subscriptions, 6_000, start=flow.start))
    ]
    capped = {"TimeGenerated": now, "Category": "Ingestion", "Level": "Warning", "Operation": "Data collection stopped"}
    row = pa.Table.from_pylist([capped | {"Detail": "Data collection stopped due to daily limit. OverQuota."}])
    await azure.workspace.append("_LogOperation", lambda: row, now)
    async with flow.services() as services:
        summary = await services.pipeline.run(events)
        azure.ingestion.drop_share = 0.0
        await azure.workspace.flush()
        dropped: dict[str, int] = {}
        for loss, count in azure.ingestion.losses.items():
            assert loss.reason == "dropped row"
            dropped[loss.table] = dropped.get(loss.table, 0) + count
        tomorrow = datetime.combine((flow.start + DAY).date(), time(3), UTC)
        from shared.watch.freshness_check import Tenant as Seen

        document = await services.freshness.run(Seen((), ()), tomorrow)
    compared = {each["table"]: each["uploaded"] - each["stored"] for each in document["stored"]}
    assert sum(dropped.values()) > 20
    assert {table: lost for table, lost in compared.items() if lost} == dropped
    assert {each["table"]: each["uploaded"] for each in document["stored"]} == dict(summary.accepted)
    query = "SELECT TableName, RowsUploaded - RowsStored FROM DefenderExportHealth_CL WHERE Verdict = 'missing'"
    assert dict((await azure.workspace.sql(query)).rows) == dropped
    query = "SELECT DISTINCT Reason FROM DefenderExportHealth_CL WHERE Verdict = 'missing'"
    assert all("OverQuota" in reason for (reason,) in (await azure.workspace.sql(query)).rows)

    levels = "SELECT TableName, Verdict, Details FROM DefenderExportHealth_CL WHERE CheckName = 'service level'"
    found = {table: (verdict, json.loads(about)) for table, verdict, about in (await azure.workspace.sql(levels)).rows}
    stored = {each["table"]: each["stored"] for each in document["stored"]}
    assert {table: about["events"] for table, (_, about) in found.items()} == stored
    for verdict, about in found.values():
        assert verdict == "missed"
        assert about["p50"] <= about["p95"] <= about["p99"]
        assert 3600 <= about["p99"] < 3700
    late = sum(about["late"] for _, about in found.values())
    assert late == pytest.approx(sum(stored.values()) / 2, rel=0.05)


@pytest.mark.parametrize(
    ("status", "said"), [(403, "Log Analytics Data Reader"), (404, "no such workspace"), (200, "holds no table")]
)
async def test_a_workspace_that_can_not_be_asked_is_said(flow: Flow, status: int, said: str) -> None:
    if status == 200:
        flow.azure.logs_query.oddities.append(Oddity("", 200, body=lambda _: {}))
    else:
        flow.azure.logs_query.faults.add("error", status=status)
    async with flow.services() as services:
        await services.pipeline.run([Event(each.body, flow.start, "0", 1) for each in generate(3, ["s"], 1)])
        tomorrow = datetime.combine((datetime.now(UTC) + DAY).date(), time(3), UTC)
        from shared.watch.freshness_check import Tenant as Seen

        document = await services.freshness.run(Seen((), ()), tomorrow)
    assert document["stored"] == []
    assert any("can't be counted" in reason and said in reason for reason in document["reasons"])


async def never_sent(flow: Flow) -> tuple[str, dict[tuple[str, str], str]]:
    """An export from which nothing ever arrives, nine and a half days on; its subscription, and who is silent why."""
    first = next(one.id for one in flow.tenant.subscriptions.values() if one.tenant_id == flow.tenant.home)
    hub = f"{{eventHub: {{resourceId: {flow.into.event_hub}, trustedService: true}}}}"
    await flow.declare(soc=export("soc", [first], hub))
    await flow.check(0)
    silent = silences(await flow.check(9.5))
    assert len(silent) > 1
    return first, silent


def silences(found: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {key: each["reason"] for key, each in found.items() if each["verdict"] == "silent"}


@pytest.mark.parametrize("text", [b"version: 2\n", b"name: soc\nversion: 1\nseverities: [Odd]\n", b""])
async def test_a_file_that_this_release_cannot_read_hides_no_silence(flow: Flow, text: bytes) -> None:
    _, before = await never_sent(flow)
    async with flow.services() as services:
        sound = (await services.exports.get("soc")).text
        container = services.clients.blobs.get_container_client("export-configs")
        await container.upload_blob("current/soc.yaml", text, overwrite=True)
        await container.delete_blob("accepted/soc.yaml")
    assert set(silences(await flow.check(9.6))) == set(before)
    async with flow.services() as services:
        await services.exports.put("soc", sound)
    assert silences(await flow.check(9.7)) == before


async def test_a_hub_of_another_name_to_which_nothing_is_sent_hides_no_silence(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = await never_sent(flow)
    monkeypatch.setenv("EVENT_HUB_RESOURCE_ID", f"{flow.into.event_hub}-2")
    found = silences(await flow.check(9.6))
    assert set(found) >= set(before)
    assert {"no export sends there any more" in reason for reason in found.values()} == {True}
    monkeypatch.setenv("EVENT_HUB_RESOURCE_ID", flow.into.event_hub)
    assert silences(await flow.check(9.7)) == before


async def test_a_subscription_whose_records_may_not_be_read_is_not_taken_for_one_without_records(flow: Flow) -> None:
    """Nor does it hide the silence of another, whose records may be read."""
    tenant = flow.tenant
    one, other = [each.id for each in tenant.subscriptions.values() if each.tenant_id == tenant.home][:2]
    hub = f"{{eventHub: {{resourceId: {flow.into.event_hub}, trustedService: true}}}}"
    await flow.declare(everything=export("everything", [one, other], hub))
    await flow.check(0)
    await flow.snapshot(0.1, {one, other})
    present = {key for key, _ in await present_keys(flow)}
    kind = next(kind for kind in ("Assessments", "SubAssessments") if {(one, kind), (other, kind)} <= present)
    others = [operation for name, operation in OPERATION_OF_KIND.items() if name != kind]
    kept = [action for action in custom_actions() if action != "Microsoft.Security/*/read"]
    tenant.revoke(APP)
    for each in tenant.subscriptions.values():
        actions = [*kept, *others, "Microsoft.Security/automations/read"] if each.id == one else custom_actions()
        tenant.assign(APP, each.scope, custom_role(f"Test {each.id}", *actions))
    found = await flow.check(9.5)
    assert found[other, kind]["verdict"] == "silent"
    assert found[one, kind]["verdict"] == "quiet"
    assert f"lack {OPERATION_OF_KIND[kind]}" in found[one, kind]["reason"]
    assert found[one, kind]["present"] is None
    elsewhere = {key[1] for key, each in found.items() if each["verdict"] == "silent" and key[0] == one}
    assert elsewhere == {name for sub, name in present if sub == one and name not in {kind, "AttackPaths"}} - {kind}


@pytest.mark.parametrize("trouble", ["no answer", "no right", "no row"])
async def test_what_can_not_be_judged_for_a_while_hides_no_silence(flow: Flow, trouble: str) -> None:
    first, before = await never_sent(flow)
    scopes = [each.scope for each in flow.tenant.subscriptions.values()]
    own = [action for action in custom_actions() if action != "Microsoft.Security/*/read"]
    rights = {"no right": [*own, "Microsoft.Security/automations/read"]}.get(trouble, custom_actions())
    if trouble == "no answer":
        flow.azure.arm.faults.add("error", matching="POST .*ResourceGraph", status=400)  # not asked again
    elif trouble == "no right":
        flow.tenant.revoke(APP)
        for scope in scopes:
            flow.tenant.assign(APP, scope, custom_role(f"Test {scope}", *rights))
    else:
        async with flow.services() as services:
            table = services.clients.tables.get_table_client(services.settings.freshness_table)
            for subscription, kind in before:
                await table.upsert_entity({"PartitionKey": subscription, "RowKey": kind, "format": 99})
    for days in (9.6, 9.7):
        found = silences(await flow.check(days))
        why = "it is not shown to the app any more" if trouble == "no answer" else "it could not be judged now"
        assert found == {key: f"{why}, and before: {said}" for key, said in before.items()}
    if trouble == "no row":
        return
    flow.azure.arm.faults.clear()
    flow.tenant.revoke(APP)
    for scope in scopes:
        flow.tenant.assign(APP, scope, custom_role(f"Again {scope}", *custom_actions()))
    assert silences(await flow.check(9.8)) == before
    await flow.snapshot(9.9, {first})
    assert silences(await flow.check(10)) == {}


async def test_a_subscription_that_is_not_shown_any_more_hides_no_silence(flow: Flow) -> None:
    """Rights that are lost end no alarm, and rights that are given back begin no wait anew."""
    first, before = await never_sent(flow)
    scopes = [each.scope for each in flow.tenant.subscriptions.values()]
    flow.tenant.revoke(APP)
    for scope in scopes:
        if first not in scope:
            flow.tenant.assign(APP, scope, custom_role(f"Test {scope}", *custom_actions()))
    for days in (9.6, 9.7):
        found = await flow.check(days)
        told = "it is not shown to the app any more, and before: "
        assert silences(found) == {key: f"{told}{said}" for key, said in before.items()}
        assert all(each["name"] for each in found.values())
        async with flow.services() as services:
            document = await services.freshness.latest()
        assert document is not None
        assert {each["subscription_id"] for each in document["silences"]} == {first}
        assert any(reason.startswith(f"{first} should send here") for reason in document["reasons"])
    flow.tenant.assign(APP, next(scope for scope in scopes if first in scope), custom_role("Test", *custom_actions()))
    assert silences(await flow.check(9.8)) == before
