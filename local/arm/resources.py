"""What every subscription has: resource groups, provider registration and Defender plans."""

from __future__ import annotations

import re
from typing import Any

from local.arm.calls import ArmError, Call, Document, Operation, Reply, paged
from local.arm.envelope import check_same_location, location_of, normal_location, tags_of
from local.tenant.plans import PLANS, pricing, set_plan
from local.tenant.state import resource_group

GROUP_VERSIONS = ("2025-04-01", "2025-03-01", "2024-11-01", "2024-03-01", "2022-09-01", "2021-04-01", "2019-10-01")
PRICING_VERSIONS = ("2024-01-01", "2023-01-01")
_RESOURCE_GROUP = "Microsoft.Resources/resourceGroups"
_GROUP_NAME = re.compile(r"[\w().-]{0,89}[\w()-]")
_PAGE = 1000


# Resource groups.


def list_groups(call: Call) -> Reply:
    """A subscription's resource groups."""
    return paged(call, call.tenant.resources_of(call.subscription, _RESOURCE_GROUP), _PAGE)


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


def operation_result(_call: Call) -> Reply:
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
    return Reply(200, {"value": [pricing(call.tenant, call.subscription, plan) for plan in PLANS]})


def get_pricing(call: Call) -> Reply:
    """One Defender plan."""
    return Reply(200, pricing(call.tenant, call.subscription, _plan(call.parameters["name"])))


def put_pricing(call: Call) -> Reply:
    """Switch a plan to Free or Standard."""
    properties: Any = call.document().get("properties")
    if not isinstance(properties, dict) or properties.get("pricingTier") not in {"Free", "Standard"}:
        raise ArmError(400, "BadRequest", "properties.pricingTier must be Free or Standard.")
    plan = _plan(call.parameters["name"])
    chosen = {name: value for name, value in properties.items() if name in {"pricingTier", "subPlan"}}
    set_plan(call.tenant, call.subscription, plan, **chosen)
    return Reply(200, pricing(call.tenant, call.subscription, plan))


def _plan(name: str) -> str:
    for plan in PLANS:
        if plan.lower() == name.lower():
            return plan
    raise ArmError(404, "ResourceNotFound", f"There is no Defender plan '{name}'.")


_SUB = "/subscriptions/{sub}"
_GROUP = _SUB + "/resourceGroups/{group}"
_PROVIDER = _SUB + "/providers/{namespace}"
_PRICINGS = _SUB + "/providers/Microsoft.Security/pricings"
_READ_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/read"
_WRITE_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/write"
_DELETE_GROUP = "Microsoft.Resources/subscriptions/resourceGroups/delete"
_READ_PROVIDER = "Microsoft.Resources/subscriptions/providers/read"
_READ_RESULT = "Microsoft.Resources/subscriptions/operationresults/read"
_READ_PLAN = "Microsoft.Security/pricings/read"

OPERATIONS = (
    Operation("GET", _SUB + "/resourceGroups", _READ_GROUP, GROUP_VERSIONS, list_groups),
    Operation("GET", _GROUP, _READ_GROUP, GROUP_VERSIONS, get_group),
    Operation("HEAD", _GROUP, _READ_GROUP, GROUP_VERSIONS, head_group),
    Operation("PUT", _GROUP, _WRITE_GROUP, GROUP_VERSIONS, put_group),
    Operation("PATCH", _GROUP, _WRITE_GROUP, GROUP_VERSIONS, patch_group),
    Operation("DELETE", _GROUP, _DELETE_GROUP, GROUP_VERSIONS, delete_group),
    Operation("GET", _SUB + "/operationresults/{name}", _READ_RESULT, GROUP_VERSIONS, operation_result, open=True),
    Operation("GET", _SUB + "/providers", _READ_PROVIDER, GROUP_VERSIONS, list_providers),
    Operation("GET", _PROVIDER, _READ_PROVIDER, GROUP_VERSIONS, get_provider),
    Operation("POST", _PROVIDER + "/register", "{namespace}/register/action", GROUP_VERSIONS, register_provider),
    Operation("GET", _PRICINGS, _READ_PLAN, PRICING_VERSIONS, list_pricings),
    Operation("GET", _PRICINGS + "/{name}", _READ_PLAN, PRICING_VERSIONS, get_pricing),
    Operation("PUT", _PRICINGS + "/{name}", "Microsoft.Security/pricings/write", PRICING_VERSIONS, put_pricing),
)
