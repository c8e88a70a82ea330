"""Posts one message to one address over HTTPS.  The address is a secret: no error, log or metric has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shared.fail_points import touching
from shared.retry_after_header import asked_seconds, capped

if TYPE_CHECKING:
    from azure.core.pipeline.transport import AioHttpTransport

SECONDS: Final = 15.0
"""For one message, from the connection to the answer."""
_TAKEN: Final = range(200, 300)
_PASSING: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500


@dataclass(frozen=True)
class Answer:
    """Whether a message was taken; `again` says that the receiver as a whole does not take any now.

    `why` is a sentence without the address, `pause` the seconds that the receiver asked for, at most a minute.
    """

    taken: bool
    again: bool = False
    why: str = ""
    pause: float = 0.0


class HttpSender:
    """One connection pool for all receivers."""

    def __init__(self, addresses: Mapping[str, str], seconds: float = SECONDS) -> None:
        self._addresses = addresses
        self._seconds = seconds
        self._transport: AioHttpTransport | None = None

    async def send(self, receiver: str, body: Mapping[str, Any], identity: str) -> Answer:
        """Post a body to the receiver of that name; redirects are not followed."""
        from azure.core.exceptions import AzureError

        address = self._addresses.get(receiver)
        if address is None:
            return Answer(taken=False, again=True, why="NOTIFY_RECEIVERS has no address for it")
        try:
            async with asyncio.timeout(self._seconds):
                with touching("notify.send"):
                    return await self._post(address, body, identity)
        except (AzureError, TimeoutError, OSError, ValueError) as error:
            # The error's text names the host.
            return Answer(taken=False, again=True, why=f"it can't be reached ({type(error).__name__})")

    async def _post(self, address: str, body: Mapping[str, Any], identity: str) -> Answer:
        from azure.core.rest import HttpRequest

        from shared.azure.http_transport import transport

        if self._transport is None:
            self._transport = transport("a receiver of notices", self._seconds)
            await self._transport.open()
        headers = {"Content-Type": "application/json", "X-Event-Id": identity}
        request = HttpRequest("POST", address, content=json.dumps(body).encode(), headers=headers)
        response = await self._transport.send(request, stream=True)
        status, asked = response.status_code, asked_seconds(response.headers, datetime.now(UTC))
        await response.close()  # whatever else it says is not read: it may be endless
        if status in _TAKEN:
            return Answer(taken=True)
        again = status in _PASSING or status >= _SERVER_ERROR
        return Answer(taken=False, again=again, why=f"it answers {status}", pause=capped(asked or 0.0))

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.close()
