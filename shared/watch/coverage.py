"""Which subscription exports what, to where, and whether that meets what is required.  Pure.

An automation counts towards a requirement only if it is enabled and covers the whole subscription: one that is scoped
to resource groups says nothing about the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import orjson

from shared.exports.automation_linter import can_receive, lint_actions, lint_scopes
from shared.exports.compiler import NAME_TAG
from shared.exports.diagnostics import Diagnostic
from shared.exports.event_sources import member
from shared.exports.explain import explain
from shared.exports.linter import lets_nothing_through, lint_sources
from shared.exports.ownership import owned, tag
from shared.exports.rule_sets import MalformedRules, Source, parse_sources


class SubscriptionLike(Protocol):
    """What coverage needs of a subscription."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def tenant_id(self) -> str: ...  # noqa: D102


class Live(NamedTuple):
    """A live automation: its ARM id, tags, and properties as JSON (no secret is among them)."""

    id: str
    tags: Mapping[str, str]
    properties: bytes


class Destination(NamedTuple):
    """Where an automation sends: `kind` is EventHub, Workspace or LogicApp.

    `usable` is false where nothing can arrive: a namespace instead of a hub, no credential, no resource id.
    """

    kind: str
    resource_id: str
    usable: bool = True


class Exporter(NamedTuple):
    """One automation that exports one event source of a subscription."""

    automation_id: str
    name: str
    owner: str
    export: str
    enabled: bool
    whole_subscription: bool
    destinations: tuple[Destination, ...]
    source: Source
    filter: str
    findings: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether it exports for the whole subscription right now; starting a logic app is no export."""
        return self.enabled and self.whole_subscription and bool(self.receivers)

    @property
    def receivers(self) -> tuple[Destination, ...]:
        """The event hubs and workspaces among its destinations that records can reach."""
        return tuple(each for each in self.destinations if each.usable and each.kind.lower() != "logicapp")

    @property
    def lets_nothing_through(self) -> bool:
        """Whether no record can pass its filters."""
        return lets_nothing_through(self.source)


@dataclass(frozen=True, slots=True)
class SubscriptionCoverage:
    """The exporters of one subscription by event source; sources without an exporter are absent."""

    subscription_id: str
    name: str
    tenant_id: str
    exporters: Mapping[str, tuple[Exporter, ...]]


UNREADABLE: Final = "(unreadable)"
"""Stands for the event source of an automation whose sources say nothing that can be read."""
# Stands for an automation's own subscription, so that thousands of equal automations are read once.
_OWN = "00000000-own"


class _Part(NamedTuple):
    """One source of an automation, with what is said about it."""

    source: Source
    filter: str
    findings: tuple[str, ...]


class _Shape(NamedTuple):
    """What an automation's properties say, its own subscription's id left open."""

    enabled: bool
    whole_subscription: bool
    destinations: tuple[Destination, ...]
    parts: tuple[_Part, ...]


class _Reader:
    """Reads each distinct text of properties, and each distinct list of sources, once."""

    def __init__(self) -> None:
        self._shapes: dict[bytes, _Shape] = {}
        self._parts: dict[bytes, tuple[_Part, ...]] = {}

    def read(self, properties: bytes, subscription_id: str) -> _Shape:
        text = properties.replace(subscription_id.encode(), _OWN.encode())
        shape = self._shapes.get(text)
        if shape is None:
            shape = self._shapes[text] = self._read(orjson.loads(text), subscription_id)
        return shape

    def _read(self, properties: Mapping[str, Any], subscription_id: str) -> _Shape:
        own = {f"subscriptions/{_OWN}", f"subscriptions/{subscription_id.lower()}"}
        scopes = {str(member(scope, "scopePath") or "").strip("/").lower() for scope in _listed(properties, "scopes")}
        found = (_destination(action) for action in _listed(properties, "actions"))
        sources = member(properties, "sources")
        key = orjson.dumps(sources)
        if key not in self._parts:
            self._parts[key] = _parse(sources)
        around = {finding.code for finding in (*lint_scopes(properties, ""), *lint_actions(properties, ""))}
        parts = self._parts[key]
        if around:
            parts = tuple(part._replace(findings=tuple(sorted({*part.findings, *around}))) for part in parts)
        return _Shape(
            member(properties, "isEnabled") is not False,
            not own.isdisjoint(scopes),
            tuple(destination for destination in found if destination),
            parts,
        )


def _listed(properties: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = member(properties, name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _destination(action: Mapping[str, Any]) -> Destination | None:
    kind = str(member(action, "actionType") or "")
    for key in ("eventHubResourceId", "workspaceResourceId", "logicAppResourceId"):
        if value := member(action, key):
            return Destination(kind, str(value), can_receive(action))
    return None


def _parse(sources: Any) -> tuple[_Part, ...]:
    try:
        parsed = parse_sources(sources)
    except MalformedRules as error:
        return (_Part(Source(UNREADABLE), f"sources that can't be read: {error}", ("malformed",)),)
    if not parsed:
        return (_Part(Source(UNREADABLE), "nothing: it has no sources", ("no-sources",)),)
    findings = lint_sources(parsed)
    return tuple(
        _Part(
            source,
            explain(source),
            tuple(
                sorted(
                    {
                        *_of(source.event_source, f"sources[{index}] ", findings),
                        *(["nothing-passes"] if lets_nothing_through(source) else []),
                    }
                )
            ),
        )
        for index, source in enumerate(parsed)
    )


def _of(event_source: str, place: str, findings: Iterable[Diagnostic]) -> tuple[str, ...]:
    """The codes of the findings on one source; one on the list as a whole begins with the source it is about."""
    about = f"{event_source} is "
    return tuple(
        sorted(
            {each.code for each in findings if f"{each.where} ".startswith(place) or each.sentence.startswith(about)}
        )
    )


def cover(
    subscriptions: Iterable[SubscriptionLike], automations: Iterable[Live], instance_id: str
) -> list[SubscriptionCoverage]:
    """Join subscriptions with their live automations, ours and foreign.

    The result has one entry per subscription, in the order given; automations of other subscriptions are left out.
    """
    reader = _Reader()
    found: dict[str, dict[str, list[Exporter]]] = {}
    for automation in automations:
        _, _, subscription_id, *_ = automation.id.split("/", 3)
        by_source = found.setdefault(subscription_id.lower(), {})
        for exporter in _exporters(automation, subscription_id, instance_id, reader):
            by_source.setdefault(exporter.source.event_source, []).append(exporter)
    return [
        SubscriptionCoverage(
            subscription.id,
            subscription.name,
            subscription.tenant_id,
            {source: tuple(these) for source, these in found.get(subscription.id.lower(), {}).items()},
        )
        for subscription in subscriptions
    ]


def _exporters(automation: Live, subscription_id: str, instance_id: str, reader: _Reader) -> Iterable[Exporter]:
    shape = reader.read(automation.properties, subscription_id)
    ours = owned(automation.tags, instance_id)
    name = automation.id.rpartition("/")[2]
    owner, export = ("ours", tag(automation.tags, NAME_TAG).lower()) if ours else ("foreign", "")
    destinations = tuple(
        each._replace(resource_id=each.resource_id.replace(_OWN, subscription_id)) for each in shape.destinations
    )
    for source, phrase, findings in shape.parts:
        yield Exporter(
            automation.id, name, owner, export, shape.enabled, shape.whole_subscription, destinations,
            source, phrase, findings,
        )  # fmt: skip
