"""The shipped functions and queries, executed over a history with late, deleted and future-dated rows.

Each is asked without a range, and as the portal asks under 24 hours and under 7 days: its range is left out where the
query, or a function that it calls, filters TimeGenerated itself ("Set in query").  The right values are written down.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from local.streams import Losses, Stream
from local.workspace import Result, Workspace
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.enrich.tables import BY_NAME, TABLES, Column, Table
from tools.infra import Query, library, saved_functions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

NOW = datetime.now(UTC).replace(microsecond=0)
SUB = "0a1b2c3d-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUB}/resourceGroups/rg/providers"
MACHINES = f"{GROUP}/Microsoft.Compute/virtualMachines"
USAGE = Table(
    "Usage",
    (
        Column("TimeGenerated", "datetime", "When."),
        Column("DataType", "string", "Table."),
        Column("Quantity", "real", "Megabytes."),
    ),
    "Usage",
    "Azure's own table.",
)
RANGES = {"no range": None, "24 hours": timedelta(hours=24), "7 days": timedelta(days=7)}
EVERY_RANGE = pytest.mark.parametrize("range_", RANGES.values(), ids=RANGES)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def stamp(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def assessment(
    machine: str,
    code: str,
    changed: datetime | str,
    *,
    action: str = "Write",
    severity: str = "High",
    **properties: Any,
) -> dict[str, Any]:
    resource = f"{MACHINES}/{machine}"
    metadata = {"severity": severity, "recommendationCategory": properties.pop("category", None)}
    return {
        "type": "Microsoft.Security/assessments",
        "id": f"{resource}/providers/Microsoft.Security/assessments/r1",
        "name": "r1",
        "properties": {
            "displayName": "Update it",
            "resourceDetails": {"source": "Azure", "id": resource},
            "status": {"code": code, "statusChangeDate": stamp(changed), "firstEvaluationDate": stamp(changed)},
            "metadata": {name: value for name, value in metadata.items() if value},
            **properties,
        },
        "securityEventDataEnrichment": {"action": action, "isSnapshot": False},
    }


def finding(machine: str, severity: str, cve: str, at: datetime, score: float, *, patchable: bool) -> dict[str, Any]:
    resource = f"{MACHINES}/{machine}"
    return {
        "type": "Microsoft.Security/assessments/subAssessments",
        "id": f"{resource}/providers/Microsoft.Security/assessments/r2/subAssessments/{cve}",
        "name": cve,
        "properties": {
            "id": cve,
            "displayName": "A finding",
            "resourceDetails": {"source": "Azure", "id": resource},
            "status": {"code": "Unhealthy", "severity": severity},
            "timeGenerated": stamp(at),
            "additionalData": {"cve": [{"title": cve, "cvssScore": score}], "patchable": patchable},
        },
    }


def score(points: float, name: str = "ascScore") -> dict[str, Any]:
    return {
        "type": "Microsoft.Security/secureScores",
        "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/secureScores/{name}",
        "name": name,
        "properties": {"score": {"max": 50, "current": points, "percentage": points / 50}, "weight": 1},
    }


def control(points: float, unhealthy: int | None) -> dict[str, Any]:
    return {
        "type": "Microsoft.Security/secureScores/secureScoreControls",
        "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/secureScores/ascScore/secureScoreControls/c1",
        "name": "c1",
        "properties": {
            "displayName": "Apply updates",
            "unhealthyResourceCount": unhealthy,
            "score": {"max": 6, "current": points, "percentage": points / 6},
        },
    }


def alert(name: str, severity: str, status: str = "New", **changes: Any) -> dict[str, Any]:
    return {
        "SystemAlertId": name,
        "Severity": severity,
        "Status": status,
        "AlertDisplayName": name,
        "Intent": "Persistence",
        "StartTimeUtc": stamp(ago(days=5)),
        "ProcessingEndTime": stamp(ago(days=5)),
        "AzureResourceId": f"{MACHINES}/vm1",
        **changes,
    }


CVE = [{"CveId": "CVE-2026-1001", "Cvss": [{"Key": "3", "Value": {"Base": 9.8}}], "FixStatus": "FixAvailable"}]
SOFTWARE = {"CvesDetails": json.dumps(CVE)}
# when it was enqueued, and the record
HISTORY: list[tuple[datetime, dict[str, Any]]] = [
    # healed 30 hours ago; an older state arrives late, 2 hours ago
    (ago(hours=30), assessment("healed", "Healthy", ago(hours=30))),
    (ago(hours=2), assessment("healed", "Unhealthy", ago(days=20))),
    # unhealthy since the snapshot of 6 days ago
    (ago(days=6), assessment("quiet", "Unhealthy", ago(days=100), severity="Critical")),
    # deleted, then an older state late; deleted, then there again
    (ago(days=3), assessment("gone", "Unhealthy", ago(days=9))),
    (ago(days=2), assessment("gone", "Unhealthy", ago(days=9), action="Delete")),
    (ago(days=1), assessment("gone", "Healthy", ago(days=11))),
    (ago(days=3), assessment("back", "Unhealthy", ago(days=9))),
    (ago(days=2), assessment("back", "Unhealthy", ago(days=9), action="Delete")),
    (ago(hours=20), assessment("back", "Unhealthy", ago(hours=20), severity="Low")),
    # deletes out of order: enqueued at one moment, told apart by their number
    (ago(days=2), assessment("tie", "Healthy", ago(days=2))),
    (ago(days=2), assessment("tie", "Healthy", ago(days=2), action="Delete")),
    # .NET's ends and a date of the future
    (ago(days=4), assessment("endless", "Unhealthy", "9999-12-31T23:59:59Z")),
    (ago(days=3), assessment("endless", "Healthy", ago(days=3))),
    (ago(days=4), assessment("endless gone", "Unhealthy", "9999-12-31T23:59:59Z")),
    (ago(days=3), assessment("endless gone", "Unhealthy", "0001-01-01T00:00:00Z", action="Delete")),
    (ago(days=5), assessment("dateless", "Unhealthy", "0001-01-01T00:00:00Z", severity="Extreme")),
    (ago(days=4), assessment("future", "Unhealthy", NOW + timedelta(days=300), severity="Medium")),
    (ago(days=3), assessment("future", "Healthy", ago(days=3))),
    # two states of one moment: the later in the partition holds
    (ago(days=2), assessment("twice", "Healthy", ago(days=2), risk={"level": "Low"})),
    (ago(days=2), assessment("twice", "Unhealthy", ago(days=2), risk={"level": "High"})),
    # individual recommendations with CVEs, and a finding of the old model
    (
        ago(days=1),
        assessment(
            "vm1", "Unhealthy", ago(days=1), severity="Critical", category="SoftwareUpdate", additionalData=SOFTWARE
        ),
    ),
    (
        ago(days=1),
        assessment(
            "vm2", "Unhealthy", ago(days=40), severity="Low", category="SoftwareUpdate", additionalData=SOFTWARE
        ),
    ),
    (ago(days=3), finding("vm3", "Unknown", "CVE-2026-1002", ago(days=3), 4.0, patchable=False)),
    (ago(days=3), finding("vm3", "High", "CVE-2026-1001", ago(days=3), 9.8, patchable=True)),
    (ago(days=3), finding("vm3", "Medium", "CVE-2026-1003", ago(days=3), 5.0, patchable=True)),
    # scores: one that moves by exactly 0.01
    (ago(days=20), score(23.44)),
    (ago(days=10), score(23.45)),
    (ago(days=5), score(23.45)),
    (ago(days=2), score(30.0)),
    (ago(days=5), control(4.0, 7)),
    (ago(days=2), control(3.0, 9)),
    (ago(days=1), control(3.5, None)),
    # alerts
    (ago(days=5), alert("open", "High")),
    (ago(days=5), alert("read back", "Medium", "Active")),
    (ago(days=5), alert("odd", "Catastrophic")),
    (ago(days=5), alert("small", "Low")),
    (ago(days=5), alert("done", "High")),
    (ago(days=4), alert("done", "High", "Resolved", ProcessingEndTime=stamp(ago(days=4)))),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workspace() -> AsyncIterator[Workspace]:
    async with Workspace(tables=[*TABLES, USAGE]) as opened:
        for number, (enqueued, record) in enumerate(HISTORY):
            event = Event(json.dumps(record).encode(), enqueued, "0", number)
            (row,) = Parser().parse([event], enqueued).rows  # read when it arrived
            await insert(opened, row.table, [json.loads(row.json)], enqueued)
        day = ago(days=1)
        await opened.sql("INSERT INTO \"Usage\" VALUES (?, 'DefenderAlerts_CL', 2500.0, NULL, NULL, NULL)", [day])
        yield opened


async def insert(workspace: Workspace, table: str, rows: list[dict[str, Any]], received: datetime) -> None:
    stream, losses = Stream(BY_NAME[table]), Losses()
    read = stream.read(json.dumps(rows).encode(), losses)
    await workspace.append(table, partial(stream.columns, read, received, losses), received)
    assert not losses


def text(kql: str) -> str:
    """The text that the local workspace executes; when a row was stored is a column there."""
    return kql.replace("ingestion_time()", "_TimeReceived")


BODIES = {query.name: query.text for query in saved_functions()}
PARAMETERS = {query.name: query.parameters for query in saved_functions()}


def sets_its_time(kql: str) -> bool:
    """Whether a query, or each function that it calls, filters TimeGenerated itself."""
    if re.search(r"\bTimeGenerated\s*[<>]", kql):
        return True
    names = [name for name in BODIES if re.search(rf"\b{name}\s*\(", kql)]
    return bool(names) and all(sets_its_time(BODIES[name]) for name in names)


def called(kql: str) -> list[str]:
    """Definitions of the functions that a query calls, and of those that they call: each takes long to parse."""
    names = [name for name in BODIES if re.search(rf"\b{name}\s*\(", kql)]
    inner = [definition for name in names for definition in called(BODIES[name])]
    own = [f"function {name}({PARAMETERS[name]}) {{ {text(BODIES[name])} }}" for name in names]
    return list(dict.fromkeys([*inner, *own]))


async def portal(workspace: Workspace, kql: str, range_: timedelta | None) -> Result:
    """What the portal shows under a range."""
    span = (NOW - range_, None) if range_ and not sets_its_time(kql) else (None, None)
    workspace.functions = called(kql)
    return await workspace.kql(text(kql), span)


def records(result: Result) -> list[dict[str, Any]]:
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


async def shown(workspace: Workspace, name: str, range_: timedelta | None) -> list[dict[str, Any]]:
    query = next(query for query in library() if query.name == name)
    return records(await portal(workspace, query.text, range_))


@EVERY_RANGE
async def test_current_is_what_holds_now(workspace: Workspace, range_: timedelta | None) -> None:
    rows = records(await portal(workspace, "DefenderAssessments_Current()", range_))
    assert {row["ResourceName"]: row["RecommendationState"] for row in rows} == {
        "healed": "Healthy",
        "quiet": "Unhealthy",
        "back": "Unhealthy",
        "endless": "Healthy",
        "dateless": "Unhealthy",
        "future": "Healthy",
        "twice": "Unhealthy",
        "vm1": "Unhealthy",
        "vm2": "Unhealthy",
    }
    assert len(rows) == 9
    assert set(rows[0]) >= {column.name for column in BY_NAME["DefenderAssessments_CL"].columns}
    assert not {"OrderTime", "GoneTime", "GoneOrder", "GoneNumber", "RecordId1"} & set(rows[0])


@pytest.mark.parametrize(("lookback", "names"), [("30h", {"back", "vm1", "vm2", "healed"}), ("1h", set())])
async def test_the_look_back_is_a_parameter(workspace: Workspace, lookback: str, names: set[str]) -> None:
    rows = records(await portal(workspace, f"DefenderAssessments_Current({lookback})", None))
    assert {row["ResourceName"] for row in rows} - {"gone"} == names


@EVERY_RANGE
async def test_distinct_has_each_change_once(workspace: Workspace, range_: timedelta | None) -> None:
    (row,) = records(await portal(workspace, "DefenderAssessments_Distinct() | count", range_))
    assert row["Count"] == sum("assessments/r1" in str(record.get("id")) for _, record in HISTORY)


async def test_distinct_counts_once_what_two_releases_read(workspace: Workspace) -> None:
    enqueued = ago(days=1)
    events = [Event(json.dumps(score(1.0, f"custom{n}")).encode(), enqueued, "7", n) for n in range(40)]
    rows = [json.loads(row.json) for row in Parser().parse(events, enqueued).rows]
    async with Workspace(functions=called("DefenderSecureScores_Distinct()")) as opened:
        for prefix in ("", "old "):  # the same events, by a release with other keys
            own = [row | {"RecordKey": prefix + row["RecordKey"]} for row in rows]
            await insert(opened, "DefenderSecureScores_CL", own, enqueued)
        again = [row | {"PartitionId": "3", "SequenceNumber": 900 + n} for n, row in enumerate(rows)]
        await insert(opened, "DefenderSecureScores_CL", again, enqueued)
        backfilled = [
            row | {"RecordKey": f"b{n}", "PartitionId": "", "SequenceNumber": 0} for n, row in enumerate(rows)
        ]
        for day in ("1", "2"):  # have no event: their keys alone tell them apart
            own = [row | {"RecordKey": row["RecordKey"] + day} for row in backfilled]
            await insert(opened, "DefenderSecureScores_CL", own, enqueued)
        everything = await opened.kql("DefenderSecureScores_CL | count")
        distinct = await opened.kql("DefenderSecureScores_Distinct() | where PartitionId != '' | count")
        without_event = await opened.kql("DefenderSecureScores_Distinct() | where isempty(PartitionId) | count")
    assert everything.rows == [(200,)]
    assert 40 <= distinct.rows[0][0] <= 80  # the copies from another place have the new key alone
    assert without_event.rows == [(80,)]


@EVERY_RANGE
async def test_open_high_recommendations(workspace: Workspace, range_: timedelta | None) -> None:
    (row,) = await shown(workspace, "open-high-recommendations-by-owner", range_)
    assert (row["Open"], row["Critical"], row["High"], row["OtherSeverity"]) == (4, 2, 1, 1)


@EVERY_RANGE
async def test_recommendations_by_category(workspace: Workspace, range_: timedelta | None) -> None:
    rows = await shown(workspace, "open-recommendations-by-category", range_)
    assert {(row["Category"], row["Severity"]): row["Open"] for row in rows} == {
        ("none", "Critical"): 1,
        ("none", "High"): 1,
        ("none", "Low"): 1,
        ("none", "Extreme"): 1,
        ("SoftwareUpdate", "Critical"): 1,
        ("SoftwareUpdate", "Low"): 1,
    }


@EVERY_RANGE
async def test_cves_of_both_models(workspace: Workspace, range_: timedelta | None) -> None:
    rows = {row["CveId"]: row for row in await shown(workspace, "most-widespread-cves", range_)}
    assert {cve: (row["Resources"], row["Patchable"], row["CvssScore"]) for cve, row in rows.items()} == {
        "CVE-2026-1001": (3, 3, 9.8),
        "CVE-2026-1002": (1, 0, 4.0),
        "CVE-2026-1003": (1, 1, 5.0),
    }


@EVERY_RANGE
async def test_new_critical_findings(workspace: Workspace, range_: timedelta | None) -> None:
    rows = await shown(workspace, "new-critical-findings-with-cve", range_)
    assert {(row["CveId"], row["ResourceName"], row["RecommendationSeverity"]) for row in rows} == {
        ("CVE-2026-1001", "vm1", "Critical"),
        ("CVE-2026-1001", "vm3", "High"),
        ("CVE-2026-1002", "vm3", "Unknown"),
    }


@EVERY_RANGE
async def test_open_alerts(workspace: Workspace, range_: timedelta | None) -> None:
    rows = await shown(workspace, "open-alerts", range_)
    assert {row["DisplayName"]: row["AlertSeverity"] for row in rows} == {
        "open": "High",
        "read back": "Medium",
        "odd": "Catastrophic",
    }


@EVERY_RANGE
async def test_alerts_by_tactic_shows_every_severity(workspace: Workspace, range_: timedelta | None) -> None:
    rows = await shown(workspace, "alerts-by-tactic", range_)
    assert {row["AlertSeverity"]: row["Alerts"] for row in rows} == {
        "High": 2,
        "Medium": 1,
        "Catastrophic": 1,
        "Low": 1,
    }


@EVERY_RANGE
async def test_changes_of_scores(workspace: Workspace, range_: timedelta | None) -> None:
    rows = records(await portal(workspace, "DefenderSecureScores_Delta() | order by EventTime asc", range_))
    assert [(row["PreviousScore"], row["CurrentScore"], row["Delta"]) for row in rows] == [
        (23.44, 23.45, 0.01),
        (23.45, 30.0, 6.55),
    ]
    rows = await shown(workspace, "score-changes", range_)
    assert [(row["Delta"], row["UnhealthyResources"], row["ControlName"]) for row in rows] == [
        (-1.0, 9, "Apply updates"),
        (0.5, None, "Apply updates"),
    ]


@EVERY_RANGE
async def test_delay_and_volume(workspace: Workspace, range_: timedelta | None) -> None:
    rows = await shown(workspace, "delivery-delay", range_)
    assert {row["TableName"]: row["Worst"] for row in rows}["DefenderAssessments_CL"] == 0
    (row,) = await shown(workspace, "volume-and-cost", range_)
    assert (row["DataType"], row["Gigabytes"]) == ("DefenderAlerts_CL", 2.5)


@pytest.mark.parametrize("query", library(), ids=lambda query: query.name)
async def test_every_query_can_be_executed_and_sets_its_own_time(workspace: Workspace, query: Query) -> None:
    """So that every range of the portal gives what no range gives."""
    assert sets_its_time(query.text)
    answer = await portal(workspace, query.text, timedelta(hours=24))
    assert answer.columns


async def test_a_function_that_does_not_look_back_would_be_found(workspace: Workspace) -> None:
    kql = "DefenderAssessments_CL | summarize arg_max(EventTime, *) by RecordId | where Action != 'Delete' | count"
    whole, ranged = await portal(workspace, kql, None), await portal(workspace, kql, timedelta(hours=24))
    assert not sets_its_time(kql)
    assert whole.rows != ranged.rows
