"""The synthetic tenant follows from its seed and has the untidiness that the app must cope with."""

from __future__ import annotations

import pytest

from local.arm.contract import V2023, problems
from local.tenant import CUSTOMER_TENANT, OTHER_TENANT, Tenant, samples, synthetic_tenant
from local.tenant.roles import CONTRIBUTOR, READER, SECURITY_ADMIN


@pytest.fixture(scope="module")
def tenant() -> Tenant:
    return synthetic_tenant(seed=0, subscriptions=60)


def test_the_same_seed_makes_the_same_tenant_and_another_seed_another() -> None:
    one, same, other = (list(synthetic_tenant(seed, 10).subscriptions.values()) for seed in (5, 5, 6))
    assert one == same
    assert one != other


def test_some_subscriptions_are_disabled_unregistered_or_opted_out(tenant: Tenant) -> None:
    all_of_them = list(tenant.subscriptions.values())
    assert {one.state for one in all_of_them} == {"Enabled", "Disabled", "Warned"}
    assert {tenant.registration(one.id, "Microsoft.Security") for one in all_of_them} == {
        "Registered",
        "NotRegistered",
    }
    assert {one.tenant_id for one in all_of_them} == {tenant.home, OTHER_TENANT, CUSTOMER_TENANT}


def test_every_writer_of_automations_is_represented_and_none_breaks_the_contract(tenant: Tenant) -> None:
    written = list(tenant.all_automations())
    assert {one["name"] for one in written} >= {
        write("s", "g", samples.Destinations("hub", "workspace", "rule"))["name"] for write in samples.WRITERS
    }
    for one in written:
        found = problems(one["properties"], one["id"].split("/")[2], V2023)
        assert [problem for problem in found if not problem.path.endswith("connectionString")] == []


def test_a_tidy_tenant_has_no_surprises() -> None:
    tidy = synthetic_tenant(subscriptions=30, untidy=False)
    assert not list(tidy.all_automations())
    assert {tidy.registration(one.id, "Microsoft.Security") for one in tidy.subscriptions.values()} == {"Registered"}


@pytest.mark.parametrize(
    ("role", "action", "permitted"),
    [
        (READER, "Microsoft.Security/automations/read", True),
        (READER, "microsoft.security/AUTOMATIONS/read", True),
        (READER, "Microsoft.Security/automations/write", False),
        (SECURITY_ADMIN, "Microsoft.Security/automations/validate/action", True),
        (SECURITY_ADMIN, "Microsoft.Resources/subscriptions/resourceGroups/write", False),
        (CONTRIBUTOR, "Microsoft.Resources/subscriptions/resourceGroups/write", True),
        (CONTRIBUTOR, "Microsoft.Authorization/roleAssignments/write", False),
    ],
)
def test_roles_permit_by_wildcard_but_for_what_they_take_away(role: object, action: str, permitted: bool) -> None:
    assert role.permits(action) is permitted  # type: ignore[attr-defined] # the table holds roles only
