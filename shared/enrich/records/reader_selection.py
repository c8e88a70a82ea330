"""Which reader a body goes to: the typed reader of the shape that it seems to have, or the tolerant one."""

from __future__ import annotations

import re

from shared.enrich.records.field_mapping import BY_NAME, KINDS
from shared.enrich.records.typed_reader import Shape

TYPE_WITHIN = 512
"""Bytes at the beginning of a body in which the fast reader looks for its type; exports put it there."""
NEAR = 160
"""Bytes in which a camelCase record has its type; other places are looked into only when it is not here."""
MARK = 40
"""Bytes from `"type":"` on that tell the types apart; what they stand for is remembered."""
HEAD = 16
"""Bytes that a body begins with, remembered likewise where no type is near: alerts of one exporter begin alike."""
MOST_MARKS = 256
_TYPE = re.compile(rb'"([tT]ype"):\s*"([^"\\]+)"')


def _as_mapped(name: str) -> str:
    return name


def _upper_first(name: str) -> str:
    """PascalCase, but for the enrichment, which keeps its case."""
    return name if name.endswith("EventDataEnrichment") else name[0].upper() + name[1:]


class ReaderSelection:
    """Tells shapes apart by how a body begins, and remembers what it met."""

    def __init__(self) -> None:
        self._shapes = {
            f'{letter}ype":"{kind.type}'.encode(): Shape(kind, case)
            for kind in KINDS
            if kind.type and kind.name != "Alert"
            for letter, case in (("t", _as_mapped), ("T", _upper_first))
        }
        self._alert = Shape(BY_NAME["Alert"], _as_mapped)
        self._path = self._shapes[f'type":"{BY_NAME["AttackPath"].type}'.encode()]
        self._met: dict[bytes, Shape] = {}

    def detect_shape(self, body: bytes) -> Shape | None:
        """The shape that a body seems to have; reading it finds out."""
        start = body.find(b'"type":"', 0, NEAR)
        if start < 0:
            shape = self._met.get(body[:HEAD])
            if shape is not None:
                return shape
            start = body.find(b'"Type":"', 0, TYPE_WITHIN)
            if start < 0:
                start = body.find(b'"type":"', 0, TYPE_WITHIN)
        mark = body[start : start + MARK] if start >= 0 else body[:HEAD]
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
        if b'"SystemAlertId"' in body:
            return self._alert
        found = _TYPE.search(body, 0, TYPE_WITHIN)
        shape = self._shapes.get(found[1] + b':"' + found[2].lower()) if found else None
        return shape or (self._path if b'"attackPath"' in body else None)
