"""How many uploads may run at once: fewer after each 429, one more after each round without (AIMD).

One limiter serves the process, so that partitions share what the data collection rule grants.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.clock import Clock, Deadline
from shared.retry_after_header import LONGEST_SECONDS, capped


class Limiter:
    """At most `limit` at once, between 1 and `maximum`; a pause applies to all uploads."""

    def __init__(self, maximum: int, clock: Clock) -> None:
        self.limit = float(maximum)
        self.running = 0
        self._maximum = maximum
        self._clock = clock
        self._resume_at = float("-inf")
        self._cut_at = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self, deadline: Deadline) -> AsyncIterator[None]:
        """Hold one of the slots.

        Raises:
            TimeoutError: the deadline passed, or will pass, while waiting.
        """
        while self.paused or self.running >= int(self.limit):
            if self.paused:  # looked at after each turn, since a pause may have begun meanwhile
                await self._wait_out_pause(deadline)
            else:
                await self._wait_for_turn(deadline)
        if deadline.left <= 0:
            self._wake()
            raise TimeoutError
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._wake()

    @property
    def paused(self) -> bool:
        """Whether the service asked all uploads to wait, and the time is not over."""
        return self._resume_at > self._clock.monotonic()

    def succeeded(self) -> None:
        """An upload was accepted: one slot more after as many successes as there are slots."""
        self.limit = min(float(self._maximum), self.limit + 1 / self.limit)

    def throttled(self, sent_at: float, pause: float) -> None:
        """An upload sent at `sent_at` was answered 429: halve once per round, and pause all uploads (seconds).

        A pause longer than a minute is cut to one, and a single upload then finds out whether it is over.
        """
        now = self._clock.monotonic()
        if sent_at >= self._cut_at:
            self.limit = max(1.0, self.limit / 2)
            self._cut_at = now
        if pause > LONGEST_SECONDS:
            self.limit = 1.0
        self._resume_at = max(self._resume_at, now + capped(pause))

    async def _wait_out_pause(self, deadline: Deadline) -> None:
        while (pause := self._resume_at - self._clock.monotonic()) > 0:
            if pause >= deadline.left:
                self._wake()  # a turn that is not used is the next one's
                raise TimeoutError
            await self._clock.sleep(pause)

    async def _wait_for_turn(self, deadline: Deadline) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(deadline.left):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._wake()  # the slot was granted to a cancelled waiter: grant it to the next
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _wake(self) -> None:
        free = int(self.limit) - self.running
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
