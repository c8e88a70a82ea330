"""Values of a plan: actions, items, and the declaration that it is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from shared.exports.management_groups import lies_below
from shared.reconcile.model import Desired, ResourceId, Subscription
from shared.reconcile.plan.automation_diff import Change


class Action(StrEnum):
    """What is to be done with one automation."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    FOREIGN = "foreign"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    LEAVING = "leaving"


class Cause(StrEnum):
    """Why an automation is to be written anew."""

    DRIFT = "drift"
    FILE = "file"
    KEY = "key"
    RELEASE = "release"
    CLAIM = "claim"
    MOVE = "move"


REST: Final = "all others"
WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.ADOPT, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Item:
    """One automation and what is to be done with it; `reason` is a sentence where the action alone does not say.

    `wanted` is the action that a blocked item would have taken.  `cause` is why an update is needed: only drift counts
    for the guards, and what a new release would write waits until a run names that cause.  With `retag` these tags are
    written and nothing else.  `digest` stands for the body of an item that was read from a saved plan.  `declared` says
    that an export wants it here, `clash` that two do, `waits` that it is held back until its turn in a rollout.
    `stripped` says that it was ours by the last runs and carries no tag of ours now.
    """

    action: Action
    id: ResourceId
    export: str = ""
    changes: tuple[Change, ...] = ()
    reason: str = ""
    wanted: Action | None = None
    desired: Desired | None = field(default=None, compare=False, repr=False)
    cause: Cause | None = None
    retag: Mapping[str, str] = field(default_factory=dict)
    digest: str = field(default="", compare=False)
    declared: bool = field(default=False, compare=False)
    clash: bool = False
    waits: bool = field(default=False, compare=False)
    stripped: bool = field(default=False, compare=False)

    def blocked(self, reason: str, *, clash: bool = False) -> Item:
        """The same automation, left alone for `reason`."""
        return replace(self, action=Action.BLOCKED, reason=reason, wanted=self.wanted or self.action, clash=clash)

    def skipped(self, state: str) -> Item:
        """The same automation, left alone because its subscription takes no writes."""
        reason = f"the subscription is {state.lower()}, and so read-only"
        return replace(self, action=Action.SKIPPED, reason=reason, wanted=self.wanted or self.action)


@dataclass(frozen=True)
class Left:
    """Since when an automation is out of its export's scope, and how many complete runs have seen it so."""

    since: datetime
    runs: int = 1


class Written(NamedTuple):
    """What the automations of an export that a plan writes send and where to, in words, and how many they are."""

    export: str
    destination: str
    sends: tuple[str, ...]
    automations: int


class DestinationState(StrEnum):
    """What is known about a destination: it is there and takes what is sent, it does not, or that can't be shown."""

    READY = "ready"
    BROKEN = "broken"
    UNVERIFIED = "unverified"


class Target(NamedTuple):
    """One destination and what is known about it; `reasons` are sentences with the command or role that mends it.

    Without `verify` the files of its `exports` take it as it is where it can't be looked at.
    """

    id: str
    state: DestinationState
    reasons: tuple[str, ...]
    exports: tuple[str, ...]
    verify: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The destination as JSON-ready data."""
        found = {**self._asdict(), "state": self.state.value}
        return found | {"reasons": list(self.reasons), "exports": list(self.exports)}

    @property
    def doubt(self) -> str:
        """Why what is sent there is not known to arrive; empty when it is, or when the files vouch for it."""
        if self.state is DestinationState.READY or (self.state is DestinationState.UNVERIFIED and not self.verify):
            return ""
        said = "; ".join(self.reasons)
        return said if self.state is DestinationState.BROKEN else f"its destination is unverified: {said}"


@dataclass(frozen=True)
class Plan:
    """Every automation that the declaration or the tenant knows, with its action.

    `reasons` say why discovery may be incomplete, `guards` which guards held something back, `findings` what is wrong
    with the declaration as a whole, `warnings` what looks wrong with a destination.  `hold` is why the instance may
    write nothing at all.  `written` says in words what would be written.  `apart` is what exports declare without an
    automation of their own: the second claim on one, and a disabled one that is not there.  `left` is what is out of
    its export's scope, by id in lower case; None where that was not judged.  `destinations` has what is known of each.
    `under_way` are those of the findings that only say how far a rollout is.
    """

    items: tuple[Item, ...]
    reasons: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hold: str = ""
    written: tuple[Written, ...] = ()
    findings: tuple[str, ...] = ()
    apart: tuple[Item, ...] = ()
    left: Mapping[str, Left] | None = None
    destinations: tuple[Target, ...] = ()
    under_way: tuple[str, ...] = ()

    @property
    def doubted(self) -> dict[str, str]:
        """Exports whose destination is not known to take what they send, with the sentence that says why."""
        return {name: each.doubt for each in self.destinations if each.doubt for name in each.exports}

    @property
    def declared(self) -> Iterator[Item]:
        """Everything that an export declares."""
        return (item for item in (*self.items, *self.apart) if item.declared)

    @property
    def writes(self) -> tuple[Item, ...]:
        """The items that apply would carry out."""
        return tuple(item for item in self.items if item.action in WRITES)

    @property
    def counts(self) -> Counter[Action]:
        """How many items there are of each action."""
        return Counter(item.action for item in self.items)


@dataclass(frozen=True)
class Rollout:
    """The order of an export's management groups; `blocked` is why its destination takes nothing now."""

    groups: tuple[str, ...]
    wait: timedelta
    blocked: str = ""

    def group_of(self, subscription: Subscription | None) -> int:
        """The place in the order of the first group that a subscription lies below; what is below none comes last."""
        places = (
            place for place, group in enumerate(self.groups) if subscription and lies_below(subscription, (group,))
        )
        return next(places, len(self.groups))

    def name(self, group: int) -> str:
        """What people call a group of the order."""
        return self.groups[group] if group < len(self.groups) else REST


@dataclass(frozen=True)
class Declaration:
    """What the export files say: each automation wanted, and which export names exist.

    `unreadable` maps the name of an export whose file is invalid, with no good version known, to the reason; `warnings`
    are about destinations.  `deleted` maps the names of deleted exports to the sentence that tells of it; `doubtful`
    names files that can't be read, also where an earlier version of theirs stands in.  `unknown` maps an export to the
    sentences on the unknown names in its scope; `findings` are all that is wrong with the set of files.
    `by_group` names the exports whose scope depends on management groups, `rollouts` has those that reach one group
    after another; `renamed` maps former names to present ones, `contested` those that several exports claim to the
    sentence that says so.  `destinations` are those that the exports send to.
    """

    desired: Iterable[Desired]
    exports: Collection[str]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    deleted: Mapping[str, str] = field(default_factory=dict)
    doubtful: Collection[str] = ()
    unknown: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    by_group: Collection[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    contested: Mapping[str, str] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    destinations: tuple[Target, ...] = ()
