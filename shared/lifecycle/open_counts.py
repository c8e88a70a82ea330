"""How much is open now, was fixed this week, is open again and can be exploited: counted once an hour, for the page."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.clock import Clock, utc_moment, utc_text

if TYPE_CHECKING:
    from shared.lifecycle.kept_state import KeptState
    from shared.lifecycle.open_in_tables import OpenInTables

log = logging.getLogger(__name__)

KIND = "open counts"
LATEST = "gone/counts.json"
EVERY = timedelta(minutes=50)
SECONDS = 60
"""For the one query."""
QUERY = """union
    (DefenderRecords_Open()
    | summarize Number = count(), Since = min(iff(EventTime > datetime(1970-01-01), EventTime, datetime(null)))
    | extend What = 'open'),
    (DefenderRecords_Ended()
    | where EndedAs != 'Retired' and EndedTime > ago(7d)
    | summarize Number = count()
    | extend What = 'fixed'),
    (DefenderRecords_Open()
    | join kind=inner (DefenderRecords_Ended() | where EndedAs != 'Retired' | distinct RecordId) on RecordId
    | summarize Number = count()
    | extend What = 'reopened'),
    (DefenderRecords_Cves()
    | where tostring(RiskFactors) contains 'internet' and Exploited != 'no' and coalesce(IsWithdrawn, false) == false
    | summarize Known = countif(Exploited != 'not known') by RecordId
    | summarize Number = count() by What = iff(Known > 0, 'exploitable', 'perhaps'))
| project What, Number, Since"""


@dataclass(frozen=True)
class Counts:
    """What was counted when; `problem` says why nothing was.

    `exploitable` are records on resources that are exposed to the internet, with a CVE that is exploited or public,
    `perhaps` those of which that is not known; `oldest` is since when the oldest has been open.
    """

    asked: datetime
    open: int = 0
    fixed: int = 0
    reopened: int = 0
    exploitable: int = 0
    perhaps: int = 0
    oldest: datetime | None = None
    problem: str = ""


class OpenCounts:
    """Asks the workspace, by the functions that the deployment stores there, and keeps the answer."""

    def __init__(self, tables: OpenInTables, kept: KeptState[Counts]) -> None:
        self._tables = tables
        self._kept = kept

    async def refresh(self, now: datetime) -> Counts:
        """Count, unless that was done within the hour; what could not be counted is kept as not known.

        Raises:
            shared.stored_format.KeptAsIs: a newer release keeps its counts.
        """
        from shared.lifecycle.open_in_tables import UnknownError

        latest = await self.latest()
        if latest is not None and now - latest.asked < EVERY:
            return latest
        try:
            rows = await self._tables.ask(QUERY, Clock().deadline(SECONDS))
        except UnknownError as unknown:
            log.warning("what is open was not counted: %s", unknown)
            counts = Counts(now, problem=str(unknown))
        else:
            oldest = next((row["Since"] for row in rows if row["Since"]), None)
            numbers: dict[str, Any] = {str(row["What"]): int(row["Number"]) for row in rows}
            counts = Counts(now, **numbers, oldest=oldest and (oldest if oldest.tzinfo else oldest.replace(tzinfo=UTC)))
        await self._kept.keep(counts)
        return counts

    async def latest(self) -> Counts | None:
        """What was counted last; None before the first time.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read.
        """
        return await self._kept.latest()


def dumped(counts: Counts) -> str:
    """Counts as they are stored."""
    moments = {"asked": utc_text(counts.asked), "oldest": utc_text(counts.oldest) if counts.oldest else None}
    return json.dumps({**stored_format.stamp(KIND), **counts.__dict__, **moments})


def loaded(data: bytes) -> Counts:
    """Counts from what was stored.

    Raises:
        shared.stored_format.KeptAsIs: a newer release stored it, or it can't be read.
    """
    document = stored_format.read_object(KIND, data)
    try:
        numbers: dict[str, Any] = {
            name: int(document[name]) for name in ("open", "fixed", "reopened", "exploitable", "perhaps")
        }
        oldest = utc_moment(document["oldest"]) if document["oldest"] else None
        return Counts(utc_moment(document["asked"]), **numbers, oldest=oldest, problem=str(document["problem"]))
    except (KeyError, TypeError, ValueError):
        raise stored_format.KeptAsIs(f"these {KIND} can't be read: remove them, and they are counted anew") from None
