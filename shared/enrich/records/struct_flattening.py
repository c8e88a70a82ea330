"""From the nested structs of a record to the flat struct of a row: compiled once per shape, as dataclasses do.

Moving forty fields by name, one at a time, costs more than decoding them; the same moves written out are the cheapest
that Python has.  The text that is compiled holds attribute names made here and column names from `tables`; nothing
of it comes from a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.reader_output import INPUTS, Read, fed_columns, values_type

NOTHING: dict[str, Any] = {}
"""The rest of a record of which nothing is left; never written to."""


@dataclass(frozen=True)
class Slot:
    """One field of one level: its attribute in the struct, its name in JSON, what it maps to or the level below it."""

    attribute: str
    name: str
    target: str
    below: Level | None = None


@dataclass(frozen=True)
class Level:
    """One level of a record; `path` is a name for it that is a valid identifier, `trail` the names that lead here."""

    path: str
    trail: tuple[str, ...]
    slots: tuple[Slot, ...]

    @classmethod
    def of(
        cls, tree: Mapping[str, Any], case: Callable[[str], str], path: str = "record", trail: tuple[str, ...] = ()
    ) -> Level:
        """Lay out nested fields, each name spelt by `case`, but for the enrichment, which keeps its casing."""
        slots = []
        for number, (name, target) in enumerate(tree.items()):
            attribute, spelt = f"f{number}", case(name)
            if isinstance(target, dict):
                inner = str if name.endswith("EventDataEnrichment") else case
                slots.append(Slot(attribute, spelt, "-", cls.of(target, inner, f"{path}_{number}", (*trail, spelt))))
            else:
                slots.append(Slot(attribute, spelt, target))
        return cls(path, trail, (*slots, Slot("dollar_type", "$type", "-")))

    def walk(self) -> Iterator[tuple[Level, Slot]]:
        """Every slot here and below, each level's own before what lies deeper."""
        for slot in self.slots:
            yield self, slot
        for slot in self.slots:
            if slot.below is not None:
                yield from slot.below.walk()


def compile_flattener(kind: Kind, top: Level) -> Callable[[Any], Read]:
    """A function from a decoded record of this layout to what was read.

    It raises `msgspec.ValidationError` where two fields for one column differ.
    """
    places: dict[str, list[str]] = {}
    lines = ["def moves(record):"]
    kept: list[str] = []
    for level, slot in top.walk():
        place = f"{level.path}.{slot.attribute}"
        if slot.below is not None:
            lines.append(f"    {slot.below.path} = {place}")
        elif slot.target == "":
            kept.append(f"    if {place} is not None: rest = keep(rest, {(*level.trail, slot.name)!r}, {place})")
        elif slot.target != "-":
            places.setdefault(slot.target, []).append(place)
    expressions: dict[str, str] = {}
    for target, (first, *others) in places.items():
        expressions[target] = first
        if others:
            name = expressions[target] = f"value_{target.lstrip('@')}"
            lines.append(f"    {name} = {first}")
            lines += [
                f"    if {place} is not None and {place} != {name}: {name} = only({name}, {place})" for place in others
            ]
    values = ", ".join(expressions[name] for name in fed_columns(kind))
    inputs = ", ".join(expressions.get(f"@{name}", "None") for name in INPUTS)
    lines += ["    rest = NOTHING", *kept, f"    return Read(Values({values}), rest, {inputs})"]
    scope: dict[str, Any] = {
        "Read": Read,
        "Values": values_type(kind),
        "NOTHING": NOTHING,
        "only": _only,
        "keep": _keep,
    }
    code = compile("\n".join(lines), f"<moves of {kind.name}>", "exec")
    exec(code, scope)  # noqa: S102  # nosec B102 # made of the names of our own tables alone
    moves: Callable[[Any], Read] = scope["moves"]
    return moves


def _only(first: Any, other: Any) -> Any:
    """The value of two fields for one column, of which one must be empty."""
    if first is not None:
        raise msgspec.ValidationError("two fields for one column differ")
    return other


def _keep(rest: dict[str, Any], trail: tuple[str, ...], value: Any) -> dict[str, Any]:
    """What is kept in Raw, with one value more."""
    level = kept = rest or {}
    for name in trail[:-1]:
        level = level.setdefault(name, {})
    level[trail[-1]] = value
    return kept
