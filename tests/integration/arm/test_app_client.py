"""The app's own client beside the genuine one: the same document, and one request each time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest
from azure.mgmt.security.aio import SecurityManagementClient

from local.arm import Arm
from local.tenant import APP, Subscription, Tenant
from local.tokens import TokenAuthority
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.reconcile.arm.arm_client import Arm as AppArm
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.model import ResourceId
from shared.settings import Settings
from tests.integration.reconcile.world import LocalClients, MintedCredential

from .conftest import GROUP, Make, automation


@pytest.fixture
async def clients(arm: Arm, tokens: TokenAuthority) -> AsyncIterator[Clients]:
    made = LocalClients(Settings.load({"ARM_ENDPOINT": arm.endpoint}), MintedCredential(tokens, APP))
    yield made
    await made.close()


async def test_the_app_reads_what_the_genuine_model_holds(
    client: Make, clients: Clients, tenant: Tenant, home: Subscription
) -> None:
    body = automation(tenant, home, tags={"Größe": "ü", "empty": "", "Zürich": "1 < 2 & 3"})
    genuine = client(SecurityManagementClient, home.id).automations
    await genuine.create_or_update(GROUP, "export", body)

    found = await AppArm(clients, Clock(), Pacer(Clock())).get(ResourceId(home.id, GROUP, "export"))

    assert found is not None
    assert found == (await genuine.get(GROUP, "export")).as_dict()
    assert found["tags"] == body["tags"]


@pytest.mark.parametrize("fault", ["error", "throttle", "throttle_bare", "timeout"])
async def test_the_pipeline_tries_nothing_again_by_itself(
    arm: Arm, clients: Clients, home: Subscription, fault: str
) -> None:
    arm.faults.add(fault)
    request = HttpRequest("GET", f"{clients.arm_endpoint}/subscriptions/{home.id}?api-version=2022-12-01")
    with pytest.raises(AzureError):
        (await clients.arm.send_request(request)).raise_for_status()
    assert len(arm.requests) == 1
