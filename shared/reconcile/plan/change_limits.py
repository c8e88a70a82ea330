"""Limits on how many deletes and updates one run may make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from shared.reconcile.plan.model import Action, Cause, Item

# A handful of repairs is never held back by the percentage: in a small tenant one drifted export is a third of them.
ALWAYS_ALLOWED_CHANGES = 3


@dataclass(frozen=True)
class Guards:
    """How much one run may change before it stops and asks; see the settings MAX_DELETES and MAX_CHANGE_PERCENT."""

    max_deletes: int = 10
    max_change_percent: int = 20


def block(items: dict[tuple[str, str, str], Item], actions: Collection[Action], reason: str) -> None:
    """Block every item of these actions for one reason."""
    for key, item in items.items():
        if item.action in actions:
            items[key] = item.blocked(reason)


def hold_back(items: dict[tuple[str, str, str], Item], guards: Guards, owned_count: int) -> tuple[str, ...]:
    """Hold back all deletes, or all repairs of drift, when there are more than the guards allow.

    Creates are never guarded, nor are updates that follow from an edit of a file, a renewed key or a named cause:
    those were asked for.
    """
    counts = Counter(item.action for item in items.values())
    held = []
    if counts[Action.DELETE] > guards.max_deletes:
        held.append(f"{counts[Action.DELETE]} deletes are more than MAX_DELETES allows ({guards.max_deletes})")
        block(items, {Action.DELETE}, held[-1])
    drifted = {key for key, item in items.items() if item.action is Action.UPDATE and item.cause in {None, Cause.DRIFT}}
    if len(drifted) > allowed_changes(guards.max_change_percent, owned_count):
        held.append(
            f"{len(drifted)} updates of {owned_count} automations are more than MAX_CHANGE_PERCENT allows "
            f"({guards.max_change_percent} %)"
        )
        for key in drifted:
            items[key] = items[key].blocked(held[-1])
    return tuple(held)


def allowed_changes(percent: int, owned_count: int) -> float:
    """How many updates a run may make: the share of what is owned, but never less than a handful; 0 allows none."""
    if percent >= 100:  # noqa: PLR2004 - all of them, which turns the guard off
        return float("inf")
    return max(ALWAYS_ALLOWED_CHANGES, owned_count * percent // 100) if percent else 0
