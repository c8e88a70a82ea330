"""Where credentials are made: the app's own identity, and the multi-tenant app in other tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from shared.azure.asked import SIGN_IN
from shared.azure.cloud_endpoints import Cloud
from shared.azure.http_transport import transport
from shared.settings import Settings, SettingsError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.identity.aio import ClientAssertionCredential

_PROOFS: Final = {
    "certificate": "CROSS_TENANT_CERTIFICATE",
    "secret": "CROSS_TENANT_CLIENT_SECRET",  # nosec B105 # the setting's name
}


def own_credential(cloud: Cloud) -> AsyncTokenCredential:
    """A managed identity on Azure, the developer's sign-in on a terminal."""
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(authority=cloud.authority, transport=transport(SIGN_IN))


def cross_tenant_gap(settings: Settings) -> str:
    """What CROSS_TENANT_CREDENTIAL asks for and no setting gives; empty where nothing is missing."""
    kind = settings.cross_tenant_credential
    given = {
        "CROSS_TENANT_CLIENT_ID": settings.cross_tenant_client_id,
        "CROSS_TENANT_CLIENT_SECRET": settings.cross_tenant_secret,
        "CROSS_TENANT_CERTIFICATE": settings.cross_tenant_certificate,
    }
    needed = [] if kind == "none" else ["CROSS_TENANT_CLIENT_ID", *([_PROOFS[kind]] if kind in _PROOFS else [])]
    missing = [name for name in needed if not given[name]]
    return f"CROSS_TENANT_CREDENTIAL is {kind}, and {' and '.join(missing)} is empty: set it" if missing else ""


def cross_tenant_credential(
    settings: Settings, cloud: Cloud, own: AsyncTokenCredential, tenant_id: str
) -> AsyncTokenCredential:
    """The multi-tenant app's credential in one tenant, by secret, certificate or federation with `own`.

    Raises:
        SettingsError: CROSS_TENANT_CREDENTIAL is none, or a part of it is missing.
    """
    from azure.identity.aio import CertificateCredential, ClientAssertionCredential, ClientSecretCredential

    settings.require("AZURE_CLOUD")
    settings.require("CROSS_TENANT_CREDENTIAL", "CROSS_TENANT_AUTHORITY", "CROSS_TENANT_CLIENT_ID")
    kind = settings.cross_tenant_credential
    if kind == "none" or not settings.cross_tenant_client_id:
        raise SettingsError(
            "this app has no credential for other tenants: set CROSS_TENANT_CLIENT_ID, and CROSS_TENANT_CREDENTIAL "
            "to federated, certificate or secret (docs/cross-tenant.md)"
        )
    if kind in _PROOFS:
        settings.require(_PROOFS[kind])
    if gap := cross_tenant_gap(settings):
        raise SettingsError(gap)
    who: tuple[str, str] = (tenant_id, settings.cross_tenant_client_id)
    options: dict[str, Any] = {
        "authority": settings.authority_host or cloud.authority,
        "disable_instance_discovery": bool(settings.authority_host),
        "transport": transport(SIGN_IN),
    }
    if kind == "secret":
        return ClientSecretCredential(*who, settings.cross_tenant_secret, **options)
    if kind == "certificate":
        pem = settings.cross_tenant_certificate.encode()
        return CertificateCredential(*who, certificate_data=pem, **options)
    token = _AppToken(own, f"{cloud.federation}/.default")
    return _FederatedCredential(token, ClientAssertionCredential(*who, token.last, **options))


class _AppToken:
    """The app's own token as a client assertion: azure-identity asks for one without awaiting it."""

    def __init__(self, credential: AsyncTokenCredential, scope: str) -> None:
        self._credential = credential
        self._scope = scope
        self._token = ""  # nosec B105 # none yet

    async def renew(self) -> None:
        self._token = (await self._credential.get_token(self._scope)).token

    def last(self) -> str:
        return self._token


class _FederatedCredential:
    """The multi-tenant app by way of the app's own identity, which it trusts: no secret anywhere."""

    def __init__(self, assertion: _AppToken, credential: ClientAssertionCredential) -> None:
        self._assertion = assertion
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        await self._assertion.renew()
        return await self._credential.get_token(*scopes, **options)

    async def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        await self._assertion.renew()
        return await self._credential.get_token_info(*scopes, options=options)

    async def close(self) -> None:
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.close()
