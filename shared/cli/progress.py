"""How far long work is, as one line that a terminal renews; nothing where the output is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self, TextIO

_EVERY_SECONDS = 0.25
_CLEAR = "\r\033[K"


class Progress:
    """Counts steps of `total`; to be left as a context, so that the line is taken away whatever happens."""

    def __init__(self, stream: TextIO, done: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._stream = stream
        self._done = done
        self._now = now
        self._count = 0
        self._begun = now()
        self._told = float("-inf")
        self._shows = stream.isatty()

    def __enter__(self) -> Self:
        self._begun = self._now()
        return self

    def __exit__(self, *details: object) -> None:
        if self._shows and self._told > float("-inf"):
            self._stream.write(_CLEAR)
            self._stream.flush()

    def step(self) -> None:
        """One more is done."""
        self._count += 1
        now = self._now()
        if self._shows and now - self._told >= _EVERY_SECONDS:
            self._told = now
            self._stream.write(f"{_CLEAR}{told(self._count, self.total, now - self._begun, self._done)}")
            self._stream.flush()


def told(count: int, total: int, seconds: float, done: str = "done") -> str:
    """So many of how many, and how long the rest takes at the pace so far."""
    if total < count:
        return f"{count:,} {done}"
    left = seconds * (total - count) / count if count else 0
    rest = f", about {_duration(left)} to go" if left >= 1 else ""
    return f"{count:,} of {total:,} {done}{rest}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - a minute and a half
