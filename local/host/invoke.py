"""Invocations: a handler called on the loop or in the thread pool, with timeout and retry policy."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import azure.functions as func

from local.host.functions import Function

log = logging.getLogger("local.host")


class FunctionTimeoutError(Exception):
    """An invocation ran longer than `functionTimeout`; the real host restarts the worker then."""


@dataclass(frozen=True)
class Invocation:
    """What became of one attempt: `succeeded`, `failed`, `timed out` or `stopped`."""

    function: str
    outcome: str
    retries: int
    seconds: float
    error: str = ""


class InvocationContext(func.Context):
    """What a handler's `context` parameter gets."""

    def __init__(self, function: Function, retries: int, error: Exception | None) -> None:
        limit = function.retry.max_count if function.retry else 0
        self._function = function
        self._id = str(uuid.uuid4())
        self._retry = SimpleNamespace(retry_count=retries, max_retry_count=limit, exception=error)
        self._trace = SimpleNamespace(trace_parent="", trace_state="", attributes={})

    @property
    def invocation_id(self) -> str:
        """A new UUID for each attempt."""
        return self._id

    @property
    def thread_local_storage(self) -> Any:
        """Where the worker keeps the invocation's id for log records of other threads."""
        return threading.local()

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._function.name

    @property
    def function_directory(self) -> str:
        """The app's folder."""
        return self._function.directory

    @property
    def trace_context(self) -> Any:
        """Empty: this host takes no part in a trace."""
        return self._trace

    @property
    def retry_context(self) -> Any:
        """`retry_count`, `max_retry_count` and the `exception` of the attempt before."""
        return self._retry


class Invoker:
    """Calls handlers and keeps a record of every attempt."""

    def __init__(self, timeout: timedelta, *, threads: int | None = None) -> None:
        self.history: list[Invocation] = []
        self._timeout = None if timeout == timedelta.max else timeout.total_seconds()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(self, function: Function, data: Any) -> Any:
        """Call a handler once, or as often as its retry policy says, and return its answer.

        Raises:
            FunctionTimeoutError: it ran too long; that is never retried.
            Exception: whatever the last attempt raised.
        """
        task = asyncio.create_task(self._attempts(function, data))
        self._running.add(task)
        try:
            return await task
        finally:
            self._running.discard(task)

    async def drain(self, seconds: float) -> None:
        """Wait for what runs, at most so long, and cancel the rest."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _attempts(self, function: Function, data: Any) -> Any:
        retries, error = 0, None
        while True:
            try:
                return await self._attempt(function, data, retries, error)
            except FunctionTimeoutError:
                raise
            except Exception as failure:
                if function.retry is None or not function.retry.allows(retries):
                    raise
                error = failure
            await asyncio.sleep(function.retry.delay(retries))
            retries += 1

    async def _attempt(self, function: Function, data: Any, retries: int, previous: Exception | None) -> Any:
        started, outcome, error = time.monotonic(), "succeeded", ""
        try:
            return await asyncio.wait_for(self._call(function, data, retries, previous), self._timeout)
        except TimeoutError as failure:
            outcome = "timed out"
            raise FunctionTimeoutError(f"{function.name} ran longer than {self._timeout:g} s.") from failure
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        except _HandlerError as failure:
            outcome, error = "failed", type(failure.cause).__name__
            log.warning("%s failed: %s", function.name, error)
            raise failure.cause from None
        finally:
            seconds = time.monotonic() - started
            self.history.append(Invocation(function.name, outcome, retries, seconds, error))

    async def _call(self, function: Function, data: Any, retries: int, previous: Exception | None) -> Any:
        arguments = {function.parameter: data}
        if function.wants_context:
            arguments["context"] = InvocationContext(function, retries, previous)
        try:
            if inspect.iscoroutinefunction(function.handler):
                return await function.handler(**arguments)
            call = functools.partial(function.handler, **arguments)
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except Exception as failure:
            raise _HandlerError(failure) from failure


class _HandlerError(Exception):
    """Carries what a handler raised past `wait_for`, whose own timeout is an exception of the same type."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause
