"""What Defender for Cloud simulates for each bundle, as far as it is known before it is asked.

Captured from event hubs are the alerts of StorageAccounts and SqlServers (docs/fidelity.md); types and severities of
the others are those of Microsoft's reference of alerts.  So what is said here foretells, and proves nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shared.exports.known_values import SIMULATED_PREFIX


class Bundle(NamedTuple):
    """A bundle of the published enumeration: the plan that has to be on, and what its alert says."""

    name: str
    plan: str
    severity: str
    alert_type: str


BUNDLES = (
    Bundle("StorageAccounts", "StorageAccounts", "High", "Storage.Blob_DataExfiltration.AmountOfDataAnomaly"),
    Bundle("SqlServers", "SqlServers", "High", "SQL.VM_BruteForce"),
    Bundle("VirtualMachines", "VirtualMachines", "High", "VM_LoginBruteForceSuccess"),
    Bundle("CosmosDbs", "CosmosDbs", "High", "CosmosDB_TorAnomaly"),
    Bundle("KeyVaults", "KeyVaults", "Medium", "KV_TORAccess"),
    Bundle("ResourceManager", "Arm", "Medium", "ARM_OperationFromSuspiciousIP"),
    Bundle("AppServices", "AppServices", "Low", "AppServices_AnomalousPageAccess"),
    Bundle("DNS", "Dns", "Low", "AzureDNS_CurrencyMining"),
    Bundle("KubernetesService", "Containers", "Informational", "K8S_PrivilegedContainer"),
)
"""In the order in which a canary prefers them: those that were captured first, then by severity."""
NAMES = tuple(bundle.name for bundle in BUNDLES)


def foretold(bundle: Bundle, subscription_id: str) -> dict[str, Any]:
    """The record that continuous export would send, with what a filter may ask for."""
    return {
        "SystemAlertId": "canary",
        "VendorName": "Microsoft",
        "ProductName": "Microsoft Defender for Cloud",
        "AlertType": f"{SIMULATED_PREFIX}{bundle.alert_type}",
        "AlertDisplayName": "[SAMPLE ALERT]",
        "Severity": bundle.severity,
        "Status": "New",
        "IsIncident": False,
        "AzureResourceId": f"/subscriptions/{subscription_id}/resourceGroups/Sample-RG",
        "ExtendedProperties": {"ProductComponentName": bundle.plan, "EffectiveSubscriptionId": subscription_id},
    }
