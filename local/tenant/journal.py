"""Current values that also remember what they were a moment ago: the source of every lag in the local Azure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")

REMEMBERED_SECONDS = 3600.0


class Journal(Generic[Value]):
    """A mapping of lower-case keys whose past, up to an hour back, can still be read."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._current: dict[str, Value] = {}
        self._times: list[float] = []
        self._replaced: list[tuple[str, Value | None]] = []
        self.version = 0

    def seed(self, key: str, value: Value) -> None:
        """Put a value that has always been there."""
        self._current[key.lower()] = value
        self.version += 1

    def put(self, key: str, value: Value) -> None:
        """Put a value now."""
        self._remember(key)
        self._current[key.lower()] = value

    def delete(self, key: str) -> Value | None:
        """Remove and return a value, if there was one."""
        if key.lower() not in self._current:
            return None
        self._remember(key)
        return self._current.pop(key.lower())

    @property
    def current(self) -> Mapping[str, Value]:
        """Every present value by its lower-case key."""
        return self._current

    def get(self, key: str, ago: float = 0.0) -> Value | None:
        """The value as it stood `ago` seconds ago."""
        key = key.lower()
        for changed, previous in self._since(ago):
            if changed == key:
                return previous
        return self._current.get(key)

    def __len__(self) -> int:
        return len(self._current)

    def __contains__(self, key: str) -> bool:
        return key.lower() in self._current

    def values(self, ago: float = 0.0) -> Iterator[Value]:
        """Every value as it stood `ago` seconds ago."""
        past = self.past(ago)
        if not past:
            yield from self._current.values()
            return
        for key, value in self._current.items():
            shown = past.pop(key, value)
            if shown is not None:
                yield shown
        yield from (value for value in past.values() if value is not None)

    def past(self, ago: float) -> dict[str, Value | None]:
        """What differed `ago` seconds ago: its value then, or None where there was none."""
        differences: dict[str, Value | None] = {}
        for key, previous in self._since(ago):
            differences.setdefault(key, previous)
        return differences

    def _since(self, ago: float) -> Iterable[tuple[str, Value | None]]:
        if ago <= 0 or not self._times:
            return ()
        return self._replaced[bisect_right(self._times, self._now() - ago) :]

    def _remember(self, key: str) -> None:
        now = self._now()
        expired = bisect_right(self._times, now - REMEMBERED_SECONDS)
        if expired > len(self._times) // 2:
            del self._times[:expired], self._replaced[:expired]
        self._times.append(now)
        self._replaced.append((key.lower(), self._current.get(key.lower())))
        self.version += 1
