"""Find what can never match, what matches more than meant, and what is missing: in our files and in live automations.

Every finding has a stable code (CODES lists them all), a sentence and a fix.  The field names and values that rules
are held against are those of `vocabulary`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from itertools import combinations
from typing import Any, Final

from shared.exports.evaluate import meets
from shared.exports.findings import Finding, Severity
from shared.exports.sources import (
    NUMERIC_OPERATORS,
    OPERATORS,
    TEXT_OPERATORS,
    TYPES,
    MalformedRules,
    Rule,
    RuleSet,
    Source,
    bare_path,
    normalise_rule,
    parse_sources,
    read,
)
from shared.exports.vocabulary import EVENT_SOURCES, KINDS, SNAPSHOT, Field, Kind, kind_of_source

CODES: Final[Mapping[str, Severity]] = {
    "malformed": "error",
    "no-sources": "warning",
    "unknown-event-source": "error",
    "duplicate-source": "warning",
    "findings-without-recommendations": "error",
    "snapshot-findings-without-recommendations": "warning",
    "controls-without-score": "warning",
    "snapshot-controls-without-score": "warning",
    "unknown-operator": "error",
    "unknown-type": "error",
    "alert-severity-path": "error",
    "unknown-path": "error",
    "numeric-operator-on-text": "error",
    "text-operator-on-number": "error",
    "operator-on-boolean": "error",
    "unreadable-value": "error",
    "wrong-type": "error",
    "impossible-value": "error",
    "empty-value": "warning",
    "contradictory-equals": "error",
    "contradictory-rules": "error",
    "duplicate-rule": "warning",
    "duplicate-rule-set": "warning",
    "redundant-rule-set": "warning",
}
_MAX_SUBSETS_OF: Final = 6  # a rule set of more rules is not compared with the sets of its parts: 2^n of them


@dataclass(frozen=True)
class _Place:
    """Where a rule stands, for findings."""

    where: str
    source: Source
    kind: Kind | None

    def at(self, rule_set: int, rule: int | None = None) -> _Place:
        suffix = "" if rule is None else f".rules[{rule}]"
        return _Place(f"{self.where}.ruleSets[{rule_set}]{suffix}", self.source, self.kind)

    def finding(self, code: str, sentence: str, fix: str) -> Finding:
        return Finding(code, CODES[code], self.where, sentence, fix)


def lint_sources(sources: Iterable[Source], *, where: str = "", waived: Collection[str] = ()) -> list[Finding]:
    """Findings on the sources of one automation, without those whose code is waived; `where` is put before places."""
    listed = tuple(sources)
    prefix = f"{where}: " if where else ""
    found = [*_lint_whole(listed, f"{prefix}sources")]
    for index, source in enumerate(listed):
        found += _lint_source(_Place(f"{prefix}sources[{index}] {source.event_source}", source, _kind(source)))
    return [finding for finding in found if finding.code not in waived]


def lint_automation(body: Any, *, where: str = "") -> list[Finding]:
    """Findings on a live automation, whoever wrote it, in any casing; one of an unknown shape is a finding too."""
    try:
        return lint_sources(parse_sources(body), where=where)
    except MalformedRules as error:
        return [Finding("malformed", "error", where or "sources", f"{error}.", "Write it anew in the API's shape.")]


def _kind(source: Source) -> Kind | None:
    return kind_of_source(source.event_source)


def _lint_whole(sources: tuple[Source, ...], where: str) -> Iterator[Finding]:
    names = [source.event_source for source in sources]
    if not names:
        yield Finding("no-sources", "warning", where, "it has no sources, so it exports nothing.", "Add one.")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Finding(
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
                yield Finding(
                    code,
                    CODES[code],
                    where,
                    f"{child} is exported without {parent}, to which its records belong.",
                    f"Add {parent}.",
                )


def _lint_source(place: _Place) -> Iterator[Finding]:
    source = place.source
    if place.kind is None:
        yield place.finding(
            "unknown-event-source",
            f"{source.event_source!r} is not an event source.",
            _suggest(source.event_source, EVENT_SOURCES) or f"One of {', '.join(EVENT_SOURCES)}.",
        )
        return
    for index, rule_set in enumerate(source.rule_sets):
        for position, rule in enumerate(rule_set):
            yield from _lint_rule(rule, place.at(index, position))
        yield from _lint_rule_set(rule_set, place.at(index))
    yield from _lint_redundancy(source.rule_sets, place)


def _lint_redundancy(rule_sets: tuple[RuleSet, ...], place: _Place) -> Iterator[Finding]:
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


def _lint_rule_set(rule_set: RuleSet, place: _Place) -> Iterator[Finding]:
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


def _can_hold_many(path: str, kind: Kind | None) -> bool:
    """Whether several values can stand at the path, so that two rules can be met by two of them."""
    field = kind.field(path) if kind is not None else None
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


def _lint_rule(rule: Rule, place: _Place) -> Iterator[Finding]:
    broken = _broken(rule, place)
    if broken is not None:
        yield broken
        return
    path = bare_path(rule.path)
    field = place.kind.field(path) if place.kind is not None else None
    if field is None:
        yield _no_such_path(rule, place)
    elif rule.value == "":
        sentence = "every value contains" if rule.operator in TEXT_OPERATORS else "no present value equals"
        yield place.finding("empty-value", f"{sentence} an empty text.", "Give a value, or take the rule out.")
    elif field.path.lower() == path.lower():
        yield from _lint_value(rule, field, place)


def _broken(rule: Rule, place: _Place) -> Finding | None:
    """A rule whose parts don't fit together, whatever the field."""
    never = "so the rule never matches."
    if rule.operator not in OPERATORS:
        fix = _suggest(rule.operator, OPERATORS) or f"One of {', '.join(OPERATORS)}."
        return place.finding("unknown-operator", f"{rule.operator!r} is not an operator.", fix)
    if rule.type not in TYPES:
        fix = _suggest(rule.type, TYPES) or f"One of {', '.join(TYPES)}."
        return place.finding("unknown-type", f"{rule.type!r} is not a property type.", fix)
    if rule.type == "String" and rule.operator in NUMERIC_OPERATORS:
        return place.finding(
            "numeric-operator-on-text", f"{rule.operator} compares numbers only, {never}", "Make the type Number."
        )
    if rule.type == "Boolean" and rule.operator not in {"Equals", "NotEquals"}:
        return place.finding(
            "operator-on-boolean", f"{rule.operator} is not for booleans, {never}", "Use Equals or NotEquals."
        )
    if rule.type in {"Integer", "Number"} and rule.operator in TEXT_OPERATORS:
        return place.finding(
            "text-operator-on-number", f"{rule.operator} is for text only, {never}", "Make the type String."
        )
    if read(rule.type, rule.value) is None:
        return place.finding(
            "unreadable-value", f"{rule.value!r} is not of type {rule.type}, {never}", f"Give a {rule.type.lower()}."
        )
    return None


def _no_such_path(rule: Rule, place: _Place) -> Finding:
    kind = place.kind
    assert kind is not None  # noqa: S101 - an unknown source is reported before its rules are looked at
    path = bare_path(rule.path).lower()
    if kind.name == "Alerts" and path in {"properties.metadata.severity", "properties.severity"}:
        return place.finding(
            "alert-severity-path",
            f"alerts are flat and have no {bare_path(rule.path)}, so no alert is ever exported by it.",
            "Use the path Severity.",
        )
    known = [field.path for field in kind.fields.values()]
    same_leaf = [name for name in known if name.lower().rpartition(".")[2] == path.rpartition(".")[2]]
    fix = f"Did you mean {same_leaf[0]}?" if same_leaf else _suggest(path, known)
    return place.finding("unknown-path", f"{kind.noun} have no field {rule.path!r}.", fix or "See docs/exports.md.")


def _lint_value(rule: Rule, field: Field, place: _Place) -> Iterator[Finding]:
    """A rule on a known field: can the field's values ever satisfy it?"""
    numeric = rule.type in {"Integer", "Number"}
    if (field.type == "String" and rule.type != "String") or (
        field.type in {"Number", "Boolean"} and numeric != (field.type == "Number") and rule.type != "String"
    ):
        yield place.finding(
            "wrong-type",
            f"{field.path} is {'text' if field.type == 'String' else f'a {field.type.lower()}'}, not {rule.type}.",
            f"Make the type {field.type}.",
        )
    elif field.values and not any(meets(rule, [value]) for value in field.values):
        yield place.finding(
            "impossible-value",
            f"{field.path} is never {rule.value!r}, so the rule never matches: "
            f"its values are {', '.join(field.values)}.",
            _suggest(rule.value, field.values) or f"One of {', '.join(field.values)}.",
        )
    elif field.bounds and numeric and not _reachable(rule, field.bounds):
        low, high = field.bounds
        yield place.finding(
            "impossible-value",
            f"{field.path} lies between {low:g} and {high:g}, so {rule.operator} {rule.value} never matches.",
            f"Give a number between {low:g} and {high:g}.",
        )


def _reachable(rule: Rule, bounds: tuple[float, float]) -> bool:
    probes = [*bounds, rule.value] if bounds[0] <= float(rule.value) <= bounds[1] else list(bounds)
    return any(meets(rule, [probe]) for probe in probes)


def _suggest(value: str, known: Iterable[str]) -> str:
    lowered = {name.lower(): name for name in known}
    close = get_close_matches(value[:200].lower(), lowered, n=1)
    return f"Did you mean {lowered[close[0]]}?" if close else ""
