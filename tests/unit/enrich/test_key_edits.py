"""A table of edits: which change of which field of which kind gives another RecordKey, and which does not.

Each answer is the same from either reader, and in a process that has read a great many other records before.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.records import generate
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from tests.unit.enrich.builders import NOW, event
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import SUB
from tests.unit.enrich.golden.casings import recased

pytestmark = pytest.mark.slow  # draws many examples

RECORDS = {golden.name: golden.record for golden in GOLDENS}
ALERT, RESTED = "alert", "alert in Resource Graph"
REC, SOFTWARE, GCP = "assessment", "software update on a machine", "assessment of GCP"
FINDING, IMAGE = "finding of a server", "MDVM finding of an image"
SCORE, CONTROL = "secure score", "secure score control"
COMPLIANCE, PATH, BOTH = "regulatory compliance", "attack path", "attack path of several clouds with steps and graph"
DELETE = object()
# record, path of the field, its new value, and whether that is another change
EDITS: list[tuple[str, str, Any, bool]] = [
    (ALERT, "Status", "Resolved", True),
    (ALERT, "Status", "Active", False),
    (ALERT, "Status", "NEW", False),
    (ALERT, "Severity", "Low", True),
    (ALERT, "Severity", "high", False),
    (ALERT, "ProcessingEndTime", "2026-11-10T07:46:00Z", True),
    (ALERT, "ProcessingEndTime", "2026-11-10T08:45:00+01:00", False),
    (ALERT, "SystemAlertId", "other", True),
    (ALERT, "SystemAlertId", "2518_ab12", False),
    (ALERT, "Entities", [], True),
    (ALERT, "Entities", [{"$id": "9", "Type": "host"}, {"$id": "1", "Host": {"$ref": "9"}, "Type": "ip"}], False),
    (ALERT, "Entities", [{"$id": "5", "Host": {"$ref": "4"}, "Type": "ip"}, {"$id": "4", "Type": "host"}], False),
    (ALERT, "Entities", [{"$id": "4", "type": "HOST"}, {"$id": "5", "type": "ip", "host": {"$ref": "4"}}], False),
    (ALERT, "Entities", [{"$id": "4", "Type": "host"}, {"$id": "5", "Host": {"$ref": "4"}, "Type": "file"}], True),
    (ALERT, "Description", "reworded", False),
    (ALERT, "CompromisedEntity", "another", False),
    (ALERT, "AzureResourceId", "/subscriptions/other", False),
    (RESTED, "properties.status", "New", False),
    (RESTED, "properties.severity", "Low", True),
    (RESTED, "securityEventDataEnrichment", DELETE, False),
    (REC, "properties.status.code", "Healthy", True),
    (REC, "properties.status.statusChangeDate", "2026-11-10T09:00:01Z", True),
    (REC, "properties.status.cause", "Exempt", True),
    (REC, "properties.status.description", "reworded", False),
    (REC, "properties.metadata.severity", "Low", True),
    (REC, "properties.metadata.severity", "HIGH", False),
    (REC, "properties.metadata.description", "reworded", False),
    (REC, "properties.displayName", "reworded", False),
    (REC, "properties.risk", {"level": "Critical"}, True),
    (REC, "properties.risk", {}, False),
    (REC, "id", "/subscriptions/other", True),
    (REC, "tenantId", "another", False),
    (REC, "tags", {"a": "b"}, False),
    (REC, "novelty", 1, False),
    (REC, "securityEventDataEnrichment.action", "Delete", True),
    (REC, "securityEventDataEnrichment.isSnapshot", True, True),
    (REC, "securityEventDataEnrichment.apiVersion", "2031-01-01", False),
    (GCP, "properties.risk.level", "Low", True),
    (GCP, "properties.risk.riskFactors", ["InternetExposure", "Data"], True),
    (GCP, "properties.risk.attackPathsReferences", [], True),
    (GCP, "properties.risk.attackPathsReferences", [{"AttackPathId": "p-1"}], False),
    (GCP, "properties.resourceDetails.region", "europe-west1", False),
    (SOFTWARE, "properties.additionalData.FixedVersion", "3.0.4", True),
    (SOFTWARE, "properties.additionalData.FixStatus", "NoFix", True),
    (SOFTWARE, "properties.additionalData.MaxCvssScore", "9.8", True),
    (SOFTWARE, "properties.additionalData.CvesDetails", '[{"CveId":"CVE-2026-1234"}]', True),
    (SOFTWARE, "properties.additionalData.CvesDetails", '[{"CveId":"cve-2026-0007"},{"CveId":"CVE-2026-1234"}]', False),
    (SOFTWARE, "properties.additionalData.DetectedSoftwareVersions", '["3.0.1", "3.0.2"]', False),
    (SOFTWARE, "properties.additionalData.DetectedSoftwareVersions", '["3.0.1"]', True),
    (SOFTWARE, "properties.risk.riskFactors", ["INTERNET EXPOSURE"], False),
    (FINDING, "properties.status.severity", "Low", True),
    (FINDING, "properties.status.cause", "another", True),
    (FINDING, "properties.timeGenerated", "2026-11-10T08:00:01Z", True),
    (FINDING, "properties.description", "reworded", False),
    (FINDING, "properties.additionalData.patchable", False, True),
    (FINDING, "properties.additionalData.scanner", "newer", False),
    (IMAGE, "properties.additionalData.vulnerabilityDetails.cveId", "CVE-2024-0001", True),
    (IMAGE, "properties.additionalData.softwareDetails.fixStatus", "NoFix", True),
    (IMAGE, "properties.additionalData.softwareDetails.language", "C", False),
    (SCORE, "properties.score.current", 30.5, True),
    (SCORE, "properties.score.max", 58.0, False),
    (SCORE, "properties.weight", 200, True),
    (SCORE, "name", "ASCSCORE", False),
    (SCORE, "kind", "", False),
    (SCORE, "novelty", 1, True),
    (CONTROL, "properties.unhealthyResourceCount", 3, True),
    (CONTROL, "properties.definition.id", "/another", False),
    (CONTROL, "properties.definition.type", DELETE, False),
    (COMPLIANCE, "properties.state", "Passed", True),
    (COMPLIANCE, "properties.state", "FAILED", False),
    (COMPLIANCE, "properties.failedResources", 5, True),
    (COMPLIANCE, "properties.unsupportedResources", 1, True),
    (PATH, "attackPath.riskLevel", "Low", True),
    (PATH, "attackPath.riskFactors", ["Data"], True),
    (PATH, "attackPath.attackPathSteps", [], True),
    (PATH, "attackPath.refreshInterval", 12, False),
    (PATH, "attackPath.mITRETacticsAndTechniques", "Impact", True),
    (BOTH, "properties.graphComponent", {"entities": []}, True),
    (BOTH, "properties.target.entityType", "queue", True),
]


def edited(name: str, path: str, value: Any) -> dict[str, Any]:
    record = copy.deepcopy(RECORDS[name])
    *parents, leaf = path.split(".")
    level = record
    for parent in parents:
        level = level[parent]
    if value is DELETE:
        del level[leaf]
    else:
        level[leaf] = value
    return record


def key(record: dict[str, Any], parser: Parser, *, patiently: bool = False) -> str:
    sent = [record] if patiently else record
    body = json.dumps(sent, separators=(",", ":"), ensure_ascii=False).encode()
    (row,) = parser.parse([event(body)], NOW).rows
    return row.record_key


def others(count: int) -> Iterator[Event]:
    for number, made in enumerate(generate(77, [SUB], count, bad=0)):
        yield Event(made.body, NOW, "0", number)
        if number % 7 == 0:
            yield Event(json.dumps({f"name {number}": 0, "type": f"Other/{number}"}).encode(), NOW, "0", number)


@pytest.fixture(scope="module")
def experienced() -> Parser:
    """A parser that has read many other records, of every kind and of none."""
    parser = Parser()
    parser.parse(others(3_000), NOW)
    return parser


@pytest.mark.parametrize(("name", "path", "value", "another"), EDITS)
def test_an_edit_is_another_change_or_is_not(
    name: str, path: str, value: Any, another: bool, experienced: Parser
) -> None:
    before, after = RECORDS[name], edited(name, path, value)
    keys = {
        (key(before, parser, patiently=patiently), key(after, parser, patiently=patiently))
        for parser in (Parser(), experienced)
        for patiently in (False, True)
    }
    assert len(keys) == 1  # whichever reader it was, whatever was read before
    ((old, new),) = keys
    assert (old != new) is another


def test_every_kind_is_in_the_table() -> None:
    kinds = {golden.row["RecordKind"] for golden in GOLDENS for edit in EDITS if edit[0] == golden.name}
    assert kinds == {golden.row["RecordKind"] for golden in GOLDENS} - {"Other"}


def test_a_streamed_alert_and_the_same_read_back_are_one_change() -> None:
    """As Resource Graph has it: names in camelCase, under `properties`, Active, and with the action of a backfill."""
    properties = {name[0].lower() + name[1:]: value for name, value in RECORDS[ALERT].items()}
    read_back = {
        "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/locations/westeurope/alerts/2518_AB12",
        "name": "2518_AB12",
        "type": "microsoft.security/locations/alerts",
        "subscriptionId": SUB,
        "properties": recased(properties, str) | {"status": "Active"},
        "securityEventDataEnrichment": {"action": "Backfill", "isSnapshot": False},
    }
    assert key(read_back, Parser()) == key(RECORDS[ALERT], Parser())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (
            {"attackPath": {"attackPathId": "P-9", "riskLevel": "High"}},
            {
                "type": "microsoft.security/attackpaths",
                "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/attackPaths/p-9",
                "name": "p-9",
                "properties": {"riskLevel": "High"},
            },
        ),
        (
            {
                "type": "microsoft.security/attackpaths",
                "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/attackPaths/P-9",
                "name": "P-9",
                "properties": {"riskLevel": "High", "attackPathID": "P-9"},
            },
            {"attackPath": {"attackPathId": "p-9"}},
        ),
    ],
)
def test_an_attack_path_is_one_record_in_every_shape(left: dict[str, Any], right: dict[str, Any]) -> None:
    ids = {Parser().parse([event(record)], NOW).rows[0].record_id for record in (left, right)}
    assert ids == {"p-9"}


@pytest.mark.parametrize(
    "name", [golden.name for golden in GOLDENS if "id" in golden.record and golden.row["RecordKind"] != "Other"]
)
def test_the_casing_of_an_id_says_nothing(name: str) -> None:
    record = copy.deepcopy(RECORDS[name])
    shouted = record | {"id": record["id"].upper()}
    parsed = [Parser().parse([event(each)], NOW).rows[0] for each in (record, shouted)]
    assert parsed[0].record_id == parsed[1].record_id
    if parsed[0].kind != "AttackPath":  # whose whole id is content
        assert parsed[0].record_key == parsed[1].record_key


@pytest.mark.parametrize(
    "kind_of_type",
    [
        "Microsoft.Security/assessments/somethingNew",
        "Microsoft.Security/assessments/subAssessments/more",
        "Microsoft.Security/regulatoryComplianceStandards",
        "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls",
        "Microsoft.Security/secureScores/somethingNew",
        "Microsoft.Security/assessmentsMetadata",
        "Microsoft.Security/locations/alertsSuppressionRules",
    ],
)
def test_a_kind_is_told_by_its_whole_type(kind_of_type: str, experienced: Parser) -> None:
    record = RECORDS[REC] | {"type": kind_of_type}
    for parser in (Parser(), experienced):
        for sent in (record, [record], dict(reversed(record.items()))):
            body = json.dumps(sent, separators=(",", ":")).encode()
            (row,) = parser.parse([event(body)], NOW).rows
            assert row.kind == "Other"


def test_what_begins_as_an_alert_and_is_none_is_no_alert(experienced: Parser) -> None:
    bare = {"VendorName": "Microsoft", "AlertType": "x", "Severity": "High"}
    for parser in (Parser(), experienced):
        (row,) = parser.parse([event(json.dumps(bare, separators=(",", ":")).encode())], NOW).rows
        assert row.kind == "Other"


@pytest.mark.soak
def test_a_million_other_records_change_no_key() -> None:
    parser, wanted = Parser(), {}
    for name, path, value, _ in EDITS:
        wanted[name, path, str(value)] = key(edited(name, path, value), Parser())
    for part in range(100):
        parser.parse(
            (Event(made.body, NOW, "0", 0) for made in generate(part, [SUB], 10_000, bad=0.01)),
            NOW,
        )
    for name, path, value, _ in EDITS:
        for patiently in (False, True):
            assert key(edited(name, path, value), parser, patiently=patiently) == wanted[name, path, str(value)]
