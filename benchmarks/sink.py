"""A server on loopback that takes whatever is posted: where a benchmark is about what sends."""

from __future__ import annotations

from aiohttp import web

from local.certs import Certificates
from local.http import Emulator


class Sink(Emulator):
    """Answers 204 to every POST."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(certificates.server_context())
        self.app.router.add_post("/{path:.*}", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)
