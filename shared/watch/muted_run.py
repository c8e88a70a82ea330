"""Whether all that a run could not do is muted, so that the page raises nothing of it.  Pure.

Guards, failed runs, what discovery did not see, and export files that can't be read are never muted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shared.muting.mutes import Muted, Muting, Part
from shared.watch.open_items import subscription_of

_NEVER_MUTED: Final = ("incompleteBecause", "guards", "findings", "unreadable", "waiting")
_BLOCKED: Final = frozenset({"blocked", "failed"})


def muted_run(
    run: Mapping[str, Any], items: Iterable[Mapping[str, Any]], muting: Muting, now: datetime
) -> Muted | None:
    """Until when that is so, by the run's report and what is open by it; None where anything of it is not muted."""
    if not muting.mutes or run["outcome"] != "Partial" or any(run.get(name) for name in _NEVER_MUTED):
        return None
    troubled: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        if item.get("action") == "blocked" or item.get("outcome") in _BLOCKED:
            troubled.setdefault(str(item.get("export", "")), []).append(item)
    ends = [
        _export(entry, troubled.get(entry["export"], ()), _places(run, entry["export"]), muting, now)
        for entry in run.get("inForce", ())
        if entry["rest"]
    ]
    known = [each for each in ends if each]
    return min(known, key=lambda each: each.until) if known and len(known) == len(ends) else None


def _export(
    entry: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    places: Sequence[str],
    muting: Muting,
    now: datetime,
) -> Muted | None:
    """The mute of an export that is not in force everywhere: of it as a whole, or of each place where it is not."""
    name = str(entry["export"]).lower()
    if found := muting.of([Part(export=name, destination=place) for place in places], now):
        return found
    if len(items) != sum(each["count"] for each in entry["rest"]):
        return None
    return muting.of([Part(subscription_of(item), name, place) for item in items for place in places], now)


def _places(run: Mapping[str, Any], export: str) -> list[str]:
    known = run.get("destinations", ())
    return [str(each["id"]).strip("/").lower() for each in known if export in each["exports"]] or [""]
