"""Access tokens of the local Azure: minted by its identity endpoints, checked by every emulator."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import jwt

HOME_TENANT = "11111111-1111-4111-8111-111111111111"
LIFETIME_SECONDS = 3600


class TokenRejectedError(Exception):
    """A token that an emulator does not accept; `code` is Azure's error code, the message its sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Principal:
    """Who a token speaks for: an application's object in one tenant."""

    object_id: str
    app_id: str
    tenant_id: str = HOME_TENANT


@dataclass(frozen=True)
class Claims:
    """What an accepted token says."""

    object_id: str
    app_id: str
    tenant_id: str
    audience: str
    expires: int


class TokenAuthority:
    """Mints and verifies tokens with a key of its own; `clock` gives epoch seconds and can be moved by tests."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._not_before = 0.0

    def now(self) -> float:
        """Epoch seconds by this authority's clock."""
        return self._clock()

    def mint(self, principal: Principal, audience: str, lifetime: float = LIFETIME_SECONDS) -> tuple[str, int]:
        """A token for `audience` and the second it expires."""
        now = self._clock()
        expires = int(now + lifetime)
        claims = {
            "iss": f"https://sts.windows.net/{principal.tenant_id}/",
            "aud": audience.rstrip("/"),
            "tid": principal.tenant_id,
            "oid": principal.object_id,
            "sub": principal.object_id,
            "appid": principal.app_id,
            "iat": int(now),
            "nbf": int(now) - 5,
            "exp": expires,
            "issued": now,
            "ver": "1.0",
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self._key, algorithm="HS256"), expires

    def revoke_all(self) -> None:
        """Make every token minted so far count as expired."""
        self._not_before = self._clock()

    def verify(self, authorization: str | None, *audiences: str) -> Claims:
        """The claims of an `Authorization: Bearer` header.

        Raises:
            TokenRejectedError: missing, malformed, forged, expired, or for another audience.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRejectedError(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise TokenRejectedError("InvalidAuthenticationToken", "The access token is invalid.") from error
        if claims["exp"] <= self._clock() or claims["issued"] < self._not_before:
            raise TokenRejectedError(
                "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now."
            )
        if claims["aud"] not in {audience.rstrip("/") for audience in audiences}:
            raise TokenRejectedError(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource.",
            )
        return Claims(claims["oid"], claims["appid"], claims["tid"], claims["aud"], claims["exp"])
