"""Find what is wrong with a single rule: against its own parts, and against the records of its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from shared.exports.diagnostics import Diagnostic, Severity
from shared.exports.evaluator import meets, steps
from shared.exports.event_sources import Field, Kind
from shared.exports.rule_sets import OPERATORS, TEXT_OPERATORS, TYPES, Rule, operator_fits, read
from shared.exports.suggestions import suggest

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


_MISFITS: Final = {
    "String": ("numeric-operator-on-text", "compares numbers only", "Make the type Number."),
    "Number": ("text-operator-on-number", "is for text only", "Make the type String."),
    "Boolean": ("operator-on-boolean", "is not for booleans", "Use Equals or NotEquals."),
}


@dataclass(frozen=True)
class Place:
    """Where in an automation something stands, for findings."""

    where: str
    kind: Kind

    def at(self, rule_set: int, rule: int | None = None) -> Place:
        """The place of one of the source's rule sets, or of a rule in it, both counted from 0."""
        suffix = "" if rule is None else f".rules[{rule}]"
        return Place(f"{self.where}.ruleSets[{rule_set}]{suffix}", self.kind)

    def finding(self, code: str, sentence: str, fix: str) -> Diagnostic:
        """A finding here, of the severity that its code has."""
        return Diagnostic(code, CODES[code], self.where, sentence, fix)


def lint_rule(rule: Rule, place: Place) -> Iterator[Diagnostic]:
    """Findings on one rule of a known source."""
    broken = _broken(rule, place)
    if broken is not None:
        yield broken
        return
    path = dotted(rule.path)
    field = place.kind.field(path)
    if field is None:
        yield _no_such_path(rule, place)
    elif rule.value == "":
        sentence = "every value contains" if rule.operator in TEXT_OPERATORS else "no present value equals"
        yield place.finding("empty-value", f"{sentence} an empty text.", "Give a value, or take the rule out.")
    elif field.path.lower() == path.lower():
        yield from _lint_value(rule, field, place)


def _broken(rule: Rule, place: Place) -> Diagnostic | None:
    """A rule whose parts don't fit together, whatever the field."""
    if rule.operator not in OPERATORS:
        fix = suggest(rule.operator, OPERATORS) or f"One of {', '.join(OPERATORS)}."
        return place.finding("unknown-operator", f"{rule.operator!r} is not an operator.", fix)
    if rule.type not in TYPES:
        fix = suggest(rule.type, TYPES) or f"One of {', '.join(TYPES)}."
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
    known = [field.path for field in kind.fields.values()]
    same_leaf = [name for name in known if name.lower().rpartition(".")[2] == path.rpartition(".")[2]]
    fix = f"Did you mean {same_leaf[0]}?" if same_leaf else suggest(path, known)
    return place.finding("unknown-path", f"{kind.noun} have no field {rule.path!r}.", fix or "See docs/exports.md.")


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
    elif field.values and not any(meets(rule, [value]) for value in field.values):
        yield place.finding(
            "impossible-value",
            f"{field.path} is never {rule.value!r}, so the rule never matches: "
            f"its values are {', '.join(field.values)}.",
            suggest(rule.value, field.values) or f"One of {', '.join(field.values)}.",
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


def dotted(path: str) -> str:
    """A path by its keys alone, without brackets and positions in arrays."""
    return ".".join(step for step in steps(path) if isinstance(step, str))
