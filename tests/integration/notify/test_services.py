"""The timer's whole way: rules and addresses as people give them, and what the app's other parts left."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.notice_receivers import CANARY, NoticeReceivers
from shared.bootstrap import Services
from shared.exports.diagnostics import InvalidExport
from shared.settings import Settings
from shared.watch.freshness_check import LATEST
from shared.watch.freshness_outcome import Outcome
from shared.watch.freshness_verdicts import SILENT, Health
from shared.watch.health_rows import as_document

RULES = b"""version: 1
receivers: [{name: teams, channel: teams}, {name: webhook, channel: webhook}]
rules: [{send: [teams], severity: High}, {send: [webhook]}]
"""
EXCEPTIONS = b"""version: 1
exceptions:
- {requirement: cis-8.1.5.2, subscriptions: [11111111-1111-4111-8111-111111111111], owner: Payments, reason: moved,
   until: "2026-01-31"}
"""


def environment(storage: StorageAccount, receivers: NoticeReceivers, **more: str) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": storage.connection_string,
        "SEND_NOTICES": "true",
        "NOTIFY_RECEIVERS": json.dumps(receivers.addresses("teams", "webhook")),
    } | more


async def test_what_the_app_left_is_sent_by_the_stored_rules(
    storage: StorageAccount, local_certs: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with NoticeReceivers(local_certs.server_context()) as receivers:
        settings = Settings.load(environment(storage, receivers))
        assert settings.problems == {}
        assert CANARY not in repr(settings)
        services = Services(settings)
        try:
            await services.send_news()  # no rules yet
            with pytest.raises(InvalidExport):
                await services.notify_rules.put(b"version: 1\n", "me")
            await services.notify_rules.put(RULES, "me")
            await services.requirements.put(EXCEPTIONS, "me")
            await services.timer_runs.note("check_freshness", datetime.now(UTC) - timedelta(hours=7))
            now = datetime.now(UTC)
            health = [Health("a-1", "Alerts", "soc", SILENT, None, "nothing came", due_by=now)]
            container = services.clients.blobs.get_container_client(settings.reports_container)
            await container.upload_blob(LATEST, json.dumps(as_document(Outcome(now, health), ())))
            await services.send_news()
            await services.send_news()
            kinds = [said["kind"] for _, said in receivers.got["webhook"]]
            assert sorted(kinds) == ["exception-expired", "subscription-silent", "timer-stopped"]
            assert len(receivers.got["teams"]) == 1
            assert "check_freshness" in str(receivers.got["teams"][0][1])
            await services.timer_runs.note("check_freshness", now)
            await services.requirements.put(EXCEPTIONS.replace(b"2026", b"2099"), "me")
            health = [Health("a-1", "Alerts", "soc", "not observable", None, "nothing is known")]
            await container.upload_blob(LATEST, json.dumps(as_document(Outcome(now, health), ())), overwrite=True)
            await services.send_news()
            ended = [said["kind"] for _, said in receivers.got["webhook"] if said["phase"] == "ended"]
            assert sorted(ended) == ["exception-expired", "timer-stopped"]
            deeds = [each.deed for each in await services.trail.deeds()]
            assert deeds.count("PutNotify") == 1
        finally:
            await services.close()
    assert CANARY not in caplog.text


async def test_an_app_whose_notices_are_off_sends_none_and_loads_none(
    storage: StorageAccount, local_certs: Certificates
) -> None:
    async with NoticeReceivers(local_certs.server_context()) as receivers:
        services = Services(Settings.load(environment(storage, receivers, SEND_NOTICES="false")))
        try:
            await services.notify_rules.put(RULES, "me")
            await services.timer_runs.note("check_freshness", datetime.now(UTC) - timedelta(hours=7))
            await services.send_news()
        finally:
            await services.close()
        assert receivers.asked == {}
    code = """import asyncio, sys
from shared.bootstrap import Services
from shared.settings import Settings
asyncio.run(Services(Settings.load({})).send_notices())
print([name for name in sys.modules if name.startswith("shared.notify")])"""
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "given", ["{", "[]", '{"a": 1}', '{"a": "http://x.example/hook"}', '{"a": "https://"}', '{"a": "hook-canary"}']
)
def test_addresses_that_are_none_are_named_by_their_setting_alone(given: str) -> None:
    settings = Settings.load({"NOTIFY_RECEIVERS": given})
    assert settings.notify_receivers == {}
    assert "NOTIFY_RECEIVERS" in settings.problems["NOTIFY_RECEIVERS"]
    assert "hook" not in settings.problems["NOTIFY_RECEIVERS"]
