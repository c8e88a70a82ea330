"""What ended, over the wire: a tenant whose clock is moved, its records in the tables, and Resource Graph."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.oddities import Oddity
from local.tenant import APP
from local.tenant.roles import custom_role
from shared.bootstrap import Services
from shared.jobs.gone_everywhere import GoneChecks
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.runners import Runners
from shared.jobs.worker import JobRefusedError, WaitingError
from shared.lifecycle.closing_guard import ALWAYS
from shared.lifecycle.gone_check import LATEST
from shared.lifecycle.gone_pass import Pass
from shared.reconcile.apply.run_lock import LeaseHeld
from shared.settings import Settings
from shared.stored_format import KeptAsIs
from shared.web.health_check import unseen_cves
from tests.integration.lifecycle.life import Life

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("whole_story", [False, pytest.param(True, marks=pytest.mark.soak)])
async def test_what_is_fixed_ends_after_two_complete_answers_and_what_comes_back_is_open(
    life: Life, monkeypatch: pytest.MonkeyPatch, whole_story: bool
) -> None:
    first, second, *_ = life.subscriptions
    kept, fixed, machine = life.packages(6), life.packages(3), [life.package(second, 0, "vm9") for _ in range(4)]
    old, paths = [life.finding(first) for _ in range(30)], [life.path(first), life.path(second)]
    await life.appear(0.1, *kept, *fixed, *machine, *old, *paths)
    life.vanish([*fixed, *machine, *old, paths[0]])
    away = life.ids([*fixed, *machine, *old, paths[0]])
    # Answers that are not whole say nothing, however often.
    life.azure.arm.graph.subscription_limit = 0
    assert (await life.compare(2)).left_out > 0
    life.azure.arm.graph.subscription_limit = 10_000
    life.azure.logs_query.limits.rows = 5
    assert any("not known" in why for why in (await life.compare(4)).reasons)
    life.azure.logs_query.limits.rows = 500_000
    assert await life.said() == {}

    noted = await life.compare(5)
    assert noted.concluded == {"Missing": len(away)}
    assert await life.open_now() == life.truth | away, "once is not enough"
    if whole_story:
        monkeypatch.setattr("shared.lifecycle.slices.MOST_RECORDS", 6)  # the same in 17 small parts
    done = await life.compare(5.5)
    assert done.concluded == {"Gone": len(away) - len(old), "Retired": len(old)}, "what was retired is not called fixed"
    assert await life.open_now() == life.truth
    ended = await life.rows(
        "DefenderRecords_Ended() | where EndedAs == 'Gone' and RecordKind == 'Assessment'"
        " | summarize Rows = count(), Days = max(abs(DaysOpen - 5.0)), Severity = min(RecommendationSeverity)"
    )
    assert ended == [(7, 0.0, "High")], "since the state changed until the first answer without it"
    await life.appear(6.2, fixed[0])  # by an export
    await life.appear(6.2, fixed[1], exported=False)  # and without one
    again = await life.compare(7)
    assert again.concluded == {"Back": 1}
    assert await life.open_now() == life.truth
    if not whole_story:
        return
    life.vanish(fixed[:2])
    await life.compare(8)
    await life.compare(8.5)
    assert await life.open_now() == life.truth
    said = await life.said()
    assert said[fixed[0]["id"].lower()] == ["Missing", "Gone", "Missing", "Gone"]
    assert said[fixed[1]["id"].lower()] == ["Missing", "Gone", "Back", "Missing", "Gone"]
    assert said[fixed[2]["id"].lower()] == ["Missing", "Gone"]
    assert not {record for record in said if record in life.truth}


async def test_where_a_right_was_lost_nothing_ends_and_the_place_is_named(life: Life) -> None:
    first, second, *_ = life.subscriptions
    here, there = life.packages(3), [life.package(second, 0) for _ in range(3)]
    await life.appear(0.1, *here, *there)
    life.azure.tenant.revoke(APP)
    reads = custom_role("Reads", "Microsoft.Security/*/read", "Microsoft.Resources/subscriptions/read",
                        "Microsoft.Authorization/*/read")  # fmt: skip
    life.azure.tenant.assign(APP, f"/subscriptions/{first}", reads)
    one_group = f"/subscriptions/{second}/resourceGroups/other"
    life.azure.tenant.assign(APP, one_group, reads)
    life.vanish(here[:1])
    told = await life.compare(1)
    assert told.concluded == {"Missing": 1}, "the other subscription is its own"
    assert any(second in why for why in told.reasons)
    assert set(await life.said()) == life.ids(here[:1])


@pytest.mark.parametrize("answer", ["<html>Sign in</html>", {"error": {"code": "Busy"}}, {"data": {"rows": []}}, []])
@pytest.mark.parametrize("asked", ["Microsoft.ResourceGraph/resources$", "/permissions$"])
async def test_an_answer_of_another_form_ends_nothing_and_is_said(life: Life, asked: str, answer: Any) -> None:
    gone = life.packages(3)
    await life.appear(0.1, *gone)
    life.vanish(gone)
    life.azure.arm.oddities.append(Oddity(asked, 200, body=lambda _: answer))
    try:
        told = await life.compare(1)
    finally:
        life.azure.arm.oddities.clear()
    assert told.ended
    assert (told.concluded, await life.said()) == ({}, {})
    assert told.reasons


@pytest.mark.soak
async def test_too_much_at_once_is_held_back_until_somebody_lets_it_through(life: Life) -> None:
    many = life.packages(ALWAYS + 5)
    await life.appear(0.1, *many, *life.packages(10))
    life.vanish(many)
    await life.compare(1)
    held = await life.compare(2)
    assert held.concluded == {}
    (verdict, reason) = (
        await life.rows(
            "DefenderExportHealth_CL | where CheckName == 'gone' | top 1 by TimeGenerated | project Verdict, Reason"
        )
    )[0]
    assert (verdict, reason) == ("held back", held.told()["heldBack"][0])
    assert "30 of 40 open records" in held.told()["heldBack"][0]
    assert len(await life.open_now()) == 40
    let_through = await life.check().begin(life.now, 100)
    assert let_through.concluded == {"Gone": 30}
    assert await life.open_now() == life.truth


@pytest.mark.soak
async def test_a_pass_goes_on_where_a_tick_stopped_and_a_newer_releases_pass_is_left_alone(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.lifecycle.slices.MOST_RECORDS", 4)
    gone = life.packages(12)
    await life.appear(0.1, *gone, *life.packages(3, subscription=1))
    life.vanish(gone)
    await life.compare(1)

    life.day = 2
    kept = life.services.clients.blobs.get_container_client(life.services.settings.reports_container)
    begun = await life.check(percent=100)._begun(life.now, 100, life.check()._deadline())
    assert len(begun.left) == 18
    short = life.check(seconds=2, percent=100)
    ticks = 0
    state: Pass | None = begun
    while state is not None and state.ended is None:
        state = await short.tick(life.now)
        assert state is not None
        ticks += 1
        assert ticks < 100
    assert ticks > 1, "and a slice that does not fit into a tick is made smaller"
    assert state is not None
    assert state.concluded == {"Gone": 12}
    assert await life.open_now() == life.truth
    assert await life.check().tick(life.now) is None, "the next is not due"
    await kept.upload_blob(LATEST, json.dumps({"format": 99, "release": "9.9"}), overwrite=True)
    with pytest.raises(KeptAsIs, match="format 99"):
        await life.check().tick(life.now)


async def test_details_of_cves_are_read_where_they_may_be_and_otherwise_it_is_said_once(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = life.packages(2)
    for number, each in enumerate(named, 1):
        each["properties"]["additionalData"] = {"CvesDetails": json.dumps([{"CveId": f"CVE-2026-000{number}"}])}
    await life.appear(0.1, *named)
    life.azure.tenant.cve_details.append({
        "id": "/providers/microsoft.security/cvedetails/cve-2026-0001", "name": "cve-2026-0001",
        "properties": {"cveId": "CVE-2026-0001", "severity": "High", "cvss": {"4.0": {"base": 8.1}},
                       "exploitabilityDetails": {"IsInExploitKit": True}},
    })  # fmt: skip
    monkeypatch.setenv("REFRESH_CVES", "true")
    services = Services(Settings.load())
    try:
        done = await services.cves.tick(life.now)
        assert done is not None
        assert (done.asked, done.found, done.warning, done.reason) == (2, 1, "", "")
        assert await services.cves.tick(life.now) is None, "once a day"
        asked = "DefenderRecords_Cves() | project CveId, Exploited, CveCvssScore | order by CveId asc"
        assert await life.rows(asked) == [("CVE-2026-0001", "yes", 8.1), ("CVE-2026-0002", "not known", None)]
        assert await unseen_cves(services) == []

        life.azure.tenant.revoke(APP)
        below = custom_role("Below", "Microsoft.Security/*/read", "Microsoft.Resources/subscriptions/read")
        life.azure.tenant.assign(APP, f"/subscriptions/{life.subscriptions[0]}", below)
        life.day = 1.2
        blind = await services.cves.tick(life.now)
        assert blind is not None
        assert (blind.asked, blind.found) == (2, 0)
        (warning,) = await unseen_cves(services)
        assert "Security Reader" in warning
        assert await life.rows(asked) == [("CVE-2026-0001", "yes", 8.1), ("CVE-2026-0002", "not known", None)]
    finally:
        await services.close()


async def test_timer_and_job_do_not_compare_at_the_same_time(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    await life.appear(0.1, *life.packages(2))
    life.day = 1
    monkeypatch.setenv("CLOSE_GONE", "true")
    services = Services(Settings.load())
    nothing: Any = None

    async def checks() -> GoneChecks:
        return GoneChecks(life.check())

    job = Job("1", "gone", {}, "somebody", life.now)
    runners = Runners(
        reconciler=nothing, exports=nothing, tenant_state=nothing, present=nothing, replay=nothing, discard=nothing,
        deliver=nothing, deadline=nothing, canary=nothing, to_rows=nothing, gone=checks,
    )  # fmt: skip
    progress = Progress(job)
    try:
        async with life.check()._kept.alone():
            with pytest.raises(LeaseHeld, match="gone/pass"):
                await life.check().tick(life.now)
            with pytest.raises(WaitingError):
                await runners.gone(replace(job, created=datetime.now(UTC)), progress)
            with pytest.raises(JobRefusedError, match="it waited for"):
                await runners.gone(replace(job, created=datetime.now(UTC) - timedelta(hours=2)), progress)
            await services.close_gone()  # the timer leaves it to the other, and does not fail
            assert await life.check().latest() is None
        both = await asyncio.gather(*(life.check().begin(life.now) for _ in range(2)), return_exceptions=True)
        assert [type(each) for each in both].count(LeaseHeld) == 1
        (state,) = (each for each in both if isinstance(each, Pass))
        # A job whose pass another has ended meanwhile tells what came of it, and begins no other one.
        told = await runners.gone(replace(job, cursor={"began": state.began.isoformat()}), progress)
        assert told == state.told()
        counts = await services.open_counts.latest()
        assert counts is not None
        assert (counts.open, counts.fixed, counts.reopened, counts.problem) == (2, 0, 0, "")
    finally:
        await services.close()
