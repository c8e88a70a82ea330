"""A seeded synthetic tenant of any size, with the untidiness that real ones have."""

from __future__ import annotations

import random
import secrets
import uuid
from typing import Any

from local.tenant import samples
from local.tenant.ids import management_group_id
from local.tenant.roles import BUILT_IN, OWNER, READER, custom_role
from local.tenant.security import SecurityData
from local.tenant.state import AUTOMATIONS, Clock, Secrets, Subscription, Tenant
from local.tokens import HOME_TENANT, Principal

OTHER_TENANT = "22222222-2222-4222-8222-222222222222"
CUSTOMER_TENANT = "33333333-3333-4333-8333-333333333333"

APP = Principal("aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-00000000000a")
OWNER_PRINCIPAL = Principal("bbbbbbbb-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-00000000000a")
CROSS_TENANT_APP = Principal("cccccccc-0000-4000-8000-000000000001", "cccccccc-0000-4000-8000-00000000000a")
CROSS_TENANT_APP_THERE = Principal("cccccccc-0000-4000-8000-000000000002", CROSS_TENANT_APP.app_id, OTHER_TENANT)

LOCATION = "westeurope"
HUB_GROUP = "rg-security-monitoring"
NAMESPACE = "evhns-defender"
HUB = "defender-export"
SEND_RULE = "defender-send"
WORKSPACE = "law-security"
BARE_WORKSPACE = "law-plain"

EXPORT_ROLE = custom_role(
    "Defender Export",
    "Microsoft.Security/automations/read",
    "Microsoft.Security/automations/write",
    "Microsoft.Security/automations/delete",
    "Microsoft.Security/automations/validate/action",
    "Microsoft.Security/register/action",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Resources/subscriptions/resourceGroups/write",
)
DESTINATION_ROLE = custom_role(
    "Defender Export Destination",
    "Microsoft.EventHub/namespaces/eventhubs/authorizationRules/listKeys/action",
    "Microsoft.OperationalInsights/workspaces/write",
    "Microsoft.OperationsManagement/solutions/read",
    "Microsoft.OperationsManagement/solutions/action",
)

_GROUPS = (
    ("contoso", "Contoso", None, 0),
    ("contoso-platform", "Platform", "contoso", 1),
    ("contoso-management", "Management", "contoso-platform", 1),
    ("contoso-connectivity", "Connectivity", "contoso-platform", 1),
    ("contoso-landing-zones", "Landing zones", "contoso", 0),
    ("contoso-prod", "Production", "contoso-landing-zones", 4),
    ("contoso-prod-corp", "Corp", "contoso-prod", 8),
    ("contoso-prod-online", "Online", "contoso-prod", 8),
    ("contoso-nonprod", "Non-production", "contoso-landing-zones", 10),
    ("contoso-sandbox", "Sandbox", "contoso", 5),
    ("contoso-decommissioned", "Decommissioned", "contoso", 1),
)
_ENVIRONMENTS = {"contoso-nonprod": "test", "contoso-sandbox": "sandbox"}
_OWNERS = ("payments", "retail", "logistics", "identity", "data", "platform", "web")
_RESOURCES = (
    ("Microsoft.Compute/virtualMachines", "vm"),
    ("Microsoft.Storage/storageAccounts", "st"),
    ("Microsoft.Sql/servers", "sql"),
    ("Microsoft.KeyVault/vaults", "kv"),
    ("Microsoft.ContainerRegistry/registries", "cr"),
    ("Microsoft.Web/sites", "app"),
)
_PROVIDERS = {
    "Microsoft.Security": "Registered",
    "Microsoft.Resources": "Registered",
    "Microsoft.Authorization": "Registered",
    "Microsoft.EventHub": "Registered",
    "Microsoft.OperationalInsights": "Registered",
    "Microsoft.OperationsManagement": "Registered",
}


def synthetic_tenant(
    seed: int = 0,
    subscriptions: int = 40,
    *,
    resources: int = 4,
    clock: Clock | None = None,
    untidy: bool = True,
) -> Tenant:
    """A tenant that follows from `seed` alone.

    `subscriptions` counts those of the home tenant; `resources` is how many each holds.  The first subscription
    is always sound and holds the destinations.  Unless `untidy` is off, some of the others are disabled or not
    registered, and some have automations that the portal, policies, Terraform and faulty samples wrote.  Beside
    them come another tenant with a destination of its own and a customer's tenant with delegated subscriptions.
    """
    chance = random.Random(seed)
    tenant = Tenant(HOME_TENANT, clock=clock)
    tenant.roles = {role.guid: role for role in (*BUILT_IN, EXPORT_ROLE, DESTINATION_ROLE)}
    for name, display_name, parent, _ in _GROUPS:
        tenant.add_management_group(name, display_name, parent or tenant.home)
    first = _subscription(tenant, chance, "contoso-management", "sub-management", untidy=False)
    _fill(tenant, chance, first, resources)
    destinations = _destinations(tenant, first.id, NAMESPACE, WORKSPACE, HUB_GROUP)
    _workspace(tenant, first.id, HUB_GROUP, BARE_WORKSPACE)
    names, weights = zip(*((name, weight) for name, _, _, weight in _GROUPS if weight), strict=True)
    for number, group in enumerate(chance.choices(names, weights, k=subscriptions - 1), start=1):
        added = _subscription(tenant, chance, group, f"sub-{group.removeprefix('contoso-')}-{number:05}", untidy=untidy)
        _fill(tenant, chance, added, resources)
        if untidy and tenant.registration(added.id, "Microsoft.Security") == "Registered":
            _written_by_others(tenant, chance, added, destinations)
    _other_tenant(tenant)
    _customer_tenant(tenant, chance, resources)
    _people(tenant, first.id, destinations)
    tenant.security_records = data = SecurityData(tenant, seed)
    tenant.security_kinds = data.kinds
    return tenant


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _subscription(
    tenant: Tenant, chance: random.Random, group: str, name: str, *, untidy: bool, owner_tenant: str = HOME_TENANT
) -> Subscription:
    fate = chance.random() if untidy else 1.0
    state = "Disabled" if fate < 0.05 or group == "contoso-decommissioned" else "Warned" if fate < 0.08 else "Enabled"
    security = "NotRegistered" if 0.08 <= fate < 0.15 else "Registered"
    tags = {"env": _ENVIRONMENTS.get(group, "prod"), "owner": chance.choice(_OWNERS)}
    if chance.random() < 0.5:
        tags["criticality"] = chance.choice(("high", "medium", "low"))
    if untidy and chance.random() < 0.03:
        tags["defender-export"] = "off"
    return tenant.add_subscription(
        Subscription(
            id=_uuid(chance),
            name=name,
            tenant_id=owner_tenant,
            management_group=group,
            state=state,
            tags=tags,
            managed_by=() if owner_tenant == tenant.home else (tenant.home,),
            providers={**_PROVIDERS, "Microsoft.Security": security},
        )
    )


def _fill(tenant: Tenant, chance: random.Random, subscription: Subscription, count: int) -> None:
    groups = ("rg-app", "rg-data")
    for name in groups:
        tenant.add_resource_group(
            subscription.id, name, LOCATION, {"owner": chance.choice(_OWNERS)} if chance.random() < 0.7 else {}
        )
    for number in range(count):
        kind, prefix = _RESOURCES[number % len(_RESOURCES)]
        name = f"{prefix}{subscription.id[:8]}{number}"
        tenant.seed_resource(
            {
                "id": f"{subscription.scope}/resourceGroups/{groups[number % 2]}/providers/{kind}/{name}",
                "name": name,
                "type": kind,
                "location": chance.choice((LOCATION, "northeurope")),
                "tags": {"owner": chance.choice(_OWNERS), "env": "prod"} if chance.random() < 0.6 else {},
                "properties": {"provisioningState": "Succeeded"},
            }
        )


def _written_by_others(
    tenant: Tenant, chance: random.Random, subscription: Subscription, destinations: samples.Destinations
) -> None:
    if chance.random() > 0.4:
        return
    tenant.add_resource_group(subscription.id, "rg-asc-export", LOCATION, {"created-by": "security"})
    for write in chance.sample(samples.WRITERS, k=chance.choice((1, 1, 2))):
        document = write(subscription.id, "rg-asc-export", destinations)
        if document["id"].lower() not in tenant.resources:
            tenant.seed_resource({**document, "etag": f'"{_uuid(chance)}"'})


def _destinations(
    tenant: Tenant, subscription_id: str, namespace: str, workspace: str, group: str
) -> samples.Destinations:
    tenant.add_resource_group(subscription_id, group, LOCATION, {"owner": "security"})
    base = (
        f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers/Microsoft.EventHub/namespaces/{namespace}"
    )
    add_namespace(tenant, base)
    hub = add_hub(tenant, f"{base}/eventhubs/{HUB}")
    add_rule(tenant, f"{base}/authorizationRules/RootManageSharedAccessKey", "Listen", "Manage", "Send")
    add_rule(tenant, f"{hub}/authorizationRules/{SEND_RULE}", "Send")
    add_rule(tenant, f"{hub}/authorizationRules/listen-only", "Listen")
    _workspace(tenant, subscription_id, group, workspace, "Security", "SecurityCenterFree")
    workspaces = f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers/Microsoft.OperationalInsights"
    return samples.Destinations(hub, f"{workspaces}/workspaces/{workspace}", SEND_RULE)


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


def _workspace(tenant: Tenant, subscription_id: str, group: str, name: str, *solutions: str) -> None:
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


def _other_tenant(tenant: Tenant) -> None:
    chance = random.Random(OTHER_TENANT)
    tenant.add_management_group(OTHER_TENANT, "Tenant Root Group", None, tenant_id=OTHER_TENANT)
    subscription = tenant.add_subscription(
        Subscription(_uuid(chance), "sub-partner-soc", OTHER_TENANT, OTHER_TENANT, providers=_PROVIDERS)
    )
    there = _destinations(tenant, subscription.id, "evhns-partner", "law-partner", "rg-soc")
    tenant.assign(CROSS_TENANT_APP_THERE, there.event_hub, DESTINATION_ROLE)
    tenant.assign(CROSS_TENANT_APP_THERE, subscription.scope + "/resourceGroups/rg-soc", READER)
    tenant.assign(CROSS_TENANT_APP_THERE, subscription.scope + "/resourceGroups/rg-soc", DESTINATION_ROLE)


def _customer_tenant(tenant: Tenant, chance: random.Random, resources: int) -> None:
    tenant.add_management_group(CUSTOMER_TENANT, "Tenant Root Group", None, tenant_id=CUSTOMER_TENANT)
    for number in range(3):
        delegated = _subscription(
            tenant, chance, CUSTOMER_TENANT, f"sub-customer-{number}", untidy=False, owner_tenant=CUSTOMER_TENANT
        )
        _fill(tenant, chance, delegated, resources)
        for role in (READER, EXPORT_ROLE):
            tenant.assign(APP, delegated.scope, role)
        tenant.assign(OWNER_PRINCIPAL, delegated.scope, READER)


def _people(tenant: Tenant, first: str, destinations: samples.Destinations) -> None:
    root = management_group_id(tenant.home)
    tenant.assign(OWNER_PRINCIPAL, root, OWNER)
    for principal in (APP, CROSS_TENANT_APP):
        tenant.assign(principal, root, READER)
        tenant.assign(principal, root, EXPORT_ROLE)
        tenant.assign(principal, f"/subscriptions/{first}/resourceGroups/{HUB_GROUP}", DESTINATION_ROLE)
    if tenant.resource(destinations.event_hub) is None:
        raise AssertionError("the destination hub is missing")


def destinations(tenant: Tenant) -> samples.Destinations:
    """The home tenant's own event hub and workspace."""
    hub = next(
        document
        for document in tenant.resources.values()
        if document["type"] == "Microsoft.EventHub/namespaces/eventhubs" and f"/{NAMESPACE}/" in document["id"]
    )
    group = hub["id"].partition("/providers/")[0]
    workspace = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{WORKSPACE}"
    return samples.Destinations(hub["id"], workspace, SEND_RULE)


def fill_with_automations(tenant: Tenant, each: int) -> int:
    """Give every home subscription `each` sound automations of about 2 KB; how many there are now."""
    into = destinations(tenant)
    count = 0
    for subscription in list(tenant.subscriptions.values()):
        if subscription.tenant_id != tenant.home:
            continue
        tenant.add_resource_group(subscription.id, "rg-defender-export", LOCATION)
        for number in range(each):
            document = samples.policy_event_hub(subscription.id, "rg-defender-export", into)
            name = f"defender-export-{number}"
            document = {
                **document,
                "id": document["id"].rsplit("/", 1)[0] + "/" + name,
                "name": name,
                "type": AUTOMATIONS,
                "etag": f'"{number}"',
            }
            tenant.seed_resource(document)
            tenant.secrets[document["id"].lower()] = Secrets()
            count += 1
    return count
