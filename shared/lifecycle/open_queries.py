"""What is asked of the workspace: which records are open by the tables, with their newest row of DefenderGone_CL.

Open is, of the newest row per record, what is Unhealthy, or an attack path that is there at all.  Records that ended
lately are told too, since they may be back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.enrich import record_functions
from shared.enrich.tables import BY_KIND
from shared.exports.retired_recommendations import RETIRED
from shared.lifecycle.gone_rows import GONE_TABLE
from shared.lifecycle.slices import Slice

LOOKBACK = timedelta(days=730)
BACK = timedelta(days=30)
"""For so long after its end a record is looked for; what comes back later is exported anew."""
_RETIRED_IDS = ", ".join(f"'{each}'" for each in RETIRED)
_EARLIEST = "datetime(1970-01-01)"
_NAME = "extract('[^/]+$', 0, RecordId)"


@dataclass(frozen=True)
class WatchedKind:
    """A kind of record that ends without an event.

    Args:
        name: RecordKind in the tables.
        source: its streaming event source, by which Resource Graph's types are known.
        columns: what the conditions need of a row.
        chosen: which records end so.
        open: when a row says that the record is open.
        since: when a row says that it became so; null where rows don't say.
        retired: when a row is of the model that Microsoft retired.
    """

    name: str
    source: str
    columns: tuple[str, ...]
    chosen: str
    open: str
    since: str
    retired: str


WATCHED = (
    WatchedKind(
        "Assessment",
        "Assessments",
        ("RecommendationState", "RecommendationId", "AssessmentType", "StatusChangeDate"),
        "AssessmentType =~ 'DynamicBuiltIn' or RetiredModel",
        "RecommendationState =~ 'Unhealthy'",
        "StatusChangeDate",
        f"RecommendationId in ({_RETIRED_IDS})",
    ),
    WatchedKind(
        "SubAssessment",
        "SubAssessments",
        ("RecommendationState",),
        "true",
        "RecommendationState =~ 'Unhealthy'",
        "datetime(null)",
        "true",
    ),
    WatchedKind("AttackPath", "AttackPaths", (), "true", "true", "datetime(null)", "false"),
)
SOURCE_OF_KIND = {each.name: each.source for each in WATCHED}
_SPINE = (
    "TimeGenerated", "EventTime", "RecordId", "Action", "SubscriptionId", "EnqueuedTime", "SequenceNumber",
)  # fmt: skip


def counting(kind: WatchedKind, now: datetime) -> str:
    """How many records of a kind to look for, by subscription and model, open ones, and those missing once."""
    return f"""{_standing(kind, (), now)}
| summarize Records = count(), Open = countif(not(Ended)), Missing = countif(Mark == 'Missing')
    by SubscriptionId, RetiredModel"""


def listing(kind: WatchedKind, part: Slice, now: datetime) -> str:
    """The records of a kind in a slice, a row for each."""
    named = ", ".join(f"'{each}'" for each in part.subscriptions)
    where = [f"SubscriptionId in ({named})", part.condition(_NAME)]
    return f"""{_standing(kind, [step for step in where if step], now)}
| join kind=leftouter (Rows
    | join kind=leftouter EndedBefore on RecordId
    | where isnull(EndedTime) or EnqueuedTime > EndedTime
    | summarize FirstRow = min(EnqueuedTime) by RecordId) on RecordId
| join kind=leftouter EndedBefore on RecordId
| join kind=leftouter (Marks
    | where Action == 'Back'
    | join kind=inner EndedBefore on RecordId
    | where TimeGenerated > EndedTime
    | summarize Returned = min(TimeGenerated) by RecordId) on RecordId
| extend OfItself = Since > {_EARLIEST} and Since < LastSeen + 1d and (isnull(EndedTime) or Since > EndedTime)
| extend Again = iff(isnull(FirstRow) or Returned < FirstRow, Returned, FirstRow)
| extend FirstSeen = iff(isnotnull(Since) and OfItself, Since, coalesce(Again, LastSeen))
| project RecordId, SubscriptionId, FirstSeen, LastSeen, RetiredModel, Mark, MarkSince, MarkWritten"""


def _standing(kind: WatchedKind, where: Iterable[str], now: datetime) -> str:
    """The current rows of what is looked for, with the mark that still says something."""
    oldest = f"datetime({(now - LOOKBACK).isoformat()})"
    narrowed = [f"where {each}" for each in where]
    columns = ", ".join((*_SPINE, *kind.columns))
    rows = record_functions.current(BY_KIND[kind.name].name, *narrowed, f"project {columns}")
    marks = [
        GONE_TABLE,
        f"where TimeGenerated > {oldest}",
        *narrowed,
        f"where RecordKind == '{kind.name}'",
    ]
    return f"""let Marks = {" | ".join(marks)};
let EndedBefore = Marks | where Action in ('Gone', 'Retired') | summarize EndedTime = max(TimeGenerated) by RecordId;
{rows.replace("ago(lookback)", oldest)}
| extend RetiredModel = {kind.retired}
| where ({kind.chosen}) and ({kind.open})
| project RecordId, SubscriptionId, LastSeen = EnqueuedTime, Since = {kind.since}, RetiredModel
| join kind=leftouter (Marks
    | summarize arg_max(TimeGenerated, Action, GoneTime) by RecordId
    | project RecordId, MarkAction = Action, MarkSince = GoneTime, MarkWritten = TimeGenerated) on RecordId
| extend Mark = iff(isnull(MarkWritten) or MarkWritten < LastSeen, '', MarkAction)
| extend Ended = Mark in ('Gone', 'Retired')
| where not(Ended) or MarkWritten > datetime({(now - BACK).isoformat()})"""
