"""What is asked of a workspace is asked of that where a row lies: rows stored, canaries, what ended, and scores."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.logs_query import FurtherWorkspace
from local.tenant import APP, OTHER_TENANT
from local.tenant.synthetic import CROSS_TENANT_APP_THERE
from shared.bootstrap import Services
from shared.enrich.context.resource_context import Context
from shared.enrich.records.model import Event
from shared.settings import Settings
from shared.watch.freshness_check import Tenant
from shared.web.response_models import RoutesKnown
from tests.integration.enrich.conftest import START, Plant
from tests.integration.enrich.test_routing import CARDS, CLAIMS, OTHERS, PAYMENTS, Graph, Routed, assessments, instead

DAY = timedelta(days=1)
HUB = {"hub": {"name": "rows", "namespace": "nowhere.servicebus.windows.net"}}


@pytest.fixture
async def routed(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Routed]:
    """Three places: payments, whose workspace the app may ask, cards, where it may not, and claims, of no known one."""
    async with AsyncExitStack() as opened:
        found = Routed(plant, tmp_path, opened)
        await found.open("payments", "cards", "claims")
        for name, readers in {"payments": {APP.object_id}, "cards": set[str]()}.items():
            workspace = found.places[name].workspace
            plant.azure.logs_query.further[workspace.workspace_id] = FurtherWorkspace(workspace, readers)
            found.about[name] = {"workspaceId": workspace.workspace_id.upper()}
        monkeypatch.setenv("ROUTES_FILE", str(tmp_path / "routes.yaml"))
        monkeypatch.setattr(Services, "_context", lambda _: Context(Graph({})))
        yield found


def to_each(routed: Routed) -> None:
    routed.write([*map(instead, routed.places, (PAYMENTS, CARDS, CLAIMS))])


@asynccontextmanager
async def process() -> AsyncIterator[Services]:
    """A process that begins now."""
    services = Services(Settings.load())
    try:
        yield services
    finally:
        await services.close()


async def flushed(routed: Routed) -> None:
    """Every row that was accepted is stored."""
    for place in (*routed.places.values(), routed.plant.azure.ingestion):
        await place.workspace.flush()


async def checked(services: Services) -> dict[str, Any]:
    """The freshness check of the next day."""
    tomorrow = datetime.combine((datetime.now(UTC) + DAY).date(), time(3), UTC)
    return await services.freshness.run(Tenant((), ()), tomorrow)


async def test_rows_stored_are_compared_for_each_place_and_nothing_is_said_where_none_can_look(
    routed: Routed,
) -> None:
    rules = [*map(instead, routed.places, (PAYMENTS, CARDS, CLAIMS)), {"name": "all", "also": ["siem"]}]
    routed.write(rules, siem=HUB)
    async with process() as services:
        routed.places["payments"].drop_share = 1.0  # behind a 204
        await services.pipeline.run(assessments(range(3), PAYMENTS))
        routed.places["payments"].drop_share = 0.0
        await services.pipeline.run(
            [event for one in (PAYMENTS, CARDS, CLAIMS, OTHERS) for event in assessments(range(10, 15), one)]
        )
        await services.last_seen.flush()
        await flushed(routed)
        found = await checked(services)
        known = await services.routes()
    table = "DefenderAssessments_CL"
    assert {each["table"]: (each["uploaded"], each["stored"]) for each in found["stored"]} == {
        table: (5, 5),
        f"payments.{table}": (8, 5),
    }
    cards, claims = sorted(found["notCompared"])
    assert cards.startswith("not known for place cards: ")
    assert "Log Analytics Data Reader" in cards
    assert claims == "not known for place claims: the file of routes does not say its workspaceId"
    assert found["reasons"] == []
    query = "SELECT TableName FROM DefenderExportHealth_CL WHERE Verdict = 'missing'"
    await flushed(routed)
    assert (await routed.plant.azure.workspace.sql(query)).rows == [(f"payments.{table}",)]
    assert known is not None
    RoutesKnown.model_validate(known)
    assert {one["name"]: bool(one["unseen"]) for one in known["places"]} == {
        "default": False, "payments": False, "cards": False, "claims": True, "siem": True,
    }  # fmt: skip


async def test_places_whose_rows_lie_in_one_workspace_are_compared_together(routed: Routed) -> None:
    here = {"workspaceId": routed.plant.settings.workspace_id}
    routed.about |= {"claims": here, "cards": routed.about["payments"]}
    routed.places["claims"].workspace = routed.plant.azure.workspace
    routed.places["cards"].workspace = routed.places["payments"].workspace
    to_each(routed)
    async with process() as services:
        for subscription in (PAYMENTS, CARDS, CLAIMS, OTHERS):
            await services.pipeline.run(assessments(range(4), subscription))
        await services.last_seen.flush()
        await flushed(routed)
        found = await checked(services)
    table = "DefenderAssessments_CL"
    assert {each["table"]: (each["uploaded"], each["stored"]) for each in found["stored"]} == {
        table: (8, 8),
        f"payments+cards.{table}": (8, 8),
    }
    assert found["notCompared"] == []


async def test_what_was_sent_to_a_place_that_the_routes_name_no_more_is_not_known(routed: Routed) -> None:
    to_each(routed)
    async with process() as services:
        await services.pipeline.run(assessments(range(4), PAYMENTS))
        await services.last_seen.flush()
        await flushed(routed)
    routed.places.pop("payments")
    to_each(routed)
    for text in ((routed.folder / "routes.yaml").read_text(), "{"):
        (routed.folder / "routes.yaml").write_text(text)
        async with process() as services:
            found = await checked(services)
        assert found["stored"] == []
        assert found["notCompared"] == ["not known for place payments: the routes in force do not name it"]


def score(subscription: str, current: float, weight: int, number: int) -> Event:
    known = {"displayName": "ASC score", "score": {"max": 50, "current": current, "percentage": current / 50}}
    record = {
        "type": "Microsoft.Security/secureScores",
        "id": f"/subscriptions/{subscription}/providers/Microsoft.Security/secureScores/ascScore",
        "name": "ascScore",
        "properties": {**known, "weight": weight},
    }
    return Event(json.dumps(record).encode(), datetime.now(UTC) - timedelta(minutes=60 - number), "0", number)


async def test_the_secure_score_counts_what_lies_in_other_workspaces_and_says_what_it_leaves_out(
    routed: Routed,
) -> None:
    """A subscription that moved to another workspace counts once, by its newest score."""
    now = datetime.now(UTC)
    async with process() as before:
        routed.write([instead("claims", CLAIMS)])
        await before.pipeline.run([score(PAYMENTS, 10, 3, 1), score(OTHERS, 20, 1, 2)])
        await flushed(routed)
    to_each(routed)
    async with process() as services:
        await services.pipeline.run([score(PAYMENTS, 40, 3, 3), score(CARDS, 50, 9, 4), score(CLAIMS, 50, 9, 5)])
        await flushed(routed)
        plots = await services.trends.read(now, 24)
        figures = await services.figures(now, 2)
        routed.plant.azure.logs_query.further[routed.places["cards"].workspace.workspace_id].readers = {APP.object_id}
        with_cards = await services.trends.read(now, 24)
    everything = round(100 * (40 / 50 * 3 + 20 / 50 * 1) / 4, 2)
    assert (plots.scores[-1].percentage, plots.scores[-1].subscriptions) == (everything, 2)
    months = [each for each in figures.months if each.measure == "secure score" and each.value is not None]
    assert (months[-1].value, months[-1].over) == (everything, 2)
    days = [each for each in figures.days if each.measure == "secure score" and each.value is not None]
    assert (days[-1].value, days[-1].over) == (everything, 2)
    claims = "secure score: not known for place claims: the file of routes does not say its workspaceId"
    assert (
        plots.not_counted[0]
        == "without the arrivals and open records of what routes send to payments, cards, claims alone"
    )
    assert claims in plots.not_counted
    assert any(each.startswith("secure score: not known for place cards: ") for each in plots.not_counted)
    assert sorted(figures.not_counted) == sorted(plots.not_counted[1:])
    three = round(100 * (40 / 50 * 3 + 20 / 50 * 1 + 9) / 13, 2)
    assert (with_cards.scores[-1].percentage, with_cards.scores[-1].subscriptions) == (three, 3)
    assert [each for each in with_cards.not_counted if "score" in each] == [claims]


async def test_a_workspace_of_another_tenant_is_asked_through_the_multi_tenant_app(
    routed: Routed, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = CROSS_TENANT_APP_THERE.object_id
    await routed.open("partner", tenant_id=OTHER_TENANT, publishers=[there])
    workspace = routed.places["partner"].workspace
    further = FurtherWorkspace(workspace, {there}, OTHER_TENANT)
    routed.plant.azure.logs_query.further[workspace.workspace_id] = further
    routed.about["partner"] = {"workspaceId": workspace.workspace_id, "tenantId": OTHER_TENANT}
    routed.write([instead("partner", OTHERS)])
    async with process() as services:
        await services.pipeline.run(assessments(range(4), OTHERS))
        await services.last_seen.flush()
        await flushed(routed)
        found = await checked(services)
    assert [(each["table"], each["stored"]) for each in found["stored"]] == [("partner.DefenderAssessments_CL", 4)]
    monkeypatch.setenv("CROSS_TENANT_CREDENTIAL", "none")
    async with process() as services:
        found = await checked(services)
    assert found["stored"] == []
    (said,) = found["notCompared"]
    assert said.startswith("not known for place partner: ")


async def test_what_is_no_table_of_records_or_has_another_name_there_keeps_the_others_from_nothing(
    routed: Routed,
) -> None:
    routed.about["payments"] |= {"streams": {"DefenderAlerts_CL": "Custom-DefenderOther_CL"}}
    to_each(routed)
    async with process() as services:
        await services.pipeline.run(assessments(range(4), PAYMENTS))
        more = {("payments.hub", START.date()): 1, ("payments.DefenderGone_CL", START.date()): 2}
        await services.last_seen.note({}, {**more, ("payments.DefenderAlerts_CL", START.date()): 3}, START)
        await services.last_seen.flush()
        await flushed(routed)
        found = await checked(services)
    table = "payments.DefenderAssessments_CL"
    assert {each["table"]: (each["uploaded"], each["stored"]) for each in found["stored"]} == {table: (4, 4)}
    assert found["notCompared"] == ["not known for place payments: DefenderAlerts_CL has another name there"]
