"""What is wrong now, from what the app's timers left: pure functions from their answers to conditions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from shared.clock import utc_moment
from shared.muting.mutes import NOTHING, Muting, Part, parts_of
from shared.notify.events import Condition, Key, Observed
from shared.watch.freshness_verdicts import FRESH, QUIET, SILENT
from shared.watch.open_items import Newest, looked_at_all, of_the_tenant, subscription_of
from shared.watch.requirement_checks import GrantedException
from shared.watch.timer_runs import stopped

SILENCE, RUN, GUARD, DESTINATION = "subscription-silent", "run-failed", "guard-refused", "destination-broken"
DRIFT, PARKED, TIMER, EXCEPTION = "drift-put-back", "dead-letters-parked", "timer-stopped", "exception-expired"


def unseen(*kinds: str) -> Observed:
    """Nothing is known of these kinds."""
    return Observed(unseen=frozenset(kinds))


def together(parts: Iterable[Observed]) -> Observed:
    """All that was seen."""
    listed = list(parts)
    return Observed(
        [each for part in listed for each in part.conditions],
        frozenset().union(*(part.unseen for part in listed)),
        frozenset().union(*(part.doubtful for part in listed)),
        frozenset().union(*(part.well for part in listed)),
        frozenset().union(*(part.muted for part in listed)),
    )


def of_freshness(answer: Mapping[str, Any] | None, hub_id: str = "") -> Observed:
    """Who is silent, by the latest answer of the freshness check, at the hub that this app reads."""
    if answer is None or answer["checked"] is None:
        return unseen(SILENCE)
    conditions, doubtful, well = [], set[Key](), set[Key]()
    for each in answer["health"]:
        subject = f"{each['subscription_id'].lower()} {each['kind']}"
        if each["verdict"] == SILENT:
            name = f"{each['name'] or each['subscription_id']}, {each['kind']}"
            conditions.append(
                Condition(
                    SILENCE,
                    subject,
                    name,
                    each["reason"],
                    _moment(each["due_by"]),
                    each["subscription_id"].lower(),
                    parts=tuple(parts_of(each["subscription_id"], each["export"], hub_id)),
                )
            )
        elif each["verdict"] in {FRESH, QUIET}:
            well.add((SILENCE, subject))
        else:
            doubtful.add((SILENCE, subject))
    whole = not answer["reasons"]
    return Observed(conditions, frozenset() if whole else frozenset({SILENCE}), frozenset(doubtful), frozenset(well))


def of_newest_run(newest: Newest) -> Observed:
    """Whether the newest run failed, and which guard held it back; a run that failed tells nothing of guards."""
    run = newest.run
    if run is None:
        return unseen(RUN, GUARD)
    began, reason = _moment(run["started"]), str(run["reason"])
    if run["outcome"] == "Failed":
        return Observed([Condition(RUN, "reconcile_exports", "reconcile_exports", reason, began)], frozenset({GUARD}))
    guards = [str(each) for each in run.get("guards") or ()]
    held = [Condition(GUARD, "reconcile_exports", "reconcile_exports", "; ".join(guards), began)] if guards else []
    return Observed(held, frozenset() if run["complete"] else frozenset({GUARD}))


def of_destinations(newest: Newest) -> Observed:
    """Which destinations are broken; what no run looked at, or what can't be shown, does not end."""
    conditions, doubtful, well = [], set[Key](), set[Key]()
    for each in newest.destinations:
        key = DESTINATION, each["id"].lower()
        if each["state"] == "broken":
            name = f"{each['id'].rpartition('/')[2]} of {', '.join(each['exports'])}"
            parts = tuple(Part(export=str(export).lower(), destination=key[1].strip("/")) for export in each["exports"])
            conditions.append(Condition(*key, name, "; ".join(map(str, each["reasons"])), parts=parts))
        elif each["state"] == "ready":
            well.add(key)
        else:
            doubtful.add(key)
    broken = {each.key for each in conditions}
    # A file that can't be read does not say where it sends to, so no run looked there.
    whole = any(looked_at_all(each) and not each.get("unreadable") for each in newest.reports)
    return Observed(
        list({each.key: each for each in conditions}.values()),
        frozenset() if whole else frozenset({DESTINATION}),
        frozenset(doubtful),
        frozenset(well - broken - doubtful),
    )


def wrote(summary: Mapping[str, Any]) -> bool:
    """Whether a run of the app may have put drift back, by its summary."""
    return of_the_tenant(summary) and summary["mode"] == "apply" and bool(summary["counts"].get("Updated"))


def of_runs(reports: Iterable[Mapping[str, Any]], muting: Muting = NOTHING, now: datetime | None = None) -> Observed:
    """What runs put back that others had changed: a moment for each run, without what is muted now."""
    found = []
    for report in reports:
        items = [each for each in report["items"] if each.get("cause") == "drift" and each.get("outcome") == "updated"]
        items = [each for each in items if now is None or not muting.of([_part(each, report)], now)]
        if items:
            exports = sorted({str(each.get("export", "")) for each in items})
            run_id = str(report["runId"])
            name = f"{len(items)} of {', '.join(exports)}"
            found.append(Condition(DRIFT, run_id, name, f"Run {run_id}", _moment(report["ended"]), moment=True))
    return Observed(found)


def _part(item: Mapping[str, Any], report: Mapping[str, Any]) -> Part:
    export = str(item.get("export", ""))
    places = [str(each["id"]) for each in report.get("destinations", ()) if export in each["exports"]]
    place = places[0].strip("/").lower() if len(places) == 1 else ""
    return Part(subscription_of(item), export.lower(), place)


def of_dead_letters(kept: Mapping[tuple[str, str], int]) -> Observed:
    """Which reasons have parked letters."""
    parked = {reason: count for (reason, state), count in kept.items() if state == "parked" and count}
    return Observed(
        [Condition(PARKED, reason, reason, f"{count} are parked") for reason, count in sorted(parked.items())]
    )


def of_timers(ended: Mapping[str, datetime], now: datetime) -> Observed:
    """Which timers have stopped, of those that ever succeeded; of one without a row nothing is known."""
    found = stopped(ended, now)
    return Observed(
        [
            Condition(TIMER, name, name, f"It last succeeded at {last:%Y-%m-%d %H:%M} UTC", last)
            for name, last in found.items()
        ],
        frozenset({TIMER}),
        well=frozenset((TIMER, name) for name in ended.keys() - found.keys()),
    )


def of_exceptions(exceptions: Sequence[GrantedException], now: datetime) -> Observed:
    """Which exceptions have run out; one that is removed or extended is no more."""
    found = {}
    for each in exceptions:
        if each.until >= now.astimezone(UTC).date():
            continue
        places = "\n".join((*sorted(each.subscriptions), *sorted(each.management_groups)))
        subject = f"{each.requirement} {each.until} {hashlib.sha256(places.encode()).hexdigest()[:16]}"
        began = datetime.combine(each.until, time(), UTC) + timedelta(days=1)
        one = each.subscriptions[0] if len(each.subscriptions) == 1 else ""
        condition = Condition(
            EXCEPTION,
            subject,
            each.requirement,
            each.reason,
            began,
            one,
            each.owner,
            each.management_groups,
            parts=(
                *(Part(subscription) for subscription in each.subscriptions),
                *(Part(groups=(group,)) for group in each.management_groups),
            ),
        )
        found[condition.key] = condition
    return Observed(list(found.values()))


def _moment(text: Any) -> datetime | None:
    try:
        return utc_moment(text)
    except (TypeError, ValueError):
        return None
