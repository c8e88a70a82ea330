"""The part of the tenant that a limited reader sees, and what texts may say to one.  Pure.

Reasons are written for those who see all: they count what the whole tenant has, and name what else is in the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from shared.watch.evidence.document import tenant_digest
from shared.watch.open_items import subscription_of
from shared.web.limited_entries import Entries, Names

if TYPE_CHECKING:
    from shared.exports.management_groups import GroupNames
    from shared.tenant_state import TenantState

INCOMPLETE: Final = "not everything could be read, of your part or of others"
HIDDEN: Final = "The reason is about more than your part of the tenant, and is not shown."
_WORD = re.compile(r"[\w.()-]+")
# Limits of a run, of what it did in all; what could not be read; the rollout; export files and their scopes.
_OF_ALL = re.compile(
    r"MAX_DELETES|MAX_CHANGE_PERCENT|could not be listed|came twice|discovery is incomplete|turn in the rollout"
    r"|as long as|names what is not known|exports say that"
)


@dataclass(frozen=True)
class Part:
    """The part of the tenant that a reader sees, and the lower-case ids of its subscriptions.

    `exports` and `destinations` are of automations that are there, or declared.
    """

    state: TenantState
    ids: frozenset[str]
    exports: frozenset[str]
    destinations: frozenset[str]
    others: frozenset[str]
    """What else the tenant has: lower-case ids of subscriptions and tenants, names of management groups and exports."""
    entries: Entries
    group_names: GroupNames
    """Of the whole tenant: whether a name is one group's is no matter of the part alone."""

    @cached_property
    def shown(self) -> Callable[[str], str]:
        """Gives a text that is about this part alone, else a sentence in its place; thousands of items have one."""
        return cache(self._shown)

    def _shown(self, text: str) -> str:
        rest = text.lower()
        for place in self.destinations:
            rest = rest.replace(place, "")
        words = {word.strip(".") for word in _WORD.findall(rest)}
        return HIDDEN if _OF_ALL.search(text) or not self.others.isdisjoint(words) else text

    def told(self, document: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
        """A document whose texts of these names say nothing of others."""
        return {
            name: self.shown(value) if name in names and isinstance(value, str) else value
            for name, value in document.items()
        }


def part_of(state: TenantState, ids: frozenset[str], *, perhaps_more: bool, tenants: Collection[str] = ()) -> Part:
    """The tenant without what is not of these subscriptions, as if it held no others; `tenants` are wholly in it.

    Reasons for what is missing may name others, so they become one without names; where there may be more of the
    part than these, it is incomplete.
    """
    live = [one for one in state.live if subscription_of({"id": one.id}) in ids]
    subscriptions = [each for each in state.subscriptions if each.id.lower() in ids]
    narrowed = replace(
        state,
        subscriptions=subscriptions,
        coverage=[each for each in state.coverage if each.subscription_id.lower() in ids],
        declared=[each for each in state.declared if each.subscription_id.lower() in ids],
        reasons=(INCOMPLETE,) if state.reasons or perhaps_more else (),
        unseen=(INCOMPLETE,) if state.unseen or perhaps_more else (),
        lost=(),
        automations=len(live),
        digest=tenant_digest((each.id for each in subscriptions), live),
        live=(),
    )
    exports = _exports(narrowed)
    others = (_names(state) | {name.lower() for name in _exports(state)}) - _names(narrowed)
    entries = Entries(_known(narrowed, state.group_names), _known(state, state.group_names), frozenset(tenants))
    return Part(
        narrowed,
        ids,
        exports,
        _destinations(narrowed),
        others - {name.lower() for name in exports},
        entries,
        state.group_names,
    )


def _known(state: TenantState, groups: GroupNames) -> Names:
    ids = frozenset(each.id.lower() for each in state.subscriptions)
    return Names(
        ids,
        frozenset(filter(None, (each.tenant_id.lower() for each in state.subscriptions))),
        frozenset(chain.from_iterable(groups.above[one] for one in ids)),
        frozenset(chain.from_iterable(groups.surely_above[one] for one in ids)),
        frozenset(name.lower() for name in _exports(state)),
        _destinations(state),
    )


def _exports(state: TenantState) -> frozenset[str]:
    exporters = (one for covered in state.coverage for found in covered.exporters.values() for one in found)
    return frozenset(filter(None, (one.export for one in exporters))) | {each.export for each in state.declared}


def _destinations(state: TenantState) -> frozenset[str]:
    """Lower-case ids."""
    exporters = (one for covered in state.coverage for found in covered.exporters.values() for one in found)
    places = [place for one in exporters for place in one.destinations]
    places += [each.destination for each in state.declared]
    return frozenset(filter(None, (place.resource_id.strip("/").lower() for place in places)))


def _names(state: TenantState) -> frozenset[str]:
    found = {name for each in state.subscriptions for name in (each.id.lower(), each.tenant_id.lower())}
    found |= {name for each in state.subscriptions for name in each.ancestors}
    return frozenset(filter(None, found))
