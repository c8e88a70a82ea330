"""Findings of Microsoft's own scanner (MDVM) and of runtime images, 2024 to July 2026.

Field names and nesting: the definition tables of sub-assessments in Microsoft's REST reference
(AzureContainerRegistryVulnerability, ServerVulnerabilityTvm, ResourceDetails of AWS and GCP) and the samples there;
the values are shortened or made up.
"""

from __future__ import annotations

from typing import Any

from tests.unit.enrich.golden.base import Golden
from tests.unit.enrich.golden.findings import FINDING


def _finding(name: str, data: dict[str, Any], **columns: Any) -> Golden:
    properties = FINDING.record["properties"] | {"id": "e1", "displayName": "Update it", "additionalData": data}
    row = FINDING.row | {"VulnerabilityId": "e1", "RecommendationName": "Update it", "AdditionalData": data} | columns
    return Golden(name, {**FINDING.record, "properties": properties}, row)


IMAGE: dict[str, Any] = {
    "assessedResourceType": "AzureContainerRegistryVulnerability",
    "cvssV30Score": 7.5,
    "ruleId": 4711,
    "imageUri": "ptebic.azurecr.io/public/app@sha256:4af8",
    "vulnerabilityDetails": {
        "cveId": "CVE-2022-2990",
        "cvss": {"3.0": {"base": 7.1, "cvssVectorString": "CVSS:3.1/AV:L"}},
        "publishedDate": "2022-10-16T06:15:00Z",
        "severity": "High",
    },
    "softwareDetails": {
        "category": "OS",
        "language": "Go",
        "packageName": "buildah",
        "version": "1.21",
        "fixedVersion": "1.27",
        "fixStatus": "FixAvailable",
        "vendor": "redhat",
        "patchable": True,
    },
    "artifactDetails": {"repositoryName": "public/app", "registryHost": "ptebic.azurecr.io", "digest": "sha256:4af8"},
}
IMAGE_COLUMNS: dict[str, Any] = {
    "AssessedResourceType": "AzureContainerRegistryVulnerability",
    "CveIds": ["CVE-2022-2990"],
    "CvssScore": 7.5,
    "RuleId": "4711",
    "ImageUri": "ptebic.azurecr.io/public/app@sha256:4af8",
    "Cvss": {"3.0": {"base": 7.1, "cvssVectorString": "CVSS:3.1/AV:L"}},
    "PublishedTime": "2022-10-16T06:15:00Z",
    "Patchable": True,
    "FixStatus": "FixAvailable",
    "FixedVersion": "1.27",
    "SoftwareName": "buildah",
    "SoftwareVendor": "redhat",
    "SoftwareVersions": ["1.21"],
    "SoftwareLanguage": "Go",
    "PackageType": "OS",
    "RepositoryName": "public/app",
    "RegistryHost": "ptebic.azurecr.io",
    "ImageDigest": "sha256:4af8",
}
OF_AN_IMAGE = _finding("MDVM finding of an image", IMAGE, **IMAGE_COLUMNS)
UNDER_DATA = _finding(
    "MDVM finding of an image in Resource Graph",
    {
        "assessedResourceType": "AzureContainerRegistryVulnerability",
        "data": {name: value for name, value in IMAGE.items() if name != "assessedResourceType"},
    },
    **IMAGE_COLUMNS,
)
SERVER: dict[str, Any] = {
    "assessedResourceType": "ServerVulnerabilityTvm",
    "source": "mdvm",
    "softwareName": "libxml2",
    "softwareVendor": "redhat",
    "softwareVersion": "2.9.13",
    "fixStatus": "FixAvailable",
    "recommendedVersion": "2.9.14",
    "cve": [
        {
            "title": "CVE-2025-6021",
            "cvssScore": 7.5,
            "publishedDate": "2025-06-12T00:00:00Z",
            "description": "Other issues include CVE-2025-32414.",
        },
        {"title": "CVE-2025-49796", "cvssScore": 9.1, "publishedDate": "2025-06-11T00:00:00Z"},
    ],
}
SERVER_COLUMNS: dict[str, Any] = {
    "AssessedResourceType": "ServerVulnerabilityTvm",
    "CveIds": ["CVE-2025-6021", "CVE-2025-49796"],
    "CvssScore": 9.1,
    "PublishedTime": "2025-06-11T00:00:00Z",
    "Patchable": True,
    "FixStatus": "FixAvailable",
    "FixedVersion": "2.9.14",
    "SoftwareName": "libxml2",
    "SoftwareVendor": "redhat",
    "SoftwareVersions": ["2.9.13"],
    "ToolName": "mdvm",
}
OF_A_SERVER = _finding("MDVM finding of a server", SERVER, **SERVER_COLUMNS)
WITH_ONE_CVE = _finding(
    "aggregated finding with one CVE",
    {
        "assessedResourceType": "ManagedAggregatedServerVulnerabilityTvm",
        "cve": {"title": "CVE-2024-0001", "cvss": [{"Key": "3.1", "Value": {"Base": 7.1}}]},
        "fixStatus": "NoFix",
    },
    AssessedResourceType="ManagedAggregatedServerVulnerabilityTvm",
    CveIds=["CVE-2024-0001"],
    CvssScore=7.1,
    FixStatus="NoFix",
    Patchable=False,
)
WITH_RESOURCE_DATA = Golden(
    "finding with data about its resource",
    {
        **OF_A_SERVER.record,
        "properties": {
            **OF_A_SERVER.record["properties"],
            "resourceAdditionalData": '{"Digest":"sha256:99"}',
        },
    },
    OF_A_SERVER.row | {"ResourceAdditionalData": '{"Digest":"sha256:99"}', "ImageDigest": "sha256:99"},
)
OF_A_RUNNING_IMAGE = _finding(
    "finding of a running image",
    {
        "assessedResourceType": "AzureRuntimeImageVulnerability",
        "vulnerabilityDetails": {"cveId": "CVE-2023-1111", "cvss": {"2.0": None, "3.0": {"base": 5.5}}},
        "softwareDetails": {"packageName": "curl", "version": "8.0", "fixStatus": "NoFixAvailable"},
        "artifactDetails": {"repositoryName": "", "registryHost": "mcr.microsoft.com", "digest": "sha256:0200"},
        "kubernetesDetails": {"clusterName": "aks1", "namespace": "kube-system", "containerName": "agent"},
    },
    AssessedResourceType="AzureRuntimeImageVulnerability",
    CveIds=["CVE-2023-1111"],
    CvssScore=5.5,
    Cvss={"2.0": None, "3.0": {"base": 5.5}},
    SoftwareName="curl",
    SoftwareVersions=["8.0"],
    FixStatus="NoFixAvailable",
    Patchable=False,
    RegistryHost="mcr.microsoft.com",
    ImageDigest="sha256:0200",
    ClusterName="aks1",
    Namespace="kube-system",
    ContainerName="agent",
)
IN_OTHER_CLOUD = Golden(
    "MDVM finding of AWS",
    {
        **OF_AN_IMAGE.record,
        "properties": {
            **OF_AN_IMAGE.record["properties"],
            "resourceDetails": {
                "id": "/repositories/app/images/sha256:aa",
                "source": "AWS",
                "connectorId": "c-1",
                "region": "us-east-1",
                "nativeCloudUniqueIdentifier": "arn:aws:ecr:us-east-1:544047870946:image/app/sha256:aa",
                "resourceProvider": "ecr",
                "resourceType": "repository",
                "resourceName": "app",
                "hierarchyId": "544047870946",
            },
        },
    },
    OF_AN_IMAGE.row
    | {
        "Cloud": "AWS",
        "EntityId": "/repositories/app/images/sha256:aa",
        "NativeResourceId": "arn:aws:ecr:us-east-1:544047870946:image/app/sha256:aa",
        "ConnectorId": "c-1",
        "CloudAccountId": "544047870946",
        "Location": "us-east-1",
        "ResourceName": "app",
        "ResourceType": "repository",
        "Raw": {"properties": {"resourceDetails": {"resourceProvider": "ecr"}}},
    },
)
GOLDENS = (OF_AN_IMAGE, UNDER_DATA, OF_A_SERVER, WITH_ONE_CVE, WITH_RESOURCE_DATA, OF_A_RUNNING_IMAGE, IN_OTHER_CLOUD)
