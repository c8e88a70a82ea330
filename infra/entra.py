"""The app registration behind Easy Auth, in one step that can be repeated: what is there stays, the rest is added.

    python infra/entra.py --url https://<function app> [--readers readers.yaml] [--assign <object id>=Exports.Write ...]

Signs in as the Azure CLI does (`az login`): someone who may register applications (Application Developer or more) and,
for `--assign`, give app roles (Cloud Application Administrator).  Prints the parameters for `infra/main.bicep`.
`--readers` makes a role for each that a file of readers declares (docs/readers.md); it needs the packages of the app.

Requests: Microsoft Graph v1.0, applications, servicePrincipals and appRoleAssignedTo.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

ROLES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "app-roles.json").read_text(encoding="utf-8"))
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
SCOPE: dict[str, Any] = {
    "id": "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d03",
    "value": "user_impersonation",
    "type": "User",
    "isEnabled": True,
    "adminConsentDisplayName": "Use Defender Export",
    "adminConsentDescription": "Call the API as the person who is signed in.",
}
CALLBACK = "/.auth/login/aad/callback"
GRAPHS = {
    "AzureCloud": "https://graph.microsoft.com",
    "AzureUSGovernment": "https://graph.microsoft.us",
    "AzureChinaCloud": "https://microsoftgraph.chinacloudapi.cn",
}

Call = Callable[..., Any]


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """Graph refused a request; the message says which and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def graph(address: str, token: str) -> Call:
    """What sends one request to Microsoft Graph and gives its JSON, or raises Refused."""

    def call(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 # an address of our own, or the one that was given
            f"{address}/v1.0/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 # as above
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:500]
            raise Refused(error.code, f"{method} {path}: {error.code} {said}") from None

    return call


def merged(there: list[dict[str, Any]], wanted: list[dict[str, Any]], key: str = "id") -> list[dict[str, Any]]:
    """What is there, with ours added or brought up to date: roles and scopes of others stay."""
    ours = {one[key]: one for one in wanted}
    kept = [{**one, **ours.pop(one[key], {})} for one in there]
    return kept + list(ours.values())


def with_readers(there: list[dict[str, Any]], readers: Collection[str]) -> list[dict[str, Any]]:
    """These roles, and those of limited readers that are missing: one made by hand has an id of its own and stays."""
    known = {one.get("value") for one in there}
    return there + [reader_role(name) for name in readers if name not in known]


def reader_role(name: str) -> dict[str, Any]:
    """The app role of a limited reader; its id is the same each time."""
    return {
        "allowedMemberTypes": ["User", "Application"],
        "description": "Read the part of the tenant that the app's file of readers gives this role.",
        "displayName": f"Read exports: {name.removeprefix(ROLES[0]['value'] + '.')}",
        "id": str(uuid.uuid5(uuid.UUID(SCOPE["id"]), name)),
        "isEnabled": True,
        "value": name,
    }


def settings(application: Mapping[str, Any], url: str, readers: Collection[str] = ()) -> dict[str, Any]:
    """Roles, reply address, id tokens, token version and scope, over what the registration has.

    Easy Auth signs in by id tokens, and checks an issuer of version 2; registrations begin with version 1.
    """
    web, api = application.get("web") or {}, application.get("api") or {}
    addresses = [*web.get("redirectUris", []), f"{url}{CALLBACK}"]
    grants = {**(web.get("implicitGrantSettings") or {}), "enableIdTokenIssuance": True}
    return {
        "appRoles": with_readers(merged(application.get("appRoles") or [], ROLES), readers),
        "web": {**web, "redirectUris": list(dict.fromkeys(addresses)), "implicitGrantSettings": grants},
        "api": {
            **api,
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": merged(api.get("oauth2PermissionScopes") or [], [SCOPE]),
        },
    }


def clients(application: Mapping[str, Any], *_: Any) -> dict[str, Any]:
    """The name that tokens are asked for, and the Azure CLI as a client that needs no consent.

    A request of its own: a client can be allowed a scope only once the registration has it.
    """
    api = application["api"]
    known = {one["appId"]: set(one["delegatedPermissionIds"]) for one in api.get("preAuthorizedApplications") or []}
    known[AZURE_CLI] = known.get(AZURE_CLI, set()) | {SCOPE["id"]}
    allowed = [{"appId": one, "delegatedPermissionIds": sorted(ids)} for one, ids in known.items()]
    names = [*application.get("identifierUris", []), f"api://{application['appId']}"]
    return {"identifierUris": list(dict.fromkeys(names)), "api": {**api, "preAuthorizedApplications": allowed}}


def differs(there: Any, wanted: Any) -> bool:
    """Whether anything wanted is missing; Graph adds members of its own to what it gives back."""
    if isinstance(wanted, dict):
        return not isinstance(there, dict) or any(differs(there.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return not isinstance(there, list) or len(there) != len(wanted) or any(map(differs, there, wanted))
    return bool(there != wanted)


def register(
    call: Call, name: str, url: str, say: Callable[[str], None], readers: Collection[str] = ()
) -> dict[str, Any]:
    """The registration, made or brought up to date."""
    quoted = urllib.parse.quote(name.replace("'", "''"), safe="")
    found = call("GET", f"applications?$filter=displayName%20eq%20%27{quoted}%27")["value"]
    if len(found) > 1:
        raise Refused(409, f"{len(found)} registrations are named {name!r}: give another --name, or delete one")
    if not found:
        say(f"registering {name}")
        found = [call("POST", "applications", {"displayName": name, "signInAudience": "AzureADMyOrg"})]
    application: dict[str, Any] = found[0]
    path = f"applications/{application['id']}"
    for wanted in (settings, clients):
        change = wanted(application, url, readers)
        if differs(application, change):
            say(f"changing {', '.join(change)}")
            call("PATCH", path, change)
            application = {**application, **change}  # asked again, another replica may not know of it yet
    return application


def service_principal(call: Call, app_id: str, say: Callable[[str], None]) -> dict[str, Any]:
    """The registration's face in this tenant, made where it is missing."""
    found = call("GET", f"servicePrincipals?$filter=appId%20eq%20%27{app_id}%27")["value"]
    if not found:
        say("making its service principal")
        found = [call("POST", "servicePrincipals", {"appId": app_id})]
    principal: dict[str, Any] = found[0]
    return principal


def assign(
    call: Call, principal: Mapping[str, Any], who: str, role: Mapping[str, Any], say: Callable[[str], None]
) -> None:
    """Give a person, group or identity one of the app's roles, unless they have it."""
    role_id = role["id"]
    path = f"servicePrincipals/{principal['id']}/appRoleAssignedTo"
    held = call("GET", path)["value"]
    if any((one["principalId"], one["appRoleId"]) == (who, role_id) for one in held):
        return
    say(f"assigning {role['value']} to {who}")
    call("POST", path, {"principalId": who, "resourceId": principal["id"], "appRoleId": role_id})


def _assignments(given: Collection[str], known: Collection[str]) -> list[tuple[str, str]]:
    """Whom to give which role.

    Raises:
        ValueError: one names no role of the app.
    """
    found = []
    for text in given:
        who, _, role = text.partition("=")
        if role not in known:
            raise ValueError(f"give --assign <object id>=<one of {', '.join(known)}>, not {text}")
        found.append((who, role))
    return found


def _readers(file: str | None) -> list[str]:
    """The roles that a file of readers declares.

    Raises:
        ValueError: it is no such file, can't be read, or the app's packages are missing.
    """
    if file is None:
        return []
    sys.path.append(str(Path(__file__).parents[1]))
    try:
        from shared.exports.diagnostics import InvalidExport
        from shared.readers_file import read_readers
    except ImportError as error:
        raise ValueError(
            f"--readers needs the packages of the app (pip install -r requirements.txt): {error}"
        ) from None
    try:
        return list(read_readers(Path(file).read_bytes(), file))
    except InvalidExport as invalid:
        raise ValueError("\n".join(map(str, invalid.findings))) from None
    except OSError as error:
        raise ValueError(f"{file} can't be read: {error.strerror}") from None


def _azure_cli(*arguments: str) -> str:
    """What the Azure CLI answers; it is a script on Windows, which only a shell finds."""
    done = subprocess.run(["az", *arguments, "--output", "tsv"], capture_output=True, text=True, check=True)  # noqa: S603, S607 # the user's own
    return done.stdout.strip()


def main(argv: list[str]) -> int:
    """Do it, saying what changes, and end with the parameters of the deployment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--url", required=True, help="output functionAppUrl of infra/main.bicep")
    parser.add_argument("--name", default="Defender Export", help="display name; one registration a deployment")
    parser.add_argument("--readers", metavar="FILE", help="file of limited readers; each of its roles is made")
    parser.add_argument("--assign", action="append", default=[], metavar="OBJECT_ID=ROLE")
    parser.add_argument("--graph", help="address of Microsoft Graph, where the cloud's own is not meant")
    given = parser.parse_args(argv)
    url = given.url.rstrip("/")
    if not url.startswith("https://"):
        parser.error("--url must begin with https://: replies go nowhere else")
    try:
        readers = _readers(given.readers)
        assignments = _assignments(given.assign, [*(one["value"] for one in ROLES), *readers])
    except ValueError as wrong:
        parser.error(str(wrong))
    address = given.graph or GRAPHS[_azure_cli("cloud", "show", "--query", "name")]
    token = _azure_cli("account", "get-access-token", "--resource-type", "ms-graph", "--query", "accessToken")
    call = graph(address.rstrip("/"), token)
    try:
        application = register(call, given.name, url, print, readers)
        roles = {one.get("value"): one for one in application["appRoles"]}
        principal = service_principal(call, application["appId"], print)
        for who, role in assignments:
            assign(call, principal, who, roles[role], print)
    except Refused as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    print(f"authMode=entra authClientId={application['appId']}   # tokens are for api://{application['appId']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
