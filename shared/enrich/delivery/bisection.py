"""A refused body is halved until the rows that the service refuses stand alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol, Self, TypeVar


class Divisible(Protocol):
    """Rows that can be sent in parts."""

    def __len__(self) -> int:
        """How many rows."""

    def part(self, start: int, stop: int) -> Self:
        """Some of the rows."""


class Sent(Enum):
    """What became of a body: accepted, refused as a whole, or refused for a row in it."""

    ACCEPTED = 1
    REFUSED = 2
    ROW_REFUSED = 3


D = TypeVar("D", bound=Divisible)


async def bisect(body: D, send: Callable[[D], Awaitable[Sent]], *, suspect: bool = False) -> bool:
    """Send a body and, where a row in it is refused, its halves; return whether it was accepted whole.

    A bad row among n costs at most 2 log2(n) + 1 requests more.  When a refused body's first half passes, the second
    is `suspect`: it is halved without being sent whole once more.
    """
    if not suspect or len(body) == 1:
        sent = await send(body)
        if sent is not Sent.ROW_REFUSED or len(body) == 1:
            return sent is Sent.ACCEPTED
    middle = len(body) // 2
    first_passed = await bisect(body.part(0, middle), send)
    await bisect(body.part(middle, len(body)), send, suspect=first_passed)
    return False
