from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from local.stack import LocalAzure
from shared.azure.clients import Clients
from shared.settings import Settings
from shared.watch.trends import TrendQueries

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
async def clients(local_azure: LocalAzure) -> AsyncIterator[Clients]:
    running = Clients(Settings.load())
    yield running
    await running.close()


async def arrive(azure: LocalAzure, table: str, kind: str, times: list[datetime], lag: int) -> None:
    for time in times:
        text = f"{time:%Y-%m-%d %H:%M:%S}"
        await azure.workspace.sql(
            f"INSERT INTO {table} BY NAME SELECT '{kind}' AS RecordKind, 'Write' AS Action, "
            f"TIMESTAMP '{text}' AS TimeGenerated, TIMESTAMP '{text}' AS EnqueuedTime, "
            f"TIMESTAMP '{text}' + to_seconds({lag}) AS _TimeReceived"
        )


async def score(azure: LocalAzure, subscription: str, days_ago: int, current: float, weight: int) -> None:
    text = f"{NOW - timedelta(days=days_ago):%Y-%m-%d %H:%M:%S}"
    await azure.workspace.sql(
        f"INSERT INTO DefenderSecureScores_CL BY NAME SELECT '{subscription}' AS SubscriptionId, "
        f"'ascScore' AS ScoreName, TIMESTAMP '{text}' AS TimeGenerated, TIMESTAMP '{text}' AS EventTime, "
        f"{current} AS CurrentScore, 100 AS MaxScore, {weight} AS Weight"
    )


async def test_arrivals_are_counted_by_kind_and_bin_with_their_lag(local_azure: LocalAzure, clients: Clients) -> None:
    recent = [NOW - timedelta(minutes=5)] * 3
    await arrive(local_azure, "DefenderAlerts_CL", "Alert", [*recent, NOW - timedelta(hours=3)], lag=4)
    await arrive(local_azure, "DefenderAssessments_CL", "Assessment", recent[:2], lag=40)
    trends = await TrendQueries(clients.logs_query, local_azure.workspace.workspace_id).read(NOW, 1)
    assert trends.problem == ""
    assert {kind: sum(values) for kind, values in trends.records_a_minute().items()} == {"Alert": 3, "Assessment": 2}
    assert [lag for lag in trends.lag_seconds() if lag is not None] == [40.0]


async def test_a_score_stands_until_the_next_for_nine_days_at_most_and_weighs_as_its_subscription(
    local_azure: LocalAzure, clients: Clients
) -> None:
    await score(local_azure, "a", 20, 10, 1)
    await score(local_azure, "b", 5, 50, 1)
    await score(local_azure, "c", 3, 80, 3)
    trends = await TrendQueries(clients.logs_query, local_azure.workspace.workspace_id).read(NOW, 1)
    found = {(NOW.date() - each.day.date()).days: (each.percentage, each.subscriptions) for each in trends.scores}
    assert {days for days in found if days > 5} == set(range(12, 21))
    assert found[20] == found[12] == (10.0, 1)
    assert found[4] == (50.0, 1)
    percentage, subscriptions = found[0]
    assert percentage == pytest.approx((50 + 3 * 80) / 4)
    assert subscriptions == 2


async def test_subscriptions_of_no_weight_leave_the_score_to_the_others(
    local_azure: LocalAzure, clients: Clients
) -> None:
    await score(local_azure, "a", 20, 10, 0)
    await score(local_azure, "b", 2, 50, 1)
    trends = await TrendQueries(clients.logs_query, local_azure.workspace.workspace_id).read(NOW, 1)
    assert {(each.percentage, each.subscriptions) for each in trends.scores} == {(50.0, 1)}


async def test_a_workspace_that_refuses_or_is_unknown_is_said_in_a_sentence(
    local_azure: LocalAzure, clients: Clients
) -> None:
    unknown = await TrendQueries(clients.logs_query, "00000000-0000-4000-8000-000000000000").read(NOW, 1)
    assert "WORKSPACE_ID" in unknown.problem
    local_azure.logs_query.readers.clear()
    refused = await TrendQueries(clients.logs_query, local_azure.workspace.workspace_id).read(NOW, 1)
    assert "Log Analytics Data Reader" in refused.problem
    assert refused.records_a_minute() == {}
