"""Management groups by name: `<tenant>/<group>`, or the group alone where only one tenant has one of that name.  Pure.

Each tenant names its own groups, so in an app that sees several tenants one name may be several groups'.  All names are
compared in lower case; a tenant's root group is named by the tenant's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

_TENANT: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
FORM: Final = rf"(?:{_TENANT}/)?[-A-Za-z0-9_.()]{{1,90}}"  # Azure's naming rules, Microsoft.Management
_WRITTEN: Final = 3
"""How many tenants' groups of one name a sentence writes out."""


class Placed(Protocol):
    """What is asked of a subscription: `ancestors` are its management groups in lower case."""

    @property
    def id(self) -> str: ...  # noqa: D102 # says what it is
    @property
    def tenant_id(self) -> str: ...  # noqa: D102 # as above
    @property
    def ancestors(self) -> tuple[str, ...]: ...  # noqa: D102 # as above


def names_above(tenant: str, ancestors: Iterable[str]) -> tuple[str, ...]:
    """All names of the management groups above a subscription: alone, and with its tenant before them."""
    alone = tuple(ancestors)
    return (*alone, *(f"{tenant.lower()}/{name}" for name in alone)) if tenant else alone


def lies_below(subscription: Placed, groups: Iterable[str]) -> bool:
    """Whether a subscription lies below one of these groups, each named in one of the two ways."""
    for group in groups:
        tenant, _, name = group.lower().rpartition("/")
        if name in subscription.ancestors and tenant in {"", subscription.tenant_id.lower()}:
            return True
    return False


@dataclass(frozen=True)
class GroupNames:
    """Which tenants have a group of a name, by the name alone, and all names of the groups above each subscription.

    What silences asks `surely_above`, `sure` and `doubt`: of a name that may be several groups' it is not known whose
    was meant.  `partial` says that another of the several tenants may have more groups than were read.
    """

    tenants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    above: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    partial: bool = False

    @classmethod
    def of(cls, subscriptions: Iterable[Placed], *, complete: bool = True) -> GroupNames:
        """The groups above these subscriptions, and whether these were all."""
        tenants: dict[str, set[str]] = {}
        above: dict[str, tuple[str, ...]] = {}
        chains: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}  # most subscriptions share theirs with others
        seen: set[str] = set()
        for one in subscriptions:
            chain = one.tenant_id.lower(), one.ancestors
            if chain not in chains:
                chains[chain] = names_above(*chain)
                seen.add(chain[0])
                for name in one.ancestors:
                    tenants.setdefault(name, set()).add(chain[0])
            above[one.id.lower()] = chains[chain]
        partial = not complete and len(seen) > 1
        return cls({name: frozenset(found) for name, found in tenants.items()}, above, partial)

    def __contains__(self, group: str) -> bool:
        """Whether there is such a group, named in one of the two ways."""
        tenant, slash, name = group.lower().rpartition("/")
        return tenant in self.tenants.get(name, ()) if slash else name in self.tenants

    @property
    def written(self) -> list[str]:
        """Each group as one has to write it, in order."""
        return sorted(
            f"{tenant}/{name}" if tenant and len(there) > 1 else name
            for name, there in self.tenants.items()
            for tenant in there
        )

    def several(self, group: str) -> str:
        """What to write in place of a name that several tenants have a group of; empty where it is one group's."""
        name = group.lower()
        there = self.tenants.get(name, frozenset())
        if len(there) <= 1:
            return ""
        return f"{len(there)} tenants have a management group {name}: write {self._written_out(name)}"

    def doubt(self, group: str) -> str:
        """Why it is not known which group of this name is meant, and what to write; empty where it is known."""
        if self.partial and "/" not in group:
            name = group.lower()
            what = self._written_out(name) or f"<tenant>/{name}"
            return f"not everything was read, so several tenants may have a management group {name}: write {what}"
        return self.several(group)

    def sure(self, group: str) -> tuple[str, ...]:
        """All names of the one group that is meant, and the given one where none is known; none in doubt."""
        tenant, slash, name = group.lower().rpartition("/")
        there = self.tenants.get(name, frozenset())
        if self.doubt(name) and not slash:
            return ()
        if not slash:
            return (name, *(f"{each}/{name}" for each in there if each))
        alone = (name,) if tenant in there and not self.doubt(name) else ()
        return (*alone, f"{tenant}/{name}")

    @cached_property
    def surely_above(self) -> Mapping[str, tuple[str, ...]]:
        """The names above each subscription that mean one group each, by its lower-case id."""
        known: dict[tuple[str, ...], tuple[str, ...]] = {}
        for names in self.above.values():
            if names not in known:
                known[names] = tuple(name for name in names if not self.doubt(name))
        return {one: known[names] for one, names in self.above.items()}

    def _written_out(self, name: str) -> str:
        written = [f"{tenant}/{name}" for tenant in sorted(self.tenants.get(name, ())) if tenant]
        more = f" or one of {len(written) - _WRITTEN} more" if len(written) > _WRITTEN else ""
        return " or ".join(written[:_WRITTEN]) + more
