"""Microsoft Graph's applications and service principals, as much as registering an app needs, with what is refused.

Follows the reference of Microsoft Graph v1.0: create, update, list application; create, list servicePrincipal; grant an
appRoleAssignment for a service principal.  Every request is recorded.
"""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def bad(message: str) -> RefusedError:
    return RefusedError(400, "Request_BadRequest", message)


@dataclass
class Directory:
    """A tenant's registrations, and the requests that reached them."""

    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    principals: dict[str, dict[str, Any]] = field(default_factory=dict)
    assignments: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    token: str = "graph-token"

    def handle(self, method: str, target: str, body: Any, authorization: str | None) -> tuple[int, Any]:
        self.requests.append((method, target, body))
        if authorization != f"Bearer {self.token}":
            raise RefusedError(401, "InvalidAuthenticationToken", "Access token is missing or wrong.")
        parts = urlsplit(target)
        kind, *rest = parts.path.removeprefix("/v1.0/").split("/")
        wanted = parse_qs(parts.query).get("$filter", [""])[0]
        if kind == "applications":
            return self._applications(method, rest, wanted, body)
        if kind == "servicePrincipals":
            return self._principals(method, rest, wanted, body)
        raise RefusedError(404, "ResourceNotFound", f"no resource {kind}")

    def _applications(self, method: str, rest: list[str], wanted: str, body: Any) -> tuple[int, Any]:
        if not rest and method == "GET":
            return 200, {"value": matching(self.applications, "displayName", wanted)}
        if not rest and method == "POST":
            made: dict[str, Any] = {
                "id": str(uuid.uuid4()),
                "appId": str(uuid.uuid4()),
                "identifierUris": [],
                "appRoles": [],
                "web": {"redirectUris": [], "implicitGrantSettings": {"enableIdTokenIssuance": False}},
                "api": {"requestedAccessTokenVersion": None, "oauth2PermissionScopes": []},
            }
            self.applications[made["id"]] = made
            self._change(made, body)
            return 201, made
        if method != "PATCH" or rest[0] not in self.applications:
            raise RefusedError(404, "Request_ResourceNotFound", "no such application")
        self._change(self.applications[rest[0]], body)
        return 204, None

    def _change(self, application: dict[str, Any], body: dict[str, Any]) -> None:
        known = {"displayName", "signInAudience", "appRoles", "identifierUris", "web", "api"}
        if unknown := set(body) - known:
            raise bad(f"Invalid property '{min(unknown)}'.")
        wanted = {**application, **body}
        for before, after in (
            (application["appRoles"], wanted["appRoles"]),
            (application["api"]["oauth2PermissionScopes"], wanted["api"].get("oauth2PermissionScopes", [])),
        ):
            kept = {one["id"] for one in after}
            if any(one["isEnabled"] and one["id"] not in kept for one in before):
                raise bad("Property value cannot be deleted unless it is disabled first.")
            if len({one["value"] for one in after}) < len(after):
                raise bad("It contains duplicate value. Please provide unique value.")
        # A client may be allowed only what the registration had before this request.
        scopes = {one["id"] for one in application["api"]["oauth2PermissionScopes"]}
        for client in wanted["api"].get("preAuthorizedApplications", []):
            if not set(client["delegatedPermissionIds"]) <= scopes:
                raise bad("Property PreAuthorizedApplication references permission that cannot be found.")
        if any(one != f"api://{application['appId']}" for one in wanted["identifierUris"]):
            raise bad("Values of identifierUris property must use a verified domain of the organization.")
        if any(not one.startswith("https://") for one in wanted["web"]["redirectUris"]):
            raise bad("Invalid value specified for property 'redirectUris'.")
        application.update(body)

    def _principals(self, method: str, rest: list[str], wanted: str, body: Any) -> tuple[int, Any]:
        if not rest and method == "GET":
            return 200, {"value": matching(self.principals, "appId", wanted)}
        if not rest:
            if body["appId"] not in {one["appId"] for one in self.applications.values()}:
                raise RefusedError(400, "NoBackingApplicationObject", "The appId does not reference an application.")
            if any(one["appId"] == body["appId"] for one in self.principals.values()):
                raise RefusedError(409, "Request_MultipleObjectsWithSameKeyValue", "already in use")
            made = {"id": str(uuid.uuid4()), "appId": body["appId"]}
            self.principals[made["id"]] = made
            return 201, made
        if rest[0] not in self.principals or rest[1:] != ["appRoleAssignedTo"]:
            raise RefusedError(404, "Request_ResourceNotFound", "no such service principal")
        held = [one for one in self.assignments if one["resourceId"] == rest[0]]
        if method == "GET":
            return 200, {"value": held}
        app_id = self.principals[rest[0]]["appId"]
        (application,) = (one for one in self.applications.values() if one["appId"] == app_id)
        if body["appRoleId"] not in {one["id"] for one in application["appRoles"]}:
            raise bad("Permission being assigned was not found on application")
        if any((one["principalId"], one["appRoleId"]) == (body["principalId"], body["appRoleId"]) for one in held):
            raise bad("Permission being assigned already exists on the object")
        self.assignments.append(body)
        return 201, body


def matching(found: dict[str, dict[str, Any]], name: str, wanted: str) -> list[dict[str, Any]]:
    """The objects that a filter of the form `name eq 'value'` selects."""
    field_name, operator, value = wanted.split(" ", 2)
    assert (field_name, operator) == (name, "eq"), wanted
    text = value.removeprefix("'").removesuffix("'").replace("''", "'")
    return [one for one in found.values() if one[name] == text]


@contextmanager
def served(directory: Directory) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                status, content = directory.handle(
                    self.command, self.path, json.loads(raw) if raw else None, self.headers.get("authorization")
                )
            except RefusedError as refused:
                status, content = refused.status, {"error": {"code": refused.code, "message": str(refused)}}
            data = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names that the base class looks for

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
