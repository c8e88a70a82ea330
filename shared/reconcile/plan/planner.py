"""The plan: what a run would do, decided from the declaration and what is live, and nothing else.

Ownership is in the tags: `managed-by`, this deployment's instance id, and the export's name. What does not carry the
first two is foreign and never touched, unless the export's file says `adopt: true`; what carries another instance's
id is not even adopted.  An automation goes only by a record that its export was deleted, moved or narrowed: a file that
is not found, or can't be read, is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from shared.exports.compiler import FINGERPRINT_TAG, INSTANCE_TAG, NAME_TAG
from shared.exports.ownership import managed, owned, tag
from shared.reconcile.model import Desired, Inventory, Live, Subscription
from shared.reconcile.plan.automation_diff import Change, diff, same_location
from shared.reconcile.plan.change_limits import Guards, block, hold_back
from shared.reconcile.plan.model import WRITES, Action, Cause, Declaration, Item, Plan
from shared.reconcile.plan.provenance_tags import NUMBER_TAG, WRITER_TAG, Standing, Writer, digest, read_mark, standing

# What a release compiles otherwise is among these; all else that differs was changed outside this app.
_COMPILED = ("properties.sources", "properties.description")
_KEY = f"tags.{FINGERPRINT_TAG}"
_HELD_RELEASE = (
    "this release would write it otherwise than the one before, and that waits: look at the changes, then let them "
    "through with `apply --cause release`, or a reconcile job with causes [release]"
)
_SEVERAL_SCOPES = (
    "it has several scopes, as Azure took it; it becomes one automation a resource group when its file changes, or "
    "with `apply --cause release`"
)
_SEVERAL_SCOPES_ADOPTED = (
    "it has several scopes and differs from the file, and Azure is reported to take no change of such an automation: "
    "declare it as it is (`defender-export import`), or delete it by hand"
)


@dataclass(frozen=True)
class Terms:
    """What a plan is made under: the guards, who writes, and the causes that the run names."""

    guards: Guards = field(default_factory=Guards)
    writer: Writer = field(default_factory=Writer)
    causes: Collection[Cause] = ()


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
    if ours:
        item = replace(item, cause=cause_of(changes, desired, live))
    return item.blocked(desired.blocked) if desired.blocked else item


def _decided(
    desired: Desired,
    live: Mapping[tuple[str, str, str], Live],
    instance_id: str,
    terms: Terms,
    owned_here: Mapping[tuple[str, str], int],
) -> Item | None:
    """What one declared automation needs under the terms of this run; None when there is nothing to disable."""
    if desired.together is not None:
        kept = _kept_together(desired.together, live, instance_id, terms, owned_here)
        if kept is not None:
            return kept
        desired = _successor(desired, live, instance_id)
    there = live.get(desired.id.key)
    item = decide(desired, there, instance_id)
    if item is not None and there is not None and item.cause is Cause.RELEASE and Cause.RELEASE not in terms.causes:
        return _held_back(item, there)
    return item


def _kept_together(
    together: Desired,
    live: Mapping[tuple[str, str, str], Live],
    instance_id: str,
    terms: Terms,
    owned_here: Mapping[tuple[str, str], int],
) -> Item | None:
    """The item for an automation of several scopes that stays as Azure took it; None where it is to become several.

    Azure is reported to take no such body any more, so only its tags are ever written.  It stays until its file, or
    anything else about it, changes, or a run names the cause `release`.
    """
    there = live.get(together.id.key)
    if there is None or Cause.RELEASE in terms.causes or owned_here[together.id.key[0], together.export] > 1:
        return None  # of several automations of this export it was being made into some
    item = decide(together, there, instance_id)
    if item is None or item.action is Action.BLOCKED:
        return None
    if item.action is Action.FOREIGN:  # one that exports just this would be there twice
        same = all(change.path.startswith("tags.") for change in diff(there, together.body))
        return item if same else None
    if item.action is Action.UNCHANGED:
        return replace(item, reason=item.reason or _SEVERAL_SCOPES)
    renewed = any(change.path == _KEY for change in item.changes)
    changes = tuple(change for change in item.changes if change.path != _KEY)
    only_tags = all(change.path.startswith("tags.") and change.new is not None for change in changes)
    if item.action is Action.ADOPT and not only_tags:
        return item.blocked(_SEVERAL_SCOPES_ADOPTED)
    if not only_tags or (renewed and item.action is Action.UPDATE):
        return None
    # A key's fingerprint is not among them: it tells what was written, and no key is.
    retag = {change.path.removeprefix("tags."): change.new for change in changes}
    return replace(item, changes=changes, retag=retag, reason=_SEVERAL_SCOPES)


def _successor(desired: Desired, live: Mapping[tuple[str, str, str], Live], instance_id: str) -> Desired:
    """One of the automations that an automation of several scopes becomes, made even where it is switched off."""
    there = live.get(desired.together.id.key) if desired.together else None
    return replace(desired, enabled=True) if there is not None and owned(there.tags, instance_id) else desired


def _place(placed: dict[tuple[str, str], Item], item: Item) -> None:
    """Note what takes the place of an export's automations in a subscription; of several, one that can't be made."""
    where = item.export, item.id.key[0]
    if where not in placed or item.action in {Action.BLOCKED, Action.FOREIGN}:
        placed[where] = item


def cause_of(changes: Iterable[Change], desired: Desired, live: Live) -> Cause:
    """Why an automation of ours differs from what is declared.

    Its marks tell which body was written from which state of the store: a file that was put since is an edit; a body
    that is compiled otherwise from the same file is the release's.  Without marks (43a9e6c left none) what a release
    may compile otherwise counts as the release's, and all else as drift.
    """
    paths = [change.path for change in changes]
    if set(paths) <= {_KEY}:
        return Cause.KEY
    mark = read_mark(live.tags)
    if desired.number > mark.number:
        return Cause.FILE
    if mark.applied:
        return Cause.DRIFT if mark.applied == digest(desired.body) or desired.partial else Cause.RELEASE
    return Cause.RELEASE if any(path.startswith(_COMPILED) for path in paths) else Cause.DRIFT


def _held_back(item: Item, live: Live) -> Item:
    """An item that a new release causes: drift and a renewed key are still mended, with the rest as it is live."""
    desired = item.desired
    urgent = tuple(change for change in item.changes if not change.path.startswith(_COMPILED))
    if desired is None or not urgent or item.action is not Action.UPDATE:
        return item.blocked(_HELD_RELEASE)
    kept = {name: value for name, value in live.properties.items() if name in {"sources", "description"}}
    body = {**desired.body, "properties": {**desired.body["properties"], **kept}}
    cause = Cause.KEY if all(change.path == _KEY for change in urgent) else Cause.DRIFT
    partly = replace(desired, body=body, partial=True)
    note = "what this release would write otherwise stays as it is until `apply --cause release`"
    return replace(item, changes=urgent, reason=note, desired=partly, cause=cause)


def make_plan(
    declaration: Declaration,
    inventory: Inventory,
    instance_id: str,
    terms: Terms,
    chosen: Callable[[Item], bool] | None = None,
) -> Plan:
    """Compare the declaration with the tenant; the order is by subscription, then resource group, then name.

    `chosen` narrows the plan to some of its items, for a run that was asked to look at a part only.
    """
    subscriptions = {subscription.id.lower(): subscription for subscription in inventory.subscriptions}
    live = {automation.id.key: automation for automation in inventory.automations}
    owned_here = Counter(
        (key[0], tag(each.tags, NAME_TAG).lower()) for key, each in live.items() if owned(each.tags, instance_id)
    )
    items: dict[tuple[str, str, str], Item] = {}
    placed: dict[tuple[str, str], Item] = {}
    for desired in declaration.desired:
        item = _decided(desired, live, instance_id, terms, owned_here)
        if item is None:
            continue
        item = _unless_read_only(item, subscriptions.get(item.id.key[0]))
        key = item.id.key
        if key in items and items[key] != item:
            items[key] = items[key].blocked(f"the exports {items[key].export} and {desired.export} both claim it")
            continue
        items[key] = item
        _place(placed, item)
    for key, automation in live.items():
        if key not in items:
            items[key] = _undeclared(automation, declaration, placed, subscriptions, instance_id)
    if chosen:
        items = {key: item for key, item in items.items() if chosen(item)}
    if not inventory.complete:
        block(items, {Action.DELETE}, f"discovery is incomplete: {'; '.join(inventory.reasons)}")
    owned_count = sum(owned(automation.tags, instance_id) for automation in live.values())
    held = hold_back(items, terms.guards, owned_count)
    stands = standing(inventory, instance_id, terms.writer)
    held = (*_hold(items, stands), *held)
    ordered = tuple(items[key] for key in sorted(items))
    return Plan(
        ordered, tuple(inventory.reasons), held, declaration.warnings, stands.hold, findings=declaration.findings
    )


def make_claim(inventory: Inventory, instance_id: str, writer: Writer, former: str = "") -> Plan:
    """Take over the automations of this instance that another app wrote last, and those of the instance `former`.

    Only tags are written: who writes, and this instance's id.  What else differs is for the next run.
    """
    subscriptions = {subscription.id.lower(): subscription for subscription in inventory.subscriptions}
    items = {}
    for automation in inventory.automations:
        mine = owned(automation.tags, instance_id)
        if not mine and not (former and owned(automation.tags, former)):
            continue
        wanted = {WRITER_TAG: writer.name} | ({} if mine else {INSTANCE_TAG: instance_id})
        if read_mark(automation.tags).number <= writer.number:
            # It tells of the other store.  One that is ahead of this store stays, until `exports accept`.
            wanted[NUMBER_TAG] = "0"
        changes = tuple(
            Change(f"tags.{name}", tag(automation.tags, name) or None, value)
            for name, value in wanted.items()
            if tag(automation.tags, name).lower() != value.lower()
        )
        others = tag(automation.tags, WRITER_TAG).lower() not in {"", writer.name}
        if not changes or (mine and not others):
            continue
        export = tag(automation.tags, NAME_TAG).lower()
        item = Item(Action.UPDATE, automation.id, export, changes, cause=Cause.CLAIM, retag=wanted)
        items[automation.id.key] = _unless_read_only(item, subscriptions.get(automation.id.key[0]))
    return Plan(tuple(items[key] for key in sorted(items)), tuple(inventory.reasons))


def _hold(items: dict[tuple[str, str, str], Item], stands: Standing) -> tuple[str, ...]:
    """Block what the marks in the tenant forbid; gives the reasons."""
    if stands.hold:
        block(items, WRITES, stands.hold)
        return (stands.hold,)
    told = []
    for where, reason in sorted(stands.held.items()):
        here = [key for key, item in items.items() if key[0] == where and item.action in WRITES]
        for key in here:
            items[key] = items[key].blocked(reason)
        told.append(f"subscription {where}: {reason}")
    return tuple(told)


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


def _unselected(item: Item, declaration: Declaration, subscription: Subscription | None) -> Item:
    """The delete of an automation whose subscription its export does not select, where that is certain."""
    if unknown := declaration.unknown.get(item.export):
        return item.blocked(f"the scope of {item.export} names what is not known, so it may mean more: {unknown[0]}")
    if item.export in declaration.by_group and subscription is not None and not subscription.placed:
        return item.blocked("the management groups of the subscription are not known, so it may still be selected")
    return replace(item, reason=f"the subscription is no longer in the scope of {item.export}")


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
    export = tag(automation.tags, NAME_TAG).lower()
    item = Item(Action.DELETE, automation.id, export)
    if export in declaration.unreadable:
        return item.blocked(f"the file of {export} can't be read: {declaration.unreadable[export]}")
    if not export:
        return item.blocked("its tags name no export, so it is not known what it is for; name it or delete it by hand")
    if doubtful := sorted({*declaration.unreadable, *declaration.doubtful}):
        return item.blocked(f"nothing is deleted as long as a file can't be read: {', '.join(doubtful[:5])}")
    if export in declaration.deleted:
        item = replace(item, reason=f"the export {export} is no longer declared: {declaration.deleted[export]}")
    elif export not in declaration.exports:
        return item.blocked(
            f"the export {export} has no file, and nobody deleted it: put its file back, or end it with "
            f"`defender-export exports delete {export}`"
        )
    elif successor := placed.get((export, automation.id.subscription_id.lower())):
        if successor.action in {Action.BLOCKED, Action.FOREIGN}:
            return item.blocked(f"its successor {successor.id.name} can't be made")
        item = replace(item, reason=f"the export {export} moved to {successor.id.resource_group}/{successor.id.name}")
    else:
        item = _unselected(item, declaration, subscriptions.get(automation.id.subscription_id.lower()))
    return _unless_read_only(item, subscriptions.get(automation.id.subscription_id.lower()))
