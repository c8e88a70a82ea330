"""Values that records and files are known to hold.  Every set is open: Microsoft adds to each without notice.

Sources: the models of the published API (`azure-mgmt-security`), Microsoft's page on the transition from grouped to
individual recommendations (29 June 2026), alerts captured by public connectors, and the published list of regions.
"""

from __future__ import annotations

from typing import Any, Final

ALERT_SEVERITIES: Final = ("High", "Medium", "Low", "Informational")
RECOMMENDATION_SEVERITIES: Final = ("Critical", "High", "Medium", "Low")
"""Critical is a severity of recommendations since 25 March 2025."""
RISK_LEVELS: Final = ("Critical", "High", "Medium", "Low")

ALERT_STATUSES: Final = ("New", "InProgress", "Resolved", "Dismissed")
"""`New` was captured from event hubs; the later states are those of the API."""
ALERT_STATUS_WORDS: Final = {"Active": "New"}
"""Resource Graph's and the API's word for a status, and the word of exported events."""

_EXPORTED_STATUS: Final = {word.lower(): exported for word, exported in ALERT_STATUS_WORDS.items()}


def exported_status(value: Any) -> Any:
    """An alert's status in the word of exported events, whatever its casing; anything else as it is."""
    return _EXPORTED_STATUS.get(value.lower(), value) if isinstance(value, str) else value


SIMULATED_PREFIX: Final = "SIMULATED_"
"""How the type of an alert begins that Defender for Cloud simulated, as captured from event hubs."""


def is_simulated(alert_type: object) -> bool:
    """Whether an alert of this type was simulated; case does not count, as in KQL."""
    return isinstance(alert_type, str) and alert_type[: len(SIMULATED_PREFIX)].lower() == SIMULATED_PREFIX.lower()


RECOMMENDATION_STATUSES: Final = ("Healthy", "Unhealthy", "NotApplicable")
COMPLIANCE_STATES: Final = ("Passed", "Failed", "Skipped", "Unsupported", "On", "Off")
ASSESSMENT_TYPES: Final = (
    "BuiltIn", "BuiltInPolicy", "Custom", "CustomPolicy", "CustomerManaged", "DynamicBuiltIn", "ManualBuiltIn",
    "ManualBuiltInPolicy", "ManualCustomPolicy", "Unknown", "VerifiedPartner",
)  # fmt: skip
CATEGORIES: Final = (
    "ApiVulnerabilities", "CodeVulnerabilities", "ExposedSecrets", "HostMisconfigurations", "IacVulnerabilities",
    "ServiceUpgrade", "SoftwareUpdate", "SystemUpdate", "Unknown",
)  # fmt: skip
"""`properties.metadata.recommendationCategory`; every recommendation without one is Unknown, or has none."""
CLOUDS: Final = ("Azure", "AWS", "GCP", "GitHub", "AzureDevOps", "GitLab")
"""`properties.resourceDetails.Source`."""
SOURCES: Final = (*CLOUDS, "OnPremise", "OnPremiseSql", "OnPremiseResourceDetails")
SQL_SCANNER: Final = "SQL Vulnerability Assessment"
"""`properties.additionalData.Scanner` of the recommendations that stand for a rule of a SQL vulnerability scan."""
RESOURCE_TYPES: Final = (
    "Microsoft.Compute/virtualMachines", "Microsoft.HybridCompute/machines", ".containerimage", "K8s-container",
    "microsoft.security/securityconnectors/devops/azuredevopsorgs/projects/repos",
    "microsoft.security/securityconnectors/devops/githubowners/repos",
    "microsoft.security/securityconnectors/devops/gitlabgroups/projects",
    "Microsoft.Storage/storageAccounts", "Microsoft.Sql/servers", "Microsoft.KeyVault/vaults",
    "Microsoft.ContainerService/managedClusters", "Microsoft.Web/sites",
)  # fmt: skip
PLANS: Final = (
    "AI", "Api", "AppServices", "Arm", "CloudPosture", "Containers", "ContainerRegistry", "CosmosDbs", "Databases",
    "Dns", "KeyVaults", "KubernetesService", "OpenSourceRelationalDatabases", "Servers", "SqlServers",
    "SqlServerVirtualMachines", "StorageAccounts", "Storage", "VirtualMachines",
)  # fmt: skip
"""`ProductComponentName` of alerts; captured: Containers, Servers, VirtualMachines; else names of Defender plans."""
PLAN_WORDS: Final = {
    "Defender for Storage": "StorageAccounts or Storage",
    "Defender for Servers": "Servers",
    "Defender for Containers": "Containers",
    "Defender for Key Vault": "KeyVaults",
    "Defender for App Service": "AppServices",
    "Defender for Resource Manager": "Arm",
    "Defender for DNS": "Dns",
    "Defender for APIs": "Api",
    "Defender for SQL": "SqlServers or Databases",
    "KeyVault": "KeyVaults",
    "SQL": "SqlServers or Databases",
}
"""Names that people write for a plan, and the one that alerts hold."""
PLAN_PAIRS: Final = {"servers": "VirtualMachines", "virtualmachines": "Servers"}
"""Names that alerts of one plan hold side by side, in lower case."""

CHINA_REGIONS: Final = ("chinaeast", "chinaeast2", "chinaeast3", "chinanorth", "chinanorth2", "chinanorth3")
"""Azure China, where Defender for Cloud was retired on 18 August 2026."""
REGIONS: Final = (
    "australiacentral", "australiacentral2", "australiaeast", "australiasoutheast", "austriaeast", "belgiumcentral",
    "brazilsouth", "brazilsoutheast", "canadacentral", "canadaeast", "centralindia", "centralus", "chilecentral",
    "denmarkeast", "eastasia", "eastus", "eastus2", "francecentral", "francesouth", "germanynorth",
    "germanywestcentral", "indonesiacentral", "israelcentral", "italynorth", "japaneast", "japanwest",
    "jioindiacentral", "jioindiawest", "koreacentral", "koreasouth", "malaysiawest", "mexicocentral", "newzealandnorth",
    "northcentralus", "northeurope", "norwayeast", "norwaywest", "polandcentral", "qatarcentral", "southafricanorth",
    "southafricawest", "southcentralus", "southeastasia", "southindia", "spaincentral", "swedencentral", "swedensouth",
    "switzerlandnorth", "switzerlandwest", "uaecentral", "uaenorth", "uksouth", "ukwest", "westcentralus",
    "westeurope", "westindia", "westus", "westus2", "westus3", "usgovarizona", "usgoviowa", "usgovtexas",
    "usgovvirginia", "usdodcentral", "usdodeast",
)  # fmt: skip

STANDARDS: Final = (
    "AWS-Foundational-Security-Best-Practices", "Azure-CIS-1.1.0", "Azure-CIS-1.3.0", "Azure-CIS-1.4.0",
    "Azure-CIS-2.0.0", "Azure-CSPM", "CIS-Azure-Foundations-v3.0", "CMMC-Level-3", "FedRAMP-H", "FedRAMP-M",
    "HIPAA-HITRUST", "ISO-27001", "Microsoft-cloud-security-benchmark", "NIST-SP-800-171-R2", "NIST-SP-800-53-R4",
    "NIST-SP-800-53-R5", "PCI-DSS-3.2.1", "PCI-DSS-4", "SOC-2", "SOC-TSP", "SWIFT-CSP-CSCF-v2020", "UK-OFFICIAL",
)  # fmt: skip
"""Regulatory compliance standards by id; subscriptions can have others."""
