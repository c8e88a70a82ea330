"""What a freshness check leaves for figures over time: rows of DefenderExportHealth_CL, open silences.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared import __version__
from shared.clock import utc_moment, utc_text
from shared.watch.freshness_outcome import Outcome
from shared.watch.freshness_verdicts import FRESH, NOT_OBSERVABLE, SILENT, Health

Key = tuple[str, str]
"""A subscription's id in lower case, and a kind of record."""


@dataclass(frozen=True)
class Standing:
    """How many subscriptions have each verdict on a requirement; `complete` where all of the tenant was seen."""

    requirement: str
    conclusion: str
    counts: Mapping[str, int]
    complete: bool


@dataclass(frozen=True)
class Repair:
    """A silence that ended since records came again."""

    subscription_id: str
    kind: str
    began: datetime
    ended: datetime


@dataclass(frozen=True)
class Silences:
    """Since when who is silent; `repaired` are those that ended with this check."""

    open: Mapping[Key, datetime] = field(default_factory=dict)
    repaired: Sequence[Repair] = ()


def settle(before: Mapping[Key, datetime], health: Iterable[Health], checked: datetime, *, complete: bool) -> Silences:
    """Carry the silences on by one check.

    A silence begins when what did not come was due.  It ends by repair when the kind is fresh again, or when what came
    in between is overdue anew; while nothing can be said of it, it goes on.  What is no longer expected ends without a
    repair, unless the tenant was not read whole (`complete`).
    """
    judged = {(each.subscription_id.lower(), each.kind): each for each in health}
    still = {key: began for key, began in before.items() if key not in judged and not complete}
    repaired = []
    for key, one in judged.items():
        began = before.get(key)
        came = one.last_snapshot if began and one.last_snapshot and began < one.last_snapshot <= checked else None
        anew = one.verdict == SILENT and came is not None
        if began and (one.verdict == FRESH or anew):
            repaired.append(Repair(*key, began, came or checked))
            began = None
        if one.verdict == SILENT:
            still[key] = began or min(one.since or checked, checked)
        elif began and one.verdict not in {FRESH, NOT_OBSERVABLE}:
            still[key] = began
    return Silences(still, repaired)


def kept(silences: Mapping[Key, datetime]) -> list[dict[str, str]]:
    """Open silences as the kept answer has them."""
    return [
        {"subscription_id": subscription, "kind": kind, "since": utc_text(since)}
        for (subscription, kind), since in sorted(silences.items())
    ]


def read_back(entries: Iterable[Mapping[str, Any]]) -> dict[Key, datetime]:
    """The same from the kept answer; what is no silence is left out."""
    found = {}
    for each in entries:
        try:
            found[str(each["subscription_id"]), str(each["kind"])] = utc_moment(each["since"])
        except (KeyError, TypeError, ValueError):
            continue
    return found


def trend_rows(
    outcome: Outcome, standings: Iterable[Standing], silences: Silences, names: Mapping[str, str], instance_id: str
) -> Iterator[dict[str, Any]]:
    """A row for each requirement, one on how many kinds of subscriptions are silent, and one for each repair.

    `names` are the subscriptions' by their lower-case ids.
    """
    head = {"TimeGenerated": utc_text(outcome.checked), "InstanceId": instance_id, "Release": __version__}
    for each in standings:
        counts = {_camel(verdict): count for verdict, count in each.counts.items()}
        yield head | {
            "CheckName": "coverage",
            "Requirement": each.requirement,
            "Verdict": each.conclusion,
            "Details": counts | {"complete": each.complete},
        }
    found = Counter(each.verdict for each in outcome.health)
    watched = sum(found.values()) - found[NOT_OBSERVABLE]
    yield head | {
        "CheckName": "silence",
        "Verdict": "counted",  # not silent: a query for silent subscriptions must not find this row
        "Details": {"silent": found[SILENT], "watched": watched},
    }
    for repair in silences.repaired:
        yield head | {
            "CheckName": "repair",
            "Verdict": "repaired",
            "SubscriptionId": repair.subscription_id,
            "SubscriptionName": names.get(repair.subscription_id) or None,
            "RecordKind": repair.kind,
            "WindowStart": utc_text(repair.began),
            "WindowEnd": utc_text(repair.ended),
        }


def _camel(verdict: str) -> str:
    first, *rest = verdict.split()
    return first + "".join(word.capitalize() for word in rest)
