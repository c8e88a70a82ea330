"""The security records that exist now, from Resource Graph, in the shapes in which continuous export sends them.

Streaming never sends what was there before it; preview, backfill and freshness read it here.  Source of the types:
learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources, table securityresources.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.azure.retry_backoff import status_of
from shared.clock import Deadline
from shared.exports.evaluator import accepts
from shared.exports.event_sources import KINDS, SNAPSHOT, member
from shared.exports.known_values import exported_status
from shared.exports.rule_sets import RuleSet, Source

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.azure.role_permissions import OwnPermissions

log = logging.getLogger(__name__)

_ALERT_TYPE = "microsoft.security/locations/alerts"
TYPE_OF_KIND: Mapping[str, str] = {
    name: _ALERT_TYPE
    if name == "Alerts"
    else "microsoft.security/attackpaths"
    if name == "AttackPaths"
    else kind.record_type
    for name, kind in KINDS.items()
}
# Resource Graph shows no row of a type that the caller may not read, and does not say so.  Those of the last two kinds
# are no operations of the provider, so that only a wildcard permits them, as Security Reader has it
# (learn.microsoft.com/azure/role-based-access-control/permissions/security).
OPERATION_OF_KIND: Mapping[str, str] = {
    "Alerts": "Microsoft.Security/locations/alerts/read",
    "Assessments": "Microsoft.Security/assessments/read",
    "SubAssessments": "Microsoft.Security/assessments/subAssessments/read",
    "SecureScores": "Microsoft.Security/secureScores/read",
    "SecureScoreControls": "Microsoft.Security/secureScores/secureScoreControls/read",
    "RegulatoryComplianceAssessment": (
        "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
        "/regulatoryComplianceAssessments/read"
    ),
    "AttackPaths": "Microsoft.Security/attackPaths/read",
}
_KIND_OF_TYPE = {record_type: kind for kind, record_type in TYPE_OF_KIND.items()}

# The exporter's names of what the alerts API calls otherwise.
_ALERT_NAMES = {
    "timegeneratedutc": "TimeGenerated",
    "processingendtimeutc": "ProcessingEndTime",
    "status": "Status",
}
# The defender plans that are not paid for; Resource Graph has every plan of every subscription.
_PLANS_OFF = """
securityresources
| where type =~ 'microsoft.security/pricings' and properties.pricingTier =~ 'Free'
| summarize plans = make_set(name) by subscriptionId
| order by subscriptionId asc
""".strip()
_DATES = {
    "Assessments": ("status", "statusChangeDate"),
    "SubAssessments": ("timeGenerated",),
}
SUBSCRIPTIONS_A_QUERY = 100
ASKED_AT_ONCE = 8
"""Subscriptions whose roles are asked for at the same time."""
_SHOWN_IDS = 5


def query(kinds: Iterable[str]) -> str:
    """The query for the present records of some kinds, each named after its streaming event source."""
    types = ", ".join(f"'{TYPE_OF_KIND[kind]}'" for kind in sorted(set(kinds)))
    return (
        f"securityresources\n| where type in~ ({types})\n"
        "| project id, name, type, tenantId, subscriptionId, kind, location, tags, properties\n| order by id asc"
    )


def as_exported(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of securityresources as continuous export would send it.

    An alert is flat there, an attack path lies under `attackPath`; everything else has Resource Graph's shape.
    """
    kind = _KIND_OF_TYPE.get(str(row.get("type", "")).lower(), "")
    found = row.get("properties")
    properties = found if isinstance(found, Mapping) else {}
    if kind == "Alerts":
        return _alert(row, properties)
    record = {name: value for name, value in row.items() if name != "subscriptionId" and value not in (None, "")}
    if kind == "AttackPaths":
        record["attackPath"] = record.pop("properties", {})
    return record


def _alert(row: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    record = {_ALERT_NAMES.get(name.lower(), name[:1].upper() + name[1:]): value for name, value in properties.items()}
    if "Status" in record:
        record["Status"] = exported_status(record["Status"])
    record.setdefault("SystemAlertId", row.get("name"))
    if not record.get("AzureResourceId"):
        identifiers = properties.get("resourceIdentifiers") or properties.get("ResourceIdentifiers") or ()
        found = (member(each, "azureResourceId") for each in identifiers if isinstance(each, Mapping))
        record["AzureResourceId"] = next((each for each in found if each), f"/subscriptions/{row['subscriptionId']}")
    return record


class Found(NamedTuple):
    """A present record: where it is, its row's id in Resource Graph, and its exported form."""

    subscription: str
    kind: str
    id: str
    record: dict[str, Any]


@dataclass
class Gaps:
    """What may be missing: reasons, and why the records of some subscriptions and kinds could not be seen at all."""

    reasons: list[str] = field(default_factory=list)
    unreadable: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """All of it in sentences, each once, however many subscriptions it concerns."""
        kinds = sorted({f"{kind} of some subscriptions: {why}" for (_, kind), why in self.unreadable.items()})
        return [*dict.fromkeys(self.reasons), *kinds]


class PresentRecords:
    """Reads present records, in few queries: up to 100 subscriptions each, in a fixed order.

    Where a subscription shows none of a kind, the app's roles there tell whether it could have seen any.
    """

    def __init__(self, graph: Graph, permissions: OwnPermissions) -> None:
        self._graph = graph
        self._permissions = permissions

    async def read(
        self, kinds: Sequence[str], subscriptions: Sequence[str], gaps: Gaps, deadline: Deadline | None = None
    ) -> AsyncIterator[Found]:
        """Each present record, in one order every time; what may be missing goes to `gaps`."""
        for start in range(0, len(subscriptions), SUBSCRIPTIONS_A_QUERY):
            chosen = subscriptions[start : start + SUBSCRIPTIONS_A_QUERY]
            async for page in self.pages(kinds, chosen, gaps, deadline):
                for each in page:
                    yield each
            if deadline is not None and deadline.left <= 0 and start + SUBSCRIPTIONS_A_QUERY < len(subscriptions):
                gaps.reasons.append("there was no time left to read what is present in every subscription")
                return

    async def pages(
        self,
        kinds: Sequence[str],
        subscriptions: Sequence[str],
        gaps: Gaps,
        deadline: Deadline | None = None,
        *,
        skip: int = 0,
    ) -> AsyncIterator[list[Found]]:
        """The same of at most 100 subscriptions, as pages come, without the first `skip` records."""
        seen: set[tuple[str, str]] = set()
        pages = self._graph.pages(query(kinds), subscriptions=subscriptions, deadline=deadline, skip=skip)
        async for page in pages:
            found = [
                Found(
                    str(row["subscriptionId"]).lower(),
                    _KIND_OF_TYPE[str(row["type"]).lower()],
                    str(row["id"]),
                    as_exported(row),
                )
                for row in page
            ]
            seen.update((each.subscription, each.kind) for each in found)
            yield found
        gaps.reasons.extend(pages.reasons)
        if not pages.reasons:
            absent = [(one.lower(), kind) for one in subscriptions for kind in kinds]
            await self._explain([place for place in absent if place not in seen], gaps, deadline)

    async def _explain(self, absent: Sequence[tuple[str, str]], gaps: Gaps, deadline: Deadline | None) -> None:
        """Note the places without records where the app could have seen none."""
        by_subscription: dict[str, list[str]] = defaultdict(list)
        for subscription, kind in absent:
            by_subscription[subscription].append(kind)
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(subscription: str, kinds: Sequence[str]) -> None:
            async with gate:
                found = await self._unreadable(subscription, kinds, deadline)
            gaps.unreadable.update({(subscription, kind): why for kind, why in found.items()})
            if found:
                log.warning("can't read %s of %s: %s", ", ".join(found), subscription, next(iter(found.values())))

        await asyncio.gather(*(ask(*each) for each in by_subscription.items()))

    async def _unreadable(self, subscription: str, kinds: Sequence[str], deadline: Deadline | None) -> dict[str, str]:
        """Why the app could not have seen records of some kinds, of those where that is so."""
        from azure.core.exceptions import AzureError

        operations = {kind: OPERATION_OF_KIND[kind] for kind in kinds}
        try:
            lacking = await self._permissions.lacking(subscription, operations.values(), deadline)
        except AzureError as error:
            why = f"what this app may read there could not be asked ({status_of(error) or 'no answer'})"
            return dict.fromkeys(kinds, why)
        return {kind: _grant(operation) for kind, operation in operations.items() if operation in lacking}

    async def plans_off(self, subscriptions: Sequence[str]) -> dict[str, frozenset[str]]:
        """The Defender plans that are known to be off, by subscription in lower case."""
        narrowed = list(subscriptions) if len(subscriptions) <= SUBSCRIPTIONS_A_QUERY else None
        answer = await self._graph.query(_PLANS_OFF, subscriptions=narrowed)
        return {str(row["subscriptionId"]).lower(): frozenset(row["plans"]) for row in answer.rows}


def _grant(operation: str) -> str:
    return f"this app's roles there lack {operation}; Microsoft.Security/*/read of the deployed role permits it"


def dated(kind: str, record: Mapping[str, Any]) -> datetime | None:
    """Since when a present record is as it is; None where records of its kind carry no date, or this one none."""
    value: Any = member(record, "properties")
    for name in _DATES.get(kind, ()):
        value = member(value, name) if isinstance(value, Mapping) else None
    try:
        moment = datetime.fromisoformat(value) if kind in _DATES else None
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


class Sent(NamedTuple):
    """Whether a record is sent when it changes, and with each snapshot."""

    streamed: bool = False
    in_snapshot: bool = False


@dataclass
class Count:
    """How many present records one rule set of one source lets through, with a few of their ids."""

    event_source: str
    rule_set: int | None
    filter: str
    records: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one more record."""
        self.records += 1
        if len(self.examples) < _SHOWN_IDS:
            self.examples.append(str(member(record, "id") or member(record, "SystemAlertId") or ""))


class Tally:
    """How many records each rule set of some sources would send; a record counts once for each that does.

    `described` has one phrase per source; what `holds` denies is read and sent by none.  A source without rule sets has
    one line, with no rule set's number.  Present records belong to no snapshot, so a rule set that a source and its
    snapshot share is asked once.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        described: Sequence[str],
        holds: Callable[[Mapping[str, Any]], bool] = lambda _: True,
    ) -> None:
        self._holds = holds
        self.records = 0
        self.sent = 0
        self.counts: list[Count] = []
        self._asked: dict[str, dict[tuple[RuleSet, ...], tuple[Source, list[Count]]]] = {}
        for source, phrase in zip(sources, described, strict=True):
            of_kind = self._asked.setdefault(source.event_source.removesuffix(SNAPSHOT), {})
            for index in _lines(source):
                line = Count(source.event_source, None if not source.rule_sets else index, phrase)
                only = _only(source, index)
                of_kind.setdefault(only.rule_sets, (only, []))[1].append(line)
                self.counts.append(line)

    def add(self, kind: str, record: Mapping[str, Any]) -> Sent:
        """Count one more record, and tell how it is sent."""
        self.records += 1
        if not self._holds(record):
            return Sent()
        asked = self._asked.get(kind, {}).values()
        sending = [line for source, lines in asked if accepts(source, record) for line in lines]
        self.sent += bool(sending)
        for line in sending:
            line.add(record)
        in_snapshot = sum(line.event_source.endswith(SNAPSHOT) for line in sending)
        return Sent(streamed=in_snapshot < len(sending), in_snapshot=in_snapshot > 0)


def _lines(source: Source) -> range:
    return range(len(source.rule_sets) or 1)


def _only(source: Source, index: int) -> Source:
    return Source(source.event_source, source.rule_sets[index : index + 1])
