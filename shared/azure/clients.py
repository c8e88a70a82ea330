"""The only place that makes credentials and SDK clients: on first use, once, and reused.

SDKs are imported inside the methods that need them, so that a cold start loads none.  Everything here is
asynchronous and belongs to the event loop that first used it.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared import __version__
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
from shared.azure.cloud_endpoints import CLOUDS
from shared.azure.credentials import cross_tenant_credential, own_credential
from shared.azure.http_transport import transport

# In front of each SDK's own, so that logs of Azure tell which release asked.
USER_AGENT = f"defender-export/{__version__}"
_QUERY_SECONDS = 60.0  # for the first byte of what Resource Graph, Azure Resource Manager and Log Analytics work out
# Between attempts at blobs and queues: 2, 4 and 8 seconds, give or take one.  The SDK's own pauses of some 18, 24 and
# 42 seconds would delay the error for storage that is down that long; what outlasts these, triggers try again.
_STORAGE_PAUSES = {"initial_backoff": 0, "increment_base": 2, "random_jitter_range": 1}

_SERVICES = {
    "BlobServiceClient": "Blob Storage", "QueueServiceClient": "Queue Storage", "TableServiceClient": "Table Storage",
}  # fmt: skip

# Four attempts at a hub that is not there take 14 s, longer than anyone waits for one: then the reason is lost.
_HUB_OPTIONS: dict[str, Any] = {"retry_total": 1, "user_agent": USER_AGENT}


class Clients:
    """Credentials and clients for one set of settings; `await close()` when done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cloud = CLOUDS[settings.cloud]
        self._closing = AsyncExitStack()
        self._other_tenants: dict[tuple[str, str], Any] = {}

    async def close(self) -> None:
        """Close every client and credential that was made."""
        await self._closing.aclose()

    def _keep(self, closable: Any) -> Any:
        self._closing.push_async_callback(closable.close)
        return closable

    @property
    def arm_endpoint(self) -> str:
        """Azure Resource Manager's address, without a trailing slash."""
        self._settings.require("ARM_ENDPOINT")
        return (self._settings.arm_endpoint or self._cloud.arm).rstrip("/")

    @property
    def arm_scope(self) -> str:
        """The token scope for Azure Resource Manager."""
        self._settings.require("ARM_AUDIENCE")
        return f"{(self._settings.arm_audience or self._cloud.arm).rstrip('/')}/.default"

    @cached_property
    def credential(self) -> AsyncTokenCredential:
        """The app's own identity: a managed identity on Azure, the developer's sign-in on a terminal."""
        self._settings.require("AZURE_CLOUD")
        credential: AsyncTokenCredential = self._keep(own_credential(self._cloud))
        return credential

    @cached_property
    def arm(self) -> AsyncARMPipelineClient[Any, Any]:
        """A bare pipeline to Azure Resource Manager, which tries nothing again: that is the caller's.

        One pipeline serves every subscription; the response's headers (quota, throttling) stay in reach.
        """
        return self._arm_client(self.credential)

    def bare(self, service: str, scope: str) -> Any:
        """A pipeline that tries nothing again, to look at each answer as it is; no token goes along without a scope."""
        from azure.core import AsyncPipelineClient
        from azure.core.pipeline import policies

        token = [policies.AsyncBearerTokenCredentialPolicy(self.credential, scope)] if scope else []
        return self._keep(
            AsyncPipelineClient(
                "",
                policies=[policies.UserAgentPolicy(USER_AGENT), *token],
                transport=transport(service, _QUERY_SECONDS),
            )
        )

    def _arm_client(
        self, credential: AsyncTokenCredential, auxiliary: AsyncTokenCredential | None = None
    ) -> AsyncARMPipelineClient[Any, Any]:
        from azure.core.pipeline import policies
        from azure.mgmt.core import AsyncARMPipelineClient
        from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy, AsyncAuxiliaryAuthenticationPolicy

        other = [AsyncAuxiliaryAuthenticationPolicy([auxiliary], self.arm_scope)] if auxiliary else []
        client: AsyncARMPipelineClient[Any, Any] = AsyncARMPipelineClient(
            self.arm_endpoint,
            policies=[
                policies.RequestIdPolicy(),
                policies.UserAgentPolicy(USER_AGENT),
                AsyncARMChallengeAuthenticationPolicy(credential, self.arm_scope),
                *other,
            ],
            transport=transport("Azure Resource Manager", _QUERY_SECONDS),
        )
        return self._keep(client)  # type: ignore[no-any-return] # _keep hands back what it was given

    async def arm_in(self, tenant_id: str) -> AsyncARMPipelineClient[Any, Any]:
        """Azure Resource Manager as seen in a tenant; the app's own when that is home or no tenant is named.

        Raises:
            SettingsError: there is no credential for other tenants.
        """
        if await self._is_home(tenant_id):
            return self.arm
        return self._made("in", tenant_id, lambda: self._arm_client(self.cross_tenant(tenant_id)))  # type: ignore[no-any-return] # as above

    async def arm_towards(self, tenant_id: str) -> AsyncARMPipelineClient[Any, Any]:
        """The same for writes at home that name a resource of that tenant: with a token of either.

        A managed identity has no token of another tenant, so both tokens are the multi-tenant app's
        (learn.microsoft.com/azure/azure-resource-manager/management/authenticate-multi-tenant).

        Raises:
            SettingsError: there is no credential for other tenants.
        """
        if await self._is_home(tenant_id):
            return self.arm
        home = await self.home_tenant()
        return self._made(  # type: ignore[no-any-return] # as above
            "towards", tenant_id, lambda: self._arm_client(self.cross_tenant(home), self.cross_tenant(tenant_id))
        )

    def forget_tenant(self, tenant_id: str) -> None:
        """Make new clients and tokens for another tenant from now on; those under way stay open until the end."""
        for key in [key for key in self._other_tenants if key[1] == tenant_id.lower()]:
            del self._other_tenants[key]

    def cross_tenant(self, tenant_id: str) -> AsyncTokenCredential:
        """The multi-tenant app's credential in one tenant.

        Raises:
            SettingsError: there is none, or a part of it is missing.
        """

        def make() -> AsyncTokenCredential:
            return self._keep(cross_tenant_credential(self._settings, self._cloud, self.credential, tenant_id))  # type: ignore[no-any-return] # _keep hands back what it was given

        credential: AsyncTokenCredential = self._made("credential", tenant_id, make)
        return credential

    def _made(self, what: str, tenant_id: str, make: Callable[[], Any]) -> Any:
        key = (what, tenant_id.lower())
        if key not in self._other_tenants:
            self._other_tenants[key] = make()
        return self._other_tenants[key]

    async def _is_home(self, tenant_id: str) -> bool:
        return not tenant_id or tenant_id.lower() == (await self.home_tenant()).lower()

    async def home_tenant(self) -> str:
        """The app's own tenant: TENANT_ID, else the one that issues its tokens."""
        return self._settings.tenant_id or str((await self._claims()).get("tid") or "")

    async def assignee(self, tenant_id: str = "") -> str:
        """Whom to name in a role assignment in a tenant: the application's client id, or a person's sign-in name."""
        if not await self._is_home(tenant_id):
            return self._settings.cross_tenant_client_id
        claims = await self._claims()
        return str(claims.get("upn") or claims.get("appid") or claims.get("oid") or "<client id of the app's identity>")

    async def object_id(self) -> str:
        """The object id of the identity that this process is signed in as; empty where the token names none."""
        return str((await self._claims()).get("oid") or "")

    async def _claims(self) -> dict[str, Any]:
        """What the app's own token says; read for names only, since whom it is for checks it."""
        token = (await self.credential.get_token(self.arm_scope)).token
        try:
            part = token.split(".")[1]
            return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
        except (IndexError, ValueError):
            return {}

    @staticmethod
    def pipeline_of(client: AsyncARMPipelineClient[Any, Any]) -> Any:
        """The pipeline inside a client, for generated clients to share: they take one as `pipeline=`."""
        return client._pipeline  # noqa: SLF001 - azure-core has no public name for it

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """Blob Storage of the function app's own account."""
        from azure.storage.blob.aio import BlobServiceClient

        self._settings.require("AzureWebJobsStorage__blobServiceUri")
        client: BlobServiceClient = self._storage(BlobServiceClient, self._settings.storage_blob_uri, **_STORAGE_PAUSES)
        return client

    @cached_property
    def data_blobs(self) -> BlobServiceClient:
        """Blob Storage of what is delivered: the data plane's account where it has one, else the app's own."""
        from azure.storage.blob.aio import BlobServiceClient

        self._settings.require("DataStorage__blobServiceUri")
        uri = self._settings.data_blob_uri
        return self._storage(BlobServiceClient, uri, **_STORAGE_PAUSES) if uri else self.blobs

    @cached_property
    def data_tables(self) -> TableServiceClient:
        """Table Storage of what was seen: the data plane's account where it has one, else the app's own."""
        self._settings.require("DataStorage__tableServiceUri")
        return self._tables(uri) if (uri := self._settings.data_table_uri) else self.tables

    @cached_property
    def queues(self) -> QueueServiceClient:
        """Queue Storage of the function app's own account."""
        from azure.storage.queue.aio import QueueServiceClient

        self._settings.require("AzureWebJobsStorage__queueServiceUri")
        client: QueueServiceClient = self._storage(
            QueueServiceClient, self._settings.storage_queue_uri, **_STORAGE_PAUSES
        )
        return client

    @cached_property
    def tables(self) -> TableServiceClient:
        """Table Storage of the function app's own account."""
        self._settings.require("AzureWebJobsStorage__tableServiceUri")
        return self._tables(self._settings.storage_table_uri)

    def _tables(self, uri: str) -> TableServiceClient:
        from azure.data.tables.aio import TableServiceClient

        if uri:
            options: dict[str, Any] = {
                "transport": transport("Table Storage"),
                "user_agent": USER_AGENT,
            }
            return self._keep(TableServiceClient(uri, credential=self.credential, **options))  # type: ignore[no-any-return] # as above
        return self._storage(TableServiceClient, "")  # type: ignore[no-any-return] # as above

    def _storage(self, kind: Any, uri: str, **pauses: int) -> Any:
        options: dict[str, Any] = {**pauses, "transport": transport(_SERVICES[kind.__name__]), "user_agent": USER_AGENT}
        if uri:
            return self._keep(kind(uri, credential=self.credential, **options))
        self._settings.require("AzureWebJobsStorage")
        if connection := self._settings.storage_connection:
            return self._keep(kind.from_connection_string(connection, **options))
        message = "no storage: set AzureWebJobsStorage__blobServiceUri, __queueServiceUri and __tableServiceUri"
        raise SettingsError(message)

    @property
    def ingestion_scope(self) -> str:
        """The token scope for Logs Ingestion; the audience itself ends in a slash, hence the two."""
        self._settings.require("LOGS_INGESTION_AUDIENCE")
        audience = self._settings.ingestion_audience or self._cloud.ingestion_audience
        return f"{audience.rstrip('/')}//.default"

    async def renew_ingestion_token(self, tenant_id: str = "") -> None:
        """Replace the cached token for Logs Ingestion in a tenant by one issued from now on.

        A claim makes credentials go past their cache, which a refused token would otherwise come out of again
        (the form is that of continuous access evaluation: "not before", in epoch seconds).
        """
        claims = f'{{"access_token": {{"nbf": {{"essential": true, "value": "{int(time.time())}"}}}}}}'
        await self._credential_in(tenant_id).get_token(self.ingestion_scope, claims=claims)

    def _credential_in(self, tenant_id: str) -> AsyncTokenCredential:
        """Whose tokens reach a place in a tenant: the app's own at home, else the multi-tenant app's."""
        at_home = not tenant_id or tenant_id.lower() == self._settings.tenant_id.lower()
        return self.credential if at_home else self.cross_tenant(tenant_id)

    @cached_property
    def ingestion(self) -> LogsIngestionClient:
        """The Logs Ingestion API; retries are the caller's.

        Bodies are ready bytes and an answer has none, so that two of the client's thirteen policies are enough
        (docs/decisions/ingestion-with-two-policies.md).
        """
        return self._ingestion(self._settings.ingestion_endpoint, "LOGS_INGESTION_ENDPOINT")

    @cached_property
    def own_ingestion(self) -> LogsIngestionClient:
        """The same at the endpoint of the rule for the rows about the app itself."""
        return self._ingestion(self._settings.own_ingestion_endpoint, "LOGS_INGESTION_OWN_ENDPOINT")

    def _ingestion(self, endpoint: str, name: str) -> LogsIngestionClient:
        if not endpoint:
            message = f"{name} is not set: give the data collection rule's logsIngestion endpoint"
            raise SettingsError(message)
        return self._ingestion_by(endpoint, self.credential)

    def ingestion_at(self, endpoint: str, tenant_id: str) -> LogsIngestionClient:
        """The same at the endpoint of a further rule, which may lie in another tenant.

        Raises:
            SettingsError: it does, and there is no credential for other tenants.
        """
        return self._made(  # type: ignore[no-any-return] # as above
            f"ingestion at {endpoint}",
            tenant_id,
            lambda: self._ingestion_by(endpoint, self._credential_in(tenant_id)),
        )

    def _ingestion_by(self, endpoint: str, credential: AsyncTokenCredential) -> LogsIngestionClient:
        from azure.core.pipeline import policies
        from azure.core.settings import settings as core
        from azure.monitor.ingestion.aio import LogsIngestionClient

        spans = [policies.DistributedTracingPolicy()] if core.tracing_enabled() else []
        client = LogsIngestionClient(
            endpoint,
            credential,
            policies=[
                policies.UserAgentPolicy(f"defender-export/{__version__}"),
                policies.AsyncBearerTokenCredentialPolicy(credential, self.ingestion_scope),
                *spans,
            ],
            transport=transport("the Logs Ingestion API"),
        )
        return self._keep(client)  # type: ignore[no-any-return] # as above

    @cached_property
    def output_hub(self) -> EventHubProducerClient:
        """The output Event Hub, reached as the input hub is unless a connection of its own is set."""
        from azure.eventhub.aio import EventHubProducerClient

        settings = self._settings
        settings.require("FORWARD_EVENT_HUB", "ForwardConnection", "ForwardConnection__fullyQualifiedNamespace")
        hub = settings.forward_event_hub
        own = settings.forward_connection or settings.forward_namespace
        connection = settings.forward_connection if own else settings.event_hub_connection
        namespace = settings.forward_namespace if own else settings.event_hub_namespace
        if not own:
            settings.require("EventHubConnection", "EventHubConnection__fullyQualifiedNamespace")
        made: EventHubProducerClient | None = None
        if connection:
            made = EventHubProducerClient.from_connection_string(connection, eventhub_name=hub, **_HUB_OPTIONS)
        elif namespace:
            made = EventHubProducerClient(namespace, hub, self.credential, **_HUB_OPTIONS)
        if made is not None:
            return self._keep(made)  # type: ignore[no-any-return] # as above
        message = "no output hub: set ForwardConnection or ForwardConnection__fullyQualifiedNamespace"
        raise SettingsError(message)

    def hub_at(self, hub: str, *, namespace: str = "", connection: str = "", tenant_id: str = "") -> Any:
        """A further output hub, by its connection where there is one, else by identity; made anew by each call.

        Raises:
            SettingsError: it lies in another tenant, and there is no credential for other tenants.
        """
        from azure.eventhub.aio import EventHubProducerClient

        if connection:
            return self._keep(
                EventHubProducerClient.from_connection_string(connection, eventhub_name=hub, **_HUB_OPTIONS)
            )
        return self._keep(EventHubProducerClient(namespace, hub, self._credential_in(tenant_id), **_HUB_OPTIONS))

    @cached_property
    def input_hub(self) -> EventHubConsumerClient:
        """The hub that enrich_records reads, to ask how far its partitions reach; it receives nothing."""
        return self._keep(self.hub_reader(self._settings.event_hub_consumer_group))  # type: ignore[no-any-return] # as above

    def hub_reader(self, group: str) -> EventHubConsumerClient:
        """A reader of that hub with a consumer group; the caller closes it."""
        from azure.eventhub.aio import EventHubConsumerClient

        settings = self._settings
        settings.require("EVENT_HUB_NAME", "EventHubConnection", "EventHubConnection__fullyQualifiedNamespace")
        hub = settings.event_hub_name
        if connection := settings.event_hub_connection:
            return EventHubConsumerClient.from_connection_string(connection, group, eventhub_name=hub, **_HUB_OPTIONS)
        if namespace := settings.event_hub_namespace:
            return EventHubConsumerClient(namespace, hub, group, self.credential, **_HUB_OPTIONS)
        raise SettingsError("no hub: set EventHubConnection or EventHubConnection__fullyQualifiedNamespace")

    @cached_property
    def logs_query(self) -> LogsQueryClient:
        """Log Analytics queries."""
        return self._logs_query_by(self.credential)

    def logs_query_in(self, tenant_id: str) -> LogsQueryClient:
        """The same for a workspace of a tenant.

        Raises:
            SettingsError: it is another one, and there is no credential for other tenants.
        """
        if not tenant_id or tenant_id.lower() == self._settings.tenant_id.lower():
            return self.logs_query
        return self._made("logs query", tenant_id, lambda: self._logs_query_by(self.cross_tenant(tenant_id)))  # type: ignore[no-any-return] # as above

    def _logs_query_by(self, credential: AsyncTokenCredential) -> LogsQueryClient:
        from azure.monitor.query.aio import LogsQueryClient

        settings = self._settings
        settings.require("LOGS_QUERY_ENDPOINT", "LOGS_QUERY_AUDIENCE")
        endpoint = (settings.logs_query_endpoint or self._cloud.logs_query).rstrip("/")
        audience = settings.logs_query_audience or self._cloud.logs_query
        client: LogsQueryClient = self._keep(
            LogsQueryClient(
                credential,
                endpoint=f"{endpoint}/v1",
                audience=audience,
                user_agent=USER_AGENT,
                transport=transport("Log Analytics", _QUERY_SECONDS),
            )
        )
        return client
