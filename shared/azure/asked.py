"""What was asked of which service and not answered well, for an error that says what a wait was for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

SIGN_IN = "Microsoft Entra"
_PROBED = "169.254.169.254"  # azure-identity looks there for a managed identity, which a laptop has not
_NOT_WELL = frozenset({408, 429, *range(500, 600)})
_NOTICED_SECONDS = 0.5


class _Trouble(NamedTuple):
    what: str
    since: float


class Asked:
    """The requests of one command by service and host: who is in trouble, since when, and how long each took.

    `now` gives monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._troubles: dict[str, _Trouble] = {}
        self._spent: dict[str, float] = {}
        self._under_way: dict[object, tuple[str, float]] = {}

    @contextmanager
    def request(self, service: str, host: str) -> Iterator[Callable[[int], None]]:
        """One request; what it gives takes the status of the answer."""
        place = f"{service} at {host}"
        begun = self._now()
        request = object()
        self._under_way[request] = place, begun

        def answered(status: int) -> None:
            if status in _NOT_WELL:
                self._note(place, f"answers {status}", begun)
            else:
                self._troubles.pop(place, None)

        try:
            yield answered
        except Exception as error:
            if host != _PROBED:
                self._note(place, f"can't be reached ({type(error).__name__})", begun)
            raise
        except BaseException:  # cut off
            self._note(place, "has not answered", begun)
            raise
        finally:
            del self._under_way[request]
            self._spent[place] = self._spent.get(place, 0.0) + self._now() - begun

    def _note(self, place: str, what: str, begun: float) -> None:
        earlier = self._troubles.get(place)
        self._troubles[place] = _Trouble(what, earlier.since if earlier else begun)

    def troubles(self, service: str = "") -> list[str]:
        """Which have not answered well for half a second or more, the longest first."""
        now = self._now()
        for place, begun in self._under_way.values():
            self._note(place, "has not answered", begun)
        ranked = sorted(self._troubles.items(), key=lambda each: each[1].since)
        return [
            f"{place} {trouble.what}, for {now - trouble.since:.0f} s"
            for place, trouble in ranked
            if now - trouble.since >= _NOTICED_SECONDS and place.startswith(service)
        ]

    def slowest(self) -> str:
        """Which service took longest in all; empty where none was asked."""
        if not self._spent:
            return ""
        place = max(self._spent, key=lambda each: self._spent[each])
        return f"{place} was slowest, with {self._spent[place]:.0f} s in all"


noted: ContextVar[Asked | None] = ContextVar("asked", default=None)
"""Where requests are noted; nowhere unless a command is at work."""


def asking(service: str, url: str) -> AbstractContextManager[Callable[[int], None]]:
    """One request to a service by its URL, noted where that is wanted."""
    record = noted.get()
    return nullcontext(_unnoted) if record is None else record.request(service, urlsplit(url).netloc)


def _unnoted(status: int) -> None:
    pass
