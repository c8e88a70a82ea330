"""The plan: what a run would do, decided from the declaration and what is live, and nothing else.

Ownership is in the tags: `managed-by`, this deployment's instance id, and the export's name. What does not carry the
first two is foreign and never touched, unless the export's file says `adopt: true`; what carries another instance's
id is not even adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from shared.exports.compiler import FINGERPRINT_TAG, INSTANCE_TAG, NAME_TAG
from shared.reconcile.model import Desired, Inventory, Live, Subscription
from shared.reconcile.plan.automation_diff import diff, same_location
from shared.reconcile.plan.guards import Guards, block, hold_back
from shared.reconcile.plan.model import WRITES, Action, Declaration, Item, Plan
from shared.reconcile.plan.ownership import managed, owned, tag


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
        block(items, {Action.DELETE}, f"discovery is incomplete: {'; '.join(inventory.reasons)}")
    owned_count = sum(owned(automation.tags, instance_id) for automation in live.values())
    held = hold_back(items, guards, owned_count)
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
