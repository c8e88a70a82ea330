"""From the nested structs of a record to the flat struct of a row: compiled once per shape, as dataclasses do.

Moving forty fields by name, one at a time, costs more than decoding them; the same moves written out are the cheapest
that Python has.  The text that is compiled holds attribute names made here and column names from `tables`; nothing
of it comes from a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.reader_output import INPUTS, NOTHING, Read, Trail, fed_columns, keep, values_type

Spelling = Callable[[str, Trail], Sequence[str]]
"""The spellings of a mapped name below the names, as spelt, that lead to it."""


@dataclass(frozen=True)
class Slot:
    """One field of one level: its attribute in the struct, its name in JSON, what it maps to or the level below it."""

    attribute: str
    name: str
    target: str
    below: Level | None = None


@dataclass(frozen=True)
class Level:
    """One level of a record; `path` is a name for it that is a valid identifier.

    `trail` are the names in JSON that lead here, `attributes` those of the structs.
    """

    path: str
    trail: Trail
    attributes: Trail
    slots: tuple[Slot, ...]

    @classmethod
    def of(
        cls, tree: Mapping[str, Any], spell: Spelling, path: str = "record", trail: Trail = (), attributes: Trail = ()
    ) -> Level:
        """Lay out nested fields; `spell` gives the spellings of a name below a trail, of which a record has one."""
        slots = []
        spelt = [(name, each) for name in tree for each in spell(name, trail)]
        for number, (name, spelling) in enumerate(spelt):
            attribute, target = f"f{number}", tree[name]
            if isinstance(target, dict):
                below = cls.of(target, spell, f"{path}_{number}", (*trail, spelling), (*attributes, attribute))
                slots.append(Slot(attribute, spelling, "-", below))
            else:
                slots.append(Slot(attribute, spelling, target))
        return cls(path, trail, attributes, (*slots, Slot("dollar_type", "$type", "-")))

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
    origins: dict[str, list[tuple[Trail, Callable[[Any], Any]]]] = {}
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
            if slot.target.startswith("@"):
                at = attrgetter(".".join((*level.attributes, slot.attribute)))
                origins.setdefault(slot.target[1:], []).append(((*level.trail, slot.name), at))
    expressions: dict[str, str] = {}
    for target, (first, *others) in places.items():
        expressions[target] = first
        if others:
            name = expressions[target] = f"value_{target.lstrip('@')}"
            lines.append(f"    {name} = {first}")
            lines += [
                f"    if {place} is not None and {place} != {name}: {name} = only({name}, {place})" for place in others
            ]
    values = ", ".join(expressions.get(name, "None") for name in fed_columns(kind))
    inputs = "".join(f", {name}={expressions[f'@{name}']}" for name in INPUTS if f"@{name}" in expressions)
    lines += ["    rest = NOTHING", *kept, f"    return Read(Values({values}), rest, record, ORIGINS{inputs})"]
    scope: dict[str, Any] = {
        "Read": Read,
        "Values": values_type(kind),
        "NOTHING": NOTHING,
        "only": _only,
        "keep": keep,
        "ORIGINS": origins,
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
