"""What both readers give: the columns that fields feed, the inputs to `derive`, and what nothing carries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from shared.enrich.records.fields import Kind
from shared.enrich.tables import ColumnType

DYNAMIC_INPUTS = frozenset({"definitions", "mitre", "entry_point", "target", "techniques", "sub_techniques"})


class Read(Struct, gc=False):
    """A record read: the row so far (`values_type`), the inputs (`inputs_type`), and the fields that neither carries.

    `rest` has the record's own nesting.
    """

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
