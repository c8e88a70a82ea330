"""No query, function, rule, parser, panel or trend shows a simulated alert, unless it is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from local.sample_alerts import SAMPLES, sample_alert
from local.workspace import Workspace
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.enrich.tables import NOT_SIMULATED, RECORD_TABLES
from shared.exports.known_values import is_simulated
from shared.watch import trends
from tests.unit.infra.planted import FUNCTIONS, NOW, SUB, Planted, ask, check, for_instance, plant, record
from tests.unit.infra.test_history import called, text
from tools import infra
from tools.sentinel import hunting, parsers, rules
from tools.workbook import queries
from tools.workbook import workbook as posture

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

HOUR = timedelta(hours=1)
ALERTS = "DefenderAlerts_CL"
MACHINE = f"/subscriptions/{SUB}/resourcegroups/rg/providers/microsoft.compute/virtualmachines/web01"
WINDOW = {"since": (NOW - 24 * HOUR).isoformat(), "until": NOW.isoformat(), "minutes": 60}
TEXTS = {
    **{f"query {one.name}": one.text for one in infra.library()},
    **{f"function {one.name}": f"{one.name}()" for one in infra.saved_functions()},
    **{f"panel {title}": kql for title, kql in queries(posture())},
    **{f"alert {one.name}": one.text for one in infra.alerts()},
    **{f"rule {one.name}": for_instance(one) for one in rules()},
    **{f"hunt {one.name}": one.plain_text for one in hunting()},
    **{f"parser {one.name}": f"{one.name}()" for one in parsers()},
    "trend of arrivals": trends.ARRIVALS.format(**WINDOW),
}
"""Everything that ships and is asked of a workspace, by what it is."""
OPEN_TO_ALERTS = {name: kql for name, kql in TEXTS.items() if ALERTS in infra.tables_read(kql) or "parser" in name}


SOME = {
    name: OPEN_TO_ALERTS[name]
    for name in (
        "query open-alerts", "function DefenderAlerts_Current", "panel Rows by table and day", "trend of arrivals",
        "rule high-alert-on-critical-asset", "hunt alerts-on-exploitable-assets",
    )
}  # fmt: skip


def simulated(bundle: str, at: datetime) -> dict[str, Any]:
    """The row that the app's own parser makes of a simulated alert."""
    event = Event(json.dumps(sample_alert(bundle, SUB, "westeurope", at)).encode(), at, "0", 7)
    (row,) = Parser().parse([event], at).rows
    assert row.simulated
    return dict(json.loads(row.json))


def canaries() -> list[Planted]:
    """A row of each bundle, made to stand out wherever alerts are shown."""
    loud: dict[str, Any] = {
        "Criticality": "Critical", "AlertSeverity": "High", "Owner": "web team", "TruncatedColumns": ["Entities"],
        "ResourceId": MACHINE, "ResourceType": "microsoft.compute/virtualmachines", "SubscriptionName": "one",
    }  # fmt: skip
    rows = []
    for number, bundle in enumerate(SAMPLES):
        for action in ("", "Backfill"):
            told = {**simulated(bundle, NOW - HOUR / 4), **loud, "RecordId": f"{bundle}{action}", "Action": action}
            told.pop("TimeGenerated")
            key = {"RecordKey": f"{bundle}{action}", "SequenceNumber": 100 + number}
            rows.append(record(ALERTS, HOUR / 4, **{**told, **key}))
    return rows


def real() -> list[Planted]:
    """One alert that somebody caused, and a silence around it."""
    about = {"AlertType": "VM_Suspicious", "AlertSeverity": "High", "RecordId": "r", "RecordKey": "r", "Status": "New"}
    named = {"DisplayName": "Suspicious activity", "CompromisedEntity": "web01", "RecordKind": "Alert"}
    place: dict[str, Any] = {"ResourceId": MACHINE, "PartitionId": "0", "SequenceNumber": 1, "StartTime": NOW - HOUR}
    exploitable: dict[str, Any] = {
        "RecommendationState": "Unhealthy", "CveIds": ["CVE-2026-1001"], "CvssScore": 9.8, "ResourceId": MACHINE,
        "RecordId": "v", "RecordKey": "v", "RecordKind": "Assessment", "StatusChangeDate": NOW - 72 * HOUR,
    }  # fmt: skip
    return [
        record(ALERTS, HOUR, **{**about, **named, **place}),
        record("DefenderAssessments_CL", 72 * HOUR, **exploitable),
        check(HOUR * 2, Verdict="silent"),
        check(timedelta(minutes=5), Verdict="silent"),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet() -> AsyncIterator[Workspace]:
    async with Workspace() as opened:
        await plant(opened, real())
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sung() -> AsyncIterator[Workspace]:
    async with Workspace() as opened:
        await plant(opened, [*real(), *canaries()])
        yield opened


async def shown(workspace: Workspace, kql: str, functions: list[str]) -> list[str]:
    workspace.functions = functions
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in await ask(workspace, text(kql)))


def functions_of(kql: str) -> list[str]:
    return [f"function {one}" for one in FUNCTIONS] if "CloudExport(" in kql else called(kql)


@pytest.mark.parametrize("name", OPEN_TO_ALERTS)
async def test_what_ships_shows_the_same_with_simulated_alerts_and_without(
    name: str, quiet: Workspace, sung: Workspace
) -> None:
    kql = OPEN_TO_ALERTS[name]
    assert await shown(sung, kql, functions_of(kql)) == await shown(quiet, kql, functions_of(kql))


async def test_without_the_condition_many_would_show_them(quiet: Workspace, sung: Workspace) -> None:
    differs = []
    for name, kql in SOME.items():
        bare, functions = kql.replace(NOT_SIMULATED, "true"), functions_of(kql)
        laid_bare = [one.replace(NOT_SIMULATED, "true") for one in functions]
        if await shown(sung, bare, laid_bare) != await shown(quiet, bare, laid_bare):
            differs.append(name)
    assert {name.split()[0] for name in differs} == {"query", "function", "panel", "rule", "hunt", "trend"}


@pytest.mark.parametrize("function", ["DefenderAlerts_Distinct", "DefenderAlerts_Current", "DefenderRecords_All"])
async def test_who_asks_for_them_sees_them(function: str, sung: Workspace) -> None:
    first = "" if function == "DefenderRecords_All" else "730d, "
    kql = f"{function}({first}true) | where {NOT_SIMULATED.replace('!', '')}"
    sung.functions = called(kql)
    found = await ask(sung, text(kql))
    assert {row["RecordId"].removesuffix("Backfill") for row in found} == set(SAMPLES)
    assert all(is_simulated(row["AlertType"]) for row in found)


async def test_every_text_that_reads_the_table_itself_has_the_condition() -> None:
    """Also what reads it through a function has it there; alerts of the app itself read no records."""
    assert not [name for name in OPEN_TO_ALERTS if name.startswith("alert ")]
    bodies = {**TEXTS, **{f"function {one.name}": one.text for one in infra.saved_functions()}}
    bodies |= {f"parser {one.name}": one.text for one in parsers()}
    reading = {name: kql for name, kql in bodies.items() if re.search(rf"\b{ALERTS}\b", kql)}
    assert len(reading) >= 10
    assert [name for name, kql in reading.items() if NOT_SIMULATED not in kql] == []


async def test_no_table_but_that_of_alerts_has_a_type_of_alert() -> None:
    assert [table.name for table in RECORD_TABLES if "AlertType" in table.types] == [ALERTS]
