"""Timer triggers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

from local.host.config import resolve
from local.host.functions import Function
from local.host.invoke import Invoker
from local.host.ncrontab import Schedule

log = logging.getLogger("local.host")


def request() -> Any:
    """What a timer's handler gets."""
    data = {"IsPastDue": False, "Schedule": {"AdjustForDST": True}}
    return TimerRequestConverter.decode(Datum(json.dumps(data), "json"), trigger_metadata={})


class TimerListener:
    """Fires one function on its schedule, never twice at once."""

    def __init__(self, function: Function, invoker: Invoker, settings: Mapping[str, str]) -> None:
        self._function, self._invoker = function, invoker
        self._schedule = Schedule.parse(resolve(str(function.trigger["schedule"]), settings))
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to wait for the next occurrence."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Fire no more; an invocation that runs is the invoker's to end."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self, _text: str) -> None:
        """Fire now."""
        try:
            await self._invoker.invoke(self._function, request())
        except Exception:  # noqa: BLE001 - a failed timer waits for its next occurrence; the invoker has logged it
            log.debug("%s waits for its next occurrence", self._function.name)

    async def _run(self) -> None:
        if self._function.trigger.get("runOnStartup"):
            await self.run_once("")
        while True:
            now = datetime.now(UTC)
            await asyncio.sleep((self._schedule.after(now) - now).total_seconds())
            await self.run_once("")
