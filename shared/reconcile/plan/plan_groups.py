"""A plan by export, equal differences once: what the views of a plan for people are made from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.exports.explain import explain
from shared.exports.rule_sets import MalformedRules, parse_sources
from shared.reconcile.model import Desired, Subscription
from shared.reconcile.plan.automation_diff import Change, destinations_of
from shared.reconcile.plan.model import WRITES, Action, Cause, Item, Plan

ANY_SUBSCRIPTION = "<subscription>"
"""Stands for the id of an item's own subscription in what several items share."""
UNGROUPED = "(no management group)"
_ORDER = tuple(Action)


@dataclass(frozen=True)
class Group:
    """Automations of one export that need the same, but for their own subscription's id.

    `names` are the automations' names, `subscriptions` where they are, by name; each once.
    """

    action: Action
    changes: tuple[Change, ...]
    reason: str
    items: tuple[Item, ...]
    names: tuple[str, ...]
    subscriptions: tuple[Subscription, ...]

    @property
    def management_groups(self) -> list[tuple[str, int]]:
        """How many of the subscriptions lie directly in each management group, most first."""
        counts = Counter(one.ancestors[0] if one.ancestors else UNGROUPED for one in self.subscriptions)
        return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


@dataclass(frozen=True)
class ExportPart:
    """What a plan does for one export; `destination` and `filters` are words, empty where nothing of it is written."""

    name: str
    destination: str
    filters: tuple[str, ...]
    groups: tuple[Group, ...]
    unchanged: int


def by_export(plan: Plan, subscriptions: Iterable[Subscription] = ()) -> list[ExportPart]:
    """The plan's items by export, in the order of their names; items that no export claims are left out."""
    known = {one.id.lower(): one for one in subscriptions}
    exports: dict[str, list[Item]] = {}
    for item in plan.items:
        if item.export or item.action in WRITES:
            exports.setdefault(item.export, []).append(item)
    return [_part(name, exports[name], known, plan.guards) for name in sorted(exports)]


def telling(item: Item) -> bool:
    """Whether an item says more than that all is as declared, or belongs to others."""
    return bool(item.reason) or item.action in WRITES


def shared_reasons(parts: Iterable[ExportPart]) -> list[str]:
    """Reasons that several groups have, in the order of their first one: each needs telling once."""
    counts = Counter(group.reason for part in parts for group in part.groups if group.reason)
    return [reason for reason, number in counts.items() if number > 1]


def warnings_by_sentence(warnings: Iterable[str]) -> dict[str, list[str]]:
    """The exports that each warning is about; what names no export has none."""
    found: dict[str, list[str]] = {}
    for warning in warnings:
        name, separator, sentence = warning.partition(": ")
        if separator and " " not in name:
            found.setdefault(sentence, []).append(name)
        else:
            found.setdefault(warning, [])
    return found


def _part(name: str, items: Sequence[Item], known: Mapping[str, Subscription], guards: Collection[str]) -> ExportPart:
    found: dict[tuple[int, str, str], list[Item]] = {}
    for item in filter(telling, items):
        general = str(_general([tuple(change) for change in _shown(item, guards)], item.id.subscription_id))
        key = _ORDER.index(item.action), general, str(_general(item.reason, item.id.subscription_id))
        found.setdefault(key, []).append(item)
    groups = [_group(together, known, guards) for together in found.values()]
    groups.sort(key=lambda group: (_ORDER.index(group.action), -len(group.items)))
    destination, filters = _words(next((item.desired for item in items if item.desired), None))
    return ExportPart(name, destination, filters, tuple(groups), sum(not telling(item) for item in items))


def _shown(item: Item, guards: Collection[str]) -> tuple[Change, ...]:
    """The changes that matter: nothing for what is blocked, unless a guard or a release holds it for a look."""
    waits = item.reason in guards or item.cause is Cause.RELEASE
    return () if item.action is Action.BLOCKED and not waits else item.changes


def _group(items: Sequence[Item], known: Mapping[str, Subscription], guards: Collection[str]) -> Group:
    first = items[0]
    places = {item.id.key[0]: item.id.subscription_id for item in items}
    subscriptions = [known.get(key) or Subscription(place) for key, place in places.items()]
    own = first.id.subscription_id if len(places) > 1 else ""
    changes = tuple(Change(one.path, _general(one.old, own), _general(one.new, own)) for one in _shown(first, guards))
    return Group(
        first.action,
        changes,
        str(_general(first.reason, own)),
        tuple(items),
        tuple(dict.fromkeys(item.id.name for item in items)),
        tuple(sorted(subscriptions, key=lambda one: (one.name or one.id).lower())),
    )


def _general(value: Any, subscription_id: str) -> Any:
    """A JSON value with the subscription's id taken out of its texts."""
    if not subscription_id:
        return value
    if isinstance(value, str):
        if subscription_id.lower() not in value.lower():
            return value
        return re.sub(re.escape(subscription_id), ANY_SUBSCRIPTION, value, flags=re.IGNORECASE)
    if isinstance(value, (list, tuple)):
        return [_general(part, subscription_id) for part in value]
    return value


def _words(desired: Desired | None) -> tuple[str, tuple[str, ...]]:
    """Where an export sends to, and what; as sentences say it."""
    if desired is None:
        return "", ()
    properties = desired.body.get("properties") or {}
    try:
        filters = tuple(explain(source) for source in parse_sources(properties.get("sources")))
    except MalformedRules:
        filters = ()
    return ", ".join(destinations_of(properties)), filters
