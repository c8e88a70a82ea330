"""Who the local Azure knows: the managed-identity endpoint of App Service and the token endpoint of Microsoft Entra ID.

One server speaks for both.  Error shapes: App Service's for `/msi/token`, OAuth 2.0 with AADSTS codes for the rest.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

import jwt
from aiohttp import web
from cryptography import x509

from local.certs import Certificates
from local.http import RECORDED, Emulator
from local.tokens import HOME_TENANT, Principal, TokenAuthority, TokenRejectedError

MANAGED_IDENTITY_VERSION = "2019-08-01"
FEDERATION_AUDIENCE = "api://AzureADTokenExchange"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Application:
    """An app registration, how it may prove itself, and its service principal's object id by tenant.

    `certificates` are PEM texts.  `federated` are the (tenant id, object id) of identities whose tokens for
    `api://AzureADTokenExchange` it trusts.
    """

    client_id: str
    object_ids: dict[str, str]
    secrets: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    federated: tuple[tuple[str, str], ...] = ()


class _RefusedError(Exception):
    """A token request refused: HTTP status, OAuth error, AADSTS code and its sentence."""

    def __init__(self, status: int, error: str, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.error, self.code = status, error, code


@dataclass(frozen=True)
class _Grant:
    """A token request as it came: the form's fields, and the address it was sent to."""

    tenant: str
    address: str
    form: dict[str, str] = field(repr=False)

    def required(self, name: str) -> str:
        value = self.form.get(name, "")
        if not value:
            message = f"The request body must contain the following parameter: '{name}'."
            raise _RefusedError(400, "invalid_request", 900144, message)
        return value


class Identity(Emulator):
    """The identity endpoints, over TLS.

    `identities` are the managed identities of the app, user-assigned: like on Azure a request that names none of them
    by `client_id` fails unless `system_assigned` is there.
    """

    def __init__(
        self,
        tokens: TokenAuthority,
        certificates: Certificates,
        *,
        identities: Iterable[Principal] = (),
        system_assigned: Principal | None = None,
        applications: Iterable[Application] = (),
        tenants: Iterable[str] = (HOME_TENANT,),
    ) -> None:
        super().__init__(certificates.server_context())
        self.header = secrets.token_hex(16)
        self.identities = {identity.app_id: identity for identity in identities}
        self.system_assigned = system_assigned
        self.applications = {application.client_id: application for application in applications}
        self.tenants = set(tenants)
        self._tokens = tokens
        self.app.router.add_get("/msi/token", self._managed_identity)
        self.app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration)
        self.app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)

    def environment(self, client_id: str = "") -> dict[str, str]:
        """The variables that lead `DefaultAzureCredential` here, and nowhere else."""
        chosen = {"AZURE_CLIENT_ID": client_id} if client_id else {}
        return {
            "IDENTITY_ENDPOINT": f"{self.endpoint}/msi/token",
            "IDENTITY_HEADER": self.header,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        } | chosen

    async def _managed_identity(self, request: web.Request) -> web.Response:
        query = request.query
        if not secrets.compare_digest(request.headers.get("X-IDENTITY-HEADER", ""), self.header):
            return _app_service_error(403, "The X-IDENTITY-HEADER header is missing or wrong.")
        if query.get("api-version") != MANAGED_IDENTITY_VERSION:
            return _app_service_error(400, f"The api-version must be {MANAGED_IDENTITY_VERSION}.")
        resource = query.get("resource", "")
        if not resource:
            return _app_service_error(400, "The parameter 'resource' is missing.")
        chosen = query.get("client_id") or query.get("principal_id") or query.get("object_id")
        principal = self._identity(chosen) if chosen else self.system_assigned
        if principal is None:
            return _app_service_error(400, "Unable to load the proper Managed Identity.")
        request[RECORDED].principal = principal.object_id
        token, expires = self._tokens.mint(principal, resource)
        return web.json_response(
            {
                "access_token": token,
                "expires_on": str(expires),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": principal.app_id,
            }
        )

    def _identity(self, chosen: str) -> Principal | None:
        known = [*self.identities.values()] + ([self.system_assigned] if self.system_assigned else [])
        return next((one for one in known if chosen in (one.app_id, one.object_id)), None)

    async def _configuration(self, request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        if tenant not in self.tenants:
            return _oauth_error(_unknown_tenant(tenant))
        base = f"{self.endpoint}/{tenant}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        tenant = request.match_info["tenant"]
        grant = _Grant(tenant, f"{self.endpoint}/{tenant}/oauth2/v2.0/token", form)
        try:
            principal, audience = self._granted(grant)
        except _RefusedError as refused:
            return _oauth_error(refused)
        request[RECORDED].principal = principal.object_id
        token, expires = self._tokens.mint(principal, audience)
        lifetime = int(expires - self._tokens.now())
        return web.json_response(
            {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        )

    def _granted(self, grant: _Grant) -> tuple[Principal, str]:
        """Who asks, and the audience asked for; raises `_RefusedError`."""
        if grant.tenant not in self.tenants:
            raise _unknown_tenant(grant.tenant)
        kind = grant.required("grant_type")
        if kind != "client_credentials":
            message = f"The app requested an unsupported grant type '{kind}'."
            raise _RefusedError(400, "unsupported_grant_type", 70003, message)
        client_id, scope = grant.required("client_id"), grant.required("scope")
        application = self.applications.get(client_id)
        if application is None or grant.tenant not in application.object_ids:
            message = f"Application with identifier '{client_id}' was not found in the directory '{grant.tenant}'."
            raise _RefusedError(400, "unauthorized_client", 700016, message)
        self._authenticate(application, grant)
        audience = scope.removesuffix("/.default")
        if audience == scope or " " in scope:
            message = f"The provided value for scope {scope} is not valid: it must end in /.default."
            raise _RefusedError(400, "invalid_scope", 1002012, message)
        return Principal(application.object_ids[grant.tenant], client_id, grant.tenant), audience

    def _authenticate(self, application: Application, grant: _Grant) -> None:
        """Check the secret, the certificate's assertion or the federated token; raises `_RefusedError`."""
        if "client_secret" in grant.form:
            secret = grant.form["client_secret"].encode()
            if not any(secrets.compare_digest(secret, known.encode()) for known in application.secrets):
                message = f"Invalid client secret provided for app '{application.client_id}'."
                raise _RefusedError(401, "invalid_client", 7000215, message)
            return
        assertion = grant.form.get("client_assertion", "")
        if not assertion or grant.form.get("client_assertion_type") != JWT_BEARER:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise _RefusedError(401, "invalid_client", 7000218, message)
        try:
            issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss", "")
        except jwt.InvalidTokenError:
            raise _RefusedError(401, "invalid_client", 50027, "JWT token is invalid or malformed.") from None
        if issuer == application.client_id:
            _check_certificate(application, assertion, grant.address)
        else:
            self._check_federated(application, assertion)

    def _check_federated(self, application: Application, assertion: str) -> None:
        try:
            claims = self._tokens.verify(f"Bearer {assertion}", FEDERATION_AUDIENCE)
        except TokenRejectedError as rejected:
            code = 700212 if rejected.code == "InvalidAuthenticationTokenAudience" else 700024
            message = f"Client assertion is not accepted: {rejected}"
            raise _RefusedError(401, "invalid_client", code, message) from rejected
        if (claims.tenant_id, claims.object_id) not in application.federated:
            message = (
                f"No matching federated identity record found for presented assertion subject '{claims.object_id}'."
            )
            raise _RefusedError(401, "invalid_client", 700213, message)


def _check_certificate(application: Application, assertion: str, address: str) -> None:
    for pem in application.certificates:
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        try:
            claims = jwt.decode(assertion, key, algorithms=["PS256", "RS256"], audience=address)  # type: ignore[arg-type] # an RSA key
        except jwt.ExpiredSignatureError:
            message = "Client assertion is not within its valid time range."
            raise _RefusedError(401, "invalid_client", 700024, message) from None
        except jwt.InvalidTokenError:
            continue
        if claims.get("sub") == application.client_id:
            return
    message = "The certificate with identifier used to sign the client assertion is not registered on application."
    raise _RefusedError(401, "invalid_client", 700027, message)


def _unknown_tenant(tenant: str) -> _RefusedError:
    return _RefusedError(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")


def _oauth_error(refused: _RefusedError) -> web.Response:
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    ids = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    return web.json_response(
        {
            "error": refused.error,
            "error_description": f"AADSTS{refused.code}: {refused} {ids}",
            "error_codes": [refused.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
        },
        status=refused.status,
    )


def _app_service_error(status: int, message: str) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.json_response(body, status=status)
