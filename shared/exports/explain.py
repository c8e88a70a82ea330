"""Say in English what a source lets through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from typing import Final

from shared.exports.event_sources import Kind, is_snapshot_source, kind_of_source
from shared.exports.rule_sets import Rule, RuleSet, Source, bare_path, is_given

_VERBS: Final = {
    "Equals": "is",
    "NotEquals": "is not",
    "GreaterThan": "is above",
    "GreaterThanOrEqualTo": "is at least",
    "LesserThan": "is below",
    "LesserThanOrEqualTo": "is at most",
    "Contains": "contains",
    "StartsWith": "starts with",
    "EndsWith": "ends with",
}


def explain(source: Source) -> str:
    """One phrase for what `source` lets through: "alerts whose severity is High or Medium"."""
    kind = kind_of_source(source.event_source)
    noun = source.event_source if kind is None else kind.noun
    if is_snapshot_source(source.event_source):
        noun = f"a weekly snapshot of {noun}"
    rule_sets = [
        tuple(rule for rule in rule_set if not is_given(rule, source.event_source)) for rule_set in source.rule_sets
    ]
    if not rule_sets or not all(rule_sets):
        return noun if noun.startswith("a ") else f"all {noun}"
    return f"{noun} whose {_conditions(rule_sets, kind)}"


def _conditions(rule_sets: Sequence[RuleSet], kind: Kind | None) -> str:
    return _as_product(rule_sets, kind) or ", or whose ".join(
        " and whose ".join(_phrase(rule, [rule.value], kind) for rule in rule_set) for rule_set in rule_sets
    )


def _as_product(rule_sets: Sequence[RuleSet], kind: Kind | None) -> str | None:
    """The phrase for rule sets that are a cross product of values per field; None when they are not one."""
    slots: dict[tuple[str, str], dict[str, None]] = {}
    for rule in (rule for rule_set in rule_sets for rule in rule_set):
        slots.setdefault(_slot(rule), {})[rule.value] = None
    first = {_slot(rule): rule for rule in rule_sets[0]}
    if len(first) != len(slots):
        return None
    present = {frozenset((_slot(rule), rule.value) for rule in rule_set) for rule_set in rule_sets}
    if prod(map(len, slots.values())) != len(present):
        return None
    if {frozenset(zip(slots, values, strict=True)) for values in product(*slots.values())} != present:
        return None
    return " and whose ".join(_phrase(first[slot], list(values), kind) for slot, values in slots.items())


def _slot(rule: Rule) -> tuple[str, str]:
    return bare_path(rule.path).lower(), rule.operator


def _phrase(rule: Rule, values: Sequence[str], kind: Kind | None) -> str:
    path = bare_path(rule.path)
    field = kind.field(path) if kind is not None else None
    label = field.label if field is not None and field.label and field.path.lower() == path.lower() else path
    return f"{label} {_VERBS.get(rule.operator, rule.operator)} {_either(values)}"


def _quoted(value: str) -> str:
    """A value in quotes where it would run into the words around it."""
    return value if value and not re.search(r"[\s,\"]", value) else f'"{value}"'


def _either(values: Iterable[str]) -> str:
    *most, last = map(_quoted, values)
    return f"{', '.join(most)} or {last}" if most else last
