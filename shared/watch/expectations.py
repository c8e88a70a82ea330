"""What each subscription should be sending to this hub: what is declared, joined with what is live.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from shared.exports.event_sources import SNAPSHOT, is_snapshot_source
from shared.exports.rule_sets import Source, normalise
from shared.watch.coverage import Destination, Exporter, SubscriptionCoverage
from shared.watch.last_arrival import Key


@dataclass(frozen=True)
class Declared:
    """What one export declares for one subscription: its sources and its destination.

    `dormant` says why the subscription may send nothing at all, as one that is disabled.
    """

    subscription_id: str
    export: str
    sources: tuple[Source, ...]
    destination: Destination
    enabled: bool = True
    dormant: str = ""


@dataclass(frozen=True)
class Expectation:
    """That one subscription sends one kind to this hub, and what stands in the way as far as can be seen."""

    subscription_id: str
    kind: str
    export: str
    declared: tuple[Source, ...]
    live: tuple[Source, ...]
    observable: bool
    trouble: str = ""
    dormant: str = ""

    @property
    def key(self) -> Key:
        """Subscription and kind."""
        return self.subscription_id, self.kind

    @property
    def has_snapshot(self) -> bool:
        """Whether a weekly snapshot is declared, the only sign that is due whatever happens."""
        return bool(self.snapshots)

    @property
    def snapshots(self) -> tuple[Source, ...]:
        """The declared snapshot sources."""
        return tuple(source for source in self.declared if is_snapshot_source(source.event_source))

    @property
    def live_snapshots(self) -> tuple[Source, ...]:
        """The snapshot sources that really send here."""
        return tuple(source for source in self.live if is_snapshot_source(source.event_source))

    @property
    def waits(self) -> bool:
        """Whether a snapshot should come by here."""
        return self.observable and self.has_snapshot and not self.dormant


@dataclass
class _Collected:
    exports: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    here: bool = False
    dormant: str = ""


def expect(
    declared: Iterable[Declared], coverage: Iterable[SubscriptionCoverage], hub_id: str, *, complete: bool = True
) -> list[Expectation]:
    """Join what is declared with what is live, for the hub that this app reads.

    One entry per subscription and kind that any enabled export declares; ids are compared without regard to case.
    What is wrong with an automation is only said when `complete`, for else it may just not have been seen.
    """
    hub = hub_id.strip("/").lower() or "none"
    collected: dict[Key, _Collected] = {}
    for declaration in declared:
        if not declaration.enabled:
            continue
        for source in declaration.sources:
            key = (declaration.subscription_id.lower(), source.event_source.removesuffix(SNAPSHOT))
            entry = collected.setdefault(key, _Collected(dormant=declaration.dormant))
            here = declaration.destination.resource_id.strip("/").lower() == hub
            if here and not entry.here:
                # Records of another destination never come by; only what is sent here can be waited for.
                entry.exports, entry.sources, entry.here = [], [], True
            if here or not entry.here:
                entry.sources.append(source)
                if declaration.export not in entry.exports:
                    entry.exports.append(declaration.export)
    live = {subscription.subscription_id.lower(): subscription.exporters for subscription in coverage}
    found = [_expectation(key, entry, live.get(key[0], {}), hub) for key, entry in collected.items()]
    return found if complete else [replace(each, trouble="") for each in found]


def _expectation(key: Key, entry: _Collected, exporters: Mapping[str, tuple[Exporter, ...]], hub: str) -> Expectation:
    subscription_id, kind = key
    owned = [
        exporter
        for name in (kind, kind + SNAPSHOT)
        for exporter in exporters.get(name, ())
        if exporter.owner == "ours" and exporter.export in entry.exports
    ]
    sending = [exporter for exporter in owned if exporter.enabled and _sends_to(exporter, hub)]
    live = tuple(exporter.source for exporter in sending)
    return Expectation(
        subscription_id=subscription_id,
        kind=kind,
        export=", ".join(entry.exports),
        declared=tuple(entry.sources),
        live=live,
        observable=entry.here,
        trouble=_trouble(entry, owned, sending),
        dormant=entry.dormant,
    )


def _sends_to(exporter: Exporter, hub: str) -> bool:
    return any(destination.resource_id.strip("/").lower() == hub for destination in exporter.destinations)


def _trouble(entry: _Collected, owned: list[Exporter], sending: list[Exporter]) -> str:
    if not owned:
        return "the automation is missing"
    if not any(exporter.enabled for exporter in owned):
        return "the automation is disabled"
    if not sending:
        return "the automation sends somewhere else"
    missing = {source.event_source for source in entry.sources} - {each.source.event_source for each in sending}
    if missing:
        return f"the automation no longer exports {', '.join(sorted(missing))}"
    if _meaning(entry.sources) != _meaning(each.source for each in sending):
        return "the automation's filter was changed"
    return ""


def _meaning(sources: Iterable[Source]) -> set[Source]:
    return set(normalise(sources))
