"""What follows from what the tables hold as open and what Resource Graph has now.

Absence counts only in a complete answer, and only twice in a row: the first time it is noted, the second time it ends
the record.  An incomplete answer says nothing, not even of what it has.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timedelta

from shared.lifecycle.model import ENDS, Action, Conclusion, KnownRecord, PresentNow

SETTLES = timedelta(hours=1)
"""Resource Graph lags: of a record that was exported later than this before the question, absence says nothing."""
APART = timedelta(hours=1)
"""Two answers that are closer together than this count as one."""


def conclusions(
    records: Iterable[KnownRecord],
    present: PresentNow,
    held: Container[tuple[str, Action]] = frozenset(),
    *,
    began: datetime | None = None,
) -> Iterator[Conclusion]:
    """What follows for each record for which something does.

    Args:
        records: of the slice that was asked for, ended ones too.
        present: the answer.
        held: kinds with the end that is held back for them, by the guard.
        began: of the pass, which ends nothing that it noted as missing itself: the guard has not counted that.
    """
    if not present.complete:
        return
    for record in records:
        there = record.record_id in present.record_ids
        found = _back(record) if there else _absent(record, present, began or present.asked)
        if found is not None and (found.record.kind, found.action) not in held:
            yield found


def _back(record: KnownRecord) -> Conclusion | None:
    return Conclusion(record, Action.BACK, None) if record.standing else None


def _absent(record: KnownRecord, present: PresentNow, began: datetime) -> Conclusion | None:
    mark = record.standing
    if (record.subscription, record.kind) in present.unseen or (mark and mark.action in ENDS):
        return None
    if record.last_seen > present.asked - SETTLES:
        return None
    if mark is None:
        return Conclusion(record, Action.MISSING, present.asked)
    if mark.written > present.asked - APART or mark.written >= began:
        return None
    return Conclusion(record, Action.RETIRED if record.retired_model else Action.GONE, mark.since)
