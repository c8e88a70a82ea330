"""What Azure refuses, as one sentence: what is wrong, for whom, and the role or command that mends it.

The texts that are taken apart here are Azure Resource Manager's and Microsoft Entra ID's own (AuthorizationFailed,
LinkedAuthorizationFailed, ScopeLocked, RequestDisallowedByPolicy, InvalidAuxiliaryTokens, AADSTS...).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

WORKSPACE_ROLES: Final = (
    "Owner, Contributor, Log Analytics Contributor, Microsoft Sentinel Contributor or Monitoring Contributor"
)
"""Who may send to a workspace, as Microsoft's page has it (learn.microsoft.com, benefits of continuous export)."""

_ROLES: Final = (
    (re.compile(r"microsoft\.eventhub/.*/listkeys/action", re.IGNORECASE), "Azure Event Hubs Data Owner", ""),
    (re.compile(r"microsoft\.operationalinsights/.*/write", re.IGNORECASE), "Log Analytics Contributor", ""),
    (re.compile(r"microsoft\.operationsmanagement/solutions/.*", re.IGNORECASE), "Log Analytics Contributor", ""),
    (re.compile(r"microsoft\.security/(?!register).*", re.IGNORECASE), "Security Admin", "subscription"),
    (re.compile(r".*/read", re.IGNORECASE), "Reader", ""),
    (re.compile(r".*"), "Contributor", "subscription"),
)
_NOT_ALLOWED: Final = re.compile(
    r"client '(?P<client>[^']+)'.* does not have authorization to perform action '(?P<action>[^']+)' "
    r"over scope '(?P<scope>[^']+)'"
)
_NOT_ALLOWED_THERE: Final = re.compile(
    r"client '(?P<client>[^']+)'.* does not have permission to perform action\(s\) '(?P<actions>[^']+)' "
    r"on the linked scope\(s\) '(?P<scope>[^']+)'"
)
_OTHER_TENANT: Final = re.compile(
    r"tenant '(?P<tenant>[^']+)' is not authorized to access linked subscription '([^']+)'"
)
_RIGHT_ISSUER: Final = re.compile(r"must match (?:one of )?the tenant 'https://sts\.[^/']+/(?P<tenant>[^/']+)")
_LOCKED: Final = re.compile(r"following scope\(s\) are locked: '(?P<scope>[^']+)'")
_POLICY: Final = re.compile(r'"policyAssignment":\s*\{[^}]*"id":\s*"(?P<id>[^"]+)"')
_ENTRA: Final = re.compile(r"AADSTS(\d+)")


class Refusal(NamedTuple):
    """An answer that was no: Azure's error code and sentence, where it was asked for, and of whom.

    `tenant` is the destination's where that is another; `app` is this app's client id there.
    """

    code: str
    message: str
    status: int = 0
    scope: str = ""
    tenant: str = ""
    app: str = ""


def explain(refusal: Refusal) -> str:
    """The sentence for a refusal that people can mend; empty when this is none of those."""
    known = _BY_CODE.get(refusal.code.lower())
    sentence = known(refusal) if known else ""
    return sentence or _entra(refusal)


def grant(app: str, role: str, scope: str) -> str:
    """The command that gives a role."""
    return f'`az role assignment create --assignee {app} --role "{role}" --scope {scope}`'


def may_not(app: str, action: str, scope: str) -> str:
    """The sentence for a missing right."""
    role, level = next((role, level) for pattern, role, level in _ROLES if pattern.fullmatch(action))
    there = "/".join(scope.split("/")[:3]) if level == "subscription" else scope
    others = f" ({WORKSPACE_ROLES} has it)" if "operationalinsights" in action.lower() else ""
    return f"{app} may not do {action} on {scope}{others}: run {grant(app, role, there)}"


def unlock(scope: str) -> str:
    """The command that removes the read-only locks at a scope."""
    parts = scope.strip("/").split("/")
    where = f"--subscription {parts[1]}" if len(parts) > 1 else ""
    if len(parts) > 4:  # noqa: PLR2004 - below a resource group
        where = f"--resource {scope}"
    elif len(parts) == 4:  # noqa: PLR2004 - a resource group
        where = f"--resource-group {parts[3]} {where}"
    return f"`az lock delete --ids $(az lock list {where} --query \"[?level=='ReadOnly'].id\" --output tsv)`"


def consent(app: str, tenant: str) -> str:
    """How a multi-tenant app becomes known in another tenant."""
    return f"an administrator of tenant {tenant} runs `az login --tenant {tenant}` and `az ad sp create --id {app}`"


def _authorization(refusal: Refusal) -> str:
    match = _NOT_ALLOWED.search(refusal.message)
    return may_not(match["client"], match["action"], match["scope"]) if match else ""


def _linked(refusal: Refusal) -> str:
    if match := _NOT_ALLOWED_THERE.search(refusal.message):
        sentences = [may_not(match["client"], one.strip(), match["scope"]) for one in match["actions"].split(",")]
        return "; ".join(dict.fromkeys(sentences))
    if match := _OTHER_TENANT.search(refusal.message):
        return (
            f"the destination's subscription {match[2]} lies in another tenant, for which no token was sent: name that "
            "tenant in the export's `destination.tenantId` and set CROSS_TENANT_CLIENT_ID and CROSS_TENANT_CREDENTIAL"
        )
    return ""


def _auxiliary(refusal: Refusal) -> str:
    return (
        f"Azure refused the token of tenant {refusal.tenant} that went along, even a new one: it has expired, so see "
        f"that this host's clock is right; or {refusal.app} is not known there, so "
        f"{consent(refusal.app, refusal.tenant)}"
    )


def _expired(refusal: Refusal) -> str:
    where = f"for tenant {refusal.tenant}" if refusal.tenant else "of this app"
    return f"Azure calls the token {where} expired, even a new one: see that this host's clock is right"


def _issuer(refusal: Refusal) -> str:
    match = _RIGHT_ISSUER.search(refusal.message)
    if match is None:
        return ""
    if refusal.tenant:
        return f"{refusal.scope} does not lie in tenant {refusal.tenant}: set `destination.tenantId: {match['tenant']}`"
    return (
        f"{refusal.scope} lies in tenant {match['tenant']}: set `destination.tenantId: {match['tenant']}` in the "
        "export, and give the app a credential for other tenants (docs/cross-tenant.md)"
    )


def _locked(refusal: Refusal) -> str:
    match = _LOCKED.search(refusal.message)
    return f"a read-only lock on {match['scope']} forbids it: run {unlock(match['scope'])}" if match else ""


def _policy(refusal: Refusal) -> str:
    match = _POLICY.search(refusal.message)
    if match is None:
        return ""
    scope = "/".join(refusal.scope.split("/")[:3])
    return (
        f"the deny policy {match['id']} forbids it in this subscription: run `az policy exemption create --name "
        f"defender-export --policy-assignment {match['id']} --exemption-category Waiver --scope {scope}`"
    )


def _read_only(refusal: Refusal) -> str:
    subscription = "".join(refusal.scope.split("/")[2:3])
    return f"the subscription is disabled, and so read-only: run `az account subscription enable --id {subscription}`"


def _entra(refusal: Refusal) -> str:
    """Sentences for the token endpoint's refusals of the multi-tenant app."""
    match = _ENTRA.search(refusal.message)
    if match is None or not refusal.tenant:
        return ""
    number, app = match[1], refusal.app
    if number in {"700016", "7000229", "650052"}:
        return f"the app {app} has no service principal in tenant {refusal.tenant}: {consent(app, refusal.tenant)}"
    if number == "90002":
        return f"there is no tenant {refusal.tenant}: correct `destination.tenantId`"
    if number in {"7000215", "7000222"}:
        return f"the client secret of {app} is wrong or has expired: set a new one as CROSS_TENANT_CLIENT_SECRET"
    if number == "700027":
        return (
            f"the certificate is not registered on {app}: run "
            f"`az ad app credential reset --id {app} --cert @FILE --append`"
        )
    if number in {"70021", "700211", "700212", "700213", "700024"}:
        return (
            f"{app} does not trust this app's identity: add a federated credential for it with "
            f"`az ad app federated-credential create --id {app}` (docs/cross-tenant.md)"
        )
    return f"Microsoft Entra ID gives {app} no token of tenant {refusal.tenant} (AADSTS{number})"


_BY_CODE: Final[dict[str, Callable[[Refusal], str]]] = {
    "authorizationfailed": _authorization,
    "linkedauthorizationfailed": _linked,
    "invalidauxiliarytokens": _auxiliary,
    "expiredauthenticationtoken": _expired,
    "invalidauthenticationtokentenant": _issuer,
    "scopelocked": _locked,
    "requestdisallowedbypolicy": _policy,
    "readonlydisabledsubscription": _read_only,
}
