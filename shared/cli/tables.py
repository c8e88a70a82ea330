"""Rows of text as columns, within the width of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from shared.cli.argument_parser import WIDTH
from shared.shown_text import printable

_GAP = "  "
_LEAST = 20
"""Columns that the last cell needs beside the others, or its longest word; with less, a row takes two lines."""
_INDENT = "    "

Row = Sequence[str] | str
"""The cells of a row, or a line that belongs to the row above it."""


def print_table(head: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the rows below their head; the last cell is wrapped, and nothing but a long word is over the width."""
    for line in table(head, rows):
        print(line)


def table(head: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """The lines of a table."""
    shown: list[Row] = [row if isinstance(row, str) else [printable(cell) for cell in row] for row in rows]
    cells = [list(head), *(row for row in shown if not isinstance(row, str))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head) - 1)]
    least = _least(cells)
    alone = len(head) > 1 and sum(widths) + len(_GAP) * len(widths) + least > WIDTH
    for row in [list(head), *shown]:
        if isinstance(row, str):
            yield from _wrapped(printable(row), _INDENT, _INDENT * 2)
        elif alone:
            yield row[0]
            yield from _joined(row[1:], widths[1:], _INDENT, least)
        else:
            yield from _joined(row, widths, "", least)


def _least(cells: Sequence[Sequence[str]]) -> int:
    longest = max((len(word) for row in cells for word in row[-1].split()), default=0)
    return min(max(_LEAST, longest), max(len(row[-1]) for row in cells))


def _joined(cells: Sequence[str], widths: Sequence[int], indent: str, least: int) -> Iterator[str]:
    before = "".join(f"{cell:{width}}{_GAP}" for cell, width in zip(cells, widths, strict=False))
    first = indent + before
    later = " " * len(first) if len(first) + least <= WIDTH else _INDENT * 2
    yield from _wrapped(cells[-1], first, later) if cells[-1] else [first.rstrip()]


def _wrapped(text: str, first: str, later: str) -> Iterator[str]:
    room = max(WIDTH - len(first), 1)
    lines = textwrap.wrap(text, WIDTH - len(later), break_long_words=False, break_on_hyphens=False)
    if lines and len(lines[0]) > room:
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    yield from (f"{first if not number else later}{line}".rstrip() for number, line in enumerate(lines))
