"""The requests of a run to Azure Resource Manager: paced, retried, counted; errors as values of our own.

Automations go through the genuine `SecurityManagementClient`, one per subscription over one shared pipeline: a client
costs 0.4 ms that way, opens no connection of its own, and does not register providers behind our back as the
client's default pipeline does (docs/decisions/0005-one-pipeline-for-all-subscriptions.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from shared.clock import Clock
from shared.reconcile.pacing import Pacer
from shared.reconcile.values import ResourceId
from shared.retry import retried

if TYPE_CHECKING:
    from azure.mgmt.security.aio.operations import AutomationsOperations

    from shared.clients import Clients

T = TypeVar("T")

GROUPS_VERSION = "2024-11-01"
PROVIDERS_VERSION = "2024-11-01"
EVENT_HUBS_VERSION = "2024-01-01"
# Shorter than what is left of the lease when a write starts, so that no write outlives it.
REQUEST_SECONDS = 25
_NOT_REGISTERED = {"missingsubscriptionregistration", "subscription not registered"}


class ArmError(Exception):
    """A request that failed for good, or still failed after retries; the message is Azure's sentence.

    `status` is the HTTP status, 0 when the connection failed; `code` is Azure's error code.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.status = status
        self.code = code

    @property
    def not_registered(self) -> bool:
        """Whether the subscription has not registered Microsoft.Security."""
        return self.code.lower() in _NOT_REGISTERED


class Arm:
    """Azure Resource Manager for one run; `requests` counts what was sent, by kind, retries included."""

    def __init__(self, clients: Clients, clock: Clock, pacer: Pacer, deadline: float = float("inf")) -> None:
        self._clients = clients
        self._clock = clock
        self._pacer = pacer
        self._deadline = deadline
        self.requests: Counter[str] = Counter()

    async def get(self, id: ResourceId) -> dict[str, Any] | None:
        """The automation as Azure has it, or None.

        Raises:
            ArmError: any failure but 404.
        """
        operations = self._automations(id)
        return await self._unless_missing(
            self._asked("get automation", id, lambda options: operations.get(id.resource_group, id.name, **options))
        )

    async def validate(self, id: ResourceId, body: Mapping[str, Any]) -> str:
        """What Azure has against the body; empty when it is valid.

        Raises:
            ArmError: the question was not answered.
        """
        operations = self._automations(id)
        status = await self._asked(
            "validate automation",
            id,
            lambda options: operations.validate(id.resource_group, id.name, dict(body), **options),
            write=True,
        )
        return "" if status.get("isValid") else str(status.get("message") or "Azure calls the body invalid")

    async def put(self, id: ResourceId, body: Mapping[str, Any], etag: str = "") -> dict[str, Any]:
        """Create or replace an automation; with an etag, only while it is still the current one.

        Raises:
            ArmError: 412 when the etag is no longer current, or any other failure.
        """
        operations = self._automations(id)
        result: dict[str, Any] = await self._asked(
            "put automation",
            id,
            lambda options: operations.create_or_update(
                id.resource_group, id.name, dict(body), headers=_if_match(etag), **options
            ),
            write=True,
        )
        return result

    async def delete(self, id: ResourceId, etag: str = "") -> None:
        """Delete an automation; one that is not there is fine.

        Raises:
            ArmError: 412 when the etag is no longer current, or any other failure.
        """
        operations = self._automations(id)
        await self._unless_missing(
            self._asked(
                "delete automation",
                id,
                lambda options: operations.delete(id.resource_group, id.name, headers=_if_match(etag), **options),
                write=True,
            )
        )

    async def group_exists(self, id: ResourceId) -> bool:
        """Whether the automation's resource group is there.

        Raises:
            ArmError: the question was not answered.
        """
        return await self._unless_missing(self.send("get resource group", "GET", _group(id), GROUPS_VERSION)) is not None

    async def make_group(self, id: ResourceId, location: str, tags: Mapping[str, str]) -> None:
        """Create the automation's resource group; never call it for one that exists, whose tags it would reset.

        Raises:
            ArmError: any failure.
        """
        body = {"location": location, "tags": dict(tags)}
        await self.send("put resource group", "PUT", _group(id), GROUPS_VERSION, body)

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

    async def connection_string(self, hub_id: str, rule: str) -> str:
        """The primary connection string of a hub's authorization rule; a secret.

        Raises:
            ArmError: any failure.
        """
        path = f"{hub_id}/authorizationRules/{rule}/listKeys"
        answer = await self.send("list keys", "POST", path, EVENT_HUBS_VERSION, write=False)
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
    ) -> dict[str, Any]:
        """One request for a path, or for the whole address of a next page; the answer's JSON.

        Raises:
            ArmError: any failure.
        """
        from azure.core.rest import HttpRequest

        url = path if path.startswith("https:") else f"{self._clients.arm_endpoint}/{path.lstrip('/')}"
        params = {} if "api-version=" in path else {"api-version": version}
        subscription = path.strip("/").split("/")[1] if path.lower().startswith("/subscriptions/") else ""

        async def ask(options: Mapping[str, Any]) -> dict[str, Any]:
            request = HttpRequest(method, url, params=params, json=body)
            response = await self._clients.arm.send_request(request, **options)
            response.raise_for_status()
            return dict(response.json()) if response.content else {}

        return await self._asked(kind, subscription, ask, write=method != "GET" if write is None else write)

    def _automations(self, id: ResourceId) -> AutomationsOperations:
        from azure.mgmt.security.aio import SecurityManagementClient

        clients = self._clients
        client = SecurityManagementClient(
            clients.credential, id.subscription_id, base_url=clients.arm_endpoint, pipeline=clients.arm_pipeline
        )
        return client.automations

    async def _asked(
        self,
        kind: str,
        place: ResourceId | str,
        call: Callable[[Mapping[str, Any]], Awaitable[T]],
        *,
        write: bool = False,
    ) -> T:
        from azure.core.exceptions import AzureError

        subscription = place if isinstance(place, str) else place.subscription_id
        options = {"retry_total": 0, "read_timeout": REQUEST_SECONDS, "connection_timeout": REQUEST_SECONDS}

        async def attempt() -> T:
            await self._pacer.turn(subscription, write=write)
            self.requests[kind] += 1
            return await call(options)

        def failed(status: int) -> None:
            if status == 429:  # noqa: PLR2004 - too many requests
                self._pacer.throttled(subscription, write=write)

        try:
            return await retried(attempt, self._clock, deadline=self._deadline, failed=failed)
        except AzureError as error:
            raise _arm_error(error) from error

    @staticmethod
    async def _unless_missing(answer: Awaitable[Any]) -> Any:
        try:
            result = await answer
        except ArmError as error:
            if error.status == 404 and not error.not_registered:  # noqa: PLR2004 - not found
                return None
            raise
        return None if result is None else dict(result)


def _if_match(etag: str) -> dict[str, str]:
    return {"If-Match": etag} if etag else {}


def _group(id: ResourceId) -> str:
    return f"/subscriptions/{id.subscription_id}/resourceGroups/{id.resource_group}"


def _arm_error(error: Exception) -> ArmError:
    detail = getattr(error, "error", None)
    code = str(getattr(detail, "code", None) or "")
    message = str(getattr(detail, "message", None) or getattr(error, "message", None) or error)
    return ArmError(int(getattr(error, "status_code", None) or 0), code, message.splitlines()[0] if message else "")
