"""Defender plans: which are on in a subscription."""

from __future__ import annotations

from typing import Any

from local.tenant.state import Document, Subscription, Tenant

PLANS = ("VirtualMachines", "SqlServers", "StorageAccounts", "KeyVaults", "Containers", "Arm", "CloudPosture")
PRICINGS = "microsoft.security/pricings"


def set_plan(tenant: Tenant, subscription_id: str, plan: str, **properties: Any) -> None:
    """Switch a plan: `pricingTier` Free or Standard, and a `subPlan` where there is one."""
    tenant.pricings[subscription_id, plan] = properties
    tenant.resources.version += 1


def pricing(tenant: Tenant, subscription_id: str, plan: str) -> Document:
    """A plan as ARM and Resource Graph show it; one that was never switched is paid for."""
    chosen = tenant.pricings.get((subscription_id, plan), {"pricingTier": "Standard"})
    return {
        "id": f"/subscriptions/{subscription_id}/providers/Microsoft.Security/pricings/{plan}",
        "name": plan,
        "type": "Microsoft.Security/pricings",
        "properties": {"freeTrialRemainingTime": "PT0S", **chosen},
    }


def pricing_rows(tenant: Tenant, subscription: Subscription) -> list[Document]:
    """Every plan of a subscription, as rows of `securityresources`."""
    return [
        {
            **pricing(tenant, subscription.id, plan),
            "tenantId": subscription.tenant_id,
            "subscriptionId": subscription.id,
            "resourceGroup": "",
        }
        for plan in PLANS
    ]
