"""An event loop whose clock jumps over every wait: hours pass in milliseconds, in the right order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.clock import Clock

T = TypeVar("T")
START = datetime(2026, 11, 22, 12, tzinfo=UTC)


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for nothing, moves the clock to where the wait would end."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.seconds += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.seconds


def virtually(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario from START on, without waiting."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


def virtual_clock() -> Clock:
    """The running virtual loop's clock."""
    loop = asyncio.get_running_loop()
    return Clock(lambda: START + timedelta(seconds=loop.time()), loop.time, asyncio.sleep)
