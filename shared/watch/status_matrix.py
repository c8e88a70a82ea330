"""The operations matrix: each subscription and kind in one word, and what needs a person.  Pure.

What is wrong with a destination or an automation outweighs what is known of its data: broken, blocked, drifted, silent,
exported, quiet, foreign, and `none` where no automation exports the kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.exports.event_sources import KINDS, SNAPSHOT
from shared.muting.mutes import Muted, Muting, Part
from shared.watch.coverage import Exporter, SubscriptionCoverage
from shared.watch.freshness_verdicts import FRESH, QUIET, SILENT
from shared.watch.open_items import subscription_of
from shared.watch.requirement_checks import Verdict

EXPORTED = "exported"
DRIFTED = "drifted"
FOREIGN = "foreign"
BLOCKED = "blocked"
BROKEN = "broken"
NONE = "none"

NEED_A_PERSON = frozenset({BROKEN, BLOCKED, DRIFTED, SILENT})
_DRIFTS = frozenset({"create", "update", "delete", "adopt"})


@dataclass(frozen=True, slots=True)
class ExportKnown:
    """The kinds of record that an export sends, where to, and why nothing arrives there; empty where it may."""

    kinds: frozenset[str] = frozenset()
    broken: str = ""
    destination: str = ""


_UNKNOWN = ExportKnown()


@dataclass(frozen=True, slots=True)
class Status:
    """One subscription: a state per kind, notes on those that need a person, requirements met or not.

    `parts` are, by kind, what its state is about: each of them is muted where the kind is.
    """

    subscription_id: str
    states: Mapping[str, str]
    notes: Mapping[str, str]
    verdicts: Mapping[str, bool]
    parts: Mapping[str, Sequence[Part]]

    def muted(self, muting: Muting, now: datetime) -> dict[str, Muted]:
        """By kind, what needs a person and is muted."""
        found = {
            kind: muting.of(parts, now) for kind, parts in self.parts.items() if self.states[kind] in NEED_A_PERSON
        }
        return {kind: by for kind, by in found.items() if by}


def statuses(
    coverage: Iterable[SubscriptionCoverage],
    health: Iterable[Mapping[str, Any]],
    items: Iterable[Mapping[str, Any]],
    verdicts: Iterable[Verdict],
    exports: Mapping[str, ExportKnown],
) -> list[Status]:
    """Join coverage with the latest health (as kept), what is open (as reported), the verdicts and exports by name."""
    flowing = {(each["subscription_id"], each["kind"]): each for each in health}
    open_items: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        open_items.setdefault(subscription_of(item), []).append(item)
    met: dict[str, dict[str, bool]] = {}
    for verdict in verdicts:
        met.setdefault(verdict.subscription_id, {})[verdict.requirement] = verdict.met
    return [_status(each, flowing, open_items.get(each.subscription_id.lower(), ()), met, exports) for each in coverage]


def _status(
    subscription: SubscriptionCoverage,
    flowing: Mapping[tuple[str, str], Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    met: Mapping[str, Mapping[str, bool]],
    exports: Mapping[str, ExportKnown],
) -> Status:
    states: dict[str, str] = {}
    notes: dict[str, str] = {}
    parts: dict[str, Sequence[Part]] = {}
    for kind in KINDS:
        exporters = [*subscription.exporters.get(kind, ()), *subscription.exporters.get(kind + SNAPSHOT, ())]
        mine = [item for item in items if kind in exports.get(_export(item), _UNKNOWN).kinds]
        health = flowing.get((subscription.subscription_id.lower(), kind))
        states[kind], note = _broken(exporters, mine, exports) or _state(exporters, mine, health)
        if note:
            notes[kind] = note
        if states[kind] in NEED_A_PERSON:
            parts[kind] = _parts(subscription.subscription_id, exporters, mine, exports)
    return Status(subscription.subscription_id, states, notes, met.get(subscription.subscription_id, {}), parts)


def _parts(
    subscription: str,
    exporters: Iterable[Exporter],
    items: Iterable[Mapping[str, Any]],
    exports: Mapping[str, ExportKnown],
) -> list[Part]:
    names = {exporter.export for exporter in exporters if exporter.owner == "ours" and exporter.export}
    names |= {_export(item) for item in items}
    found = [
        Part(subscription.lower(), name.lower(), exports.get(name, _UNKNOWN).destination.strip("/").lower())
        for name in sorted(names)
    ]
    return found or [Part(subscription.lower())]


def _broken(
    exporters: Iterable[Exporter], items: Iterable[Mapping[str, Any]], exports: Mapping[str, ExportKnown]
) -> tuple[str, str] | None:
    """The state of a kind whose destination takes nothing, whatever else there is to say of its automations."""
    declared = [exporter.export for exporter in exporters if exporter.owner == "ours" and exporter.enabled]
    declared += [_export(item) for item in items if item.get("action") in {*_DRIFTS, BLOCKED}]
    reasons = (exports.get(name, _UNKNOWN).broken for name in declared)
    return next(((BROKEN, reason) for reason in reasons if reason), None)


def _export(item: Mapping[str, Any]) -> str:
    return str(item.get("export", ""))


def _state(
    exporters: Sequence[Exporter], items: Sequence[Mapping[str, Any]], health: Mapping[str, Any] | None
) -> tuple[str, str]:
    for item in items:
        if item.get("action") == BLOCKED or item.get("outcome") in {BLOCKED, "failed"}:
            return BLOCKED, str(item.get("outcomeReason") or item.get("reason") or "")
    for item in items:
        if item.get("action") in _DRIFTS and item.get("outcome") in {None, "not reached", "unconfirmed"}:
            return DRIFTED, _difference(item)
    if health is not None and health["verdict"] == SILENT:
        return SILENT, str(health["reason"])
    ours = [exporter for exporter in exporters if exporter.owner == "ours" and exporter.enabled]
    if ours:
        if health is not None and health["verdict"] == QUIET:
            return QUIET, str(health["reason"])
        return EXPORTED, "" if health is None or health["verdict"] == FRESH else str(health["reason"])
    foreign = [exporter for exporter in exporters if exporter.enabled]
    if foreign:
        return FOREIGN, f"{foreign[0].name} exports it, which this app does not manage"
    return NONE, ""


def _difference(item: Mapping[str, Any]) -> str:
    if item["action"] == "create":
        return "its automation is missing"
    if item["action"] == "delete":
        return "its automation is no longer declared"
    changes = item.get("changes") or ()
    return "; ".join(f"{change.get('path')}: {change.get('old')} -> {change.get('new')}" for change in changes)
