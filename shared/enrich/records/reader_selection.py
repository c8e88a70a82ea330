"""Which reader a body goes to: the typed reader of the shape that it seems to have, or the tolerant one.

What is guessed here decides about speed alone: the typed reader verifies the whole type and every name, and hands back
what is of another kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.enrich.records.field_mapping import BY_NAME, KINDS
from shared.enrich.records.reader_output import Trail
from shared.enrich.records.typed_reader import Shape

TYPE_WITHIN = 2048
"""Bytes at the beginning of a body in which a type is looked for.

Most exports put it first; compliance puts it behind the enrichment, a long id and the name.
"""
_TYPE = re.compile(rb'"([tT]ype)":\s*"([^"\\]+)"')
_ENRICHMENT = "EventDataEnrichment"


def _upper_first(name: str) -> str:
    return name[0].upper() + name[1:]


def _camel(name: str, trail: Trail) -> Sequence[str]:
    """As mapped; the enrichment and resource details come in either casing inside of camelCase records."""
    if name.endswith(_ENRICHMENT) or trail == ("properties", "resourceDetails"):
        return (name, _upper_first(name))
    return _below_enrichment(name, trail) or (name,)


def _pascal(name: str, trail: Trail) -> Sequence[str]:
    """PascalCase; the enrichment comes in either casing."""
    if name.endswith(_ENRICHMENT):
        return (name, _upper_first(name))
    return _below_enrichment(name, trail) or (_upper_first(name),)


def _below_enrichment(name: str, trail: Trail) -> Sequence[str]:
    """Inside of an enrichment, in the casing that it has itself; nothing elsewhere."""
    if not trail or not trail[0].endswith(_ENRICHMENT):
        return ()
    return (_upper_first(name),) if trail[0][0].isupper() else (name,)


def _as_mapped(name: str, trail: Trail) -> Sequence[str]:
    return (name, _upper_first(name)) if name.endswith(_ENRICHMENT) else _below_enrichment(name, trail) or (name,)


class ReaderSelection:
    """Tells shapes apart by the type that comes first in a body, or by a name that only one kind has."""

    def __init__(self) -> None:
        self._shapes = {
            (name, kind.type.encode()): Shape(kind, kind.layouts[-1], spell)
            for kind in KINDS
            if kind.type
            for name, spell in ((b"type", _camel), (b"Type", _pascal))
        }
        self._alert = Shape(BY_NAME["Alert"], BY_NAME["Alert"].layouts[0], _as_mapped)
        self._path = Shape(BY_NAME["AttackPath"], BY_NAME["AttackPath"].layouts[0], _as_mapped)

    def detect_shape(self, body: bytes) -> Shape | None:
        """The shape that a body seems to have; reading it finds out."""
        found = _TYPE.search(body, 0, TYPE_WITHIN)
        shape = self._shapes.get((found[1], found[2].lower())) if found else None
        if shape is not None:
            return shape
        if b'"SystemAlertId"' in body:
            return self._alert
        return self._path if b'"attackPath"' in body else None
