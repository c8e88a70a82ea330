"""The requests of a run to Azure Resource Manager: paced, retried, counted; errors as values of our own.

Automations go through the genuine `SecurityManagementClient`, one per subscription over one shared pipeline: a client
costs 0.4 ms that way, opens no connection of its own, and does not register providers unasked as the client's
default pipeline does (docs/decisions/one-pipeline-for-all-subscriptions.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from cachetools import LRUCache

from shared.azure.retry_backoff import UNAUTHORISED, retried
from shared.clock import Clock
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.model import ResourceId

if TYPE_CHECKING:
    from azure.mgmt.security.aio.operations import AutomationsOperations

    from shared.azure.clients import Clients

T = TypeVar("T")

GROUPS_VERSION = "2024-11-01"
PROVIDERS_VERSION = "2024-11-01"
EVENT_HUBS_VERSION = "2024-01-01"
# Shorter than what is left of the lease when a write starts, so that no write outlives it.
REQUEST_SECONDS = 25
# At least as many as subscriptions are worked on at the same time; each takes 38 KB.
KEPT_CLIENTS = 256
# Azure quotes what it refuses, and a message goes into logs and reports.
_KEY = re.compile(r"((?:SharedAccessKey|SharedAccessSignature|AccountKey|sig)=)[^;&'\"\s]+", re.IGNORECASE)
_NOT_REGISTERED = {"missingsubscriptionregistration", "subscription not registered"}


class ArmError(Exception):
    """A request that failed permanently, or still failed after retries; the message is Azure's sentence.

    `status` is the HTTP status, 0 when the connection failed; `code` is Azure's error code.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        sentence = " ".join(message.split())  # some of Azure's go over several lines
        super().__init__(f"{code}: {sentence}" if code else sentence)
        self.status = status
        self.code = code

    @property
    def not_registered(self) -> bool:
        """Whether the subscription has not registered Microsoft.Security."""
        return self.code.lower() in _NOT_REGISTERED


class Halted(Exception):  # noqa: N818 - says what is the case
    """A write was not sent, since the run may write no longer; `sent` says whether an earlier try of it was."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Arm:
    """Azure Resource Manager for one run; `requests` counts what was sent, by kind, retries included.

    `halt` is asked immediately before each write and answers with a sentence when the run may write no longer: its
    budget is spent, or its lease is lost.  Nothing is tried again after `deadline`, in the clock's monotonic seconds.
    """

    def __init__(
        self,
        clients: Clients,
        clock: Clock,
        pacer: Pacer,
        *,
        halt: Callable[[], str] = str,
        deadline: float = float("inf"),
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._pacer = pacer
        self._deadline = deadline
        self.halt = halt
        self.requests: Counter[str] = Counter()
        self._renewed: set[str] = set()
        self._operations: LRUCache[tuple[str, str], AutomationsOperations] = LRUCache(KEPT_CLIENTS)

    async def get(self, place: ResourceId) -> dict[str, Any] | None:
        """The automation as Azure has it, or None.

        Raises:
            ArmError: any failure but 404.
        """
        operations = await self._automations(place)

        async def ask(options: Mapping[str, Any]) -> dict[str, Any]:
            sent: Any = await operations.get(place.resource_group, place.name, cls=_as_sent, **options)
            return dict(sent)

        return await self._unless_missing(self._asked("get automation", place, ask))

    async def validate(self, place: ResourceId, body: Mapping[str, Any], towards: str = "") -> str:
        """What Azure has against the body; empty when it is valid.

        `towards` is the tenant of a destination that lies elsewhere.

        Raises:
            ArmError: the question was not answered.
        """

        async def ask(options: Mapping[str, Any]) -> Any:
            operations = await self._automations(place, towards)
            return await operations.validate(place.resource_group, place.name, dict(body), **options)

        status = await self._asked("validate automation", place, ask, write=True, tenant=towards)
        return "" if status.get("isValid") else str(status.get("message") or "Azure calls the body invalid")

    async def put(self, place: ResourceId, body: Mapping[str, Any], etag: str | None, towards: str = "") -> bool:
        """Create or replace an automation, only while `etag` is still the current one; with None only create it.

        The etag goes along twice, since the contract has it in the body and Azure's services in `If-Match`; where it
        is not known it is empty.  `towards` is the tenant of a destination that lies elsewhere.  Gives whether Azure
        said at the first try that something was there before.

        Raises:
            ArmError: 412 when the etag is no longer current, or any other failure.
        """
        headers = {"If-None-Match": "*"} if etag is None else _if_match(etag)
        sent = {**body, "etag": etag} if etag else dict(body)
        tries = 0

        async def ask(options: Mapping[str, Any]) -> bool:
            nonlocal tries
            tries += 1
            operations = await self._automations(place, towards)
            answer = await operations.create_or_update(
                place.resource_group, place.name, sent, headers=headers, cls=_was_there, **options
            )
            return bool(answer) and tries == 1  # a later try may meet what the first one wrote

        return await self._asked("put automation", place, ask, write=True, tenant=towards)

    async def retag(self, place: ResourceId, tags: Mapping[str, str], etag: str = "") -> None:
        """Replace an automation's tags and nothing else; with an etag, only while it is still the current one.

        Raises:
            ArmError: 412 when the etag is no longer current, or any other failure.
        """

        async def ask(options: Mapping[str, Any]) -> Any:
            operations = await self._automations(place)
            return await operations.update(
                place.resource_group, place.name, {"tags": dict(tags)}, headers=_if_match(etag), **options
            )

        await self._asked("tag automation", place, ask, write=True)

    async def delete(self, place: ResourceId, etag: str = "") -> None:
        """Delete an automation; one that is not there is fine.

        Raises:
            ArmError: 412 when the etag is no longer current, or any other failure.
        """
        operations = await self._automations(place)
        await self._unless_missing(
            self._asked(
                "delete automation",
                place,
                lambda options: operations.delete(place.resource_group, place.name, headers=_if_match(etag), **options),
                write=True,
            )
        )

    async def group_exists(self, place: ResourceId) -> bool:
        """Whether the automation's resource group is there.

        Raises:
            ArmError: the question was not answered.
        """
        return (
            await self._unless_missing(self.send("get resource group", "GET", _group(place), GROUPS_VERSION))
            is not None
        )

    async def make_group(self, place: ResourceId, location: str, tags: Mapping[str, str]) -> None:
        """Create the automation's resource group; never call it for one that exists, whose tags it would reset.

        Raises:
            ArmError: any failure.
        """
        body = {"location": location, "tags": dict(tags)}
        await self.send("put resource group", "PUT", _group(place), GROUPS_VERSION, body)

    async def register(self, subscription_id: str) -> bool:
        """Ask to register Microsoft.Security; returns whether it is registered by now.

        Raises:
            ArmError: any failure.
        """
        path = f"/subscriptions/{subscription_id}/providers/Microsoft.Security/register"
        answer = await self.send("register provider", "POST", path, PROVIDERS_VERSION)
        return str(answer.get("registrationState")).lower() == "registered"

    async def registered(self, subscription_id: str) -> bool:
        """Whether Microsoft.Security is registered.

        Raises:
            ArmError: any failure.
        """
        path = f"/subscriptions/{subscription_id}/providers/Microsoft.Security"
        answer = await self.send("get provider", "GET", path, PROVIDERS_VERSION)
        return str(answer.get("registrationState")).lower() == "registered"

    async def connection_string(self, holder_id: str, rule: str, tenant: str = "") -> str:
        """The primary connection string of an authorization rule of a hub or a namespace; a secret.

        Raises:
            ArmError: any failure.
        """
        path = f"{holder_id}/authorizationRules/{rule}/listKeys"
        answer = await self.send("list keys", "POST", path, EVENT_HUBS_VERSION, write=False, tenant=tenant)
        return str(answer["primaryConnectionString"])

    async def send(
        self,
        kind: str,
        method: str,
        path: str,
        version: str,
        body: Mapping[str, Any] | None = None,
        *,
        write: bool | None = None,
        tenant: str = "",
    ) -> dict[str, Any]:
        """One request for a path, or for the whole address of a next page; the answer's JSON.

        `tenant` is the tenant that the path lies in, where that is another than the app's.

        Raises:
            ArmError: any failure.
        """
        from azure.core.rest import HttpRequest

        url = path if path.startswith("https:") else f"{self._clients.arm_endpoint}/{path.lstrip('/')}"
        if "api-version=" not in path:
            url += f"{'&' if '?' in path else '?'}api-version={version}"
        subscription = path.strip("/").split("/")[1] if path.lower().startswith("/subscriptions/") else ""

        async def ask(options: Mapping[str, Any]) -> dict[str, Any]:
            request = HttpRequest(method, url, json=body)
            client = await self._clients.arm_in(tenant)
            response = await client.send_request(request, **options)
            response.raise_for_status()
            return dict(response.json()) if response.content else {}

        write = method != "GET" if write is None else write
        return await self._asked(kind, subscription, ask, write=write, tenant=tenant)

    async def assignee(self, tenant: str = "") -> str:
        """Whom a role assignment in a tenant must name, for this app to have the role."""
        return await self._clients.assignee(tenant)

    async def _automations(self, place: ResourceId, towards: str = "") -> AutomationsOperations:
        from azure.mgmt.security.aio import SecurityManagementClient

        key = (place.subscription_id, towards)
        known = self._operations.get(key)
        if known is None:
            clients = self._clients
            pipeline = clients.pipeline_of(await clients.arm_towards(towards))
            client = SecurityManagementClient(
                clients.credential, place.subscription_id, base_url=clients.arm_endpoint, pipeline=pipeline
            )
            known = self._operations[key] = client.automations
        return known

    async def _asked(
        self,
        kind: str,
        place: ResourceId | str,
        call: Callable[[Mapping[str, Any]], Awaitable[T]],
        *,
        write: bool = False,
        tenant: str = "",
    ) -> T:
        from azure.core.exceptions import AzureError

        subscription = place if isinstance(place, str) else place.subscription_id
        options = {"read_timeout": REQUEST_SECONDS, "connection_timeout": REQUEST_SECONDS}

        tries = 0

        async def attempt() -> T:
            nonlocal tries
            await self._pacer.turn(subscription, write=write)
            if write and (reason := self.halt()):
                raise Halted(reason, sent=tries > 0)
            tries += 1
            self.requests[kind] += 1
            return await call(options)

        def failed(status: int) -> None:
            if status == 429:  # noqa: PLR2004 - too many requests
                self._pacer.throttled(subscription, write=write)
            if status == UNAUTHORISED and tenant and tenant not in self._renewed:
                # Auxiliary tokens are kept until shortly before they expire, whatever Azure says about them.
                self._renewed.add(tenant)
                self._clients.forget_tenant(tenant)
                self._operations.clear()

        try:
            return await retried(attempt, self._clock, deadline=self._deadline, failed=failed)
        except AzureError as error:
            raise _arm_error(error) from error

    @staticmethod
    async def _unless_missing(answer: Awaitable[T]) -> T | None:
        try:
            return await answer
        except ArmError as error:
            # Who lost all rights in a subscription is told that it is not there, which says nothing of what it holds.
            unseen = error.not_registered or error.code == "SubscriptionNotFound"
            if error.status == 404 and not unseen:  # noqa: PLR2004 - not found
                return None
            raise


def _as_sent(response: Any, _document: Any, _headers: Any) -> Any:
    """The JSON of an answer, which has been read already: what a model gives is the same, and takes time to make."""
    return response.http_response.json()


def _was_there(response: Any, _document: Any, _headers: Any) -> bool:
    """Whether a PUT replaced something: 200 in place of 201."""
    return bool(response.http_response.status_code == 200)  # noqa: PLR2004 - OK


def _if_match(etag: str) -> dict[str, str]:
    return {"If-Match": etag} if etag else {}


def _group(place: ResourceId) -> str:
    return f"/subscriptions/{place.subscription_id}/resourceGroups/{place.resource_group}"


def _arm_error(error: Exception) -> ArmError:
    detail = getattr(error, "error", None)
    code = str(getattr(detail, "code", None) or "")
    message = str(getattr(detail, "message", None) or getattr(error, "message", None) or error)
    first = message.splitlines()[0] if message else ""
    return ArmError(int(getattr(error, "status_code", None) or 0), code, _KEY.sub(r"\1(hidden)", first))
