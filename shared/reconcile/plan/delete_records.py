"""Which automations of ours may go, and why not yet: the last decision of a plan, and the one with the most doubt.

An automation goes only by a record: its export was deleted by name, moved, renamed, or no longer selects the
subscription for longer than a grace.  What is not found, not known or can't be read is no record, and nothing goes in
a subscription where something that is wanted is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.exports.compiler import NAME_TAG
from shared.exports.ownership import owned, tag
from shared.reconcile.model import Live, Subscription
from shared.reconcile.plan.model import Action, Cause, Declaration, Item, Left

Items = dict[tuple[str, str, str], Item]
# Complete runs that must agree, besides the time, before what left a scope is deleted.
AGREEING_RUNS = 2


@dataclass(frozen=True)
class Grace:
    """How long what left a scope stays: `period` from when the first complete run saw it, and at least two such runs.

    `left` is what the last complete run noted, by the automation's id in lower case.  `waived` for a plan that people
    review before it is carried out.
    """

    now: datetime
    period: timedelta = timedelta(0)
    left: Mapping[str, Left] = field(default_factory=dict)
    waived: bool = False

    def note(self, automation: str) -> Left:
        """What this run notes of an automation that is out of scope."""
        before = self.left.get(automation.lower())
        return Left(self.now) if before is None else Left(min(before.since, self.now), before.runs + 1)

    def over(self, noted: Left) -> bool:
        """Whether it may go now."""
        return self.waived or (noted.runs >= AGREEING_RUNS and self.now - noted.since >= self.period)


class Deletes:
    """Decides about automations that no export declares at their place."""

    def __init__(
        self,
        declaration: Declaration,
        subscriptions: Mapping[str, Subscription],
        instance_id: str,
        grace: Grace | None,
    ) -> None:
        self._declaration = declaration
        self._subscriptions = subscriptions
        self._instance_id = instance_id
        self._grace = grace
        self._successors: dict[tuple[str, str], Item] = {}
        self._clashing: dict[str, str] = {}
        self.left: dict[str, Left] = {}
        """What is out of scope in this run, for the next to know."""

    def note_declared(self, items: Iterable[Item]) -> None:
        """Take note of every automation that is declared: of several, one that can't be made tells the most."""
        for item in items:
            where = item.export, item.id.key[0]
            if where not in self._successors or item.action in {Action.BLOCKED, Action.FOREIGN}:
                self._successors[where] = item
            if item.clash:
                self._clashing.setdefault(item.export, item.reason)

    def decide(self, live: Live) -> Item:
        """What happens to an automation that no export declares at this place."""
        if not owned(live.tags, self._instance_id):
            return Item(Action.FOREIGN, live.id)
        item = Item(Action.DELETE, live.id, tag(live.tags, NAME_TAG).lower())
        if doubt := self._doubt(item):
            return item.blocked(doubt)
        subscription = self._subscriptions.get(live.id.key[0])
        if subscription is not None and not subscription.writable:
            return item.skipped(subscription.state)
        decided = self._recorded(item, subscription)
        if subscription is None and decided.action is Action.DELETE:
            return item.blocked("the subscription was not found, or this app may not read it")
        return decided

    def _doubt(self, item: Item) -> str:
        """Why nothing is known about what this automation is for; empty when it is known."""
        declaration, export = self._declaration, item.export
        if export in declaration.unreadable:
            return f"the file of {export} can't be read: {declaration.unreadable[export]}"
        if not export:
            return "its tags name no export, so it is not known what it is for; name it or delete it by hand"
        if doubtful := sorted({*declaration.unreadable, *declaration.doubtful}):
            return f"nothing is deleted as long as a file can't be read: {', '.join(doubtful[:5])}"
        if export in declaration.contested:
            return declaration.contested[export]
        for name in (export, declaration.renamed.get(export, "")):
            if name in self._clashing:
                return (
                    f"nothing of {name} is deleted as long as two exports claim one automation: {self._clashing[name]}"
                )
        return ""

    def _recorded(self, item: Item, subscription: Subscription | None) -> Item:
        """The delete with the record that it rests on, or why there is none."""
        declaration, export = self._declaration, item.export
        heir = declaration.renamed.get(export, export)
        if successor := self._successors.get((heir, item.id.key[0])):
            return self._moved(item, heir, successor)
        if export in declaration.deleted:
            return replace(item, reason=f"the export {export} is no longer declared: {declaration.deleted[export]}")
        if heir not in declaration.exports:
            return item.blocked(
                f"the export {export} has no file, and no record says that it was deleted: put its file back, or end "
                f"it with `defender-export exports delete {export}`"
            )
        return self._out_of_scope(item, heir, subscription)

    @staticmethod
    def _moved(item: Item, heir: str, successor: Item) -> Item:
        if successor.action in {Action.BLOCKED, Action.FOREIGN}:
            return item.blocked(f"its successor {successor.id.name} can't be made")
        verb = "moved" if heir == item.export else f"is now {heir}, and moved"
        where = f"{successor.id.resource_group}/{successor.id.name}"
        return replace(item, reason=f"the export {item.export} {verb} to {where}", cause=Cause.MOVE)

    def _out_of_scope(self, item: Item, heir: str, subscription: Subscription | None) -> Item:
        """The delete of an automation whose subscription its export does not select, where that is certain."""
        declaration = self._declaration
        if unknown := declaration.unknown.get(heir):
            return item.blocked(f"the scope of {heir} names what is not known, so it may mean more: {unknown[0]}")
        if heir in declaration.by_group and subscription is not None and not subscription.placed:
            return item.blocked("the management groups of the subscription are not known, so it may still be selected")
        reason = f"the subscription is no longer in the scope of {heir}"
        if self._grace is None:
            return replace(item, reason=reason)
        noted = self.left[str(item.id).lower()] = self._grace.note(str(item.id))
        if self._grace.over(noted):
            return replace(item, reason=reason)
        due = max(noted.since + self._grace.period, self._grace.now)
        waits = f"it is deleted in the first complete run after {due:%Y-%m-%d %H:%M} UTC, unless it comes back"
        return replace(item, action=Action.LEAVING, reason=f"{reason}; {waits}", wanted=Action.DELETE)


def missing_where(items: Iterable[Item]) -> dict[str, str]:
    """The subscriptions in which an export is wanted that is not in force and can't be put in force, and its name."""
    missing: dict[str, str] = {}
    for item in items:
        if item.declared and item.action in {Action.BLOCKED, Action.FOREIGN}:
            missing.setdefault(item.id.key[0], item.export)
    return missing


def hold_where_missing(items: Items, missing: Mapping[str, str]) -> None:
    """Block deletes in subscriptions where something that is wanted is missing."""
    for key, item in items.items():
        if item.action is Action.DELETE and key[0] in missing:
            items[key] = item.blocked(
                f"nothing is deleted in a subscription before {missing[key[0]]} is in force there"
            )
