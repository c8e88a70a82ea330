"""Reads what the app's timers left; each source has its own time, and one that can't be read ends nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from shared.clock import utc_moment
from shared.exports.management_groups import GroupNames, names_above
from shared.muting.mutes import NOTHING, Muting, Part
from shared.notify import observed as seen
from shared.notify.events import Event, Observed
from shared.notify.notifier import Look, Placed
from shared.notify.state import State
from shared.watch.open_items import Newest
from shared.watch.requirements_file import Required

log = logging.getLogger(__name__)

SOURCE_SECONDS: Final = 30.0
_LOOKS_BACK: Final = timedelta(days=1)
_MOST_RUNS: Final = 20
"""Reports of runs that are read in one look; the others are for the next."""


class Tenant(Protocol):
    """Where subscriptions lie, and their tags."""

    @property
    def subscriptions(self) -> Sequence[Any]: ...  # noqa: D102 # says what it is
    @property
    def group_names(self) -> GroupNames: ...  # noqa: D102 # as above


@dataclass(frozen=True)
class Sources:
    """Where each answer comes from."""

    freshness: Callable[[], Awaitable[Mapping[str, Any] | None]]
    newest: Callable[[datetime], Awaitable[Newest]]
    summaries: Callable[[datetime], AsyncIterator[Mapping[str, Any]]]
    report: Callable[[str], Awaitable[Mapping[str, Any] | None]]
    dead_letters: Callable[[], Awaitable[Mapping[tuple[str, str], int]]]
    timers: Callable[[], Awaitable[Mapping[str, datetime]]]
    requirements: Callable[[], Awaitable[tuple[Required, str]]]
    muting: Callable[[], Awaitable[Muting]]
    hub_id: str = ""


class Looking:
    """Looks at all sources side by side."""

    def __init__(self, sources: Sources, seconds: float = SOURCE_SECONDS) -> None:
        self._sources = sources
        self._seconds = seconds

    async def observe(self, state: State, now: datetime) -> Look:
        """What is wrong, as far as it can be read."""
        runs: list[str] = list(state.runs)
        muting = await self._muting()
        parts = await asyncio.gather(
            self._of(self._freshness(), seen.SILENCE),
            self._of(self._newest(now), seen.RUN, seen.GUARD, seen.DESTINATION),
            self._of(self._runs(state, now, runs, muting), seen.DRIFT),
            self._of(self._dead_letters(), seen.PARKED),
            self._of(self._timers(now), seen.TIMER),
            self._of(self._exceptions(now), seen.EXCEPTION),
        )
        observed = seen.together(parts).quieted(muting, now)
        # Of what can't be seen now, what is open may be muted too.
        unseen = {each.key for each in state.open if each.subscription and muting.of([Part(each.subscription)], now)}
        return Look(replace(observed, muted=observed.muted | unseen), tuple(runs))

    async def _muting(self) -> Muting:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._sources.muting()
        except Exception as error:  # noqa: BLE001 - what can't be read mutes nothing
            log.warning("notices: nothing is muted: %s", type(error).__name__)
            return NOTHING

    async def _of(self, source: Awaitable[Observed], *kinds: str) -> Observed:
        try:
            async with asyncio.timeout(self._seconds):
                return await source
        except Exception as error:  # noqa: BLE001 - one source that fails is no reason to be silent about the others
            log.warning("notices: nothing is known of %s: %s", ", ".join(kinds), type(error).__name__)
            return seen.unseen(*kinds)

    async def _freshness(self) -> Observed:
        return seen.of_freshness(await self._sources.freshness(), self._sources.hub_id)

    async def _newest(self, now: datetime) -> Observed:
        newest = await self._sources.newest(now)
        return seen.together((seen.of_newest_run(newest), seen.of_destinations(newest)))

    async def _runs(self, state: State, now: datetime, runs: list[str], muting: Muting) -> Observed:
        """What runs put back since the last look; `runs` becomes those that were looked at."""
        oldest = max(state.since, now - _LOOKS_BACK)
        known, there = set(runs), list[str]()
        found: list[Mapping[str, Any]] = []
        async for summary in self._sources.summaries(now):
            if utc_moment(summary["started"]) < oldest:
                break
            run_id = str(summary["runId"])
            if run_id in known:
                there.append(run_id)
            elif seen.wrote(summary) and len(found) < _MOST_RUNS:
                report = await self._sources.report(run_id)
                if report is not None:
                    found.append(report)
                there.append(run_id)
        runs[:] = there
        return seen.of_runs(found, muting, now)

    async def _dead_letters(self) -> Observed:
        return seen.of_dead_letters(await self._sources.dead_letters())

    async def _timers(self, now: datetime) -> Observed:
        return seen.of_timers(await self._sources.timers(), now)

    async def _exceptions(self, now: datetime) -> Observed:
        required, _ = await self._sources.requirements()
        return seen.of_exceptions(required.exceptions, now)


def placing(
    tenant: Callable[[], Awaitable[Tenant]], owner_tags: Sequence[str]
) -> Callable[[Sequence[Event]], Awaitable[Placed]]:
    """Gives events the management groups and the owner of their subscription."""

    async def place(events: Sequence[Event]) -> Placed:
        if not any(each.subscription or each.groups for each in events):
            return Placed(events, known=True)
        try:
            read = await tenant()
            known = {each.id.lower(): each for each in read.subscriptions}
        except Exception as error:  # noqa: BLE001 - who can't be found out about is informed of to all
            log.warning("notices: management groups are not known: %s", type(error).__name__)
            return Placed(events, known=False)
        placed = all(not each.subscription or each.subscription in known for each in events)
        named = [replace(each, groups=_all_names(each.groups, read.group_names)) for each in events]
        return Placed([_placed(each, known.get(each.subscription), owner_tags) for each in named], placed)

    return place


def _all_names(groups: Sequence[str], known: GroupNames) -> tuple[str, ...]:
    return tuple(name for group in groups for name in known.sure(group) or (group,))


def _placed(event: Event, subscription: Any, owner_tags: Sequence[str]) -> Event:
    if subscription is None:
        return event
    tags = {name.lower(): value for name, value in subscription.tags.items()}
    owner = event.owner or next((tags[name.lower()] for name in owner_tags if tags.get(name.lower())), "")
    above = names_above(subscription.tenant_id, subscription.ancestors)
    return replace(event, owner=owner, groups=(*event.groups, *above))
