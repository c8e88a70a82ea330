"""What every HTTP emulator shares: a loopback server, recorded requests, faults, and a control route."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from local.faults import Fault, Faults
from local.oddities import Oddity

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CONTROL = "/_local"
MAX_REQUEST_BYTES = 16 * 1024 * 1024


@dataclass
class Recorded:
    """One request as the server saw it; `principal` and `action` are filled in by emulators that know them."""

    method: str
    path: str
    query: dict[str, str]
    status: int = 0
    principal: str = ""
    action: str = ""
    fault: str = ""


RECORDED = web.RequestKey("recorded", Recorded)


class Emulator:
    """A loopback HTTP server as an async context manager.

    Subclasses add routes to `self.app` in their constructor.  `await` happens on the caller's loop.
    `oddities` change answers on their way out.
    Control routes: `GET|PUT|DELETE /_local/faults`, `GET|DELETE /_local/requests`.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, port: int = 0) -> None:
        self.faults = Faults()
        self.requests: list[Recorded] = []
        self.oddities: list[Oddity] = []
        self.app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[self._observe])
        self.app.router.add_route("*", CONTROL + "/faults", self._control_faults)
        self.app.router.add_route("*", CONTROL + "/requests", self._control_requests)
        self._tls = tls
        self._port = port
        self._runner: web.AppRunner | None = None
        self._ending = asyncio.Event()

    @property
    def endpoint(self) -> str:
        """The server's address without a trailing slash; known once it runs."""
        host = "localhost" if self._tls else "127.0.0.1"
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            shutdown_timeout=0.2,
            handle_signals=False,
            auto_decompress=False,  # limits are about bytes on the wire
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._runner:
            await self._runner.cleanup()

    def fault_response(self, fault: Fault) -> web.Response:
        """The error answer for a fault; emulators override it to speak their own service's dialect."""
        statuses = {"throttle": 429, "throttle_bare": 429, "timeout": 408, "expire_token": 401, "error": fault.status}
        headers = {"Retry-After": f"{fault.retry_after:g}"} if fault.kind == "throttle" else {}
        code = {429: "TooManyRequests", 408: "RequestTimeout", 401: "ExpiredAuthenticationToken"}
        status = statuses[fault.kind]
        body = {"error": {"code": code.get(status, "InternalServerError"), "message": f"Injected fault: {fault.kind}."}}
        return web.json_response(body, status=status, headers=headers)

    @web.middleware
    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        recorded = Recorded(request.method, request.path, dict(request.query))
        request[RECORDED] = recorded
        self.requests.append(recorded)
        fault = self.faults.decide(request.method, request.path)
        response = await self._answer(request, handler, fault)
        for oddity in self.oddities:
            response = oddity.applied(f"{request.method} {request.path}", response)
        recorded.status = response.status
        return response

    async def _answer(self, request: web.Request, handler: Handler, fault: Fault | None) -> web.StreamResponse:
        if fault is None:
            return await self._handled(request, handler)
        request[RECORDED].fault = fault.kind
        if fault.kind == "latency":
            await self._pause(fault.seconds)
            return await self._handled(request, handler)
        if fault.kind == "drop_after":
            await self._handled(request, handler)
        if fault.kind == "hang":
            await self._pause(fault.seconds)
        if fault.kind in {"drop_before", "drop_after", "hang"}:
            if request.transport:
                request.transport.abort()
            return web.Response(status=599)
        await request.read()
        return self.fault_response(fault)

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as refused:
            return web.Response(status=refused.status, text=refused.text, headers=refused.headers)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return

    async def _control_faults(self, request: web.Request) -> web.Response:
        if request.method == "PUT":
            try:
                self.faults.configure(await request.json())
            except (TypeError, ValueError) as error:
                return web.json_response({"error": str(error)}, status=400)
        elif request.method == "DELETE":
            self.faults.clear()
        return web.json_response({"seed": self.faults.seed, "fired": self.faults.fired})

    async def _control_requests(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self.requests.clear()
        return web.json_response([asdict(recorded) for recorded in self.requests])
