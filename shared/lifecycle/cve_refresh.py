"""Reads, once a day, the details of the CVEs that open rows name, a few at a time, and writes them to their table."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.clock import Clock, Deadline, utc_moment, utc_text
from shared.enrich import record_functions
from shared.lifecycle.cve_details import CVES_TABLE, ROLE, cve_rows, query

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.lifecycle.kept_state import KeptState
    from shared.lifecycle.open_in_tables import OpenInTables

log = logging.getLogger(__name__)

KIND = "cve refresh"
LATEST = "gone/cves.json"
EVERY = timedelta(hours=24)
IDS_A_QUERY = 200
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_TABLES = ("DefenderAssessments_CL", "DefenderSubAssessments_CL")


@dataclass(frozen=True)
class Refresh:
    """One refresh: up to which CVE it is done, of how many details were asked and found, and why some are missing."""

    began: datetime
    after: str = ""
    asked: int = 0
    found: int = 0
    reason: str = ""
    ended: datetime | None = None

    @property
    def warning(self) -> str:
        """What people are told, once, where not one CVE could be seen; empty where there is nothing to say."""
        if self.ended is None or self.found or not self.asked:
            return ""
        if self.reason:
            return f"of {self.asked:,} CVEs that open rows name, no details could be read: {self.reason}"
        return (
            f"of {self.asked:,} CVEs that open rows name, Resource Graph shows this app no details, so that whether "
            f"they are exploited is not known: grant its identity {ROLE}"
        )


def named_query(table: str, now: datetime) -> str:
    """The CVE ids that open rows of a table name."""
    oldest = f"datetime({(now - timedelta(days=730)).isoformat()})"
    rows = record_functions.current(table).replace("ago(lookback)", oldest)
    return f"""{rows}
| where RecommendationState =~ 'Unhealthy'
| mv-expand CveId = CveIds to typeof(string)
| where CveId matches regex '^CVE-[0-9]+-[0-9]+$'
| distinct CveId"""


class CveRefresh:
    """Asks the workspace for ids, Resource Graph for details at the tenant's scope, and sends rows."""

    def __init__(
        self,
        tables: OpenInTables,
        graph: Graph,
        kept: KeptState[Refresh],
        rows: Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]],
        *,
        instance_id: str,
        seconds: float,
    ) -> None:
        self._tables = tables
        self._graph = graph
        self._kept = kept
        self._rows = rows
        self._instance_id = instance_id
        self._seconds = seconds

    async def tick(self, now: datetime) -> Refresh | None:
        """Go on with the refresh under way, or begin one that is due; None where there is nothing to do yet.

        Raises:
            shared.lifecycle.open_in_tables.UnknownError: which CVEs open rows name is not known.
            shared.reconcile.apply.run_lock.LeaseHeld: another worker refreshes now.
            shared.stored_format.KeptAsIs: a newer release's refresh is under way.
        """
        deadline = Clock().deadline(self._seconds)
        if _waits(await self.latest(), now):
            return None
        async with self._kept.alone() as lease:
            state = await self.latest()  # by now another may have gone on with it
            if _waits(state, now):
                return state
            if state is None or state.ended is not None:
                state = Refresh(now)
            ids = await self._named(now, state.after, deadline)
            for start in range(0, len(ids), IDS_A_QUERY):
                if deadline.left <= 0 or not lease.valid():
                    break
                state = await self._read(state, ids[start : start + IDS_A_QUERY], now, deadline)
                await self._kept.keep(state)
            if not ids or state.after == ids[-1]:
                state = replace(state, ended=now)
                await self._kept.keep(state)
                log.info("details of %d of %d CVEs: %s", state.found, state.asked, state.warning or state.reason)
            return state

    async def latest(self) -> Refresh | None:
        """The refresh that is under way or ended last; None before the first.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read.
        """
        return await self._kept.latest()

    async def _read(self, state: Refresh, batch: Sequence[str], now: datetime, deadline: Deadline) -> Refresh:
        answer = await self._graph.query(query(batch), deadline=deadline)
        rows = [row for each in answer.rows for row in cve_rows(each, batch, self._instance_id, now)]
        if rows:
            await self._rows(CVES_TABLE, rows)
        reason = state.reason or "; ".join(answer.reasons)
        asked, found = state.asked + len(batch), state.found + len({row["CveId"] for row in rows})
        return replace(state, after=batch[-1], asked=asked, found=found, reason=reason)

    async def _named(self, now: datetime, after: str, deadline: Deadline) -> list[str]:
        found: set[str] = set()
        for table in _TABLES:
            rows = await self._tables.ask(named_query(table, now), deadline)
            found.update(str(row["CveId"]) for row in rows)
        return sorted(each for each in found if _CVE.fullmatch(each) and each > after)


def _waits(state: Refresh | None, now: datetime) -> bool:
    return state is not None and state.ended is not None and now - state.began < EVERY


def dumped(state: Refresh) -> str:
    """A refresh as it is stored."""
    own = {"after": state.after, "asked": state.asked, "found": state.found, "reason": state.reason}
    moments = {"began": utc_text(state.began), "ended": utc_text(state.ended) if state.ended else None}
    return json.dumps({**stored_format.stamp(KIND), **moments, **own})


def loaded(data: bytes) -> Refresh:
    """A refresh from what was stored.

    Raises:
        shared.stored_format.KeptAsIs: a newer release stored it, or it can't be read.
    """
    document = stored_format.read_object(KIND, data)
    try:
        return Refresh(
            utc_moment(document["began"]),
            str(document["after"]),
            int(document["asked"]),
            int(document["found"]),
            str(document["reason"]),
            utc_moment(document["ended"]) if document["ended"] else None,
        )
    except (KeyError, TypeError, ValueError):
        raise stored_format.KeptAsIs(f"this {KIND} can't be read: remove it, and a new one begins") from None
