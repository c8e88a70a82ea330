"""What a mute is for, and until when it holds.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, NamedTuple

from shared.clock import utc_text
from shared.exports.management_groups import GroupNames

_STEPS: Final = 100
"""How many mutes in a row are followed to one end; the rows of the next check or run say it anew."""


class Part(NamedTuple):
    """What may be muted: an export, a destination or a subscription, or one of them in another; in lower case.

    `groups` are names of management groups that it is about, beside those above its subscription.
    """

    subscription: str = ""
    export: str = ""
    destination: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weekly:
    """A window of each week in UTC: the day (Monday is 0), and for how long from when on; shorter than a week."""

    day: int
    start: timedelta
    duration: timedelta

    def end_at(self, now: datetime) -> datetime | None:
        """The end of the window that is open now; None where none is."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        begun = midnight - timedelta(days=(now.weekday() - self.day) % 7) + self.start
        if begun > now:
            begun -= timedelta(days=7)
        end = begun + self.duration
        return end if now < end else None


@dataclass(frozen=True)
class Mute:
    """Who answers for what being silent, why, and from when until when; all that it names must fit, in lower case."""

    name: str
    owner: str
    reason: str
    start: datetime
    until: datetime
    subscription: str = ""
    management_group: str = ""
    export: str = ""
    destination: str = ""
    weekly: Weekly | None = None

    def end_at(self, now: datetime) -> datetime | None:
        """Until when it holds, as one stretch; None where it does not hold now."""
        if not self.start <= now < self.until:
            return None
        if self.weekly is None:
            return self.until
        end = self.weekly.end_at(now)
        return min(end, self.until) if end else None

    def covers(self, part: Part, groups: Sequence[str] = ()) -> bool:
        """Whether it is for this; `groups` are the names that mean one group of the part, or above its subscription."""
        return (
            self.subscription in {"", part.subscription}
            and self.export in {"", part.export}
            and self.destination in {"", part.destination}
            and (not self.management_group or self.management_group in groups)
        )

    @property
    def _place(self) -> tuple[str, str]:
        """One of the things that it names, by which it is found."""
        named = (name for name in ("subscription", "export", "destination") if getattr(self, name))
        name = next(named, "management_group")
        return name, getattr(self, name)


class Muted(NamedTuple):
    """Until when something is muted, and by which mute: of several that which holds longest now."""

    until: datetime
    by: Mute

    def as_dict(self) -> dict[str, str]:
        """It as answers have it."""
        return {
            "until": utc_text(self.until),
            "mute": self.by.name,
            "owner": self.by.owner,
            "reason": self.by.reason,
        }


@dataclass(frozen=True)
class Muting:
    """The mutes of a deployment, and the management groups above each subscription where a mute names any.

    `groups` is None where these, or the mutes, could not be read.  `trouble` says why nothing, or nothing of some
    management groups, is muted: that could not be read, or it is not known which group is meant.
    """

    mutes: tuple[Mute, ...] = ()
    groups: GroupNames | None = field(default_factory=GroupNames)
    trouble: str = ""

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str], list[Mute]]:
        found: dict[tuple[str, str], list[Mute]] = {}
        for mute in self.mutes:
            found.setdefault(mute._place, []).append(mute)  # noqa: SLF001 - of this module
        return found

    def of(self, parts: Sequence[Part], now: datetime) -> Muted | None:
        """Until when all of these are muted; None where one of them is not."""
        if not self.mutes or not parts:
            return None
        found = [self._of_one(part, now) for part in parts]
        known = [each for each in found if each]
        return min(known, key=lambda each: each.until) if len(known) == len(found) else None

    def in_force(self, now: datetime) -> list[Mute]:
        """Those that hold now."""
        return [mute for mute in self.mutes if mute.end_at(now)]

    def _of_one(self, part: Part, now: datetime) -> Muted | None:
        mutes = list(self._for(part))
        until, by = now, None
        for _ in range(_STEPS):
            ends = [(end, mute) for mute in mutes if (end := mute.end_at(until))]
            if not ends:
                break
            until, longest = max(ends, key=lambda each: each[0])
            by = by or longest
        return Muted(until, by) if by else None

    def _for(self, part: Part) -> Iterator[Mute]:
        groups = self._groups_of(part)
        places = [("subscription", part.subscription), ("export", part.export), ("destination", part.destination)]
        places += [("management_group", group) for group in groups]
        for place in places:
            for mute in self._by_place.get(place, ()):
                if mute.covers(part, groups):
                    yield mute

    def _groups_of(self, part: Part) -> Sequence[str]:
        """The names of its groups that mean one group; who can't be placed is not muted."""
        if self.groups is None:
            return ()
        named = (name for group in part.groups for name in self.groups.sure(group))
        return tuple(dict.fromkeys((*named, *self.groups.surely_above.get(part.subscription, ()))))


NOTHING: Final = Muting()


def parts_of(subscription: str, exports: str, destination: str = "") -> list[Part]:
    """What a verdict is about, by a subscription and the names of exports with commas between them."""
    names = [name.strip().lower() for name in exports.split(",")]
    place = destination.strip("/").lower()
    return [Part(subscription.lower(), name, place) for name in names]
