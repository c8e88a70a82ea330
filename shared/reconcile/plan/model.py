"""Values of a plan: actions, items, and the declaration that it is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from shared.reconcile.model import Desired, ResourceId
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


class Cause(StrEnum):
    """Why an automation is to be written anew."""

    DRIFT = "drift"
    FILE = "file"
    KEY = "key"
    RELEASE = "release"
    CLAIM = "claim"


WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.ADOPT, Action.DELETE})


@dataclass(frozen=True, slots=True)
class Item:
    """One automation and what is to be done with it; `reason` is a sentence where the action alone does not say.

    `wanted` is the action that a blocked item would have taken.  `cause` is why an update is needed: only drift counts
    for the guards, and what a new release would write waits until a run names that cause.  With `retag` these tags are
    written and nothing else.
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

    def blocked(self, reason: str) -> Item:
        """The same automation, left alone for `reason`."""
        return replace(self, action=Action.BLOCKED, reason=reason, wanted=self.action)


@dataclass(frozen=True)
class Plan:
    """Every automation that the declaration or the tenant knows, with its action.

    `reasons` say why discovery may be incomplete, `guards` which guards held something back, `findings` what is wrong
    with the declaration as a whole, `warnings` what looks wrong with a destination.  `hold` is why the instance may
    write nothing at all.
    """

    items: tuple[Item, ...]
    reasons: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hold: str = ""
    findings: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[Item, ...]:
        """The items that apply would carry out."""
        return tuple(item for item in self.items if item.action in WRITES)

    @property
    def counts(self) -> Counter[Action]:
        """How many items there are of each action."""
        return Counter(item.action for item in self.items)


@dataclass(frozen=True)
class Declaration:
    """What the export files say: each automation wanted, and which export names exist.

    `unreadable` maps the name of an export whose file is invalid, with no good version known, to the reason; `warnings`
    are about destinations.  `deleted` maps the names of deleted exports to the sentence that tells of it; `doubtful`
    names files that can't be read, also where an earlier version of theirs stands in.  `unknown` maps an export to the
    sentences on the unknown names in its scope; `findings` are all that is wrong with the set of files.
    `by_group` names the exports whose scope depends on management groups.
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
