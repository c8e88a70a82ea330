"""Two apps, two storage accounts: each looks at what it does; what is delivered lies in the data plane's account."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceNotFoundError

from local.azurite import Azurite
from local.certs import Certificates
from local.identity import Identity
from local.stack import provision_storage
from local.tenant import APP
from local.tokens import TokenAuthority
from shared.azure.blob_container import Container
from shared.bootstrap import Services
from shared.settings import Settings
from shared.web import health_check

DATA = "dataplane"


@pytest_asyncio.fixture
async def azurite(local_certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Azurite]:
    async with (
        Azurite(local_certs, accounts=(DATA,)) as running,
        Identity(TokenAuthority(), local_certs, identities=[APP]) as identity,
    ):
        for name, value in (local_certs.environment() | identity.environment(APP.app_id)).items():
            monkeypatch.setenv(name, value)
        yield running


def control(azurite: Azurite) -> Settings:
    data = azurite.account(DATA)
    own = {"DataStorage__blobServiceUri": data.blob_uri, "DataStorage__tableServiceUri": data.table_uri}
    return Settings.load(azurite.main.identity_settings() | own)


def data(azurite: Azurite) -> Settings:
    return Settings.load(azurite.account(DATA).identity_settings())


async def test_what_is_delivered_lies_in_the_data_planes_account(azurite: Azurite, local_certs: Certificates) -> None:
    provision_storage(azurite.account(DATA).connection_string, local_certs)
    provision_storage(azurite.main.connection_string, local_certs)
    one, other = Services(control(azurite)), Services(data(azurite))
    try:
        await Container(other.clients, "dead-letters").put("a", b"1")
        assert (await Container(one.clients, "dead-letters").get("a"))[0] == b"1"
        with pytest.raises(ResourceNotFoundError):
            await one.clients.blobs.get_blob_client("dead-letters", "a").get_blob_properties()
        entity = {"PartitionKey": "p", "RowKey": "r"}
        await other.clients.data_tables.get_table_client("freshness").create_entity(entity)
        seen = one.clients.data_tables.get_table_client("freshness").list_entities()
        assert [each["RowKey"] async for each in seen] == ["r"]
        own = one.clients.tables.get_table_client("freshness").list_entities()
        assert [each async for each in own] == []
    finally:
        await one.close()
        await other.close()


async def test_each_app_looks_at_what_it_does(
    azurite: Azurite, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data plane's account has no export files, reports, jobs: asking for them would be 404, on Azure 403."""
    provision_storage(azurite.account(DATA).connection_string, local_certs)
    services = Services(data(azurite))
    try:
        for container in ("export-configs", "run-reports"):
            await services.clients.blobs.get_container_client(container).delete_container()
        with pytest.raises(ResourceNotFoundError):
            await health_check._storage(services)
        monkeypatch.setenv("AzureWebJobs.reconcile_exports.Disabled", "true")
        assert "another app's" in await health_check._storage(services)
        assert await health_check._stored(services) == "all that is stored can be read"
        assert "another app" in await health_check.last_run(services)
        assert await health_check._other_releases(services) == []
        monkeypatch.setenv("AzureWebJobs_enrich_records_Disabled", "1")  # as some Linux shells have names
        assert "another app reads the hub" in await health_check._event_hub(services)
    finally:
        await services.close()


@pytest.mark.parametrize("value", ["", "false", "0", "False"])
def test_a_function_that_is_not_switched_off_runs_here(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AzureWebJobs.reconcile_exports.Disabled", value)
    assert health_check._runs_here("reconcile_exports")
    monkeypatch.setenv("AzureWebJobs.reconcile_exports.Disabled", "TRUE")
    assert not health_check._runs_here("reconcile_exports")
