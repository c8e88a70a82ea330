"""Which subscriptions and which present records an export chooses: what a preview counts and a backfill sends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.exports.compiler import compile_sources
from shared.exports.evaluator import accepts
from shared.exports.event_sources import SNAPSHOT
from shared.exports.rule_sets import Source
from shared.exports.scope_findings import KnownNames
from shared.exports.scope_selection import in_resource_groups, judged, selects

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig, Scope
    from shared.tenant_state import TenantState

NAMES_SAID = 5
"""Names of a scope that select nothing: as many sentences as the state of a job has room for."""


class Subscriptions(NamedTuple):
    """Lower-case ids in order, and why there may be more, or are none."""

    ids: list[str]
    reasons: list[str]


@dataclass(frozen=True)
class ExportChoice:
    """The part of an export file that says what is sent; `sources` are compiled."""

    name: str
    scope: Scope
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, config: ExportConfig) -> ExportChoice:
        """That of an export file."""
        return cls(config.name, config.scope, compile_sources(config))

    @property
    def kinds(self) -> list[str]:
        """The kinds of records that it asks for, snapshots and streams alike."""
        return sorted({source.event_source.removesuffix(SNAPSHOT) for source in self.sources})

    @property
    def event_sources(self) -> list[str]:
        """The names of its sources."""
        return [source.event_source for source in self.sources]

    @property
    def digest(self) -> str:
        """Differs where anything differs that decides what is sent."""
        return sha256(repr((self.scope, self.sources)).encode()).hexdigest()[:16]

    def sends(self, record: Mapping[str, Any]) -> bool:
        """Whether a present record of one of its subscriptions is sent."""
        return self.holds(record) and any(accepts(source, record) for source in self.sources)

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Whether the record lies in the resource groups of its scope."""
        return in_resource_groups(self.scope.resource_groups, record)

    def of_those(self, state: TenantState, asked: Collection[str], groups: Collection[str]) -> Subscriptions:
        """The subscriptions of its scope, of those that are asked for; all of the scope's where none are.

        Raises:
            UnknownName: one of the names asked for selects nothing.
            ValueError: several subscriptions have a name that is asked for.
        """
        wanted = state.below(asked, groups)
        covered = [each for each in wanted if selects(self.scope, each)]
        chosen = [each for each in covered if judged(self.scope, each, placed=each.placed)]
        reasons = [*state.unseen, *self._unknown(state)]
        if unplaced := sum(not judged(self.scope, each, placed=each.placed) for each in wanted):
            reasons.append(
                f"the management groups of {unplaced} subscriptions are not known, so that whether the scope of "
                f"{self.name} covers them is not either"
            )
        if not chosen:
            reasons.append(f"the scope of {self.name} covers none of {len(wanted)} subscriptions")
        elif (asked or groups) and len(covered) < len(wanted):
            reasons.append(f"the scope of {self.name} leaves out {len(wanted) - len(covered)} of those asked for")
        return Subscriptions(sorted(each.id.lower() for each in chosen), reasons)

    def _unknown(self, state: TenantState) -> list[str]:
        known = KnownNames.of(state.subscriptions)
        sentences = [
            *map(known.unknown_subscription, self.scope.subscriptions),
            *map(known.unclear_management_group, self.scope.management_groups),
        ]
        said = [f"scope of {self.name}: {sentence}" for sentence in sentences if sentence]
        more = [f"scope of {self.name}: {len(said) - NAMES_SAID} more names select nothing"]
        return said if len(said) <= NAMES_SAID else said[:NAMES_SAID] + more


def all_of(state: TenantState, asked: Collection[str], groups: Collection[str]) -> Subscriptions:
    """The subscriptions that are asked for, or all there are, where no export narrows them.

    Raises:
        UnknownName: one of the names asked for selects nothing.
        ValueError: several subscriptions have a name that is asked for.
    """
    return Subscriptions(sorted(each.id.lower() for each in state.below(asked, groups)), list(state.unseen))
