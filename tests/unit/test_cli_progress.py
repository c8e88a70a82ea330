"""Progress of long work: what it says, and that nobody sees it who does not watch."""

from __future__ import annotations

import io

import pytest

from shared.cli.progress import Progress, told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("count", "total", "seconds", "text"),
    [
        (1, 10, 10.0, "1 of 10 done, about 2 min to go"),
        (5, 10, 10.0, "5 of 10 done, about 10 s to go"),
        (10, 10, 10.0, "10 of 10 done"),
        (1234, 20_000, 60.0, "1,234 of 20,000 done, about 15 min to go"),
        (0, 10, 10.0, "0 of 10 done"),
        (3, 0, 10.0, "3 done"),
    ],
)
def test_what_is_told(count: int, total: int, seconds: float, text: str) -> None:
    assert told(count, total, seconds) == text


def test_a_terminal_sees_one_line_that_is_taken_away() -> None:
    moments = iter([0.0, 0.0, 1.0, 1.1, 2.0])
    stream = Terminal()
    with Progress(stream, "written", now=lambda: next(moments)) as progress:
        progress.total = 3
        for _ in range(3):
            progress.step()
    shown = stream.getvalue()
    assert shown == "\r\033[K1 of 3 written, about 2 s to go\r\033[K3 of 3 written\r\033[K"


def test_what_is_piped_is_quiet() -> None:
    stream = io.StringIO()
    with Progress(stream, "written") as progress:
        progress.total = 1
        progress.step()
    assert stream.getvalue() == ""
