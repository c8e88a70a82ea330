"""The tenant as it is, read once and shared by callers: which automation exports what, and what the files declare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.azure.resource_graph import Graph
from shared.exports.compiler import compile_sources
from shared.exports.scope_selection import selects
from shared.reconcile.discover.inventory import from_graph
from shared.reconcile.model import Subscription
from shared.watch.coverage import Destination, Live, SubscriptionCoverage, cover
from shared.watch.expectations import Declared

if TYPE_CHECKING:
    from shared.azure.clients import Clients
    from shared.exports.model import ExportConfig
    from shared.exports.store import ExportStore, LoadedExports

MAX_AGE = timedelta(seconds=60)


@dataclass(frozen=True)
class TenantState:
    """What was found; when not `complete`, `reasons` say what may be missing."""

    taken: datetime
    subscriptions: Sequence[Subscription]
    coverage: Sequence[SubscriptionCoverage]
    declared: Sequence[Declared]
    reasons: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything there is was seen."""
        return not self.reasons

    def below(self, subscriptions: Collection[str], management_groups: Collection[str]) -> list[Subscription]:
        """The subscriptions that are listed or lie below one of the groups; all of them when nothing is given."""
        if not subscriptions and not management_groups:
            return list(self.subscriptions)
        listed = {subscription.lower() for subscription in subscriptions}
        groups = {group.lower() for group in management_groups}
        return [each for each in self.subscriptions if each.id.lower() in listed or groups & set(each.ancestors)]


class TenantStateReader:
    """Takes surveys through Resource Graph; one that is younger than a minute is used again."""

    def __init__(
        self,
        clients: Clients,
        exports: ExportStore,
        instance_id: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clients = clients
        self._exports = exports
        self._instance_id = instance_id
        self._now = now
        self._last: TenantState | None = None
        self._turn = asyncio.Lock()

    async def take(self, max_age: timedelta = MAX_AGE) -> TenantState:
        """The tenant as of at most `max_age` ago; callers at the same time share one reading."""
        async with self._turn:
            now = self._now()
            if self._last is None or now - self._last.taken > max_age:
                self._last = await self._take(now)
            return self._last

    async def _take(self, now: datetime) -> TenantState:
        inventory, loaded = await asyncio.gather(from_graph(Graph(self._clients)), self._exports.load_all())
        automations = (Live(str(live.id), live.tags, live.encoded) for live in inventory.automations)
        coverage = cover(inventory.subscriptions, automations, self._instance_id)
        return TenantState(
            taken=now,
            subscriptions=inventory.subscriptions,
            coverage=coverage,
            declared=[
                *_declared([export.config for export in loaded.exports], inventory.subscriptions),
                *_still_live(loaded.unknown, coverage),
            ],
            reasons=(*inventory.reasons, *_unknown(loaded)),
        )


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
