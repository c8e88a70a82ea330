"""What both readers give: the columns that fields feed, the inputs to `derived`, and what nothing carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.json_values import loaded_exactly
from shared.enrich.tables import ColumnType

Trail = tuple[str, ...]
"""Names, as the record spells them, that lead to a field."""
NOTHING: dict[str, Any] = {}
"""The rest of a record of which nothing is left; never written to."""


class Read(Struct, gc=False):
    """A record read: the row so far (`values_type`), the fields that nothing carries, and the inputs to `derived`.

    `rest` has the record's own nesting.  The inputs are those of every kind; a record gives those of its own.
    `origins` says for each input at which places of `record` it may stand, and how to get its value there as sent.
    """

    values: Any
    rest: dict[str, Any]
    record: Any
    origins: Mapping[str, Sequence[tuple[Trail, Callable[[Any], Any]]]]
    type: str | None = None
    id: str | None = None
    name: str | None = None
    subscription: str | None = None
    cloud: str | None = None
    resource: str | None = None
    resource_name: str | None = None
    resource_type: str | None = None
    resource_provider: str | None = None
    plan: str | None = None
    intent: str | None = None
    techniques: Any = None
    sub_techniques: Any = None
    definitions: Any = None
    attack_path_id: str | None = None
    mitre: Any = None
    entry_point: Any = None
    target: Any = None
    entry_point_id: str | None = None
    target_id: str | None = None
    graph: Any = None
    steps: Any = None

    def put_into_rest(self, name: str) -> None:
        """Keep an input that no column carries, as sent, at each place where the record has it."""
        for trail, value_in in self.origins[name]:
            value = value_in(self.record)
            if value is not None:
                self.rest = keep(self.rest, trail, loaded_exactly(value))


INPUTS = Read.__struct_fields__[4:]
_DYNAMIC_INPUTS = frozenset(field.name for field in msgspec.structs.fields(Read) if field.type is Any)


def keep(rest: dict[str, Any], trail: Trail, value: Any) -> dict[str, Any]:
    """What is kept in Raw, with one value more."""
    level = kept = rest or {}
    for name in trail[:-1]:
        level = level.setdefault(name, {})
    level[trail[-1]] = value
    return kept


@lru_cache
def fed_columns(kind: Kind) -> tuple[str, ...]:
    """The columns that fields feed, in the table's order; `derived` and the context fill the others."""
    fed = set(kind.fields.values())
    return tuple(name for name in kind.table.types if name in fed)


@lru_cache
def inputs_of(kind: Kind) -> tuple[str, ...]:
    """The inputs that a record of the kind may give."""
    given = set(kind.fields.values())
    return tuple(name for name in INPUTS if f"@{name}" in given)


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
