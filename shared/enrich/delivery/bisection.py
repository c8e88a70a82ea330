"""A refused body is halved until the rows that the service refuses stand alone.

When nothing but refusals comes back, single rows taken at random from the rest tell whether the service refuses the
whole stream; then halving would only multiply the requests, and the rest waits.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, Self, TypeVar

ROWS_TO_DOUBT = 8
"""Single rows refused with one code, and none accepted, after which the stream itself is doubted."""
ROWS_TO_GIVE_UP = 24
"""The same with the rows tried at random: where half of the rows are good, 16 bad ones in a row are 1 in 65,536."""


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


@dataclass
class StreamRecord:
    """What the service said of the single rows of one stream, over all bodies of one delivery."""

    accepted: bool = False
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)

    @property
    def doubtful(self) -> bool:
        """Whether the stream may be what is refused, and not its rows."""
        return not self.accepted and max(self.refused.values(), default=0) >= ROWS_TO_DOUBT

    @property
    def given_up(self) -> bool:
        """Whether the service refuses whatever it is sent."""
        return not self.accepted and max(self.refused.values(), default=0) >= ROWS_TO_GIVE_UP


@dataclass
class _Part(Generic[D]):
    """Some rows; they are known to hold a bad one when their sibling passed and both together did not."""

    body: D
    sibling: _Part[D] | None = None
    passed: bool = False

    @property
    def suspect(self) -> bool:
        return self.sibling is not None and self.sibling.passed and len(self.body) > 1


async def bisect(
    body: D,
    send: Callable[[D], Awaitable[Sent]],
    record: StreamRecord | None = None,
    chance: Callable[[float, float], float] = random.uniform,
) -> None:
    """Send a body and, where a row in it is refused, its halves; each row is sent alone or in a part at last.

    A bad row among n costs at most 2 log2(n) + 1 requests more.  When a refused body's first half passes, the second
    is halved without being sent whole once more.
    """
    record = record or StreamRecord()
    stack = [_Part(body)]
    while stack:
        if record.doubtful and not record.given_up:
            _set_apart(stack, chance)
        part = stack.pop()
        if record.given_up or not part.suspect:
            sent = await send(part.body)
            part.passed = sent is Sent.ACCEPTED
            if sent is not Sent.ROW_REFUSED or len(part.body) == 1:
                continue
        middle = len(part.body) // 2
        first = _Part(part.body.part(0, middle))
        stack += [_Part(part.body.part(middle, len(part.body)), first), first]


def _set_apart(stack: list[_Part[D]], chance: Callable[[float, float], float]) -> None:
    """Put one row of the rest, chosen at random, on top of the stack."""
    left = sum(len(part.body) for part in stack)
    at = min(int(chance(0, left)), left - 1)
    for index, part in enumerate(stack):
        rows = len(part.body)
        if at < rows:
            pieces = [(0, at), (at + 1, rows)]
            stack[index : index + 1] = [_Part(part.body.part(*piece)) for piece in pieces if piece[0] < piece[1]]
            stack.append(_Part(part.body.part(at, at + 1)))
            return
        at -= rows
