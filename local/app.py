"""The app in a process of its own: the local Functions host as a child, with nothing but its app settings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class AppError(RuntimeError):
    """The app did not start; the message holds the end of its log."""


class App:
    """A running app as an async context manager: `url`, `master_key`, `host_key` and `functions` tell about it.

    Its log goes to `log`.  With `timers` off they fire only by the admin route.

    Raises:
        AppError: on entering, when it ends or says nothing for a minute.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        log: Path,
        *,
        file: Path = ROOT / "function_app.py",
        host_file: Path | None = None,
        timers: bool = True,
    ) -> None:
        self.url = self.master_key = self.host_key = ""
        self.functions: list[str] = []
        self.log = log
        self.settings = settings
        self._arguments = ["--app", str(file)]
        self._arguments += ["--host-file", str(host_file)] if host_file else []
        self._arguments += [] if timers else ["--no-timers"]
        self._given = list(self._arguments)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "local.host",
                *self._arguments,
                cwd=ROOT,
                env=os.environ | dict(self.settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            ready = await self._ready(self._process)
        except BaseException:
            await self.kill()
            raise
        self.url, self.master_key, self.host_key = ready["url"], ready["masterKey"], ready["hostKey"]
        self.functions = ready["functions"]
        return self

    async def _ready(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        line = b""
        if process.stdout:
            with contextlib.suppress(TimeoutError):
                line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        if not line:
            raise AppError(f"The app did not start: {self.log.read_text()[-2000:]}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    @property
    def process(self) -> int:
        """The id of its process; 0 before it began."""
        return self._process.pid if self._process else 0

    async def restart(self) -> None:
        """End it as a shutdown does, and start it at the same address with the same keys."""
        await self.__aexit__(None, None, None)
        port = self.url.rpartition(":")[2]
        known = ["--port", port, "--master-key", self.master_key, "--host-key", self.host_key]
        self._arguments = [*self._given, *known]
        await self.__aenter__()

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        await self.kill()
