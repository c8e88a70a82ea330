"""Record in, row out: each kind and shape, in every casing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.enrich.records import Parser
from shared.enrich.records.fields import KINDS
from tests.unit.enrich.builders import (
    ENQUEUED,
    NOW,
    REC,
    SUB,
    VM,
    alert,
    assessment,
    columns,
    enrichment,
    event,
    finding,
    parse,
    recased,
    row,
)

SECURITY = f"/subscriptions/{SUB}/providers/Microsoft.Security"
PROVENANCE = {
    "EnqueuedTime": "2026-11-10T11:30:00Z",
    "PartitionId": "3",
    "SequenceNumber": 42,
}
ON_THE_MACHINE = {
    "SubscriptionId": SUB,
    "ResourceId": VM.lower(),
    "ResourceGroup": "rg-web",
    "ResourceType": "microsoft.compute/virtualmachines",
    "Cloud": "Azure",
    **PROVENANCE,
}
ON_THE_SUBSCRIPTION = {
    "SubscriptionId": SUB,
    "ResourceId": f"/subscriptions/{SUB}",
    "ResourceName": SUB,
    "ResourceType": "microsoft.resources/subscriptions",
    "Cloud": "Azure",
    "SourceTenantId": "tenant-1",
    "EventTime": "2026-11-10T11:30:00Z",
    "TimeGenerated": "2026-11-10T11:30:00Z",
    **PROVENANCE,
}

ASSESSMENT_ROW = {
    **ON_THE_MACHINE,
    "TimeGenerated": "2026-11-10T09:00:00.123457Z",
    "EventTime": "2026-11-10T09:00:00.123457Z",
    "RecordId": f"{VM}/providers/Microsoft.Security/assessments/{REC}".lower(),
    "RecordKind": "Assessment",
    "Action": "Write",
    "IsSnapshot": False,
    "SourceTenantId": "tenant-1",
    "NativeResourceId": VM,
    "ResourceName": "Web01",
    "Location": "westeurope",
    "RecommendationId": REC.lower(),
    "RecommendationDisplayName": "Machines should be patched",
    "RecommendationState": "Unhealthy",
    "RecommendationSeverity": "High",
    "StatusChangeDate": "2026-11-10T09:00:00.123457Z",
    "FirstEvaluationDate": "2026-10-01T00:00:00Z",
    "Description": "About patches",
    "RemediationDescription": "<b>Patch</b>",
    "Categories": ["Compute"],
    "Threats": ["accountBreach"],
    "UserImpact": "Low",
    "ImplementationEffort": "Moderate",
    "AssessmentType": "BuiltIn",
    "PolicyDefinitionId": "/providers/Microsoft.Authorization/policyDefinitions/p",
    "RecommendationAdditionalData": {"subAssessmentsLink": "/x"},
    "RecommendationLink": "https://portal.azure.com/#blade/x",
}
ALERT_ROW = {
    **ON_THE_MACHINE,
    "TimeGenerated": "2026-11-10T07:45:00Z",
    "EventTime": "2026-11-10T07:45:00Z",
    "RecordId": "2518_ab12",
    "RecordKind": "Alert",
    "IsSnapshot": False,
    "ResourceName": "web01",
    "SystemAlertId": "2518_AB12",
    "AlertType": "VM_SuspiciousActivity",
    "DisplayName": "Suspicious activity",
    "AlertSeverity": "High",
    "Status": "New",
    "Description": "Something ran",
    "Tactics": ["Persistence", "CredentialAccess"],
    "Techniques": ["T1078", "T1059"],
    "SubTechniques": ["T1059.001"],
    "CompromisedEntity": "Web01",
    "StartTime": "2026-11-10T07:00:00Z",
    "EndTime": "2026-11-10T07:30:00Z",
    "AlertTimeGenerated": "2026-11-10T07:31:00Z",
    "ProcessingEndTime": "2026-11-10T07:45:00Z",
    "IsIncident": False,
    "VendorName": "Microsoft",
    "ProductName": "Microsoft Defender for Cloud",
    "ProductComponentName": "Servers",
    "Entities": alert()["Entities"],
    "ExtendedProperties": alert()["ExtendedProperties"],
    "RemediationSteps": ["Look", "Act"],
    "ResourceIdentifiers": alert()["ResourceIdentifiers"],
    "AlertLink": "https://portal.azure.com/#blade/a/subscriptionId/x",
}
VULNERABILITY = {
    "type": "Vulnerability",
    "cvss": {"2.0": {"base": 5.0}, "3.0": {"base": 7.5}},
    "patchable": True,
    "cve": [{"title": "CVE-2024-1234", "link": "https://x/CVE-2024-1234"}, {"title": "CVE-2023-99999"}],
    "publishedTime": "2024-02-01T00:00:00Z",
    "repositoryName": "team/web",
    "registryHost": "contoso.azurecr.io",
    "imageDigest": "sha256:abc",
}
VULNERABILITY_COLUMNS = {
    "CveIds": ["CVE-2024-1234", "CVE-2023-99999"],
    "CvssScore": 7.5,
    "Cvss": VULNERABILITY["cvss"],
    "Patchable": True,
    "PublishedTime": "2024-02-01T00:00:00Z",
    "RepositoryName": "team/web",
    "RegistryHost": "contoso.azurecr.io",
    "ImageDigest": "sha256:abc",
}
SCORE = {
    "tenantId": "tenant-1",
    "type": "Microsoft.Security/secureScores",
    "id": f"{SECURITY}/secureScores/ascScore",
    "name": "ascScore",
    "properties": {
        "displayName": "ASC score",
        "score": {"max": 58, "current": 29.5, "percentage": 0.5086},
        "weight": 199,
    },
    **enrichment(),
}
CONTROL = {
    "tenantId": "tenant-1",
    "type": "Microsoft.Security/secureScores/secureScoreControls",
    "id": f"{SECURITY}/secureScores/ascScore/secureScoreControls/C-1",
    "name": "C-1",
    "properties": {
        "displayName": "Apply updates",
        "healthyResourceCount": 7,
        "unhealthyResourceCount": 2,
        "notApplicableResourceCount": 1,
        "score": {"max": 6, "current": 4.67, "percentage": 0.7783},
        "definition": {
            "id": "/providers/Microsoft.Security/secureScoreControlDefinitions/C-1",
            "name": "C-1",
            "type": "Microsoft.Security/secureScoreControlDefinitions",
            "properties": {
                "source": {"sourceType": "BuiltIn"},
                "displayName": "Apply updates",
                "maxScore": 6,
                "assessmentDefinitions": [{"id": "/a/1"}, {"id": "/a/2"}],
            },
        },
        "weight": 9,
    },
    **enrichment(snapshot=True),
}
REGULATORY = {
    "tenantId": "tenant-1",
    "type": "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
    "/regulatoryComplianceAssessments",
    "id": f"{SECURITY}/regulatoryComplianceStandards/PCI-DSS-4/regulatoryComplianceControls/1.2"
    f"/regulatoryComplianceAssessments/{REC}",
    "name": REC,
    "properties": {
        "description": "Machines should be patched",
        "state": "Failed",
        "passedResources": 3,
        "failedResources": 4,
        "skippedResources": 5,
        "assessmentType": "Assessment",
        "assessmentDetailsLink": "portal.azure.com/#details",
    },
    **enrichment(),
}
PATH = {
    "tenantId": "tenant-1",
    "attackPath": {
        "attackPathId": "P-1",
        "displayName": "Internet exposed machine",
        "description": "An attacker may",
        "attackStory": "First",
        "riskLevel": "Critical",
        "riskFactors": ["InternetExposure"],
        "potentialImpact": "Data",
        "entryPoint": {"id": VM},
        "target": "storage-1",
        "attackPathSteps": [{"resourceId": VM}],
        "mITRETacticsAndTechniques": [{"tactic": "InitialAccess", "techniques": ["T1190"]}],
        "isPartialAttackPath": False,
    },
    **enrichment(),
}
GRAPH_PATH = {
    "tenantId": "tenant-1",
    "type": "microsoft.security/attackpaths",
    "id": f"/subscriptions/{SUB}/providers/microsoft.security/attackpaths/P-2",
    "name": "P-2",
    "properties": {
        "displayName": "Internet exposed machine",
        "attackPathType": "Vm",
        "manualRemediationSteps": "Close it",
        "refreshInterval": 24,
        "riskCategories": ["Data exposure"],
        "entryPointEntityInternalID": "e1",
        "targetEntityInternalID": "e2",
        "graphComponent": {
            "entities": [
                {"entityInternalID": "e1", "entityIdentifiers": {"azureResourceId": VM}},
                {"entityInternalID": "e2", "entityIdentifiers": {}},
            ]
        },
        "attackPathID": "P-2",
    },
}


def without_key(row: dict[str, Any]) -> dict[str, Any]:
    assert len(row.pop("RecordKey")) == 32
    return row


def pascal(name: str) -> str:
    return name[0].upper() + name[1:]


@pytest.mark.parametrize("case", [str, pascal, str.upper, str.lower], ids=["as sent", "Pascal", "UPPER", "lower"])
@pytest.mark.parametrize(
    ("record", "expected"),
    [(assessment(), ASSESSMENT_ROW), (alert(), ALERT_ROW)],
    ids=["assessment", "alert"],
)
def test_a_row_is_the_same_in_every_casing(record: Any, expected: dict[str, Any], case: Any) -> None:
    got = without_key(columns(recased(record, case)))
    exempt = {"Entities", "ExtendedProperties", "ResourceIdentifiers", "RecommendationAdditionalData"}
    assert {name: value for name, value in got.items() if name not in exempt} == {
        name: value for name, value in expected.items() if name not in exempt
    }
    for name in exempt & set(expected):
        assert got[name] == recased(expected[name], case)


@pytest.mark.parametrize("case", [str, pascal, str.upper], ids=["as sent", "Pascal", "UPPER"])
@pytest.mark.parametrize("nested", [False, True], ids=["beside", "under data"])
def test_a_findings_vulnerability_is_read_beside_or_under_data(nested: bool, case: Any) -> None:
    kind = {"assessedResourceType": "ContainerRegistryVulnerability"}
    got = columns(recased(finding(kind | ({"data": VULNERABILITY} if nested else VULNERABILITY)), case))
    for name, value in VULNERABILITY_COLUMNS.items():
        assert got[name] == (recased(value, case) if name == "Cvss" else value), name
    assert got["AssessedResourceType"] == "ContainerRegistryVulnerability"


def test_a_finding() -> None:
    got = without_key(columns(finding({"assessedResourceType": "SqlServerVulnerability", "query": "q"})))
    assert got == {
        **ON_THE_MACHINE,
        "TimeGenerated": "2026-11-10T08:00:00Z",
        "EventTime": "2026-11-10T08:00:00Z",
        "RecordId": f"{VM}/providers/Microsoft.Security/assessments/{REC}/subassessments/F1".lower(),
        "RecordKind": "SubAssessment",
        "Action": "Write",
        "IsSnapshot": False,
        "SourceTenantId": "tenant-1",
        "ResourceName": "web01",
        "ParentRecommendationId": REC.lower(),
        "NestedRecommendationId": "f1",
        "VulnerabilityId": "91426",
        "RecommendationName": "OpenSSL is old",
        "RecommendationState": "Unhealthy",
        "RecommendationSeverity": "High",
        "Cause": "c",
        "StateDescription": "d",
        "Category": "Ubuntu",
        "Impact": "Remote code",
        "Description": "Old library",
        "RemediationDescription": "Update",
        "SubAssessmentTimeGeneration": "2026-11-10T08:00:00Z",
        "AssessedResourceType": "SqlServerVulnerability",
        "AdditionalData": {"assessedResourceType": "SqlServerVulnerability", "query": "q"},
    }


def test_a_cve_is_found_in_the_vulnerabilitys_id() -> None:
    assert columns(finding({}, id="CVE-2021-44228"))["CveIds"] == ["CVE-2021-44228"]


def test_a_secure_score() -> None:
    assert without_key(columns(SCORE)) == {
        **ON_THE_SUBSCRIPTION,
        "RecordId": f"{SECURITY}/secureScores/ascScore".lower(),
        "RecordKind": "SecureScore",
        "Action": "Write",
        "IsSnapshot": False,
        "ScoreName": "ascScore",
        "DisplayName": "ASC score",
        "CurrentScore": 29.5,
        "MaxScore": 58,
        "PercentageScore": 0.5086,
        "Weight": 199,
    }


def test_a_secure_score_control_of_a_snapshot() -> None:
    assert without_key(columns(CONTROL)) == {
        **ON_THE_SUBSCRIPTION,
        "RecordId": f"{SECURITY}/secureScores/ascScore/secureScoreControls/C-1".lower(),
        "RecordKind": "SecureScoreControl",
        "Action": "Write",
        "IsSnapshot": True,
        "ControlId": "c-1",
        "ControlName": "Apply updates",
        "ControlType": "BuiltIn",
        "CurrentScore": 4.67,
        "MaxScore": 6,
        "PercentageScore": 0.7783,
        "HealthyResources": 7,
        "UnhealthyResources": 2,
        "NotApplicableResources": 1,
        "Weight": 9,
        "RecommendationResourceIds": ["/a/1", "/a/2"],
    }


def test_a_regulatory_state_has_standard_and_control_from_its_id() -> None:
    assert without_key(columns(REGULATORY)) == {
        **ON_THE_SUBSCRIPTION,
        "RecordId": str(REGULATORY["id"]).lower(),
        "RecordKind": "RegulatoryCompliance",
        "Action": "Write",
        "IsSnapshot": False,
        "ComplianceStandard": "PCI-DSS-4",
        "ComplianceControl": "1.2",
        "RecommendationId": REC.lower(),
        "RecommendationName": "Machines should be patched",
        "State": "Failed",
        "PassedResources": 3,
        "FailedResources": 4,
        "SkippedResources": 5,
        "AssessmentType": "Assessment",
        "AssessmentDetailsLink": "https://portal.azure.com/#details",
    }


def test_an_attack_path_as_the_portal_exports_it() -> None:
    got = columns(PATH)
    assert got["RecordKind"] == "AttackPath"
    assert got["AttackPathId"] == "P-1"
    assert got["RecordId"] == "p-1"
    assert (got["RiskLevel"], got["RiskFactors"]) == ("Critical", ["InternetExposure"])
    assert (got["EntryPointId"], got["TargetId"]) == (VM, "storage-1")
    assert got["Path"] == [{"resourceId": VM}]
    assert (got["Tactics"], got["Techniques"]) == (["InitialAccess"], ["T1190"])
    assert got["IsPartial"] is False
    assert (got["SubscriptionId"], got["ResourceId"]) == (SUB, VM.lower())


def test_an_attack_path_as_resource_graph_has_it() -> None:
    got = columns(GRAPH_PATH)
    assert got["RecordId"] == str(GRAPH_PATH["id"]).lower()
    assert got["AttackPathId"] == "P-2"
    assert got["EntryPointId"] == VM.lower()
    assert got["TargetId"] == "e2"
    assert got["AffectedResourceIds"] == [VM.lower()]
    assert got["RiskFactors"] == ["Data exposure"]
    assert got["AdditionalRemediationSteps"] == "Close it"
    assert got["Raw"] == {"properties": {"refreshInterval": 24}}


def test_an_alert_as_resource_graph_has_it() -> None:
    flat = alert()
    record = {
        "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/locations/x/alerts/1",
        "type": "Microsoft.Security/Locations/alerts",
        "properties": {name[0].lower() + name[1:]: value for name, value in flat.items()},
        **enrichment("Backfill"),
    }
    got = columns(record)
    assert (got["SystemAlertId"], got["AlertSeverity"], got["Action"]) == ("2518_AB12", "High", "Backfill")
    assert got["ResourceId"] == VM.lower()


@pytest.mark.parametrize(
    ("changes", "subscription"),
    [
        ({}, SUB),
        ({"AzureResourceId": None, "ResourceIdentifiers": None}, SUB),
        ({"AzureResourceId": "", "ExtendedProperties": None}, SUB),
        ({"AzureResourceId": None, "ResourceIdentifiers": [], "ExtendedProperties": {}}, None),
        (
            {
                "AzureResourceId": None,
                "ResourceIdentifiers": None,
                "ExtendedProperties": None,
                "AlertUri": f"https://portal.azure.com/#x/subscriptionId/{SUB}/y",
            },
            SUB,
        ),
        (
            {
                "AzureResourceId": None,
                "ResourceIdentifiers": None,
                "ExtendedProperties": None,
                "AzureResourceSubscriptionId": SUB.upper(),
            },
            SUB,
        ),
    ],
)
def test_an_alerts_subscription_is_found_wherever_it_hides(changes: Any, subscription: str | None) -> None:
    assert columns(alert(**changes)).get("SubscriptionId") == subscription


@pytest.mark.parametrize(
    ("source", "native", "cloud", "kind"),
    [
        ("Aws", "arn:aws:ec2:eu-west-1:1:instance/i", "AWS", "aws.ec2"),
        ("Gcp", "//compute.googleapis.com/projects/p", "GCP", "gcp.compute"),
    ],
)
def test_resources_of_other_clouds(source: str, native: str, cloud: str, kind: str) -> None:
    entity = (
        f"/subscriptions/{SUB}/resourcegroups/c/providers/microsoft.security/securityconnectors/m/securityentitydata/e"
    )
    details = {"source": source, "id": entity, "resourceName": "i", "resourceType": kind, "nativeResourceId": native}
    record = assessment(resourceDetails=details) | {
        "id": f"{entity}/providers/Microsoft.Security/assessments/{REC}",
    }
    got = columns(record)
    assert (got["Cloud"], got["NativeResourceId"], got["ResourceType"]) == (cloud, native, kind)
    assert (got["SubscriptionId"], got["ResourceId"], got["ResourceName"]) == (SUB, entity, "i")


def test_healthy_assessments_were_resolved_when_their_state_changed() -> None:
    got = columns(assessment(status={"code": "Healthy", "statusChangeDate": "2026-11-10T09:00:00Z"}))
    assert got["ResolvedTime"] == "2026-11-10T09:00:00Z"


@pytest.mark.parametrize("action", ["Insert", "Write", "Delete"])
def test_actions_are_kept(action: str) -> None:
    record = assessment() | enrichment(action)
    record.pop("assessmentEventDataEnrichment")
    assert columns(record)["Action"] == action


def test_an_old_event_without_enrichment_is_no_snapshot() -> None:
    record = assessment()
    record.pop("securityEventDataEnrichment")
    record.pop("assessmentEventDataEnrichment")
    got = columns(record)
    assert got["IsSnapshot"] is False
    assert "Action" not in got


def test_an_unknown_kind_is_kept_whole() -> None:
    record = {"type": "Microsoft.Security/new", "id": f"{SECURITY}/new/1", "properties": {"a": [1]}, **enrichment()}
    parsed = row(record)
    got = orjson.loads(parsed.json)
    assert parsed.table == "DefenderOther_CL"
    assert got["Raw"] == record
    assert (got["RecordType"], got["SubscriptionId"]) == ("Microsoft.Security/new", SUB)
    assert (got["Action"], got["IsSnapshot"]) == ("Write", False)


def test_raw_holds_what_no_column_carries() -> None:
    record = assessment(novelty={"x": 1})
    record["properties"]["metadata"]["preview"] = True
    record["properties"]["status"]["firstEvaluationDate"] = "no date"
    assert columns(record)["Raw"] == {
        "properties": {
            "novelty": {"x": 1},
            "metadata": {"preview": True},
            "status": {"firstEvaluationDate": "no date"},
        }
    }


def test_a_second_field_for_one_column_stays_in_raw_when_it_differs() -> None:
    record = assessment(displayName="Another title")
    got = columns(record)
    assert got["RecommendationDisplayName"] == "Another title"
    assert got["Raw"] == {"properties": {"metadata": {"displayName": "Machines should be patched"}}}


def test_raw_may_hold_the_whole_record() -> None:
    parser = Parser(raw="whole")
    assert columns(assessment(), parser)["Raw"] == assessment()
    assert columns(recased(assessment(), str.upper), parser)["Raw"] == recased(assessment(), str.upper)


def test_columns_can_be_left_out() -> None:
    got = columns(assessment(), Parser(drop_columns=["Description", "Tags", "NoSuchColumn", "TimeGenerated"]))
    assert "Description" not in got
    assert "Raw" not in got
    assert "TimeGenerated" in got


def test_filters_drop_and_count() -> None:
    parser = Parser(kept={"Assessment": lambda _kind, _snapshot, record: record["location"] != "westeurope"})
    parsed = parser.parse([event(assessment()), event(assessment() | {"location": "x"}), event(alert())], NOW)
    assert [row.kind for row in parsed.rows] == ["Assessment", "Alert"]
    assert parsed.dropped == {"Assessment": 1}


@pytest.mark.parametrize(
    "wrap", [lambda records: records, lambda records: {"records": records}], ids=["array", "records"]
)
def test_several_records_in_one_event(wrap: Any) -> None:
    parsed = parse(wrap([assessment(), alert(), 7]))
    assert [each.kind for each in parsed.rows] == ["Assessment", "Alert"]
    assert [json.loads(each.whole) for each in parsed.rows] == [assessment(), alert()]
    assert [bad.reason for bad in parsed.bad] == ["not a JSON object with members"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b'{"id": NaN}', "not JSON"),
        (rb'{"id": NaN, "x": "\ud800"}', "not JSON"),
        (b'{"id": "\xff"}', "not JSON"),
        (b"42", "not a JSON object"),
        (b"{}", "not a JSON object"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper"),
    ],
)
def test_what_no_row_can_be_made_of_is_handed_back_with_the_reason(body: bytes, reason: str) -> None:
    parsed = parse(body)
    assert parsed.rows == []
    (bad,) = parsed.bad
    assert bad.reason.startswith(reason)
    assert bad.body == body


def test_lone_surrogates_become_replacement_characters() -> None:
    body = json.dumps(alert(AlertDisplayName="x\ud800y")).encode()
    assert columns(body)["DisplayName"] == "x\ufffdy"


@pytest.mark.parametrize("lone", ["\ud800", "\udc00", "\ud83dx", "\ud83d\n"])
def test_lone_surrogates_are_mended_even_inside_values_passed_on(lone: str) -> None:
    body = json.dumps(alert(Entities=[{"Name": lone}])).encode()
    assert columns(body)["Entities"] == [{"Name": lone.replace(lone[0], "\ufffd")}]


def test_bytes_that_are_not_utf8_are_refused_even_inside_values_passed_on() -> None:
    body = json.dumps(alert()).encode().replace(b'"host"', b'"\xff"')
    assert parse(body).rows == []


def at(moment: datetime) -> dict[str, Any]:
    return alert(ProcessingEndTime=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(hours=46), True),
        (timedelta(hours=48), False),
        (timedelta(hours=-22), True),
        (timedelta(hours=-24), False),
    ],
)
def test_time_generated_obeys_azures_window_and_event_time_does_not(age: timedelta, accepted: bool) -> None:
    moment = NOW - age
    got = columns(at(moment))
    assert datetime.fromisoformat(got["EventTime"]) == moment
    assert datetime.fromisoformat(got["TimeGenerated"]) == (moment if accepted else ENQUEUED)


def test_time_generated_is_now_when_even_the_event_is_old() -> None:
    long_ago = NOW - timedelta(days=9)
    parsed = Parser().parse([event(at(long_ago), enqueued=long_ago)], NOW)
    assert datetime.fromisoformat(orjson.loads(parsed.rows[0].json)["TimeGenerated"]) == NOW


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.type], ids=lambda kind: kind.name)
def test_every_mapped_field_feeds_a_column_of_its_table(kind: Any) -> None:
    for target in kind.fields.values():
        assert target in {"", "-"} or target.startswith("@") or target in kind.table.types
