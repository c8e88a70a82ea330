"""Which subscription exports what, to where, and whether that meets what is required.  Pure.

An automation counts towards a requirement only if it is enabled and covers the whole subscription: one that is scoped
to resource groups says nothing about the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.exports.compile import INSTANCE_TAG, MANAGED_BY, MANAGED_BY_TAG, NAME_TAG
from shared.exports.lint import lint_sources
from shared.exports.rules import EVENT_SOURCES, MalformedRules, Rule, Source, accepts, explain, parse_sources
from shared.exports.vocabulary import member


class SubscriptionLike(Protocol):
    """What coverage needs of a subscription."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def tenant_id(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an automation sends: `kind` is EventHub, Workspace or LogicApp."""

    kind: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Exporter:
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
        """Whether it exports for the whole subscription right now."""
        return self.enabled and self.whole_subscription and bool(self.destinations)


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
    ({"SystemAlertId": "any", "Severity": "High"}, {"SystemAlertId": "any", "Severity": "Medium"}),
    description="Alerts of High and Medium severity are exported somewhere live",
)

_NEVER = (Rule("id", "String", "GreaterThan", "0"),)  # a numeric operator on text never holds


@dataclass(frozen=True, slots=True)
class _Parsed:
    source: Source
    filter: str
    findings: tuple[str, ...]


class _Reader:
    """Parses each distinct list of sources once: thousands of subscriptions share a handful of them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Parsed, ...]] = {}

    def read(self, properties: Mapping[str, Any]) -> tuple[_Parsed, ...]:
        sources = member(properties, "sources")
        key = json.dumps(sources, separators=(",", ":"))
        parsed = self._known.get(key)
        if parsed is None:
            parsed = self._known[key] = _parse(sources)
        return parsed


def _parse(sources: Any) -> tuple[_Parsed, ...]:
    try:
        parsed = parse_sources(sources)
    except MalformedRules:
        return ()
    findings: dict[str, list[str]] = {}
    for finding in lint_sources(parsed):
        for index, source in enumerate(parsed):
            if f"sources[{index}]" in finding.where or source.event_source in finding.where:
                findings.setdefault(source.event_source, []).append(finding.code)
    return tuple(
        _Parsed(source, explain(source), tuple(sorted(set(findings.get(source.event_source, ())))))
        for source in parsed
        if source.event_source in EVENT_SOURCES
    )


def cover(
    subscriptions: Iterable[SubscriptionLike], automations: Iterable[Mapping[str, Any]], instance_id: str
) -> list[SubscriptionCoverage]:
    """Join subscriptions with their live automations (ARM bodies), ours and foreign.

    The result has one entry per subscription, in the order given; automations of other subscriptions are left out.
    """
    reader = _Reader()
    found: dict[str, dict[str, list[Exporter]]] = {}
    for automation in automations:
        automation_id = str(member(automation, "id") or "")
        subscription_id = _segment(automation_id, 2)
        by_source = found.setdefault(subscription_id, {})
        for exporter in _exporters(automation, automation_id, subscription_id, instance_id, reader):
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


def _exporters(
    automation: Mapping[str, Any], automation_id: str, subscription_id: str, instance_id: str, reader: _Reader
) -> Iterable[Exporter]:
    properties = member(automation, "properties") or {}
    tags = {key.lower(): value for key, value in (member(automation, "tags") or {}).items()}
    ours = tags.get(MANAGED_BY_TAG) == MANAGED_BY and tags.get(INSTANCE_TAG) == instance_id
    scopes = [str(member(scope, "scopePath") or "").strip("/").lower() for scope in member(properties, "scopes") or ()]
    destinations = tuple(
        destination for action in member(properties, "actions") or () if (destination := _destination(action))
    )
    for parsed in reader.read(properties):
        yield Exporter(
            automation_id=automation_id,
            name=_segment(automation_id, 8, lower=False),
            owner="ours" if ours else "foreign",
            export=tags.get(NAME_TAG, "") if ours else "",
            enabled=member(properties, "isEnabled") is not False,
            whole_subscription=f"subscriptions/{subscription_id}" in scopes,
            destinations=destinations,
            source=parsed.source,
            filter=parsed.filter,
            findings=parsed.findings,
        )


def _segment(resource_id: str, index: int, *, lower: bool = True) -> str:
    parts = resource_id.split("/")
    segment = parts[index] if len(parts) > index else ""
    return segment.lower() if lower else segment


def _destination(action: Mapping[str, Any]) -> Destination | None:
    kind = str(member(action, "actionType") or "")
    for key in ("eventHubResourceId", "workspaceResourceId", "logicAppResourceId"):
        if value := member(action, key):
            return Destination(kind, str(value))
    return None


def judge(coverage: Iterable[SubscriptionCoverage], requirements: Sequence[Requirement]) -> list[Verdict]:
    """Each subscription against each requirement."""
    memory: dict[tuple[Source, str], frozenset[int]] = {}
    return [_judge(subscription, requirement, memory) for subscription in coverage for requirement in requirements]


def _judge(
    subscription: SubscriptionCoverage,
    requirement: Requirement,
    memory: dict[tuple[Source, str], frozenset[int]],
) -> Verdict:
    exporters = subscription.exporters.get(requirement.event_source, ())
    live = [exporter for exporter in exporters if exporter.counts and _sends_to(exporter, requirement.destination)]
    met: set[int] = set()
    for exporter in live:
        key = (exporter.source, requirement.name)
        if key not in memory:
            memory[key] = _lets_through(exporter.source, requirement)
        met |= memory[key]
    if len(met) == len(requirement.samples):
        return Verdict(subscription.subscription_id, requirement.name, True, "")
    return Verdict(subscription.subscription_id, requirement.name, False, _why_not(exporters, live, requirement))


def _sends_to(exporter: Exporter, part: str) -> bool:
    return not part or any(part.lower() in destination.resource_id.lower() for destination in exporter.destinations)


def _lets_through(source: Source, requirement: Requirement) -> frozenset[int]:
    """The samples that `source` exports whatever else the record holds: a sample has only the required fields."""
    return frozenset(
        index for index, sample in enumerate(requirement.samples) if accepts(_without_absence(source), sample)
    )


def _without_absence(source: Source) -> Source:
    # NotEquals holds for a missing value, so a bare sample would pass a rule that real records can fail.
    if not source.rule_sets:
        return source
    kept = tuple(
        rule_set for rule_set in source.rule_sets if not any(rule.operator == "NotEquals" for rule in rule_set)
    )
    return Source(source.event_source, kept or (_NEVER,))


def _why_not(exporters: Sequence[Exporter], live: Sequence[Exporter], requirement: Requirement) -> str:
    if not exporters:
        return f"no automation exports {requirement.event_source}"
    if not any(exporter.enabled for exporter in exporters):
        return "every automation that would export it is disabled"
    if not any(exporter.enabled and exporter.whole_subscription for exporter in exporters):
        return "only some resource groups are exported"
    if not live:
        return f"none sends to {requirement.destination}" if requirement.destination else "none has a destination"
    return f"the filters let only some through: {'; '.join(exporter.filter for exporter in live)}"
