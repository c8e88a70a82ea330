"""Conclusions as rows of DefenderGone_CL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from shared import __version__
from shared.lifecycle.model import ENDS, Action, Conclusion

GONE_TABLE = "DefenderGone_CL"
PASSES_TABLE = "DefenderExportHealth_CL"
_REASONS = {
    Action.MISSING: "one complete answer of Resource Graph did not have it",
    Action.GONE: "two complete answers of Resource Graph in a row did not have it",
    Action.RETIRED: "Microsoft retired this recommendation or finding; it was not fixed",
    Action.BACK: "Resource Graph has it again",
}


def pass_row(told: Mapping[str, Any], instance_id: str, now: datetime, place: str = "") -> Mapping[str, Any]:
    """The row of DefenderExportHealth_CL about a pass that ended, from what it tells; `place` is a further one."""
    why = [*told["heldBack"], *told["reasons"]]
    return {
        "TimeGenerated": now,
        "CheckName": "gone",
        "InstanceId": instance_id,
        "Verdict": "held back" if told["heldBack"] else "incomplete" if why else "compared",
        "Reason": "; ".join(why),
        "WindowStart": told["began"],
        "WindowEnd": told["ended"],
        "Release": __version__,
        "Details": {**told, "place": place} if place else told,
    }


def gone_rows(found: Iterable[Conclusion], instance_id: str, now: datetime) -> list[Mapping[str, Any]]:
    """One row for each; the days open only where it ended."""
    return [
        {
            "TimeGenerated": now,
            "Action": each.action.value,
            "RecordId": each.record.record_id,
            "RecordKind": each.record.kind,
            "SubscriptionId": each.record.subscription,
            "FirstSeen": each.record.first_seen,
            "LastSeen": each.record.last_seen,
            "GoneTime": each.gone,
            "DaysOpen": _days_open(each),
            "Reason": _REASONS[each.action],
            "InstanceId": instance_id,
            "Release": __version__,
        }
        for each in found
    ]


def _days_open(found: Conclusion) -> float | None:
    if found.action not in ENDS or found.gone is None:
        return None
    return round(max(0.0, (found.gone - found.record.first_seen).total_seconds()) / 86_400, 3)
