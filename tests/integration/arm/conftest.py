"""A small tenant behind a local ARM, and the genuine clients to talk to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import pytest
from azure.core.credentials import AccessToken

from local.arm import Arm
from local.certs import Certificates
from local.tenant import APP, Clock, Subscription, Tenant, destinations, synthetic_tenant
from local.tokens import Principal, TokenAuthority

V2019 = "2019-01-01-preview"
V2023 = "2023-12-01-preview"
ARM_AUDIENCE = "https://management.azure.com"
GROUP = "rg-app"


class Standing(Clock):
    """A clock that moves only when a test says so."""

    def __init__(self) -> None:
        super().__init__(lambda: 1_800_000_000.0)


@pytest.fixture
def tenant() -> Tenant:
    return synthetic_tenant(seed=3, subscriptions=12, clock=Standing())


@pytest.fixture
def tokens(tenant: Tenant) -> TokenAuthority:
    return TokenAuthority(tenant.clock)


@pytest.fixture
async def arm(tenant: Tenant, tokens: TokenAuthority, local_certs: Certificates) -> AsyncIterator[Arm]:
    async with Arm(tenant, tokens, local_certs) as running:
        yield running


@pytest.fixture
def home(tenant: Tenant) -> Subscription:
    """The sound subscription that holds the destinations."""
    return next(iter(tenant.subscriptions.values()))


class Credential:
    """Tokens of one principal, for synchronous clients."""

    def __init__(self, tokens: TokenAuthority, principal: Principal = APP) -> None:
        self._tokens = tokens
        self._principal = principal

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        # The clients compare the expiry with the real clock; the server goes by the tenant's.
        token, _expires = self._tokens.mint(self._principal, scopes[0].removesuffix("/.default"))
        return AccessToken(token, 4_000_000_000)


class AsyncCredential(Credential):
    """Tokens of one principal, for asynchronous clients."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # type: ignore[override] # the async form
        return super().get_token(*scopes, **options)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


Make = Callable[..., Any]


@pytest.fixture
async def client(arm: Arm, tokens: TokenAuthority) -> AsyncIterator[Make]:
    """`client(Kind, *arguments, principal=...)`: an asynchronous management client, closed at the end."""
    async with AsyncExitStack() as closing:
        made = []

        def make(kind: Any, *arguments: Any, principal: Principal = APP, **options: Any) -> Any:
            options.setdefault("retry_total", 0)
            one = kind(
                AsyncCredential(tokens, principal),
                *arguments,
                base_url=arm.endpoint,
                credential_scopes=[f"{ARM_AUDIENCE}/.default"],
                polling_interval=0,
                **options,
            )
            made.append(one)
            closing.push_async_callback(one.close)
            return one

        yield make


@pytest.fixture
def in_thread(arm: Arm, tokens: TokenAuthority) -> Callable[..., Awaitable[Any]]:
    """`await in_thread(Kind, arguments, work)`: run `work(client)` with a synchronous management client."""

    async def run(kind: Any, arguments: tuple[Any, ...], work: Callable[[Any], Any]) -> Any:
        def outside() -> Any:
            with kind(
                Credential(tokens),
                *arguments,
                base_url=arm.endpoint,
                credential_scopes=[f"{ARM_AUDIENCE}/.default"],
                retry_total=0,
                polling_interval=0,
            ) as one:
                return work(one)

        return await asyncio.to_thread(outside)

    return run


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


class Rest:
    """Bare requests, for what the genuine clients would not send."""

    def __init__(self, arm: Arm, tokens: TokenAuthority, session: aiohttp.ClientSession) -> None:
        self._arm = arm
        self._tokens = tokens
        self._session = session

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = V2023,
        principal: Principal | None = APP,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
        **query: str,
    ) -> Answer:
        sent = dict(headers or {})
        if principal:
            sent.setdefault("Authorization", "Bearer " + self._tokens.mint(principal, ARM_AUDIENCE)[0])
        url = path if path.startswith("https://") else self._arm.endpoint + path
        parameters = {**({"api-version": version} if version and "api-version" not in url else {}), **query}
        options: dict[str, Any] = {"data": raw} if raw is not None else {"json": body} if body is not None else {}
        async with self._session.request(method, url, params=parameters, headers=sent, **options) as response:
            content = await response.json() if response.content_type == "application/json" else None
            return Answer(response.status, content, response.headers)


@pytest.fixture
async def rest(arm: Arm, tokens: TokenAuthority, local_certs: Certificates) -> AsyncIterator[Rest]:
    connector = aiohttp.TCPConnector(ssl=local_certs.client_context())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Rest(arm, tokens, session)


def automation_path(subscription: Subscription, name: str = "export", group: str = GROUP) -> str:
    return f"{subscription.scope}/resourceGroups/{group}/providers/Microsoft.Security/automations/{name}"


def connection_string(key: str = "c2VjcmV0", rule: str = "defender-send") -> str:
    return (
        f"Endpoint=sb://evhns-defender.servicebus.windows.net/;SharedAccessKeyName={rule};"
        f"SharedAccessKey={key};EntityPath=defender-export"
    )


def automation(tenant: Tenant, subscription: Subscription, **changes: Any) -> dict[str, Any]:
    """A sound body: high alerts to the hub; `changes` replace members of `properties`."""
    return {
        "location": "westeurope",
        "tags": {"managed-by": "defender-export"},
        "properties": {
            "description": "high alerts",
            "isEnabled": True,
            "scopes": [{"description": "all of it", "scopePath": subscription.scope}],
            "sources": [
                {
                    "eventSource": "Alerts",
                    "ruleSets": [
                        {
                            "rules": [
                                {
                                    "propertyJPath": "Severity",
                                    "propertyType": "String",
                                    "expectedValue": "High",
                                    "operator": "Equals",
                                }
                            ]
                        }
                    ],
                }
            ],
            "actions": [
                {
                    "actionType": "EventHub",
                    "eventHubResourceId": destinations(tenant).event_hub,
                    "connectionString": connection_string(),
                }
            ],
            **changes,
        },
    }


def deny_exports(tenant: Tenant, scope: str) -> None:
    """Assign a policy that refuses automations at a scope and below."""
    policy_id = f"{scope}/providers/Microsoft.Authorization/policyAssignments/no-exports"
    tenant.policies[policy_id] = {
        "id": policy_id,
        "name": "no-exports",
        "properties": {
            "scope": scope,
            "enforcementMode": "Default",
            "parameters": {"listOfResourceTypesNotAllowed": {"value": ["Microsoft.Security/automations"]}},
        },
    }
