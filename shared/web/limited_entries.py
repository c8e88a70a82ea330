"""Whose a mute or an exception of a file is: of a limited reader's part of the tenant, of others, or not to be told.

What a file names may be gone, or never have been: a name that is not known lies in no part.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.muting.mutes import Mute
    from shared.watch.requirement_checks import GrantedException


class Whose(Enum):
    """To whom a name belongs."""

    THEIRS = "it lies in the reader's part"
    OTHERS = "it lies elsewhere"
    UNKNOWN = "it can't be placed"


@dataclass(frozen=True)
class Names:
    """What a tenant or a part of it has, in lower case; `sure_groups` are the names that mean one group each."""

    subscriptions: frozenset[str]
    tenants: frozenset[str]
    groups: frozenset[str]
    sure_groups: frozenset[str]
    exports: frozenset[str]
    destinations: frozenset[str]


@dataclass(frozen=True)
class Entries:
    """Tells whose entries are, by the names of the part and of the whole tenant; `tenants` are wholly in the part."""

    theirs: Names
    whole: Names
    tenants: Collection[str] = ()

    def whose_mute(self, mute: Mute, hub: str = "") -> Whose:
        """Whose a mute is: it mutes what lies in all that it names, so a subscription or a group of theirs places it.

        Without either, an export or a destination of theirs does, or `hub`, the id of the hub that all share.  One
        that names anything of others is of others.
        """
        places = [self._subscription(mute.subscription)] if mute.subscription else []
        places += [self._group(mute.management_group)] if mute.management_group else []
        rest = [_of(mute.export, self.theirs.exports, self.whole.exports)] if mute.export else []
        if mute.destination and mute.destination == hub.strip("/").lower():
            rest.append(Whose.THEIRS)
        elif mute.destination:
            rest.append(_of(mute.destination, self.theirs.destinations, self.whole.destinations))
        if Whose.OTHERS in places + rest:
            return Whose.OTHERS
        return Whose.THEIRS if Whose.THEIRS in (places or rest) else Whose.UNKNOWN

    def shown(self, exception: GrantedException) -> GrantedException | None:
        """An exception with those of its names alone that lie in the part; None where none does."""
        kept = replace(
            exception,
            subscriptions=tuple(each for each in exception.subscriptions if self._subscription(each) is Whose.THEIRS),
            management_groups=tuple(each for each in exception.management_groups if self._group(each) is Whose.THEIRS),
        )
        return kept if kept.subscriptions or kept.management_groups else None

    def can_be_placed(self, exception: GrantedException) -> bool:
        """Whether it is known of each of its names whose it is."""
        found = [*map(self._subscription, exception.subscriptions), *map(self._group, exception.management_groups)]
        return Whose.UNKNOWN not in found

    def _subscription(self, name: str) -> Whose:
        return _of(name, self.theirs.subscriptions, self.whole.subscriptions)

    def _group(self, name: str) -> Whose:
        """A name that several tenants have is not to be told: that there are several is no reader's business."""
        tenant, slash, _ = name.rpartition("/")
        if slash and tenant in self.tenants:
            return Whose.THEIRS
        if slash and tenant in self.whole.tenants - self.theirs.tenants:
            return Whose.OTHERS
        if name in self.theirs.groups:
            return Whose.THEIRS if name in self.theirs.sure_groups else Whose.UNKNOWN
        return _of(name, self.theirs.groups, self.whole.groups)


def _of(name: str, theirs: Collection[str], whole: Collection[str]) -> Whose:
    if name in theirs:
        return Whose.THEIRS
    return Whose.OTHERS if name in whole else Whose.UNKNOWN


def not_shown(mutes: int, exceptions: int) -> list[str]:
    """What a report to a limited reader says of entries that can't be placed; they are counted, and not named."""
    counted = ((exceptions, "exception"), (mutes, "mute"))
    said = " and ".join(f"{number} {word}{'s' * (number > 1)}" for number, word in counted if number)
    return [f"It does not show {said}: it can't be told whether that is about your part of the tenant."] if said else []
