"""The fast reader: typed structs built from `fields`, one decoder per kind and casing.

msgspec checks names, types and structure in one pass in C and hands large values through as bytes.  Anything that does
not fit exactly (another casing, an unknown field, a wrong type) is refused here and read by `anyshape` instead, so
the two readers give equal rows wherever this one accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import astuple

from shared.enrich.records.fields import Kind
from shared.enrich.tables import ColumnType

TYPES: Mapping[ColumnType, Any] = {
    "string": str | None,
    "int": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None,
    "long": Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None,
    "real": float | None,
    "boolean": bool | None,
    "datetime": Annotated[datetime, Meta(tz=True)] | None,
    "dynamic": Raw,
}
DYNAMIC_INPUTS = frozenset({"definitions", "mitre", "entry_point", "target", "techniques", "sub_techniques"})


class Read(NamedTuple):
    """What a reader gives: a row with the columns that fields feed, the inputs by name, and what nothing carries."""

    values: Any
    inputs: Any
    rest: dict[str, Any]


@lru_cache
def fed_columns(kind: Kind) -> tuple[str, ...]:
    """The columns that fields feed, in the table's order; `derive` and the context fill the others."""
    return tuple(name for name in kind.table.types if name in set(kind.fields.values()))


@lru_cache
def values_type(kind: Kind) -> type[Struct]:
    """The struct of a row: fed columns first, each left out of the JSON when it has no value."""
    fed = fed_columns(kind)
    names = [*fed, *(name for name in kind.table.types if name not in fed)]
    return msgspec.defstruct(kind.table.name, [(name, Any, None) for name in names], omit_defaults=True, gc=False)


@lru_cache
def inputs_type(kind: Kind) -> type[Struct]:
    """The struct of a kind's inputs to `derive`."""
    return msgspec.defstruct(f"{kind.name}Inputs", [(name, Any, None) for name in input_names(kind)], gc=False)


def input_names(kind: Kind) -> tuple[str, ...]:
    """The inputs that a kind's fields give, in order, each once."""
    return tuple(dict.fromkeys(target[1:] for target in kind.fields.values() if target.startswith("@")))


def target_type(kind: Kind, target: str) -> ColumnType:
    """The type of what a field maps to."""
    if target.startswith("@"):
        return "dynamic" if target[1:] in DYNAMIC_INPUTS else "string"
    return kind.table.types[target]


class Shape:
    """One kind in one casing.

    Args:
        kind: whose fields to read.
        case: how a path's segment is spelt in this shape.
    """

    def __init__(self, kind: Kind, case: Callable[[str], str]) -> None:
        self._levels: list[str] = []
        self._slots: list[str] = []
        tree: dict[str, Any] = {}
        for path, target in kind.fields.items():
            *parents, leaf = path.split(".")
            level = tree
            for parent in parents:
                level = level.setdefault(parent, {})
            level[leaf] = target
        self.decode = msgspec.json.Decoder(self._struct(kind, tree, case, "")).decode
        places: dict[str, list[int]] = {}
        for index, target in enumerate(self._slots):
            places.setdefault(target, []).append(index)
        targets = [*fed_columns(kind), *(f"@{name}" for name in input_names(kind))]
        levels = attrgetter(*self._levels)
        self._levels_of = levels if len(self._levels) > 1 else lambda record: (levels(record),)
        self._columns_of = itemgetter(*(places[name][0] for name in fed_columns(kind)))
        self._inputs_of = itemgetter(*(places[f"@{name}"][0] for name in input_names(kind)))
        self._values = values_type(kind)
        self._inputs = inputs_type(kind)
        self._repeated = [(places[target][0], index) for target in targets for index in places[target][1:]]

    def _struct(self, kind: Kind, tree: Mapping[str, Any], case: Callable[[str], str], level: str) -> type[Struct]:
        """Build the struct of one level; slots note, in the order of `astuple`, what each field maps to."""
        names = {f"f{number}": case(name) for number, name in enumerate(tree)} | {"dollar_type": "$type"}
        self._slots += ["-" if isinstance(target, dict) else target for target in tree.values()] + ["-"]
        if level:
            self._levels.append(level)
        fields: list[Any] = []
        for attribute, target in zip(names, tree.values(), strict=False):
            if isinstance(target, dict):
                inner = str if names[attribute].endswith("EventDataEnrichment") else case  # it keeps its casing
                below = self._struct(kind, target, inner, f"{level}.{attribute}".lstrip("."))
                fields.append((attribute, below, msgspec.field(default_factory=below)))
            elif target == "":
                fields.append((attribute, None, None))
            elif target == "-":
                fields.append((attribute, str | None, None))
            else:
                fields.append((attribute, TYPES[target_type(kind, target)], None))
        fields.append(("dollar_type", str | None, None))
        return msgspec.defstruct(
            f"{kind.name}{level.replace('.', '_')}",
            fields,
            rename=names,
            forbid_unknown_fields=True,
            gc=False,
        )

    def read(self, body: bytes) -> Read:
        """Read a record.

        Raises:
            msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it does not fit this shape.
        """
        record = self.decode(body)
        slots = list(astuple(record))
        for level in self._levels_of(record):
            slots += astuple(level)
        for first, again in self._repeated:
            value = slots[again]
            if value is not None and value != slots[first]:
                if slots[first] is not None:
                    raise msgspec.ValidationError("two fields for one column differ")
                slots[first] = value
        return Read(self._values(*self._columns_of(slots)), self._inputs(*self._inputs_of(slots)), {})
