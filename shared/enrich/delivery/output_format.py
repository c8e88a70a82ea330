"""What an event of the output hub holds: the row as it is, or another form of it within the hub's limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.enrich.delivery.output_hub import Outgoing
from shared.enrich.delivery.truncation import fit
from shared.enrich.records.model import Row

ROWS = ""
"""The form in which rows go on as they are, which is that of letters that name none."""
BESIDE_THE_BODY = 4_096
"""Bytes of the limit left to framing and to an event's properties, of which `output_hub` cuts the longest."""
_KB = 1_024


class OutputFormat(Protocol):
    """A form of rows on their way to the output hub."""

    name: str

    def encode(self, row: Row, limit: int) -> tuple[bytes, bool]:
        """A row's event, at most `limit` bytes, and whether it lacks something that its whole record has."""


class RowFormat:
    """Rows as they are in their table."""

    name = ROWS

    def encode(self, row: Row, limit: int) -> tuple[bytes, bool]:
        """The row itself, unless it has to be cut."""
        text = row.json if len(row.json) <= limit else fit(row.json, limit)
        return text, text is not row.json


@dataclass(frozen=True)
class OutputEncoder:
    """Makes the events of rows, for a hub that takes events of so many KB."""

    format: OutputFormat
    kilobytes: int

    def encode(self, rows: Iterable[Row]) -> tuple[list[Outgoing], list[Row]]:
        """An event for each row, and the rows of which the event had to be cut."""
        limit = self.kilobytes * _KB - BESIDE_THE_BODY
        events, cut = [], []
        for row in rows:
            body, is_cut = self.format.encode(row, limit)
            events.append(Outgoing(row.record_id, row.table, body, self.format.name))
            if is_cut:
                cut.append(row)
        return events, cut
