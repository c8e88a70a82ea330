"""What both readers give: the columns that fields feed, the inputs to `derive`, and what nothing carries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from shared.enrich.records.field_mapping import Kind
from shared.enrich.tables import ColumnType


class Read(Struct, gc=False):
    """A record read: the row so far (`values_type`), the fields that nothing carries, and the inputs to `derive`.

    `rest` has the record's own nesting.  The inputs are those of every kind; a record gives those of its own.
    """

    values: Any
    rest: dict[str, Any]
    id: str | None = None
    name: str | None = None
    subscription: str | None = None
    resource: str | None = None
    resource_type: str | None = None
    intent: str | None = None
    techniques: Any = None
    sub_techniques: Any = None
    definitions: Any = None
    mitre: Any = None
    entry_point: Any = None
    target: Any = None


INPUTS = Read.__struct_fields__[2:]
_DYNAMIC_INPUTS = frozenset(field.name for field in msgspec.structs.fields(Read) if field.type is Any)


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


def target_type(kind: Kind, target: str) -> ColumnType:
    """The type of what a field maps to."""
    if target.startswith("@"):
        return "dynamic" if target[1:] in _DYNAMIC_INPUTS else "string"
    return kind.table.types[target]
