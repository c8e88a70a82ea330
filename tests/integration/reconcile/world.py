"""A tenant, its ARM, a storage account, and a reconciler over them; edits that people make without it."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import ResourceExistsError

from local.arm import Arm
from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import APP, Tenant
from local.tenant.destinations import destinations
from local.tokens import Principal, TokenAuthority
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.exports.store import ExportStore
from shared.reconcile.report.run_report import Caller, Report
from shared.reconcile.run import Reconciler, Request
from shared.settings import Settings

INSTANCE = "test"
ME = Caller("cli", "tester")


class MintedCredential(AsyncTokenCredential):
    """Tokens of the local authority for one principal."""

    def __init__(self, tokens: TokenAuthority, principal: Principal) -> None:
        self._tokens = tokens
        self._principal = principal

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken(*self._tokens.mint(self._principal, scopes[0].removesuffix("/.default")))

    async def close(self) -> None:
        return

    async def __aexit__(self, *details: object) -> None:
        return


class LocalClients(Clients):
    """The app's clients, signed in without a trip to the identity endpoint."""

    def __init__(self, settings: Settings, credential: AsyncTokenCredential) -> None:
        super().__init__(settings)
        self._minted = credential

    @cached_property
    def credential(self) -> AsyncTokenCredential:
        return self._minted


@dataclass
class World:
    """Everything that a reconcile test touches."""

    tenant: Tenant
    arm: Arm
    settings: Settings
    clients: Clients
    store: ExportStore
    clock: Clock
    rows: list[Mapping[str, Any]]
    tokens: TokenAuthority

    def reconciler(self, **changes: Any) -> Reconciler:
        """A reconciler with some settings changed."""

        async def keep(table: str, rows: Any) -> None:
            self.rows.extend({"table": table, **row} for row in rows)

        return Reconciler(replace(self.settings, **changes), self.clients, self.store, rows=keep, clock=self.clock)

    async def plan(self, **changes: Any) -> Report:
        return await self.reconciler(**changes).plan(Request(ME))

    async def apply(self, **changes: Any) -> Report:
        return await self.reconciler(**changes).apply(Request(ME))

    async def put(self, name: str, **parts: Any) -> None:
        await self.store.put(name, export(self.tenant, name, **parts))

    def automations(self) -> dict[str, dict[str, Any]]:
        """Every automation as it is, by lower-case id."""
        return {document["id"].lower(): document for document in self.tenant.all_automations()}

    def foreign(self) -> dict[str, dict[str, Any]]:
        """Those that carry no tag of ours."""
        return {key: one for key, one in self.automations().items() if not mine(one)}

    def ours(self) -> dict[str, dict[str, Any]]:
        return {key: one for key, one in self.automations().items() if mine(one)}

    def writes(self) -> list[tuple[str, str]]:
        """Requests that change anything, as the server saw them: listKeys, validate and Resource Graph are reads."""
        reads = ("/listkeys", "/validate", "/providers/microsoft.resourcegraph/resources")
        return [
            (seen.method, seen.path)
            for seen in self.arm.requests
            if seen.method not in {"GET", "HEAD"} and not seen.path.lower().endswith(reads)
        ]

    def throttled(self) -> int:
        return sum(seen.status == 429 for seen in self.arm.requests)


def mine(document: Mapping[str, Any]) -> bool:
    return (document.get("tags") or {}).get("defender-export-instance") == INSTANCE


def export(
    tenant: Tenant,
    name: str,
    *,
    groups: str = "contoso",
    scope: str = "",
    automation: str = "",
    content: str = "alerts: {minimumSeverity: Medium}",
    enabled: bool = True,
    destination: str = "",
) -> str:
    """The text of an export file."""
    hub = destinations(tenant).event_hub
    selected = f"managementGroups: [{groups}]{scope}" if groups else scope.removeprefix(", ")
    where = destination or f"eventHub: {{resourceId: {hub}, trustedService: true}}"
    return textwrap.dedent(
        f"""\
        version: 1
        name: {name}
        enabled: {str(enabled).lower()}
        scope: {{{selected}}}
        automation: {{location: westeurope{automation}}}
        export:
          {content}
        destination:
          {where}
        """
    )


def moving(tenant: Tenant) -> Clock:
    """A clock that sleeps by moving the tenant's time forward, so that waiting takes none."""

    async def sleep(seconds: float) -> None:
        until = tenant.clock() + seconds
        await asyncio.sleep(0)
        tenant.advance(max(0.0, until - tenant.clock()))

    return Clock(lambda: datetime.fromtimestamp(tenant.clock(), UTC), tenant.clock, sleep)


@asynccontextmanager
async def world(tenant: Tenant, certs: Certificates, storage: StorageAccount, **changes: Any) -> AsyncIterator[World]:
    """The whole of it, running; `changes` go to the settings."""
    tokens = TokenAuthority()
    async with Arm(tenant, tokens, certs) as arm:
        loaded = Settings.load(
            {"INSTANCE_ID": INSTANCE, "ARM_ENDPOINT": arm.endpoint, "AzureWebJobsStorage": storage.connection_string}
        )
        settings = replace(loaded, **changes)
        clients = LocalClients(settings, MintedCredential(tokens, APP))
        for name in (settings.exports_container, settings.reports_container):  # as the deployment makes them
            with suppress(ResourceExistsError):
                await clients.blobs.create_container(name)
        store = ExportStore(clients.blobs.get_container_client(settings.exports_container))
        try:
            yield World(tenant, arm, settings, clients, store, moving(tenant), [], tokens)
        finally:
            await clients.close()
