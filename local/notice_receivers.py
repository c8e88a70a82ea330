"""Receivers of notices on loopback: Teams' Workflows, Slack and a webhook, each below a path that only it has.

They answer as the published services do: Workflows 202, Slack `ok`, and each what `Emulator.faults` says instead.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from typing import Any

from aiohttp import web

from local.http import Emulator

CANARY = "hook-canary-3f9a7c51e2"
"""A part of each address that is nowhere else."""


class NoticeReceivers(Emulator):
    """What arrived, by the receiver's name; `down` answers with its status, and `slow` only after its seconds."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(tls)
        self.got: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self.asked: defaultdict[str, int] = defaultdict(int)
        self.down: dict[str, int] = {}
        self.slow: dict[str, float] = {}
        self.app.router.add_post("/{secret}/{name}", self._take)

    def addresses(self, *names: str) -> dict[str, str]:
        """What NOTIFY_RECEIVERS holds for these."""
        return {name: f"{self.endpoint}/{CANARY}/{name}" for name in names}

    def ids(self, name: str) -> list[str]:
        """Event and phase of each message, in the order in which they came."""
        return [identity for identity, _ in self.got[name]]

    async def _take(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked[name] += 1
        await asyncio.sleep(self.slow.get(name, 0))
        if status := self.down.get(name):
            headers = {"Retry-After": "86400"} if status == 429 else {"Location": "/elsewhere/else"}  # noqa: PLR2004
            return web.Response(status=status, headers=headers)
        self.got[name].append((request.headers["X-Event-Id"], json.loads(await request.read())))
        return web.Response(status=202) if name == "teams" else web.Response(text="ok")
