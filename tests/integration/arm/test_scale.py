"""A tenant of ten thousand subscriptions comes up and answers quickly."""

from __future__ import annotations

import time
from statistics import median

import aiohttp

from local.arm import Arm
from local.certs import Certificates
from local.tenant import fill_with_automations, synthetic_tenant
from local.tokens import TokenAuthority

from .conftest import Rest
from .test_graph import AUTOMATIONS, PATH, SUBSCRIPTIONS


async def test_ten_thousand_subscriptions_come_up_in_under_ten_seconds_and_answer_a_page_in_under_300_ms(
    local_certs: Certificates,
) -> None:
    began = time.process_time()
    tenant = synthetic_tenant(seed=1, subscriptions=10_000)
    fill_with_automations(tenant, each=3)
    automations = len(list(tenant.all_automations()))
    tokens = TokenAuthority(tenant.clock)
    async with (
        Arm(tenant, tokens, local_certs) as arm,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=local_certs.client_context())) as session,
    ):
        assert time.process_time() - began < 10
        assert automations > 30_000
        arm.throttling = False
        rest = Rest(arm, tokens, session)
        for query, expected in ((SUBSCRIPTIONS, 10_000), (AUTOMATIONS, automations)):
            times, seen, token = [], [], None
            for _ in range(10):
                options: dict[str, str] = {"$skipToken": token} if token else {}
                asked = time.process_time()
                body = {"query": query, "managementGroups": [tenant.home], "options": options}
                page = (await rest("POST", PATH, body, version="2022-10-01")).body
                times.append(time.process_time() - asked)
                seen += [row["name"] + row["subscriptionId"] for row in page["data"]]
                token = page.get("$skipToken")
            assert page["totalRecords"] == expected
            assert len(set(seen)) == 10_000
            assert median(times) < 0.3
