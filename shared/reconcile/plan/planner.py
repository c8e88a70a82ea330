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
from datetime import UTC, datetime

from shared.exports.compiler import FINGERPRINT_TAG, INSTANCE_TAG, MANAGED_BY, MANAGED_BY_TAG, NAME_TAG
from shared.exports.ownership import managed, owned, tag
from shared.reconcile.model import Desired, Inventory, Live, Subscription
from shared.reconcile.plan.automation_diff import (
    Change,
    destination_in_words,
    diff,
    same_location,
    sources_in_words,
)
from shared.reconcile.plan.change_limits import Done, Guards, block, hold_back
from shared.reconcile.plan.delete_records import Deletes, Grace, Items, hold_where_missing, missing_where
from shared.reconcile.plan.model import WRITES, Action, Cause, Declaration, Item, Plan, Written
from shared.reconcile.plan.ownership_record import MAX_REPAIRS, REMEMBERED, OwnershipRecord, Stripped
from shared.reconcile.plan.provenance_tags import NUMBER_TAG, WRITER_TAG, Standing, Writer, digest, read_mark, standing
from shared.reconcile.plan.rollout import Found, hold_groups

# What a release compiles otherwise is among these; all else that differs was changed outside this app.
_COMPILED = ("properties.sources", "properties.description")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_KEY = f"tags.{FINGERPRINT_TAG}"
STRIPPED = "it lost the tags that say whose it is, and the last runs know it as this instance's"
TAKEN_OVER = (
    f"taken over: its tags were put back {MAX_REPAIRS} times within {REMEMBERED.days} days, and it was saved without "
    "them again; end what saves it (a policy's remediation, a template, the portal), then set `automation.adopt: "
    "true`, or put its tag defender-export-instance back"
)
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
    """What a plan is made under: the guards, who writes, the causes that the run names, and the grace of deletes.

    Without a `grace` what left a scope goes at once.  `no_deletes` is why nothing may be deleted in this run.  `done`
    is what runs of the last 24 hours did, `now` the time, `record` what was ours.
    """

    guards: Guards = field(default_factory=Guards)
    writer: Writer = field(default_factory=Writer)
    causes: Collection[Cause] = ()
    grace: Grace | None = None
    no_deletes: str = ""
    done: Done = field(default_factory=Done)
    now: datetime = _LONG_AGO
    record: OwnershipRecord = field(default_factory=OwnershipRecord)


def decide(desired: Desired, live: Live | None, instance_id: str, stripped: Stripped | None = None) -> Item | None:
    """What one declared automation needs, given what is there; None when a disabled export has nothing to disable.

    With `stripped` it was ours by the last runs, and is as long as no instance's tag stands there.
    """
    if live is None:
        if not desired.enabled:
            return None
        item = Item(Action.CREATE, desired.id, desired.export, desired=desired, declared=True)
        return item.blocked(desired.blocked) if desired.blocked else item
    again = stripped is not None and not tag(live.tags, INSTANCE_TAG)
    if stripped is not None and again and stripped.taken_over and not desired.adopt:
        return Item(Action.FOREIGN, live.id, desired.export, reason=TAKEN_OVER, declared=True)
    ours = owned(live.tags, instance_id) or again
    if not ours and managed(live.tags):
        reason = f"it belongs to the deployment {tag(live.tags, INSTANCE_TAG) or '(unnamed)'}; choose another name"
        return Item(Action.FOREIGN, live.id, desired.export, reason=reason, declared=True)
    if not ours and not desired.adopt:
        reason = "an automation of others has this name; choose another, or set `adopt: true` to take it over"
        return Item(Action.FOREIGN, live.id, desired.export, reason=reason, declared=True)
    changes = diff(live, desired.body)
    if desired.blocked or desired.key_unknown:  # then the key's fingerprint is not known, and its tag says nothing
        changes = tuple(change for change in changes if change.path != f"tags.{FINGERPRINT_TAG}")
    moved = not same_location(live.location, str(desired.body.get("location")))
    notes = _stays(live, desired) if moved else ""
    if not changes:
        item = Item(Action.UNCHANGED, live.id, desired.export, reason=notes, declared=True)
        return item.blocked(desired.blocked) if desired.blocked else item
    action, cause = (Action.UPDATE, cause_of(changes, desired, live)) if ours else (Action.ADOPT, None)
    if again:
        cause, notes = Cause.DRIFT, "; ".join(filter(None, (STRIPPED, notes)))
    item = Item(action, live.id, desired.export, changes, notes, desired=desired, cause=cause, declared=True)
    item = replace(item, stripped=again)
    return item.blocked(desired.blocked) if desired.blocked else item


def _decided(
    desired: Desired,
    live: Mapping[tuple[str, str, str], Live],
    instance_id: str,
    terms: Terms,
    owned_here: Mapping[tuple[str, str], int],
    *,
    stripped: Mapping[tuple[str, str, str], Stripped],
) -> Item | None:
    """What one declared automation needs under the terms of this run; None when there is nothing to disable."""
    if desired.together is not None:
        kept = _kept_together(desired.together, live, instance_id, terms, owned_here)
        if kept is not None:
            return kept
        desired = _successor(desired, live, instance_id)
    there = live.get(desired.id.key)
    return decide(desired, there, instance_id, stripped.get(desired.id.key))


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
    stripped = terms.record.stripped(live.values())
    items: Items = {}
    apart: list[Item] = []
    for desired in declaration.desired:
        item = _decided(desired, live, instance_id, terms, owned_here, stripped=stripped)
        if item is None:
            apart.append(Item(Action.UNCHANGED, desired.id, desired.export, desired=desired, declared=True))
            continue
        waits = item.cause is Cause.RELEASE and Cause.RELEASE not in terms.causes and not item.retag
        if waits and item.id.key in live and desired.export not in declaration.rollouts:
            item = _held_back(item, live[item.id.key])
        if item.id.key in live and not _its_own(item, terms.record):
            known = stripped.get(item.id.key)
            holder = known.export if known else tag(live[item.id.key].tags, NAME_TAG).lower()
            item = _unless_held(item, holder, declaration)
        item = _unless_read_only(item, subscriptions.get(item.id.key[0]))
        first = items.setdefault(item.id.key, item)
        if first != item:
            clash = f"the exports {first.export} and {item.export} both claim it"
            items[item.id.key] = first if first.clash else first.blocked(clash, clash=True)
            apart.append(item.blocked(clash, clash=True))
    deletes = Deletes(declaration, subscriptions, instance_id, terms.grace)
    undeclared = [automation for key, automation in live.items() if key not in items]
    apart = _made_to_move(apart, undeclared, items, declaration.renamed)
    deletes.note_declared((*items.values(), *apart))
    for automation in undeclared:
        key = automation.id.key
        items[key] = (
            _undeclared_and_stripped(automation, stripped[key], instance_id, subscriptions.get(key[0]))
            if key in stripped
            else deletes.decide(automation)
        )
    found = Found(subscriptions, live, instance_id, terms.now, "; ".join(inventory.reasons), terms.causes)
    turns = hold_groups(items, declaration.rollouts, found, _held_back)
    missing = missing_where((*items.values(), *apart))
    if not inventory.complete:
        block(items, {Action.DELETE, Action.LEAVING}, f"discovery is incomplete: {'; '.join(inventory.reasons)}")
    if terms.no_deletes:
        block(items, {Action.DELETE, Action.LEAVING}, terms.no_deletes)
    owned_count = len(stripped) + sum(owned(automation.tags, instance_id) for automation in live.values())
    held = hold_back(items, terms.guards, owned_count, terms.done)
    if chosen:  # only now: many narrowed runs may do no more than one whole run
        items = {key: item for key, item in items.items() if chosen(item)}
        apart = [item for item in apart if chosen(item)]
        held = tuple(each for each in held if any(item.reason == each for item in items.values()))
    stands = standing(inventory, instance_id, terms.writer)
    held = (*_hold(items, stands), *held)
    hold_where_missing(items, missing | missing_where(items.values()))
    ordered = tuple(items[key] for key in sorted(items))
    findings = (*declaration.findings, *turns.standing)
    warnings = (*declaration.warnings, *turns.warnings)
    return Plan(
        ordered,
        tuple(inventory.reasons),
        held,
        warnings,
        stands.hold,
        _in_words(ordered),
        findings,
        tuple(apart),
        deletes.left,
        declaration.destinations,
        turns.standing,
    )


def _undeclared_and_stripped(live: Live, known: Stripped, instance_id: str, subscription: Subscription | None) -> Item:
    """What happens to one of ours that lost its tags and that no export declares: only with its tags may it go."""
    if known.taken_over:
        return Item(Action.FOREIGN, live.id, known.export, reason=TAKEN_OVER)
    wanted = {MANAGED_BY_TAG: MANAGED_BY, INSTANCE_TAG: instance_id, NAME_TAG: known.export}
    changes = tuple(
        Change(f"tags.{name}", tag(live.tags, name) or None, value)
        for name, value in wanted.items()
        if tag(live.tags, name) != value
    )
    item = Item(Action.UPDATE, live.id, known.export, changes, STRIPPED, cause=Cause.DRIFT, retag=wanted, stripped=True)
    return _unless_read_only(item, subscription)


def _in_words(items: Iterable[Item]) -> tuple[Written, ...]:
    """What the items write and where to, once for all automations of an export that do the same."""
    counted: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    for item in items:
        if item.action in WRITES and (desired := item.desired) is not None:
            where = destination_in_words(desired.body)
            there = f"{where} in tenant {desired.tenant_id}" if desired.tenant_id else where
            counted[item.export, there, sources_in_words(desired.body)] += 1
    return tuple(Written(*words, number) for words, number in sorted(counted.items()))


def _made_to_move(
    apart: Iterable[Item], undeclared: Iterable[Live], items: Items, renamed: Mapping[str, str]
) -> list[Item]:
    """Make a disabled automation after all where one of its export is at another place, which it is to replace."""
    names = {(live.id.key[0], tag(live.tags, NAME_TAG).lower()) for live in undeclared}
    names |= {(where, renamed[name]) for where, name in names if name in renamed}
    left = []
    for item in apart:
        if item.clash or item.desired is None or (item.id.key[0], item.export) not in names:
            left.append(replace(item, desired=None))
            continue
        items[item.id.key] = replace(item, action=Action.CREATE, desired=replace(item.desired, enabled=True))
    return left


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


def _its_own(item: Item, record: OwnershipRecord) -> bool:
    """Whether an automation is at its export's usual place, or was its own before, whatever its tags say now."""
    return item.id.name.lower() == f"defender-export-{item.export}".lower() or record.knows(item.id.key, item.export)


def _unless_held(item: Item, holder: str, declaration: Declaration) -> Item:
    """Leave to its export what another one claims, unless the file of the first or a record says that it gave it up."""
    if item.action not in WRITES or not holder or item.export in {holder, declaration.renamed.get(holder)}:
        return item
    said = holder in declaration.exports or holder in declaration.deleted
    if said and not {holder} & {*declaration.unknown, *declaration.unreadable, *declaration.doubtful}:
        return item
    return item.blocked(f"it is of the export {holder}, whose file does not say for certain that it gave it up")


def _unless_read_only(item: Item, subscription: Subscription | None) -> Item:
    if item.action not in WRITES:
        return item
    if subscription is None:
        return item.blocked("the subscription was not found, or this app may not read it")
    return item if subscription.writable else item.skipped(subscription.state)
