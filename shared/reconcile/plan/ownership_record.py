"""What this instance wrote, by id, for when a policy or a save in the portal takes its tags off an automation.

Tags decide whose an automation is.  One that carries no instance's tag, and that the last run noted as ours, is ours
still: its tags are put back, unless it is saved without them again after several repairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.exports.compiler import INSTANCE_TAG, NAME_TAG
from shared.exports.ownership import owned, tag
from shared.reconcile.model import Live

Key = tuple[str, str, str]
Place = tuple[str, str, str]
"""A resource group, an automation's name and the export's, all in lower case."""

# After so many repairs within this time, one that is saved without our tags again is taken over.
MAX_REPAIRS = 3
REMEMBERED = timedelta(days=30)


class Stripped(NamedTuple):
    """An automation of ours without its tags: the export that it is for, and whether it was taken over."""

    export: str
    taken_over: bool


@dataclass(frozen=True)
class OwnershipRecord:
    """Which automations were ours when a run last looked: subscriptions, in lower case, by place.

    `repairs` says when tags were put back, by automation.
    """

    places: Mapping[Place, frozenset[str]] = field(default_factory=dict)
    repairs: Mapping[Key, tuple[datetime, ...]] = field(default_factory=dict)

    def knows(self, key: Key, export: str) -> bool:
        """Whether the automation was this export's when a run last looked."""
        return key[0] in self.places.get((key[1], key[2], export.lower()), ())

    def stripped(self, automations: Iterable[Live]) -> dict[Key, Stripped]:
        """Those of the live automations that were ours and carry no instance's tag."""
        by_name: dict[tuple[str, str], list[tuple[str, frozenset[str]]]] = defaultdict(list)
        for (group, name, export), subscriptions in self.places.items():
            by_name[group, name].append((export, subscriptions))
        found = {}
        for live in automations:
            key = live.id.key
            if (known := by_name.get(key[1:])) is None or tag(live.tags, INSTANCE_TAG):
                continue
            for export, subscriptions in known:
                if key[0] in subscriptions:
                    found[key] = Stripped(export, len(self.repairs.get(key, ())) >= MAX_REPAIRS)
        return found

    def after(self, run: Seen) -> OwnershipRecord:
        """The record for the next run to read."""
        live = {each.id.key: each for each in run.automations}
        noted = {
            key: tag(each.tags, NAME_TAG).lower() for key, each in live.items() if owned(each.tags, run.instance_id)
        }
        stripped = self.stripped(live.values())
        noted |= {key: each.export for key, each in stripped.items()}
        noted |= run.written
        if not run.complete:  # what was not seen may be there still
            noted = {key: export for key, export in self._entries() if key not in live} | noted
        places: dict[Place, set[str]] = defaultdict(set)
        for (where, group, name), export in noted.items():
            if (where, group, name) not in run.deleted:
                places[group, name, export].add(where)
        return OwnershipRecord(
            {place: frozenset(subscriptions) for place, subscriptions in places.items()},
            self._repairs_after(run, noted, stripped),
        )

    def _repairs_after(
        self, run: Seen, noted: Mapping[Key, str], stripped: Mapping[Key, Stripped]
    ) -> dict[Key, tuple[datetime, ...]]:
        """Repairs that still count; those of what is stripped now count until it is settled."""
        oldest = run.now - REMEMBERED
        kept = {}
        for key in {*self.repairs, *run.repaired} & {*noted} - {*run.deleted}:
            before = self.repairs.get(key, ())
            if key not in stripped:
                before = tuple(moment for moment in before if moment > oldest)
            if moments := (*before, *((run.now,) if key in run.repaired else ())):
                kept[key] = moments[-MAX_REPAIRS:]
        return kept

    def _entries(self) -> Iterator[tuple[Key, str]]:
        for (group, name, export), subscriptions in self.places.items():
            for where in subscriptions:
                yield (where, group, name), export


@dataclass(frozen=True)
class Seen:
    """What a run that wrote saw and did, for the record.

    `written` are exports by automation, `repaired` those whose tags were put back, `deleted` those that went or may
    have.
    """

    instance_id: str
    now: datetime
    automations: Iterable[Live]
    complete: bool
    written: Mapping[Key, str] = field(default_factory=dict)
    repaired: frozenset[Key] = frozenset()
    deleted: frozenset[Key] = frozenset()
