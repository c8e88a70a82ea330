"""The plan: what a run would do, decided from the declaration and what is live, and nothing else.

Ownership is in the tags: `managed-by`, this deployment's instance id, and the export's name. What does not carry the
first two is foreign and never touched, unless the export's file says `adopt: true`; what carries another instance's
id is not even adopted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from shared.exports.compiler import FINGERPRINT_TAG, INSTANCE_TAG, MANAGED_BY, MANAGED_BY_TAG, NAME_TAG
from shared.reconcile.model import Desired, Inventory, Live, ResourceId, Subscription
from shared.reconcile.plan.automation_diff import Change, diff, same_location

# A handful of repairs is never held back by the percentage: in a small tenant one drifted export is a third of them.
ALWAYS_ALLOWED_CHANGES = 3


class Action(StrEnum):
    """What is to be done with one automation."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    FOREIGN = "foreign"
    BLOCKED = "blocked"


WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.ADOPT, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Item:
    """One automation and what is to be done with it; `reason` is a sentence where the action alone does not say.

    `wanted` is the action that a blocked item would have taken.
    """

    action: Action
    id: ResourceId
    export: str = ""
    changes: tuple[Change, ...] = ()
    reason: str = ""
    wanted: Action | None = None
    desired: Desired | None = field(default=None, compare=False, repr=False)

    def blocked(self, reason: str) -> Item:
        """The same automation, left alone for `reason`."""
        return replace(self, action=Action.BLOCKED, reason=reason, wanted=self.action)


@dataclass(frozen=True)
class Guards:
    """How much one run may change before it stops and asks; see the settings MAX_DELETES and MAX_CHANGE_PERCENT."""

    max_deletes: int = 10
    max_change_percent: int = 20


@dataclass(frozen=True)
class Plan:
    """Every automation that the declaration or the tenant knows, with its action.

    `reasons` say why discovery may be incomplete, `guards` which guards held something back, `warnings` what looks
    wrong with a destination.
    """

    items: tuple[Item, ...]
    reasons: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[Item, ...]:
        """The items that apply would carry out."""
        return tuple(item for item in self.items if item.action in WRITES)

    @property
    def counts(self) -> Counter[Action]:
        """How many items there are of each action."""
        return Counter(item.action for item in self.items)


@dataclass(frozen=True)
class Declaration:
    """What the export files say: each automation wanted, and which export names exist.

    `unreadable` maps the name of an export whose file is invalid, with no good version known, to the reason; `warnings`
    are about destinations.
    """

    desired: Iterable[Desired]
    exports: Collection[str]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def tag(tags: Mapping[str, str], name: str) -> str:
    """A tag's value, its name in any casing; empty when absent."""
    if name in tags:
        return tags[name]
    return next((value for key, value in tags.items() if key.lower() == name), "")


def managed(tags: Mapping[str, str]) -> bool:
    """Whether some deployment of this app made the automation."""
    return tag(tags, MANAGED_BY_TAG).lower() == MANAGED_BY


def owned(tags: Mapping[str, str], instance_id: str) -> bool:
    """Whether this deployment made the automation."""
    return managed(tags) and tag(tags, INSTANCE_TAG).lower() == instance_id.lower()


def decide(desired: Desired, live: Live | None, instance_id: str) -> Item | None:
    """What one declared automation needs, given what is there; None when a disabled export has nothing to disable."""
    if live is None:
        if not desired.enabled:
            return None
        item = Item(Action.CREATE, desired.id, desired.export, desired=desired)
        return item.blocked(desired.blocked) if desired.blocked else item
    ours = owned(live.tags, instance_id)
    if not ours and managed(live.tags):
        reason = f"it belongs to the deployment {tag(live.tags, INSTANCE_TAG) or '(unnamed)'}; choose another name"
        return Item(Action.FOREIGN, live.id, desired.export, reason=reason)
    if not ours and not desired.adopt:
        reason = "an automation of others has this name; choose another, or set `adopt: true` to take it over"
        return Item(Action.FOREIGN, live.id, desired.export, reason=reason)
    changes = diff(live, desired.body)
    if desired.blocked:  # then the key's fingerprint is not known, and its tag says nothing
        changes = tuple(change for change in changes if change.path != f"tags.{FINGERPRINT_TAG}")
    moved = not same_location(live.location, str(desired.body.get("location")))
    notes = _stays(live, desired) if moved else ""
    if not changes:
        return Item(Action.UNCHANGED, live.id, desired.export, reason=desired.blocked or notes)
    item = Item(Action.UPDATE if ours else Action.ADOPT, live.id, desired.export, changes, notes, desired=desired)
    return item.blocked(desired.blocked) if desired.blocked else item


def make_plan(
    declaration: Declaration,
    inventory: Inventory,
    instance_id: str,
    guards: Guards,
    chosen: Callable[[Item], bool] | None = None,
) -> Plan:
    """Compare the declaration with the tenant; the order is by subscription, then resource group, then name.

    `chosen` narrows the plan to some of its items, for a run that was asked to look at a part only.
    """
    subscriptions = {subscription.id.lower(): subscription for subscription in inventory.subscriptions}
    live = {automation.id.key: automation for automation in inventory.automations}
    items: dict[tuple[str, str, str], Item] = {}
    placed: dict[tuple[str, str], Item] = {}
    for desired in declaration.desired:
        key = desired.id.key
        item = decide(desired, live.get(key), instance_id)
        if item is None:
            continue
        if key in items:
            items[key] = items[key].blocked(f"the exports {items[key].export} and {desired.export} both claim it")
            continue
        items[key] = placed[desired.export, key[0]] = _unless_read_only(item, subscriptions.get(key[0]))
    for key, automation in live.items():
        if key not in items:
            items[key] = _undeclared(automation, declaration, placed, subscriptions, instance_id)
    if chosen:
        items = {key: item for key, item in items.items() if chosen(item)}
    if not inventory.complete:
        _block(items, {Action.DELETE}, f"discovery is incomplete: {'; '.join(inventory.reasons)}")
    owned_count = sum(owned(automation.tags, instance_id) for automation in live.values())
    held = _guard(items, guards, owned_count)
    return Plan(tuple(items[key] for key in sorted(items)), tuple(inventory.reasons), held, declaration.warnings)


def _stays(live: Live, desired: Desired) -> str:
    return (
        f"it stays in {live.location}: Azure can't move it; delete it to have it made anew in "
        f"{desired.body.get('location')}"
    )


def _unless_read_only(item: Item, subscription: Subscription | None) -> Item:
    if item.action not in WRITES:
        return item
    if subscription is None:
        return item.blocked("the subscription was not found, or this app may not read it")
    if not subscription.writable:
        return item.blocked(f"the subscription is {subscription.state.lower()}, and so read-only")
    return item


def _undeclared(
    automation: Live,
    declaration: Declaration,
    placed: Mapping[tuple[str, str], Item],
    subscriptions: Mapping[str, Subscription],
    instance_id: str,
) -> Item:
    """What happens to an automation that no export declares at this place."""
    if not owned(automation.tags, instance_id):
        return Item(Action.FOREIGN, automation.id)
    export = tag(automation.tags, NAME_TAG)
    item = Item(Action.DELETE, automation.id, export)
    if export in declaration.unreadable:
        return item.blocked(f"the file of {export} can't be read: {declaration.unreadable[export]}")
    if export not in declaration.exports:
        item = replace(item, reason=f"the export {export or '(unnamed)'} is no longer declared")
    elif successor := placed.get((export, automation.id.subscription_id.lower())):
        if successor.action in {Action.BLOCKED, Action.FOREIGN}:
            return item.blocked(f"its successor {successor.id.name} can't be made")
        item = replace(item, reason=f"the export {export} moved to {successor.id.resource_group}/{successor.id.name}")
    else:
        item = replace(item, reason=f"the subscription is no longer in the scope of {export}")
    return _unless_read_only(item, subscriptions.get(automation.id.subscription_id.lower()))


def _block(items: dict[tuple[str, str, str], Item], actions: Collection[Action], reason: str) -> None:
    for key, item in items.items():
        if item.action in actions:
            items[key] = item.blocked(reason)


def _guard(items: dict[tuple[str, str, str], Item], guards: Guards, owned_count: int) -> tuple[str, ...]:
    """Hold back all deletes, or all updates, when there are more than the guards allow; creates are never guarded."""
    counts = Counter(item.action for item in items.values())
    held = []
    if counts[Action.DELETE] > guards.max_deletes:
        held.append(f"{counts[Action.DELETE]} deletes are more than MAX_DELETES allows ({guards.max_deletes})")
        _block(items, {Action.DELETE}, held[-1])
    updates = counts[Action.UPDATE]  # an adoption is asked for file by file, and so is not guarded
    if updates > allowed_changes(guards.max_change_percent, owned_count):
        held.append(
            f"{updates} updates of {owned_count} automations are more than MAX_CHANGE_PERCENT allows "
            f"({guards.max_change_percent} %)"
        )
        _block(items, {Action.UPDATE}, held[-1])
    return tuple(held)


def allowed_changes(percent: int, owned_count: int) -> float:
    """How many updates a run may make: the share of what is owned, but never less than a handful; 0 allows none."""
    if percent >= 100:  # noqa: PLR2004 - all of them, which turns the guard off
        return float("inf")
    return max(ALWAYS_ALLOWED_CHANGES, owned_count * percent // 100) if percent else 0
