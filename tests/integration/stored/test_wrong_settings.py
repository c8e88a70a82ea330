"""One setting in words of another release stops nothing that does not need it."""

from __future__ import annotations

import pytest

from shared.bootstrap import Services
from shared.settings import Settings, SettingsError
from tests.integration.enrich.conftest import Plant, assessments, names, plant

__all__ = ["plant"]
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
}


@pytest.mark.parametrize("name", WRONG)
async def test_delivery_goes_on(plant: Plant, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, WRONG[name])
    settings = Settings.load()
    assert name in settings.problems
    services = Services(settings)
    try:
        await services.pipeline.run(assessments(range(5)))
    finally:
        await services.close()
    assert plant.stored() == names(range(5))


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
