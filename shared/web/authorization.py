"""Who calls, and may they: function keys, or Entra app roles behind Easy Auth.

Under `AUTH_MODE=key` the platform has checked the function key before the app runs.  Under `AUTH_MODE=entra` Easy
Auth has checked the token and writes `X-MS-CLIENT-PRINCIPAL`, replacing whatever the caller sent; without Easy Auth in
front that header is only a claim, so without the platform's marker of it all callers are refused.
Source: learn.microsoft.com/azure/app-service/configure-authentication-user-identities.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.audit.deed import Origin
from shared.web.problems import FORBIDDEN, UNAUTHENTICATED, UNAVAILABLE, ApiError

READ = "Exports.Read"
WRITE = "Exports.Write"
APPROVE = "Exports.Approve"
RECORDS = "Records.Read"
ALL_SEEN = frozenset({READ, WRITE, APPROVE})
"""Roles that see the whole tenant."""
OF_PERSONS = frozenset({APPROVE, RECORDS})
"""Roles that no function key bears, for a key names no person."""
PRINCIPAL_HEADER = "x-ms-client-principal"
EASY_AUTH_MARKER = "WEBSITE_AUTH_ENABLED"

_OBJECT_ID = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_ROLES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_SHOWN = 100
_UNMARKED = (
    "AUTH_MODE is entra, but the platform does not say that Easy Auth is on (WEBSITE_AUTH_ENABLED is not true), and "
    "without it anyone can claim to be anyone: nobody is let in. Turn authentication on for this app, or set AUTH_MODE "
    "to key. Where Easy Auth was seen to refuse callers without a token, ACCEPT_MISSING_AUTH_MARKER=true lets them in."
)
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True)
class Actor:
    """The caller: an Entra object id, or the caller's address under keys."""

    kind: str
    id: str

    @property
    def scope(self) -> str:
        """Within what an idempotency key is unique: an identity, or all callers that hold a function key.

        A runbook's address may differ between a request and its repetition, so an address is no scope.
        """
        return str(self) if self.kind == "entra" else self.kind

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def check_front(mode: str, *, accept_missing: bool) -> None:
    """Refuse all callers where the principal header may be what a caller wrote.

    Raises:
        ApiError: 503 under `entra` without the platform's marker of Easy Auth, unless its absence is accepted.
    """
    if mode == "entra" and not marked() and not accept_missing:
        raise ApiError(UNAVAILABLE, _UNMARKED)


def marked() -> bool:
    """Whether the platform says that Easy Auth is in front of the app."""
    return os.environ.get(EASY_AUTH_MARKER, "").lower() == "true"


def roles_of(headers: Mapping[str, str]) -> frozenset[str]:
    """The app roles of the principal.

    Raises:
        ApiError: 401 without a readable principal.
    """
    return frozenset(value for kind, value in _claims(headers) if kind in _ROLES)


def authorise(headers: Mapping[str, str], mode: str, role: str, *, limited: bool = False) -> Actor:
    """The caller, provided they hold `role`; Exports.Write and Exports.Approve include Exports.Read.

    A limited reader has a role that stands for Exports.Read of a part of the tenant.

    Raises:
        ApiError: 401 without a readable principal, 403 without the role.
    """
    if mode == "key":
        if role in OF_PERSONS:
            raise ApiError(
                FORBIDDEN, f"No function key bears the role {role}: set AUTH_MODE=entra, or work with --direct."
            )
        return Actor("key", _address(headers))
    claims = _claims(headers)
    actor = next((plain for kind, value in claims if kind in _OBJECT_ID and (plain := _plain(value))), "")
    if not actor:
        raise ApiError(
            UNAUTHENTICATED, "The sign-in carries no object id; sign in with Microsoft Entra.", headers=_CHALLENGE
        )
    roles = {value for kind, value in claims if kind in _ROLES}
    if role not in roles and not (role == READ and (limited or roles & ALL_SEEN)):
        raise ApiError(FORBIDDEN, f"Assign the app role {role} to the caller in the app's enterprise application.")
    return Actor("entra", actor)


def origin_of(headers: Mapping[str, str]) -> Origin:
    """From where a request comes, for the audit trail."""
    return Origin("api", _address(headers), _plain(headers.get("user-agent", "").replace("/", "-").split(" ")[0]))


def _claims(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    principal = _principal(headers.get(PRINCIPAL_HEADER, ""))
    return [(str(claim.get("typ", "")), str(claim.get("val", ""))) for claim in principal]


def _address(headers: Mapping[str, str]) -> str:
    # App Service appends the address it saw itself, with its port; earlier entries are whatever the caller wrote.
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    address = last[1:].partition("]")[0] if last.startswith("[") else last
    host, colon, _ = address.partition(":")
    return _plain(host if colon and ":" not in address[len(host) + 1 :] else address) or "unknown"


def _plain(text: str) -> str:
    """What a log line, a header or a blob's metadata can hold of a caller's text."""
    return re.sub(r"[^0-9A-Za-z.:_-]", "", text)[:_SHOWN]


def _principal(header: str) -> list[dict[str, object]]:
    if not header:
        raise ApiError(UNAUTHENTICATED, "Send an access token for this app's API.", headers=_CHALLENGE)
    try:
        document = json.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        document = None
    claims = document.get("claims") if isinstance(document, dict) else None
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise ApiError(UNAUTHENTICATED, "The platform's principal header can't be read.", headers=_CHALLENGE)
    return claims
