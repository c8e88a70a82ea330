"""What roles permit: whether their actions cover an operation, and what Azure says of this app's own.

Source: learn.microsoft.com/rest/api/authorization/permissions; at a subscription: "What permissions do I have" of
learn.microsoft.com/azure/azure-resource-manager/resource-manager-api-authentication.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.azure.retry_backoff import retried
from shared.clock import Clock, Deadline
from shared.fail_points import touching

if TYPE_CHECKING:
    from shared.azure.clients import Clients

AUTHORIZATION_VERSION: Final = "2022-04-01"
REQUEST_SECONDS = 30.0


def permits(permission: Mapping[str, Any], action: str) -> bool:
    """Whether a role's actions, less its notActions, cover an action; `*` stands for anything, case does not count."""
    granted, withheld = permission.get("actions") or (), permission.get("notActions") or ()
    return any(_covers(one, action) for one in granted) and not any(_covers(one, action) for one in withheld)


class OwnPermissions:
    """What the roles of this app permit it in a subscription; asked anew each time, since roles come and go."""

    def __init__(self, clients: Clients, clock: Clock | None = None) -> None:
        self._clients = clients
        self._clock = clock or Clock()

    async def lacking(self, subscription: str, actions: Iterable[str], deadline: Deadline | None = None) -> set[str]:
        """Those of some actions that no role of the app's permits on the whole subscription.

        Raises:
            azure.core.exceptions.AzureError: Azure did not say, or not before the deadline.
        """
        from azure.core.exceptions import ServiceResponseTimeoutError
        from azure.core.rest import HttpRequest

        end = deadline.sooner(REQUEST_SECONDS) if deadline else self._clock.deadline(REQUEST_SECONDS)
        path = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/permissions"
        url = f"{self._clients.arm_endpoint}{path}"

        async def ask() -> Any:
            request = HttpRequest("GET", url, params={"api-version": AUTHORIZATION_VERSION})
            try:
                async with asyncio.timeout(max(0.0, end.left)):
                    with touching("permissions.read"):
                        response = await self._clients.arm.send_request(request)
            except TimeoutError:
                raise ServiceResponseTimeoutError("no answer in time") from None
            response.raise_for_status()
            return response

        roles = _roles(await retried(ask, self._clock, deadline=end.at))
        return {action for action in actions if not any(permits(role, action) for role in roles)}


def _roles(response: Any) -> list[Mapping[str, Any]]:
    """What an answer lists.

    Raises:
        azure.core.exceptions.DecodeError: it is no list of permissions, which does not say that there are none.
    """
    from azure.core.exceptions import DecodeError

    try:
        answer = response.json()
    except ValueError:
        answer = None
    listed = answer.get("value") if isinstance(answer, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(role, Mapping) for role in listed):
        raise DecodeError(message="the answer holds no list of permissions")
    return listed


def permits_data(permission: Mapping[str, Any], action: str) -> bool:
    """Whether a role's data actions, less its notDataActions, cover an operation on data."""
    return permits({"actions": permission.get("dataActions"), "notActions": permission.get("notDataActions")}, action)


def _covers(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None
