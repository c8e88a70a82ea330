"""Find what is wrong with a single rule: against its own parts, and against the records of its source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from shared.exports.diagnostics import Diagnostic, Severity
from shared.exports.evaluator import meets, steps
from shared.exports.event_sources import Field, Kind
from shared.exports.known_values import STANDARDS
from shared.exports.rule_sets import OPERATORS, TEXT_OPERATORS, TYPES, Rule, operator_fits, read
from shared.exports.suggestions import suggest

CODES: Final[Mapping[str, Severity]] = {
    "malformed": "error",
    "no-sources": "warning",
    "no-scope": "error",
    "no-destination": "error",
    "no-credential": "error",
    "not-a-hub": "error",
    "bad-destination": "error",
    "nothing-passes": "error",
    "unknown-event-source": "error",
    "duplicate-source": "warning",
    "findings-without-recommendations": "error",
    "snapshot-findings-without-recommendations": "warning",
    "controls-without-score": "warning",
    "snapshot-controls-without-score": "warning",
    "retired-source": "warning",
    "retired-recommendation": "warning",
    "retiring-recommendation": "warning",
    "retired-cloud": "warning",
    "drops-critical": "warning",
    "unknown-operator": "error",
    "unknown-type": "error",
    "alert-severity-path": "error",
    "alert-nested-path": "error",
    "unknown-path": "warning",
    "unsupported-path": "warning",
    "numeric-operator-on-text": "error",
    "text-operator-on-number": "error",
    "operator-on-boolean": "error",
    "unreadable-value": "error",
    "wrong-type": "error",
    "impossible-value": "error",
    "unknown-value": "warning",
    "empty-value": "warning",
    "contradictory-equals": "error",
    "contradictory-rules": "error",
    "duplicate-rule": "warning",
    "duplicate-rule-set": "warning",
    "redundant-rule-set": "warning",
    "unknown-region": "warning",
}
NEVER: Final = frozenset(
    {
        "unknown-operator", "unknown-type", "alert-severity-path", "alert-nested-path", "numeric-operator-on-text",
        "text-operator-on-number", "operator-on-boolean", "unreadable-value", "wrong-type", "impossible-value",
        "contradictory-equals", "contradictory-rules",
    }
)  # fmt: skip
"""Codes of findings with which a rule set lets nothing through."""


# Keys and positions, which the evaluator follows; JSONPath has filters, slices, unions, functions and descent beside.
_KEY: Final = r"[^.\[\]*?]+(?<!\(\))"
_BRACKET: Final = r"(?:\[\s*(?:'[^']+'|\"[^\"]+\"|\d+)\s*\]|\[\*\])"
_FOLLOWED: Final = re.compile(rf"(?:\$(?=[.\[]))?(?:\.?{_KEY}|{_BRACKET})(?:\.{_KEY}|{_BRACKET})*")
_NAMED_BY_KEY: Final = {"Assessments", "SubAssessments", "SecureScoreControls", "RegulatoryComplianceAssessment"}
_STANDARD: Final = re.compile(
    "|".join(
        [
            *(re.escape(name.lower()) for name in STANDARDS),
            r"\b(?:pci-dss|azure-cis|cis-(?:azure|aws|gcp|google)|nist-|iso-?27001|soc-?2\b|soc-tsp|fedramp)",
            r"\b(?:hipaa|cmmc|swift-cs)",
            r"regulatorycompliance(?:standards|controls|assessments)",
        ]
    )
)
_OTHER_TYPE: Final = re.compile(r"microsoft\.security/(?:locations/[^/]+/)?(\w+)")
_MISFITS: Final = {
    "String": ("numeric-operator-on-text", "compares numbers only", "Make the type Number."),
    "Number": ("text-operator-on-number", "is for text only", "Make the type String."),
    "Boolean": ("operator-on-boolean", "is not for booleans", "Use Equals or NotEquals."),
}


@dataclass(frozen=True)
class Place:
    """Where in a source something stands, for findings; `name` puts a rule set and a rule (from 0) into words."""

    kind: Kind
    name: Callable[[int | None, int | None], str]
    rule_set: int | None = None
    rule: int | None = None
    hints: bool = True

    def at(self, rule_set: int, rule: int | None = None) -> Place:
        """The place of one of the source's rule sets, or of a rule in it, both counted from 0."""
        return replace(self, rule_set=rule_set, rule=rule)

    def finding(self, code: str, sentence: str, fix: str) -> Diagnostic:
        """A finding here, of the severity that its code has."""
        return Diagnostic(code, CODES[code], self.name(self.rule_set, self.rule), sentence, fix)

    def suggest(self, value: str, known: Iterable[str]) -> str:
        """The nearest known name, as long as few enough findings were made to be read."""
        return suggest(value, known) if self.hints else ""


def lint_rule(rule: Rule, place: Place) -> Iterator[Diagnostic]:
    """Findings on one rule of a known source."""
    broken = _broken(rule, place)
    if broken is not None:
        yield broken
        return
    path = dotted(rule.path)
    field = place.kind.field(path)
    if not _FOLLOWED.fullmatch(rule.path):
        sentence = f"{rule.path!r} is a path that tests, previews and backfills can't follow, so they never match it."
        yield place.finding("unsupported-path", sentence, "Name the keys, or positions such as [0], one by one.")
    elif field is None:
        yield _no_such_path(rule, place)
    elif rule.value == "":
        sentence = "every value contains" if rule.operator in TEXT_OPERATORS else "no present value equals"
        yield place.finding("empty-value", f"{sentence} an empty text.", "Give a value, or take the rule out.")
    elif field.path.lower() == path.lower():
        yield from _lint_value(rule, field, place)


def _broken(rule: Rule, place: Place) -> Diagnostic | None:
    """A rule whose parts don't fit together, whatever the field."""
    if rule.operator not in OPERATORS:
        fix = place.suggest(rule.operator, OPERATORS) or f"One of {', '.join(OPERATORS)}."
        return place.finding("unknown-operator", f"{rule.operator!r} is not an operator.", fix)
    if rule.type not in TYPES:
        fix = place.suggest(rule.type, TYPES) or f"One of {', '.join(TYPES)}."
        return place.finding("unknown-type", f"{rule.type!r} is not a property type.", fix)
    if not operator_fits(rule.type, rule.operator):
        code, use, fix = _MISFITS["Number" if rule.type == "Integer" else rule.type]
        return place.finding(code, f"{rule.operator} {use}, so the rule never matches.", fix)
    if read(rule.type, rule.value) is None:
        sentence = f"{rule.value!r} is not of type {rule.type}, so the rule never matches."
        return place.finding("unreadable-value", sentence, f"Give a {rule.type.lower()}.")
    return None


def _no_such_path(rule: Rule, place: Place) -> Diagnostic:
    kind, path = place.kind, dotted(rule.path).lower()
    if kind.name == "Alerts" and path in {"properties.metadata.severity", "properties.severity"}:
        return place.finding(
            "alert-severity-path",
            f"alerts are flat and have no {rule.path}, so no alert is ever exported by it.",
            "Use the path Severity.",
        )
    if kind.name == "Alerts" and path.startswith("properties."):
        leaf = path.rpartition(".")[2]
        flat = next((field.path for field in kind.fields.values() if field.path.lower() == leaf), None)
        return place.finding(
            "alert-nested-path",
            f"exported alerts are flat and have no {rule.path}, so no alert is ever exported by it.",
            f"Use the path {flat}." if flat else "Use a key of the alert itself, such as Severity.",
        )
    known = [field.path for field in kind.fields.values()]
    same_leaf = [name for name in known if name.lower().rpartition(".")[2] == path.rpartition(".")[2]]
    fix = f"Did you mean {same_leaf[0]}?" if same_leaf else place.suggest(path, known)
    return place.finding(
        "unknown-path", f"{kind.noun} are not known to have a field {rule.path!r}.", fix or "See docs/exports.md."
    )


def _lint_value(rule: Rule, field: Field, place: Place) -> Iterator[Diagnostic]:
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
    elif (finding := _lint_words(rule, field, place)) is not None:
        yield finding
    elif field.bounds and numeric and not _reachable(rule, field.bounds):
        low, high = field.bounds
        yield place.finding(
            "impossible-value",
            f"{field.path} lies between {low:g} and {high:g}, so {rule.operator} {rule.value} never matches.",
            f"Give a number between {low:g} and {high:g}.",
        )


def _lint_words(rule: Rule, field: Field, place: Place) -> Diagnostic | None:
    """A rule that no known value of the field satisfies, or a value that no record of the kind can have."""
    words = {word.lower(): exported for word, exported in field.words}
    exported = words.get(rule.value.lower())
    if rule.operator == "NotEquals":  # of other values it says nothing that could be wrong
        if not exported:
            return None
    elif field.path.lower() in {"id", "name", "type"}:
        return _lint_identity(rule, field.path.lower(), place)
    elif not field.values or any(meets(rule, [value]) for value in field.values):
        return None
    known = ", ".join(field.values)
    if exported:
        sentence = f"exported {place.kind.noun} never have the {field.label or field.path} {rule.value!r}."
        return place.finding("unknown-value", sentence, f"They say {exported}.")
    if field.closed:
        return place.finding(
            "impossible-value",
            f"{field.path} is never {rule.value!r}, so the rule never matches: its values are {known}.",
            place.suggest(rule.value, field.values) or f"One of {known}.",
        )
    return place.finding(
        "unknown-value",
        f"{field.path} is not known to be {rule.value!r}, so the rule may never match.",
        place.suggest(rule.value, field.values) or f"Known: {known}.",
    )


def _lint_identity(rule: Rule, part: str, place: Place) -> Diagnostic | None:
    """An id, a name or a type that no record of the kind bears."""
    kind, value = place.kind, rule.value.lower()
    if part == "type" and kind.record_type and not meets(rule, [kind.record_type]):
        sentence = f"the type of {kind.noun} is {kind.record_type}, so the rule never matches."
        return place.finding("unknown-value", sentence, f"Use {kind.record_type}, or take the rule out.")
    if part == "name" and kind.name in _NAMED_BY_KEY and re.search(r"[\s/]", value):
        sentence = f"the name of {kind.noun} is a key such as a GUID, never {rule.value!r}."
        return place.finding("unknown-value", sentence, "Give the key, or use properties.displayName.")
    if part != "type" and kind.name != "RegulatoryComplianceAssessment" and _STANDARD.search(value):
        sentence = f"the {part} of {kind.noun} holds no standard's name, so {rule.value!r} can't match."
        fix = "Filter RegulatoryComplianceAssessment by it (regulatoryCompliance.standards)."
        return place.finding("unknown-value", sentence, fix)
    other = _OTHER_TYPE.search(value) if part == "id" and kind.record_type else None
    if other and not any(step in kind.record_type.split("/") for step in (other[1],)):
        sentence = f"the id of {kind.noun} ends in {kind.record_type}/<name>, so {rule.value!r} can't match."
        return place.finding("unknown-value", sentence, "Use the event source that the id belongs to.")
    return None


def _reachable(rule: Rule, bounds: tuple[float, float]) -> bool:
    probes = [*bounds, rule.value] if bounds[0] <= float(rule.value) <= bounds[1] else list(bounds)
    return any(meets(rule, [probe]) for probe in probes)


def dotted(path: str) -> str:
    """A path by its keys alone, without brackets and positions in arrays."""
    return ".".join(step for step in steps(path) if isinstance(step, str))
