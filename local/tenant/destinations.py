"""Where exports go: Event Hubs namespaces with hubs, rules and keys, and workspaces with solutions."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from local.tenant.roles import EVENT_HUBS_DATA_SENDER
from local.tenant.samples import Destinations
from local.tenant.state import Tenant
from local.tokens import Principal

DEFENDER = Principal("dddddddd-0000-4000-8000-000000000001", "dddddddd-0000-4000-8000-00000000000a")
"""Windows Azure Security Resource Provider, which sends as a trusted service."""
LOCATION = "westeurope"
HUB_GROUP = "rg-security-monitoring"
NAMESPACE = "evhns-defender"
HUB = "defender-export"
SEND_RULE = "defender-send"
WORKSPACE = "law-security"
BARE_WORKSPACE = "law-plain"


def add_destinations(tenant: Tenant, subscription_id: str, namespace: str, workspace: str, group: str) -> Destinations:
    """A namespace with a hub and rules, and a workspace with Defender's solutions, in a group of their own."""
    tenant.add_resource_group(subscription_id, group, LOCATION, {"owner": "security"})
    base = (
        f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers/Microsoft.EventHub/namespaces/{namespace}"
    )
    add_namespace(tenant, base)
    hub = add_hub(tenant, f"{base}/eventhubs/{HUB}")
    add_rule(tenant, f"{base}/authorizationRules/RootManageSharedAccessKey", "Listen", "Manage", "Send")
    add_rule(tenant, f"{hub}/authorizationRules/{SEND_RULE}", "Send")
    add_rule(tenant, f"{hub}/authorizationRules/listen-only", "Listen")
    tenant.assign(DEFENDER, hub, EVENT_HUBS_DATA_SENDER)
    add_workspace(tenant, subscription_id, group, workspace, "Security", "SecurityCenterFree")
    workspaces = f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers/Microsoft.OperationalInsights"
    return Destinations(hub, f"{workspaces}/workspaces/{workspace}", SEND_RULE)


def add_namespace(tenant: Tenant, namespace_id: str, *, trusted_services: bool = True) -> str:
    """An Event Hubs namespace; `trusted_services` says whether its firewall lets them in."""
    name = namespace_id.rsplit("/", 1)[-1]
    rules: dict[str, Any] = {
        "publicNetworkAccess": "Enabled",
        "defaultAction": "Deny",
        "trustedServiceAccessEnabled": trusted_services,
        "ipRules": [],
        "virtualNetworkRules": [],
    }
    tenant.seed_resource(
        {
            "id": namespace_id,
            "name": name,
            "type": "Microsoft.EventHub/namespaces",
            "location": LOCATION,
            "tags": {},
            "sku": {"name": "Standard", "tier": "Standard", "capacity": 1},
            "properties": {
                "provisioningState": "Succeeded",
                "status": "Active",
                "serviceBusEndpoint": f"https://{name}.servicebus.windows.net:443/",
                "disableLocalAuth": False,
            },
        }
    )
    tenant.seed_resource(
        {
            "id": f"{namespace_id}/networkRuleSets/default",
            "name": "default",
            "type": "Microsoft.EventHub/namespaces/networkRuleSets",
            "properties": rules,
        }
    )
    return namespace_id


def add_hub(tenant: Tenant, hub_id: str, partitions: int = 4) -> str:
    """An event hub in a namespace."""
    tenant.seed_resource(
        {
            "id": hub_id,
            "name": hub_id.rsplit("/", 1)[-1],
            "type": "Microsoft.EventHub/namespaces/eventhubs",
            "location": LOCATION,
            "properties": {
                "partitionCount": partitions,
                "partitionIds": [str(number) for number in range(partitions)],
                "messageRetentionInDays": 7,
                "status": "Active",
            },
        }
    )
    return hub_id


def add_rule(tenant: Tenant, rule_id: str, *rights: str) -> str:
    """An authorization rule of a namespace or hub, with keys of its own."""
    owner = "eventhubs/authorizationRules" if "/eventhubs/" in rule_id else "authorizationRules"
    tenant.seed_resource(
        {
            "id": rule_id,
            "name": rule_id.rsplit("/", 1)[-1],
            "type": f"Microsoft.EventHub/namespaces/{owner}",
            "location": LOCATION,
            "properties": {"rights": list(rights)},
        }
    )
    tenant.keys[rule_id.lower()] = {"primary": secrets.token_urlsafe(32), "secondary": secrets.token_urlsafe(32)}
    return rule_id


def add_workspace(tenant: Tenant, subscription_id: str, group: str, name: str, *solutions: str) -> str:
    """A workspace with solutions such as Security."""
    scope = f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers"
    workspace_id = f"{scope}/Microsoft.OperationalInsights/workspaces/{name}"
    tenant.seed_resource(
        {
            "id": workspace_id,
            "name": name,
            "type": "Microsoft.OperationalInsights/workspaces",
            "location": LOCATION,
            "tags": {},
            "properties": {
                "provisioningState": "Succeeded",
                "customerId": str(uuid.uuid5(uuid.NAMESPACE_URL, workspace_id)),
                "sku": {"name": "PerGB2018"},
                "retentionInDays": 90,
            },
        }
    )
    for solution in solutions:
        add_solution(tenant, workspace_id, solution)
    return workspace_id


def add_solution(tenant: Tenant, workspace_id: str, solution: str) -> str:
    """A solution such as Security or SecurityCenterFree on a workspace."""
    group, _, name = workspace_id.partition("/providers/Microsoft.OperationalInsights/workspaces/")
    solution_id = f"{group}/providers/Microsoft.OperationsManagement/solutions/{solution}({name})"
    tenant.seed_resource(
        {
            "id": solution_id,
            "name": f"{solution}({name})",
            "type": "Microsoft.OperationsManagement/solutions",
            "location": LOCATION,
            "tags": {},
            "plan": {
                "name": f"{solution}({name})",
                "publisher": "Microsoft",
                "product": f"OMSGallery/{solution}",
                "promotionCode": "",
            },
            "properties": {"workspaceResourceId": workspace_id, "provisioningState": "Succeeded"},
        }
    )
    return solution_id


def destinations(tenant: Tenant) -> Destinations:
    """The home tenant's own event hub and workspace."""
    hub = next(
        document
        for document in tenant.resources.values()
        if document["type"] == "Microsoft.EventHub/namespaces/eventhubs" and f"/{NAMESPACE}/" in document["id"]
    )
    group = hub["id"].partition("/providers/")[0]
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{WORKSPACE}"
    return Destinations(hub["id"], workspace, SEND_RULE)
