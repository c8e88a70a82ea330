"""The report as one document, from which JSON, CSV and HTML are made.  Pure.

A subscription is `met` where that was seen; `not met`; `excepted` where it is not met and an exception holds; and
`not judged` where it can't be told: not everything was read, or the subscription is read-only and so can't be mended.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

import orjson

from shared import __version__
from shared.clock import utc_text
from shared.exports.management_groups import GroupNames, Placed
from shared.watch.cis_benchmark import CIS
from shared.watch.coverage import Live, SubscriptionCoverage
from shared.watch.requirement_checks import GrantedException, Requirement, Verdict, judge, with_proof
from shared.watch.requirements_file import Required

MET, NOT_MET, EXCEPTED, NOT_JUDGED = "met", "not met", "excepted", "not judged"
VERDICTS: Final = (MET, NOT_MET, EXCEPTED, NOT_JUDGED)
WITH_EXCEPTIONS, AS_FAR_AS_JUDGED = "met with exceptions", "met as far as judged"
CONCLUSIONS: Final = (MET, WITH_EXCEPTIONS, AS_FAR_AS_JUDGED, NOT_MET, NOT_JUDGED)
VALID, RAN_OUT = "valid", "ran out"
LIMITS: Final = (
    "It shows what is configured. Whether records arrive is shown by the freshness report and by the rows themselves.",
    "It shows subscriptions that the app's identity may read; others are not in it.",
    "It shows one moment; the audit trail and the activity log show what was changed between two reports.",
)
"""What no report of this kind can show."""


class Judged(Placed, Protocol):
    """What a report needs of a subscription; `ancestors` are its groups in lower case, nearest first."""

    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def writable(self) -> bool: ...  # noqa: D102
    @property
    def placed(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Basis:
    """What a report is made from.

    `coverage` has an entry for each of `subscriptions`, in the same order.  `reasons` say what may be missing at all,
    `unseen` what may be missing of subscriptions and automations.  `digest` is that of the tenant as it was read,
    `requirements_digest` that of the requirements file, empty where there is none.
    """

    taken: datetime
    subscriptions: Sequence[Judged]
    coverage: Sequence[SubscriptionCoverage]
    reasons: Sequence[str]
    unseen: Sequence[str]
    automations: int
    digest: str
    requirements_digest: str = ""
    broken: Collection[str] = ()
    """The lower-case ids of destinations where nothing arrives."""
    groups: GroupNames | None = None
    """The management groups of the whole tenant; None where these subscriptions are all there are."""


@dataclass(frozen=True)
class Made:
    """When a report was made, by whom and of which deployment."""

    at: datetime
    by: str
    instance_id: str
    tenant_id: str


def tenant_digest(subscriptions: Iterable[str], automations: Iterable[Live]) -> str:
    """SHA-256 of the subscriptions' ids, and of each automation's id, tags and properties as they were read."""
    digest = hashlib.sha256()
    for subscription in sorted(each.lower() for each in subscriptions):
        digest.update(f"{subscription}\n".encode())
    for automation in sorted(automations, key=lambda each: each.id.lower()):
        tags = orjson.dumps(dict(automation.tags), option=orjson.OPT_SORT_KEYS)
        digest.update(automation.id.lower().encode() + b"\n" + tags + b"\n" + automation.properties + b"\n")
    return digest.hexdigest()


def evidence(
    basis: Basis, required: Required, made: Made, proven: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """The report: about itself, a summary of each requirement, the exceptions, and in `value` a row for each verdict.

    The rows are ordered by requirement, as given, then as the subscriptions are.  `proven` says when a canary last
    proved the path of a subscription's alerts, by its lower-case id.
    """
    requirements = (CIS, *required.requirements)
    verdicts = with_proof(judge(basis.coverage, requirements, basis.broken), proven, CIS.name)
    groups = basis.groups or GroupNames.of(basis.subscriptions)
    judging = _Judging(required.exceptions, made.at.date(), groups, _doubts(required, groups), seen=not basis.unseen)
    rows = [
        _row(subscription, covered, verdicts[number * len(requirements) + place], judging)
        for place in range(len(requirements))
        for number, (subscription, covered) in enumerate(zip(basis.subscriptions, basis.coverage, strict=True))
    ]
    return {
        "generated": utc_text(made.at),
        "taken": utc_text(basis.taken),
        "by": made.by,
        "instance": made.instance_id,
        "tenant": made.tenant_id,
        "release": __version__,
        "complete": not basis.reasons,
        "reasons": list(basis.reasons),
        "sources": {
            "subscriptions": len(basis.subscriptions),
            "automations": basis.automations,
            "sha256": basis.digest,
            "requirementsSha256": basis.requirements_digest,
        },
        "requirements": [_summary(each, rows, complete=not basis.unseen) for each in requirements],
        "exceptions": [_exception(each, basis.subscriptions, judging) for each in required.exceptions],
        "limits": [*LIMITS, *_of_doubts(judging.doubts)],
        "value": rows,
    }


@dataclass(frozen=True)
class _Judging:
    """What verdicts are weighed by: the exceptions, the day (UTC), and whether all of the tenant was seen.

    `doubts` says by requirement and name of a group why it is not known which group an exception means.
    """

    exceptions: Sequence[GrantedException]
    today: date
    groups: GroupNames
    doubts: Mapping[tuple[str, str], str]
    seen: bool

    def covers(self, exception: GrantedException, subscription: Judged) -> bool:
        """Whether an exception is for a subscription, for certain."""
        one = subscription.id.lower()
        return exception.covers(one, self.groups.surely_above.get(one, ()))


def _doubts(required: Required, groups: GroupNames) -> Mapping[tuple[str, str], str]:
    named = {(each.requirement, name): "" for each in required.exceptions for name in each.management_groups}
    return {where: doubt for where in named if (doubt := groups.doubt(where[1]))}


def _of_doubts(doubts: Mapping[tuple[str, str], str]) -> list[str]:
    return [f"By this name an exception covers nothing: {doubt}." for doubt in dict.fromkeys(doubts.values())]


def _row(subscription: Judged, covered: SubscriptionCoverage, verdict: Verdict, judging: _Judging) -> dict[str, Any]:
    exception = _covering(subscription, verdict.requirement, judging)
    word, reason, notes = MET, verdict.reason, [verdict.note]
    if not verdict.met:
        word, reason = _unmet(subscription, verdict, exception, judging)
        notes = [*_notes(subscription, verdict.requirement, exception, judging), verdict.note]
    return {
        "requirement": verdict.requirement,
        "subscriptionId": covered.subscription_id,
        "subscription": covered.name,
        "tenantId": covered.tenant_id,
        "managementGroups": list(reversed(subscription.ancestors)),
        "state": subscription.state,
        "verdict": word,
        "reason": reason,
        "note": " ".join(filter(None, notes)),
        "exception": _about(exception, judging.today) if exception and not verdict.met else None,
    }


def _unmet(
    subscription: Judged, verdict: Verdict, exception: GrantedException | None, judging: _Judging
) -> tuple[str, str]:
    if not judging.seen:
        return NOT_JUDGED, f"not everything was read; of what was, {verdict.reason}"
    if not subscription.writable:
        return NOT_JUDGED, f"the subscription is {subscription.state}, and so read-only; {verdict.reason}"
    if exception and judging.today <= exception.until:
        return EXCEPTED, verdict.reason
    return NOT_MET, verdict.reason


def _notes(
    subscription: Judged, requirement: str, exception: GrantedException | None, judging: _Judging
) -> Iterator[str]:
    if exception and exception.until < judging.today:
        yield f"The exception of {exception.owner} ran out on {exception.until}."
    grouped = any(each.management_groups for each in judging.exceptions if each.requirement == requirement)
    if grouped and not exception and not subscription.placed:
        yield "Its management groups are not known, so whether an exception for one of them covers it is not either."
    for (about, name), doubt in judging.doubts.items():
        if about == requirement and not exception and name in subscription.ancestors:
            yield f"An exception for a management group {name} does not count: {doubt}."


def _covering(subscription: Judged, requirement: str, judging: _Judging) -> GrantedException | None:
    """The exception that holds longest."""
    found = [
        each for each in judging.exceptions if each.requirement == requirement and judging.covers(each, subscription)
    ]
    return max(found, key=lambda each: each.until, default=None)


def _about(exception: GrantedException, today: date) -> dict[str, Any]:
    return {
        "owner": exception.owner,
        "reason": exception.reason,
        "until": exception.until.isoformat(),
        "state": VALID if today <= exception.until else RAN_OUT,
    }


def _exception(exception: GrantedException, subscriptions: Iterable[Judged], judging: _Judging) -> dict[str, Any]:
    return {
        "requirement": exception.requirement,
        **_about(exception, judging.today),
        "subscriptions": list(exception.subscriptions),
        "managementGroups": list(exception.management_groups),
        "covers": sum(judging.covers(exception, each) for each in subscriptions),
    }


def _summary(requirement: Requirement, rows: Iterable[Mapping[str, Any]], *, complete: bool) -> dict[str, Any]:
    found = Counter(row["verdict"] for row in rows if row["requirement"] == requirement.name)
    counts = {word: found[word] for word in VERDICTS}
    benchmark = requirement.benchmark
    return {
        "name": requirement.name,
        "description": requirement.description,
        "benchmark": {
            "name": benchmark.name,
            "versions": list(benchmark.versions),
            "number": benchmark.number,
            "title": benchmark.title,
            "level": benchmark.level,
            "assessment": benchmark.assessment,
        }
        if benchmark
        else None,
        "conclusion": conclusion(counts, complete=complete),
        "counts": counts,
        "questions": [{"asks": each.asks, "answeredBy": each.answered_by} for each in requirement.questions],
    }


def conclusion(counts: Mapping[str, int], *, complete: bool) -> str:
    """What the verdicts on one requirement come to; nothing judged is never met."""
    if counts[NOT_MET]:
        return NOT_MET
    if not counts[MET] and not counts[EXCEPTED]:
        return NOT_JUDGED
    if counts[NOT_JUDGED] or not complete:
        return AS_FAR_AS_JUDGED
    return WITH_EXCEPTIONS if counts[EXCEPTED] else MET
