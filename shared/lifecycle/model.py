"""What the tables say of a record, what Resource Graph said, and what can follow."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a row of DefenderGone_CL says of a record."""

    MISSING = "Missing"
    """One complete answer did not have it: noted, and still open."""
    GONE = "Gone"
    """Two complete answers in a row did not have it: it ended."""
    RETIRED = "Retired"
    """The same of a record of the model that Microsoft retired: it ended without being fixed."""
    BACK = "Back"
    """An answer has it after all: it is open."""


ENDS = frozenset({Action.GONE, Action.RETIRED})


@dataclass(frozen=True)
class Mark:
    """The newest row of DefenderGone_CL about a record: what it says, since when, and when it was written."""

    action: Action
    since: datetime
    written: datetime


@dataclass(frozen=True)
class KnownRecord:
    """A record that the tables hold as open, or as ended lately.

    `first_seen` is since when it has been open, `last_seen` when its newest row reached the hub; both are aware.  A
    mark that is older than `last_seen` says nothing: the record was exported again after it.
    """

    record_id: str
    kind: str
    subscription: str
    first_seen: datetime
    last_seen: datetime
    retired_model: bool = False
    mark: Mark | None = None

    @property
    def standing(self) -> Mark | None:
        """The mark that still says something; None where there is none, or it was taken back."""
        mark = self.mark
        return None if mark is None or mark.action is Action.BACK or mark.written < self.last_seen else mark


@dataclass(frozen=True)
class PresentNow:
    """One answer of Resource Graph: the ids that it has, when it was asked, and why it may lack some.

    `unseen` are places, each a subscription and a kind, where this app could have seen nothing; (record ids, ids and
    kinds as in the tables).
    """

    record_ids: AbstractSet[str]
    asked: datetime
    reasons: tuple[str, ...] = ()
    unseen: AbstractSet[tuple[str, str]] = field(default_factory=frozenset)

    @property
    def complete(self) -> bool:
        """Whether an id that is not among them is certainly missing, where records can be seen at all."""
        return not self.reasons


@dataclass(frozen=True)
class Conclusion:
    """What follows for one record; `gone` is when the first answer lacked it, None where it is back."""

    record: KnownRecord
    action: Action
    gone: datetime | None
