"""The KQL of the functions over tables of records, which sees the same rows under every time range of the portal.

The portal's range stands aside where a query filters TimeGenerated itself, which these functions do; the range of an
API call (`timespan`) is applied in addition, so callers leave it out.
"""

from __future__ import annotations

from shared.enrich.tables import BY_KIND, NOT_SIMULATED

LOOKBACK = "lookback: timespan = 730d"
"""The parameter that every function has; Log Analytics keeps rows for queries 730 days at most."""
SIMULATED = "simulated: bool = false"
"""The parameter that asks for simulated alerts too, of functions that show alerts."""
NO_SIMULATED = f"where simulated or {NOT_SIMULATED}"
_BEFORE = "datetime(1970-01-01)"
"""Earlier than any state: .NET's first date, which stands for no date, lies before it."""


_EVENT = "strcat(PartitionId, '/', tostring(SequenceNumber), '/', RecordId)"
_LATER_IN_ONE_MOMENT = "(EnqueuedTime == GoneTime and SequenceNumber > GoneNumber)"


def in_order(without: str = "EnqueuedTime") -> str:
    """A row's place among others of its record: its own time, or `without` where that is no date that can be."""
    return f"iff(EventTime > EnqueuedTime + 1d or EventTime < {_BEFORE}, {without}, EventTime)"


def parameters(table: str) -> str:
    """The parameters of the functions over a table."""
    return f"{LOOKBACK}, {SIMULATED}" if _shows_alerts(table) else LOOKBACK


def _shows_alerts(table: str) -> bool:
    return table == BY_KIND["Alert"].name


def _without_simulated(table: str) -> list[str]:
    return [NO_SIMULATED] if _shows_alerts(table) else []


def distinct(table: str) -> str:
    """One row per RecordKey, and one per record and event, so that what was read by two releases counts once.

    A backfill's rows come from no event; they are told apart by their keys alone.
    """
    steps = [
        table,
        "where TimeGenerated > ago(lookback)",
        *_without_simulated(table),
        f"extend FromEvent = iff(isempty(PartitionId), RecordKey, {_EVENT})",
        "summarize arg_min(EnqueuedTime, *) by FromEvent, EventTime",
        "summarize arg_min(EnqueuedTime, *) by RecordKey",
        "project-away FromEvent",
    ]
    return "\n| ".join(steps)


def current(table: str, *narrowed: str) -> str:
    """The newest row per record, deleted ones left out; `narrowed` are steps that come before everything else.

    A delete hides what was enqueued before it, and what came after it but tells an older state.  Rows that were
    enqueued at one moment go by their number in the partition.
    """
    return "\n".join(
        (
            f"let Rows = {table}",
            "| where TimeGenerated > ago(lookback)",
            *(f"| {step}" for step in (*_without_simulated(table), *narrowed)),
            f"| extend OrderTime = {in_order()};",
            "let Gone = Rows",
            "| where Action == 'Delete'",
            f"| extend GoneOrder = {in_order(_BEFORE)}",
            "| summarize arg_max(SequenceNumber, GoneOrder) by RecordId, GoneTime = EnqueuedTime",
            "| summarize arg_max(GoneTime, SequenceNumber, GoneOrder) by RecordId",
            "| project RecordId, GoneTime, GoneNumber = SequenceNumber, GoneOrder;",
            "Rows",
            "| where isempty(Action) or Action != 'Delete'",
            "| summarize arg_max(SequenceNumber, *) by RecordId, OrderTime, EnqueuedTime",
            "| join kind=leftouter Gone on RecordId",
            f"| where isnull(GoneTime) or EnqueuedTime > GoneTime or {_LATER_IN_ONE_MOMENT}",
            "| where isnull(GoneTime) or OrderTime >= GoneOrder",
            "| summarize arg_max(EnqueuedTime, *) by RecordId, OrderTime",
            "| summarize arg_max(OrderTime, *) by RecordId",
            "| project-away OrderTime, RecordId1, GoneTime, GoneNumber, GoneOrder",
        )
    )
