"""Azure's own logs tell which release asked: each SDK client names it."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.pipeline.policies import UserAgentPolicy
from azure.data.tables.aio import TableServiceClient

from shared import __version__
from shared.azure.clients import Clients
from shared.settings import Settings

KEY = "bm9uZQ=="
HUB = f"Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey={KEY}"
SETTINGS = {
    "AzureWebJobsStorage": f"AccountName=acct;AccountKey={KEY};EndpointSuffix=core.windows.net",
    "LOGS_INGESTION_ENDPOINT": "https://dce.westeurope-1.ingest.monitor.azure.com",
    "EventHubConnection": HUB,
    "FORWARD_EVENT_HUB": "out",
    "ForwardConnection": HUB,
}
RELEASE = f"defender-export/{__version__}"


def configuration(client: Any) -> Any:
    """Where a generated client keeps its policies."""
    return client._client._config if isinstance(client, TableServiceClient) else client._config


@pytest.mark.parametrize("name", ["blobs", "queues", "tables", "logs_query"])
async def test_each_client_names_the_release(name: str) -> None:
    clients = Clients(Settings.load(SETTINGS))
    try:
        agent = configuration(getattr(clients, name)).user_agent_policy.user_agent
    finally:
        await clients.close()
    assert agent.split(" ")[0] == RELEASE


@pytest.mark.parametrize("name", ["arm", "ingestion"])
async def test_each_pipeline_of_our_own_names_the_release(name: str) -> None:
    clients = Clients(Settings.load(SETTINGS))
    try:
        client = getattr(clients, name)
        runners = getattr(client, "_client", client)._pipeline._impl_policies
        policies = [getattr(runner, "_policy", runner) for runner in runners]
        (agent,) = (each.user_agent for each in policies if isinstance(each, UserAgentPolicy))
    finally:
        await clients.close()
    assert agent == RELEASE


@pytest.mark.parametrize("name", ["input_hub", "output_hub"])
async def test_each_client_of_a_hub_names_the_release(name: str) -> None:
    clients = Clients(Settings.load(SETTINGS))
    try:
        assert getattr(clients, name)._config.user_agent == RELEASE
    finally:
        await clients.close()
