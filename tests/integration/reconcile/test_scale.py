"""G17 over the wire and in real time; the buckets themselves are met in virtual time by the unit tests."""

from dataclasses import replace

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.clock import Clock
from tests.integration.reconcile.world import world


async def _creates_without_a_429(certs: Certificates, storage: StorageAccount, subscriptions: int) -> None:
    tenant = synthetic_tenant(1, subscriptions, resources=0, untidy=False)
    async with world(tenant, certs, storage) as moved:
        here = replace(moved, clock=Clock())
        await here.put("soc")
        report = await here.apply()
        writable = sum(one.state == "Enabled" and one.tenant_id == tenant.home for one in tenant.subscriptions.values())
        assert writable > 0.95 * subscriptions
        assert (report.outcome, report.counts["Created"]) == ("Succeeded", writable)
        assert here.throttled() == 0
        sent = report.requests
        assert sent["put automation"] == sent["validate automation"] == writable
        assert sent["get automation"] == 2 * writable
        assert sum(sent.values()) == len(here.arm.requests)


async def test_two_hundred_creates_meet_no_429_and_need_six_requests_each(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    await _creates_without_a_429(local_certs, storage, 200)


@pytest.mark.soak
async def test_two_thousand_creates_meet_no_429(local_certs: Certificates, storage: StorageAccount) -> None:
    await _creates_without_a_429(local_certs, storage, 2000)
