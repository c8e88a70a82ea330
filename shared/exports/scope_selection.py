"""Whether an export's scope selects a subscription."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from shared.exports.event_sources import member
from shared.exports.management_groups import Placed, lies_below

if TYPE_CHECKING:
    from shared.exports.model import Scope

_IN_GROUP: Final = re.compile(r"/subscriptions/[^/]+/resourceGroups/([^/]+)(?:/|$)", re.IGNORECASE)


class SelectableSubscription(Placed, Protocol):
    """What a scope looks at."""

    @property
    def tags(self) -> Mapping[str, str]: ...  # noqa: D102 # says what it is


def selects(scope: Scope, subscription: SelectableSubscription) -> bool:
    """Whether a scope covers a subscription; what is excluded stays out, however it was included."""
    name = subscription.id.lower()
    listed = name in map(str.lower, scope.subscriptions)
    if not listed and not lies_below(subscription, scope.management_groups):
        return False
    excluded = scope.exclude
    if name in map(str.lower, excluded.subscriptions) or lies_below(subscription, excluded.management_groups):
        return False
    tags = {key.lower(): value.casefold() for key, value in subscription.tags.items()}
    if any(tags.get(key.lower()) == value.casefold() for key, value in excluded.tags.items()):
        return False
    return all(tags.get(key.lower()) == value.casefold() for key, value in scope.tags.items())


def depends_on_groups(scope: Scope) -> bool:
    """Whether a subscription's management groups decide about it."""
    return bool(scope.management_groups or scope.exclude.management_groups)


def judged(scope: Scope, subscription: SelectableSubscription, *, placed: bool) -> bool:
    """Whether it can be said that a scope covers a subscription, whose management groups are known when `placed`."""
    if placed or not depends_on_groups(scope):
        return True
    return not scope.exclude.management_groups and subscription.id.lower() in map(str.lower, scope.subscriptions)


def in_resource_groups(groups: Collection[str], record: Mapping[str, Any]) -> bool:
    """Whether a scope of these resource groups holds a record, whatever the subscription; none of them: any record.

    What lies in no resource group, as a score or an attack path, is in none of them.
    """
    if not groups:
        return True
    wanted = {group.lower() for group in groups}
    found = (_IN_GROUP.match(str(member(record, name) or "")) for name in ("id", "AzureResourceId"))
    return any(each[1].lower() in wanted for each in found if each)
