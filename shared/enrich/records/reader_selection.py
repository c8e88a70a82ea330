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
"""Bytes at the beginning of a body in which the fast reader looks for its type.

Most exports put it first; compliance puts it behind the enrichment, a long id and the name.
"""
NEAR = 160
"""Bytes in which a camelCase record has its type; other places are looked into only when it is not here."""
LONGEST_TYPE = 200
HEAD = 16
"""Bytes that a body begins with, remembered where no type is found: alerts of one exporter begin alike."""
MOST_MARKS = 256
_TYPE = re.compile(rb'"([tT]ype"):\s*"([^"\\]+)"')
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
    """Tells shapes apart by how a body begins, and remembers what it met."""

    def __init__(self) -> None:
        self._shapes = {
            f'{letter}ype":"{kind.type}'.encode(): Shape(kind, kind.layouts[-1], spell)
            for kind in KINDS
            if kind.type
            for letter, spell in (("t", _camel), ("T", _pascal))
        }
        self._alert = Shape(BY_NAME["Alert"], BY_NAME["Alert"].layouts[0], _as_mapped)
        self._path = Shape(BY_NAME["AttackPath"], BY_NAME["AttackPath"].layouts[0], _as_mapped)
        self._met: dict[bytes, Shape] = {}

    def detect_shape(self, body: bytes) -> Shape | None:
        """The shape that a body seems to have; reading it finds out."""
        start = body.find(b'"type":"', 0, NEAR)
        if start < 0:
            shape = self._met.get(body[:HEAD])
            if shape is not None:
                return shape
            start = body.find(b'"Type":"', 0, NEAR)
            if start < 0:
                start = body.find(b'"type":"', 0, TYPE_WITHIN)
        mark = body[start : body.find(b'"', start + 8, start + LONGEST_TYPE)] if start >= 0 else body[:HEAD]
        shape = self._met.get(mark)
        if shape is None:
            shape = self._search(body)
            if shape is not None and (start < 0) == (shape is self._alert):
                if len(self._met) == MOST_MARKS:
                    self._met.clear()
                self._met[mark] = shape
        return shape

    def _search(self, body: bytes) -> Shape | None:
        """The shape by the type in any casing, its name in two, or by what only one kind has."""
        found = _TYPE.search(body, 0, TYPE_WITHIN)
        shape = self._shapes.get(found[1] + b':"' + found[2].lower()) if found else None
        if shape is not None:
            return shape
        if b'"SystemAlertId"' in body:
            return self._alert
        return self._path if b'"attackPath"' in body else None
