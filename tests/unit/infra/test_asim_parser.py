"""The ASIM parsers, over rows that the app's own parser makes of each golden alert: fields by name, type and value."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from local.logs_query import KQL_TYPES
from local.streams import Losses, Stream
from local.workspace import Workspace
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from shared.enrich.tables import BY_NAME
from tests.unit.enrich.golden import alerts
from tests.unit.enrich.golden.base import SUB
from tests.unit.infra.planted import FUNCTIONS
from tools import infra

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ASIM = json.loads((infra.ROOT / "tests/unit/infra/sentinel_published.json").read_text())["asim"]
FILTERING, PLAIN = "vimAlertEventMicrosoftDefenderForCloudExport", "ASimAlertEventMicrosoftDefenderForCloudExport"
NOW = datetime(2026, 11, 10, 11, 30, tzinfo=UTC)


def at(*moment: int) -> datetime:
    """A moment as DuckDB gives it: in UTC, without saying so."""
    return datetime(*moment, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type, misc]


PARAMETERS = [name for name, _, _ in ASIM["parameters"]]
DEFAULTS = {name: default for name, _, default in ASIM["parameters"]}

# An alert with the entities that the schema has fields for, in the casing of exports; one of ransomware, closed, of a
# severity in another casing; one of another cloud; one that says next to nothing.
RICH = alerts.ALERT.record | {
    "SystemAlertId": "RICH-1",
    "Entities": [
        {"$id": "1", "Type": "host", "HostName": "web01", "DnsDomain": "corp.example", "NTDomain": "CORP"},
        {"$id": "2", "Type": "account", "Name": "ana", "UPNSuffix": "example.com", "AadUserId": "u-1"},
        {"$id": "3", "Type": "ip", "Address": "10.1.2.3"},
        {"$id": "4", "Type": "process", "ProcessId": "42", "CommandLine": "evil.exe -x"},
        {"$id": "5", "Type": "file", "Name": "evil.exe", "Directory": "C:\\Temp"},
        {"$id": "6", "Type": "url", "Url": "https://example.com/a"},
    ],
}
RANSOM = alerts.ALERT.record | {
    "SystemAlertId": "RANSOM-1",
    "AlertType": "VM_Ransomware",
    "AlertDisplayName": "Ransomware was found",
    "Severity": "low",
    "Status": "Resolved",
    "Intent": "PrivilegeEscalation",
    "Entities": [{"$id": "1", "type": "account", "name": "bob", "ntDomain": "CORP", "sid": "S-1-5-21"}],
}
AWS = {
    "SystemAlertId": "AWS-1",
    "AlertType": "K8S_CoinMiner",
    "AlertDisplayName": "Digital currency mining container",
    "Severity": "Medium",
    "Status": "InProgress",
    "StartTimeUtc": "2026-11-10T07:00:00Z",
    "ResourceIdentifiers": [
        {"Type": "AmazonResource", "AmazonResourceId": "arn:aws:eks:eu-west-1:123456789012:cluster/c"}
    ],
    "Entities": [{"Type": "amazon-resource", "AmazonResourceId": "arn:aws:eks:eu-west-1:123456789012:cluster/c"}],
}
BARE = {"SystemAlertId": "BARE-1", "AlertDisplayName": "Something unusual", "Severity": "Unheard-of"}
RECORDS = {
    **{golden.name: golden.record for golden in alerts.GOLDENS},
    "rich": RICH,
    "ransom": RANSOM,
    "aws": AWS,
    "bare": BARE,
}


def events() -> list[Event]:
    """Each record in its event, the first of them twice: events are delivered at least once."""
    bodies = [json.dumps(record).encode() for record in RECORDS.values()]
    return [Event(body, NOW, "3", number) for number, body in enumerate([*bodies, bodies[0]])]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workspace() -> AsyncIterator[Workspace]:
    parsed = Parser().parse(events(), now=NOW)
    table = BY_NAME["DefenderAlerts_CL"]
    stream, losses = Stream(table), Losses()
    rows = [row.json for row in parsed.rows if row.table == table.name]
    assert len(rows) == len(RECORDS) + 1
    async with Workspace(functions=FUNCTIONS) as opened:
        read = stream.read(b"[" + b",".join(rows) + b"]", losses)
        await opened.append(table.name, partial(stream.columns, read, NOW, losses), NOW)
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answer(workspace: Workspace) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What the parser without parameters gives: type by field, and each alert by its id."""
    found = await workspace.kql(f"{PLAIN}()")
    types = {name: KQL_TYPES[kind] for name, kind in zip(found.columns, found.types, strict=True)}
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    assert len(rows) == len(RECORDS)
    return types, {row["EventUid"]: row for row in rows}


Answer = tuple[dict[str, str], dict[str, dict[str, Any]]]


@pytest.mark.parametrize("kind", ["mandatory", "recommended", "optional"])
async def test_every_field_of_the_schema_is_there_with_its_type(answer: Answer, kind: str) -> None:
    types, _ = answer
    assert {name: types.get(name) for name in ASIM[kind]} == ASIM[kind]


async def test_every_mandatory_field_has_a_value_for_each_alert(answer: Answer) -> None:
    _, rows = answer
    empty = {(uid, name) for uid, row in rows.items() for name in ASIM["mandatory"] if row[name] in (None, "")}
    assert empty == set()


async def test_every_recommended_field_has_a_value_where_the_alert_tells_it(answer: Answer) -> None:
    _, rows = answer
    assert [name for name in ASIM["recommended"] if rows["RICH-1"][name] in (None, "")] == []


async def test_no_field_is_outside_of_the_schema(answer: Answer) -> None:
    types, _ = answer
    known = {
        *ASIM["mandatory"],
        *ASIM["recommended"],
        *ASIM["optional"],
        *ASIM["conditional"],
        *ASIM["aliases"],
        "Type",
    }
    assert set(types) - known == set()


async def test_enumerated_fields_have_values_of_their_lists(answer: Answer) -> None:
    _, rows = answer
    wrong = {
        (uid, name, row[name])
        for uid, row in rows.items()
        for name, values in ASIM["values"].items()
        if row[name] not in (None, "") and row[name] not in values
    }
    assert wrong == set()


async def test_aliases_and_conditional_fields_follow_their_fields(answer: Answer) -> None:
    _, rows = answer
    for row in rows.values():
        assert {name: row[name] for name in ASIM["aliases"]} == {name: row[of] for name, of in ASIM["aliases"].items()}
        for name, of in ASIM["conditional"].items():
            assert bool(row[name]) == bool(row[of]), (name, of)


GOLDEN_VALUES: dict[str, dict[str, Any]] = {
    "2518_AB12": {
        "EventCount": 1,
        "EventStartTime": at(2026, 11, 10, 7),
        "EventEndTime": at(2026, 11, 10, 7, 30),
        "EventType": "Alert",
        "EventSubType": "Suspicious Activity",
        "EventProduct": "Microsoft Defender for Cloud",
        "EventVendor": "Microsoft",
        "EventSchema": "AlertEvent",
        "EventSchemaVersion": "1.0.0",
        "EventSeverity": "High",
        "EventMessage": "Something ran",
        "AlertName": "Suspicious activity",
        "AlertStatus": "Active",
        "DvcHostname": "web01",
        "DvcId": f"/subscriptions/{SUB}/resourcegroups/rg-web/providers/microsoft.compute/virtualmachines/web01",
        "DvcIdType": "AzureResourceId",
        "IndicatorType": "Host",
        "ThreatCategory": "Unknown",
        "Type": "DefenderAlerts_CL",
    },
    "0E6D5F7C-2B70-4E3F-8D6F-5A1C9B3E7A10": {
        "EventProduct": "Azure Security Center",
        "EventSeverity": "Medium",
        "AlertStatus": "Active",
        "AttackTactics": "Probing",
        "DvcHostname": "onprem01",
        "DvcId": "A-1",
        "DvcIdType": "Other",
        "IndicatorType": "Host",
        "ThreatConfidence": 90,
        "ThreatOriginalConfidence": "Likely",
        "AttackRemediationSteps": "Block",
        "RuleName": "SSHBruteForce",
    },
    "RICH-1": {
        "DvcIpAddr": "10.1.2.3",
        "DvcHostname": "web01",
        "DvcDomain": "corp.example",
        "DvcDomainType": "FQDN",
        "DvcFQDN": "web01.corp.example",
        "Username": "ana@example.com",
        "UsernameType": "UPN",
        "UserId": "u-1",
        "UserIdType": "GUID",
        "ProcessId": "42",
        "ProcessCommandLine": "evil.exe -x",
        "FileName": "evil.exe",
        "Url": "https://example.com/a",
        "AttackTactics": "Persistence, Credential Access",
        "AttackTechniques": "T1059.001",
        "AttackRemediationSteps": "Look\nAct",
    },
    "RANSOM-1": {
        "EventSubType": "Threat",
        "ThreatCategory": "Ransomware",
        "EventSeverity": "Low",
        "EventOriginalSeverity": "low",
        "AlertStatus": "Closed",
        "AlertOriginalStatus": "Resolved",
        "AttackTactics": "Privilege Escalation",
        "Username": "CORP\\bob",
        "UsernameType": "Windows",
        "UserId": "S-1-5-21",
        "UserIdType": "SID",
    },
    "AWS-1": {
        "ThreatCategory": "Cryptominer",
        "DvcId": "arn:aws:eks:eu-west-1:123456789012:cluster/c",
        "DvcIdType": "Other",
        "DvcHostname": "",
        "IndicatorType": "Cloud Resource",
        "EventProduct": "Microsoft Defender for Cloud",
        "EventVendor": "Microsoft",
    },
    "BARE-1": {
        "EventSubType": "Anomaly",
        "EventSeverity": "Informational",
        "EventOriginalSeverity": "Unheard-of",
        "EventStartTime": at(2026, 11, 10, 11, 30),
        "EventEndTime": at(2026, 11, 10, 11, 30),
        "AlertStatus": "",
    },
}


@pytest.mark.parametrize("uid", GOLDEN_VALUES)
async def test_values_are_those_of_the_alert(answer: Answer, uid: str) -> None:
    _, rows = answer
    expected = GOLDEN_VALUES[uid]
    assert {name: rows[uid][name] for name in expected} == expected


async def test_a_row_that_came_twice_is_one_event(workspace: Workspace, answer: Answer) -> None:
    stored = await workspace.sql('SELECT count(*), count(DISTINCT "RecordKey") FROM "DefenderAlerts_CL"')
    assert stored.rows[0] == (len(RECORDS) + 1, len(RECORDS))  # of which the parser gives each once: `answer`


ON_PREMISES = "0E6D5F7C-2B70-4E3F-8D6F-5A1C9B3E7A10"
FILTERS: dict[str, tuple[dict[str, str], set[str]]] = {
    "disabled": ({"disabled": "true"}, set()),
    "times": (
        {"starttime": "datetime(2026-11-10T07:40:00Z)", "endtime": "datetime(2026-11-10T11:00:00Z)"},
        {"2518_AB12", "RICH-1", "RANSOM-1"},
    ),
    "address": ({"ipaddr_has_any_prefix": "dynamic(['10.1.'])"}, {"RICH-1"}),
    "no such address": ({"ipaddr_has_any_prefix": "dynamic(['10.2.', '0.1.2.3', '10.1.2.33'])"}, set()),
    "host": ({"hostname_has_any": "dynamic(['corp.example', 'onprem01'])"}, {"RICH-1", ON_PREMISES}),
    "user": ({"username_has_any": "dynamic(['bob'])"}, {"RANSOM-1"}),
    "tactic": ({"attacktactics_has_any": "dynamic(['PrivilegeEscalation', 'Probing'])"}, {"RANSOM-1", ON_PREMISES}),
    "technique": ({"attacktechniques_has_any": "dynamic(['T1078'])"}, {"2518_AB12", "RICH-1", "RANSOM-1"}),
    "category": ({"threatcategory_has_any": "dynamic(['Cryptominer', 'Worm'])"}, {"AWS-1"}),
    "verdict": ({"alertverdict_has_any": "dynamic(['True Positive'])"}, set()),
    "severity and tactic": (
        {"eventseverity_has_any": "dynamic(['Low'])", "attacktactics_has_any": "dynamic(['Privilege Escalation'])"},
        {"RANSOM-1"},
    ),
}


def in_pairs() -> Iterator[Any]:
    """The filters, two to a query, since each call takes long to read; the later ones are left to the soak."""
    names = list(FILTERS)
    for first in range(0, len(names), 2):
        yield pytest.param(names[first : first + 2], marks=[pytest.mark.soak] if first else [], id=names[first])


@pytest.mark.parametrize("names", [*in_pairs()])
async def test_a_filtering_parameter_leaves_what_it_names(workspace: Workspace, names: list[str]) -> None:
    calls = []
    for name in names:
        values = ", ".join(FILTERS[name][0].get(parameter, DEFAULTS[parameter]) for parameter in PARAMETERS)
        calls.append(f"({FILTERING}({values}) | project EventUid, Call = '{name}')")
    found = await workspace.kql(f"union {', '.join(calls)}")
    left = {name: {uid for uid, call in found.rows if call == name} for name in names}
    assert left == {name: FILTERS[name][1] for name in names}


async def test_every_parameter_is_tried() -> None:
    assert {name for given, _ in FILTERS.values() for name in given} == set(PARAMETERS)
