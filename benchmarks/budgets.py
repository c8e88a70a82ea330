"""How a benchmark says what was measured against its budget: one line, which people and `python -m benchmarks` read."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(
    r"^  (?P<what>.+): (?P<measured>[^:]+), budget (?P<budget>[^:]+): (?P<verdict>met|MISSED|MISSED \(accepted\))$",
    re.MULTILINE,
)


class Budget(NamedTuple):
    """One budget: what it is on, what was measured, what is allowed, and whether it is met.

    `accepted` says that a decision, which `missed.md` names, lives with a miss of this size.
    """

    what: str
    measured: str
    budget: str
    met: bool
    accepted: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing is to be done about it."""
        return self.met or self.accepted

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return "met" if self.met else "MISSED (accepted)" if self.accepted else "MISSED"

    def line(self) -> str:
        """The line to print."""
        return f"  {self.what}: {self.measured}, budget {self.budget}: {self.verdict}"


def budgets_in(text: str) -> list[Budget]:
    """The budgets that a benchmark's output states."""
    return [
        Budget(
            found["what"],
            found["measured"],
            found["budget"],
            found["verdict"] == "met",
            found["verdict"].endswith("(accepted)"),
        )
        for found in _LINE.finditer(text)
    ]
