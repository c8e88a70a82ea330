"""Rule sets as data: parse them from a live body, build them for one, and bring them to one normal form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from shared.exports.event_sources import EVENT_SOURCES, KINDS, SNAPSHOT, member

TYPES: Final = ("String", "Integer", "Number", "Boolean")
NUMERIC_OPERATORS: Final = ("GreaterThan", "GreaterThanOrEqualTo", "LesserThan", "LesserThanOrEqualTo")
TEXT_OPERATORS: Final = ("Contains", "StartsWith", "EndsWith")
OPERATORS: Final = ("Equals", "NotEquals", *NUMERIC_OPERATORS, *TEXT_OPERATORS)

_CANONICAL: Final = {name.lower(): name for name in (*TYPES, *OPERATORS, *EVENT_SOURCES)}
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.IGNORECASE)


class MalformedRules(ValueError):  # noqa: N818 - names the state of the rules
    """Something that is no list of sources with rule sets; the message names the place."""


@dataclass(frozen=True, order=True)
class Rule:
    """One comparison: the value at `path`, read as `type`, `operator`, `value` (always text, as the API has it)."""

    path: str
    type: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.path} {self.operator} {self.value!r}"


RuleSet = tuple[Rule, ...]


@dataclass(frozen=True, order=True)
class Source:
    """An event source and its rule sets; no rule sets: every record of the source."""

    event_source: str
    rule_sets: tuple[RuleSet, ...] = ()


def parse_sources(body: Any) -> tuple[Source, ...]:
    """Read sources from an automation, its properties or their `sources` list, in any casing; null and [] alike.

    Raises:
        MalformedRules: a part is not of the shape that the API defines.
    """
    if isinstance(body, Mapping):
        properties = member(body, "properties")
        body = member(properties if isinstance(properties, Mapping) else body, "sources")
    return tuple(_parse_source(item, f"sources[{i}]") for i, item in enumerate(_sequence(body, "sources")))


def _parse_source(item: Any, where: str) -> Source:
    name = _text(_get(item, "eventSource", where), f"{where}.eventSource")
    rule_sets = _sequence(_get(item, "ruleSets", where), f"{where}.ruleSets")
    return Source(
        canonical(name),
        tuple(_parse_rule_set(rule_set, f"{where}.ruleSets[{i}]") for i, rule_set in enumerate(rule_sets)),
    )


def _parse_rule_set(item: Any, where: str) -> RuleSet:
    rules = _sequence(_get(item, "rules", where), f"{where}.rules")
    return tuple(_parse_rule(rule, f"{where}.rules[{i}]") for i, rule in enumerate(rules))


def _parse_rule(item: Any, where: str) -> Rule:
    def part(name: str) -> str:
        return _text(_get(item, name, where), f"{where}.{name}")

    return Rule(
        part("propertyJPath"), canonical(part("propertyType")), canonical(part("operator")), part("expectedValue")
    )


def _get(item: Any, name: str, where: str) -> Any:
    if not isinstance(item, Mapping):
        raise MalformedRules(f"{where} is not an object")
    return member(item, name)


def _sequence(value: Any, where: str) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return value
    raise MalformedRules(f"{where} is not a list")


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    text = as_text(value)
    if text is None:
        raise MalformedRules(f"{where} is not text")
    return text


def canonical(name: Any) -> Any:
    """An event source, type or operator in its own casing; anything else as it is."""
    return _CANONICAL.get(name.lower(), name) if isinstance(name, str) else name


def build_sources(sources: Iterable[Source]) -> list[dict[str, Any]]:
    """The `sources` of an automation's properties; what `parse_sources` reads back equal."""
    return [
        {
            "eventSource": source.event_source,
            "ruleSets": [{"rules": [_build_rule(rule) for rule in rule_set]} for rule_set in source.rule_sets],
        }
        for source in sources
    ]


def _build_rule(rule: Rule) -> dict[str, str]:
    return {
        "propertyJPath": rule.path,
        "propertyType": rule.type,
        "expectedValue": rule.value,
        "operator": rule.operator,
    }


def normalise(sources: Iterable[Source]) -> tuple[Source, ...]:
    """One form for all sources that mean the same: sorted and without repeats, case or spelling of no consequence.

    Entries of the same event source are one, since rule sets are ORed; one rule set without rules lets everything
    through, and so makes the others count for nothing.  Rules that every record of the source meets are left out.
    """
    merged: dict[str, set[RuleSet] | None] = {}
    for source in sources:
        name = canonical(source.event_source)
        rule_sets = {
            tuple(sorted({normalise_rule(rule) for rule in rule_set if not is_given(rule, name)}))
            for rule_set in source.rule_sets
        }
        known = merged.get(name, set())
        merged[name] = None if known is None or not rule_sets or () in rule_sets else known | rule_sets
    return tuple(Source(name, tuple(sorted(rule_sets or ()))) for name, rule_sets in sorted(merged.items()))


def is_given(rule: Rule, event_source: str) -> bool:
    """Whether every record of the source meets a rule: the words of portal and policies for "everything".

    They are `type Contains <the type of the records>` and, for alerts, `Version Contains 3.`.
    """
    kind = KINDS.get(event_source.removesuffix(SNAPSHOT))
    if kind is None or canonical(rule.type) != "String":
        return False
    path, operator, value = bare_path(rule.path).lower(), canonical(rule.operator), rule.value.lower()
    if path == "type" and kind.record_type:
        return (operator == "Contains" and value in kind.record_type) or (
            operator == "Equals" and value == kind.record_type
        )
    return kind.name == "Alerts" and path == "version" and operator in {"Contains", "StartsWith"} and value == "3."


def normalise_rule(rule: Rule) -> Rule:
    """One form for all rules that mean the same."""
    kind = canonical(rule.type)
    value = read(kind, rule.value)
    return Rule(
        bare_path(rule.path).lower(),
        kind,
        canonical(rule.operator),
        _plain(value) if isinstance(value, Decimal) else rule.value.casefold(),
    )


_LONGEST_EXPONENT: Final = 40
"""Of a number that is written out in digits."""
_WRITTEN_PLAINLY: Final = {
    "Integer": re.compile(r"[+-]?\d+", re.ASCII),
    "Number": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII),
}


def in_digits(kind: str, value: str) -> str:
    """A number's text without exponent, and an integer's without a point: whether Azure reads others is not known."""
    written = _WRITTEN_PLAINLY.get(kind)
    if written is None or written.fullmatch(value):
        return value
    number = read(kind, value)
    if not isinstance(number, Decimal) or abs(number.adjusted()) > _LONGEST_EXPONENT:
        return value
    return _plain(number)


def _plain(number: Decimal) -> str:
    digits = format(number, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


# `$` and one dot, as often as they stand there; two dots are JSONPath's search at any depth, and stay.
_ROOT = re.compile(r"\A(?:\$?\.(?!\.))*(?:\$(?=\[|\Z))?")


def bare_path(path: str) -> str:
    """`path` without the `$.` that some templates write in front."""
    return _ROOT.sub("", path)


def as_text(value: Any) -> str | None:
    """A scalar as the API writes it; None for what is no scalar."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else None


def operator_fits(kind: str, name: str) -> bool:
    """Whether the operator is defined for the property type."""
    if name in NUMERIC_OPERATORS:
        return kind in {"Integer", "Number"}
    if name in TEXT_OPERATORS:
        return kind == "String"
    return name in {"Equals", "NotEquals"} and kind in TYPES


def read(kind: str, value: Any) -> str | Decimal | None:
    """`value` as a property type sees it, ready to compare; None when it is not one."""
    text = as_text(value)
    if text is None:
        return None
    if kind == "String":
        return text.casefold()
    if kind == "Boolean":
        return text.casefold() if text.casefold() in {"true", "false"} else None
    if isinstance(value, bool) or not _NUMBER.fullmatch(text.strip()):
        return None
    number = Decimal(text.strip())
    return None if kind == "Integer" and number != number.to_integral_value() else number
