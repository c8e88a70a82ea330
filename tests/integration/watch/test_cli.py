"""The commands as people type them, over the local Azure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import APP, destinations, synthetic_tenant
from local.tenant.ids import management_group_id
from local.tenant.roles import READER
from shared.bootstrap import Services
from shared.cli import main
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.settings import Settings
from shared.watch.cis_benchmark import CIS
from shared.watch.freshness_check import LATEST

Run = Callable[..., Awaitable[tuple[int, str, str]]]
EXPORT = """
version: 1
name: soc
scope: {{managementGroups: [contoso]}}
automation: {{location: westeurope}}
export:
  frequency: [streaming, snapshot]
  alerts: {{frequency: [streaming], minimumSeverity: High}}
  recommendations: {{minimumSeverity: High}}
destination:
  eventHub: {{resourceId: {hub}, trustedService: true}}
"""
REQUIREMENTS = """
version: 1
requirements:
  - {name: severe-recommendations, kind: AssessmentsSnapshot, records: [{properties.metadata.severity: High}]}
"""


@pytest.fixture
async def azure(tmp_path: Path, local_certs: Certificates) -> AsyncIterator[LocalAzure]:
    tenant = synthetic_tenant(2, 6, untidy=False)
    settings = {"EVENT_HUB_RESOURCE_ID": destinations(tenant).event_hub}
    parts = ("azurite", "arm", "ingestion")
    async with LocalAzure(
        tmp_path / "azure", parts=parts, tenant=tenant, certificates=local_certs, settings=settings
    ) as running:
        yield running


@pytest.fixture
def run(azure: LocalAzure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; gives its exit code and what it printed."""
    for name, value in azure.app_settings().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "soc.yaml").write_text(EXPORT.format(hub=destinations(azure.tenant).event_hub))
    (tmp_path / "wanted.yaml").write_text(REQUIREMENTS)
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, arguments)
        out, err = capsys.readouterr()
        assert "+00:00" not in out, "each time ends in Z"
        return code, out, err

    return run


async def test_watching_from_a_terminal(run: Run) -> None:
    code, _, err = await run("freshness")
    assert (code, err) == (1, "error: nothing was checked yet; `freshness --now` does it now\n")
    assert (await run("push", "soc.yaml"))[0] == 0
    assert (await run("coverage", "--check"))[0] == 1, "nothing is exported yet"
    assert (await run("apply", "--yes"))[0] == 0

    code, out, _ = await run("coverage", "--requirements", "wanted.yaml", "--management-group", "contoso", "--json")
    answer = json.loads(out)
    here = len(answer["value"])
    disabled = answer["unmet"].get("severe-recommendations", 0)
    assert answer["unmet"]["cis-8.1.5.2"] == here
    assert disabled < here
    assert (code, answer["complete"]) == (0, True)
    code, out, _ = await run("coverage", "--check", "--unmet", "--details", "--management-group", "contoso")
    assert code == 1
    assert "the filters let only some through: alerts whose severity is High" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 100
    assert " ".join(out.split()).endswith(f"met by 0 of {here} subscriptions ({CIS.description})")

    code, out, _ = await run("freshness", "--now", "--json")
    checked = json.loads(out)
    assert {each["verdict"] for each in checked["health"]} == {"quiet"}
    assert json.loads((await run("freshness", "--json"))[1]) == checked
    later = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    code, out, _ = await run("freshness", "--as-of", later)
    assert code == 0
    assert "nothing ever arrived, though" in " ".join(out.split())
    assert json.loads((await run("freshness", "--json"))[1]) == checked, "as of another time leaves no trace"

    previewed = json.loads((await run("preview", "soc.yaml", "--json"))[1])
    assert json.loads((await run("preview", "soc", "--json"))[1]) == previewed
    assert previewed["sent"] > 0
    out = (await run("preview", "soc.yaml"))[1]
    await volume_is_told(run, previewed["volume"], out.splitlines()[-1])
    assert f"records of {here} subscriptions would be sent\n" in out
    assert (await run("preview", "nothing"))[::2] == (1, "error: there is no export named nothing; put it first\n")

    code, out, _ = await run("backfill", "--export", "soc", "--detach", "--json")
    job = json.loads(out)["job"]
    services = Services(Settings.load())
    await services.job_worker.run(job)
    await services.close()
    code, out, _ = await run("backfill", "--follow", job)
    assert (code, out) == (0, f"succeeded: {previewed['sent']:,} records of {here} subscriptions\n")
    assert (await run("backfill", "--follow", "0"))[1:] == ("", "error: there is no job 0\n")

    name = checked["health"][0]["name"]
    named = json.loads((await run("freshness", "--subscription", name.upper(), "--kind", "alerts", "--json"))[1])
    assert [(each["name"], each["kind"]) for each in named["health"]] == [(name, "Alerts")]
    assert (await run("freshness", "--check"))[0] == 0, "nobody is silent"
    assert (await run("freshness", "--as-of", later, "--check"))[0] == 1
    assert (await run("plan", "--subscription", name))[0] == 0
    await letters_are_gone(run)


async def test_a_check_is_well_only_where_all_was_seen_of_late(run: Run, azure: LocalAzure, tmp_path: Path) -> None:
    everything = EXPORT.replace("frequency: [streaming], minimumSeverity: High", "frequency: [streaming]")
    (tmp_path / "soc.yaml").write_text(everything.format(hub=destinations(azure.tenant).event_hub))
    assert (await run("freshness", "--now"))[0] == 0
    assert (await run("freshness", "--check"))[0] == 1, "no export is declared, so nothing was judged"
    assert (await run("push", "soc.yaml"))[0] == 0
    assert (await run("apply", "--yes"))[0] == 0
    group = ("--management-group", "contoso")
    assert (await run("coverage", "--check", *group))[0] == 0
    assert (await run("evidence", "--check", "--output", "json", *group))[0] == 0
    assert (await run("freshness", "--now", "--check"))[0] == 0
    assert (await run("freshness", "--check", "--verdict", "silent"))[0] == 0
    services = Services(Settings.load())
    answers = services.freshness._answers.get_blob_client(LATEST)
    document = json.loads(await (await answers.download_blob()).readall())
    old = (datetime.now(UTC) - timedelta(hours=25)).isoformat(timespec="seconds").replace("+00:00", "Z")
    await answers.upload_blob(json.dumps({**document, "checked": old}), overwrite=True)
    code, out, _ = await run("freshness", "--check")
    assert code == 1
    assert "! the last check was more than a day ago" in out
    for odd in ("no JSON", "{}", json.dumps({**document, "checked": "yesterday"})):
        await answers.upload_blob(odd, overwrite=True)
        code, out, err = await run("freshness", "--check")
        assert (code, err) == (1, "")
        assert "what follows from it is not judged" in out
    await answers.upload_blob(json.dumps({**document, "reasons": ["Resource Graph did not answer"]}), overwrite=True)
    assert (await run("freshness", "--check"))[0] == 1
    await services.close()
    assert (await run("freshness"))[0] == 0, "without --check it is shown, and that is all"

    lost, *others = sorted(one.id for one in azure.tenant.subscriptions.values() if one.tenant_id == azure.tenant.home)
    azure.tenant.revoke(APP, management_group_id(azure.tenant.home))
    for one in others:
        azure.tenant.assign(APP, f"/subscriptions/{one}", READER)
    code, out, _ = await run("coverage", "--check", *group)
    assert code == 1
    assert lost in out
    assert (await run("coverage", *group))[0] == 0
    assert (await run("evidence", "--check", "--output", "json", *group))[0] == 1
    assert (await run("freshness", "--now", "--check"))[0] == 1


async def test_what_is_sent_to_a_broken_hub_meets_nothing(run: Run, azure: LocalAzure, tmp_path: Path) -> None:
    everything = EXPORT.replace("frequency: [streaming], minimumSeverity: High", "frequency: [streaming]")
    hub = destinations(azure.tenant).event_hub
    (tmp_path / "soc.yaml").write_text(everything.format(hub=hub))
    assert (await run("push", "soc.yaml"))[0] == 0
    assert (await run("apply", "--yes"))[0] == 0
    group = ("--management-group", "contoso")
    assert (await run("coverage", "--check", *group))[0] == 0
    azure.tenant.delete_resource(hub)
    services = Services(Settings.load())
    await services.reconciler.apply(Request(Caller("timer", "reconcile_exports")))
    await services.close()
    code, out, _ = await run("coverage", "--check", "--requirements", "wanted.yaml", *group)
    assert code == 1
    assert f"nothing arrives at {hub}".lower() in " ".join(out.split()).lower()
    assert out.count("met by 0 of") == 2


async def volume_is_told(run: Run, volume: list[dict[str, Any]], last: str) -> None:
    rows = sum(each["rowsAMonth"] for each in volume)
    size = sum(each["gigabytesAMonth"] for each in volume)
    assert rows > 0
    assert last == f"At least {rows:,} rows and {size:.3g} GB a month"
    priced = json.loads((await run("preview", "soc", "--price", "25000e-2", "--json"))[1])["volume"]
    costs = [each.pop("costAMonth") for each in priced]
    assert priced == volume
    assert costs == [round(each["gigabytesAMonth"] * 250, 2) for each in volume]
    out = (await run("preview", "soc", "--price", "250"))[1]
    assert out.splitlines()[-1] == f"{last}, {sum(costs):,.2f} for their ingestion"


async def letters_are_gone(run: Run) -> None:
    name = "2026-11-20/no-output-hub/hub/x-1-42491bf7e6e46627a824.ndjson.gz"
    for command in (["show", name], ["discard", name, "--yes"]):
        told = f"error: {name} is not there, or is being replayed: `dead-letters list` shows what is kept\n"
        assert await run("dead-letters", *command) == (1, "", told)
