"""Five people at the command line, each from an empty shell, by `use` alone; who they are, Entra says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from local.certs import Certificates
from local.records import Generator
from local.tenant import APP, Tenant, destinations, synthetic_tenant
from local.tenant.samples import policy_event_hub
from shared.bootstrap import Services
from shared.jobs.arguments import read_arguments
from shared.jobs.model import Job
from tests.e2e.easy_auth import easy_auth
from tests.e2e.shell import Shell
from tests.e2e.test_doctor import NEVER, Deployment, checked

RESOURCE = "api://11111111-2222-4333-8444-555555555555"
ROLES = ("Exports.Read", "Exports.Write", "Exports.Approve")
SETTINGS = {
    "AUTH_MODE": "entra",
    "WEBSITE_AUTH_ENABLED": "true",
    "RECONCILE_MODE": "plan",
    "RECONCILE_SCHEDULE": NEVER,
    "FRESHNESS_SCHEDULE": NEVER,
    "NEWS_SCHEDULE": NEVER,
    "DEAD_LETTER_SCHEDULE": NEVER,
}


class Workplace(Deployment):
    """A deployment behind Easy Auth, and shells whose machine is signed in."""

    def __init__(self, folder: Path, certificates: Certificates, tenant: Tenant) -> None:
        super().__init__(folder, certificates, tenant, **SETTINGS)
        self._fronts = ExitStack()

    def shell(self, folder: Path, roles: tuple[str, ...] = ROLES) -> Shell:
        """An empty shell after `use`."""
        folder.mkdir(exist_ok=True)
        front = self._fronts.enter_context(easy_auth(self.url, self.azure.tokens, RESOURCE, roles))
        shell = Shell(folder, self.azure.identity.environment(APP.app_id) | self.azure.certificates.environment())
        assert "answers and lets you in" in shell(f"use {front} --resource {RESOURCE}")
        return shell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fronts.close()
        super().__exit__(kind, error, trace)

    def ours(self, name: str = "") -> list[dict[str, Any]]:
        """The automations of this deployment, of one export or of all."""
        found = [dict(each) for each in self.azure.tenant.all_automations()]
        ours = [each for each in found if each["tags"].get("defender-export-instance") == "local"]
        return [each for each in ours if name in {"", each["tags"]["defender-export-name"]}]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[Workplace]:
    tenant = synthetic_tenant(5, 13, untidy=False)
    with Workplace(tmp_path_factory.mktemp("personas"), local_certs, tenant) as running:
        yield running


def test_an_analyst_sends_high_alerts_of_one_group_to_a_hub_from_init_to_a_row(work: Workplace, tmp_path: Path) -> None:
    shell = work.shell(tmp_path)
    tenant = work.azure.tenant
    group = max(tenant.subscriptions.values(), key=lambda each: each.id).management_group
    below = [
        each
        for each in tenant.subscriptions.values()
        if group in {each.management_group, *(above.name for above in tenant.ancestors(each.management_group))}
    ]
    where = f"--destination {destinations(tenant).event_hub} --location westeurope"
    written = shell(f"init high-alerts --management-group {group} {where} --severity High")
    assert written.startswith("exports/high-alerts.yaml is written; next: `defender-export plan exports/high-alerts")
    assert f"+ create in {len(below)} subscriptions" in shell("plan exports/high-alerts.yaml")
    assert shell("push exports/high-alerts.yaml") == "high-alerts: created\n"
    assert shell("apply --export high-alerts --yes").endswith(" s\ncreated high-alerts: " + f"{len(below)}\n")
    assert len(work.ours("high-alerts")) == len(below)

    # What Defender for Cloud does from then on.
    generator = Generator(7, [below[0].id], tenant.home)
    alert = json.loads(json.dumps(generator.make("Alert", datetime.now(UTC), snapshot=False)))
    work.send(json.dumps(alert).encode())
    count = 'SELECT count(*) FROM "DefenderAlerts_CL" WHERE lower(SubscriptionId) = ?'

    def rows() -> int:
        found = work.on_loop(lambda: work.azure.workspace.sql(count, [below[0].id.lower()]))
        return int(found.rows[0][0])

    assert work.until(rows) == 1


def take_over(work: Workplace, shell: Shell, number: int) -> None:
    """What an engineer does with so many exports that policies made."""
    tenant = work.azure.tenant
    writable = (one for one in tenant.subscriptions.values() if one.state == "Enabled")
    chosen = sorted(one.id for one in writable if one.tenant_id == tenant.home)[:number]
    for one in chosen:
        tenant.add_resource_group(one, "rg-policy", "westeurope")
        tenant.set_automation(policy_event_hub(one, "rg-policy", destinations(tenant)))
    shell("import --out exports --adopt")
    (file,) = (shell.folder / "exports").glob("*.yaml")
    planned = shell("plan exports/ --detailed-exitcode", 2)
    assert f"Plan: {number} to adopt" in planned, planned
    assert max(map(len, planned.splitlines())) <= 100
    shell("push exports/")
    assert f"{number} adopted" in shell("apply --yes")
    assert len(work.ours(file.stem)) == number
    assert shell("plan --detailed-exitcode").splitlines()[-1].startswith("Plan: nothing to change")

    # A pull request: the file sends one kind more, and the comment says what merging would do.
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("export:\n", "export:\n  attackPaths: {}\n", 1), encoding="utf-8")
    comment = shell("plan exports/ --prune --output markdown")
    assert f"files changed: {file.stem}" in comment
    assert "all attack paths" in comment
    assert len(comment) < 60_000
    assert f"Plan: {number} to update" in shell("plan exports/ --prune")
    assert shell(f"exports get {file.stem}") == text, "what is shown is not stored"


@pytest.mark.parametrize("number", [12, pytest.param(249, marks=pytest.mark.soak)])
def test_an_engineer_takes_over_what_policies_made_and_shows_what_a_pull_request_does(
    number: int, work: Workplace, tmp_path: Path, local_certs: Certificates
) -> None:
    with ExitStack() as larger:
        if number > 12:
            tenant = synthetic_tenant(6, number + 20, untidy=False)
            larger_one = Workplace(tmp_path / "azure", local_certs, tenant)
            larger.enter_context(larger_one)
            work = larger_one
        take_over(work, work.shell(tmp_path), number)


def test_a_runbooks_author_puts_plans_applies_and_reads_a_partial_result(work: Workplace, tmp_path: Path) -> None:
    shell = work.shell(tmp_path)
    tenant = work.azure.tenant
    one, other, closed = sorted(each.id for each in tenant.subscriptions.values() if each.tenant_id == tenant.home)[:3]
    (tmp_path / "findings.yaml").write_text(
        work.export("findings", scope=f"subscriptions: [{one}, {other}, {closed}]"), encoding="utf-8"
    )
    for live in list(tenant.automations(closed)):
        tenant.delete_automation(live["id"])
    tenant.set_registration(closed, "Microsoft.Security", "NotRegistered")
    try:
        assert shell("push findings.yaml") == "findings: created\n"
        planned = shell.json("plan --export findings")
        assert planned["counts"] == {"blocked": 1, "create": 2}
        result = shell.json("apply --export findings --yes", 1)
        assert (result["outcome"], result["counts"]["Created"], result["counts"]["Blocked"]) == ("Partial", 2, 1)
        (blocked,) = (item for item in result["items"] if item["action"] == "blocked")
        assert closed in blocked["id"]
        assert "Microsoft.Security is not registered" in blocked["reason"]
        shown = shell(f"status {result['runId']}")
        assert "applied Partial: 2 created, 1 blocked" in shown
        assert "Microsoft.Security is not registered" in shown
        assert max(map(len, shown.splitlines())) <= 100
    finally:
        tenant.set_registration(closed, "Microsoft.Security", "Registered")
    assert shell.json("apply --export findings --yes")["outcome"] == "Succeeded"


def test_on_call_finds_why_one_subscription_is_silent_and_mends_it(work: Workplace, tmp_path: Path) -> None:
    shell = work.shell(tmp_path)
    tenant = work.azure.tenant
    one, other = sorted(each.id for each in tenant.subscriptions.values() if each.tenant_id == tenant.home)[-2:]
    name = tenant.subscription(one).name
    text = work.export("weekly", "minimumSeverity: Medium, frequency: [streaming]", f"subscriptions: [{one}, {other}]")
    text = text.replace("export: {", "export: {frequency: [streaming, snapshot], recommendations: {}, ")
    (tmp_path / "weekly.yaml").write_text(text, encoding="utf-8")
    for live in list(tenant.automations(one)):  # nobody else exports there
        tenant.delete_automation(live["id"])
    shell("push weekly.yaml")
    shell("apply --export weekly --yes")
    (live,) = (each for each in work.ours("weekly") if one in each["id"])
    tenant.set_automation(live | {"properties": live["properties"] | {"isEnabled": False}})
    hub = {"EVENT_HUB_RESOURCE_ID": destinations(tenant).event_hub}
    work.with_services(checked(0), **hub)
    work.with_services(checked(90), **hub)

    told = shell("freshness --verdict silent --check", 1)
    assert name in told
    assert "the automation is disabled" in " ".join(told.split())
    assert "! freshness: silent: " in shell("doctor", 1)
    assert shell(f"coverage --subscription {name} --details").count("(disabled)") >= 1
    assert f"~ update in {name}\n      properties.isEnabled: false -> true" in shell(
        f"plan --export weekly --subscription {name}"
    )
    assert "1 updated" in shell(f"apply --export weekly --subscription {name} --yes")
    assert shell(f"plan --export weekly --subscription {name}").splitlines()[-1].startswith("Plan: nothing to change")
    assert all(each["properties"]["isEnabled"] for each in work.ours("weekly"))


def test_what_was_shown_is_carried_out_or_nothing_is(work: Workplace, tmp_path: Path) -> None:
    shell = work.shell(tmp_path)
    tenant = work.azure.tenant
    one, other = sorted(each.id for each in tenant.subscriptions.values() if each.tenant_id == tenant.home)[:2]
    file = tmp_path / "bound.yaml"
    file.write_text(work.export("bound", scope=f"subscriptions: [{one}]"), encoding="utf-8")
    shell("push bound.yaml")
    shell("plan --export bound --out kept.json")
    kept = json.loads((tmp_path / "kept.json").read_text(encoding="utf-8"))

    file.write_text(work.export("bound", scope=f"subscriptions: [{other}]"), encoding="utf-8")
    shell("push bound.yaml")
    shell("apply kept.json --export bound", 1)
    assert shell.err.startswith("error: the plan no longer fits, make a new one: ")
    asked = {"kind": "reconcile", "exports": ["bound"], "fingerprint": kept["fingerprint"]}
    refused = work.with_services(lambda services: _job(services, asked))
    assert (refused.state, refused.error.split(":")[0]) == ("failed", "the plan no longer fits")
    assert work.ours("bound") == []

    shell("plan --export bound --out kept.json")
    assert "created bound: 1" in shell("apply kept.json --export bound")
    (tmp_path / "kept.json").write_text("{}", encoding="utf-8")
    shell("apply kept.json --export bound", 1)
    assert shell.err == "error: this is no plan that this version can read\n"


async def _job(services: Services, asked: dict[str, Any]) -> Job:
    """A job that has ended, asked for as the route does."""
    kind, arguments = read_arguments(asked)
    job = await services.jobs.submit(kind, arguments, "test", now=datetime.now(UTC))
    while not (found := await services.jobs.settled(job.id, datetime.now(UTC))).final:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.2)
    return found


def test_a_tear_down_ends_in_one_command_after_the_exports_are_deleted(work: Workplace, tmp_path: Path) -> None:
    shell = work.shell(tmp_path)
    (tmp_path / "gone.yaml").write_text(work.export("gone"), encoding="utf-8")
    shell("push gone.yaml")
    shell("apply --export gone --yes")
    number = len(work.ours())
    assert number > 10, "more than MAX_DELETES allows"
    for export in shell.json("exports list")["value"]:
        shell(f"exports delete {export['name']} --yes")
    assert "more than MAX_DELETES allows" in shell("apply --yes", 1)
    assert len(work.ours()) == number

    reader = work.shell(tmp_path / "reader", ("Exports.Read", "Exports.Write"))
    reader(f"apply --max-deletes {number} --yes", 1)
    assert "Assign the app role Exports.Approve" in reader.err
    assert len(work.ours()) == number

    assert f"{number} deleted" in shell(f"apply --max-deletes {number} --yes")
    assert work.ours() == []
    assert shell("plan").splitlines()[-1].startswith("Plan: nothing to change")
