"""How a benchmark says what was measured against its budget: one line, which people and `python -m benchmarks` read."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(
    r"^  (?P<what>.+): (?P<measured>[^:]+), budget (?P<budget>[^:]+): (?P<verdict>met|MISSED)$", re.MULTILINE
)


class Budget(NamedTuple):
    """One budget: what it is on, what was measured, what is allowed, and whether it is met."""

    what: str
    measured: str
    budget: str
    met: bool

    def line(self) -> str:
        """The line to print."""
        return f"  {self.what}: {self.measured}, budget {self.budget}: {'met' if self.met else 'MISSED'}"


def budgets_in(text: str) -> list[Budget]:
    """The budgets that a benchmark's output states."""
    return [
        Budget(found["what"], found["measured"], found["budget"], found["verdict"] == "met")
        for found in _LINE.finditer(text)
    ]
