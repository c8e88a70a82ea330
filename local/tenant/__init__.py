"""The state of the local Azure's management side, and a synthetic tenant to fill it."""

from local.tenant.destinations import destinations
from local.tenant.samples import Destinations
from local.tenant.state import AUTOMATIONS, Clock, ManagementGroup, Secrets, Subscription, Tenant
from local.tenant.synthetic import (
    APP,
    CROSS_TENANT_APP,
    CROSS_TENANT_APP_THERE,
    CUSTOMER_TENANT,
    OTHER_TENANT,
    OWNER_PRINCIPAL,
    fill_with_automations,
    synthetic_tenant,
)

__all__ = [
    "APP",
    "AUTOMATIONS",
    "CROSS_TENANT_APP",
    "CROSS_TENANT_APP_THERE",
    "CUSTOMER_TENANT",
    "OTHER_TENANT",
    "OWNER_PRINCIPAL",
    "Clock",
    "Destinations",
    "ManagementGroup",
    "Secrets",
    "Subscription",
    "Tenant",
    "destinations",
    "fill_with_automations",
    "synthetic_tenant",
]
