"""Find what can never match, what matches more than meant, and what is missing: in our files and in live automations.

Every finding has a stable code (CODES lists them all), a sentence and a fix.  The field names and values that rules
are held against are those of `event_sources` and `known_values`.  Time grows with the number of rules, not with its
square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import combinations
from typing import Any, Final

from shared.exports.automation_linter import lint_actions, lint_scopes
from shared.exports.diagnostics import MAX_FINDINGS, Diagnostic, limit
from shared.exports.evaluator import meets
from shared.exports.event_sources import EVENT_SOURCES, KINDS, SNAPSHOT, Kind, kind_of_source, member
from shared.exports.retirement_linter import lint_critical, lint_retired
from shared.exports.rule_linter import CODES, NEVER, Place, dotted, lint_rule
from shared.exports.rule_sets import MalformedRules, Rule, RuleSet, Source, normalise_rule, parse_sources, read
from shared.exports.suggestions import suggest

__all__ = ["CODES", "Diagnostic", "PlaceNames", "lets_nothing_through", "lint_automation", "lint_sources"]

_MAX_SUBSETS_OF: Final = 6  # a rule set of more rules is not compared with the sets of its parts: 2^n of them

PlaceNames = Callable[[int, int | None, int | None], str]
"""The words for a place: the number of a source, of a rule set in it and of a rule in that, all from 0."""


def lint_sources(
    sources: Iterable[Source],
    *,
    where: str = "",
    waived: Collection[str] = (),
    place_names: PlaceNames | None = None,
) -> list[Diagnostic]:
    """Findings on the sources of one automation, without those whose code is waived.

    `where` is put before places; `place_names` replaces their words.
    """
    listed = tuple(sources)
    prefix = f"{where}: " if where else ""
    names = place_names or partial(_place_name, prefix, listed)
    whole = names(-1, None, None)
    found = [*_lint_whole(listed, whole), *lint_retired(listed, names), *lint_critical(listed, names)]
    for index, source in enumerate(listed):
        found += _lint_source(source, partial(names, index))
    return [finding for finding in found if finding.code not in waived]


def _place_name(
    prefix: str, sources: Sequence[Source], index: int, rule_set: int | None = None, rule: int | None = None
) -> str:
    """A place in an automation: `sources[0] Alerts.ruleSets[0].rules[0]`."""
    if index < 0:
        return f"{prefix}sources"
    name = f"{prefix}sources[{index}] {sources[index].event_source}"
    name += "" if rule_set is None else f".ruleSets[{rule_set}]"
    return name if rule is None else f"{name}.rules[{rule}]"


def lint_automation(body: Any, *, where: str = "") -> list[Diagnostic]:
    """Findings on a live automation of any origin, in any casing; one of an unknown shape is a finding too.

    A whole automation is looked at with its scopes and actions; a list of sources by itself.
    """
    properties = member(body, "properties") if isinstance(body, Mapping) else None
    whole = properties if isinstance(properties, Mapping) else body
    is_whole = isinstance(whole, Mapping) and not {"actions", "scopes"}.isdisjoint(map(str.lower, map(str, whole)))
    around = [*lint_scopes(whole, where), *lint_actions(whole, where)] if is_whole else []
    try:
        sources = parse_sources(body)
    except MalformedRules as error:
        return [
            Diagnostic("malformed", "error", where or "sources", f"{error}.", "Write it anew in the API's shape."),
            *around,
        ]
    found = [*lint_sources(sources, where=where), *around]
    if is_whole:
        prefix = f"{where}: " if where else ""
        for index, source in enumerate(sources):
            if lets_nothing_through(source):
                sentence = f"{source.event_source} lets nothing through: no rule set of it can ever hold."
                place = _place_name(prefix, sources, index)
                found.append(Diagnostic("nothing-passes", "error", place, sentence, "Mend its rule sets."))
    return limit(found, where or "sources")


def lets_nothing_through(source: Source) -> bool:
    """Whether no record can pass: there are rule sets, and each has a rule that never holds."""
    kind = kind_of_source(source.event_source)
    if kind is None or not source.rule_sets:
        return False
    place = Place(kind, _nowhere, hints=False)
    return all(
        any(
            finding.code in NEVER
            for finding in (
                *(one for rule in rule_set for one in lint_rule(rule, place)),
                *_lint_rule_set(rule_set, place),
            )
        )
        for rule_set in source.rule_sets
    )


def _nowhere(_rule_set: int | None, _rule: int | None) -> str:
    return ""


def _lint_whole(sources: tuple[Source, ...], where: str) -> Iterator[Diagnostic]:
    names = Counter(source.event_source for source in sources)
    if not names:
        yield Diagnostic("no-sources", "warning", where, "it has no sources, so it exports nothing.", "Add one.")
    for name in sorted(name for name, count in names.items() if count > 1):
        yield Diagnostic(
            "duplicate-source",
            "warning",
            where,
            f"{name} is listed {names[name]} times.",
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


def _lint_source(source: Source, names: Callable[[int | None, int | None], str]) -> Iterator[Diagnostic]:
    """Findings on one source; after the first MAX_FINDINGS, which alone are shown, without the nearest names."""
    kind = kind_of_source(source.event_source)
    if kind is None:
        code, sentence = "unknown-event-source", f"{source.event_source!r} is not an event source."
        fix = suggest(source.event_source, EVENT_SOURCES) or f"One of {', '.join(EVENT_SOURCES)}."
        if (streaming := source.event_source.removesuffix(SNAPSHOT)) in KINDS:
            fix = f"Use {streaming}, which has no snapshot."
        yield Diagnostic(code, CODES[code], names(None, None), sentence, fix)
        return
    place, count = Place(kind, names), 0
    for index, rule_set in enumerate(source.rule_sets):
        for position, rule in enumerate(rule_set):
            for finding in lint_rule(rule, place.at(index, position)):
                count += 1
                yield finding
            if place.hints and count > MAX_FINDINGS:
                place = Place(kind, names, hints=False)
        yield from _lint_rule_set(rule_set, place.at(index))
    yield from _lint_redundancy(source.rule_sets, place)


def _lint_redundancy(rule_sets: tuple[RuleSet, ...], place: Place) -> Iterator[Diagnostic]:
    numbers: dict[Rule, int] = {}
    meanings = [
        frozenset(numbers.setdefault(normalise_rule(rule), len(numbers)) for rule in rule_set) for rule_set in rule_sets
    ]
    first: dict[frozenset[int], int] = {}
    for index, meaning in enumerate(meanings):
        first.setdefault(meaning, index)
    sizes = sorted({len(meaning) for meaning in first})
    for index, meaning in enumerate(meanings):
        if first[meaning] != index:
            yield place.at(index).finding(
                "duplicate-rule-set", f"it says the same as rule set {first[meaning] + 1}.", "Take it out."
            )
        elif (wider := _wider(meaning, first, sizes)) is not None:
            sentence = (
                "has no rules and lets every record through" if not rule_sets[wider] else "lets all of it through"
            )
            yield place.at(index).finding(
                "redundant-rule-set",
                f"it changes nothing: rule set {wider + 1} {sentence}.",
                f"Take out rule set {wider + 1} if this one was meant to narrow it; else take out this one.",
            )


def _wider(meaning: frozenset[int], first: Mapping[frozenset[int], int], sizes: Sequence[int]) -> int | None:
    """The rule set whose rules are some of these, and which therefore lets through all that this one does."""
    most = len(meaning) if len(meaning) <= _MAX_SUBSETS_OF else 2
    return next(
        (
            first[part]
            for size in sizes
            if size < most
            for part in map(frozenset, combinations(sorted(meaning), size))
            if part in first
        ),
        None,
    )


def _lint_rule_set(rule_set: RuleSet, place: Place) -> Iterator[Diagnostic]:
    rules = {normalise_rule(rule): rule for rule in rule_set}
    if len(rules) < len(rule_set):
        yield place.finding("duplicate-rule", "it has the same rule twice.", "Take one out.")
    by_path: dict[str, list[Rule]] = {}
    for rule in rules:
        by_path.setdefault(rule.path, []).append(rule)
    for path, on_path in by_path.items():
        pair = None if len(on_path) == 1 or _can_hold_many(path, place.kind) else _contradiction(on_path)
        if pair is None:
            continue
        one, other = rules[pair[0]], rules[pair[1]]
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


def _contradiction(rules: Sequence[Rule]) -> tuple[Rule, Rule] | None:
    """Two rules on one path that no single value can meet; only what is certain counts.

    Each rule is compared with the narrowest one of its family, so that time grows with their number only.
    """
    fixed = next((rule for rule in rules if rule.operator == "Equals"), None)
    if fixed is not None:
        return next(((fixed, rule) for rule in rules if rule is not fixed and not meets(rule, [fixed.value])), None)
    for operator, fits in (("StartsWith", str.startswith), ("EndsWith", str.endswith)):
        family = [rule for rule in rules if rule.operator == operator]
        longest = max(family, key=lambda rule: len(rule.value), default=None)
        if longest is not None:
            for rule in family:
                if not fits(longest.value, rule.value):
                    return rule, longest
    floors = [rule for rule in rules if rule.operator.startswith("GreaterThan")]
    ceilings = [rule for rule in rules if rule.operator.startswith("LesserThan")]
    floor, ceiling = max(floors, key=_floor, default=None), min(ceilings, key=_ceiling, default=None)
    if floor is None or ceiling is None:
        return None
    low, high = read("Number", floor.value), read("Number", ceiling.value)
    if not isinstance(low, Decimal) or not isinstance(high, Decimal):
        return None
    inclusive = floor.operator.endswith("EqualTo") and ceiling.operator.endswith("EqualTo")
    return (floor, ceiling) if low > high or (low == high and not inclusive) else None


def _floor(rule: Rule) -> tuple[Decimal, bool]:
    """Orders lower bounds by how much they ask, an exclusive one above an inclusive one."""
    value = read("Number", rule.value)
    return (value if isinstance(value, Decimal) else Decimal("-Infinity"), not rule.operator.endswith("EqualTo"))


def _ceiling(rule: Rule) -> tuple[Decimal, bool]:
    """Orders upper bounds by how little they allow, an exclusive one below an inclusive one."""
    value = read("Number", rule.value)
    return (value if isinstance(value, Decimal) else Decimal("Infinity"), rule.operator.endswith("EqualTo"))
