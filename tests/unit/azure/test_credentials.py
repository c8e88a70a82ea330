"""What the credential for other tenants needs, told before it is used."""

from __future__ import annotations

import pytest

from shared.azure.credentials import cross_tenant_gap
from shared.settings import Settings

ID = {"CROSS_TENANT_CLIENT_ID": "11111111-1111-4111-8111-111111111111"}


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, []),
        ({"CROSS_TENANT_CREDENTIAL": "none"}, []),
        ({"CROSS_TENANT_CREDENTIAL": "federated"} | ID, []),
        ({"CROSS_TENANT_CREDENTIAL": "federated"}, ["CROSS_TENANT_CLIENT_ID"]),
        ({"CROSS_TENANT_CREDENTIAL": "secret"} | ID, ["CROSS_TENANT_CLIENT_SECRET"]),
        ({"CROSS_TENANT_CREDENTIAL": "secret"}, ["CROSS_TENANT_CLIENT_ID", "CROSS_TENANT_CLIENT_SECRET"]),
        ({"CROSS_TENANT_CREDENTIAL": "certificate"} | ID, ["CROSS_TENANT_CERTIFICATE"]),
        ({"CROSS_TENANT_CREDENTIAL": "certificate", "CROSS_TENANT_CLIENT_SECRET": "x"} | ID,
         ["CROSS_TENANT_CERTIFICATE"]),
        ({"CROSS_TENANT_CREDENTIAL": "secret", "CROSS_TENANT_CLIENT_SECRET": "x"} | ID, []),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(given: dict[str, str], missing: list[str]) -> None:
    gap = cross_tenant_gap(Settings.load(given))
    assert bool(gap) == bool(missing)
    assert all(name in gap for name in missing)
    assert "x" not in gap.split()
