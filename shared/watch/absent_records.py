"""What it means that Resource Graph has no record of a kind, seen over all kinds and subscriptions.  Pure.

One subscription and kind alone can't tell: that there are none may be right.  Where a kind has gone from every
subscription that sent it, or a subscription never had one of the kinds that each evaluated subscription has, it most
likely is not, and the reason of the verdict says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.watch.freshness_verdicts import FRESH, NONE_PRESENT, QUIET, Health

EVALUATED = frozenset({"Assessments", "SecureScores", "SecureScoreControls", "RegulatoryComplianceAssessment"})
"""Kinds of which a subscription has records as soon as Defender for Cloud evaluates it."""
NEVER_EVALUATED = (
    "Defender for Cloud seems not to evaluate this subscription: none of {kinds} is there, and none ever came; assign "
    "the Microsoft cloud security benchmark to it and turn on the free plan (docs/operate.md, Never evaluated)"
)
_SEVERAL = 2


def explain_absence(health: Sequence[Health]) -> list[Health]:
    """The verdicts, with better reasons where nothing of a kind is there."""
    absent = [one for one in health if _is_absent(one)]
    unevaluated = _unevaluated(health, absent)
    gone = _gone_everywhere(health, absent)
    return [
        replace(one, reason=_reason(one, unevaluated, gone) + one.reason.removeprefix(NONE_PRESENT))
        if _is_absent(one)
        else one
        for one in health
    ]


def gone_kinds(health: Sequence[Health]) -> dict[str, tuple[int, datetime]]:
    """By kind that no subscription has any more: how many sent it, two at least, and when the last record came."""
    return _gone_everywhere(health, [one for one in health if _is_absent(one)])


def _may_be_there(one: Health) -> bool:
    """Whether records of the kind were seen, or could not be looked for where some came before."""
    unread = one.last_seen is not None and one.due_by is not None
    return not _is_absent(one) and (one.present is not None or unread)


def _is_absent(one: Health) -> bool:
    return one.verdict == QUIET and one.reason.startswith(NONE_PRESENT)


def _unevaluated(health: Iterable[Health], absent: Iterable[Health]) -> dict[str, list[str]]:
    """Subscriptions of which each expected kind is missing, and never came; and which kinds these are."""
    expected: dict[str, set[str]] = defaultdict(set)
    never: dict[str, set[str]] = defaultdict(set)
    for one in health:
        if one.kind in EVALUATED:
            expected[one.subscription_id].add(one.kind)
    for one in absent:
        if one.kind in EVALUATED and one.last_seen is None:
            never[one.subscription_id].add(one.kind)
    return {name: sorted(kinds) for name, kinds in never.items() if kinds == expected[name]}


def _gone_everywhere(health: Iterable[Health], absent: Iterable[Health]) -> dict[str, tuple[int, datetime]]:
    sent: dict[str, list[datetime]] = defaultdict(list)
    for one in absent:
        if one.last_seen is not None:
            sent[one.kind].append(one.last_seen)
    somewhere = {one.kind for one in health if one.verdict == FRESH or _may_be_there(one)}
    return {
        kind: (len(times), max(times))
        for kind, times in sent.items()
        if len(times) >= _SEVERAL and kind not in somewhere
    }


def _reason(one: Health, unevaluated: dict[str, list[str]], gone: dict[str, tuple[int, datetime]]) -> str:
    if one.kind in EVALUATED and one.subscription_id in unevaluated:
        return NEVER_EVALUATED.format(kinds=", ".join(unevaluated[one.subscription_id]))
    if one.last_seen is None:
        return NONE_PRESENT
    said = f"{NONE_PRESENT}, though some came until {one.last_seen:%Y-%m-%d}"
    if one.kind in gone:
        count, _ = gone[one.kind]
        said += f"; none of the {count} subscriptions that sent {one.kind} has any: {_why(one.kind)}"
    return said


def _why(kind: str) -> str:
    if kind == "SubAssessments":
        return "findings were retired on 31 July 2026 (docs/individual-recommendations.md)"
    return "Defender for Cloud has them no more, or this app may not read them"
