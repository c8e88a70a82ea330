"""Whether each subscription meets each requirement, and why not.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from shared.exports.evaluator import surely_holds
from shared.exports.event_sources import KINDS, SNAPSHOT
from shared.exports.rule_sets import Source, is_given
from shared.watch.coverage import Exporter, SubscriptionCoverage


@dataclass(frozen=True)
class Benchmark:
    """A recommendation of a published benchmark."""

    name: str
    versions: tuple[str, ...]
    number: str
    title: str
    level: int
    assessment: str


@dataclass(frozen=True)
class Question:
    """What an auditor asks, paraphrased, and which part of a report answers it."""

    asks: str
    answered_by: str


@dataclass(frozen=True)
class Requirement:
    """What every subscription must export: records of `event_source` for each of the sample records.

    `samples` are minimal records that must be let through whatever else they hold; `destination`, when set, is a
    part of the resource id that must be among the destinations.  `note` says what no API shows;
    `seen_in_portal` that auditors look at the portal's page, which shows automations of two names only.
    """

    name: str
    event_source: str
    samples: tuple[Mapping[str, Any], ...] = ({},)
    destination: str = ""
    description: str = ""
    note: str = ""
    seen_in_portal: bool = False
    benchmark: Benchmark | None = None
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class GrantedException:
    """Subscriptions that need not meet a requirement until the end of a day (UTC): who answers for that, and why.

    `subscriptions` are ids and `management_groups` ids in lower case; one of a group covers all below it.
    """

    requirement: str
    owner: str
    reason: str
    until: date
    subscriptions: tuple[str, ...] = ()
    management_groups: tuple[str, ...] = ()

    def covers(self, subscription_id: str, groups_above: Iterable[str]) -> bool:
        """Whether it is for this subscription, by its id and its groups' names that mean one each; in lower case."""
        return subscription_id in self.subscriptions or not set(self.management_groups).isdisjoint(groups_above)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one subscription meets one requirement, why not, and what remains to be checked or known."""

    subscription_id: str
    requirement: str
    met: bool
    reason: str
    note: str = ""


def with_proof(verdicts: Iterable[Verdict], proven: Mapping[str, str], requirement: str) -> list[Verdict]:
    """The verdicts, those on a requirement with when a simulated alert was last seen to reach its table.

    `proven` says when, by the lower-case id of the subscription.  It is a note: what is met stays as it is judged.
    """
    found = []
    for verdict in verdicts:
        when = proven.get(verdict.subscription_id.lower()) if verdict.requirement == requirement else None
        note = " ".join(filter(None, (verdict.note, f"Proven on {when}: a simulated alert reached its table.")))
        found.append(replace(verdict, note=note) if when else verdict)
    return found


_PORTAL_NAMES = ("exporttoeventhub", "exporttoworkspace")
_NOWHERE = {
    "no-credential": " that it has a key for, or is trusted by",
    "not-a-hub": ": it names a namespace instead of a hub",
    "bad-destination": ": its destination is no resource id of one",
}


def judge(
    coverage: Iterable[SubscriptionCoverage], requirements: Sequence[Requirement], broken: Collection[str] = ()
) -> list[Verdict]:
    """Each subscription against each requirement, subscription by subscription.

    `broken` are the lower-case resource ids of hubs and workspaces where nothing arrives: what is sent there only
    counts for nothing.
    """
    # Equal sources are one object (see _Reader), and hashing one means hashing all its rules.
    memory: dict[tuple[int, str], frozenset[int]] = {}
    return [
        _judge(subscription, requirement, memory, broken) for subscription in coverage for requirement in requirements
    ]


def _judge(
    subscription: SubscriptionCoverage,
    requirement: Requirement,
    memory: dict[tuple[int, str], frozenset[int]],
    broken: Collection[str],
) -> Verdict:
    exporters = subscription.exporters.get(requirement.event_source, ())
    wanted = [exporter for exporter in exporters if exporter.counts and _sends_to(exporter, requirement.destination)]
    live = [exporter for exporter in wanted if _sends_to(exporter, requirement.destination, broken)]
    met: set[int] = set()
    for exporter in live:
        key = (id(exporter.source), requirement.name)
        if key not in memory:
            memory[key] = _lets_through(exporter.source, requirement)
        met |= memory[key]
    if len(met) == len(requirement.samples):
        notes = [requirement.note, _portal_note(live) if requirement.seen_in_portal else ""]
        return Verdict(subscription.subscription_id, requirement.name, True, "", " ".join(filter(None, notes)))
    return Verdict(
        subscription.subscription_id, requirement.name, False, _why_not(exporters, wanted, live, requirement)
    )


def _portal_note(exporters: Sequence[Exporter]) -> str:
    """A note where none of the automations has a name that the portal shows."""
    names = sorted({exporter.name for exporter in exporters})
    if any(name.lower() in _PORTAL_NAMES for name in names):
        return ""
    return (
        f"The portal's page Continuous export does not show {', '.join(names)}: it shows automations named "
        "ExportToEventHub and ExportToWorkspace only."
    )


def _sends_to(exporter: Exporter, part: str, broken: Collection[str] = ()) -> bool:
    """Whether it sends to a receiver whose id has this part, and that is not broken."""
    ids = [receiver.resource_id.lower() for receiver in exporter.receivers]
    return any(part.lower() in each and each not in broken for each in ids)


def _lets_through(source: Source, requirement: Requirement) -> frozenset[int]:
    """The samples that `source` exports whatever else the record holds: a sample has only the required fields."""
    record_type = KINDS[source.event_source.removesuffix(SNAPSHOT)].record_type
    given = {"type": record_type} if record_type else {}
    return frozenset(
        index
        for index, sample in enumerate(requirement.samples)
        if not source.rule_sets
        or any(
            all(is_given(rule, source.event_source) or surely_holds(rule, {**given, **sample}) for rule in rule_set)
            for rule_set in source.rule_sets
        )
    )


def _why_not(
    exporters: Sequence[Exporter], wanted: Sequence[Exporter], live: Sequence[Exporter], requirement: Requirement
) -> str:
    enabled = [exporter for exporter in exporters if exporter.enabled]
    if not exporters:
        return f"no automation exports {requirement.event_source}"
    if not enabled:
        return "every automation that would export it is disabled"
    if all("no-scope" in exporter.findings for exporter in enabled):
        return "it has no scope, so it exports nothing"
    if not any(exporter.whole_subscription for exporter in enabled):
        return "only some resource groups are exported"
    if not any(exporter.counts for exporter in enabled):
        codes = {code for exporter in enabled for code in exporter.findings}
        why = next((words for code, words in _NOWHERE.items() if code in codes), "")
        return f"it is sent to no event hub or workspace{why}"
    if not wanted:
        return f"none sends to {requirement.destination}"
    if not live:
        lost = sorted({receiver.resource_id for exporter in wanted for receiver in exporter.receivers})
        return f"nothing arrives at {', '.join(lost)}: the newest run that looked found it broken"
    if all(exporter.lets_nothing_through for exporter in live):
        return f"the filters let nothing through: {'; '.join(sorted({exporter.filter for exporter in live}))}"
    return f"the filters let only some through: {'; '.join(sorted({exporter.filter for exporter in live}))}"
