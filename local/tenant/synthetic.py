"""A seeded synthetic tenant of any size, with the untidiness that real ones have."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from itertools import cycle, islice

from local.tenant import samples
from local.tenant.destinations import (
    BARE_WORKSPACE,
    HUB_GROUP,
    LOCATION,
    NAMESPACE,
    WORKSPACE,
    add_destinations,
    add_workspace,
    destinations,
)
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
# Shares of a real tenant's untidiness, as probabilities.
_DISABLED, _WARNED, _UNREGISTERED = 0.05, 0.03, 0.07
_OPTED_OUT, _RATED, _GROUP_TAGGED, _TAGGED, _EXPORTING = 0.03, 0.5, 0.7, 0.6, 0.4
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
    into = add_destinations(tenant, first.id, NAMESPACE, WORKSPACE, HUB_GROUP)
    add_workspace(tenant, first.id, HUB_GROUP, BARE_WORKSPACE)
    writers = cycle(samples.WRITERS)
    names, weights = zip(*((name, weight) for name, _, _, weight in _GROUPS if weight), strict=True)
    for number, group in enumerate(chance.choices(names, weights, k=subscriptions - 1), start=1):
        added = _subscription(tenant, chance, group, f"sub-{group.removeprefix('contoso-')}-{number:05}", untidy=untidy)
        _fill(tenant, chance, added, resources)
        if untidy and tenant.registration(added.id, "Microsoft.Security") == "Registered":
            _written_by_others(tenant, chance, added, into, writers)
    _other_tenant(tenant)
    _customer_tenant(tenant, chance, resources)
    _people(tenant, first.id)
    tenant.security_records = data = SecurityData(tenant, seed)
    tenant.security_kinds = data.kinds
    return tenant


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _subscription(
    tenant: Tenant, chance: random.Random, group: str, name: str, *, untidy: bool, owner_tenant: str = HOME_TENANT
) -> Subscription:
    fate = chance.random() if untidy else 1.0
    state = "Enabled"
    if fate < _DISABLED or group == "contoso-decommissioned":
        state = "Disabled"
    elif fate < _DISABLED + _WARNED:
        state = "Warned"
    security = "NotRegistered" if 0 <= fate - _DISABLED - _WARNED < _UNREGISTERED else "Registered"
    tags = {"env": _ENVIRONMENTS.get(group, "prod"), "owner": chance.choice(_OWNERS)}
    if chance.random() < _RATED:
        tags["criticality"] = chance.choice(("high", "medium", "low"))
    if untidy and chance.random() < _OPTED_OUT:
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
            subscription.id,
            name,
            LOCATION,
            {"owner": chance.choice(_OWNERS)} if chance.random() < _GROUP_TAGGED else {},
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
                "tags": {"owner": chance.choice(_OWNERS), "env": "prod"} if chance.random() < _TAGGED else {},
                "properties": {"provisioningState": "Succeeded"},
            }
        )


def _written_by_others(
    tenant: Tenant,
    chance: random.Random,
    subscription: Subscription,
    into: samples.Destinations,
    writers: Iterator[samples.Writer],
) -> None:
    if chance.random() > _EXPORTING:
        return
    tenant.add_resource_group(subscription.id, "rg-asc-export", LOCATION, {"created-by": "security"})
    for write in islice(writers, chance.choice((1, 1, 2))):
        document = write(subscription.id, "rg-asc-export", into)
        if document["id"].lower() not in tenant.resources:
            tenant.seed_resource({**document, "etag": f'"{_uuid(chance)}"'})


def _other_tenant(tenant: Tenant) -> None:
    chance = random.Random(OTHER_TENANT)
    tenant.add_management_group(OTHER_TENANT, "Tenant Root Group", None, tenant_id=OTHER_TENANT)
    subscription = tenant.add_subscription(
        Subscription(_uuid(chance), "sub-partner-soc", OTHER_TENANT, OTHER_TENANT, providers=_PROVIDERS)
    )
    there = add_destinations(tenant, subscription.id, "evhns-partner", "law-partner", "rg-soc")
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


def _people(tenant: Tenant, first: str) -> None:
    root = management_group_id(tenant.home)
    tenant.assign(OWNER_PRINCIPAL, root, OWNER)
    for principal in (APP, CROSS_TENANT_APP):
        tenant.assign(principal, root, READER)
        tenant.assign(principal, root, EXPORT_ROLE)
        tenant.assign(principal, f"/subscriptions/{first}/resourceGroups/{HUB_GROUP}", DESTINATION_ROLE)


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
