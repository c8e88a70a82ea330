"""Find what Microsoft has retired, and filters that lose the severity Critical."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from shared.exports.diagnostics import Diagnostic
from shared.exports.evaluator import meets
from shared.exports.event_sources import SNAPSHOT
from shared.exports.retired_recommendations import RETIRED, RETIRED_ON, RetiredRecommendation
from shared.exports.rule_sets import Rule, RuleSet, Source, bare_path, normalise_rule

_GUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_SEVERITY: Final = {"Assessments": "properties.metadata.severity", "SubAssessments": "properties.status.severity"}
_NAMING: Final = {"id", "name"}

PlaceNames = Callable[[int, int | None, int | None], str]


def lint_retired(sources: Sequence[Source], names: PlaceNames) -> Iterator[Diagnostic]:
    """Retired sources, and each retired or retiring recommendation once."""
    told: set[str] = set()
    for index, source in enumerate(sources):
        kind = source.event_source.removesuffix(SNAPSHOT)
        if kind == "SubAssessments":
            yield Diagnostic(
                "retired-source",
                "warning",
                names(index, None, None),
                f"{source.event_source} has no records since {RETIRED_ON}: findings are recommendations now.",
                "Export recommendations, by category if not all; only Government clouds may still send these.",
            )
        if kind not in _SEVERITY:
            continue
        for number, rule_set in enumerate(source.rule_sets):
            for position, rule in enumerate(rule_set):
                for entry in retired_in(rule):
                    if entry.id not in told:
                        told.add(entry.id)
                        yield _retired(entry, names(index, number, position))


def retired_in(rule: Rule) -> Iterator[RetiredRecommendation]:
    """The retired recommendations whose ids a rule on an id or a name compares with."""
    if bare_path(rule.path).lower() in _NAMING and rule.operator != "NotEquals":
        for match in _GUID.findall(rule.value):
            if entry := RETIRED.get(match.lower()):
                yield entry


def _retired(entry: RetiredRecommendation, where: str) -> Diagnostic:
    fix = f"Now: {entry.instead}." if entry.instead else ""
    if entry.retiring:
        sentence = f"{entry.id} ({entry.title}) is retired on {entry.date}."
        return Diagnostic("retiring-recommendation", "warning", where, sentence, fix)
    sentence = f"{entry.id} ({entry.title}) was retired on {entry.date}, so nothing is exported by it."
    return Diagnostic("retired-recommendation", "warning", where, sentence, fix)


def lint_critical(sources: Sequence[Source], names: PlaceNames) -> Iterator[Diagnostic]:
    """Filters that let High through and not Critical, which is above it, one finding for each source."""
    for index, source in enumerate(sources):
        path = _SEVERITY.get(source.event_source.removesuffix(SNAPSHOT))
        if path is None:
            continue
        place = _first_without_critical(source.rule_sets, path.lower())
        if place is not None:
            yield Diagnostic(
                "drops-critical",
                "warning",
                names(index, *place),
                f"{source.event_source} of severity High are exported, those of severity Critical, which is above "
                "High since March 2025, are not.",
                "Use minimumSeverity, or add Critical; waive it if High alone is meant.",
            )


def _first_without_critical(rule_sets: Sequence[RuleSet], path: str) -> tuple[int, int] | None:
    """The rule set and rule (from 0) that drop Critical; None when some other rule set lets it through."""
    covered: set[frozenset[Rule]] = set()
    dropping: list[tuple[frozenset[Rule], int, int]] = []
    for number, rule_set in enumerate(rule_sets):
        on_severity = [
            (position, rule) for position, rule in enumerate(rule_set) if bare_path(rule.path).lower() == path
        ]
        others = frozenset(normalise_rule(rule) for rule in rule_set if bare_path(rule.path).lower() != path)
        if all(meets(rule, ["Critical"]) for _, rule in on_severity):
            covered.add(others)
        elif all(meets(rule, ["High"]) for _, rule in on_severity):
            dropping.append((others, number, on_severity[0][0]))
    if frozenset() in covered:
        return None
    return next(((number, position) for others, number, position in dropping if others not in covered), None)
