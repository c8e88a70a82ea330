"""Asking a person before something is done."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.cli.time_limit import got_on


def confirmed(question: str, *, agreed: bool, nothing: str = "nothing was done") -> bool:
    """Whether the answer is yes; without a terminal to ask on, it says that `--yes` is needed."""
    if agreed:
        return True
    if not sys.stdin.isatty():
        print(f"{nothing}: confirm with --yes", file=sys.stderr)
        return False
    if answer(f"{question} Only 'yes' is accepted: ") == "yes":
        return True
    print(nothing, file=sys.stderr)
    return False


def answer(question: str) -> str:
    """What was typed, without blanks around it; empty at the end of input."""
    with _interruptible():
        try:
            return input(question).strip()
        except EOFError:
            return ""
        finally:
            got_on()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends a question at once: asyncio's own handler would wait for the answer first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
