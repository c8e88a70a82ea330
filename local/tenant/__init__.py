"""The state of the local Azure's management side, and a synthetic tenant to fill it."""

from local.tenant.state import AUTOMATIONS, Clock, ManagementGroup, Secrets, Subscription, Tenant
from local.tenant.synthetic import (
    APP,
    CROSS_TENANT_APP,
    CUSTOMER_TENANT,
    OTHER_TENANT,
    OWNER_PRINCIPAL,
    synthetic_tenant,
)

__all__ = [
    "APP",
    "AUTOMATIONS",
    "CROSS_TENANT_APP",
    "CUSTOMER_TENANT",
    "OTHER_TENANT",
    "OWNER_PRINCIPAL",
    "Clock",
    "ManagementGroup",
    "Secrets",
    "Subscription",
    "Tenant",
    "synthetic_tenant",
]
