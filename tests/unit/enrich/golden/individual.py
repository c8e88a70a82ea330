"""Individual recommendations of 2026: one per package, secret, rule or finding, each with its resource.

Rebuilt from Microsoft's published workbooks (Application-Insights-Workbooks, folder "Azure Security Center": the paths
and their casing) and from "Transition from grouped to individual recommendations"; the values are made up.  No whole
exported record has been published.
"""

from __future__ import annotations

import json
from typing import Any

from tests.unit.enrich.golden.base import ARRIVED, CONNECTOR, ON_THE_MACHINE, SUB, VM, Golden

OWN = "11112222-3333-4444-8555-666677778888"
REGISTRY = f"/subscriptions/{SUB}/resourceGroups/RG-Web/providers/Microsoft.ContainerRegistry/registries/acr1"
CLUSTER = f"/subscriptions/{SUB}/resourceGroups/RG-Web/providers/Microsoft.ContainerService/managedClusters/aks1"
SQL_VM = f"/subscriptions/{SUB}/resourceGroups/RG-Web/providers/Microsoft.Compute/virtualMachines/sqlvm"
CVES = json.dumps(
    [
        {
            "CveId": "CVE-2026-1234",
            "Severity": "High",
            "Cvss": [{"Key": "3", "Value": {"Base": 7.1, "CvssVectorString": "CVSS:3.1/AV:N"}}],
            "FixStatus": "FixAvailable",
            "FixedVersion": "3.0.3",
            "PublishedDate": "2026-03-02T00:00:00Z",
            "Description": "Unlike CVE-2025-9999, this one is remote.",
        },
        {"CveId": "CVE-2026-0007", "FixStatus": "NoFix", "PublishedDate": "2026-01-02T00:00:00Z"},
    ]
)
SOFTWARE: dict[str, Any] = {
    "SoftwareName": "openssl",
    "SoftwareVendor": "ubuntu",
    "PackageType": "OS",
    "Language": "C",
    "DetectedSoftwareVersions": '["3.0.2","3.0.1"]',
    "FixedVersion": "3.0.3",
    "FixStatus": "FixAvailable",
    "MaxCvssScore": "7.5",
    "CvesDetails": CVES,
    "ScannersDetails": '{"mdvm":{"CvesIds":["CVE-2026-1234"]}}',
}
SOFTWARE_COLUMNS: dict[str, Any] = {
    "SoftwareName": "openssl",
    "SoftwareVendor": "ubuntu",
    "PackageType": "OS",
    "SoftwareLanguage": "C",
    "SoftwareVersions": ["3.0.2", "3.0.1"],
    "FixedVersion": "3.0.3",
    "FixStatus": "FixAvailable",
    "Patchable": True,
    "CvssScore": 7.5,
    "PublishedTime": "2026-01-02T00:00:00Z",
    "CveIds": ["CVE-2026-1234", "CVE-2026-0007"],
}


def _individual(
    name: str, hangs_on: str, properties: dict[str, Any], row: dict[str, Any], *, category: str = "SoftwareUpdate"
) -> Golden:
    """A recommendation with what all of them have; casing and order of members as the workbooks read them."""
    details = properties.pop("resourceDetails")
    record = {
        "type": "microsoft.security/assessments",
        "id": f"{hangs_on}/providers/Microsoft.Security/assessments/{OWN}",
        "name": OWN,
        "tenantId": "tenant-1",
        "properties": {
            "displayName": "Update openssl",
            "resourceDetails": details,
            "status": {
                "code": "Unhealthy",
                "firstEvaluationDate": "2026-11-01T10:00:00Z",
                "statusChangeDate": "2026-11-10T10:00:00Z",
            },
            "metadata": {
                "assessmentType": "DynamicBuiltIn",
                "severity": "Critical",
                "recommendationCategory": category,
                "preview": False,
            },
            "risk": {"level": "High", "riskFactors": ["Internet exposure"], "isContextualRisk": True},
            **properties,
        },
        "securityEventDataEnrichment": {"action": "Insert", "apiVersion": "2025-05-04", "isSnapshot": False},
    }
    columns = {
        **ARRIVED,
        "Cloud": "Azure",
        "SubscriptionId": SUB,
        "ResourceGroup": "rg-web",
        "TimeGenerated": "2026-11-10T10:00:00Z",
        "EventTime": "2026-11-10T10:00:00Z",
        "RecordId": f"{hangs_on}/providers/Microsoft.Security/assessments/{OWN}".lower(),
        "RecordKind": "Assessment",
        "Action": "Insert",
        "IsSnapshot": False,
        "ApiVersion": "2025-05-04",
        "SourceTenantId": "tenant-1",
        "RecommendationId": OWN,
        "RecommendationDisplayName": "Update openssl",
        "RecommendationState": "Unhealthy",
        "RecommendationSeverity": "Critical",
        "RecommendationCategory": category,
        "IsPreview": False,
        "IsContextualRisk": True,
        "StatusChangeDate": "2026-11-10T10:00:00Z",
        "FirstEvaluationDate": "2026-11-01T10:00:00Z",
        "RiskLevel": "High",
        "RiskFactors": ["Internet exposure"],
        "AssessmentType": "DynamicBuiltIn",
        "RecommendationAdditionalData": properties.get("additionalData"),
        "ResourceAdditionalData": properties.get("resourceAdditionalData"),
    }
    return Golden(name, record, {name: value for name, value in (columns | row).items() if value is not None})


ON_A_MACHINE = _individual(
    "software update on a machine",
    VM,
    {
        "resourceDetails": {
            "Source": "Azure",
            "Id": VM,
            "ResourceName": "Web01",
            "ResourceType": "Microsoft.Compute/virtualMachines",
            "ResourceProvider": "Microsoft.Compute",
            "NativeResourceId": VM,
        },
        "additionalData": SOFTWARE,
    },
    {**ON_THE_MACHINE, **SOFTWARE_COLUMNS, "NativeResourceId": VM, "ResourceName": "Web01"},
)
IMAGE = f"{REGISTRY}/securityentitydata/repositories-team-app-images-sha256:0a1b"
IMAGE_DATA = json.dumps(
    {
        "Digest": "sha256:0a1b",
        "ImageUri": "acr1.azurecr.io/team/app@sha256:0a1b",
        "RepositoryDetails": {"RegistryHost": "acr1.azurecr.io", "RepositoryName": "team/app"},
        "Tags": ["1"],
    }
)
ON_AN_IMAGE = _individual(
    "software update on a container image",
    IMAGE,
    {
        "resourceDetails": {"Source": "Azure", "ResourceType": ".containerimage", "Id": IMAGE},
        "resourceAdditionalData": IMAGE_DATA,
        "additionalData": SOFTWARE,
    },
    {
        **SOFTWARE_COLUMNS,
        "ResourceId": REGISTRY.lower(),
        "ResourceType": "microsoft.containerregistry/registries",
        "ResourceName": "repositories-team-app-images-sha256:0a1b",
        "EntityId": IMAGE.lower(),
        "EntityType": ".containerimage",
        "ImageDigest": "sha256:0a1b",
        "ImageUri": "acr1.azurecr.io/team/app@sha256:0a1b",
        "RegistryHost": "acr1.azurecr.io",
        "RepositoryName": "team/app",
    },
)
CONTAINER = f"{CLUSTER}/securityentitydata/pods-shop-web"
IN_A_CONTAINER = _individual(
    "software update in a running container",
    CONTAINER,
    {
        "resourceDetails": {"Source": "Azure", "ResourceType": "K8s-container", "Id": CONTAINER},
        "resourceAdditionalData": json.dumps(
            {
                "ClusterDetails": {"ClusterName": "aks1"},
                "Namespace": "shop",
                "ContainerName": "web",
                "ControllerKind": "Deployment",
                "ImageDetails": {"ImageUri": "acr1.azurecr.io/team/app:1"},
            }
        ),
        "additionalData": SOFTWARE,
    },
    {
        **SOFTWARE_COLUMNS,
        "ResourceId": CLUSTER.lower(),
        "ResourceType": "microsoft.containerservice/managedclusters",
        "ResourceName": "pods-shop-web",
        "EntityId": CONTAINER.lower(),
        "EntityType": "K8s-container",
        "ClusterName": "aks1",
        "Namespace": "shop",
        "ContainerName": "web",
        "ImageUri": "acr1.azurecr.io/team/app:1",
    },
)
REPOSITORY = f"{CONNECTOR}/devops/default/githubowners/contoso/repos/shop"
SECRET = _individual(
    "secret in a repository",
    REPOSITORY,
    {
        "resourceDetails": {
            "Source": "GitHub",
            "Id": REPOSITORY,
            "ResourceName": "shop",
            "ResourceType": "microsoft.security/securityconnectors/devops/githubowners/repos",
            "ConnectorId": CONNECTOR,
        },
        "resourceAdditionalData": '{"BranchName":"main","RepositoryDetails":{"HtmlUrl":"https://github.com/contoso/shop"}}',
        "additionalData": {"SecretTypeDisplayName": "Azure Storage key"},
    },
    {
        "Cloud": "GitHub",
        "ResourceId": REPOSITORY,
        "ResourceGroup": "rg-clouds",
        "ResourceType": "microsoft.security/securityconnectors/devops/githubowners/repos",
        "ResourceName": "shop",
        "ConnectorId": CONNECTOR,
        "SecretType": "Azure Storage key",
        "BranchName": "main",
        "RepositoryUrl": "https://github.com/contoso/shop",
    },
    category="ExposedSecrets",
)
CODE = _individual(
    "code finding",
    REPOSITORY,
    {
        "resourceDetails": {"Source": "GitHub", "Id": REPOSITORY, "ResourceName": "shop", "ResourceType": "repos"},
        "additionalData": {
            "ToolName": "CodeQL",
            "RuleId": "js/xss",
            "Findings": '[{"BranchName":"main","HtmlUrl":"https://github.com/contoso/shop/1"}]',
        },
    },
    {
        "Cloud": "GitHub",
        "ResourceId": REPOSITORY,
        "ResourceGroup": "rg-clouds",
        "ResourceType": "microsoft.security/securityconnectors/devops/githubowners/repos",
        "ResourceName": "shop",
        "ToolName": "CodeQL",
        "RuleId": "js/xss",
        "BranchName": "main",
        "RepositoryUrl": "https://github.com/contoso/shop/1",
    },
    category="CodeVulnerabilities",
)
DATABASE = f"{SQL_VM}/securityentitydata/sqlservers:MSSQLSERVER:databases:db1"
SQL_RULE = _individual(
    "SQL rule on a database",
    DATABASE,
    {
        "resourceDetails": {"Source": "Azure", "Id": DATABASE},
        "additionalData": {
            "Scanner": "SQL Vulnerability Assessment",
            "ParentResource": SQL_VM,
            "RuleId": "VA1059",
            "Severity": "High",
            "Category": "SurfaceAreaReduction",
            "Query": "SELECT 1",
            "Benchmarks": '[{"benchmark":"FedRAMP"}]',
        },
        "risk": {"level": "None", "paths": [{"id": "1", "nodes": [], "edges": []}]},
    },
    {
        "ResourceId": SQL_VM.lower(),
        "ResourceType": "microsoft.compute/virtualmachines",
        "ResourceName": "sqlservers:mssqlserver:databases:db1",
        "EntityId": DATABASE.lower(),
        "RiskLevel": "None",
        "RiskFactors": None,
        "IsContextualRisk": None,
        "RiskPaths": [{"id": "1", "nodes": [], "edges": []}],
        "RuleId": "VA1059",
        "ToolName": "SQL Vulnerability Assessment",
        "ParentResource": SQL_VM,
    },
    category="Unknown",
)
IN_OTHER_LETTERS = ON_A_MACHINE._replace(
    name="software update on a machine, camelCase inside",
    record={
        **ON_A_MACHINE.record,
        "properties": {
            **ON_A_MACHINE.record["properties"],
            "additionalData": {name[0].lower() + name[1:]: value for name, value in SOFTWARE.items()},
        },
    },
    row={
        **ON_A_MACHINE.row,
        "RecommendationAdditionalData": {name[0].lower() + name[1:]: value for name, value in SOFTWARE.items()},
    },
)
"""Users' notes of August 2026: both casings occur, row by row."""
GOLDENS = (ON_A_MACHINE, IN_OTHER_LETTERS, ON_AN_IMAGE, IN_A_CONTAINER, SECRET, CODE, SQL_RULE)
