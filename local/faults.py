"""Misbehaviour on demand: seeded, so that a run can be repeated, and scripted, so that a test can name it."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "latency",  # answer later, by `seconds`
    "throttle",  # 429 with Retry-After: `retry_after`
    "throttle_bare",  # 429 without Retry-After
    "error",  # `status` (500, 502, 503 or 504)
    "timeout",  # 408
    "drop_before",  # the connection is cut before the request took effect
    "drop_after",  # the request took effect, then the connection is cut
    "hang",  # no answer for `seconds`
    "expire_token",  # 401: the token counts as expired
)


@dataclass(frozen=True)
class Fault:
    """One thing to do to one request."""

    kind: str
    seconds: float = 0.05
    retry_after: float = 1
    status: int = 503


@dataclass
class _Rule:
    fault: Fault
    pattern: re.Pattern[str]
    rate: float
    remaining: int | None

    def applies(self, request: str) -> bool:
        return self.remaining != 0 and self.pattern.search(request) is not None


@dataclass
class Faults:
    """The faults of one emulator.

    Requests are matched as the text "METHOD /path"; the first rule that fires decides.
    """

    seed: int = 0
    fired: dict[str, int] = field(default_factory=dict)
    _rules: list[_Rule] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def add(
        self, kind: str, *, rate: float = 1.0, matching: str = "", times: int | None = None, **details: Any
    ) -> None:
        """Let `kind` befall requests that match the pattern: a share `rate` of them, at most `times`."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(KINDS)}")
        self._rules.append(_Rule(Fault(kind, **details), re.compile(matching), rate, times))

    def clear(self) -> None:
        """Behave again."""
        self._rules.clear()

    def reseed(self, seed: int) -> None:
        """Start the same sequence of chances again."""
        self.seed = seed
        self._random = random.Random(seed)

    def decide(self, method: str, path: str) -> Fault | None:
        """The fault that befalls this request, if any."""
        request = f"{method} {path}"
        for rule in self._rules:
            if rule.applies(request) and self._random.random() < rule.rate:
                if rule.remaining is not None:
                    rule.remaining -= 1
                self.fired[rule.fault.kind] = self.fired.get(rule.fault.kind, 0) + 1
                return rule.fault
        return None

    def configure(self, document: dict[str, Any]) -> None:
        """Replace all rules by those of a control request: `{"seed": 1, "rules": [{"kind": "error", "rate": 0.1}]}`."""
        self.clear()
        if "seed" in document:
            self.reseed(int(document["seed"]))
        for rule in document.get("rules", []):
            self.add(**rule)
