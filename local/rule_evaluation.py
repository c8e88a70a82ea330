"""Whether a source of a live automation lets a record through, written from what is published.

Published are, in automations.json of azure-rest-api-specs: rule sets are ORed, the rules of one ANDed; a rule compares
the value at a JPath of the event model, read as one of four property types, with an expected value by one of nine
operators; text is compared without regard to case.  Which source carries which record follows from captured records.
What is open there is decided as docs/exports.md says under "How a record is judged".  No code is shared with the app's
own evaluator, which a test holds against this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Document = Mapping[str, Any]

_TYPES = {
    "assessments": "microsoft.security/assessments",
    "subassessments": "microsoft.security/assessments/subassessments",
    "securescores": "microsoft.security/securescores",
    "securescorecontrols": "microsoft.security/securescores/securescorecontrols",
    "regulatorycomplianceassessment": "microsoft.security/regulatorycompliancestandards"
    "/regulatorycompliancecontrols/regulatorycomplianceassessments",
    "attackpaths": "microsoft.security/attackpaths",
}
_ENRICHMENT = re.compile(r"(?:security|assessment|subassessment)eventdataenrichment")
_TOKEN = re.compile(r"""\.?(?:\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<place>\d+)|\*)\]|(?P<name>[^.\[\]]+))""")
_ROOT = re.compile(r"^\$(?=[.\[]|$)")
"""`$` is the whole record before a point or a bracket alone, as Json.NET reads it: `$type` is a member of this name."""
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda found, expected: expected in found,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "greaterthan": lambda found, expected: found > expected,
    "greaterthanorequalto": lambda found, expected: found >= expected,
    "lesserthan": lambda found, expected: found < expected,
    "lesserthanorequalto": lambda found, expected: found <= expected,
}
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?")


def lets_through(source: Document, record: Document) -> bool:
    """Whether a source, as a read of an automation shows it, sends a record."""
    if not _carries(source["eventSource"].lower(), record):
        return False
    rule_sets = source.get("ruleSets") or []
    return not rule_sets or any(all(_holds(rule, record) for rule in each.get("rules") or []) for each in rule_sets)


def _carries(event_source: str, record: Document) -> bool:
    stream = event_source.removesuffix("snapshot")
    if _value(record, "systemalertid") is not None:
        return event_source == "alerts"
    kind = _value(record, "type")
    if isinstance(kind, str) and kind.lower() in _TYPES.values():
        fits = _TYPES.get(stream) == kind.lower()
    else:
        fits = stream == "attackpaths" and isinstance(_value(record, "attackpath"), Mapping)
    said = _says_snapshot(record)
    return fits and said in {None, stream != event_source}


def _says_snapshot(record: Document) -> bool | None:
    for name, enrichment in record.items():
        if _ENRICHMENT.fullmatch(name.lower()) and isinstance(enrichment, Mapping):
            said = _value(enrichment, "issnapshot")
            if said is not None:
                return str(said).lower() == "true"
    return None


def _holds(rule: Document, record: Document) -> bool:
    kind, operator = rule["propertyType"].lower(), rule["operator"].lower()
    expected = _as_type(kind, rule["expectedValue"])
    if expected is None:
        return False
    found = [_as_type(kind, value) for value in _at(record, rule["propertyJPath"])]
    if operator == "equals":
        return expected in found
    if operator == "notequals":
        return expected not in found
    if kind == "string" and operator in _TEXT:
        return any(isinstance(one, str) and _TEXT[operator](one, str(expected)) for one in found)
    if isinstance(expected, Decimal) and operator in _ORDER:
        return any(isinstance(one, Decimal) and _ORDER[operator](one, expected) for one in found)
    return False


def _as_type(kind: str, value: Any) -> str | Decimal | None:
    """A value as a property type reads it; None where it has no such value."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    if kind == "string":
        return text.casefold()
    if kind == "boolean":
        return text.lower() if text.lower() in {"true", "false"} else None
    if kind not in {"integer", "number"} or isinstance(value, bool) or not _PLAIN_NUMBER.fullmatch(text.strip()):
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if kind == "number" or number == number.to_integral_value() else None


def _at(record: Document, path: str) -> list[Any]:
    """The scalars at a path; those of an alert's plan also where newer alerts have it."""
    bare = _ROOT.sub("", path)
    found = [*_reached(record, _tokens(bare))]
    if not found and bare.lower() == "productcomponentname":
        found = [*_reached(record, ["ExtendedProperties", "ProductComponentName"])]
    return found


def _tokens(path: str) -> list[str | int]:
    """The names and places of a path; `[*]` is left out, since every element is reached anyway."""
    found: list[str | int] = []
    for match in _TOKEN.finditer(path):
        if match["place"]:
            found.append(int(match["place"]))
        elif name := match["single"] or match["double"] or match["name"]:
            found.append(name)
    return found


def _reached(value: Any, tokens: list[str | int]) -> Iterator[Any]:
    match tokens:
        case [int() as place, *following]:
            if isinstance(value, list) and place < len(value):
                yield from _reached(value[place], following)
        case _ if isinstance(value, list):
            for element in value:
                yield from _reached(element, tokens)
        case [str() as name, *following]:
            if isinstance(value, Mapping) and (inner := _value(value, name)) is not None:
                yield from _reached(inner, following)
        case _:
            if value is not None and not isinstance(value, Mapping):
                yield value


def _value(record: Document, name: str) -> Any:
    """A member, by its exact name or else without regard to case."""
    if name in record:
        return record[name]
    return next((value for key, value in record.items() if key.lower() == name.lower()), None)
