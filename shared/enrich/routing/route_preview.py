"""Who would get what by a file of routes, for each subscription, and who may change what the rules ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.enrich.context.resource_context import first_tag
from shared.enrich.routing.route_model import Decision, Facts, Routes
from shared.enrich.routing.routes_file import KINDS
from shared.exports.management_groups import names_above

_TAGGERS: Final = (
    "whoever holds Microsoft.Resources/tags/write or */write there or above: Owner, Contributor, Tag Contributor and "
    "custom roles with either"
)
_OF_RESOURCES: Final = (
    "; and since the nearest tag counts, also whoever may write one of its resource groups or resources, such as a "
    "Virtual Machine Contributor"
)


@dataclass(frozen=True)
class Known:
    """A subscription as discovery saw it; `ancestors` are the management groups above it, in lower case."""

    id: str
    name: str = ""
    tenant_id: str = ""
    ancestors: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Share:
    """Kinds of a subscription's records that go the same way; `owners` says that an owner's tag may lead elsewhere."""

    subscription_id: str
    subscription: str
    kinds: tuple[str, ...]
    places: tuple[str, ...]
    rules: tuple[str, ...]
    owners: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "subscriptionId": self.subscription_id,
            "subscription": self.subscription,
            "kinds": list(self.kinds),
            "places": list(self.places),
            "rules": list(self.rules),
            "unlessOwned": list(self.owners),
        }


def shares(routes: Routes, subscriptions: Iterable[Known], owner_tags: Sequence[str]) -> Iterator[Share]:
    """What each subscription's records would get, kind by kind, with the subscription's own owner as theirs."""
    for one in subscriptions:
        alike: dict[tuple[Decision, tuple[str, ...]], list[str]] = {}
        for kind in KINDS:
            decision = routes.decide(_facts(kind, one, owner_tags))
            if decision is not None:  # all is known here
                alike.setdefault((decision, _by_owner(routes, one, kind, decision)), []).append(kind)
        for (decision, elsewhere), kinds in alike.items():
            yield Share(one.id, one.name, tuple(kinds), decision.places, decision.rules, elsewhere)


def _facts(kind: str, one: Known, owner_tags: Sequence[str]) -> Facts:
    tags = one.tags or {}
    return Facts(
        kind,
        one.id.lower(),
        one.tenant_id.lower(),
        frozenset(names_above(one.tenant_id, one.ancestors)),
        {name.lower(): value for name, value in tags.items()},
        first_tag([name.lower() for name in owner_tags], [tags]).lower(),
    )


def _by_owner(routes: Routes, one: Known, kind: str, decision: Decision) -> tuple[str, ...]:
    """The rules that rows of a resource with another owner's tag would go by instead."""
    owners = {owner for rule in routes.rules for owner in rule.owners}
    facts = _facts(kind, one, ())
    found: dict[str, None] = {}
    for owner in sorted(owners):
        other = routes.decide(Facts(kind, facts.subscription, facts.tenant, facts.groups, facts.tags, owner))
        if other is not None and other.places != decision.places:
            found |= dict.fromkeys(name for name in other.rules if name not in decision.rules)
    return tuple(found)


def who_decides(routes: Routes, owner_tags: Sequence[str]) -> list[str]:
    """For each rule that asks for a tag or an owner, who may change that, and so decides who reads the rows."""
    said = []
    for rule in routes.rules:
        tags = ", ".join(sorted(rule.tags))
        if tags:
            said.append(f"{rule.name}: the tag {tags} of a subscription is changed by {_TAGGERS}")
        if rule.owners:
            named = ", ".join(owner_tags)
            said.append(f"{rule.name}: the owner ({named}) of a resource is changed by {_TAGGERS}{_OF_RESOURCES}")
    return said
