from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceNotFoundError

from local.arm import TABLES
from local.arm.calls import Operations
from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import synthetic_tenant
from shared.bootstrap import Services
from shared.lifecycle import cve_refresh, gone_check
from shared.settings import Settings
from tests.integration.lifecycle.life import Life


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_azure(
    tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates
) -> AsyncIterator[LocalAzure]:
    tenant = synthetic_tenant(3, 6, untidy=False)
    parts, folder = ("azurite", "arm", "ingestion"), tmp_path_factory.mktemp("azure")
    async with LocalAzure(folder, parts=parts, tenant=tenant, certificates=local_certs) as azure:
        azure.arm.throttling = False  # waiting for a quota is another test's matter
        yield azure


@pytest_asyncio.fixture(loop_scope="module")
async def life(shared_azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    """A tenant without a record, its tables empty, its roles as they were."""
    azure, assignments = shared_azure, copy.copy(shared_azure.tenant.assignments)
    for name, value in azure.app_settings().items():
        monkeypatch.setenv(name, value)
    for table in azure.workspace.tables:
        await azure.workspace.sql(f'DELETE FROM "{table}"')
    services = Services(Settings.load())
    kept = services.clients.blobs.get_container_client(services.settings.reports_container)
    for state in (gone_check.LATEST, cve_refresh.LATEST):
        with suppress(ResourceNotFoundError):
            await kept.delete_blob(state)
    yield Life(azure, services)
    await services.close()
    azure.tenant.assignments = assignments
    azure.tenant.cve_details = []
    azure.arm.throttling = False
    azure.arm._operations = Operations(*TABLES, azure.arm.graph.operations)
