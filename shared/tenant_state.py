"""The tenant as it is, read once and shared by callers: which automation exports what, and what the files declare."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from shared.azure.quota import Holders, Quota, QuotaExceededError
from shared.azure.resource_graph import LIMIT_HIT, Graph
from shared.exports.compiler import compile_sources
from shared.exports.management_groups import GroupNames, lies_below
from shared.exports.scope_findings import KnownNames, refuse_unknown
from shared.exports.scope_selection import selects
from shared.reconcile.discover.inventory import from_graph
from shared.reconcile.discover.missing_subscriptions import hidden_now, not_shown
from shared.reconcile.discover.subscription_names import named
from shared.reconcile.model import Subscription
from shared.reconcile.report.last_run_state import Baseline
from shared.watch.coverage import Destination, Live, SubscriptionCoverage, cover
from shared.watch.evidence.document import Basis, tenant_digest
from shared.watch.expectations import Declared

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

    from shared.azure.clients import Clients
    from shared.exports.last_known_good import LoadedExports
    from shared.exports.model import ExportConfig
    from shared.exports.store import ExportStore
    from shared.reconcile.report.last_run_state import LastRunState

log = logging.getLogger(__name__)

MAX_AGE = timedelta(seconds=60)
MAX_FORCED = 30
_READING_SECONDS = 180
_NOTING_SECONDS = 2


class TooManyReadingsError(Exception):
    """The tenant was read anew too often within a minute; a reading of the last minute is at hand."""


@dataclass(frozen=True)
class TenantState:
    """What was found; when not `complete`, `reasons` say what may be missing."""

    taken: datetime
    subscriptions: Sequence[Subscription]
    coverage: Sequence[SubscriptionCoverage]
    declared: Sequence[Declared]
    reasons: tuple[str, ...] = ()
    failed: bool = False
    """Nothing was read where something may be: no answer may be made of it."""
    cut_short: bool = False
    """Another reading may show more, unlike one that lasts."""
    unseen: tuple[str, ...] = ()
    """Those of the reasons that are about subscriptions and automations, rather than about export files."""
    automations: int = 0
    live: tuple[Live, ...] = ()
    """The automations as they were read, kept only where there are limited readers."""
    lost: tuple[str, ...] = ()
    """Those of the reasons that are about subscriptions which the last complete run saw and this reading did not."""
    digest: str = ""
    """Of the subscriptions and automations as they were read (`shared.watch.evidence.document.tenant_digest`)."""

    @property
    def complete(self) -> bool:
        """Whether everything there is was seen."""
        return not self.reasons

    @cached_property
    def group_names(self) -> GroupNames:
        """The management groups above its subscriptions, by all of their names."""
        return GroupNames.of(self.subscriptions, complete=not self.unseen)

    def basis(self, chosen: Collection[str], requirements_digest: str, broken: Collection[str] = ()) -> Basis:
        """What a report for auditors is made from; `chosen` are the lower-case ids of the subscriptions in it.

        `broken` are the lower-case ids of destinations where nothing arrives.
        """
        pairs = zip(self.subscriptions, self.coverage, strict=True)
        shown = [(one, covered) for one, covered in pairs if one.id.lower() in chosen]
        return Basis(
            self.taken,
            [one for one, _ in shown],
            [covered for _, covered in shown],
            self.reasons,
            self.unseen,
            self.automations,
            self.digest,
            requirements_digest,
            broken,
            self.group_names,
        )

    def below(self, subscriptions: Collection[str], management_groups: Collection[str]) -> list[Subscription]:
        """The subscriptions that are listed, by id or name, or lie below one of the groups; all when nothing is given.

        Raises:
            UnknownName: one of the names selects nothing, or is that of management groups in several tenants.
            ValueError: several have a name that is given.
        """
        if not subscriptions and not management_groups:
            return list(self.subscriptions)
        known = KnownNames.of(self.subscriptions)
        ids = named(subscriptions, self.subscriptions)
        refuse_unknown(map(known.management_groups.several, management_groups), ())
        sentences = [
            *map(known.unknown_subscription, ids),
            *map(known.unknown_management_group, management_groups),
        ]
        refuse_unknown(sentences, self.unseen)
        listed = {subscription.lower() for subscription in ids}
        return [each for each in self.subscriptions if each.id.lower() in listed or lies_below(each, management_groups)]


class TenantStateReader:
    """Reads the tenant through Resource Graph; one that ended less than a minute ago is used again.

    `quotas` is the table in which all instances of the app note their forced readings; `last_run` tells which
    subscriptions there were.
    """

    def __init__(
        self,
        clients: Clients,
        exports: ExportStore,
        instance_id: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        quotas: TableClient | None = None,
        keeps_live: bool = False,
        last_run: LastRunState | None = None,
    ) -> None:
        self._clients = clients
        self._exports = exports
        self._instance_id = instance_id
        self._now = now
        self._keeps_live = keeps_live
        self._last_run = last_run
        self._last: TenantState | None = None
        self._ended = datetime.min.replace(tzinfo=UTC)
        self._reading: asyncio.Task[TenantState] | None = None
        self._forced: deque[datetime] = deque()
        self._quota = Quota(quotas, "readings", MAX_FORCED, self._of_the_last_minute) if quotas else None

    async def take(self, max_age: timedelta = MAX_AGE) -> TenantState:
        """The tenant as of a reading that ended at most `max_age` ago; callers at the same time share one reading.

        A caller that stops waiting does not stop a shared reading.  A reading that was cut short is given to the
        callers that wait for it, and not kept: the next caller reads again.

        Raises:
            TooManyReadingsError: readings younger than a minute were forced 30 times within one.
            TimeoutError: the tenant could not be read within three minutes.
            azure.core.exceptions.AzureError: the storage of exports does not answer.
        """
        forced = max_age < MAX_AGE
        while True:
            if self._last is not None and self._now() - self._ended <= max_age:
                return self._last
            if self._reading is None or self._reading.done():
                if forced:
                    self._count_forced()
                self._reading = asyncio.create_task(self._read(forced=forced))
                self._reading.add_done_callback(_noticed)
            try:
                return await asyncio.shield(self._reading)
            except TooManyReadingsError:
                if forced:
                    raise
                # The reading that this caller shared was forced by another.

    def _count_forced(self) -> None:
        """Resource Graph's quota belongs to the whole app: no caller may use it up by asking for what is newest."""
        now = self._now()
        while self._forced and now - self._forced[0] > MAX_AGE:
            self._forced.popleft()
        if len(self._forced) >= MAX_FORCED:
            raise TooManyReadingsError
        self._forced.append(now)

    async def note_forced(self) -> None:
        """Have all instances count a forced reading; where they can't, what this one counts holds.

        Raises:
            TooManyReadingsError: there were 30 within the last minute.
        """
        from azure.core.exceptions import AzureError

        if self._quota is None:
            return
        try:
            async with asyncio.timeout(_NOTING_SECONDS):
                await self._quota.take(secrets.token_hex(8))
        except QuotaExceededError:
            raise TooManyReadingsError from None
        except (AzureError, TimeoutError) as error:
            log.warning("a forced reading could not be noted: %s", type(error).__name__)

    async def _of_the_last_minute(self, readings: Holders) -> Holders:
        now = self._now()
        return {reading: since for reading, since in readings.items() if abs(now - since) <= MAX_AGE}

    async def _read(self, *, forced: bool) -> TenantState:
        async with asyncio.timeout(_READING_SECONDS):
            if forced:
                await self.note_forced()
            state = await self._take(self._now())
        if not state.cut_short:
            self._last, self._ended = state, self._now()
        return state

    async def _take(self, now: datetime) -> TenantState:
        inventory, loaded, before = await asyncio.gather(
            from_graph(Graph(self._clients)), self._exports.load_all(), self._before()
        )
        lost = () if inventory.reasons else not_shown(hidden_now(inventory.subscriptions, before.known))
        unknown = (f"which subscriptions there were is not known: {before.trouble}",) if before.trouble else ()
        cut_short = not set(inventory.reasons) <= {LIMIT_HIT}
        automations = [Live(str(live.id), live.tags, live.encoded) for live in inventory.automations]
        coverage = cover(inventory.subscriptions, automations, self._instance_id)
        return TenantState(
            taken=now,
            subscriptions=inventory.subscriptions,
            coverage=coverage,
            declared=[
                *_declared([export.config for export in loaded.exports], inventory.subscriptions),
                *_still_live(loaded.unknown, coverage),
            ],
            reasons=(*inventory.reasons, *lost, *unknown, *_unknown(loaded)),
            failed=inventory.unread,
            cut_short=cut_short,
            unseen=(*inventory.reasons, *lost, *unknown),
            lost=lost,
            automations=len(automations),
            live=tuple(automations) if self._keeps_live else (),
            digest=tenant_digest((each.id for each in inventory.subscriptions), automations),
        )

    async def _before(self) -> Baseline:
        """What the last complete run saw; nothing where there was no run."""
        from azure.core.exceptions import ResourceNotFoundError

        if self._last_run is None:
            return Baseline()
        try:
            return await self._last_run.baseline()
        except ResourceNotFoundError:  # the container comes with the first run
            return Baseline()


def _unknown(loaded: LoadedExports) -> Iterable[str]:
    """What the files may ask for beyond what could be read: an export that is not understood is not one that ended."""
    for problem in loaded.problems:
        if not problem.in_force:
            why = problem.findings[0].sentence if problem.findings else "it is invalid"
            yield f"the file of {problem.name} can't be read, so it is not known what it expects: {why}"


def _still_live(unknown: Collection[str], coverage: Iterable[SubscriptionCoverage]) -> Iterable[Declared]:
    """What exports whose files can't be read send by their automations: expected as before, until more is known."""
    for one in coverage:
        for exporters in one.exporters.values():
            for each in exporters:
                if each.owner == "ours" and each.export in unknown and each.counts:
                    for destination in each.receivers:
                        yield Declared(one.subscription_id, each.export, (each.source,), destination)


def _noticed(reading: asyncio.Task[TenantState]) -> None:
    """Fetch the failure of a reading without callers, which asyncio would report as never retrieved."""
    if not reading.cancelled():
        reading.exception()


def _declared(configs: Sequence[ExportConfig], subscriptions: Sequence[Subscription]) -> Iterable[Declared]:
    for config in configs:
        sources = compile_sources(config)
        destination = _destination(config)
        for subscription in subscriptions:
            # A resource-group scope sends only part of a subscription, so its silence can't be known.
            if selects(config.scope, subscription) and not config.scope.resource_groups:
                dormant = "" if subscription.writable else f"the subscription is {subscription.state}"
                yield Declared(subscription.id, config.name, sources, destination, config.enabled, dormant)


def _destination(config: ExportConfig) -> Destination:
    hub, workspace = config.destination.event_hub, config.destination.log_analytics_workspace
    if hub is not None:
        return Destination("EventHub", hub.resource_id)
    if workspace is not None:
        return Destination("Workspace", workspace.resource_id)
    raise ValueError(f"the export {config.name} has no destination")  # the model lets no such file through
