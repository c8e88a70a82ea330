"""Rollouts: an edit, or what a new release writes otherwise, reaches one management group after another.

Where a rollout stands is read from what is live and never from a record of earlier runs: a group is reached once all
that the export declares in the groups before is in force, and has been for a set time.  The marks on the automations
say since when, and whether a run named what this release changes.  Drift and renewed keys never wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared import __version__
from shared.exports.compiler import FINGERPRINT_TAG, NAME_TAG
from shared.exports.ownership import owned, tag
from shared.reconcile.model import Live, Subscription
from shared.reconcile.plan.model import Action, Cause, Item, Rollout
from shared.reconcile.plan.provenance_tags import read_mark

Key = tuple[str, str, str]
HeldBack = Callable[[Item, Live], Item]
_ARRIVALS = frozenset({Action.CREATE, Action.ADOPT})
_ASKED_FOR = frozenset({Cause.FILE, Cause.RELEASE})
# A mark further ahead than clocks differ is none of this app's, and holds nothing up.
_CLOCKS_DIFFER = timedelta(days=1)
_KEY = f"tags.{FINGERPRINT_TAG}"


@dataclass(frozen=True)
class Found:
    """What a run sees: subscriptions by id and automations by key, when, and why that may be incomplete.

    `causes` are those that the run names.
    """

    subscriptions: Mapping[str, Subscription]
    live: Mapping[Key, Live]
    instance_id: str
    now: datetime
    incomplete: str = ""
    causes: Collection[Cause] = ()


@dataclass(frozen=True)
class Held:
    """What the rollouts of one plan say: where each that is under way stands, and what looks wrong with an order."""

    standing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def hold_groups(items: dict[Key, Item], rollouts: Mapping[str, Rollout], found: Found, held_back: HeldBack) -> Held:
    """Hold back what is not yet the turn of its group; `held_back` leaves an item's compiled parts as they are live.

    A subscription that is new in a group which the export has reached before gets its automation at once.
    """
    if not rollouts:
        return Held()
    mine: dict[str, list[Key]] = defaultdict(list)
    for key, item in items.items():
        if item.export in rollouts:
            mine[item.export].append(key)
    live: dict[str, list[Live]] = defaultdict(list)
    for automation in found.live.values():
        if owned(automation.tags, found.instance_id):
            live[tag(automation.tags, NAME_TAG).lower()].append(automation)
    standing, warnings = [], []
    for export, keys in sorted(mine.items()):
        one = _OneRollout(rollouts[export], found, items, (keys, live[export]))
        one.hold(held_back)
        if one.under_way():
            standing.append(f"rollout of {export}: {one.told()}")
        warnings += [
            f"{export}: the rollout names {group}, and no subscription that the export selects lies below it"
            for group in one.empty()
        ]
    return Held(tuple(standing), tuple(warnings))


class _OneRollout:
    """One export's items by group; `items` is changed in place."""

    def __init__(
        self,
        rollout: Rollout,
        found: Found,
        items: dict[Key, Item],
        mine: tuple[list[Key], list[Live]],
    ) -> None:
        self._rollout = rollout
        self._found = found
        self._items = items
        self._keys: dict[int, list[Key]] = defaultdict(list)
        self._live: dict[int, list[Live]] = defaultdict(list)
        self._places = {each.id.key[0] for each in mine[1]}
        for key in mine[0]:
            self._keys[self._group(key)].append(key)
        for each in mine[1]:
            self._live[self._group(each.id.key)].append(each)
        self._gates = {group: self._gate(group) for group in sorted(self._keys)}
        self._let_through = {group: self._was_let_through(group) for group in self._gates}

    def hold(self, held_back: HeldBack) -> None:
        """Leave as it is live what a group may not get yet."""
        named = Cause.RELEASE in self._found.causes
        for group, gate in self._gates.items():
            for key in self._keys[group]:
                item, there = self._items[key], self._found.live.get(key)
                release = item.cause is Cause.RELEASE and item.action is Action.UPDATE and not item.retag
                if there is not None and release and not (named or self._let_through[group]):
                    self._items[key] = held_back(item, there)
                elif gate and self._waits(item, group):
                    self._items[key] = self._held(item, there, gate, held_back)

    def under_way(self) -> bool:
        """Whether anything waits for its turn."""
        return any(self._items[key].waits for keys in self._keys.values() for key in keys)

    def told(self) -> str:
        """How far it came, group by group."""
        parts = []
        for group, gate in self._gates.items():
            keys = self._keys[group]
            waiting = sum(self._items[key].waits for key in keys)
            part = f"{self._rollout.name(group)} {sum(map(self._in_force, keys))} of {len(keys)} in force"
            parts.append(f"{part}, {waiting} wait: {gate}" if waiting else part)
        return "; ".join(parts)

    def empty(self) -> Iterator[str]:
        """Groups of the order that hold nothing of this export."""
        return (name for group, name in enumerate(self._rollout.groups) if not self._keys.get(group))

    def _group(self, key: Key) -> int:
        return self._rollout.group_of(self._found.subscriptions.get(key[0]))

    def _gate(self, group: int) -> str:
        """Why a group is not reached yet; empty when it is."""
        earlier = [key for before, keys in self._keys.items() if before < group for key in keys]
        pending = [key for key in earlier if not self._in_force(key) and self._writable(key)]
        if pending:
            return self._unsettled(pending)
        if group > 0 and self._found.incomplete:
            return f"it is not known how the groups before it stand, since {self._found.incomplete}"
        since = [
            moment
            for before, there in self._live.items()
            if before < group
            for moment in (read_mark(each.tags).since for each in there)
            if moment is not None and moment <= self._found.now + _CLOCKS_DIFFER
        ]
        if since and self._found.now < max(since) + self._rollout.wait:
            return f"the groups before it are in force since {_minute(max(since))}, it goes on at " + _minute(
                max(since) + self._rollout.wait
            )
        return ""

    def _unsettled(self, pending: list[Key]) -> str:
        """Which group before is not in force, and what its first subscription lacks."""
        first = min(pending, key=lambda key: (self._group(key), key))
        item = self._items[first]
        name = self._rollout.name(self._group(first))
        number = sum(self._group(key) == self._group(first) for key in pending)
        why = self._rollout.blocked or item.reason or f"{item.action.value} is to be done"
        return f"{number} of {name} are not in force, the first in subscription {first[0]}: {why}"

    def _in_force(self, key: Key) -> bool:
        return self._items[key].action is Action.UNCHANGED and not self._rollout.blocked

    def _writable(self, key: Key) -> bool:
        """A subscription that is read-only holds no rollout up."""
        subscription = self._found.subscriptions.get(key[0])
        return subscription is None or subscription.writable

    def _was_let_through(self, group: int) -> bool:
        """Whether what this release changes was let through in a group before."""
        return any(
            read_mark(each.tags).let_through == __version__
            for before, there in self._live.items()
            if before < group
            for each in there
        )

    def _waits(self, item: Item, group: int) -> bool:
        """Whether an item is of those that go group by group."""
        action = item.action
        if action is Action.BLOCKED and item.wanted and item.reason == self._rollout.blocked:
            action = item.wanted  # its destination takes nothing now, and it would wait anyway
        if action in _ARRIVALS:
            moves = item.id.key[0] in self._places
            return moves or not self._live.get(group)
        return action is Action.DELETE or (action is Action.UPDATE and item.cause in _ASKED_FOR)

    @staticmethod
    def _held(item: Item, there: Live | None, gate: str, held_back: HeldBack) -> Item:
        reason = f"it waits for its turn in the rollout: {gate}"
        if there is not None and item.action is Action.UPDATE:
            kept = held_back(item, there) if item.cause is Cause.RELEASE else _key_alone(item, there)
            if kept.action is Action.UPDATE:
                return replace(kept, reason=reason, waits=True)
        return replace(item, action=Action.BLOCKED, wanted=item.wanted or item.action, reason=reason, waits=True)


def _key_alone(item: Item, live: Live) -> Item:
    """An edit that waits while the key behind the automation was renewed: the key is written, the rest stays."""
    renewed = tuple(change for change in item.changes if change.path == _KEY)
    if not renewed or item.desired is None:
        return item.blocked("")
    body = live.body()
    tags = {name: value for name, value in body["tags"].items() if name.lower() != FINGERPRINT_TAG}
    wanted = {**body, "tags": tags | {FINGERPRINT_TAG: renewed[0].new}}
    return replace(item, changes=renewed, cause=Cause.KEY, desired=replace(item.desired, body=wanted, partial=True))


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
