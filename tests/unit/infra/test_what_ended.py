"""The functions and queries on what is open and what ended, executed over a history; the right values are written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

import pytest
import pytest_asyncio

from local.workspace import Workspace
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.lifecycle.cve_details import CVES_TABLE, cve_row
from shared.lifecycle.gone_rows import GONE_TABLE, gone_rows
from shared.lifecycle.model import Action, Conclusion, KnownRecord
from tests.unit.infra.test_history import RANGES, SUB, ago, insert, portal, records, shown, stamp
from tools.workbook import TABS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

# Each query sets its own time (test_history), so that the shortest range stands for all; the others are asked in soak.
PORTAL = {
    "1 hour": timedelta(hours=1), "4 hours": timedelta(hours=4), **RANGES,
    "30 days": timedelta(days=30), "90 days": timedelta(days=90),
}  # fmt: skip
EVERY_RANGE = pytest.mark.parametrize(
    "range_",
    [pytest.param(each, marks=() if name == "1 hour" else pytest.mark.soak) for name, each in PORTAL.items()],
    ids=PORTAL,
)
MACHINES = f"/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines"


def package(machine: str, name: str, code: str, changed: datetime, **more: Any) -> dict[str, Any]:
    resource = f"{MACHINES}/{machine}"
    data = {"SoftwareName": name, "SoftwareVendor": "ubuntu", "FixedVersion": "2", "CvesDetails": json.dumps(
        [{"CveId": f"CVE-2026-000{number}"} for number in more.pop("cves", (1,))])}  # fmt: skip
    metadata = {
        "severity": more.pop("severity", "High"),
        "assessmentType": "DynamicBuiltIn",
        "recommendationCategory": "SoftwareUpdate",
    }
    return {
        "type": "Microsoft.Security/assessments",
        "id": f"{resource}/providers/Microsoft.Security/assessments/{name}-{machine}",
        "name": f"{name}-{machine}",
        "properties": {
            "displayName": f"Update {name}", "resourceDetails": {"source": "Azure", "id": resource},
            "status": {"code": code, "statusChangeDate": stamp(changed)}, "metadata": metadata,
            "additionalData": data, **more,
        },
        "securityEventDataEnrichment": {"action": "Write", "isSnapshot": False},
    }  # fmt: skip


def identity(machine: str, name: str) -> str:
    return f"{MACHINES}/{machine}/providers/microsoft.security/assessments/{name}-{machine}".lower()


EXPOSED = {"risk": {"level": "Critical", "riskFactors": ["Internet exposure"]}}
EXPORTED = [
    (ago(days=40), package("vm1", "openssl", "Unhealthy", ago(days=40), cves=(1, 2))),
    (ago(days=39), package("vm2", "openssl", "Unhealthy", ago(days=39), cves=(2, 3), severity="Critical", **EXPOSED)),
    (ago(days=30), package("vm1", "curl", "Unhealthy", ago(days=30))),  # fixed after 24 days
    (ago(days=20), package("vm2", "curl", "Unhealthy", ago(days=20))),  # gone after 10, there again
    (ago(days=5), package("vm2", "curl", "Unhealthy", ago(days=20))),
    (ago(days=20), package("vm3", "zlib", "Unhealthy", ago(days=20))),  # gone, and back
    (ago(days=19), package("vm3", "bash", "Unhealthy", ago(days=19))),  # healthy after 16 days
    (ago(days=3), package("vm3", "bash", "Healthy", ago(days=3))),
    (ago(days=18), package("vm5", "often", "Unhealthy", ago(days=18), severity="Medium")),  # healthy after 6 days
    (ago(days=12), package("vm5", "often", "Healthy", ago(days=12), severity="Medium")),
    (ago(days=11), package("vm5", "often", "Healthy", ago(days=11), severity="Medium")),  # and still
    (ago(days=2), package("vm5", "often", "Unhealthy", ago(days=2), severity="Medium")),  # and open again
    (ago(days=19), package("vm3", "old", "Unhealthy", ago(days=19))),  # retired
    (ago(days=19), package("vm4", "once", "Unhealthy", ago(days=19))),  # missing once
]
SAID = [  # of which record, what, gone when, written when, open since when
    ("vm1", "curl", Action.MISSING, ago(days=6), ago(days=6), ago(days=30)),
    ("vm1", "curl", Action.GONE, ago(days=6), ago(days=5), ago(days=30)),
    ("vm1", "curl", Action.GONE, ago(days=6), ago(days=4), ago(days=30)),  # written twice
    ("vm2", "curl", Action.GONE, ago(days=10), ago(days=9), ago(days=20)),
    ("vm3", "zlib", Action.GONE, ago(days=10), ago(days=9), ago(days=20)),
    ("vm3", "zlib", Action.BACK, None, ago(days=8), ago(days=20)),
    ("vm3", "old", Action.RETIRED, ago(days=2), ago(days=1), ago(days=19)),
    ("vm3", "bash", Action.GONE, ago(days=2), ago(days=1), ago(days=19)),  # after it was healthy: not another end
    ("vm4", "once", Action.MISSING, ago(days=1), ago(days=1), ago(days=19)),
]


CVES = [
    {"id": "/providers/x/cve-2026-0001", "name": "cve-2026-0001", "properties": {
        "cveId": "CVE-2026-0001", "status": "Reject"}},
    {"id": "/providers/x/cve-2026-0002", "name": "cve-2026-0002", "properties": {
        "cveId": "CVE-2026-0002", "severity": "Critical",
        "cvss": {"4.0": None, "3.0": {"base": 9.8}, "2.0": {"base": 7}},
        "exploitabilityDetails": {"IsInExploitKit": True, "IsVerified": False, "IsPubliclyDisclosed": True,
                                  "Epss": {"Score": 0.5, "Percentile": 0.9}}}},
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workspace() -> AsyncIterator[Workspace]:
    async with Workspace() as opened:
        for number, (enqueued, record) in enumerate(EXPORTED):
            event = Event(json.dumps(record).encode(), enqueued, "0", number)
            (row,) = Parser().parse([event], enqueued).rows
            await insert(opened, row.table, [json.loads(row.json)], enqueued)
        for machine, name, action, gone, written, since in SAID:
            known = KnownRecord(identity(machine, name), "Assessment", SUB, since, since)
            (said,) = gone_rows([Conclusion(known, action, gone)], "one", written)
            plain = {key: stamp(value) if isinstance(value, datetime) else value for key, value in said.items()}
            await insert(opened, GONE_TABLE, [plain], written)
        for details in CVES:
            said = cve_row(details, "one", ago(days=1))
            plain = {key: stamp(value) if isinstance(value, datetime) else value for key, value in said.items()}
            await insert(opened, CVES_TABLE, [plain], ago(days=1))
        yield opened


async def asked(workspace: Workspace, kql: str, range_: timedelta | None) -> list[dict[str, Any]]:
    return records(await portal(workspace, kql, range_))


@EVERY_RANGE
async def test_open_is_what_did_not_end_or_came_back(workspace: Workspace, range_: timedelta | None) -> None:
    found = await asked(workspace, "DefenderRecords_Open() | project RecordId", range_)
    still = [
        ("vm1", "openssl"),
        ("vm2", "openssl"),
        ("vm2", "curl"),
        ("vm3", "zlib"),
        ("vm4", "once"),
        ("vm5", "often"),
    ]
    assert sorted(row["RecordId"] for row in found) == sorted(identity(*each) for each in still)


@EVERY_RANGE
async def test_ended_says_how_once_each_and_after_how_many_days(workspace: Workspace, range_: timedelta | None) -> None:
    kql = "DefenderRecords_Ended() | project Name = SoftwareName, ResourceName, EndedAs, DaysOpen, EndedTime"
    found = await asked(workspace, kql, range_)
    assert sorted((row["ResourceName"], row["Name"], row["EndedAs"], row["DaysOpen"]) for row in found) == [
        ("vm1", "curl", "Gone", 24.0),
        ("vm2", "curl", "Gone", 10.0),
        ("vm3", "bash", "Healthy", 16.0),
        ("vm3", "old", "Retired", 17.0),
        ("vm3", "zlib", "Gone", 10.0),
        ("vm5", "often", "Healthy", 6.0),
    ]
    assert {row["EndedTime"] for row in found if row["Name"] == "bash"} == {ago(days=3).replace(tzinfo=None)}


@EVERY_RANGE
async def test_questions(workspace: Workspace, range_: timedelta | None) -> None:
    by_owner = await shown(workspace, "open-now-by-owner", range_)
    assert {(row["Owner"], row["Severity"], row["Risk"], row["Open"], row["Resources"]) for row in by_owner} == {
        ("nobody", "High", "not given", 4, 4),
        ("nobody", "Critical", "Critical", 1, 1),
        ("nobody", "Medium", "not given", 1, 1),
    }
    fixed = await shown(workspace, "fixed-this-week", range_)
    assert [(row["ResourceName"], row["EndedAs"], row["DaysOpen"]) for row in fixed] == [
        ("vm3", "Healthy", 16.0),
        ("vm1", "Gone", 24.0),
    ]
    again = await shown(workspace, "reopened", range_)
    assert {(row["ResourceName"], row["RecommendationDisplayName"], row["EndedTimes"]) for row in again} == {
        ("vm2", "Update curl", 1),
        ("vm3", "Update zlib", 1),
        ("vm5", "Update often", 1),
    }
    oldest = await shown(workspace, "oldest-open", range_)
    assert [(row["ResourceName"], row["DaysOpen"]) for row in oldest][:2] == [("vm1", 40), ("vm2", 39)]
    updates = await shown(workspace, "one-update-closes", range_)
    assert (updates[0]["SoftwareName"], updates[0]["Closes"], updates[0]["Cves"]) == ("openssl", 2, 3)


@EVERY_RANGE
async def test_what_is_not_known_of_a_cve_is_not_read_as_not_exploited(
    workspace: Workspace, range_: timedelta | None
) -> None:
    found = await asked(workspace, "DefenderRecords_Cves() | project CveId, Exploited, CveCvssScore", range_)
    assert {(row["CveId"], row["Exploited"], row["CveCvssScore"]) for row in found} == {
        ("CVE-2026-0001", "not known", None),  # withdrawn, and nothing said of exploits
        ("CVE-2026-0002", "yes", 9.8),
        ("CVE-2026-0003", "not known", None),  # never read
    }
    (exposed,) = await shown(workspace, "exploitable-and-exposed", range_)
    assert (exposed["ResourceName"], exposed["Exploited"], exposed["HighestCvss"]) == ("vm2", "yes", 9.8)
    assert sorted(json.loads(exposed["Cves"])) == ["CVE-2026-0002", "CVE-2026-0003"]


@EVERY_RANGE
async def test_time_to_fix_is_mean_and_median_of_what_was_fixed(workspace: Workspace, range_: timedelta | None) -> None:
    months = await shown(workspace, "time-to-fix", range_)
    assert sum(row["Fixed"] for row in months) == 5, "without what was retired"
    total = sum(row["MeanDays"] * row["Fixed"] for row in months)
    assert total == pytest.approx(24 + 10 + 16 + 10 + 6)
    assert {row["Severity"] for row in months} == {"High", "Medium"}
    assert all(6 <= row["MedianDays"] <= 24 for row in months)
    assert {row["Month"].day for row in months} == {1}


PANELS = {panel.title: panel.query for panel in TABS["Open and fixed"]}
FIXED = {"1 hour": (), "7 days": (24, 16), "30 days": (24, 10, 10, 16, 6), "90 days": (24, 10, 10, 16, 6)}


async def panel(workspace: Workspace, title: str, subscription: str, range_: timedelta | None) -> list[dict[str, Any]]:
    """A panel's rows, as a workbook asks for them: with its parameters in their places."""
    kql = PANELS[title].replace("{Subscription}", f"'{subscription}'")
    return await asked(
        workspace, kql.replace("{TimeRange}", f">= datetime({stamp(ago() - (range_ or timedelta()))})"), range_
    )


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each == "7 days" else pytest.mark.soak) for each in FIXED]
)
async def test_the_workbook_tells_what_was_fixed_within_its_range(workspace: Workspace, name: str) -> None:
    within = FIXED[name]
    weeks = await panel(workspace, "Fixed by week", "*", PORTAL[name])
    assert sum(row["Fixed"] for row in weeks) == len(within)
    by_severity = await panel(workspace, "Days to fix by severity", "*", PORTAL[name])
    assert sum(row["Fixed"] for row in by_severity) == len(within)
    high = [each for each in within if each > 6]
    days = [(row["MeanDays"], row["MedianDays"]) for row in by_severity if row["Severity"] == "High"]
    assert days == ([(sum(high) / len(high), median_low(high))] if high else [])


@pytest.mark.soak
@pytest.mark.parametrize("name", ["1 hour", "90 days"])
async def test_the_workbook_tells_what_is_open_whatever_its_range(workspace: Workspace, name: str) -> None:
    by_severity = await panel(workspace, "Open now by severity", "*", PORTAL[name])
    assert {(row["Severity"], row["Open"]) for row in by_severity} == {("High", 4), ("Critical", 1), ("Medium", 1)}
    assert await panel(workspace, "Open now by severity", "another", PORTAL[name]) == []
    (most, *_) = await panel(workspace, "What one update would close", "*", PORTAL[name])
    assert (most["SoftwareName"], most["Closes"], most["Resources"]) == ("openssl", 2, 2)
