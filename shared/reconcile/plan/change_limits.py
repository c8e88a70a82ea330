"""Limits on how many automations are deleted or repaired within a day, whatever a run is narrowed to.

What earlier runs of the last 24 hours did counts too, each automation once, so that many narrowed runs can do no more
than one whole run.  What was let through, by raised limits or by approval, was asked for and does not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.reconcile.plan.model import Action, Cause, Item

# A handful of repairs is never held back by the percentage: in a small tenant one drifted export is a third of them.
ALWAYS_ALLOWED_CHANGES = 3


WINDOW = timedelta(hours=24)
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Guards:
    """How much may change in 24 hours before it waits; see the settings MAX_DELETES and MAX_CHANGE_PERCENT."""

    max_deletes: int = 10
    max_change_percent: int = 20


@dataclass(frozen=True)
class Done:
    """What earlier runs did: when, by the digest of the automation's id."""

    deletes: Mapping[str, datetime] = field(default_factory=dict)
    repairs: Mapping[str, datetime] = field(default_factory=dict)

    def since(self, moment: datetime) -> Done:
        """Only what was done after a moment."""
        kinds = ({key: at for key, at in each.items() if at > moment} for each in (self.deletes, self.repairs))
        return Done(*kinds)

    def with_items(self, items: Collection[Item], now: datetime) -> Done:
        """The same, and what these items are about to do."""
        deletes = {digest_of_id(item.id.key): now for item in items if is_loss(item)}
        repairs = {digest_of_id(item.id.key): now for item in items if is_repair(item)}
        return Done({**self.deletes, **deletes}, {**self.repairs, **repairs})


def raised(guards: Guards, *, max_deletes: int | None = None, percent: int | None = None) -> Guards:
    """The guards with what one run replaces."""
    return Guards(
        guards.max_deletes if max_deletes is None else max_deletes,
        guards.max_change_percent if percent is None else percent,
    )


def digest_of_id(key: Key) -> str:
    """What stands for an automation in the record of what was done."""
    return hashlib.sha256("/".join(key).encode()).hexdigest()[:16]


def is_loss(item: Item) -> bool:
    """Whether it deletes what nothing takes the place of."""
    return item.action is Action.DELETE and item.cause is not Cause.MOVE


def is_repair(item: Item) -> bool:
    """Whether it undoes a change from outside this app, rather than following from what was asked for."""
    return item.action is Action.UPDATE and item.cause in {None, Cause.DRIFT}


def block(items: dict[tuple[str, str, str], Item], actions: Collection[Action], reason: str) -> None:
    """Block every item of these actions for one reason."""
    for key, item in items.items():
        if item.action in actions:
            items[key] = item.blocked(reason)


def hold_back(items: dict[Key, Item], guards: Guards, owned_count: int, done: Done | None = None) -> tuple[str, ...]:
    """Hold back all deletes, or all repairs of drift, when there are more than the guards allow.

    `done` is what runs of the last 24 hours did.  Creates are never guarded, nor deletes of what moved, which goes once
    its successor is there.  Nor are updates that follow from an edit of a file, a renewed key or a named cause: those
    were asked for.
    """
    done = done or Done()
    held = []
    doomed = [key for key, item in items.items() if is_loss(item)]
    number, earlier = _together(doomed, done.deletes)
    if doomed and number > guards.max_deletes:
        held.append(f"{number} deletes{earlier} are more than MAX_DELETES allows ({guards.max_deletes})")
        _hold(items, doomed, held[-1])
    drifted = [key for key, item in items.items() if is_repair(item)]
    number, earlier = _together(drifted, done.repairs)
    if drifted and number > allowed_changes(guards.max_change_percent, owned_count):
        held.append(
            f"{number} updates{earlier} of {owned_count} automations are more than MAX_CHANGE_PERCENT allows "
            f"({guards.max_change_percent} %)"
        )
        _hold(items, drifted, held[-1])
    return tuple(held)


def _together(keys: Collection[Key], earlier: Mapping[str, datetime]) -> tuple[int, str]:
    """How many automations are meant now or were before, and the words for those before."""
    now = {digest_of_id(key) for key in keys}
    number = len(now | earlier.keys())
    before = number - len(now)
    return number, f" within 24 hours ({before} of them before this run)" if before else ""


def _hold(items: dict[Key, Item], keys: Collection[Key], reason: str) -> None:
    for key in keys:
        items[key] = items[key].blocked(reason)


def allowed_changes(percent: int, owned_count: int) -> float:
    """How many updates a run may make: the share of what is owned, but never less than a handful; 0 allows none."""
    if percent >= 100:  # noqa: PLR2004 - all of them, which turns the guard off
        return float("inf")
    return max(ALWAYS_ALLOWED_CHANGES, owned_count * percent // 100) if percent else 0
