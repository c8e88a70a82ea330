"""Rules and places as values, and the decision which places a row goes to (docs/routing.md).

Rules are read from top to bottom.  One that says `also` adds places, and reading goes on; the first that says
`instead` ends it, and its places stand for the default place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

DEFAULT: Final = "default"
"""What the settings name: the workspace, and the output hub where there is one."""
T = TypeVar("T")


@dataclass(frozen=True)
class RulePlace:
    """A data collection rule; `streams` are its streams by table, where they are not called after it.

    `workspace` is the id of the workspace behind it, by which its rows can be looked at; empty where none is given.
    """

    name: str
    endpoint: str
    rule_id: str
    streams: Mapping[str, str] = field(default_factory=dict)
    tenant: str = ""
    workspace: str = ""

    @property
    def address(self) -> tuple[str, ...]:
        """The same for two that are one place."""
        return ("rule", self.endpoint.rstrip("/").lower(), self.rule_id.lower())


@dataclass(frozen=True)
class HubPlace:
    """An output hub, and what its events hold; without a namespace its connection is in the settings."""

    name: str
    hub: str
    namespace: str = ""
    form: str = "rows"
    kilobytes: int = 1024
    tenant: str = ""

    @property
    def address(self) -> tuple[str, ...]:
        """The same for two that are one place; without a namespace it is known to the settings alone."""
        where = self.namespace.rstrip(".").lower() or f"(connection of {self.name})"
        return ("hub", where, self.hub.lower(), self.form)


Place = RulePlace | HubPlace


@dataclass(frozen=True)
class Facts:
    """What rules ask of a row, all but tag values in lower case; None is what is not known at this moment.

    `groups` are all names of the management groups above its subscription, `tags` its tags by lower-case name.
    """

    kind: str
    subscription: str = ""
    tenant: str | None = ""
    groups: Collection[str] | None = ()
    tags: Mapping[str, str] | None = field(default_factory=dict)
    owner: str | None = ""


@dataclass(frozen=True)
class Rule:
    """Where rows go that meet every condition; an empty one is none.  It has places of one sort, `also` or `instead`.

    Of the values of a condition a row has one; of `tags` each has one of its values.
    """

    name: str
    also: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    subscriptions: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    owners: frozenset[str] = frozenset()

    @property
    def places(self) -> tuple[str, ...]:
        """The places that it names."""
        return self.also or self.instead

    def meets(self, facts: Facts) -> bool | None:
        """Whether a row meets it; None where that depends on what is not known."""
        met = (
            not self.kinds or facts.kind in self.kinds,
            not self.subscriptions or facts.subscription in self.subscriptions,
            not self.tenants or _known(facts.tenant, lambda tenant: tenant in self.tenants),
            not self.groups or _known(facts.groups, lambda groups: not self.groups.isdisjoint(groups)),
            not self.owners or _known(facts.owner, lambda owner: owner in self.owners),
            not self.tags or _known(facts.tags, self._tagged),
        )
        if any(one is False for one in met):
            return False
        return None if any(one is None for one in met) else True

    def _tagged(self, tags: Mapping[str, str]) -> bool:
        return all(tags.get(name) in values for name, values in self.tags.items())

    def covers(self, other: Rule) -> bool:
        """Whether each row that meets the other meets this one, as far as the conditions themselves tell."""
        pairs = (
            (self.kinds, other.kinds),
            (self.subscriptions, other.subscriptions),
            (self.tenants, other.tenants),
            (self.groups, other.groups),
            (self.owners, other.owners),
            *((values, other.tags.get(name, frozenset())) for name, values in self.tags.items()),
        )
        return all(not mine or (theirs and theirs <= mine) for mine, theirs in pairs)


def _known(value: T | None, met: Callable[[T], bool]) -> bool | None:
    return None if value is None else met(value)


@dataclass(frozen=True)
class Decision:
    """The places of a row, at least one and each once, and the names of the rules that it met."""

    places: tuple[str, ...]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Routes:
    """What the file says."""

    places: tuple[Place, ...] = ()
    rules: tuple[Rule, ...] = ()

    def decide(self, facts: Facts) -> Decision | None:
        """Where a row goes; None where a rule asks for what is not known."""
        also: list[str] = []
        met: list[str] = []
        for rule in self.rules:
            meets = rule.meets(facts)
            if meets is None:
                return None
            if not meets:
                continue
            met.append(rule.name)
            if rule.instead:
                return Decision(_once((*rule.instead, *also)), tuple(met))
            also += rule.also
        return Decision(_once((DEFAULT, *also)), tuple(met))

    @property
    def ask_tenant(self) -> bool:
        """Whether a rule asks for the tenant."""
        return any(rule.tenants for rule in self.rules)

    @property
    def ask_owner(self) -> bool:
        """Whether a rule asks for the owner."""
        return any(rule.owners for rule in self.rules)

    @property
    def ask_subscription(self) -> bool:
        """Whether a rule asks for something that only Resource Graph says of the subscription."""
        return any(rule.groups or rule.tags for rule in self.rules)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
