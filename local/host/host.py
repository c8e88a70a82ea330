"""The host: one app, its listeners and its HTTP front, as an async context manager."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from local.host.config import HostConfig
from local.host.connections import Connections
from local.host.events import EventHubListener
from local.host.functions import Function, load
from local.host.http import HttpFront, Keys
from local.host.invoke import Invocation, Invoker
from local.host.queues import QueueListener
from local.host.timers import TimerListener

Listener = TimerListener | QueueListener | EventHubListener


class FunctionsHost:
    """Runs the functions of `app_file` with these app settings, on a free loopback port unless one is named.

    The app itself reads the process's environment, so in a process of its own `settings` is `os.environ`.  A
    `host.json` beside the app counts unless `config` is given.  Timers begin with `timers`, the admin route fires
    them anyway.  `poll_seconds` is how often queues and partitions are looked at, `grace_seconds` how long a
    graceful stop waits for what runs.
    """

    def __init__(
        self,
        app_file: Path,
        settings: Mapping[str, str],
        *,
        config: HostConfig | None = None,
        port: int = 0,
        keys: Keys | None = None,
        timers: bool = True,
        poll_seconds: float = 0.2,
        grace_seconds: float = 10,
    ) -> None:
        self.keys = keys or Keys()
        self.config = config or HostConfig.load(app_file.resolve().parent / "host.json")
        self.functions = load(app_file, settings)
        self.port = port
        self._settings, self._timers = settings, timers
        self._poll, self._grace = poll_seconds, grace_seconds

    @property
    def url(self) -> str:
        """The address of the HTTP front, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def invocations(self) -> list[Invocation]:
        """Every attempt so far, in the order they ended."""
        return self._invoker.history

    async def __aenter__(self) -> Self:
        threads = self._settings.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._invoker = Invoker(self.config.function_timeout, threads=int(threads) if threads else None)
        self._connections = Connections(self._settings)
        self._manual: set[asyncio.Task[None]] = set()
        self._listeners = {one.name: self._listener(one) for one in self.functions if one.kind != "httpTrigger"}
        front = HttpFront(self.functions, self.config, self._invoker, self.keys, self._fire)
        self._runner = web.AppRunner(
            front.app, access_log=None, shutdown_timeout=1, handle_signals=False, auto_decompress=False
        )
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
            self.port = self._runner.addresses[0][1]
            for function in self.functions:
                if self._listens(function):
                    await self._listeners[function.name].start()
        except BaseException:
            await self.stop(graceful=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self, *, graceful: bool = True) -> None:
        """Stop: gracefully what runs may end, abruptly it is cut off; no checkpoint is written either way."""
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            if isinstance(listener, EventHubListener):
                listener.prepare_to_stop()
        await self._invoker.drain(self._grace if graceful else 0)
        for task in self._manual:
            task.cancel()
        await asyncio.gather(*self._manual, return_exceptions=True)
        await asyncio.gather(*(listener.stop() for listener in listeners.values()))
        await self._runner.cleanup()
        await self._connections.close()

    def _listener(self, function: Function) -> Listener:
        if function.kind == "timerTrigger":
            return TimerListener(function, self._invoker, self._settings)
        given = (function, self._invoker, self._settings, self._connections)
        if function.kind == "queueTrigger":
            return QueueListener(*given, options=self.config.queues, poll_seconds=self._poll)
        return EventHubListener(*given, options=self.config.event_hubs, poll_seconds=self._poll)

    def _listens(self, function: Function) -> bool:
        is_timer = function.kind == "timerTrigger"
        return function.name in self._listeners and not function.disabled and (self._timers or not is_timer)

    async def _fire(self, function: Function, text: str) -> None:
        task = asyncio.create_task(self._listeners[function.name].run_once(text))
        self._manual.add(task)
        task.add_done_callback(self._manual.discard)
