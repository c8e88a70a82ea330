"""The running app, as its front end answers."""

from __future__ import annotations

from typing import Any, Final

from shared.accept.findings import Difference, NotSeen
from shared.accept.wire import APP
from shared.accept.world import World

_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})
_ROUTES: Final = ("exports", "runs", "ready", "jobs", "status")
_MARKER: Final = "WEBSITE_AUTH_ENABLED"


def _app(world: World) -> None:
    if not world.target.app:
        raise NotSeen("it is not said which app: `--url`, or `use`")


async def without_proof(world: World) -> list[Difference]:
    """Every route but `health` without a key or token, and with a wrong one."""
    _app(world)
    found = []
    health = await world.wire.ask(APP, "GET", "/api/health")
    if health.status != _OK:
        found.append(Difference("GET /api/health without proof", "200", status=health.status))
    for headers in ({}, {"x-functions-key": "wrong"}, {"Authorization": "Bearer wrong"}):
        for route in _ROUTES:
            answer = await world.wire.ask(APP, "GET", f"/api/{route}", headers=headers, refusable=True)
            if answer.status not in _REFUSED:
                what = f"GET /api/{route} with {next(iter(headers), 'nothing')}"
                found.append(Difference(what, "refused with 401 or 403", status=answer.status))
    return found


async def ready(world: World) -> list[Difference]:
    """What the app says of itself."""
    _app(world)
    if not world.target.app_headers:
        raise NotSeen("there is no key or token for the app")
    answer = await world.wire.ask(APP, "GET", "/api/ready", headers=dict(world.target.app_headers), as_is=True)
    if answer.status in _REFUSED:
        raise NotSeen(f"the app refuses this key or token ({answer.status})")
    checks: Any = answer.body.get("checks") if isinstance(answer.body, dict) else None
    if not isinstance(checks, list):
        return [Difference("GET /api/ready", "checks", status=answer.status)]
    return [Difference("a check of `ready`", "well", one.get("name")) for one in checks if not one.get("ok")]
