"""One wrong setting, of another release or mistyped, stops nothing that does not need it, and `ready` names it."""

from __future__ import annotations

import json
import os
import time

import pytest

from shared.bootstrap import Services
from shared.enrich.invocation.pipeline_factory import pipeline
from shared.settings import Settings, SettingsError
from shared.web import health_check
from tests.integration.enrich.conftest import ANY, Plant, assessments, names, plant

__all__ = ["plant"]
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/it/)"
HUB = "Endpoint=sb://127.0.0.1:1/;SharedAccessKeyName=k;SharedAccessKey=YWJj"
ENDPOINTS = [
    "dce.westeurope-1.ingest.monitor.azure.com",
    '"https://dce.westeurope-1.ingest.monitor.azure.com"',
    "http://dce.westeurope-1.ingest.monitor.azure.com",
    "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/dce/)",
    "https://",
]
WRONG = {
    "RECONCILE_MODE": "review",
    "INVENTORY": "lake",
    "RAW_COLUMN": "none",
    "APPLY_CONCURRENCY": "many",
    "CROSS_TENANT_CREDENTIAL": "passkey",
    "KEEP_RECORDS": '{"kinds": []}',
    "DROP_RECORDS": "[{",
    "AUTH_MODE": "oidc",
    "SNAPSHOT_DUE_DAYS": "nine",
    "INSTANCE_ID": REFERENCE,
    "ARM_ENDPOINT": "management.azure.com",
    "ARM_AUDIENCE": "management.azure.com",
    "CROSS_TENANT_AUTHORITY": "http://login.microsoftonline.com",
    "FORWARD_EVENT_HUB": "ns/hub",
    "EVENT_HUB_NAME": "ns/hub",
    "EventHubConnection": f"{HUB};EntityPath=other",
    "LOGS_INGESTION_OWN_ENDPOINT": "https://",
    "LOGS_INGESTION_OWN_RULE_ID": "/subscriptions/s/dataCollectionRules/r",
    "LOGS_QUERY_ENDPOINT": '"https://api.loganalytics.io"',
    "WORKSPACE_ID": "workspace",
    "EVENT_HUB_RESOURCE_ID": "hub",
    "AzureWebJobsStorage": "storageaccount",
    "AzureWebJobsStorage__blobServiceUri": "account.blob.core.windows.net",
    "DataStorage__blobServiceUri": "account.blob.core.windows.net",
    "DataStorage__tableServiceUri": REFERENCE,
    "FRESHNESS_TABLE": "when-seen",
    "DEAD_LETTERS_CONTAINER": "Dead Letters",
    "OVERSIZE_CONTAINER": "export-configs",
    "APPLY_BUDGET_SECONDS": "601",
    "UPLOAD_TIMEOUT_SECONDS": "590",
    "DROP_COLUMNS": "RecordKey,EnqueuedTime",
}
LINTED = {
    "KEEP_RECORDS": [
        ("Assessments", "Severity", "Equal", "High"),
        ("Assessments", "properties.metadata.severity", "GreaterThan", "High"),
        ("Assessment", "properties.metadata.severity", "Equals", "High"),
    ],
    "DROP_RECORDS": [
        ("Assessments", "properties.status.code", "Equal", "Unhealthy"),
        ("Assesments", "properties.status.code", "Equals", "Unhealthy"),
    ],
}


# What an output hub does not take waits in the store of dead letters, which has to be there.
STORE = {
    "AzureWebJobsStorage",
    "AzureWebJobsStorage__blobServiceUri",
    "DataStorage__blobServiceUri",
    "DEAD_LETTERS_CONTAINER",
}


def a_filter(source: str, path: str, operator: str, value: str) -> str:
    rule = {"propertyJPath": path, "propertyType": "String", "operator": operator, "expectedValue": value}
    return json.dumps([{"eventSource": source, "ruleSets": [{"rules": [rule]}]}])


FILTERS = [(name, a_filter(*rule)) for name, rules in LINTED.items() for rule in rules]


@pytest.mark.parametrize(("name", "value"), [*WRONG.items(), *FILTERS])
async def test_ready_names_the_setting_and_shows_no_secret(name: str, value: str) -> None:
    services = Services(Settings.load({name: value}))
    with pytest.raises(health_check.NotWell) as said:
        await health_check.CHECKS["settings"](services)
    assert str(said.value).startswith(name)
    assert "YWJj" not in str(said.value)


@pytest.mark.parametrize(
    ("filtered", "right"),
    [(FILTERS[0], {"FORWARD_EVENT_HUB"}), (FILTERS[3], STORE)],
    ids=["all but the output hub", "all but where its letters go"],
)
async def test_with_every_optional_setting_wrong_delivery_goes_on(
    plant: Plant, filtered: tuple[str, str], right: set[str]
) -> None:
    wrong = {name: value for name, value in [*WRONG.items(), filtered] if name not in right}
    services = Services(Settings.load({**os.environ, **wrong}))
    try:
        with pytest.raises(health_check.NotWell) as said:
            await health_check.CHECKS["settings"](services)
        assert all(f"{name}: " in str(said.value) for name in wrong)
        summary = await services.pipeline.run(assessments(range(5)))
    finally:
        await services.close()
    assert summary.accepted.total() == 5
    assert plant.stored() == names(range(5))
    rows = [row for body in plant.azure.ingestion.stored for row in json.loads(body.body)]
    assert all(row["RecordKey"] and row["EnqueuedTime"] for row in rows)


async def test_rows_for_an_address_that_is_none_wait_without_a_single_try(plant: Plant) -> None:
    for number, endpoint in enumerate(ENDPOINTS):
        both = dict.fromkeys(("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_OWN_ENDPOINT"), endpoint)
        settings = Settings.load({**os.environ, **both})
        assert set(both) == settings.problems.keys()
        wrong = pipeline(settings, plant.clients, {})
        begun = time.monotonic()
        summary = await wrong.run(assessments([number]))
        assert time.monotonic() - begun < 20, "nothing is tried, whatever the address"
        assert (summary.letters, summary.requests + summary.retries) == ({"not-configured": 1}, 1)
        assert Services(settings)._rows is not None, "rows about the app itself wait as well"
    found = await plant.lost()
    assert {letter.message.partition(":")[0] for letter in found} == {"LOGS_INGESTION_ENDPOINT"}
    await plant.pipeline.replay(ANY)
    assert sorted(plant.stored()) == names(range(len(ENDPOINTS)))


async def test_a_timeout_beyond_the_hosts_own_is_named(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTION_TIMEOUT_SECONDS", "900")
    services = Services(Settings.load())
    with pytest.raises(health_check.NotWell, match=r"FUNCTION_TIMEOUT_SECONDS: 900 is more than functionTimeout"):
        await health_check.CHECKS["settings"](services)
    monkeypatch.setenv("FUNCTION_TIMEOUT_SECONDS", "600")
    assert await health_check.CHECKS["settings"](Services(Settings.load())) == "every setting can be read"


async def test_without_a_sure_instance_no_run_begins(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTANCE_ID", REFERENCE)
    services = Services(Settings.load())
    try:
        with pytest.raises(SettingsError, match="INSTANCE_ID"):
            await services.reconciler.tick()
    finally:
        await services.close()


async def test_with_a_cloud_that_is_not_known_no_call_is_made_and_nothing_is_lost(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLOUD", "AzureMoon")
    services = Services(Settings.load())
    try:
        with pytest.raises(SettingsError, match="AzureMoon"):
            _ = services.clients.credential
        with pytest.raises(Exception, match=r"SettingsError|AzureMoon"):
            await services.pipeline.run(assessments(range(5)))  # so the host keeps its checkpoint
    finally:
        await services.close()
    assert plant.stored() == []
