"""One cause that lasts makes one incident, a second cause a second: rules run over simulated days."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from local.workspace import Workspace
from tests.unit.infra.incidents import (
    MOST_ALERTS_OF_A_RUN,
    MOST_ALERTS_OF_AN_INCIDENT,
    Incident,
    alerts,
    duration,
    incidents,
)  # fmt: skip
from tests.unit.infra.planted import Planted, ask, check, for_instance, plant, run, window_of
from tools.sentinel import rule_properties, rules

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

RULES = {rule.name: rule for rule in rules()}
HOUR = timedelta(hours=1)
FIVE_MINUTES = timedelta(minutes=5)  # a scheduled rule runs so much later (the model's source, Query scheduling)
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAYS = 3
LONG, LATE, BRIEF, BACK, WELL = (f"{number:08}-0000-4000-8000-000000000000" for number in range(5))


def verdict(subscription: str, hour: int) -> str:
    """What the hourly check says: two causes that last, one of an hour, one that comes back, and one that is well."""
    silent = {
        LONG: hour >= 2,
        LATE: hour >= 30,
        BRIEF: hour == 50,
        BACK: 4 <= hour < 10 or 20 <= hour < 30,
        WELL: False,
    }
    return "silent" if silent[subscription] else "fresh"


def checks() -> list[Planted]:
    """Three days of verdicts: of all subscriptions each hour, and from hour 40 on of a second kind."""
    rows = []
    for hour in range(24 * DAYS):
        age = -hour * HOUR
        rows += [
            check(
                age,
                SubscriptionId=each,
                SubscriptionName=each[:8],
                Verdict=verdict(each, hour),
                Reason=f"{hour} records",
            )
            for each in (LONG, LATE, BRIEF, BACK, WELL)
        ]
        second = "silent" if hour >= 40 else "fresh"
        rows.append(check(age, SubscriptionId=LONG, SubscriptionName="0", RecordKind="Assessments", Verdict=second))
    return rows


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evaluations() -> list[tuple[datetime, list[dict[str, Any]]]]:
    """The rule's answer at each of its hourly runs."""
    rule = RULES["silent-export"]
    async with Workspace() as opened:
        await plant(opened, checks(), START)
        times = [START + hour * HOUR + FIVE_MINUTES for hour in range(24 * DAYS)]
        return [(time, await ask(opened, for_instance(rule), time, window_of(rule))) for time in times]


Evaluations = list[tuple[datetime, list[dict[str, Any]]]]


def of(opened: list[Incident], subscription: str) -> list[Incident]:
    return [incident for incident in opened if subscription in str(incident.key)]


async def test_a_subscription_that_is_silent_for_three_days_makes_one_incident(evaluations: Evaluations) -> None:
    properties = rule_properties(RULES["silent-export"])
    opened = incidents(properties, alerts(properties, evaluations))
    (long,) = of(opened, LONG)
    assert long.opened == START + 2 * HOUR + FIVE_MINUTES
    # It is told when it is new, again when a second kind falls silent, and each morning; not seventy times.
    assert {alert.time.hour for alert in long.alerts if alert.time - long.opened > 3 * HOUR} <= {6, 1, 2, 3}
    assert 4 <= len(long.alerts) <= 12
    assert max(alert.time for alert in long.alerts) > START + 60 * HOUR


async def test_a_second_cause_makes_a_second_incident_at_once(evaluations: Evaluations) -> None:
    properties = rule_properties(RULES["silent-export"])
    opened = incidents(properties, alerts(properties, evaluations))
    (late,) = of(opened, LATE)
    assert late.opened == START + 30 * HOUR + FIVE_MINUTES
    (brief,) = of(opened, BRIEF)
    assert brief.opened == START + 50 * HOUR + FIVE_MINUTES
    assert len(opened) == 4


async def test_a_silence_that_comes_back_is_told_again_in_its_incident(evaluations: Evaluations) -> None:
    properties = rule_properties(RULES["silent-export"])
    (back,) = of(incidents(properties, alerts(properties, evaluations)), BACK)
    assert {START + hour * HOUR + FIVE_MINUTES for hour in (4, 20)} <= {alert.time for alert in back.alerts}


async def test_who_is_well_makes_none(evaluations: Evaluations) -> None:
    properties = rule_properties(RULES["silent-export"])
    assert of(incidents(properties, alerts(properties, evaluations)), WELL) == []


async def test_suppression_would_hide_the_second_cause(evaluations: Evaluations) -> None:
    """It stops the whole rule, so that a silence of an hour is never told: why it is off."""
    properties = deepcopy(rule_properties(RULES["silent-export"]))
    assert not properties["suppressionEnabled"]
    properties |= {"suppressionEnabled": True, "suppressionDuration": "PT24H"}
    opened = incidents(properties, alerts(properties, evaluations))
    assert of(opened, BRIEF) == []


async def test_each_setting_of_the_grouping_counts(evaluations: Evaluations) -> None:
    def opened(**changed: Any) -> int:
        properties = deepcopy(rule_properties(RULES["silent-export"]))
        properties["incidentConfiguration"]["groupingConfiguration"] |= changed
        return len(incidents(properties, alerts(properties, evaluations)))

    raised = len(alerts(rule_properties(RULES["silent-export"]), evaluations))
    assert opened(matchingMethod="AnyAlert") == 1
    assert opened() == 4
    assert 4 < opened(lookbackDuration="PT5H") < opened(enabled=False) == raised


async def test_an_incident_that_is_closed_while_the_cause_lasts_comes_back_with_the_morning(
    evaluations: Evaluations,
) -> None:
    """The Defender portal opens nothing again, so a new alert makes a new incident: one a day, not one an hour."""
    properties = rule_properties(RULES["silent-export"])
    closed_at = START + 6 * HOUR
    raised = [alert for alert in alerts(properties, evaluations) if LONG in str(alert.key)]
    before = incidents(properties, [alert for alert in raised if alert.time < closed_at])
    for incident in before:
        incident.closed = closed_at
    after = incidents(properties, [alert for alert in raised if alert.time >= closed_at])
    assert len(before) == len(after) == 1
    assert after[0].opened.hour == 6


async def told(name: str, rows: list[Planted], hours: range) -> list[Incident]:
    """The incidents of a rule's hourly runs."""
    rule = RULES[name]
    properties = rule_properties(rule)
    async with Workspace() as opened:
        await plant(opened, rows, START)
        times = [START + hour * HOUR + FIVE_MINUTES for hour in hours]
        answers = [(time, await ask(opened, for_instance(rule), time, window_of(rule))) for time in times]
    return incidents(properties, alerts(properties, answers))


async def test_a_guard_that_holds_for_a_day_makes_one_incident_and_another_guard_a_second() -> None:
    """The text of the guard counts what it holds, which changes from run to run; the cause does not."""
    quarter = HOUR / 4
    rows = []
    for number in range(4 * 23):
        guard = f"{number} deletes are more than MAX_DELETES allows (3)"
        if number >= 4 * 15:
            guard = f"{number} repairs are more than MAX_CHANGE_PERCENT allows (25 %)"
        rows.append(run(-number * quarter, Guard=guard if number >= 4 else ""))
    opened = await told("updates-held-back", rows, range(0, 23, 2))
    assert [incident.key[-1] for incident in opened] == [("MAX_DELETES",), ("MAX_CHANGE_PERCENT",)]
    assert len(opened[0].alerts) <= 3


async def test_an_export_that_is_fought_over_for_a_day_makes_one_incident() -> None:
    rows = [run(-hour * HOUR, Updated=1) for hour in range(30)]
    (incident,) = await told("export-fought-over", rows, range(30))
    assert incident.opened == START + 2 * HOUR + FIVE_MINUTES
    assert len(incident.alerts) <= 5


def row(subscription: str) -> dict[str, Any]:
    columns = ("Kinds", "Reasons", "LastSeen", "SubscriptionName")
    own = {"SubscriptionResourceId": subscription, "Application": "Defender Export", "InstanceId": "prod"}
    return own | dict.fromkeys(columns, "x")


async def test_more_results_than_a_run_has_alerts_are_summed_up_in_the_last() -> None:
    properties = rule_properties(RULES["silent-export"])
    many = [row(f"/subscriptions/{number}") for number in range(MOST_ALERTS_OF_A_RUN + 50)]
    raised = alerts(properties, [(START, many)])
    assert len(raised) == MOST_ALERTS_OF_A_RUN
    assert len(raised[-1].rows) == len(many)
    assert len(incidents(properties, raised)) == MOST_ALERTS_OF_A_RUN


async def test_an_incident_that_is_full_is_followed_by_another() -> None:
    properties = rule_properties(RULES["silent-export"])
    hourly = [(START + hour * HOUR, [row("/subscriptions/one")]) for hour in range(MOST_ALERTS_OF_AN_INCIDENT + 10)]
    opened = incidents(properties, alerts(properties, hourly))
    assert [len(incident.alerts) for incident in opened] == [MOST_ALERTS_OF_AN_INCIDENT, 10]


@pytest.mark.parametrize("name", RULES)
async def test_a_rule_of_the_level_can_not_fill_an_incident_within_its_lookback(name: str) -> None:
    """Alerts come when a cause is new (twice or three times) and once a day: far below the limit of an incident."""
    grouping = rule_properties(RULES[name])["incidentConfiguration"]["groupingConfiguration"]
    days = duration(grouping["lookbackDuration"]) / timedelta(days=1)
    assert days <= 7
    assert grouping["enabled"]
    assert grouping["groupByEntities"] or grouping["groupByCustomDetails"]


async def test_a_silence_that_is_muted_is_told_by_the_first_run_from_its_end_on() -> None:
    """Silent since hour 2, muted from hour 10 to half past 20: told until then, then not, then as if it were new."""
    rule, end = RULES["silent-export"], START + 20.5 * HOUR
    rows = [
        check(
            -hour * HOUR,
            SubscriptionId=LONG,
            Verdict="silent" if hour >= 2 else "fresh",
            MutedUntil=end if 10 <= hour <= 20 else None,
        )
        for hour in range(26)
    ]
    async with Workspace() as opened:
        await plant(opened, rows, START)
        told = {}
        for hour in range(2, 26):
            time = START + hour * HOUR + FIVE_MINUTES
            told[hour] = len(await ask(opened, for_instance(rule), time, window_of(rule)))
        assert told[2] == 1
        assert not any(told[hour] for hour in range(10, 21))
        assert told[21] == 1
        last = [row for row in rows if -row.age <= 20 * HOUR]  # no check since: the run itself finds that it is over
    async with Workspace() as opened:
        await plant(opened, last, START)
        assert await ask(opened, for_instance(rule), end - timedelta(seconds=1), window_of(rule)) == []
        assert len(await ask(opened, for_instance(rule), end, window_of(rule))) == 1


async def test_repairs_that_are_muted_are_told_by_the_first_run_from_the_end_on() -> None:
    rule, end = RULES["export-fought-over"], START + 20.5 * HOUR
    repairs = [run(-hour * HOUR, Updated=1, MutedUntil=end) for hour in (14, 16, 18)]
    async with Workspace() as opened:
        await plant(opened, repairs, START)
        assert await ask(opened, for_instance(rule), end - timedelta(seconds=1), window_of(rule)) == []
        for later in (timedelta(), HOUR):
            assert len(await ask(opened, for_instance(rule), end + later, window_of(rule))) == 1
        old = [run(-hour * HOUR, Updated=1) for hour in (14, 16, 18)]
    async with Workspace() as opened:
        await plant(opened, old, START)
        assert await ask(opened, for_instance(rule), end, window_of(rule)) == []  # told while it was new
