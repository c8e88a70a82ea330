"""Is what was declared in force?  For each export: in how many subscriptions, and for the rest one reason each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.reconcile.apply.executor import SUCCESSES, Outcome
from shared.reconcile.plan.model import WRITES, Action, Item, Plan

HERE = "<subscription>"
MAX_REASONS = 20
_PENDING = {
    Action.CREATE: "it is to be created",
    Action.UPDATE: "it is to be updated",
    Action.ADOPT: "it is to be taken over",
}


@dataclass(frozen=True)
class InForce:
    """One export: in how many subscriptions it is declared, in force, and left out since they take no writes.

    `rest` has the reasons of the others with their counts, the most frequent first.  `declared` is 0, with a reason,
    where the file can't be read.
    """

    export: str
    declared: int
    in_force: int
    skipped: int = 0
    rest: tuple[tuple[str, int], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it is in force wherever it can be."""
        return not self.rest

    def as_dict(self) -> dict[str, Any]:
        """The export as JSON-ready data."""
        return {
            "export": self.export,
            "declared": self.declared,
            "inForce": self.in_force,
            "skipped": self.skipped,
            "rest": [{"reason": reason, "count": count} for reason, count in self.rest],
        }

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        rest = "".join(f"; {count}: {reason}" for reason, count in self.rest)
        return f"{self.export}: in force in {self.in_force} of {self.declared} subscriptions{skipped}{rest}"


def in_force(
    plan: Plan, outcomes: Iterable[Outcome], exports: Iterable[str], unreadable: Mapping[str, str]
) -> tuple[InForce, ...]:
    """The answer for every export, by name, from what was planned and what came of it."""
    ended = {outcome.id.key: outcome for outcome in outcomes}
    doubted = plan.doubted
    states: dict[str, dict[str, str | None]] = defaultdict(dict)
    for item in plan.declared:
        found = states[item.export]
        where, state = item.id.key[0], _state(item, ended.get(item.id.key))
        if state == "":
            state = doubted.get(item.export, "")
        if not found.get(where):  # of several automations in one subscription the one that is missing tells
            found[where] = state if state or where not in found else found[where]
    told = [_summed(name, states.get(name, {})) for name in {*exports, *states} - {*unreadable}]
    told += [InForce(name, 0, 0, rest=((f"its file can't be read: {why}", 0),)) for name, why in unreadable.items()]
    return tuple(sorted(told, key=lambda each: each.export))


def _state(item: Item, outcome: Outcome | None) -> str | None:
    """Why a declared automation is not in force; empty when it is, None when its subscription takes no writes."""
    if outcome is not None:
        return "" if outcome.status in SUCCESSES else outcome.reason or outcome.status.value.replace("_", " ")
    if item.action is Action.SKIPPED:
        return None
    if item.action in WRITES:
        return _PENDING[item.action]
    return "" if item.action is Action.UNCHANGED else item.reason


def _summed(export: str, states: Mapping[str, str | None]) -> InForce:
    raw = Counter(filter(None, states.values()))
    reasons = Counter({reason: count for reason, count in raw.items() if count > 1})
    examples: dict[str, str] = {}
    for where, state in states.items():
        if state and raw[state] == 1:  # without the subscription's own id equal ones are one
            general = state.replace(where, HERE).replace(where.upper(), HERE)
            examples.setdefault(general, state)
            reasons[general] += 1
    skipped = sum(state is None for state in states.values())
    there = len(states) - skipped - reasons.total()
    told = [
        (examples.get(reason, reason) if count == 1 else reason, count)
        for reason, count in reasons.most_common(MAX_REASONS)
    ]
    if others := reasons.total() - sum(count for _, count in told):
        told.append(("for other reasons; the run's report has each", others))
    return InForce(export, len(states), there, skipped, tuple(told))
