"""What a run is narrowed to: some subscriptions, what lies below some management groups, some exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.exports.compiler import NAME_TAG
from shared.exports.management_groups import lies_below
from shared.exports.ownership import owned, tag
from shared.exports.scope_findings import KnownNames, refuse_unknown
from shared.exports.suggestions import suggest
from shared.reconcile.discover.subscription_names import named
from shared.reconcile.model import Inventory, Subscription
from shared.reconcile.plan.model import Item

if TYPE_CHECKING:
    from shared.exports.last_known_good import LoadedExports


def places(inventory: Inventory, asked: Sequence[str], groups: Sequence[str]) -> set[str]:
    """The lower-case ids of the subscriptions asked for, by id, name or a group above; all where nothing is asked for.

    Raises:
        UnknownName: one is not known, or is several management groups'; the message names what would be right.
        NotAllSeen: one is not known, and not all could be read.
        ValueError: several subscriptions have that name.
    """
    subscriptions = inventory.subscriptions
    ids = [one.lower() for one in named(asked, subscriptions)]
    known = KnownNames.of(subscriptions)
    refuse_unknown(map(known.management_groups.several, groups), ())
    said = [*map(known.unknown_subscription, ids), *map(known.unknown_management_group, groups)]
    refuse_unknown(said, _unseen(inventory, groups))
    return {
        one.id.lower()
        for one in subscriptions
        if not (ids or groups) or one.id.lower() in ids or lies_below(one, groups)
    }


def _unseen(inventory: Inventory, groups: Sequence[str]) -> list[str]:
    """What could not be read, but for the groups asked for: Azure refuses to list those that are not there, too."""
    listed = [f"/managementGroups/{group}/descendants " for group in groups]
    return [reason for reason in inventory.reasons if not any(one in reason for one in listed)]


@dataclass(frozen=True)
class Narrowing:
    """The names that a run was asked to look at; all of them empty for the whole tenant."""

    subscriptions: tuple[str, ...] = ()
    management_groups: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()

    @classmethod
    def of(cls, scope: Mapping[str, Sequence[str]]) -> Narrowing:
        """From a request's scope: `subscriptions`, `managementGroups` and `exports`, each where it was given."""
        names = ("subscriptions", "managementGroups", "exports")
        return cls(*(tuple(scope.get(name, ())) for name in names))

    def refuse_unknown(self, loaded: LoadedExports, inventory: Inventory, instance_id: str) -> None:
        """Refuse unknown names: a run over them would find nothing, and so nothing wrong.

        Raises:
            UnknownName: naming the nearest known one, or those that one name may mean.
            NotAllSeen: one is not known, and not all could be read.
        """
        if not (self.subscriptions or self.management_groups or self.exports):
            return
        known = KnownNames.of(inventory.subscriptions)
        exports = {
            *(export.name for export in loaded.exports),
            *(problem.name for problem in loaded.problems),
            *loaded.deleted,
            *(tag(live.tags, NAME_TAG) for live in inventory.automations if owned(live.tags, instance_id)),
        }
        refuse_unknown(map(known.management_groups.several, self.management_groups), ())
        sentences = [
            *map(known.unknown_subscription, self.subscriptions),
            *map(known.unknown_management_group, self.management_groups),
            *(
                f"there is no export named {name}. {suggest(name, sorted(exports))}".strip()
                for name in self.exports
                if name not in exports
            ),
        ]
        refuse_unknown(sentences, _unseen(inventory, self.management_groups))

    def items(self, subscriptions: Sequence[Subscription]) -> Callable[[Item], bool] | None:
        """Which items of a plan the run looks at; None for all."""
        exports = set(self.exports)
        places: set[str] | None = None
        if self.subscriptions or self.management_groups:
            places = {name.lower() for name in self.subscriptions}
            places |= {one.id.lower() for one in subscriptions if lies_below(one, self.management_groups)}
        if places is None and not exports:
            return None
        return lambda item: (places is None or item.id.key[0] in places) and (not exports or item.export in exports)
