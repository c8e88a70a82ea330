"""Rows of text as columns."""

from __future__ import annotations

from collections.abc import Sequence

from shared.reconcile.plan.plan_render import printable


def print_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print the rows below their head; every column but the last is as wide as its widest text."""
    shown = [[printable(text) for text in line] for line in lines]
    widths = [max(len(line[column]) for line in (head, *shown)) for column in range(len(head) - 1)]
    for line in (head, *shown):
        cells = [f"{text:{width}}" for text, width in zip(line, widths, strict=False)]
        print("  ".join([*cells, line[-1]]).rstrip())
