"""The whole local Azure as one context manager, and the app settings that lead the app to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.app import ROOT, App
from local.arm import Arm
from local.azurite import Azurite
from local.certs import Certificates
from local.eventhubs import EventHubsBroker
from local.identity import Application, Identity
from local.ingestion import Ingestion
from local.logs_query import LogsQuery
from local.running import PARTS
from local.tenant import APP, CROSS_TENANT_APP, CUSTOMER_TENANT, OTHER_TENANT, Tenant, synthetic_tenant
from local.tenant.destinations import destinations
from local.tenant.synthetic import CROSS_TENANT_APP_THERE
from local.tokens import HOME_TENANT, TokenAuthority
from local.workspace import Workspace
from shared.settings import Settings, declarations

FORWARD_HUB = "defender-forward"
# Stored functions that duckdb-kql translates; the others use what it lacks, such as ingestion_time().
TRANSLATED = ("_Distinct", "_Current", "_Latest", "_All", "_Delta", "_Open", "_Ended", "_Cves")


def stored_functions() -> list[str]:
    """The functions that the deployment stores in the workspace, as far as they can be translated."""
    deployed = json.loads((ROOT / "infra" / "generated" / "functions.json").read_text())["functions"]
    return [
        f"{each['name']}({each['parameters']}) {{ {each['query']} }}"
        for each in deployed
        if each["name"].endswith(TRANSLATED)
    ]


class LocalAzure:
    """Everything that the app needs from Azure, on free loopback ports, as an async context manager.

    `parts` are started with the identity that opens them; the others stay off.  With `app`, the app itself runs against
    them in a child process.  `settings` override app settings.  Data lives below `folder`, or in a temporary one that
    goes away at the end.  The members (`azurite`, `broker`, `identity`, `arm`, `ingestion`, `logs_query`, `workspace`,
    `continuous_export`, `tenant`, `tokens`, `certificates`) are open to tests.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        parts: tuple[str, ...] = PARTS,
        app: bool = False,
        tenant: Tenant | None = None,
        partitions: int = 4,
        certificates: Certificates | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="local-azure-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts = {"identity", *parts}
        self._settings = dict(settings or {})
        self.certificates = certificates or Certificates(self.folder / "certificates")
        self.tokens = TokenAuthority()
        self.tenant = tenant or synthetic_tenant()
        self.cross_tenant_secret = secrets.token_urlsafe(24)
        defaults = Settings.load({})
        self.azurite = Azurite(self.certificates)
        self.broker = EventHubsBroker({defaults.event_hub_name: partitions, FORWARD_HUB: partitions})
        self.identity = Identity(
            self.tokens,
            self.certificates,
            identities=[APP],
            applications=[self._cross_tenant_application()],
            tenants=[HOME_TENANT, OTHER_TENANT, CUSTOMER_TENANT],
        )
        self.arm = Arm(self.tenant, self.tokens, self.certificates)
        self.continuous_export = self.arm.continuous_export
        self.continuous_export.send = self._export
        self.workspace = Workspace(self.folder / "workspace.duckdb", functions=stored_functions())
        who = [APP.object_id]
        self.ingestion = Ingestion(self.workspace, self.tokens, self.certificates, publishers=who)
        self.logs_query = LogsQuery(self.workspace, self.tokens, self.certificates, readers=who)
        self.app = App({}, self.folder / "app.log") if app else None
        self._running = AsyncExitStack()

    def _cross_tenant_application(self) -> Application:
        there = {HOME_TENANT: CROSS_TENANT_APP.object_id, OTHER_TENANT: CROSS_TENANT_APP_THERE.object_id}
        trusted = ((HOME_TENANT, APP.object_id),)
        return Application(CROSS_TENANT_APP.app_id, there, (self.cross_tenant_secret,), federated=trusted)

    async def __aenter__(self) -> Self:
        members: dict[str, tuple[Any, ...]] = {
            "azurite": (self.azurite,),
            "eventhubs": (self.broker,),
            "identity": (self.identity,),
            "arm": (self.arm,),
            "ingestion": (self.workspace, self.ingestion, self.logs_query),
        }
        try:
            for part in PARTS:
                for member in members[part] if part in self.parts else ():
                    await self._running.enter_async_context(member)
            if {"arm", "eventhubs"} <= self.parts:
                await self._running.enter_async_context(self.continuous_export)
            if "azurite" in self.parts:
                await asyncio.to_thread(provision_storage, self.azurite.main.connection_string, self.certificates)
            if self.app:
                self.app.settings = self.app_settings()
                await self._running.enter_async_context(self.app)
                self.arm.restart_app = self._restart
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.aclose()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _restart(self) -> None:
        """Begin to restart the app, as a request to Azure Resource Manager does."""
        if self.app:
            self._restarting = asyncio.get_running_loop().create_task(self.app.restart())

    async def _export(self, hub: str, body: bytes) -> None:
        """Send an exported record to the tenant's own hub; no other has a broker here."""
        from azure.eventhub import EventData
        from azure.eventhub.aio import EventHubProducerClient

        if hub.lower() != destinations(self.tenant).event_hub.lower():
            return
        async with EventHubProducerClient.from_connection_string(
            self.broker.connection_string, eventhub_name=Settings.load({}).event_hub_name, retry_total=0
        ) as producer:
            await producer.send_event(EventData(body))

    def endpoints(self) -> dict[str, str]:
        """The address of each service that runs, by name."""
        found = {"identity": self.identity.endpoint}
        if "azurite" in self.parts:
            account = self.azurite.main
            found |= {"blob": account.blob_uri, "queue": account.queue_uri, "table": account.table_uri}
        if "eventhubs" in self.parts:
            found["eventhubs"] = f"amqp://127.0.0.1:{self.broker.port}"
        if "arm" in self.parts:
            found["arm"] = self.arm.endpoint
        if "ingestion" in self.parts:
            found |= {"ingestion": self.ingestion.endpoint, "query": self.logs_query.endpoint}
        if self.app:
            found["app"] = self.app.url
        return found

    def app_settings(self) -> dict[str, str]:
        """The app's environment: defaults, trust, identity, and the address of each service that runs."""
        found = {
            # The host resolves %NAME% in triggers from app settings alone, so defaults must be among them.
            **{one.name: one.default for one in declarations().values() if one.default},
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "INSTANCE_ID": "local",
            "TENANT_ID": HOME_TENANT,
            **self.certificates.environment(),
            **self.identity.environment(APP.app_id),
            "CROSS_TENANT_AUTHORITY": self.identity.endpoint,
            "CROSS_TENANT_CLIENT_ID": CROSS_TENANT_APP.app_id,
            "CROSS_TENANT_CREDENTIAL": "secret",
            "CROSS_TENANT_CLIENT_SECRET": self.cross_tenant_secret,
        }
        if "azurite" in self.parts:
            found |= self.azurite.main.identity_settings()
        if "eventhubs" in self.parts:
            found["EventHubConnection"] = self.broker.connection_string
        if "arm" in self.parts:
            found["ARM_ENDPOINT"] = self.arm.endpoint
        if "ingestion" in self.parts:
            found |= {
                "LOGS_INGESTION_ENDPOINT": self.ingestion.endpoint,
                "LOGS_INGESTION_RULE_ID": self.ingestion.rule_id,
                "LOGS_INGESTION_OWN_ENDPOINT": self.ingestion.endpoint,
                "LOGS_INGESTION_OWN_RULE_ID": self.ingestion.own.immutable_id,
                "LOGS_QUERY_ENDPOINT": self.logs_query.endpoint,
                "WORKSPACE_ID": self.workspace.workspace_id,
            }
        return found | self._settings


def provision_storage(connection: str, certificates: Certificates) -> None:
    """Create what the deployment's templates create in the app's storage account: containers, queue and tables."""
    from azure.core.exceptions import ResourceExistsError
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    names = Settings.load({})
    trust: dict[str, Any] = {"connection_verify": str(certificates.ca_file)}
    with BlobServiceClient.from_connection_string(connection, **trust) as blobs:
        for container in (
            names.exports_container,
            names.reports_container,
            names.dead_letters_container,
            names.oversize_container,
        ):
            with contextlib.suppress(ResourceExistsError):
                blobs.create_container(container)
    with (
        QueueServiceClient.from_connection_string(connection, **trust) as queues,
        contextlib.suppress(ResourceExistsError),
    ):
        queues.create_queue(names.jobs_queue)
    with TableServiceClient.from_connection_string(connection, **trust) as tables:
        for table in (names.jobs_table, names.freshness_table):
            tables.create_table_if_not_exists(table)
