"""A freshness check's answer as a document for the API and as rows of DefenderExportHealth_CL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from shared import __version__, stored_format
from shared.clock import utc_moment, utc_text
from shared.watch.coverage import SubscriptionCoverage
from shared.watch.freshness_outcome import Outcome

HEALTH_TABLE = "DefenderExportHealth_CL"


def as_document(
    outcome: Outcome, coverage: Sequence[SubscriptionCoverage], silences: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """The answer of a check as the API keeps it; `silences` are those that have not ended."""
    known = {subscription.subscription_id.lower(): subscription for subscription in coverage}
    health = []
    for each in outcome.health:
        subscription = known.get(each.subscription_id)
        about = {
            "name": subscription.name if subscription else "",
            "tenant_id": subscription.tenant_id if subscription else "",
        }
        health.append({name: _plain(value) for name, value in (asdict(each) | about).items()})
    stored = [{name: _plain(value) for name, value in asdict(each).items()} for each in outcome.stored]
    head = stored_format.stamp("freshness answer")
    return {
        **head,
        "checked": _plain(outcome.checked),
        "reasons": list(outcome.reasons),
        "health": health,
        "stored": stored,
        "notCompared": list(outcome.not_compared),
        "silences": list(silences),
    }


def as_far_as_readable(data: bytes) -> dict[str, Any]:
    """A kept answer with what of it can be read; what can't is left out and named among its reasons."""
    empty: dict[str, Any] = {
        "checked": None, "reasons": [], "health": [], "stored": [], "notCompared": [], "silences": [],
    }  # fmt: skip
    try:
        document = stored_format.read_object("freshness answer", data)
    except stored_format.KeptAsIs as kept:
        return {**empty, "reasons": [str(kept)]}
    found = {name: document.get(name) if isinstance(document.get(name), list) else None for name in empty}
    checked = _readable(document.get("checked"))
    reasons = [str(reason) for reason in found["reasons"] or ()]
    if found["health"] is None or checked is None:
        reasons.append("the kept freshness answer lacks its verdicts or its time: the next check writes it anew")
    health = [_MISSING | each for each in found["health"] or () if _is_health(each)]
    stored = [each for each in found["stored"] or () if _is_comparison(each)]
    left_out = sum(len(found[name] or ()) for name in ("health", "stored")) - len(health) - len(stored)
    if left_out:
        reasons.append(f"{left_out} entries of the kept freshness answer can't be read and are left out")
    head = (stored_format.FORMAT, stored_format.RELEASE)
    written: dict[str, Any] = {str(name): document[name] for name in head if name in document}
    silences = [each for each in found["silences"] or () if isinstance(each, dict)]
    not_compared = [str(each) for each in found["notCompared"] or ()]
    return {
        **written, "checked": checked, "reasons": reasons, "health": health, "stored": stored,
        "notCompared": not_compared, "silences": silences,
    }  # fmt: skip


def _readable(moment: Any) -> str | None:
    """A time as it is written; None for what is none."""
    try:
        utc_moment(moment)
    except (ValueError, TypeError):
        return None
    return str(moment)


_MISSING: dict[str, Any] = {
    "name": "", "tenant_id": "", "since": None, "last_seen": None, "last_snapshot": None, "due_by": None,
    "present": None,
}  # fmt: skip


def _is_health(each: Any) -> bool:
    if not isinstance(each, dict) or not all(
        isinstance(each.get(name), str) for name in ("subscription_id", "kind", "verdict", "export", "reason")
    ):
        return False
    texts = ("name", "tenant_id", "since", "last_seen", "last_snapshot", "due_by")
    return all(isinstance(each.get(name), str | None) for name in texts) and isinstance(each.get("present"), int | None)


def _is_comparison(each: Any) -> bool:
    return (
        isinstance(each, dict)
        and all(isinstance(each.get(name), str) for name in ("table", "day"))
        and all(isinstance(each.get(name), int) for name in ("uploaded", "stored"))
    )


def _never(health: Mapping[str, Any]) -> None:  # noqa: ARG001 - as whatever tells
    return None


def health_rows(
    document: Mapping[str, Any],
    instance_id: str,
    muted_until: Callable[[Mapping[str, Any]], datetime | None] = _never,
) -> Iterable[dict[str, Any]]:
    """A row for each subscription and kind that was judged; `muted_until` tells it of a verdict."""
    for health in document["health"]:
        yield {
            "TimeGenerated": document["checked"],
            "CheckName": "freshness",
            "InstanceId": instance_id,
            "Release": __version__,
            "Verdict": health["verdict"],
            "Reason": health["reason"],
            "SourceTenantId": health["tenant_id"] or None,
            "SubscriptionId": health["subscription_id"],
            "SubscriptionName": health["name"] or None,
            "RecordKind": health["kind"],
            "Exports": health["export"].split(", "),
            "LastSeen": health["last_seen"],
            "LastSnapshot": health["last_snapshot"],
            "DueBy": health["due_by"],
            "RecordsFound": health["present"],
            "Details": {"since": health["since"]},
            "MutedUntil": _plain(muted_until(health)),
        }


def comparison_rows(
    outcome: Outcome, instance_id: str, on_time_percent: float, muted_until: datetime | None = None
) -> Iterable[dict[str, Any]]:
    """For each table and day a row on what is stored of the uploads, and one on how late it came."""
    for each in outcome.stored:
        start = datetime.combine(each.day, time(), UTC)
        head = {
            "TimeGenerated": _plain(outcome.checked),
            "InstanceId": instance_id,
            "Release": __version__,
            "TableName": each.table,
            "WindowStart": _plain(start),
            "WindowEnd": _plain(start + timedelta(days=1)),
            "RowsUploaded": each.uploaded,
            "RowsStored": each.stored,
            "MutedUntil": _plain(None if "." in each.table else muted_until),  # of the default workspace
        }
        lost = f"{each.lost} accepted rows are not in the table"
        yield head | {
            "CheckName": "stored",
            "Verdict": "missing" if each.lost else "stored",
            "Reason": "; ".join(filter(None, (lost, each.because))) if each.lost else "",
        }
        if (delay := each.delay) is not None:
            percent = delay.on_time_percent(each.lost)
            met = percent >= on_time_percent
            late = f"{delay.late} of {delay.events} events were late"
            yield head | {
                "CheckName": "service level",
                "Verdict": "met" if met else "missed",
                "Reason": "" if met else f"{late}; {lost}" if each.lost else late,
                "Details": asdict(delay) | {"onTimePercent": round(percent, 4), "asked": on_time_percent},
            }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    return value.isoformat() if isinstance(value, date) else value
