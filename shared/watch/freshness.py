"""Who should be sending which kind to this hub, when it last did, and what its silence means.  Pure.

Only a weekly snapshot makes silence mean something: streaming sends nothing when nothing changes.  So `silent` needs a
snapshot that is due, present records that the export would let through, and none that arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.exports.rules import Source
from shared.exports.vocabulary import SNAPSHOT, is_snapshot_source
from shared.watch.coverage import Destination, Exporter, SubscriptionCoverage

FRESH = "fresh"
SILENT = "silent"
QUIET = "quiet"
NOT_OBSERVABLE = "not observable"

Key = tuple[str, str]  # subscription id in lower case, kind (the streaming event source's name)


@dataclass(frozen=True)
class Declared:
    """What one export declares for one subscription: its sources and its destination."""

    subscription_id: str
    export: str
    sources: tuple[Source, ...]
    destination: Destination
    enabled: bool = True


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

    @property
    def has_snapshot(self) -> bool:
        """Whether a weekly snapshot is declared, the only sign that is due whatever happens."""
        return any(is_snapshot_source(source.event_source) for source in self.declared)


@dataclass(frozen=True)
class Seen:
    """When records of a subscription and kind last arrived, and since when they are waited for."""

    streaming: datetime | None = None
    snapshot: datetime | None = None
    expected_since: datetime | None = None

    @property
    def last(self) -> datetime | None:
        """The newer of the two."""
        return max((time for time in (self.streaming, self.snapshot) if time), default=None)


@dataclass(frozen=True)
class Present:
    """What Resource Graph holds of a kind in a subscription, and what the declared and live filters let through."""

    total: int
    declared: int
    live: int
    plan_off: str = ""


@dataclass(frozen=True)
class Health:
    """The verdict on one subscription and kind, with since when and a likely reason."""

    subscription_id: str
    kind: str
    export: str
    verdict: str
    since: datetime | None
    reason: str
    last_seen: datetime | None = None
    present: int | None = None


@dataclass
class _Collected:
    exports: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    here: bool = False


def expect(declared: Iterable[Declared], coverage: Iterable[SubscriptionCoverage], hub_id: str) -> list[Expectation]:
    """Join what is declared with what is live, for the hub that this app reads.

    One entry per subscription and kind that any enabled export declares; ids are compared without regard to case.
    """
    hub = hub_id.strip("/").lower()
    collected: dict[Key, _Collected] = {}
    for declaration in declared:
        if not declaration.enabled:
            continue
        for source in declaration.sources:
            key = (declaration.subscription_id.lower(), source.event_source.removesuffix(SNAPSHOT))
            entry = collected.setdefault(key, _Collected())
            here = declaration.destination.resource_id.strip("/").lower() == hub
            if here and not entry.here:
                # Records of another destination never come by; only what is sent here can be waited for.
                entry.exports, entry.sources, entry.here = [], [], True
            if here or not entry.here:
                entry.sources.append(source)
                if declaration.export not in entry.exports:
                    entry.exports.append(declaration.export)
    live = {subscription.subscription_id.lower(): subscription.exporters for subscription in coverage}
    return [_expectation(key, entry, live.get(key[0], {}), hub) for key, entry in collected.items()]


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
    )


def _sends_to(exporter: Exporter, hub: str) -> bool:
    return any(destination.resource_id.strip("/").lower() == hub for destination in exporter.destinations)


def _trouble(entry: _Collected, owned: list[Exporter], sending: list[Exporter]) -> str:
    if not owned:
        return "the automation is gone"
    if not any(exporter.enabled for exporter in owned):
        return "the automation is disabled"
    if not sending:
        return "the automation sends somewhere else"
    missing = {source.event_source for source in entry.sources} - {each.source.event_source for each in sending}
    if missing:
        return f"the automation no longer exports {', '.join(sorted(missing))}"
    wanted = {(source.event_source, frozenset(source.rule_sets)) for source in entry.sources}
    if wanted != {(each.source.event_source, frozenset(each.source.rule_sets)) for each in sending}:
        return "the automation's filter was changed"
    return ""


def suspects(
    expectations: Iterable[Expectation], seen: Mapping[Key, Seen], now: datetime, due: timedelta
) -> list[Expectation]:
    """Those whose snapshot is overdue: the only ones for which Resource Graph has to be asked what is present."""
    return [
        expectation
        for expectation in expectations
        if expectation.observable and expectation.has_snapshot and _overdue(_seen(expectation, seen), now, due)
    ]


def _seen(expectation: Expectation, seen: Mapping[Key, Seen]) -> Seen:
    return seen.get((expectation.subscription_id, expectation.kind), Seen())


def _overdue(seen: Seen, now: datetime, due: timedelta) -> bool:
    waited_since = max((time for time in (seen.snapshot, seen.expected_since) if time), default=now)
    return now - waited_since > due


def judge(
    expectations: Iterable[Expectation],
    seen: Mapping[Key, Seen],
    present: Mapping[Key, Present],
    now: datetime,
    due: timedelta,
) -> list[Health]:
    """The verdict on each expectation.

    `present` must cover the suspects; a suspect that it lacks is called quiet, for its silence can't be known.
    """
    return [
        _judge(each, _seen(each, seen), present.get((each.subscription_id, each.kind)), now, due)
        for each in expectations
    ]


def _judge(expectation: Expectation, seen: Seen, present: Present | None, now: datetime, due: timedelta) -> Health:
    def health(verdict: str, reason: str, since: datetime | None = None) -> Health:
        return Health(
            subscription_id=expectation.subscription_id,
            kind=expectation.kind,
            export=expectation.export,
            verdict=verdict,
            since=since or seen.last or seen.expected_since,
            reason=reason,
            last_seen=seen.last,
            present=present.declared if present else None,
        )

    if not expectation.observable:
        return health(NOT_OBSERVABLE, "it is exported to another destination, which this app does not read")
    if not expectation.has_snapshot:
        if seen.last is not None and now - seen.last <= due:
            return health(FRESH, "")
        return health(QUIET, expectation.trouble or "only changes are exported, and nothing may have changed")
    if not _overdue(seen, now, due):
        if seen.snapshot is not None:
            return health(FRESH, "")
        return health(QUIET, expectation.trouble or "its first snapshot is not due yet")
    since = max((time for time in (seen.snapshot, seen.expected_since) if time), default=now) + due
    if present is None:
        return health(QUIET, "what is present could not be read from Resource Graph", since)
    if present.declared == 0:
        return health(QUIET, _nothing_to_send(expectation, present), since)
    return health(SILENT, _likely(expectation, seen, present), since)


def _nothing_to_send(expectation: Expectation, present: Present) -> str:
    if present.plan_off:
        return f"the Defender plan {present.plan_off} is off, so there is nothing to send"
    if present.total:
        return f"none of the {present.total} present records passes the export's filter"
    return expectation.trouble or "there are no such records at present"


def _likely(expectation: Expectation, seen: Seen, present: Present) -> str:
    if expectation.trouble:
        if expectation.live and present.live == 0:
            return f"{expectation.trouble} and lets none of {present.total} present records through"
        return expectation.trouble
    if seen.last is None:
        return f"nothing ever arrived, though {present.declared} present records should have been sent"
    return f"{present.declared} present records should have been sent again by now"
