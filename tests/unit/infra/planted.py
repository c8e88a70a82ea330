"""Rows planted in a local workspace at a time of their own, and Sentinel's content asked over them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa

from local.streams import ARROW_TYPES
from local.workspace import Workspace
from shared.enrich.tables import BY_NAME, Column
from tools.sentinel import Content, parsers, rule_properties

NOW = datetime(2026, 11, 26, 12, 5, tzinfo=UTC)
OWN = "prod"
SUB = "0a1b2c3d-0000-4000-8000-000000000001"
OTHER_SUB = "0a1b2c3d-0000-4000-8000-000000000002"
FUNCTIONS = [f"{parser.name}({parser.options['Parameters']}) {{ {parser.text} }}" for parser in parsers()]


class Planted(NamedTuple):
    """A row of a table, with the age of its TimeGenerated, and of its arrival where that is another."""

    table: str
    age: timedelta
    values: Mapping[str, Any]
    arrived: timedelta | None = None


def check(age: timedelta, **values: Any) -> Planted:
    """A verdict on freshness, good in every way but those given."""
    good = {"InstanceId": OWN, "CheckName": "freshness", "Verdict": "fresh", "RecordKind": "Alerts", "Reason": ""}
    about = {"SubscriptionId": SUB, "SubscriptionName": "one", "LastSeen": NOW - timedelta(days=12)}
    return Planted("DefenderExportHealth_CL", age, good | about | values)


def run(age: timedelta, **values: Any) -> Planted:
    """A run of the timer's, good in every way but those given."""
    good = {"InstanceId": OWN, "Trigger": "timer", "Mode": "apply", "Outcome": "Succeeded", "Complete": True}
    counts = {"Guard": "", "Reason": "", "Updated": 0, "RunId": "r", "ReportName": "report"}
    return Planted("DefenderExportRuns_CL", age, good | counts | values)


def record(table: str, age: timedelta, arrived: timedelta | None = None, **values: Any) -> Planted:
    """A record's row; what tells it from others is given."""
    when = NOW - age
    base = {
        "EventTime": when,
        "EnqueuedTime": when,
        "Action": "Write",
        "SubscriptionId": SUB,
        "SubscriptionName": "one",
    }
    return Planted(table, age, base | values, arrived)


def moment(value: Any) -> Any:
    """A date of a golden row as Arrow takes it."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def columns(table: str, rows: list[Planted], now: datetime) -> pa.Table:
    """Rows with every column of their table; what is not given is null."""
    known = BY_NAME[table].columns
    names = {column.name for column in known}
    assert all(row.values.keys() <= names for row in rows), [row.values.keys() - names for row in rows]

    def cell(column: Column, row: Planted) -> Any:
        value = now - row.age if column.name == "TimeGenerated" else row.values.get(column.name)
        if column.type == "datetime":
            return moment(value)
        return json.dumps(value) if column.type == "dynamic" and value is not None else value

    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in known])
    return pa.table({column.name: [cell(column, row) for row in rows] for column in known}, schema=schema)


async def plant(workspace: Workspace, rows: Iterable[Planted], now: datetime = NOW) -> None:
    """Store rows, each as received at its own time."""
    batches: dict[tuple[str, datetime], list[Planted]] = {}
    for row in rows:
        received = now - (row.age if row.arrived is None else row.arrived)
        batches.setdefault((row.table, received), []).append(row)
    for (table, received), batch in batches.items():
        await workspace.append(table, lambda table=table, batch=batch: columns(table, batch, now), received)  # type: ignore[misc]


async def ask(
    workspace: Workspace, text: str, now: datetime = NOW, window: timedelta | None = None
) -> list[dict[str, Any]]:
    """What a query answers at a time, over its window."""
    span = (now - window, now) if window else (None, None)
    found = await workspace.kql(text, span, now)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def for_instance(rule: Content, instance: str = OWN, critical: Iterable[str] = ("critical", "high")) -> str:
    """A rule's query as it is deployed."""
    return rule.text.replace("{InstanceId}", instance).replace(
        "{CriticalValues}", f"dynamic({json.dumps([*critical])})"
    )


def window_of(rule: Content) -> timedelta:
    """A rule's queryPeriod."""
    text = rule_properties(rule)["queryPeriod"]
    number = int("".join(filter(str.isdigit, text)))
    return timedelta(hours=number) if text.startswith("PT") else timedelta(days=number)
