"""The running app, as its front end answers."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from shared.accept.findings import Difference, NotSeen
from shared.accept.wire import APP
from shared.accept.world import World

_OK: Final = 200
_REFUSED: Final = frozenset({401, 403})
_ROUTES: Final = ("exports", "runs", "ready", "jobs", "status")
_SITES_VERSION: Final = "2024-04-01"
_BEGUN_SECONDS, _POLL_SECONDS = 5.0, 2.0
_RESTARTED: Final = 300


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


async def restart(world: World) -> list[Difference]:
    """The app is restarted, answers again, and no checkpoint went back."""
    _app(world)
    if not world.target.site:
        raise NotSeen("it is not said which resource the app is: --app-id, and it is restarted")
    before = await _marks(world)
    asked = await world.arm("POST", f"{world.target.site}/restart", _SITES_VERSION)
    if asked.status >= _RESTARTED:
        return [Difference("the restart of the app", "taken", asked.error, asked.status)]
    end = time.monotonic() + world.target.wait_seconds
    await asyncio.sleep(_BEGUN_SECONDS)
    while not await _answers(world):
        if time.monotonic() > end:
            return [Difference("the app after a restart", f"well within {world.target.wait_seconds:g} s")]
        await asyncio.sleep(_POLL_SECONDS)
    after = await _marks(world)
    return [
        Difference("a checkpoint after a restart", "where it was, or further on")
        for partition, mark in before.items()
        if (after.get(partition) or -1) < (mark or -1)
    ]


async def _answers(world: World) -> bool:
    world.wire.ask_anew()  # an app that restarts is silent for a while
    try:
        return (await world.wire.ask(APP, "GET", "/api/health", as_is=True)).status == _OK
    except NotSeen:
        return False


async def _marks(world: World) -> dict[str, int | None]:
    from shared.watch.hub_lag import CHECKPOINTS, read_marks

    settings = world.settings
    place = f"/{settings.event_hub_name}/{settings.event_hub_consumer_group}/checkpoint/".lower()
    return await read_marks(world.clients.data_blobs.get_container_client(CHECKPOINTS), place)
