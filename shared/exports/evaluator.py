"""Apply rule sets to a record as Defender for Cloud does.

A source exports a record when any of its rule sets holds (none at all: everything); a rule set holds when all of its
rules do.  Equals and NotEquals are for any type, the four comparisons for numbers only, Contains, StartsWith and
EndsWith for text only; text ignores case.  What the published specification leaves open is decided here and named in
docs/exports.md: a path through an array reaches each element, and one that satisfies the rule is enough; NotEquals is
the opposite of Equals, so it holds for a missing value, and no other operator does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from shared.exports.event_sources import (
    ALIASES,
    is_snapshot_source,
    kind_of_record,
    kind_of_source,
    member,
    snapshot_flag,
)
from shared.exports.rule_sets import Rule, Source, as_text, bare_path, operator_fits, read

_STEP: Final = re.compile(r"\[\s*'([^']*)'\s*\]|\[\s*\"([^\"]*)\"\s*\]|\[\s*(\d+)\s*\]|\[\*\]|([^.\[\]]+)")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LesserThan": operator.lt,
    "LesserThanOrEqualTo": operator.le,
    "Contains": operator.contains,
    "StartsWith": str.startswith,
    "EndsWith": str.endswith,
}


@dataclass(frozen=True)
class Decision:
    """Whether a record is exported, which rule set decided (from 0; None: not a matter of rules), and why.

    `reason` quotes values of the record: show it to the caller who supplied the record, never log it.
    """

    exported: bool
    rule_set: int | None
    reason: str


def accepts(source: Source, record: Mapping[str, Any]) -> bool:
    """Whether `source` exports `record`; `evaluate` also says why.

    A record that does not say whether it belongs to a snapshot is taken for either.
    """
    if _wrong_kind(source, record) is not None:
        return False
    values = _Values(record)
    return not source.rule_sets or any(
        all(meets(rule, values[rule.path]) for rule in rule_set) for rule_set in source.rule_sets
    )


def evaluate(source: Source, record: Mapping[str, Any]) -> Decision:
    """Apply `source` to `record` as Defender for Cloud does, and say which rule set decided and why.

    When no rule set holds, the one that came closest is named.
    """
    mismatch = _wrong_kind(source, record)
    if mismatch is not None:
        return Decision(False, None, mismatch)
    if not source.rule_sets:
        return Decision(True, None, f"{source.event_source} has no rule sets: every record is exported")
    values = _Values(record)
    nearest, failed = 0, None
    for index, rule_set in enumerate(source.rule_sets):
        failing = [rule for rule in rule_set if not meets(rule, values[rule.path])]
        if not failing:
            held = " and ".join(f"{rule} ({_shown(rule, record)})" for rule in rule_set) or "it has no rules"
            return Decision(True, index, f"{source.event_source} rule set {index + 1} holds: {held}")
        if failed is None or len(failing) < len(failed):
            nearest, failed = index, failing
    why = " and ".join(f"{rule} ({_shown(rule, record)})" for rule in failed or ())
    return Decision(
        False,
        nearest,
        f"none of {len(source.rule_sets)} rule sets of {source.event_source} holds; nearest is rule set "
        f"{nearest + 1}, which fails at {why}",
    )


class _Values(dict[str, list[Any]]):
    """The scalars of one record by path, each looked up once: rule sets ask for few paths, many times."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def __missing__(self, path: str) -> list[Any]:
        found = self[path] = values_at(self._record, path)
        return found


def _wrong_kind(source: Source, record: Mapping[str, Any]) -> str | None:
    expected = kind_of_source(source.event_source)
    if expected is None:
        return f"{source.event_source} is not an event source"
    kind = kind_of_record(record)
    if kind != expected.name:
        found = "of no known kind" if kind is None else f"of {kind}"
        return f"{source.event_source} carries {expected.noun}; the record is {found}"
    flag = snapshot_flag(record) if expected.has_snapshot else None
    if flag is None or flag == is_snapshot_source(source.event_source):
        return None
    return f"{source.event_source} does not carry this record: its isSnapshot is {'true' if flag else 'false'}"


def _shown(rule: Rule, record: Mapping[str, Any]) -> str:
    values = values_at(record, rule.path)
    return "it is " + ", ".join(repr(as_text(value)) for value in values[:3]) if values else "the record lacks it"


def rule_holds(rule: Rule, record: Mapping[str, Any]) -> bool:
    """Whether one rule holds for `record`; a rule whose parts don't fit together never does."""
    return meets(rule, values_at(record, rule.path))


def surely_holds(rule: Rule, record: Mapping[str, Any]) -> bool:
    """Whether one rule holds for every record that has the values of `record`, whatever else is in it."""
    values = values_at(record, rule.path)
    return bool(values) and meets(rule, values)


def meets(rule: Rule, values: Iterable[Any]) -> bool:
    """Whether any of the scalars at a rule's path satisfies it (for NotEquals: none equals)."""
    expected = read(rule.type, rule.value)
    if expected is None or not operator_fits(rule.type, rule.operator):
        return False
    found = [value for raw in values if (value := read(rule.type, raw)) is not None]
    if rule.operator == "NotEquals":
        return expected not in found
    compare = _COMPARE[rule.operator]
    return any(compare(value, expected) for value in found)


@lru_cache(maxsize=4096)
def steps(path: str) -> tuple[str | int, ...]:
    """The keys and array positions that a path names, one after the other."""
    found: list[str | int] = []
    for quoted, double_quoted, index, name in _STEP.findall(bare_path(path)):
        if index:
            found.append(int(index))
        elif key := quoted or double_quoted or name:
            found.append(key)
    return tuple(found)


def values_at(record: Mapping[str, Any], path: str) -> list[Any]:
    """The scalars at `path`: each element of any array on the way; none when missing or null."""
    found = _walk(record, steps(path))
    if not found and (alias := ALIASES.get(bare_path(path).lower())):
        found = _walk(record, steps(alias))
    return found


def _walk(record: Mapping[str, Any], path: tuple[str | int, ...]) -> list[Any]:
    nodes: list[Any] = [record]
    for step in path:
        if isinstance(step, int):
            nodes = [node[step] for node in nodes if isinstance(node, list) and step < len(node)]
        else:
            nodes = [member(node, step) for node in _elements(nodes) if isinstance(node, Mapping)]
    return [node for node in _elements(nodes) if as_text(node) is not None]


def _elements(nodes: list[Any]) -> list[Any]:
    while any(isinstance(node, list) for node in nodes):
        nodes = [inner for node in nodes for inner in (node if isinstance(node, list) else (node,))]
    return nodes
