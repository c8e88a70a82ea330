"""Findings: of servers, SQL and registries, their data beside or under `data`, and of other clouds.

They differ in their additional data alone, which is all that is said of them here; `_finding` has the rest.
"""

from __future__ import annotations

from typing import Any

from tests.unit.enrich.golden.base import ARRIVED, CONNECTOR, ON_THE_MACHINE, REC, SUB, VM, Golden

FINDING = Golden(
    "finding",
    {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/assessments/subAssessments",
        "id": f"{VM}/providers/Microsoft.Security/assessments/{REC}/subassessments/F1",
        "name": "F1",
        "properties": {
            "id": "91426",
            "displayName": "OpenSSL is old",
            "status": {"code": "Unhealthy", "severity": "High", "cause": "c", "description": "d"},
            "remediation": "Update",
            "impact": "Remote code",
            "category": "Ubuntu",
            "description": "Old library",
            "timeGenerated": "2026-11-10T08:00:00Z",
            "resourceDetails": {"source": "Azure", "id": VM},
            "additionalData": {},
        },
        "securityEventDataEnrichment": {"action": "Write", "apiVersion": "2020-01-01", "isSnapshot": False},
        "subAssessmentEventDataEnrichment": {"action": "Write", "apiVersion": "2020-01-01", "isSnapshot": False},
    },
    {
        **ON_THE_MACHINE,
        "TimeGenerated": "2026-11-10T08:00:00Z",
        "EventTime": "2026-11-10T08:00:00Z",
        "RecordId": f"{VM}/providers/Microsoft.Security/assessments/{REC}/subassessments/F1".lower(),
        "RecordKind": "SubAssessment",
        "Action": "Write",
        "IsSnapshot": False,
        "ApiVersion": "2020-01-01",
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
        "AdditionalData": {},
    },
)


def _finding(name: str, data: dict[str, Any], **columns: Any) -> Golden:
    """A finding with a scanner's additional data, and the columns that come from it."""
    record = {**FINDING.record, "properties": FINDING.record["properties"] | {"additionalData": data}}
    return Golden(name, record, FINDING.row | {"AdditionalData": data} | columns)


SERVER: dict[str, Any] = {
    "type": "Vulnerability",
    "cvss": {"2.0": {"base": 5.0}, "3.0": {"base": 7.5}},
    "patchable": True,
    "cve": [{"title": "CVE-2024-1234", "link": "https://x/CVE-2024-1234"}, {"title": "CVE-2023-99999"}],
    "publishedTime": "2024-02-01T00:00:00Z",
}
SERVER_COLUMNS: dict[str, Any] = {
    "CveIds": ["CVE-2024-1234", "CVE-2023-99999"],
    "CvssScore": 7.5,
    "Cvss": {"2.0": {"base": 5.0}, "3.0": {"base": 7.5}},
    "Patchable": True,
    "PublishedTime": "2024-02-01T00:00:00Z",
}
SQL = {"type": "AzureDatabase", "query": "select 1", "queryResults": [["guest", "CONNECT"]], "benchmarks": []}
REGISTRY: dict[str, Any] = {
    "cvss": {"3.1": {"base": 9}},
    "patchable": False,
    "cve": [{"title": "CVE-2021-44228"}],
    "publishedTime": "2021-12-10T00:00:00Z",
    "repositoryName": "team/web",
    "registryHost": "contoso.azurecr.io",
    "imageDigest": "sha256:abc",
}
REGISTRY_COLUMNS: dict[str, Any] = {
    "CveIds": ["CVE-2021-44228"],
    "CvssScore": 9.0,
    "Cvss": {"3.1": {"base": 9}},
    "Patchable": False,
    "PublishedTime": "2021-12-10T00:00:00Z",
    "RepositoryName": "team/web",
    "RegistryHost": "contoso.azurecr.io",
    "ImageDigest": "sha256:abc",
}
OF_AWS = Golden(
    "finding of AWS",
    {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/assessments/subAssessments",
        "id": f"{CONNECTOR}/securityentitydata/E-1/providers/Microsoft.Security/assessments/{REC}/subAssessments/F2",
        "name": "F2",
        "properties": {
            "id": "CVE-2021-44228",
            "displayName": "Log4Shell",
            "status": {"code": "Healthy"},
            "timeGenerated": "2026-11-10T08:00:00Z",
            "resourceDetails": {
                "source": "Aws",
                "id": f"{CONNECTOR}/securityentitydata/E-1",
                "resourceName": "team/web",
                "resourceType": "Aws.ECR.Repository",
                "nativeResourceId": "arn:aws:ecr:eu-west-1:123456789012:repository/team/web",
            },
            "additionalData": {"assessedResourceType": "ContainerRegistryVulnerability"},
        },
        "securityEventDataEnrichment": {"action": "Delete", "apiVersion": "2020-01-01", "isSnapshot": False},
    },
    {
        **ARRIVED,
        "TimeGenerated": "2026-11-10T08:00:00Z",
        "EventTime": "2026-11-10T08:00:00Z",
        "RecordId": f"{CONNECTOR}/securityentitydata/e-1/providers/microsoft.security/assessments/{REC.lower()}"
        "/subassessments/f2",
        "RecordKind": "SubAssessment",
        "Action": "Delete",
        "IsSnapshot": False,
        "ApiVersion": "2020-01-01",
        "SourceTenantId": "tenant-1",
        "Cloud": "AWS",
        "SubscriptionId": SUB,
        "ResourceId": f"{CONNECTOR}/securityentitydata/e-1",
        "NativeResourceId": "arn:aws:ecr:eu-west-1:123456789012:repository/team/web",
        "CloudAccountId": "123456789012",
        "ConnectorId": CONNECTOR,
        "Location": "eu-west-1",
        "ResourceName": "team/web",
        "ResourceType": "aws.ecr.repository",
        "ResourceGroup": "rg-clouds",
        "ParentRecommendationId": REC.lower(),
        "NestedRecommendationId": "f2",
        "VulnerabilityId": "CVE-2021-44228",
        "RecommendationName": "Log4Shell",
        "RecommendationState": "Healthy",
        "SubAssessmentTimeGeneration": "2026-11-10T08:00:00Z",
        "AssessedResourceType": "ContainerRegistryVulnerability",
        "CveIds": ["CVE-2021-44228"],
        "AdditionalData": {"assessedResourceType": "ContainerRegistryVulnerability"},
    },
)
GOLDENS = (
    _finding(
        "finding of a server",
        {"assessedResourceType": "ServerVulnerability", **SERVER},
        AssessedResourceType="ServerVulnerability",
        **SERVER_COLUMNS,
    ),
    _finding(
        "finding of a server under data",
        {"assessedResourceType": "GeneralVulnerability", "data": SERVER},
        AssessedResourceType="GeneralVulnerability",
        **SERVER_COLUMNS,
    ),
    _finding(
        "finding of SQL",
        {"assessedResourceType": "SqlServerVulnerability", **SQL},
        AssessedResourceType="SqlServerVulnerability",
    ),
    _finding(
        "finding of SQL under data",
        {"assessedResourceType": "SqlServerVulnerability", "data": SQL},
        AssessedResourceType="SqlServerVulnerability",
    ),
    _finding(
        "finding of a registry",
        {"assessedResourceType": "ContainerRegistryVulnerability", **REGISTRY},
        AssessedResourceType="ContainerRegistryVulnerability",
        **REGISTRY_COLUMNS,
    ),
    _finding(
        "finding of a registry under data",
        {"assessedResourceType": "ContainerRegistryVulnerability", "data": REGISTRY},
        AssessedResourceType="ContainerRegistryVulnerability",
        **REGISTRY_COLUMNS,
    ),
    OF_AWS,
)
