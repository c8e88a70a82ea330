"""What `ready` asks once for all who ask at the same time, and what it warns of."""

import asyncio
from datetime import timedelta
from types import MappingProxyType

import pytest
from azure.functions import HttpRequest

from shared.audit.deed import REQUIRE, Deed
from shared.audit.trail import OPEN
from shared.bootstrap import Services
from shared.web import health_check
from shared.web.authorization import Actor
from shared.web.routing import Call
from tests.integration.watch.test_timer_runs import here

__all__ = ["here"]


async def asked(services: Services) -> int:
    request = HttpRequest("GET", "/api/ready", body=b"")
    answer = await health_check.ready(Call(request, services, Actor("key", "test"), {}))
    return int(answer.status_code)


async def test_callers_at_the_same_time_share_one_look_and_a_later_one_looks_again(
    here: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    async def look(_: Services) -> str:
        looks.append(1)
        await asyncio.sleep(0.2)
        return "seen"

    monkeypatch.setattr(health_check, "CHECKS", MappingProxyType({"look": look}))
    first = asyncio.create_task(asked(here))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(asked(here)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [200] * 20
    assert len(looks) == 1
    assert await asked(here) == 200
    assert len(looks) == 2


async def test_deeds_that_wait_for_hours_are_told(here: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await health_check.waiting_deeds(here) == []
    for _ in range(2):
        await here.trail.note(Deed.now(REQUIRE, "requirements.yaml", "test", after="x"))
    assert await health_check.waiting_deeds(here) == []
    now = await here.trail.now()
    monkeypatch.setattr(here.trail, "_now", lambda _: asyncio.sleep(0, now + timedelta(hours=2, minutes=1)))
    (told,) = await health_check.waiting_deeds(here)
    assert told.startswith("2 deeds wait to be sent to the audit trail's table, the oldest since ")
    container = here.clients.blobs.get_container_client(here.settings.exports_container)
    names = [name async for name in container.list_blob_names(name_starts_with=OPEN)]
    for name in names:
        await container.delete_blob(name)
    assert await health_check.waiting_deeds(here) == []
