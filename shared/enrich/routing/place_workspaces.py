"""In which workspaces the rows of the places lie, as far as the file of routes says so and they can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.enrich.routing.route_model import DEFAULT, HubPlace, Place, Routes, RulePlace


@dataclass(frozen=True)
class PlaceWorkspace:
    """One workspace, and the places whose rows lie there: one question answers for all of them.

    `kinds` are those that rules send there, None for every kind; `renamed` the tables that a place's streams rename.
    """

    places: tuple[str, ...]
    workspace_id: str
    tenant: str = ""
    kinds: frozenset[str] | None = frozenset()
    renamed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its places in one word."""
        return "+".join(self.places)

    def has(self, kind: str, table: str) -> bool:
        """Whether a rule sends rows of a kind there, into the table that is named so here."""
        return (self.kinds is None or kind in self.kinds) and table not in self.renamed


@dataclass(frozen=True)
class PlaceWorkspaces:
    """Those beside the default one, the places whose rows lie in that, and why the others can't be asked."""

    further: tuple[PlaceWorkspace, ...] = ()
    with_default: tuple[str, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)

    def of(self, place: str) -> PlaceWorkspace | None:
        """The workspace of a place; None where it is the default one, or can't be asked."""
        return next((one for one in self.further if place in one.places), None)


def why_unseen(place: Place) -> str:
    """Why nothing can be said of a place's rows by the file alone; empty where its workspace is named."""
    if isinstance(place, HubPlace):
        return f"not known for place {place.name}: an output hub can't be asked what it holds"
    if not place.workspace:
        return f"not known for place {place.name}: the file of routes does not say its workspaceId"
    return ""


def place_workspaces(routes: Routes, default_id: str) -> PlaceWorkspaces:
    """The workspaces that routes name."""
    found: dict[str, PlaceWorkspace] = {}
    with_default, unseen = [], {}
    for place in routes.places:
        if why := why_unseen(place):
            unseen[place.name] = why
        elif isinstance(place, RulePlace) and place.workspace == default_id.lower():
            if place.streams:
                unseen[place.name] = f"not known for place {place.name}: its tables in the default workspace are others"
            else:
                with_default.append(place.name)
        elif isinstance(place, RulePlace):
            before = found.get(place.workspace, PlaceWorkspace((), place.workspace, place.tenant))
            found[place.workspace] = PlaceWorkspace(
                (*before.places, place.name),
                place.workspace,
                place.tenant,
                _both(before.kinds, _kinds(routes, place.name)),
                before.renamed | place.streams.keys(),
            )
    return PlaceWorkspaces(tuple(found.values()), tuple(with_default), unseen)


def sent_away(routes: Routes, kind: str) -> tuple[str, ...]:
    """The places that may get rows of a kind of which the default place has none."""
    rules = (
        rule
        for rule in routes.rules
        if rule.instead and DEFAULT not in rule.instead and (not rule.kinds or kind in rule.kinds)
    )
    return tuple(dict.fromkeys(name for rule in rules for name in rule.instead))


def _kinds(routes: Routes, place: str) -> frozenset[str] | None:
    rules = [rule for rule in routes.rules if place in rule.places]
    if any(not rule.kinds for rule in rules):
        return None
    return frozenset().union(*(rule.kinds for rule in rules))


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one | other
