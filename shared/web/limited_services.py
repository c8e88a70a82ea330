"""The app's services as limited readers have them: only what is here can be had, and only their part of it.

Handlers are given one of these in place of `Services`.  What a handler asks for that is not here fails the request,
so that new code shows limited readers nothing until it is decided what they may see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from shared.exports.diagnostics import InvalidExport
from shared.watch.evidence.document import Made, evidence
from shared.watch.evidence.muted_months import since_of, with_mutes
from shared.watch.open_items import Newest, subscription_of
from shared.web.limited_entries import Whose, not_shown
from shared.web.limited_part import INCOMPLETE, Part
from shared.web.problems import RETRY_LATER, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.exports.last_known_good import LoadedExports
    from shared.exports.store import StoredExport
    from shared.jobs.store import JobPage
    from shared.muting.mutes import Muting
    from shared.tenant_state import TenantState
    from shared.watch.trend_figures import Figures

NOT_READ = "The tenant could not be read, so it can't be told what your role may see: nothing is shown."
WHOLE = "These are figures of the whole tenant, and your role sees a part of it."
_UNMUTED = "not all that may be muted can be told, so nothing of it is muted"
_MONTHS = 3
_REASONS = ("reason", "outcomeReason", "mend")


class _Limited:
    """What both kinds of limited services have."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.settings = services.settings
        self.trends = SimpleNamespace(read=_no_trends)
        self.open_counts = SimpleNamespace(latest=_no_counts)

    async def figures(self, now: datetime, months: int, *_: Any, **__: Any) -> Figures:
        """None: they are kept for the tenant as a whole."""
        from shared.watch.trend_figures import Figures, first_month

        return Figures(first_month(now, months), now, problem=WHOLE)


class Nothing(_Limited):
    """Services that hold no file, run, job or letter."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.exports = SimpleNamespace(list=_none_listed, load_all=_none_loaded, get=_no_export)
        self.jobs = SimpleNamespace(page=_no_jobs, settled=_no_job)
        self.reconciler = SimpleNamespace(
            reports=SimpleNamespace(recent=_none_listed, summaries=_none_listed, read=_absent)
        )
        self.pipeline = SimpleNamespace(dead_letters=SimpleNamespace(find=_no_letters))
        self.requirements = SimpleNamespace(stored=_absent)
        self.notify_rules = SimpleNamespace(stored=_absent)
        self.cves = SimpleNamespace(latest=_absent)
        self.mutes = SimpleNamespace(stored=_absent)


class Theirs(_Limited):
    """Services that know one part of the tenant."""

    def __init__(self, services: Services, part: Part) -> None:
        super().__init__(services)
        self._part = part
        self.tenant_state = SimpleNamespace(take=self._take)
        self.open_items = SimpleNamespace(newest=self._newest)
        self.freshness = SimpleNamespace(latest=self._latest)
        self.exports = SimpleNamespace(load_all=self._load_all)
        self.canary = SimpleNamespace(history=SimpleNamespace(read=self._canaries))
        self.routes = _absent  # places are of the whole tenant

    async def _take(self, _: timedelta | None = None) -> TenantState:
        """The reading that the limit was resolved by: limited readers have nothing read anew."""
        return self._part.state

    async def _newest(self, now: datetime) -> Newest:
        found = await self._services.open_items.newest(now)
        return Newest([self._report(each) for each in found.reports])

    def _report(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """A run's report with what it says of this part; destinations where exports of this part send."""
        told = self._part.told
        items = [told(item, _REASONS) for item in report["items"] if subscription_of(item) in self._part.ids]
        names = self._part.exports | {str(item.get("export", "")) for item in items}
        places = [
            {
                **known,
                "exports": [name for name in known["exports"] if name in names],
                "reasons": [self._part.shown(reason) for reason in known["reasons"]],
            }
            for known in report.get("destinations", ())
        ]
        return {**report, "items": items, "destinations": [each for each in places if each["exports"]]}

    async def _latest(self) -> dict[str, Any] | None:
        latest = await self._services.freshness.latest()
        if latest is None:
            return None
        told, ids = self._part.told, self._part.ids
        health = [told(each, _REASONS) for each in latest["health"] if each["subscription_id"].lower() in ids]
        return {"checked": latest["checked"], "reasons": [INCOMPLETE] if latest["reasons"] else [], "health": health}

    async def _load_all(self) -> LoadedExports:
        from shared.exports.last_known_good import LoadedExports

        loaded = await self._services.exports.load_all()
        return LoadedExports(loaded.exports)

    async def _canaries(self, subscription: str = "") -> list[dict[str, Any]]:
        if subscription and subscription not in self._part.ids:
            return []
        found = await self._services.canary.history.read(subscription)
        mine = [each for each in found if str(each.get("subscription", "")).lower() in self._part.ids]
        return [self._canary(each) for each in mine]

    def _canary(self, found: Mapping[str, Any]) -> dict[str, Any]:
        hops = [self._part.told(hop, _REASONS) for hop in found.get("hops") or ()]
        return {**self._part.told(found, _REASONS), "hops": hops}

    async def muting(self, _: object = None) -> Muting:
        """What is muted of this part, without mutes of others, and those that can't be placed."""
        muting, _ = await self._mutes()
        return muting

    async def _mutes(self) -> tuple[Muting, int]:
        """What is muted of this part, and how many mutes can't be placed."""
        found = await self._services.muting(self._part)
        # Freshness is judged by the hub that is read here.
        whose = {mute: self._part.entries.whose_mute(mute, self.settings.event_hub_resource_id) for mute in found.mutes}
        theirs = tuple(mute for mute in found.mutes if whose[mute] is Whose.THEIRS)
        trouble = _UNMUTED if found.groups is None else ""
        return replace(found, mutes=theirs, trouble=trouble), [*whose.values()].count(Whose.UNKNOWN)

    async def proven(self) -> Mapping[str, str]:
        """When a canary last proved the path of each of their subscriptions."""
        return {name: at for name, at in (await self._services.proven()).items() if name in self._part.ids}

    async def evidence(self, state: TenantState, chosen: Collection[str], by: str) -> dict[str, Any]:
        """The report on some of their subscriptions; it is kept for no other reader, and has no figures."""
        try:
            required, _ = await self._services.requirements.read()
        except InvalidExport:
            told = "The file of requirements can't be read, so nothing can be judged by it."
            raise ApiError(UNAVAILABLE, told, headers=RETRY_LATER) from None
        from shared.watch.trend_figures import FIGURES_SHOWN

        now = datetime.now(UTC)
        made = Made(now, by, self.settings.instance_id, self.settings.tenant_id)
        # The digest of the file would change with exceptions of others.
        basis = state.basis(chosen, "", (await self._newest(now)).broken)
        proven = await self.proven()
        shown = [(each, self._part.entries.shown(each)) for each in required.exceptions]
        theirs = replace(required, exceptions=tuple(one for _, one in shown if one))
        report = await asyncio.to_thread(evidence, basis, theirs, made, proven)
        figures = (await self.figures(now, _MONTHS)).document()
        muting, mutes = await self._mutes()
        unplaced = not_shown(mutes, sum(not one and not self._part.entries.can_be_placed(each) for each, one in shown))
        whole = {
            **report,
            "trend": {name: figures[name] for name in FIGURES_SHOWN},
            "limits": [*report["limits"], *unplaced],
        }
        return with_mutes(whole, muting, since_of(whole), now)


async def _absent(*_: Any) -> None:
    return None


async def _none_listed(*_: Any, **__: Any) -> Sequence[Any]:
    return []


async def _none_loaded() -> LoadedExports:
    from shared.exports.last_known_good import LoadedExports

    return LoadedExports(())


async def _no_export(name: str) -> StoredExport:
    from shared.exports.export_blobs import ExportNotFound

    raise ExportNotFound(name)


async def _no_jobs(*_: Any, **__: Any) -> JobPage:
    from shared.jobs.store import JobPage

    return JobPage([], more=False)


async def _no_job(job_id: str, _: datetime) -> None:
    from shared.jobs.store import JobNotFoundError

    raise JobNotFoundError(job_id)


async def _no_letters(*_: Any) -> AsyncIterator[Any]:
    nothing: tuple[Any, ...] = ()
    for each in nothing:
        yield each


async def _no_trends(now: datetime, hours: int) -> Any:
    from shared.watch.trends import Trends, window

    empty = window(now, hours)
    return Trends(empty.since, empty.until, empty.minutes, problem=WHOLE)


async def _no_counts() -> Any:
    from shared.lifecycle.open_counts import Counts

    return Counts(datetime.now(UTC), problem=WHOLE)
