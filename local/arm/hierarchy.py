"""Where subscriptions hang: the subscriptions that a caller sees, tenants, and management groups."""

from __future__ import annotations

from local.arm.calls import ArmError, Call, Document, Operation, Reply, paged
from local.arm.envelope import REGIONS
from local.tenant import ManagementGroup, Subscription
from local.tenant.ids import management_group_id

SUBSCRIPTION_VERSIONS = ("2022-12-01", "2022-09-01", "2021-01-01", "2020-01-01", "2019-11-01", "2016-06-01")
MANAGEMENT_GROUP_VERSIONS = ("2024-02-01-preview", "2023-04-01", "2021-04-01", "2020-05-01")
_PAGE = 1000


def list_subscriptions(call: Call) -> Reply:
    """The subscriptions that the caller has a role in, delegated ones among them."""
    seen = [one for one in call.tenant.subscriptions.values() if call.arm.sees(call.caller, one)]
    page = paged(call, seen, _PAGE)
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
            call.caller.object_id, "Microsoft.Management/managementGroups/read", management_group_id(one.key)
        )
    ]
    return Reply(200, {"value": groups})


def get_management_group(call: Call) -> Reply:
    """One management group; `$expand=children` with `$recurse=true` brings the tree."""
    group = _known_group(call)
    document = _management_group(group)
    chain = call.tenant.ancestors(group.key)
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
    return paged(call, found, _PAGE)


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
        if one.parent is not None and one.parent.lower() == group.key.lower()
    ]


def _subscriptions_below(call: Call, group: ManagementGroup) -> list[Subscription]:
    return [one for one in call.tenant.subscriptions.values() if one.management_group.lower() == group.key.lower()]


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


_SUB = "/subscriptions/{sub}"
_MG = "/providers/Microsoft.Management/managementGroups"
_READ_SUB = "Microsoft.Resources/subscriptions/read"
_READ_MG = "Microsoft.Management/managementGroups/read"
_READ_BELOW = "Microsoft.Management/managementGroups/descendants/read"

OPERATIONS = (
    Operation("GET", "/subscriptions", _READ_SUB, SUBSCRIPTION_VERSIONS, list_subscriptions, open=True),
    Operation("GET", _SUB, _READ_SUB, SUBSCRIPTION_VERSIONS, get_subscription),
    Operation("GET", _SUB + "/locations", _READ_SUB, SUBSCRIPTION_VERSIONS, list_locations),
    Operation("GET", "/tenants", "Microsoft.Resources/tenants/read", SUBSCRIPTION_VERSIONS, list_tenants, open=True),
    Operation("GET", _MG, _READ_MG, MANAGEMENT_GROUP_VERSIONS, list_management_groups, open=True),
    Operation("GET", _MG + "/{name}", _READ_MG, MANAGEMENT_GROUP_VERSIONS, get_management_group),
    Operation("GET", _MG + "/{name}/descendants", _READ_BELOW, MANAGEMENT_GROUP_VERSIONS, list_descendants),
)
