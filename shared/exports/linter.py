"""Find what can never match, what matches more than meant, and what is missing: in our files and in live automations.

Every finding has a stable code (CODES lists them all), a sentence and a fix.  The field names and values that rules
are held against are those of `vocabulary`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import combinations
from typing import Any, Final

from shared.exports.diagnostics import Diagnostic
from shared.exports.evaluator import meets
from shared.exports.event_sources import EVENT_SOURCES, KINDS, SNAPSHOT, Kind, kind_of_source
from shared.exports.rule_linter import CODES, Place, dotted, lint_rule
from shared.exports.rule_sets import MalformedRules, Rule, RuleSet, Source, normalise_rule, parse_sources, read
from shared.exports.suggestions import suggest

__all__ = ["CODES", "Diagnostic", "lint_automation", "lint_sources"]

_MAX_SUBSETS_OF: Final = 6  # a rule set of more rules is not compared with the sets of its parts: 2^n of them


def lint_sources(sources: Iterable[Source], *, where: str = "", waived: Collection[str] = ()) -> list[Diagnostic]:
    """Findings on the sources of one automation, without those whose code is waived; `where` is put before places."""
    listed = tuple(sources)
    prefix = f"{where}: " if where else ""
    found = [*_lint_whole(listed, f"{prefix}sources")]
    for index, source in enumerate(listed):
        found += _lint_source(source, f"{prefix}sources[{index}] {source.event_source}")
    return [finding for finding in found if finding.code not in waived]


def lint_automation(body: Any, *, where: str = "") -> list[Diagnostic]:
    """Findings on a live automation of any origin, in any casing; one of an unknown shape is a finding too."""
    try:
        return lint_sources(parse_sources(body), where=where)
    except MalformedRules as error:
        return [Diagnostic("malformed", "error", where or "sources", f"{error}.", "Write it anew in the API's shape.")]


def _lint_whole(sources: tuple[Source, ...], where: str) -> Iterator[Diagnostic]:
    names = [source.event_source for source in sources]
    if not names:
        yield Diagnostic("no-sources", "warning", where, "it has no sources, so it exports nothing.", "Add one.")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Diagnostic(
            "duplicate-source",
            "warning",
            where,
            f"{name} is listed {names.count(name)} times.",
            "Merge their rule sets.",
        )
    for kind in KINDS.values():
        for suffix in ("", SNAPSHOT):
            child, parent = kind.name + suffix, f"{kind.parent}{suffix}"
            if kind.parent is not None and child in names and parent not in names:
                code = "findings-without-recommendations" if kind.name == "SubAssessments" else "controls-without-score"
                code = f"snapshot-{code}" if suffix else code
                yield Diagnostic(
                    code,
                    CODES[code],
                    where,
                    f"{child} is exported without {parent}, to which its records belong.",
                    f"Add {parent}.",
                )


def _lint_source(source: Source, where: str) -> Iterator[Diagnostic]:
    kind = kind_of_source(source.event_source)
    if kind is None:
        code, sentence = "unknown-event-source", f"{source.event_source!r} is not an event source."
        fix = suggest(source.event_source, EVENT_SOURCES) or f"One of {', '.join(EVENT_SOURCES)}."
        if (streaming := source.event_source.removesuffix(SNAPSHOT)) in KINDS:
            fix = f"Use {streaming}, which has no snapshot."
        yield Diagnostic(code, CODES[code], where, sentence, fix)
        return
    place = Place(where, kind)
    for index, rule_set in enumerate(source.rule_sets):
        for position, rule in enumerate(rule_set):
            yield from lint_rule(rule, place.at(index, position))
        yield from _lint_rule_set(rule_set, place.at(index))
    yield from _lint_redundancy(source.rule_sets, place)


def _lint_redundancy(rule_sets: tuple[RuleSet, ...], place: Place) -> Iterator[Diagnostic]:
    first: dict[frozenset[Rule], int] = {}
    meanings = [frozenset(map(normalise_rule, rule_set)) for rule_set in rule_sets]
    for index, meaning in enumerate(meanings):
        first.setdefault(meaning, index)
    for index, meaning in enumerate(meanings):
        if first[meaning] != index:
            yield place.at(index).finding(
                "duplicate-rule-set", f"it says the same as rule set {first[meaning] + 1}.", "Take it out."
            )
        elif (wider := _wider(meaning, first)) is not None:
            sentence = (
                "has no rules and lets every record through" if not rule_sets[wider] else "lets all of it through"
            )
            yield place.at(index).finding(
                "redundant-rule-set",
                f"it changes nothing: rule set {wider + 1} {sentence}.",
                f"Take out rule set {wider + 1} if this one was meant to narrow it; else take out this one.",
            )


def _wider(meaning: frozenset[Rule], first: Mapping[frozenset[Rule], int]) -> int | None:
    """The rule set whose rules are some of these, and which therefore lets through all that this one does."""
    sizes = range(len(meaning)) if len(meaning) <= _MAX_SUBSETS_OF else (0, 1)
    return next(
        (
            first[part]
            for size in sizes
            for part in map(frozenset, combinations(sorted(meaning), size))
            if part in first
        ),
        None,
    )


def _lint_rule_set(rule_set: RuleSet, place: Place) -> Iterator[Diagnostic]:
    rules = {normalise_rule(rule): rule for rule in rule_set}
    if len(rules) < len(rule_set):
        yield place.finding("duplicate-rule", "it has the same rule twice.", "Take one out.")
    for left, right in combinations(rules, 2):
        if left.path != right.path or _can_hold_many(left.path, place.kind) or not _contradict(left, right):
            continue
        one, other = rules[left], rules[right]
        if one.operator == other.operator == "Equals":
            yield place.finding(
                "contradictory-equals",
                f"no record matches: {one.path} can't equal both {one.value!r} and {other.value!r}, "
                "and the rules of one rule set must all hold.",
                "Give each value a rule set of its own: rule sets are ORed.",
            )
        else:
            yield place.finding(
                "contradictory-rules",
                f"no record matches: {one} and {other} can't both hold, and the rules of one rule set must.",
                "Take one of them out, or give each a rule set of its own.",
            )
        return


def _can_hold_many(path: str, kind: Kind) -> bool:
    """Whether several values can stand at the path, so that two rules can be met by two of them."""
    field = kind.field(dotted(path))
    return field is not None and field.many


def _contradict(left: Rule, right: Rule) -> bool:
    """Whether no single value can meet both rules; only what is certain counts."""
    if "Equals" in {left.operator, right.operator}:
        fixed, other = (left, right) if left.operator == "Equals" else (right, left)
        return not meets(other, [fixed.value])
    if left.operator == right.operator == "StartsWith":
        return not (left.value.startswith(right.value) or right.value.startswith(left.value))
    if left.operator == right.operator == "EndsWith":
        return not (left.value.endswith(right.value) or right.value.endswith(left.value))
    for low, high in ((left, right), (right, left)):
        if low.operator.startswith("GreaterThan") and high.operator.startswith("LesserThan"):
            floor, ceiling = read("Number", low.value), read("Number", high.value)
            if isinstance(floor, Decimal) and isinstance(ceiling, Decimal):
                inclusive = low.operator.endswith("EqualTo") and high.operator.endswith("EqualTo")
                return floor > ceiling or (floor == ceiling and not inclusive)
    return False
