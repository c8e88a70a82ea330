"""An event loop whose time jumps to the next timer, so that hours of waiting pass at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from shared.clock import Clock

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Instead of waiting, move the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time, in seconds from 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def clock() -> Clock:
    """The running loop's time."""

    def seconds() -> float:
        return asyncio.get_running_loop().time()

    return Clock(lambda: datetime.fromtimestamp(seconds(), UTC), seconds, asyncio.sleep)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
