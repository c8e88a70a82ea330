"""What an export brings to the tables a month, kind by kind, told from the present records that it sends.

A weekly snapshot sends all that is present.  Of streaming, the present records show only the last change of each,
and only of kinds whose records say when that was: so the rows are the least, and unknown where nothing says it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from shared.exports.event_sources import SNAPSHOT, member

if TYPE_CHECKING:
    from shared.enrich.records.model import Parsed
    from shared.watch.present_records import Sent

# Turns present records, as continuous export sends them, into rows as the app's settings ask for.
ToRows = Callable[[Sequence[Mapping[str, Any]], datetime], "Parsed"]

SAMPLE = 200
"""Records of a kind that are made into rows to see how large those are."""
LATELY = timedelta(days=30)
SNAPSHOTS_A_MONTH: Final = 365.25 / 12 / 7
_MONTH = timedelta(days=365.25 / 12)
_CHANGED: Final = {
    "Alerts": ("TimeGenerated",),
    "Assessments": ("properties", "status", "statusChangeDate"),
}
"""Where a record says when it last changed; source: Microsoft.Security/assessments and alerts, properties."""
_COUNTS: Final = ("read", "streamed", "in_snapshot", "changed", "sampled", "rows", "size")
_GIGABYTE: Final = 1_000_000_000  # source: Azure Monitor Logs, data volume calculation


@dataclass
class KindVolume:
    """What is present of one kind, and what a sample of it became as rows; `size` is in bytes as they are billed."""

    kind: str
    streaming: bool = False
    snapshot: bool = False
    read: int = 0
    streamed: int = 0
    in_snapshot: int = 0
    changed: int = 0
    sampled: int = 0
    rows: int = 0
    size: int = 0

    def rows_a_month(self, *, complete: bool) -> float | None:
        """The least rows that it brings; None where nothing tells, as where none were seen and not all was."""
        if not self.read and not complete:
            return None
        if self.streaming and self.streamed and self.kind not in _CHANGED and not self.in_snapshot:
            return None
        sent = self.in_snapshot * SNAPSHOTS_A_MONTH + self.changed * (_MONTH / LATELY)
        if not sent:
            return 0.0
        return sent * self.rows / self.sampled if self.sampled else None

    def told(self, *, complete: bool) -> dict[str, Any]:
        """As a preview tells it; null is what is not known."""
        rows = self.rows_a_month(complete=complete)
        mean = self.size / self.rows if self.rows else None
        size = 0.0 if rows == 0 else rows * mean / _GIGABYTE if rows is not None and mean is not None else None
        known = self.streaming and self.kind in _CHANGED
        return {
            "kind": self.kind,
            "present": self.read,
            "sent": max(self.streamed, self.in_snapshot),
            "changedInThirtyDays": self.changed if known else None,
            "rowsAMonth": None if rows is None else round(rows),
            "bytesARow": None if mean is None else round(mean),
            "gigabytesAMonth": None if size is None else round(size, 6),
        }


class Volumes:
    """Counts present records by kind, and makes a sample of what is sent into rows."""

    def __init__(self, sources: Sequence[str], to_rows: ToRows, now: datetime) -> None:
        self._to_rows = to_rows
        self._now = now
        kinds = sorted({source.removesuffix(SNAPSHOT) for source in sources})
        self.kinds = {
            kind: KindVolume(kind, streaming=kind in sources, snapshot=f"{kind}{SNAPSHOT}" in sources) for kind in kinds
        }

    def add(self, kind: str, record: Mapping[str, Any], sent: Sent) -> None:
        """Count one present record, and whether it is sent when it changes and with each snapshot."""
        each = self.kinds[kind]
        each.read += 1
        each.streamed += sent.streamed
        each.in_snapshot += sent.in_snapshot
        each.changed += sent.streamed and self._lately(kind, record)
        if (sent.streamed or sent.in_snapshot) and each.sampled < SAMPLE:
            rows = self._to_rows([record], self._now).rows
            each.sampled += 1
            each.rows += len(rows)
            each.size += sum(billed_size(row.json) for row in rows)

    def _lately(self, kind: str, record: Mapping[str, Any]) -> bool:
        value: Any = record
        for name in _CHANGED.get(kind, ()):
            value = member(value, name) if isinstance(value, Mapping) else None
        try:
            at = datetime.fromisoformat(value) if kind in _CHANGED else None
        except (TypeError, ValueError):
            return False
        return at is not None and self._now - (at if at.tzinfo else at.replace(tzinfo=UTC)) <= LATELY

    def told(self, *, complete: bool) -> list[dict[str, Any]]:
        """Each kind, in order; `complete` says that all there is was seen."""
        return [each.told(complete=complete) for each in self.kinds.values()]

    @property
    def kept(self) -> list[list[int]]:
        """What a later attempt goes on from."""
        return [[getattr(each, name) for name in _COUNTS] for each in self.kinds.values()]

    def restore(self, kept: Sequence[Sequence[int]]) -> None:
        """Go on from what an earlier attempt counted."""
        for each, numbers in zip(self.kinds.values(), kept, strict=True):
            for name, number in zip(_COUNTS, numbers, strict=True):
                setattr(each, name, number)


def billed_size(row: bytes) -> int:
    """Bytes of a row as Azure Monitor bills them: its values as text, without their names.

    Source: https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs#data-size-calculation
    """
    return sum(_size(value) for value in json.loads(row).values())


def _size(value: Any) -> int:
    if value is None:
        return 0
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))
