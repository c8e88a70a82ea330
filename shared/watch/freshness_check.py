"""The timer's check: is each subscription's data fresh, and is what was accepted really stored?"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from shared.azure.resource_graph import LIMIT_HIT
from shared.clock import Clock
from shared.exports.evaluator import accepts
from shared.exports.event_sources import member
from shared.exports.known_values import is_simulated
from shared.muting.mutes import NOTHING, Muting, Part, parts_of
from shared.watch.absent_records import explain_absence, gone_kinds
from shared.watch.coverage import SubscriptionCoverage
from shared.watch.expectations import Declared, Expectation, expect
from shared.watch.freshness_verdicts import (
    FEEDS,
    QUIET,
    Evidence,
    Present,
    judge,
    marks,
    none_here,
    suspects,
    unproven,
    with_nothing_to_send,
)
from shared.watch.hidden_subscriptions import missed, standing, stubs, undecided
from shared.watch.last_arrival import Key
from shared.watch.last_seen import LastSeen
from shared.watch.present_records import Gaps, PresentRecords, dated
from shared.watch.trend_rows import Standing, kept, read_back, settle, trend_rows

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient
from shared.watch.freshness_outcome import Compared, Outcome, StoredDay
from shared.watch.health_rows import HEALTH_TABLE, as_document, as_far_as_readable, comparison_rows, health_rows
from shared.watch.stored_comparison import compared

RowSink = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]
# A day (UTC) -> what the workspace holds of it
StoredRows = Callable[[date], Awaitable[StoredDay]]

LATEST = "freshness/latest.json"
# An accepted row takes minutes to be stored, so a day is compared when it has been over for a while.
SETTLES = timedelta(hours=2)
_ROWS_A_SEND = 1000
PRESENT_SECONDS = 240.0
"""For reading what is present: what is not known by then is said to be unknown, and the verdicts are given."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tenant:
    """What is declared and what is live; `reasons` say what may be missing, `standings` who meets what is required.

    `muting` is what is muted: only rows say so.  `hidden` are the lower-case ids of subscriptions that took writes when
    they were last seen and are not shown any more.
    """

    declared: Sequence[Declared]
    coverage: Sequence[SubscriptionCoverage]
    reasons: Sequence[str] = ()
    standings: Sequence[Standing] = ()
    muting: Muting = NOTHING
    hidden: Collection[str] = ()


class FreshnessCheck:
    """Judges every expectation, compares a day's rows, leaves rows and the latest answer for the API."""

    def __init__(
        self,
        last_seen: LastSeen,
        present: PresentRecords,
        answers: ContainerClient,
        rows: RowSink | None,
        stored: StoredRows,
        *,
        hub_id: str,
        due: timedelta,
        instance_id: str,
        on_time_percent: float = 99.0,
        seconds: float = PRESENT_SECONDS,
        workspace_id: str = "",
    ) -> None:
        self._last_seen = last_seen
        self._present = present
        self._answers = answers
        self._rows = rows
        self._stored = stored
        self._hub_id = hub_id
        self._due = due
        self._instance_id = instance_id
        self._on_time_percent = on_time_percent
        self._seconds = seconds
        self._workspace_id = workspace_id

    async def run(self, tenant: Tenant, now: datetime) -> dict[str, Any]:
        """Check everything once: note, judge, compare, keep the answer and send its rows; gives the answer."""
        before = await self.latest() or {}
        outcome = await self._judge(tenant, now, before, noting=True)
        day = (now - SETTLES).astimezone(UTC).date() - timedelta(days=1)
        stored, trouble, unknown = await self._compare(day)
        outcome = Outcome(now, outcome.health, stored, [*outcome.reasons, *trouble], unknown)
        # Who is silent since when, carried on from the check before.
        known = read_back(before.get("silences", ()))
        silences = settle(known, outcome.health, outcome.checked, complete=not tenant.reasons)
        shown = [*tenant.coverage, *stubs(before.get("health", ()), tenant.hidden)]
        document = as_document(outcome, shown, kept(silences.open))
        # The rows first: alerts rest on them, and the answer may lie where nothing can be written anew.
        muted = self._muted(tenant.muting, now)
        tables = tenant.muting.of([Part(destination=self._workspace_id.lower())], now)
        compared = comparison_rows(outcome, self._instance_id, self._on_time_percent, tables.until if tables else None)
        names = {each.subscription_id.lower(): each.name for each in shown}
        over_time = trend_rows(outcome, tenant.standings, silences, names, self._instance_id)
        await self._send([*health_rows(document, self._instance_id, muted), *compared, *over_time])
        await self._answers.upload_blob(LATEST, json.dumps(document), overwrite=True)
        for each in outcome.stored:
            if each.lost:
                log.warning("%s holds %d rows of %s, %d were accepted", each.table, each.stored, day, each.uploaded)
        return document

    async def judge(self, tenant: Tenant, now: datetime) -> dict[str, Any]:
        """What `run` would answer as of `now`, without leaving a trace."""
        before = await self.latest() or {}
        outcome = await self._judge(tenant, now, before, noting=False)
        return as_document(outcome, [*tenant.coverage, *stubs(before.get("health", ()), tenant.hidden)])

    async def latest(self) -> dict[str, Any] | None:
        """The latest answer as far as it can be read; None before the first check."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            download = await self._answers.download_blob(LATEST)
        except ResourceNotFoundError:
            return None
        return as_far_as_readable(await download.readall())

    def _muted(self, muting: Muting, now: datetime) -> Callable[[Mapping[str, Any]], datetime | None]:
        @cache  # the kinds of a subscription come by the same exports, as a rule
        def of(subscription: str, exports: str) -> datetime | None:
            found = muting.of(parts_of(subscription, exports, self._hub_id), now)
            return found.until if found else None

        return lambda health: of(health["subscription_id"], health["export"])

    async def _judge(self, tenant: Tenant, now: datetime, before: Mapping[str, Any], *, noting: bool) -> Outcome:
        expectations = expect(tenant.declared, tenant.coverage, self._hub_id, complete=not tenant.reasons)
        seen = await self._last_seen.read()
        unreadable = self._last_seen.unreadable
        expectations = [each for each in expectations if each.key not in unreadable]
        nowhere = bool(self._hub_id) and none_here(expectations)
        # Where nothing is sent here any more, what was waited for is not forgotten: the hub's name may be set back.
        complete = not tenant.reasons and not nowhere
        waiting = marks(expectations, seen, now, complete=complete, hidden=tenant.hidden)
        seen |= waiting
        reasons = [*tenant.reasons, *(f"what was seen of {key[0]}, {key[1]}: {why}" for key, why in unreadable.items())]
        asked = [*suspects(expectations, seen, now, self._due), *unproven(expectations, seen, now, self._due)]
        present, gaps = await self._present_for(asked, now)
        reasons.extend(gaps.said)
        idle = with_nothing_to_send(seen, present, now)
        if noting:
            await self._last_seen.mark({**waiting, **idle})
        # `seen` is as it was before: who has nothing to send now is told so, not that there was nothing before.
        evidence = Evidence(seen, present, hub_known=bool(self._hub_id), none_here=nowhere, unreadable=gaps.unreadable)
        health = judge(expectations, evidence, now, self._due)
        wondered = sorted({each.subscription_id for each in health if each.verdict == QUIET and each.kind in FEEDS})
        if wondered:
            plans_off = await self._present.plans_off(wondered)
            evidence = replace(evidence, plans_off=plans_off)
            health = judge(expectations, evidence, now, self._due)
        for kind, (count, last) in gone_kinds(health).items():
            log.warning("no subscription has %s any more; %d sent them, the last on %s", kind, count, last.date())
        last = before.get("health", ())
        unread = {each.key for each in asked} - present.keys()
        # The first 10,000 are the same ones every hour, so with them alone an export that ends is seen to end.
        seen_whole = set(tenant.reasons) <= {LIMIT_HIT} and not unreadable
        open_still = undecided(
            [each for each in last if each["subscription_id"] not in tenant.hidden], health, unread, complete=seen_whole
        )
        health = [each for each in explain_absence(health) if (each.subscription_id, each.kind) not in open_still]
        stands = [*open_still.values(), *standing(last, tenant.hidden)]
        return Outcome(now, [*health, *stands], reasons=[*reasons, *missed(seen, tenant.hidden)])

    async def _present_for(self, asked: Sequence[Expectation], now: datetime) -> tuple[dict[Key, Present], Gaps]:
        gaps = Gaps()
        if not asked:
            return {}, gaps
        by_key = {each.key: each for each in asked}
        counts = {key: [0, 0, 0, 0] for key in by_key}
        kinds = sorted({kind for _, kind in by_key})
        subscriptions = sorted({subscription for subscription, _ in by_key})
        async for subscription, kind, _, record in self._present.read(
            kinds, subscriptions, gaps, Clock().deadline(self._seconds)
        ):
            expectation = by_key.get((subscription, kind))
            if expectation is None or (kind == "Alerts" and is_simulated(member(record, "AlertType"))):
                continue
            count = counts[subscription, kind]
            passes = any(accepts(source, record) for source in expectation.snapshots)
            since = dated(kind, record)
            count[0] += 1
            count[1] += passes
            count[2] += passes and (since is None or now - since >= self._due)
            count[3] += any(accepts(source, record) for source in expectation.live_snapshots)
        # What was seen proves presence; what could not be seen proves nothing.
        if gaps.reasons:
            counts = {key: count for key, count in counts.items() if count[2]}
        if gaps.said:
            log.warning("present records may be missing: %s", "; ".join(gaps.said))
        return {key: Present(*count) for key, count in counts.items() if key not in gaps.unreadable}, gaps

    async def _compare(self, day: date) -> tuple[list[Compared], list[str], list[str]]:
        """What was accepted on a day beside what is stored of it; and why that is not known, where it is not."""
        uploaded = await self._last_seen.uploaded(day)
        if not uploaded:
            return [], [], []
        found, trouble, unknown = compared(day, uploaded, await self._stored(day))
        for each in filter(None, (trouble, *unknown)):
            log.warning("%s", each)
        return found, [trouble] if trouble else [], unknown

    async def _send(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._rows is None:
            return
        for start in range(0, len(rows), _ROWS_A_SEND):
            await self._rows(HEALTH_TABLE, rows[start : start + _ROWS_A_SEND])
