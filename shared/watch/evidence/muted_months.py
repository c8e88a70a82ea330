"""What was muted in the months of a report: nothing of it changes a verdict.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.clock import utc_moment, utc_text
from shared.muting.mutes import Mute, Muting, Part
from shared.watch.evidence.document import MET

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def with_mutes(document: Mapping[str, Any], muting: Muting, since: datetime, now: datetime) -> dict[str, Any]:
    """The report with the mutes that held at any time from `since` on, and a note where a subscription is muted."""
    listed = [_listed(mute, now) for mute in muting.mutes if mute.until > since and mute.start <= now]
    rows = document["value"]
    if muting.in_force(now):
        rows = [_noted(row, muting, now) for row in rows]
    return {**document, "value": rows, "mutes": listed, "muteTrouble": muting.trouble}


def since_of(document: Mapping[str, Any]) -> datetime:
    """Where the figures of a report begin."""
    return utc_moment(document["trend"]["since"])


def _noted(row: Mapping[str, Any], muting: Muting, now: datetime) -> Mapping[str, Any]:
    if row["verdict"] == MET or not (muted := muting.of([Part(row["subscriptionId"].lower())], now)):
        return row
    told = f"Muted until {utc_text(muted.until)} by {muted.by.owner}: {muted.by.reason}."
    return {**row, "note": " ".join(filter(None, (row["note"], told)))}


def _listed(mute: Mute, now: datetime) -> dict[str, Any]:
    named = {
        "subscription": mute.subscription,
        "management group": mute.management_group,
        "export": mute.export,
        "destination": mute.destination,
    }
    return {
        "name": mute.name,
        "what": ", ".join(f"{what} {name}" for what, name in named.items() if name),
        "owner": mute.owner,
        "reason": mute.reason,
        "from": utc_text(mute.start),
        "until": utc_text(mute.until),
        "weekly": _weekly(mute),
        "inForce": bool(mute.end_at(now)),
    }


def _weekly(mute: Mute) -> str:
    if mute.weekly is None:
        return ""
    hours, minutes = divmod(mute.weekly.start // timedelta(minutes=1), 60)
    return f"{_DAYS[mute.weekly.day]} {hours:02}:{minutes:02}, {mute.weekly.duration // timedelta(minutes=1)} minutes"
