"""Azure Resource Manager and Resource Graph on loopback, over a `Tenant`.

`async with Arm(tenant, tokens, certs) as arm:` gives `arm.endpoint`.  Every request is recorded in `arm.requests`
with principal and role action, and every authorization decision in `arm.checks`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from local.arm import alerts, authorization, automations, eventhubs, hierarchy, resources, sites, workspaces
from local.arm.access import Access
from local.arm.calls import ArmError, Call, Document, Operation, Operations, Reply
from local.arm.graph import ResourceGraph
from local.arm.throttle import Throttle
from local.certs import Certificates
from local.continuous_export import ContinuousExport
from local.http import RECORDED, Emulator
from local.tenant import Subscription, Tenant
from local.tokens import Claims, TokenAuthority, TokenRejectedError

PUBLIC_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
MAX_AUXILIARY_TOKENS = 3
READ_ONLY_STATES = frozenset({"Disabled", "Deleted", "Expired"})


class Arm(Emulator):
    """The management side of the local Azure.

    Switches that tests turn, with Azure's behaviour as default:
    `throttling` (ARM's buckets and Resource Graph's quota), `ignore_if_match` (the provider looks at no
    precondition), `ignore_headers` (only at the etag of a body), `read_delay` (seconds until reads of automations show
    a write), `graph_lag` (seconds until Resource Graph does), `recase` (reads show ids and locations in another form),
    `page_size` (of automation lists), `subscription_limit` (subscriptions that Resource Graph looks at),
    `registration_delay` (seconds),
    `several_scopes` (the provider takes an automation with several), `renews_both_keys` (of a hub's rule, when one is
    renewed);
    `strays` are the members of written properties that the contract does not have, which are dropped in silence.
    `restart_app` is what a restart of any function app does.
    `continuous_export` is where simulated alerts go on to.
    `event_hub_endpoint` (what listKeys puts into connection strings; `{namespace}` is filled in).
    """

    def __init__(
        self,
        tenant: Tenant,
        tokens: TokenAuthority,
        certs: Certificates,
        clock: Callable[[], float] | None = None,
        *,
        port: int = 0,
    ) -> None:
        super().__init__(certs.server_context(), port=port)
        self.tenant = tenant
        self.now = clock or tenant.clock
        self.throttling = True
        self.ignore_if_match = False
        self.ignore_headers = False
        self.restart_app: Callable[[], None] | None = None
        self.several_scopes = False
        self.renews_both_keys = False
        self.strays: list[str] = []
        self.read_delay = 0.0
        self.graph_lag = 0.0
        self.recase = True
        self.page_size = 100
        self.registration_delay = 0.0
        self.event_hub_endpoint = "sb://{namespace}.servicebus.windows.net/"
        self.throttle = Throttle(self.now)
        self.graph = ResourceGraph(tenant, self.now)
        self.access = Access(tenant)
        self.continuous_export = ContinuousExport(tenant)
        self.operation_results: set[str] = set()
        self._tokens = tokens
        self._operations = Operations(*TABLES, self.graph.operations)
        self._registrations: dict[tuple[str, str], float] = {}
        self.app.router.add_route("*", "/{path:.*}", self._serve)

    @property
    def subscription_limit(self) -> int:
        """How many accessible subscriptions Resource Graph looks at."""
        return self.graph.subscription_limit

    @subscription_limit.setter
    def subscription_limit(self, most: int) -> None:
        self.graph.subscription_limit = most

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {"x-ms-request-id": str(uuid.uuid4()), "x-ms-correlation-request-id": str(uuid.uuid4())}
        try:
            reply = self._answered(request, body, headers)
        except ArmError as refused:
            reply = Reply(refused.status, refused.body(), refused.headers)
        headers.update(reply.headers)
        if reply.body is None or request.method == "HEAD":
            return web.Response(status=reply.status, headers=headers)
        raw = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        return web.Response(status=reply.status, headers=headers, body=raw, content_type="application/json")

    def _answered(self, request: web.Request, body: bytes, headers: dict[str, str]) -> Reply:
        caller = self._verified(request.headers.get("Authorization"))
        recorded = request[RECORDED]
        recorded.principal = caller.object_id
        auxiliary = self._auxiliary(request.headers.get("x-ms-authorization-auxiliary"))
        operation, parameters = self._operations.find(request.method, request.path)
        action = operation.action.format(**parameters) if "{" in operation.action else operation.action
        recorded.action = action
        self._check_version(operation, request.query.get("api-version"))
        query = dict(request.query)
        call = Call(self, operation, request.path, parameters, query, request.headers, _parsed(body), caller, auxiliary)
        self._finish_registrations()
        subscription = self._check_subscription(call)
        if self.throttling and operation.resource_type != "Microsoft.ResourceGraph/resources":
            headers.update(self.throttle.take(request.method, call.subscription, caller.object_id))
        self.access.check(call, action)
        if subscription and call.is_write and subscription.state in READ_ONLY_STATES:
            raise ArmError(
                409,
                "ReadOnlyDisabledSubscription",
                f"The subscription '{subscription.id}' is disabled and therefore marked as read only. You cannot "
                "perform any write actions on this subscription until it is re-enabled.",
            )
        if "group" in parameters and operation.resource_type:
            self.existing_group(call)
        self.access.check_locks_and_policies(call)
        return operation.handler(call)

    def existing_group(self, call: Call) -> Document:
        """The resource group in a call's path; ArmError when there is none."""
        group = call.tenant.resource_group(call.subscription, call.parameters["group"])
        if group is None:
            raise ArmError(
                404, "ResourceGroupNotFound", f"Resource group '{call.parameters['group']}' could not be found."
            )
        return group

    def check_destinations(self, call: Call, actions: list[Document]) -> None:
        """Whether the caller may send to the destinations of an automation; ArmError when not."""
        self.access.check_destinations(call, actions)

    def sees(self, caller: Claims, subscription: Subscription) -> bool:
        """Whether a caller has any role in a subscription and reaches its tenant."""
        return self.access.reaches(caller, subscription) and self.access.has_any_role(caller, subscription)

    @property
    def checks(self) -> set[tuple[str, str, str, bool]]:
        """Every authorization decision so far: principal, action, scope, allowed."""
        return self.access.checks

    def begin_registration(self, subscription_id: str, namespace: str) -> None:
        """Start a provider's registration, which ends after `registration_delay`."""
        self.tenant.set_registration(subscription_id, namespace, "Registering")
        self._registrations[subscription_id, namespace] = self.now() + self.registration_delay
        self._finish_registrations()

    def _finish_registrations(self) -> None:
        for (subscription_id, namespace), due in list(self._registrations.items()):
            if due <= self.now():
                self.tenant.set_registration(subscription_id, namespace, "Registered")
                del self._registrations[subscription_id, namespace]

    def _verified(self, authorization: str | None) -> Claims:
        try:
            return self._tokens.verify(authorization, self.endpoint, *PUBLIC_AUDIENCES)
        except TokenRejectedError as refused:
            challenge = (
                f'Bearer authorization_uri="https://login.microsoftonline.com/{self.tenant.home}", '
                f'error="invalid_token", error_description="{refused}"'
            )
            raise ArmError(401, refused.code, str(refused), headers={"WWW-Authenticate": challenge}) from refused

    def _auxiliary(self, header: str | None) -> tuple[Claims, ...]:
        """The tokens of other tenants; all must be good, and their principals known there."""
        if not header:
            return ()
        given = [one.strip() for one in header.split(",")]
        if len(given) > MAX_AUXILIARY_TOKENS:
            raise ArmError(
                400,
                "InvalidAuxiliaryTokens",
                f"At most {MAX_AUXILIARY_TOKENS} auxiliary tokens may be given; {len(given)} were.",
            )
        good: list[Claims] = []
        for one in given:
            try:
                claims = self._tokens.verify(one.removeprefix("Encrypted"), self.endpoint, *PUBLIC_AUDIENCES)
            except TokenRejectedError:
                continue
            known = self.tenant.principals.get(claims.object_id)
            if known is not None and known.tenant_id == claims.tenant_id:
                good.append(claims)
        if len(good) < len(given):
            raise ArmError(
                401,
                "InvalidAuxiliaryTokens",
                f"Authentication failed for auxiliary token: The '{len(given) - len(good)}' out of '{len(given)}' "
                "auxiliary tokens are either expired or invalid.",
            )
        return tuple(good)

    def _check_version(self, operation: Operation, version: str | None) -> None:
        if not version:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if version in operation.versions:
            return
        if version in self._operations.known_versions(operation):
            raise ArmError(
                405, "MethodNotAllowed", f"The api-version '{version}' does not know {operation.method} on this path."
            )
        raise ArmError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid for '{operation.method} {operation.template}'. "
            f"The supported versions are '{', '.join(operation.versions)}'.",
        )

    def _check_subscription(self, call: Call) -> Subscription | None:
        if not call.subscription:
            return None
        subscription = self.tenant.subscriptions.get(call.subscription)
        if subscription is None:
            raise ArmError(404, "SubscriptionNotFound", f"The subscription '{call.subscription}' could not be found.")
        if not self.access.reaches(call.caller, subscription):
            raise ArmError(
                401,
                "InvalidAuthenticationTokenTenant",
                f"The access token is from the wrong issuer 'https://sts.windows.net/{call.caller.tenant_id}/'. It "
                f"must match the tenant 'https://sts.windows.net/{subscription.tenant_id}/' associated with this "
                "subscription.",
            )
        return subscription


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise ArmError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{error}'.",
        ) from error


TABLES = (
    automations.OPERATIONS,
    alerts.OPERATIONS,
    hierarchy.OPERATIONS,
    resources.OPERATIONS,
    eventhubs.OPERATIONS,
    workspaces.OPERATIONS,
    sites.OPERATIONS,
    authorization.OPERATIONS,
)

__all__ = ["Arm"]
