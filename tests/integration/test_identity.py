"""The identity endpoints, asked by the genuine azure-identity and refused as Azure refuses."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local.certs import Certificates
from local.identity import FEDERATION_AUDIENCE, Application, Identity
from local.tokens import HOME_TENANT, Principal, TokenAuthority, TokenRejectedError

OTHER_TENANT = "22222222-2222-4222-8222-222222222222"
APP = Principal("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-00000000000a")
CROSS = "bbbbbbbb-0000-4000-8000-00000000000b"
CROSS_OBJECT = "bbbbbbbb-0000-4000-8000-000000000002"
SECRET = "right-secret"
ARM = "https://management.azure.com/.default"


def make_certificate() -> tuple[str, str]:
    """A certificate as PEM, and the same with its private key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cross-tenant")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return public, public + private


PUBLIC, PRIVATE = make_certificate()


@pytest.fixture
def tokens() -> TokenAuthority:
    return TokenAuthority()


@pytest.fixture
async def identity(tokens: TokenAuthority, local_certs: Certificates) -> AsyncIterator[Identity]:
    application = Application(
        CROSS,
        {OTHER_TENANT: CROSS_OBJECT},
        secrets=(SECRET,),
        certificates=(PUBLIC,),
        federated=((HOME_TENANT, APP.object_id),),
    )
    async with Identity(
        tokens, local_certs, identities=[APP], applications=[application], tenants=[HOME_TENANT, OTHER_TENANT]
    ) as running:
        yield running


@pytest.fixture
def managed(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Identity:
    for name, value in identity.environment().items():
        monkeypatch.setenv(name, value)
    return identity


def cross_tenant(kind: Any, identity: Identity, *proof: Any, tenant: str = OTHER_TENANT, client: str = CROSS) -> Any:
    return kind(tenant, client, *proof, authority=identity.endpoint, disable_instance_discovery=True)


class TestManagedIdentity:
    async def test_default_credential_takes_the_user_assigned_identity_that_azure_client_id_names(
        self, managed: Identity, tokens: TokenAuthority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_CLIENT_ID", APP.app_id)
        async with DefaultAzureCredential() as credential:
            token = await credential.get_token(ARM)
        claims = tokens.verify(f"Bearer {token.token}", "https://management.azure.com")
        assert (claims.object_id, claims.tenant_id) == (APP.object_id, HOME_TENANT)
        assert claims.expires == token.expires_on

    async def test_an_audience_asked_for_is_the_only_one_granted(
        self, managed: Identity, tokens: TokenAuthority
    ) -> None:
        async with ManagedIdentityCredential(client_id=APP.app_id) as credential:
            token = await credential.get_token("https://monitor.azure.com//.default")
        tokens.verify(f"Bearer {token.token}", "https://monitor.azure.com/")
        with pytest.raises(TokenRejectedError) as rejected:
            tokens.verify(f"Bearer {token.token}", "https://management.azure.com")
        assert rejected.value.code == "InvalidAuthenticationTokenAudience"

    async def test_a_user_assigned_identity_must_be_named(self, managed: Identity) -> None:
        async with ManagedIdentityCredential() as credential:
            with pytest.raises(ClientAuthenticationError, match="Unable to load the proper Managed Identity"):
                await credential.get_token(ARM)

    async def test_an_unknown_client_id_is_refused(self, managed: Identity) -> None:
        async with ManagedIdentityCredential(client_id=str(uuid.uuid4())) as credential:
            with pytest.raises(ClientAuthenticationError, match="Unable to load the proper Managed Identity"):
                await credential.get_token(ARM)

    async def test_a_system_assigned_identity_needs_no_name(self, managed: Identity, tokens: TokenAuthority) -> None:
        managed.system_assigned = Principal("cccccccc-0000-4000-8000-000000000003", str(uuid.uuid4()))
        async with ManagedIdentityCredential() as credential:
            token = await credential.get_token(ARM)
        claims = tokens.verify(f"Bearer {token.token}", "https://management.azure.com")
        assert claims.object_id == managed.system_assigned.object_id

    async def test_the_secret_header_is_required(self, managed: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        async with ManagedIdentityCredential(client_id=APP.app_id) as credential:
            with pytest.raises(ClientAuthenticationError, match="X-IDENTITY-HEADER"):
                await credential.get_token(ARM)

    async def test_the_clients_retry_after_a_fault_succeeds(self, managed: Identity) -> None:
        managed.faults.add("error", status=500, times=1)
        async with ManagedIdentityCredential(client_id=APP.app_id, retry_backoff_factor=0.01) as credential:
            assert (await credential.get_token(ARM)).token
        assert [recorded.status for recorded in managed.requests] == [500, 200]


class TestOtherTenants:
    async def test_a_client_secret_gets_a_token_of_that_tenant(
        self, identity: Identity, tokens: TokenAuthority
    ) -> None:
        async with cross_tenant(ClientSecretCredential, identity, SECRET) as credential:
            token = await credential.get_token(ARM)
        claims = tokens.verify(f"Bearer {token.token}", "https://management.azure.com")
        assert (claims.tenant_id, claims.object_id, claims.app_id) == (OTHER_TENANT, CROSS_OBJECT, CROSS)

    async def test_a_certificate_does_too(self, identity: Identity, tokens: TokenAuthority) -> None:
        credential = CertificateCredential(
            OTHER_TENANT,
            CROSS,
            certificate_data=PRIVATE.encode(),
            authority=identity.endpoint,
            disable_instance_discovery=True,
        )
        async with credential:
            token = await credential.get_token(ARM)
        assert tokens.verify(f"Bearer {token.token}", "https://management.azure.com").tenant_id == OTHER_TENANT

    async def test_a_managed_identitys_token_does_where_the_app_trusts_it(
        self, identity: Identity, tokens: TokenAuthority
    ) -> None:
        def assertion() -> str:
            return tokens.mint(APP, FEDERATION_AUDIENCE)[0]

        async with cross_tenant(ClientAssertionCredential, identity, assertion) as credential:
            token = await credential.get_token(ARM)
        assert tokens.verify(f"Bearer {token.token}", "https://management.azure.com").object_id == CROSS_OBJECT

    async def test_the_synchronous_client_discovers_the_tenant_first(self, identity: Identity) -> None:
        from azure.identity import ClientSecretCredential as Synchronous

        with cross_tenant(Synchronous, identity, SECRET) as credential:
            assert await asyncio.to_thread(credential.get_token, ARM)
        assert any(recorded.path.endswith("/openid-configuration") for recorded in identity.requests)

    @pytest.mark.parametrize(
        ("tenant", "client", "secret", "code"),
        [
            (OTHER_TENANT, CROSS, "wrong", "AADSTS7000215"),
            (OTHER_TENANT, str(uuid.uuid4()), SECRET, "AADSTS700016"),
            (HOME_TENANT, CROSS, SECRET, "AADSTS700016"),
            (str(uuid.uuid4()), CROSS, SECRET, "AADSTS90002"),
        ],
        ids=["wrong secret", "unknown client", "not consented in the tenant", "unknown tenant"],
    )
    async def test_refusals_carry_entras_codes(
        self, identity: Identity, tenant: str, client: str, secret: str, code: str
    ) -> None:
        async with cross_tenant(ClientSecretCredential, identity, secret, tenant=tenant, client=client) as credential:
            with pytest.raises(ClientAuthenticationError, match=code):
                await credential.get_token(ARM)

    @pytest.mark.parametrize(
        ("assertion", "code"),
        [
            (lambda tokens: tokens.mint(Principal("someone", "else"), FEDERATION_AUDIENCE)[0], "AADSTS700213"),
            (lambda tokens: tokens.mint(APP, "https://management.azure.com")[0], "AADSTS700212"),
            (lambda tokens: tokens.mint(APP, FEDERATION_AUDIENCE, -5)[0], "AADSTS700024"),
            (lambda _: jwt.encode({"iss": CROSS, "sub": CROSS}, "k" * 32), "AADSTS700027"),
            (lambda _: "not.a.token", "AADSTS50027"),
        ],
        ids=["untrusted subject", "wrong audience", "expired", "not signed by the certificate", "garbage"],
    )
    async def test_assertions_are_checked(
        self, identity: Identity, tokens: TokenAuthority, assertion: Callable[[TokenAuthority], str], code: str
    ) -> None:
        async with cross_tenant(ClientAssertionCredential, identity, lambda: assertion(tokens)) as credential:
            with pytest.raises(ClientAuthenticationError, match=code):
                await credential.get_token(ARM)

    async def test_a_scope_without_default_is_refused(self, identity: Identity) -> None:
        async with cross_tenant(ClientSecretCredential, identity, SECRET) as credential:
            with pytest.raises(ClientAuthenticationError, match="AADSTS1002012"):
                await credential.get_token("https://management.azure.com/user_impersonation")
