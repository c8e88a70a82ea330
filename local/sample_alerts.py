"""The alerts that Defender for Cloud simulates, one for each bundle, as continuous export sends them.

Captured are two of them (Storage and SQL, in triggermesh's events): `SIMULATED_` before the type, `[SAMPLE ALERT]`
before the name, `THIS IS A SAMPLE ALERT:` before the description, and resources called Sample-... in Sample-RG.  Types
and severities of the others are those of Microsoft's reference of alerts; how many a bundle makes is not published.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Record = dict[str, Any]
_TICKS_OF_1970 = 621_355_968_000_000_000
_MOST_TICKS = 3_155_378_975_999_999_999


class Sample(NamedTuple):
    """What a bundle's alert says."""

    type: str
    name: str
    severity: str
    plan: str
    tactic: str
    resource: str


SAMPLES = {
    "AppServices": Sample(
        "AppServices_AnomalousPageAccess", "Unusual access to a web page", "Low", "AppServices", "InitialAccess",
        "Microsoft.Web/sites/Sample-App",
    ),
    "DNS": Sample(
        "AzureDNS_CurrencyMining", "Digital currency mining activity", "Low", "Dns", "Exfiltration",
        "Microsoft.Compute/virtualMachines/Sample-VM",
    ),
    "KeyVaults": Sample(
        "KV_TORAccess", "Access from a TOR exit node to a key vault", "Medium", "KeyVaults", "CredentialAccess",
        "Microsoft.KeyVault/vaults/Sample-KV",
    ),
    "KubernetesService": Sample(
        "K8S_PrivilegedContainer", "Privileged container detected", "Informational", "Containers",
        "PrivilegeEscalation", "Microsoft.ContainerService/managedClusters/Sample-Cluster",
    ),
    "ResourceManager": Sample(
        "ARM_OperationFromSuspiciousIP", "Resource Manager operation from a suspicious address", "Medium", "Arm",
        "Execution", "",
    ),
    "SqlServers": Sample(
        "SQL.VM_BruteForce", "Suspected successful brute force attack", "High", "SqlServers", "PreAttack",
        "Microsoft.Compute/virtualMachines/Sample-VM",
    ),
    "StorageAccounts": Sample(
        "Storage.Blob_DataExfiltration.AmountOfDataAnomaly",
        "Unusual amount of data extracted from a storage account", "High", "StorageAccounts", "Exfiltration",
        "Microsoft.Storage/storageAccounts/Sample-Storage",
    ),
    "VirtualMachines": Sample(
        "VM_LoginBruteForceSuccess", "Suspicious authentication activity", "High", "VirtualMachines", "PreAttack",
        "Microsoft.Compute/virtualMachines/Sample-VM",
    ),
    "CosmosDbs": Sample(
        "CosmosDB_TorAnomaly", "Access from a TOR exit node to a database", "High", "CosmosDbs", "InitialAccess",
        "Microsoft.DocumentDB/databaseAccounts/Sample-Cosmos",
    ),
}  # fmt: skip
"""By bundle, in the order of the published enumeration."""


def sample_alert(bundle: str, subscription_id: str, location: str, at: datetime) -> Record:
    """The alert of a bundle, generated at a moment."""
    sample = SAMPLES[bundle]
    group = f"/subscriptions/{subscription_id}/resourceGroups/Sample-RG"
    resource = f"{group}/providers/{sample.resource}" if sample.resource else f"/subscriptions/{subscription_id}"
    alert = f"{_descending_ticks(at)}_{uuid.uuid4()}"
    began = _stamp(at - timedelta(minutes=1))
    return {
        "VendorName": "Microsoft",
        "AlertType": f"SIMULATED_{sample.type}",
        "ProductName": "Microsoft Defender for Cloud",
        "StartTimeUtc": began,
        "EndTimeUtc": began,
        "TimeGenerated": _stamp(at),
        "ProcessingEndTime": _stamp(at),
        "Severity": sample.severity,
        "Status": "New",
        "ProviderAlertStatus": None,
        "IsIncident": False,
        "SystemAlertId": alert,
        "CorrelationKey": str(uuid.uuid4()),
        "Intent": sample.tactic,
        "AzureResourceId": resource,
        "CompromisedEntity": resource.rpartition("/")[2],
        "AlertDisplayName": f"[SAMPLE ALERT] {sample.name}",
        "Description": f"THIS IS A SAMPLE ALERT: {sample.name}",
        "Entities": [{"$id": f"{location}_1", "Address": "00.00.00.00", "Type": "ip"}],
        "ExtendedLinks": None,
        "RemediationSteps": ["Nothing has to be done: this is a sample."],
        "ExtendedProperties": {
            "resourceType": "Sample",
            "ProductComponentName": sample.plan,
            "EffectiveSubscriptionId": subscription_id,
            "killChainIntent": sample.tactic,
        },
        "ResourceIdentifiers": [{"$id": f"{location}_2", "AzureResourceId": resource, "Type": "AzureResource"}],
        "AlertUri": f"https://portal.azure.com/#blade/Microsoft_Azure_Security/AlertBlade/alertId/{alert}"
        f"/subscriptionId/{subscription_id}/location/{location}",
    }


def _descending_ticks(at: datetime) -> int:
    """The first part of an alert's id as captured: ticks left until .NET's last moment."""
    return _MOST_TICKS - (_TICKS_OF_1970 + int(at.astimezone(UTC).timestamp() * 10_000_000))


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
