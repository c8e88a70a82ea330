"""When each timer last succeeded: noted by the timers, told by `ready`, and no subscription's row."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest

import function_app
from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import synthetic_tenant
from shared.bootstrap import Services, services
from shared.settings import Settings
from shared.watch.timer_runs import stopped
from shared.web.health_check import CHECKS, NotWell
from tests.app_functions import app_functions

TIMERS = ("check_freshness", "close_gone", "refresh_cves", "reconcile_exports", "retry_dead_letters", "send_news")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
async def here(tmp_path: Any, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    tenant = synthetic_tenant(1, 2, untidy=False)
    parts = ("azurite", "arm", "ingestion")
    async with LocalAzure(tmp_path, parts=parts, tenant=tenant, certificates=local_certs) as azure:
        for name, value in azure.app_settings().items():
            monkeypatch.setenv(name, value)
        running = Services(Settings.load())
        yield running
        await running.close()


async def test_each_timer_notes_its_own_success_and_a_run_that_failed_notes_none(here: Services) -> None:
    services.cache_clear()
    tick: Any = func.TimerRequest
    try:
        began = datetime.now(UTC)
        assert await CHECKS["timers"](here) == "none has succeeded yet"
        for name in TIMERS:
            await getattr(function_app, name).build().get_user_function()(tick)
            last = await here.timer_runs.read()
            assert began <= last[name] <= datetime.now(UTC)
        assert set(last) == set(TIMERS)
        assert await here.last_seen.read() == {}
        assert here.last_seen.unreadable == {}
    finally:
        await services().close()
        services.cache_clear()


@pytest.mark.parametrize("name", TIMERS)
async def test_one_that_has_stopped_for_four_days_is_told_whatever_other_runs_there_were(
    here: Services, name: str
) -> None:
    now = datetime.now(UTC)
    for timer in TIMERS:
        await here.timer_runs.note(timer, now - timedelta(days=4 if timer == name else 0))
    with pytest.raises(NotWell, match=f"^{name} last succeeded at [^;]*$"):
        await CHECKS["timers"](here)
    await here.timer_runs.note(name, now)
    assert name in await CHECKS["timers"](here)


@pytest.mark.parametrize("hours", [6.1, 24, 96])
def test_it_lasts_for_as_long_as_the_timer_stands_still(hours: float) -> None:
    last = {"check_freshness": NOW - timedelta(hours=hours), "reconcile_exports": NOW - timedelta(hours=6)}
    assert [*stopped(last, NOW)] == ["check_freshness"]


def test_every_timer_of_the_app_is_here() -> None:
    triggers = {each.get_function_name(): each.get_trigger() for each in app_functions()}
    listed = {name for name, trigger in triggers.items() if trigger and trigger.type == "timerTrigger"}
    assert listed == {*TIMERS}
