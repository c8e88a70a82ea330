"""Subscriptions, management groups, resource groups, provider registration and Defender plans."""

from __future__ import annotations

import re
from typing import Any

from local.arm.calls import ArmError, Call, Document, Operation, Reply, paged
from local.arm.envelope import REGIONS, check_same_location, location_of, normal_location, tags_of
from local.tenant import ManagementGroup, Subscription
from local.tenant.ids import management_group_id
from local.tenant.state import resource_group

SUBSCRIPTION_VERSIONS = ("2022-12-01", "2022-09-01", "2021-01-01", "2020-01-01", "2019-11-01", "2016-06-01")
GROUP_VERSIONS = ("2025-04-01", "2025-03-01", "2024-11-01", "2024-03-01", "2022-09-01", "2021-04-01", "2019-10-01")
MANAGEMENT_GROUP_VERSIONS = ("2024-02-01-preview", "2023-04-01", "2021-04-01", "2020-05-01")
PRICING_VERSIONS = ("2024-01-01", "2023-01-01")
_RESOURCE_GROUP = "Microsoft.Resources/resourceGroups"
_GROUP_NAME = re.compile(r"[\w().-]{1,89}[\w()-]")
PLANS = ("VirtualMachines", "SqlServers", "StorageAccounts", "KeyVaults", "Containers", "Arm", "CloudPosture")


# Subscriptions and tenants.


def list_subscriptions(call: Call) -> Reply:
    """The subscriptions that the caller has a role in, delegated ones among them."""
    seen = [one for one in call.tenant.subscriptions.values() if call.arm.sees(call.caller, one)]
    page = paged(call, seen, 1000)
    page.body["value"] = [_subscription(one) for one in page.body["value"]]
    page.body["count"] = {"type": "Total", "value": len(seen)}
    return page


def get_subscription(call: Call) -> Reply:
    """One subscription."""
    return Reply(200, _subscription(call.tenant.subscription(call.subscription)))


def list_locations(call: Call) -> Reply:
    """The regions of a subscription."""
    scope = f"/subscriptions/{call.subscription}/locations"
    return Reply(
        200,
        {
            "value": [
                {"id": f"{scope}/{name}", "name": name, "type": "Region", "displayName": display}
                for name, display in REGIONS.items()
            ]
        },
    )


def list_tenants(call: Call) -> Reply:
    """The caller's tenant."""
    tenant = call.caller.tenant_id
    return Reply(200, {"value": [{"id": f"/tenants/{tenant}", "tenantId": tenant, "tenantCategory": "Home"}]})


def _subscription(one: Subscription) -> Document:
    return {
        "id": one.scope,
        "subscriptionId": one.id,
        "tenantId": one.tenant_id,
        "displayName": one.name,
        "state": one.state,
        "tags": dict(one.tags),
        "managedByTenants": [{"tenantId": tenant} for tenant in one.managed_by],
        "authorizationSource": "RoleBased",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "EnterpriseAgreement_2014-09-01",
            "spendingLimit": "Off",
        },
    }


# Management groups.


def list_management_groups(call: Call) -> Reply:
    """The management groups of the caller's tenant that the caller may read."""
    groups = [
        _management_group(one)
        for one in call.tenant.management_groups.values()
        if one.tenant_id == call.caller.tenant_id
        and call.tenant.allowed(
            call.caller.object_id, "Microsoft.Management/managementGroups/read", management_group_id(one.name)
        )
    ]
    return Reply(200, {"value": groups})


def get_management_group(call: Call) -> Reply:
    """One management group; `$expand=children` with `$recurse=true` brings the tree."""
    group = _known_group(call)
    document = _management_group(group)
    chain = call.tenant.ancestors(group.name)
    document["properties"]["details"] = {
        "version": 1,
        "parent": _node(chain[1]) if len(chain) > 1 else None,
        "managementGroupAncestorsChain": [
            {"name": one.name, "displayName": one.display_name} for one in reversed(chain[1:])
        ],
    }
    if call.query.get("$expand", "").lower() == "children":
        document["properties"]["children"] = _children(
            call, group, recurse=call.query.get("$recurse", "").lower() == "true"
        )
    return Reply(200, document)


def list_descendants(call: Call) -> Reply:
    """Every management group and subscription below a group, flat, each with its parent."""
    group = _known_group(call)
    found: list[Document] = []

    def collect(parent: ManagementGroup) -> None:
        for child in _groups_below(call, parent):
            found.append(_descendant(_node(child), parent))
            collect(child)
        found.extend(_descendant(_leaf(one), parent) for one in _subscriptions_below(call, parent))

    collect(group)
    return paged(call, found, 1000)


def _known_group(call: Call) -> ManagementGroup:
    group = call.tenant.management_groups.get(call.parameters["name"].lower())
    if group is None:
        raise ArmError(404, "NotFound", f"Management group '{call.parameters['name']}' was not found.")
    return group


def _management_group(group: ManagementGroup) -> Document:
    return {
        "id": management_group_id(group.name),
        "type": "Microsoft.Management/managementGroups",
        "name": group.name,
        "properties": {"tenantId": group.tenant_id, "displayName": group.display_name},
    }


def _groups_below(call: Call, group: ManagementGroup) -> list[ManagementGroup]:
    return [
        one
        for one in call.tenant.management_groups.values()
        if one.parent is not None and one.parent.lower() == group.name.lower()
    ]


def _subscriptions_below(call: Call, group: ManagementGroup) -> list[Subscription]:
    return [one for one in call.tenant.subscriptions.values() if one.management_group.lower() == group.name.lower()]


def _children(call: Call, group: ManagementGroup, *, recurse: bool) -> list[Document]:
    children = [_node(one) for one in _groups_below(call, group)]
    if recurse:
        for child, one in zip(children, _groups_below(call, group), strict=True):
            child["children"] = _children(call, one, recurse=True)
    return [*children, *(_leaf(one) for one in _subscriptions_below(call, group))]


def _node(group: ManagementGroup) -> Document:
    return {
        "id": management_group_id(group.name),
        "type": "Microsoft.Management/managementGroups",
        "name": group.name,
        "displayName": group.display_name,
    }


def _leaf(one: Subscription) -> Document:
    return {"id": one.scope, "type": "/subscriptions", "name": one.id, "displayName": one.name}


def _descendant(node: Document, parent: ManagementGroup) -> Document:
    kind = "Microsoft.Management/managementGroups/subscriptions" if node["type"] == "/subscriptions" else node["type"]
    return {
        "id": node["id"],
        "type": kind,
        "name": node["name"],
        "properties": {"displayName": node["displayName"], "parent": {"id": management_group_id(parent.name)}},
    }


# Resource groups.


def list_groups(call: Call) -> Reply:
    """A subscription's resource groups."""
    return paged(call, call.tenant.resources_of(call.subscription, _RESOURCE_GROUP), 1000)


def get_group(call: Call) -> Reply:
    """One resource group; 404 when there is none."""
    return Reply(200, call.arm.existing_group(call))


def head_group(call: Call) -> Reply:
    """204 when there is such a group, else 404."""
    exists = call.tenant.resource_group(call.subscription, call.parameters["group"]) is not None
    return Reply(204 if exists else 404)


def put_group(call: Call) -> Reply:
    """Create or replace: a PUT without tags takes the tags away."""
    name = call.parameters["group"]
    if not _GROUP_NAME.fullmatch(name):
        raise ArmError(
            400,
            "InvalidResourceGroup",
            f"The resource group name '{name}' is not valid: at most 90 letters, digits, underscores, hyphens, "
            "periods and parentheses, and no period at the end.",
        )
    body = call.document()
    location, tags = location_of(body, _RESOURCE_GROUP), tags_of(body)
    existing = call.tenant.resource_group(call.subscription, name)
    if existing:
        check_same_location(existing, location, name)
        written = {**existing, "tags": tags}
    else:
        written = resource_group(call.subscription, name, normal_location(location), tags)
    return Reply(200 if existing else 201, call.tenant.put_resource(written))


def patch_group(call: Call) -> Reply:
    """Replace the tags only."""
    existing = call.arm.existing_group(call)
    return Reply(200, call.tenant.put_resource({**existing, "tags": tags_of(call.document())}))


def delete_group(call: Call) -> Reply:
    """Delete a group with all it holds; 202 with a Location to poll."""
    existing = call.arm.existing_group(call)
    call.tenant.delete_resource(existing["id"])
    poll = f"{call.arm.endpoint}/subscriptions/{call.subscription}/operationresults/done?api-version={call.version}"
    return Reply(202, None, {"Location": poll, "Retry-After": "0"})


def operation_result(call: Call) -> Reply:
    """The end of an operation: all of them end at once here."""
    return Reply(200)


# Providers.


def list_providers(call: Call) -> Reply:
    """The providers of a subscription with their states."""
    known = call.tenant.subscription(call.subscription).providers
    return Reply(200, {"value": [_provider(call, name) for name in known]})


def get_provider(call: Call) -> Reply:
    """One provider's registration state."""
    return Reply(200, _provider(call, call.parameters["namespace"]))


def register_provider(call: Call) -> Reply:
    """Start a registration: `Registering` until the emulator's `registration_delay` has passed."""
    namespace = call.parameters["namespace"]
    if call.tenant.registration(call.subscription, namespace) != "Registered":
        call.arm.begin_registration(call.subscription, namespace)
    return Reply(200, _provider(call, namespace))


def _provider(call: Call, namespace: str) -> Document:
    return {
        "id": f"/subscriptions/{call.subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": call.tenant.registration(call.subscription, namespace),
        "resourceTypes": [],
    }


# Defender plans.


def list_pricings(call: Call) -> Reply:
    """Every Defender plan of a subscription."""
    return Reply(200, {"value": [_pricing(call, plan) for plan in PLANS]})


def get_pricing(call: Call) -> Reply:
    """One Defender plan."""
    return Reply(200, _pricing(call, call.parameters["name"]))


def put_pricing(call: Call) -> Reply:
    """Switch a plan to Free or Standard."""
    properties: Any = call.document().get("properties")
    if not isinstance(properties, dict) or properties.get("pricingTier") not in {"Free", "Standard"}:
        raise ArmError(400, "BadRequest", "properties.pricingTier must be Free or Standard.")
    plan = _plan(call, call.parameters["name"])
    call.tenant.pricings[call.subscription, plan] = {
        name: value for name, value in properties.items() if name in {"pricingTier", "subPlan"}
    }
    return Reply(200, _pricing(call, plan))


def _plan(call: Call, name: str) -> str:
    for plan in PLANS:
        if plan.lower() == name.lower():
            return plan
    raise ArmError(404, "ResourceNotFound", f"There is no Defender plan '{name}'.")


def _pricing(call: Call, name: str) -> Document:
    plan = _plan(call, name)
    chosen = call.tenant.pricings.get((call.subscription, plan), {"pricingTier": "Standard"})
    return {
        "id": f"/subscriptions/{call.subscription}/providers/Microsoft.Security/pricings/{plan}",
        "name": plan,
        "type": "Microsoft.Security/pricings",
        "properties": {"freeTrialRemainingTime": "PT0S", **chosen},
    }


_SUB = "/subscriptions/{sub}"
_GROUP = _SUB + "/resourceGroups/{group}"
_MG = "/providers/Microsoft.Management/managementGroups"
_READ_SUB = "Microsoft.Resources/subscriptions/read"
_READ_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/read"
_WRITE_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/write"
_DELETE_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/delete"
_READ_MG = "Microsoft.Management/managementGroups/read"
_READ_PLAN = "Microsoft.Security/pricings/read"
_PRICINGS = _SUB + "/providers/Microsoft.Security/pricings"

OPERATIONS = (
    Operation("GET", "/subscriptions", _READ_SUB, SUBSCRIPTION_VERSIONS, list_subscriptions, open=True),
    Operation("GET", _SUB, _READ_SUB, SUBSCRIPTION_VERSIONS, get_subscription),
    Operation("GET", _SUB + "/locations", _READ_SUB, SUBSCRIPTION_VERSIONS, list_locations),
    Operation("GET", "/tenants", "Microsoft.Resources/tenants/read", SUBSCRIPTION_VERSIONS, list_tenants, open=True),
    Operation("GET", _MG, _READ_MG, MANAGEMENT_GROUP_VERSIONS, list_management_groups, open=True),
    Operation("GET", _MG + "/{name}", _READ_MG, MANAGEMENT_GROUP_VERSIONS, get_management_group),
    Operation(
        "GET",
        _MG + "/{name}/descendants",
        "Microsoft.Management/managementGroups/descendants/read",
        MANAGEMENT_GROUP_VERSIONS,
        list_descendants,
    ),
    Operation("GET", _SUB + "/resourceGroups", _READ_GROUP, GROUP_VERSIONS, list_groups),
    Operation("GET", _GROUP, _READ_GROUP, GROUP_VERSIONS, get_group),
    Operation("HEAD", _GROUP, _READ_GROUP, GROUP_VERSIONS, head_group),
    Operation("PUT", _GROUP, _WRITE_GROUP, GROUP_VERSIONS, put_group),
    Operation("PATCH", _GROUP, _WRITE_GROUP, GROUP_VERSIONS, patch_group),
    Operation("DELETE", _GROUP, _DELETE_GROUP, GROUP_VERSIONS, delete_group),
    Operation("GET", _SUB + "/operationresults/{name}", _READ_SUB, GROUP_VERSIONS, operation_result, open=True),
    Operation(
        "GET", _SUB + "/providers", "Microsoft.Resources/subscriptions/providers/read", GROUP_VERSIONS, list_providers
    ),
    Operation(
        "GET",
        _SUB + "/providers/{namespace}",
        "Microsoft.Resources/subscriptions/providers/read",
        GROUP_VERSIONS,
        get_provider,
    ),
    Operation(
        "POST",
        _SUB + "/providers/{namespace}/register",
        "{namespace}/register/action",
        GROUP_VERSIONS,
        register_provider,
    ),
    Operation("GET", _PRICINGS, _READ_PLAN, PRICING_VERSIONS, list_pricings),
    Operation("GET", _PRICINGS + "/{name}", _READ_PLAN, PRICING_VERSIONS, get_pricing),
    Operation("PUT", _PRICINGS + "/{name}", "Microsoft.Security/pricings/write", PRICING_VERSIONS, put_pricing),
)
