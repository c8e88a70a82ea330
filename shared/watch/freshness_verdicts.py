"""When each subscription last sent each kind that it should, and what its silence means.  Pure.

Only a weekly snapshot makes silence mean something: streaming sends nothing when nothing changes.  So `silent` needs a
snapshot that is due, records that it would have held for as long, and none that arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.watch.expectations import Expectation
from shared.watch.last_arrival import Key, Seen

FRESH = "fresh"
SILENT = "silent"
QUIET = "quiet"
NOT_OBSERVABLE = "not observable"
VERDICTS = (FRESH, SILENT, QUIET, NOT_OBSERVABLE)

# Attack paths come and go and carry no date, so one that is there now may not have been when the snapshot was taken.
FLEETING = frozenset({"AttackPaths"})
# The Defender plans that a kind's records come from; where there is none, they come without a plan.
FEEDS: Mapping[str, frozenset[str]] = {
    "Alerts": frozenset(
        {
            "VirtualMachines",
            "SqlServers",
            "SqlServerVirtualMachines",
            "AppServices",
            "StorageAccounts",
            "KeyVaults",
            "Arm",
            "Containers",
            "OpenSourceRelationalDatabases",
            "CosmosDbs",
            "Api",
            "AI",
        }
    ),
    "SubAssessments": frozenset(
        {"VirtualMachines", "SqlServers", "SqlServerVirtualMachines", "Containers", "CloudPosture"}
    ),
    "AttackPaths": frozenset({"CloudPosture"}),
}
# Kinds whose records say since when they are as they are.
DATED = frozenset({"Assessments", "SubAssessments"})
# How long before a snapshot is overdue the last one came at the latest: it comes weekly and is due after nine days.
_BEFORE_DUE = timedelta(days=2, hours=12)
NONE_PRESENT = "there are no such records at present"
_NOTHING_CHANGED = "only changes are exported, and nothing may have changed"
_NONE_HERE = (
    "it came to the hub that this app reads, and no export sends there any more: put the files with the resource id of "
    "that hub, or set EVENT_HUB_RESOURCE_ID to theirs (docs/operate.md, Another hub)"
)
# How exact `Seen.idle` is: writing it more often would cost more than the day is worth.
_IDLE_STEP = timedelta(days=1)


@dataclass(frozen=True)
class Present:
    """Records of a kind that Resource Graph holds in a subscription.

    Of `total`, `passing` pass the declared filter; of those `due` were there, as they are, for as long as a snapshot
    may take, and `live` pass the live filter.
    """

    total: int = 0
    passing: int = 0
    due: int = 0
    live: int = 0


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
    last_snapshot: datetime | None = None
    due_by: datetime | None = None
    present: int | None = None


def marks(
    expectations: Iterable[Expectation],
    seen: Mapping[Key, Seen],
    now: datetime,
    *,
    complete: bool,
    hidden: Collection[str] = (),
) -> dict[Key, Seen]:
    """What to note before judging: who is waited for from now on, and who no longer is.

    Without it, an export that comes back after a month would be called silent at once.  `complete` says that
    no expectation is missing, so that what is not expected is withdrawn, but for subscriptions that are `hidden`.
    """
    waits = {each.key for each in expectations if each.waits}
    changed = {
        key: replace(seen.get(key, Seen()), expected=now)
        for key in waits
        if seen.get(key, Seen()).expected_since is None
    }
    if complete:
        gone = (key for key, one in seen.items() if key not in waits and key[0] not in hidden and one.expected_since)
        changed |= {key: replace(seen[key], withdrawn=now) for key in gone}
    return changed


def none_here(expectations: Iterable[Expectation]) -> bool:
    """Whether exports send to other places only; where records came here before, the hub was most likely made anew."""
    observable = [each.observable for each in expectations]
    return bool(observable) and not any(observable)


def with_nothing_to_send(seen: Mapping[Key, Seen], present: Mapping[Key, Present], now: datetime) -> dict[Key, Seen]:
    """What to note after judging: who had nothing to send, so that its first record is not missed at once."""
    idle = {key: seen.get(key, Seen()) for key, found in present.items() if not found.due}
    return {
        key: replace(one, idle=now) for key, one in idle.items() if one.idle is None or now - one.idle >= _IDLE_STEP
    }


def suspects(
    expectations: Iterable[Expectation], seen: Mapping[Key, Seen], now: datetime, due: timedelta
) -> list[Expectation]:
    """Those whose snapshot is overdue: the only ones for which Resource Graph has to be asked what is present."""
    return [
        expectation
        for expectation in expectations
        if expectation.waits and now - seen.get(expectation.key, Seen()).waiting_since(now) > due
    ]


def unproven(
    expectations: Iterable[Expectation], seen: Mapping[Key, Seen], now: datetime, due: timedelta
) -> list[Expectation]:
    """Those of kinds without dates that may have had nothing to send at the last snapshot, asked about once a day.

    Their records do not say since when they are there, so it must be known beforehand that there was none: else the
    first record after an empty snapshot would be called missing before the next one.
    """
    lately = due - _BEFORE_DUE
    return [
        each
        for each in expectations
        if each.waits
        and each.kind not in DATED
        and each.kind not in FLEETING
        and _unproven(seen.get(each.key, Seen()), now, due, lately)
    ]


def _unproven(seen: Seen, now: datetime, due: timedelta, lately: timedelta) -> bool:
    waited = now - seen.waiting_since(now)
    since_arrival = seen.snapshot is None or waited > lately
    return waited <= due and since_arrival and (seen.idle is None or now - seen.idle >= _IDLE_STEP)


@dataclass(frozen=True)
class Evidence:
    """What verdicts rest on; `present` covers the suspects, `plans_off` names plans by subscription.

    `none_here` says that exports send to other places only, none to the hub that is read here; `unreadable` why the app
    could not have seen what is present.
    """

    seen: Mapping[Key, Seen]
    present: Mapping[Key, Present]
    plans_off: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hub_known: bool = True
    none_here: bool = False
    unreadable: Mapping[Key, str] = field(default_factory=dict)

    def off(self, expectation: Expectation) -> frozenset[str]:
        """The plans that would feed it and are off."""
        plans = FEEDS.get(expectation.kind, frozenset())
        return plans & self.plans_off.get(expectation.subscription_id, frozenset())


def judge(expectations: Iterable[Expectation], evidence: Evidence, now: datetime, due: timedelta) -> list[Health]:
    """The verdict on each expectation; a suspect without present records known is quiet: its silence can't be known."""
    return [_judge(each, evidence, now, due) for each in expectations]


def _judge(expectation: Expectation, evidence: Evidence, now: datetime, due: timedelta) -> Health:
    seen = evidence.seen.get(expectation.key, Seen())
    present = evidence.present.get(expectation.key)
    due_by = seen.waiting_since(now) + due if expectation.waits else None
    verdict, reason = _verdict(expectation, seen, evidence, now, due)
    if verdict == QUIET and (off := evidence.off(expectation)):
        reason = f"{reason}; Defender plans that are off: {', '.join(sorted(off))}"
    return Health(
        subscription_id=expectation.subscription_id,
        kind=expectation.kind,
        export=expectation.export,
        verdict=verdict,
        since=due_by if verdict == SILENT else seen.last or seen.expected_since,
        reason=reason,
        last_seen=seen.last,
        last_snapshot=seen.snapshot,
        due_by=due_by,
        present=present.passing if present else None,
    )


def _verdict(
    expectation: Expectation, seen: Seen, evidence: Evidence, now: datetime, due: timedelta
) -> tuple[str, str]:
    if not expectation.observable:
        if not evidence.hub_known:
            return NOT_OBSERVABLE, "EVENT_HUB_RESOURCE_ID is not set, so it is not known which hub is read here"
        if evidence.none_here and (seen.last or seen.expected_since):
            return SILENT, _NONE_HERE
        return NOT_OBSERVABLE, "it is exported to another destination, which this app does not read"
    overdue = expectation.waits and now - seen.waiting_since(now) > due
    if not overdue and seen.last is not None and now - seen.last <= due:
        return FRESH, expectation.trouble
    if expectation.dormant:
        return QUIET, expectation.dormant
    if not overdue:
        default = "its first snapshot is not due yet" if expectation.has_snapshot else _NOTHING_CHANGED
        return QUIET, expectation.trouble or default
    present = evidence.present.get(expectation.key)
    if present is None:
        why = evidence.unreadable.get(expectation.key, "")
        return QUIET, f"what is present could not be read from Resource Graph{why and ': '}{why}"
    return _overdue(expectation, seen, present, now - due)


def _overdue(expectation: Expectation, seen: Seen, present: Present, before: datetime) -> tuple[str, str]:
    """The verdict on a snapshot that did not come; what is expected of it was there `before`."""
    if not present.due:
        return QUIET, _nothing_due(expectation, present)
    if seen.idle and seen.idle >= before:
        return QUIET, f"{present.passing} present records should be sent, which were not there at the last snapshot"
    if expectation.kind in FLEETING and not expectation.trouble:
        return QUIET, f"{present.passing} are there now, but may not have been at the last snapshot"
    return SILENT, _likely(expectation, seen, present)


def _nothing_due(expectation: Expectation, present: Present) -> str:
    if present.passing:
        return f"{present.passing} present records should be sent, which are newer than the last snapshot"
    if present.total:
        return f"none of the {present.total} present records passes the export's filter"
    return expectation.trouble or NONE_PRESENT


def _likely(expectation: Expectation, seen: Seen, present: Present) -> str:
    if expectation.trouble:
        if expectation.live_snapshots and not present.live:
            return f"{expectation.trouble} and lets none of {present.total} present records through"
        return expectation.trouble
    if seen.last is None:
        return f"nothing ever arrived, though {present.due} present records should have been sent"
    return f"no snapshot came, though {present.due} present records should have been in it"
