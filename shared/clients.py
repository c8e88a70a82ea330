"""The only place that makes credentials and SDK clients: on first use, once, and reused.

SDKs are imported inside the methods that need them, so that a cold start pays for none.  Everything here is
asynchronous and belongs to the event loop that first used it.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.settings import Settings, SettingsError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.data.tables.aio import TableServiceClient
    from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
    from azure.mgmt.core import AsyncARMPipelineClient
    from azure.monitor.ingestion.aio import LogsIngestionClient
    from azure.monitor.query.aio import LogsQueryClient
    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient


class Cloud(NamedTuple):
    """Endpoints and audiences of one Azure cloud."""

    arm: str
    authority: str
    ingestion_audience: str
    logs_query: str


CLOUDS = {
    "AzureCloud": Cloud(
        "https://management.azure.com",
        "https://login.microsoftonline.com",
        "https://monitor.azure.com",
        "https://api.loganalytics.io",
    ),
    "AzureUSGovernment": Cloud(
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://monitor.azure.us",
        "https://api.loganalytics.us",
    ),
    "AzureChinaCloud": Cloud(
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://monitor.azure.cn",
        "https://api.loganalytics.azure.cn",
    ),
}


class Clients:
    """Credentials and clients for one set of settings; `await close()` when done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cloud = CLOUDS[settings.cloud]
        self._closing = AsyncExitStack()

    async def close(self) -> None:
        """Close every client and credential that was made."""
        await self._closing.aclose()

    def _keep(self, closable: Any) -> Any:
        self._closing.push_async_callback(closable.close)
        return closable

    @property
    def arm_endpoint(self) -> str:
        """Azure Resource Manager's address, without a trailing slash."""
        return (self._settings.arm_endpoint or self._cloud.arm).rstrip("/")

    @property
    def arm_scope(self) -> str:
        """The token scope for Azure Resource Manager."""
        return f"{(self._settings.arm_audience or self._cloud.arm).rstrip('/')}/.default"

    @cached_property
    def credential(self) -> AsyncTokenCredential:
        """The app's own identity: a managed identity on Azure, the developer's sign-in on a terminal."""
        from azure.identity.aio import DefaultAzureCredential

        credential: AsyncTokenCredential = self._keep(DefaultAzureCredential(authority=self._cloud.authority))
        return credential

    @cached_property
    def arm(self) -> AsyncARMPipelineClient[Any, Any]:
        """A bare pipeline to Azure Resource Manager with its retries, for Resource Graph and small reads.

        One pipeline serves every subscription; the response's headers (quota, throttling) stay in reach.
        """
        from azure.core.pipeline import policies
        from azure.mgmt.core import AsyncARMPipelineClient
        from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

        client: AsyncARMPipelineClient[Any, Any] = AsyncARMPipelineClient(
            self.arm_endpoint,
            policies=[
                policies.RequestIdPolicy(),
                policies.UserAgentPolicy("defender-export"),
                policies.AsyncRetryPolicy(),
                AsyncARMChallengeAuthenticationPolicy(self.credential, self.arm_scope),
            ],
        )
        return self._keep(client)  # type: ignore[no-any-return] # _keep hands back what it was given

    @property
    def arm_pipeline(self) -> Any:
        """The pipeline of `arm`, for generated clients to share: they take one as `pipeline=`, but offer none."""
        return self.arm._pipeline  # noqa: SLF001 - azure-core has no public name for it

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """Blob Storage of the function app's own account."""
        from azure.storage.blob.aio import BlobServiceClient

        client: BlobServiceClient = self._storage(BlobServiceClient, self._settings.storage_blob_uri)
        return client

    @cached_property
    def queues(self) -> QueueServiceClient:
        """Queue Storage of the function app's own account."""
        from azure.storage.queue.aio import QueueServiceClient

        client: QueueServiceClient = self._storage(QueueServiceClient, self._settings.storage_queue_uri)
        return client

    @cached_property
    def tables(self) -> TableServiceClient:
        """Table Storage of the function app's own account."""
        from azure.data.tables.aio import TableServiceClient

        uri = self._settings.storage_table_uri
        if uri:
            return self._keep(TableServiceClient(uri, credential=self.credential))  # type: ignore[no-any-return] # as above
        return self._storage(TableServiceClient, "")  # type: ignore[no-any-return] # as above

    def _storage(self, kind: Any, uri: str) -> Any:
        if uri:
            return self._keep(kind(uri, credential=self.credential))
        if self._settings.storage_connection:
            return self._keep(kind.from_connection_string(self._settings.storage_connection))
        message = "no storage: set AzureWebJobsStorage__blobServiceUri, __queueServiceUri and __tableServiceUri"
        raise SettingsError(message)

    @property
    def ingestion_scope(self) -> str:
        """The token scope for Logs Ingestion; the audience itself ends in a slash, hence the two."""
        audience = self._settings.ingestion_audience or self._cloud.ingestion_audience
        return f"{audience.rstrip('/')}//.default"

    async def renew_ingestion_token(self) -> None:
        """Replace the credential's cached token for Logs Ingestion by one issued from now on.

        A claim makes credentials go past their cache, which a refused token would otherwise come out of again
        (the form is that of continuous access evaluation: "not before", in epoch seconds).
        """
        claims = f'{{"access_token": {{"nbf": {{"essential": true, "value": "{int(time.time())}"}}}}}}'
        await self.credential.get_token(self.ingestion_scope, claims=claims)

    @cached_property
    def ingestion(self) -> LogsIngestionClient:
        """The Logs Ingestion API; retries are the caller's (`retry_total=0`)."""
        from azure.monitor.ingestion.aio import LogsIngestionClient

        settings = self._settings
        if not settings.ingestion_endpoint:
            message = "LOGS_INGESTION_ENDPOINT is not set: give the data collection rule's logsIngestion endpoint"
            raise SettingsError(message)
        client: LogsIngestionClient = self._keep(
            LogsIngestionClient(
                settings.ingestion_endpoint,
                self.credential,
                credential_scopes=[self.ingestion_scope],
                retry_total=0,
            )
        )
        return client

    @cached_property
    def output_hub(self) -> EventHubProducerClient:
        """The output Event Hub, reached as the input hub is unless a connection of its own is set."""
        from azure.eventhub.aio import EventHubProducerClient

        settings = self._settings
        hub = settings.forward_event_hub
        own = settings.forward_connection or settings.forward_namespace
        connection = settings.forward_connection if own else settings.event_hub_connection
        namespace = settings.forward_namespace if own else settings.event_hub_namespace
        if connection:
            return self._keep(EventHubProducerClient.from_connection_string(connection, eventhub_name=hub))  # type: ignore[no-any-return] # as above
        if namespace:
            return self._keep(EventHubProducerClient(namespace, hub, self.credential))  # type: ignore[no-any-return] # as above
        message = "no output hub: set ForwardConnection or ForwardConnection__fullyQualifiedNamespace"
        raise SettingsError(message)

    @cached_property
    def input_hub(self) -> EventHubConsumerClient:
        """The hub that enrich_records reads, to ask how far its partitions reach; it receives nothing."""
        from azure.eventhub.aio import EventHubConsumerClient

        settings = self._settings
        hub, group = settings.event_hub_name, settings.event_hub_consumer_group
        if connection := settings.event_hub_connection:
            client = EventHubConsumerClient.from_connection_string(connection, group, eventhub_name=hub, retry_total=1)
        elif namespace := settings.event_hub_namespace:
            client = EventHubConsumerClient(namespace, hub, group, self.credential, retry_total=1)
        else:
            raise SettingsError("no hub: set EventHubConnection or EventHubConnection__fullyQualifiedNamespace")
        return self._keep(client)  # type: ignore[no-any-return] # as above

    @cached_property
    def logs_query(self) -> LogsQueryClient:
        """Log Analytics queries."""
        from azure.monitor.query.aio import LogsQueryClient

        settings = self._settings
        endpoint = (settings.logs_query_endpoint or self._cloud.logs_query).rstrip("/")
        audience = settings.logs_query_audience or self._cloud.logs_query
        client: LogsQueryClient = self._keep(
            LogsQueryClient(self.credential, endpoint=f"{endpoint}/v1", audience=audience)
        )
        return client
