"""Which subscription exports what, to where, and whether that meets what is required.  Pure.

An automation counts towards a requirement only if it is enabled and covers the whole subscription: one that is scoped
to resource groups says nothing about the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson

from shared.exports.compiler import INSTANCE_TAG, MANAGED_BY, MANAGED_BY_TAG, NAME_TAG
from shared.exports.diagnostics import Finding
from shared.exports.evaluator import surely_holds
from shared.exports.event_sources import EVENT_SOURCES, KINDS, SNAPSHOT, member
from shared.exports.explain import explain
from shared.exports.linter import lint_sources
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
    """Where an automation sends: `kind` is EventHub, Workspace or LogicApp."""

    kind: str
    resource_id: str


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
        """The event hubs and workspaces among its destinations."""
        return tuple(each for each in self.destinations if each.kind.lower() != "logicapp")


@dataclass(frozen=True, slots=True)
class SubscriptionCoverage:
    """The exporters of one subscription by event source; sources that nobody exports are absent."""

    subscription_id: str
    name: str
    tenant_id: str
    exporters: Mapping[str, tuple[Exporter, ...]]


@dataclass(frozen=True)
class Requirement:
    """What every subscription must export: records of `event_source` for each of the sample records.

    `samples` are minimal records that must be let through whatever else they hold; `destination`, when set, is a
    part of the resource id that must be among the destinations.
    """

    name: str
    event_source: str
    samples: tuple[Mapping[str, Any], ...] = ({},)
    destination: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one subscription meets one requirement, and why not."""

    subscription_id: str
    requirement: str
    met: bool
    reason: str


# CIS Microsoft Azure Foundations 8.1.5.2 asks that alerts of medium severity and above leave the portal.
CIS = Requirement(
    "cis-8.1.5.2",
    "Alerts",
    ({"Severity": "High"}, {"Severity": "Medium"}),
    description="alerts of High and Medium severity are exported",
)

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
        return _Shape(
            member(properties, "isEnabled") is not False,
            not own.isdisjoint(scopes),
            tuple(destination for destination in found if destination),
            self._parts[key],
        )


def _listed(properties: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = member(properties, name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _destination(action: Mapping[str, Any]) -> Destination | None:
    kind = str(member(action, "actionType") or "")
    for key in ("eventHubResourceId", "workspaceResourceId", "logicAppResourceId"):
        if value := member(action, key):
            return Destination(kind, str(value))
    return None


def _parse(sources: Any) -> tuple[_Part, ...]:
    try:
        parsed = parse_sources(sources)
    except MalformedRules:
        return ()
    findings = lint_sources(parsed)
    return tuple(
        _Part(source, explain(source), _of(source.event_source, f"sources[{index}] ", findings))
        for index, source in enumerate(parsed)
        if source.event_source in EVENT_SOURCES
    )


def _of(event_source: str, place: str, findings: Iterable[Finding]) -> tuple[str, ...]:
    """The codes of the findings on one source; one on the list as a whole begins with the source it is about."""
    about = f"{event_source} is "
    return tuple(
        sorted({each.code for each in findings if f"{each.where} ".startswith(place) or about in each.sentence})
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
    tags = {name.lower(): value for name, value in automation.tags.items()}
    ours = tags.get(MANAGED_BY_TAG) == MANAGED_BY and tags.get(INSTANCE_TAG) == instance_id
    name = automation.id.rpartition("/")[2]
    owner, export = ("ours", tags.get(NAME_TAG, "")) if ours else ("foreign", "")
    destinations = tuple(
        Destination(kind, resource_id.replace(_OWN, subscription_id)) for kind, resource_id in shape.destinations
    )
    for source, phrase, findings in shape.parts:
        yield Exporter(
            automation.id, name, owner, export, shape.enabled, shape.whole_subscription, destinations,
            source, phrase, findings,
        )  # fmt: skip


def judge(coverage: Iterable[SubscriptionCoverage], requirements: Sequence[Requirement]) -> list[Verdict]:
    """Each subscription against each requirement, subscription by subscription."""
    # Equal sources are one object (see _Reader), and hashing one means hashing all its rules.
    memory: dict[tuple[int, str], frozenset[int]] = {}
    return [_judge(subscription, requirement, memory) for subscription in coverage for requirement in requirements]


def _judge(
    subscription: SubscriptionCoverage, requirement: Requirement, memory: dict[tuple[int, str], frozenset[int]]
) -> Verdict:
    exporters = subscription.exporters.get(requirement.event_source, ())
    live = [exporter for exporter in exporters if exporter.counts and _sends_to(exporter, requirement.destination)]
    met: set[int] = set()
    for exporter in live:
        key = (id(exporter.source), requirement.name)
        if key not in memory:
            memory[key] = _lets_through(exporter.source, requirement)
        met |= memory[key]
    if len(met) == len(requirement.samples):
        return Verdict(subscription.subscription_id, requirement.name, True, "")
    return Verdict(subscription.subscription_id, requirement.name, False, _why_not(exporters, live, requirement))


def _sends_to(exporter: Exporter, part: str) -> bool:
    return not part or any(part.lower() in receiver.resource_id.lower() for receiver in exporter.receivers)


def _lets_through(source: Source, requirement: Requirement) -> frozenset[int]:
    """The samples that `source` exports whatever else the record holds: a sample has only the required fields."""
    record_type = KINDS[source.event_source.removesuffix(SNAPSHOT)].record_type
    given = {"type": record_type} if record_type else {}
    return frozenset(
        index
        for index, sample in enumerate(requirement.samples)
        if not source.rule_sets
        or any(all(surely_holds(rule, {**given, **sample}) for rule in rule_set) for rule_set in source.rule_sets)
    )


def _why_not(exporters: Sequence[Exporter], live: Sequence[Exporter], requirement: Requirement) -> str:
    enabled = [exporter for exporter in exporters if exporter.enabled]
    if not exporters:
        return f"no automation exports {requirement.event_source}"
    if not enabled:
        return "every automation that would export it is disabled"
    if not any(exporter.whole_subscription for exporter in enabled):
        return "only some resource groups are exported"
    if not any(exporter.counts for exporter in enabled):
        return "it is sent to no event hub or workspace"
    if not live:
        return f"none sends to {requirement.destination}"
    return f"the filters let only some through: {'; '.join(sorted({exporter.filter for exporter in live}))}"
