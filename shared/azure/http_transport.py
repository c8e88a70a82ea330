"""The one way of every SDK client to the network over HTTPS: a fail point, and an end to each wait."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

from shared.azure.asked import asking
from shared.fail_points import touching

if TYPE_CHECKING:
    from azure.core.pipeline.transport import AioHttpTransport

CONNECT_SECONDS = 10
READ_SECONDS = 20
"""Without a byte of the answer; the SDK then asks again.  azure-core's own are 300 seconds for either."""


def transport(service: str, read_seconds: float = READ_SECONDS) -> AioHttpTransport:
    """A transport of its own for one client of a service, which closes it; errors name the service by this name.

    aiohttp looks for a proxy and a netrc file in a thread each a request where the environment is trusted.
    """
    trust = bool(getproxies())
    made: AioHttpTransport = announced()(
        service, use_env_settings=trust, connection_timeout=CONNECT_SECONDS, read_timeout=read_seconds
    )
    return made


@cache
def announced() -> Any:
    """The class of every transport; made on first use, so that a cold start loads no SDK."""
    from azure.core.pipeline.transport import AioHttpTransport

    class AnnouncedTransport(AioHttpTransport):  # type: ignore[misc] # its module has no types
        """Announces each request at a fail point, and notes who was asked."""

        def __init__(self, service: str, **options: Any) -> None:
            super().__init__(**options)
            self._service = service

        async def send(self, request: Any, **config: Any) -> Any:
            with touching("http.request"), asking(self._service, request.url) as answered:
                response = await super().send(request, **config)
                answered(response.status_code)
                return response

    return AnnouncedTransport
