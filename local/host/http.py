"""HTTP triggers: routes, methods, auth levels and keys, and the host's admin routes."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import unquote

import azure.functions as func
from aiohttp import web
from multidict import MultiMapping

from local.host.config import HostConfig
from local.host.functions import Function
from local.host.invoke import FunctionTimeoutError, Invoker

MAX_BODY_BYTES = 100 * 1024 * 1024  # FUNCTIONS_REQUEST_BODY_SIZE_LIMIT's default
CONSTRAINTS = {"": "[^/]+", "int": r"-?\d+", "alpha": "[A-Za-z]+", "guid": "[0-9A-Fa-f-]{36}"}
Trigger = Callable[[Function, str], Awaitable[None]]


@dataclass(frozen=True)
class Keys:
    """The keys that open routes: the master key everything, host keys every function, function keys their own."""

    master: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    host: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    functions: Mapping[str, str] = field(default_factory=dict)

    def allow(self, level: str, function: str, offered: str) -> bool:
        """Whether a key opens a function of this level."""
        if level == "anonymous":
            return True
        accepted = [self.master]
        if level == "function":
            accepted += [self.host, *([self.functions[function]] if function in self.functions else [])]
        return any(hmac.compare_digest(offered.encode(), key.encode()) for key in accepted)


@dataclass(frozen=True)
class Route:
    """One function's route template, as a pattern without regard to case."""

    function: Function
    pattern: re.Pattern[str]
    methods: frozenset[str]
    rank: tuple[int, ...]

    @classmethod
    def of(cls, function: Function, prefix: str) -> Route:
        """Read the template: literals, `{name}`, `{name?}`, `{name:constraint}` and `{*rest}`."""
        template = str(function.trigger.get("route") or function.name).strip("/")
        pattern, rank = "", []
        for segment in [part for part in [*prefix.split("/"), *template.split("/")] if part]:
            match = re.fullmatch(r"\{(\*?)(\w+)(?::(\w+))?(\??)\}", segment)
            if not match:
                pattern += "/" + re.escape(segment)
                rank.append(0)
            elif match[1]:
                pattern += f"(?:/(?P<{match[2]}>.*))?"
                rank.append(2)
            else:
                value = f"/(?P<{match[2]}>{CONSTRAINTS[match[3] or '']})"
                pattern += f"(?:{value})?" if match[4] else value
                rank.append(1)
        methods = frozenset(str(method).upper() for method in function.trigger.get("methods") or ())
        return cls(function, re.compile(pattern, re.IGNORECASE), methods, tuple(rank))


class HttpFront:
    """The web application in front of the functions."""

    def __init__(
        self, functions: Sequence[Function], config: HostConfig, invoker: Invoker, keys: Keys, run: Trigger
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        routes = [
            Route.of(one, config.route_prefix) for one in functions if one.kind == "httpTrigger" and not one.disabled
        ]
        self._routes = sorted(routes, key=lambda route: route.rank)  # a literal wins over a parameter
        self._invoker, self._keys, self._run = invoker, keys, run
        self._custom_headers = config.custom_headers
        self.app = web.Application(client_max_size=MAX_BODY_BYTES)
        self.app.on_response_prepare.append(self._add_headers)
        self.app.router.add_get("/admin/host/status", self._status)
        self.app.router.add_get("/admin/functions", self._list)
        self.app.router.add_post("/admin/functions/{name}", self._start)
        self.app.router.add_get("/_local/invocations", self._invocations)
        self.app.router.add_route("*", "/{path:.*}", self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = _decoded(request.rel_url.raw_path).rstrip("/") or "/"
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match and (not route.methods or request.method in route.methods):
                return await self._call(route.function, request, match.groupdict())
        return web.Response(status=404)

    async def _call(self, function: Function, request: web.Request, found: Mapping[str, str | None]) -> web.Response:
        level = str(function.trigger.get("authLevel") or "function").lower()
        if not self._keys.allow(level, function.name, _offered(request)):
            return web.Response(status=401)
        asked = func.HttpRequest(
            request.method,
            str(request.url),
            headers=_joined(request.headers),
            params=_joined(request.query),
            route_params={name: value for name, value in found.items() if value is not None},
            body=await request.read(),
        )
        try:
            answer = await self._invoker.invoke(function, asked)
        except FunctionTimeoutError:
            return web.Response(status=500)
        except Exception:  # noqa: BLE001 - a handler may raise anything; the host's answer does not show it
            return web.Response(status=500)
        return _response(answer)

    async def _add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Every answer carries `customHeaders`, the host's own too, unless the function set one itself."""
        for name, value in self._custom_headers.items():
            response.headers.setdefault(name, value)

    async def _start(self, request: web.Request) -> web.Response:
        self._require_master(request)
        function = self._functions.get(request.match_info["name"].lower())
        if function is None or function.kind == "httpTrigger":
            return web.Response(status=404)
        body = await request.json() if request.can_read_body else {}
        text = body.get("input", "") if isinstance(body, dict) else ""
        await self._run(function, text or "")
        return web.Response(status=202)

    async def _status(self, request: web.Request) -> web.Response:
        self._require_master(request)
        return web.json_response({"id": "local", "state": "Running", "version": "4.0.0.0"})

    async def _list(self, request: web.Request) -> web.Response:
        self._require_master(request)
        listed = [
            {"name": one.name, "config": {"bindings": [dict(one.trigger)]}, "isDisabled": one.disabled}
            for one in self._functions.values()
        ]
        return web.json_response(listed)

    async def _invocations(self, request: web.Request) -> web.Response:
        self._require_master(request)
        return web.json_response([asdict(one) for one in self._invoker.history])

    def _require_master(self, request: web.Request) -> None:
        if not self._keys.allow("admin", "", _offered(request)):
            raise web.HTTPUnauthorized


def _joined(values: MultiMapping[str]) -> dict[str, str]:
    """Each name once, its values joined by commas: the host hands `StringValues.ToString()` to the worker."""
    names: dict[str, str] = {}
    for name in values:
        names.setdefault(name.lower(), name)
    return {name: ",".join(values.getall(name)) for name in names.values()}


def _decoded(raw: str) -> str:
    """The path as routes see it; escapes that are no UTF-8 stay as they are."""
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return raw


def _offered(request: web.Request) -> str:
    return request.headers.get("x-functions-key") or request.query.get("code", "")


def _response(answer: Any) -> web.Response:
    if answer is None:
        return web.Response(status=204)
    if not isinstance(answer, func.HttpResponse):
        return web.Response(text=str(answer))
    response = web.Response(status=answer.status_code, body=answer.get_body())
    response.headers["Content-Type"] = f"{answer.mimetype}; charset={answer.charset}"
    for name, value in answer.headers.items():
        if name.lower() != "content-length":
            response.headers[name] = value
    return response
