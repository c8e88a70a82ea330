"""The fast reader: typed structs built from `field_mapping`, one per kind and casing.

msgspec checks names, types and structure in one pass in C and hands large values through as bytes.  Anything that does
not fit exactly (another casing, an unknown field, a wrong type) is refused here and read by `tolerant_reader` instead,
so the two readers give equal rows wherever this one accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.reader_output import Read, target_type
from shared.enrich.records.struct_flattening import Level, Spelling, compile_flattener
from shared.enrich.tables import ColumnType

_LONG = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
TYPES: Mapping[ColumnType, Any] = {
    "string": str | None,
    "int": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None,
    "long": _LONG | None,
    "real": float | None,
    "boolean": bool | None,
    "datetime": Annotated[datetime, Meta(tz=True)] | None,
    "dynamic": Raw,
}
_NAMED_TEXTS = dict[str, str] | None
_LOOKED_INTO = frozenset({"Tags", "ExtendedProperties"})
"""Columns of names and texts of which every record is asked something: read at once, they are read only once."""
_KEPT = _LONG | float | str | bool | None
"""What a field that is known, but feeds no column, may hold here."""


class Shape:
    """One layout of one kind in one casing.

    Args:
        kind: whose fields to read.
        layout: which of its fields come together.
        spell: the spellings of a path's segment in this shape.
    """

    def __init__(self, kind: Kind, layout: Mapping[str, str], spell: Spelling) -> None:
        self.kind = kind
        tree: dict[str, Any] = {}
        for path, target in layout.items():
            *parents, leaf = path.split(".")
            level = tree
            for parent in parents:
                level = level.setdefault(parent, {})
            level[leaf] = target
        top = Level.of(tree, spell)
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(kind, top)).decode
        self._moves = compile_flattener(kind, top)
        self._is_of_kind = _CHECKS.get(kind.name, _is_typed)

    def read(self, body: bytes) -> Read:
        """Read a record.

        Raises:
            msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it does not fit this shape, or is of another kind.
        """
        if not body.isascii():
            body.decode()  # in values that it passes on unread, msgspec checks all but this
        read = self._moves(self.decode(body))
        if not self._is_of_kind(read, self.kind):
            raise msgspec.ValidationError("of another kind")
        return read


def _is_typed(read: Read, kind: Kind) -> bool:
    """A record's whole type is its kind's."""
    return read.type is not None and read.type.lower().strip("/") == kind.type


def _is_alert(read: Read, kind: Kind) -> bool:
    """Exported alerts have an id that no other kind has, and no type as a rule."""
    if read.type is None:
        return read.values.SystemAlertId is not None
    return _is_typed(read, kind)


def _is_attack_path(read: Read, kind: Kind) -> bool:
    """Exported attack paths have an object that no other kind has, and no type as a rule."""
    return _is_typed(read, kind) or (read.type is None and read.attack_path_id is not None and read.id is None)


_CHECKS: Mapping[str, Callable[[Read, Kind], bool]] = {"Alert": _is_alert, "AttackPath": _is_attack_path}


def _struct(kind: Kind, level: Level) -> type[Struct]:
    """The struct of one level of a record, which refuses every name that it does not know."""
    fields: list[Any] = []
    for slot in level.slots:
        if slot.below is not None:
            below = _struct(kind, slot.below)
            fields.append((slot.attribute, below, msgspec.field(default_factory=below)))
        else:
            fields.append((slot.attribute, _type(kind, slot.target), None))
    names = {slot.attribute: slot.name for slot in level.slots}
    return msgspec.defstruct(f"{kind.name}_{level.path}", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _type(kind: Kind, target: str) -> Any:
    if target == "":
        return _KEPT
    if target == "-":
        return str | None  # $type
    return _NAMED_TEXTS if target in _LOOKED_INTO else TYPES[target_type(kind, target)]
