"""Records end in the workspace where their rows lie, and nowhere else; where none can look, nothing ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from local.ingestion import Ingestion
from local.logs_query import FurtherWorkspace
from local.places import further_place
from local.tenant import APP
from shared.bootstrap import Services
from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.runners import Runners
from shared.settings import Settings
from tests.integration.lifecycle.life import Life

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Elsewhere:
    """A life whose second subscription's records a rule sends to payments, and whose third's to a hub."""

    life: Life
    place: Ingestion
    readers: set[str]

    async def said(self, workspace: Any) -> list[tuple[str, str]]:
        await workspace.flush()
        asked = "DefenderGone_CL | order by TimeGenerated asc | project RecordId, Action"
        return list((await workspace.kql(asked)).rows)

    async def compare(self, day: float) -> dict[str, str]:
        """A tick of everything on a day; what each place's pass concluded."""
        self.life.day = day
        await self.place.workspace.flush()
        await self.life.azure.workspace.flush()
        checks = await self.life.services.gone_checks()
        await checks.own.tick(self.life.now)
        await checks.tick_places(self.life.now)
        passes = {name: await check.latest() for name, check in checks.places.items()}
        return {name: json.dumps(state.concluded) if state else "" for name, state in passes.items()}


@asynccontextmanager
async def routed(life: Life, monkeypatch: pytest.MonkeyPatch, **about: Any) -> AsyncIterator[Elsewhere]:
    azure = life.azure
    _, second, third, *_ = life.subscriptions
    async with further_place(azure.folder, azure.tokens, azure.certificates, now=lambda: life.now) as place:
        readers = {APP.object_id}
        azure.logs_query.further[place.workspace.workspace_id] = FurtherWorkspace(place.workspace, readers)
        rule = {"endpoint": place.endpoint, "immutableId": place.rule_id, "workspaceId": place.workspace.workspace_id}
        hub = {"name": "siem", "hub": {"namespace": "nowhere.servicebus.windows.net", "name": "rows"}}
        rules = [
            {"name": "second", "subscriptions": [second], "instead": ["payments"]},
            {"name": "third", "subscriptions": [third], "instead": ["siem"]},
        ]
        path = azure.folder / "routes.yaml"
        path.write_text(
            json.dumps({"version": 1, "places": [{"name": "payments", "rule": {**rule, **about}}, hub], "rules": rules})
        )
        monkeypatch.setenv("ROUTES_FILE", str(path))
        monkeypatch.setenv("CLOSE_GONE", "true")
        await life.services.close()
        life.services = Services(Settings.load())
        try:
            yield Elsewhere(life, place, readers)
        finally:
            await life.services.close()


async def test_what_is_fixed_ends_where_its_rows_lie(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    async with routed(life, monkeypatch) as elsewhere:
        here, there, away = (life.packages(4, subscription=number) for number in range(3))
        await life.appear(0.1, *here, *there, *away)
        gone_here, gone_there = life.ids(here[:1]), life.ids(there[:2])
        life.vanish([here[0], *there[:2], away[0]])
        assert await elsewhere.compare(2) == {"payments": '{"Missing": 2}'}
        assert await elsewhere.compare(3) == {"payments": '{"Gone": 2}'}
        own, place = life.azure.workspace, elsewhere.place.workspace
        assert set(await elsewhere.said(own)) == {(one, action) for one in gone_here for action in ("Missing", "Gone")}
        assert set(await elsewhere.said(place)) == {(o, action) for o in gone_there for action in ("Missing", "Gone")}
        await life.appear(3.5, there[0], exported=False)
        assert await elsewhere.compare(4) == {"payments": '{"Back": 1}'}
        passes = await own.kql(
            "DefenderExportHealth_CL | where CheckName == 'gone' | project Place = tostring(Details.place), Verdict"
        )
        assert sorted(passes.rows) == [("", "compared")] * 3 + [("payments", "compared")] * 3
        assert await place.kql("DefenderExportHealth_CL | count") == await own.kql(
            "DefenderExportHealth_CL | take 0 | count"
        )


async def test_where_a_place_may_not_be_asked_nothing_ends_there_and_the_job_says_so(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with routed(life, monkeypatch) as elsewhere:
        here, there = life.packages(2), life.packages(2, subscription=1)
        await life.appear(0.1, *here, *there)
        life.vanish([*here, *there])
        elsewhere.readers.clear()
        await elsewhere.compare(2)
        await elsewhere.compare(3)
        assert {action for _, action in await elsewhere.said(life.azure.workspace)} == {"Missing", "Gone"}
        assert await elsewhere.said(elsewhere.place.workspace) == []
        nothing: Any = None
        runners = Runners(
            reconciler=nothing, exports=nothing, tenant_state=nothing, present=nothing, replay=nothing,
            discard=nothing, deliver=nothing, deadline=nothing, canary=nothing, to_rows=nothing,
            gone=life.services.gone_checks,
        )  # fmt: skip
        job = Job("1", "gone", {}, "somebody", datetime.now(UTC))
        told = await runners.gone(job, Progress(job))
        assert told["places"] == {}
        hub, payments = sorted(told["notKnown"], key=lambda each: "siem" not in each)
        assert hub == "not known for place siem: an output hub can't be asked what it holds"
        assert payments == "not known for place payments: what the tables hold is not known: 403"
        elsewhere.readers.add(APP.object_id)
        told = await runners.gone(job, Progress(job))
        assert told["places"]["payments"]["concluded"] in ({}, {"Missing": 2})


async def test_rows_of_what_ended_wait_as_dead_letters_of_their_place(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with routed(life, monkeypatch) as elsewhere:
        there = life.packages(2, subscription=1)
        await life.appear(0.1, *there)
        life.vanish(there)
        allowed, elsewhere.place.publishers = elsewhere.place.publishers, set()
        await elsewhere.compare(2)
        assert await elsewhere.said(elsewhere.place.workspace) == []
        elsewhere.place.publishers = allowed
        replay = await life.services.pipeline.replay(LetterFilter(reason="no-access", due_only=False))
        assert (replay.delivered, replay.remaining) == (2, 0)
        assert {action for _, action in await elsewhere.said(elsewhere.place.workspace)} == {"Missing"}
        assert await elsewhere.said(life.azure.workspace) == []
