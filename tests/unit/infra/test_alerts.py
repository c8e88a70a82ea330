"""Each alert rule, executed over rows that fire it, rows that do not, and rows that resolve it, in its own window."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from azure.functions.decorators.function_app import Function

from local.streams import ARROW_TYPES
from local.workspace import Workspace
from shared.clock import utc_text
from shared.enrich.tables import TABLES, Column, ColumnType, Table
from tests.app_functions import app_functions
from tools.infra import DATA_FUNCTIONS, SHARED_FUNCTIONS, Query, alerts, function_names, saved_functions, switched_off
from tools.kql import workspace

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OWN = {
    "{InstanceId}": "prod",
    "{Namespace}": "evhns-prod",
    "{Rule}": "dcr-prod",
    "{OwnRule}": "dcr-own-prod",
    "{Insights}": "appi-prod",
}
INSIGHTS = "/subscriptions/s/resourceGroups/rg/providers/microsoft.insights/components/appi-prod"
RULE = "/subscriptions/s/resourceGroups/rg/providers/microsoft.insights/datacollectionrules/dcr-prod"
OWN_RULE = RULE.replace("dcr-prod", "dcr-own-prod")
_WINDOW = {"PT30M": 30, "PT1H": 60, "PT6H": 360, "P1D": 1440, "P2D": 2880}
_TYPES: dict[str, ColumnType] = {
    "string": "string",
    "int": "int",
    "long": "long",
    "real": "real",
    "bool": "boolean",
    "datetime": "datetime",
    "dynamic": "dynamic",
}
_OURS = {table.name for table in TABLES}
AZURES = tuple(
    Table(name, tuple(Column(column, _TYPES[kind], "") for column, kind in columns.items()), name, "")
    for name, columns in workspace().tables.items()
    if name not in _OURS
)
ALERTS = {alert.name: alert for alert in alerts()}


class Row(NamedTuple):
    """A row of a table, so many minutes before the rule is evaluated."""

    table: str
    minutes: float
    values: Mapping[str, Any]


def run(minutes: float = 5, **values: Any) -> Row:
    """A run of the timer's, good in every way but those given."""
    good = {"InstanceId": "prod", "Trigger": "timer", "Mode": "apply", "Outcome": "Succeeded", "Complete": True}
    counts = {"Created": 0, "Updated": 0, "Problems": [], "Scope": {}}
    return Row("DefenderExportRuns_CL", minutes, good | {"Guard": "", "Reason": ""} | counts | values)


def health(minutes: float = 5, **values: Any) -> Row:
    """A verdict on freshness, good in every way but those given."""
    good = {"InstanceId": "prod", "CheckName": "freshness", "Verdict": "fresh", "SubscriptionId": "a"}
    return Row("DefenderExportHealth_CL", minutes, good | {"RecordKind": "Alerts"} | values)


def stored(minutes: float, day: int, verdict: str, **values: Any) -> Row:
    window = {"WindowStart": NOW - timedelta(days=day), "TableName": "DefenderAlerts_CL"}
    return health(minutes, CheckName="stored", Verdict=verdict, **window | values)


def request(minutes: float, name: str, success: bool = True, resource: str = INSIGHTS, function: str = "") -> Row:
    values = {
        "Name": name,
        "Success": success,
        "Properties": {"faas.name": function} if function else {},
        "_ResourceId": resource,
    }
    return Row("AppRequests", minutes, values)


def trace(message: str, minutes: float = 5) -> Row:
    return Row("AppTraces", minutes, {"Message": message, "_ResourceId": INSIGHTS})


def metric(name: str, minutes: float = 5, resource: str = INSIGHTS, **values: Any) -> Row:
    given = {"Name": f"defender_export.{name}", "_ResourceId": resource, "ItemCount": 1, "Properties": {}}
    return Row("AppMetrics", minutes, given | values)


def kept(reason: str, state: str, number: float, minutes: float = 5) -> Row:
    return metric("dead_letters_kept", minutes, Max=number, Properties={"reason": reason, "state": state})


def hub(name: str, total: float, minutes: float = 5, resource: str = "EVHNS-PROD") -> Row:
    values = {"ResourceProvider": "MICROSOFT.EVENTHUB", "Resource": resource, "MetricName": name, "Total": total}
    return Row("AzureMetrics", minutes, values)


def problem(reason: str, subscription: str = "aaaa", status: str = "blocked") -> dict[str, str]:
    path = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Security/automations/x"
    return {"id": path, "export": "soc", "status": status, "reason": reason}


TIMERS = ("reconcile_exports", "retry_dead_letters", "check_freshness", "send_news", "close_gone", "refresh_cves")


def timers(minutes: float = 5, without: str = "") -> list[Row]:
    """Each timer's request, as the host writes it."""
    return [request(minutes, name) for name in TIMERS if name != without]


class Case(NamedTuple):
    """Rows that fire a rule, in how many alerts; rows that do not; rows after the firing ones that resolve it."""

    fires: list[Row]
    alerts: int
    quiet: list[Row]
    resolves: list[Row]


BLOCKED = run(20, Problems=[problem("no role"), problem("locked", "bbbb"), problem("no role", "bbbb", "failed")])
CASES: dict[str, Case] = {
    "blocked-destination": Case(
        [BLOCKED, run(5, Outcome="Skipped"), run(3, Trigger="cli")],
        3,
        [
            run(Problems=[problem("the subscription is warned, and so read-only")]),
            run(InstanceId="other", Problems=[problem("no role")]),
            run(3000, Problems=[problem("no role")]),
        ],
        [BLOCKED, run(2)],
    ),
    "dead-letters": Case(
        [
            metric("dead_letters", Sum=2.0, Properties={"reason": "refused"}),
            metric("dead_letters", Sum=1.0, Properties={"reason": "defect"}),
            # Written hours ago, and still there: nothing is written any more.
            kept("throttled", "waiting", 7.0),
            kept("refused", "parked", 1.0),
        ],
        3,
        [
            metric("dead_letters", Sum=2.0, resource=INSIGHTS + "-other"),
            metric("dead_letters", Sum=0.0),
            metric("rows", Sum=5.0),
            kept("refused", "parked", 0.0),
        ],
        [
            metric("dead_letters", 45, Sum=2.0, Properties={"reason": "refused"}),
            kept("refused", "waiting", 2.0, minutes=25),
            kept("refused", "waiting", 0.0, minutes=5),
        ],
    ),
    "export-fought-over": Case(
        [run(minutes, Updated=1) for minutes in (100, 400, 1000)],
        1,
        [*(run(minutes, Created=1) for minutes in (100, 400, 1000)), run(50, Updated=1), run(60, Updated=3)],
        [run(100, Updated=1), run(400, Updated=1), run(1500, Updated=1)],
    ),
    "function-failures": Case(
        [
            request(5, "EventProcessor.Process", success=False, function="enrich_records"),
            trace("Executed 'Functions.run_job' (Failed, Id=1, Duration=5ms)"),
            request(5, "check_freshness", success=False),
        ],
        3,
        [
            request(5, "EventProcessor.Process", function="enrich_records"),
            request(5, "get_job", success=False),
            trace("Executed 'Functions.run_job' (Succeeded, Id=1, Duration=5ms)"),
            request(5, "run_job", success=False, resource=INSIGHTS + "-other"),
        ],
        [request(40, "run_job", success=False), request(5, "run_job")],
    ),
    "ingestion-errors": Case(
        [
            Row(
                "DCRLogErrors",
                5,
                {"InputStreamId": "Custom-DefenderAlerts_CL", "Message": "bad", "_ResourceId": RULE},
            ),
            Row("AzureMetrics", 5, {"ResourceId": RULE, "MetricName": "RowsDropped_Count", "Total": 2.0}),
            Row(
                "DCRLogErrors",
                5,
                {"InputStreamId": "Custom-DefenderExportRuns_CL", "Message": "bad", "_ResourceId": OWN_RULE},
            ),
        ],
        3,
        [
            Row("AzureMetrics", 5, {"ResourceId": RULE, "MetricName": "RowsDropped_Count", "Total": 0.0}),
            Row("AzureMetrics", 5, {"ResourceId": RULE, "MetricName": "RowsReceived_Count", "Total": 9.0}),
            Row("AzureMetrics", 5, {"ResourceId": RULE + "2", "MetricName": "RowsDropped_Count", "Total": 9.0}),
        ],
        [Row("AzureMetrics", 40, {"ResourceId": RULE, "MetricName": "RowsDropped_Count", "Total": 2.0})],
    ),
    "lag": Case(
        [
            # Three hours late, which a rule over the rows' own times could not see; one alert a partition.
            metric("lag", Max=10800.0, Properties={"partition": "0"}),
            metric("lag", Max=901.0, Properties={"partition": "1"}),
            hub("IncomingMessages", 10.0),
            hub("OutgoingMessages", 0.0),
        ],
        3,
        [
            metric("lag", Max=899.0, Properties={"partition": "0"}),
            metric("lag", Max=5000.0, resource=INSIGHTS + "-other"),
            hub("IncomingMessages", 10.0),
            hub("OutgoingMessages", 1.0),
            hub("IncomingMessages", 9.0, resource="evhns-other"),
        ],
        [
            metric("lag", 20, Max=10800.0, Properties={"partition": "0"}),
            metric("lag", 2, Max=3.0, Properties={"partition": "0"}),
        ],
    ),
    "reconcile-not-running": Case(
        [run(30, Outcome="Skipped"), run(40, Trigger="cli"), run(10, InstanceId="other"), run(370)],
        1,
        [run(350, Outcome="Failed")],
        [run(370), run(5)],
    ),
    "service-level": Case(
        [  # 15 of 1,000 where 1 % may be late would pass; 15 % do not
            metric("late", 50, Sum=100.0),
            metric("late", 5, Sum=50.0),
            metric("late_allowed", 50, Sum=6.0),
            metric("late_allowed", 5, Sum=4.0),
        ],
        1,
        [
            metric("late", Sum=140.0),
            metric("late_allowed", Sum=10.0),
            metric("late", Sum=500.0, resource=INSIGHTS + "-other"),
            metric("age", Sum=5000.0),
        ],
        [metric("late", 70, Sum=150.0), metric("late_allowed", 70, Sum=10.0), metric("late_allowed", 5, Sum=4.0)],
    ),
    "notice": Case(
        [
            health(5, CheckName="notice", Verdict="began", Reason="x", Details={"id": "1", "receiver": "boss"}),
            health(4, CheckName="notice", Verdict="ended", Reason="x", Details={"id": "1", "receiver": "boss"}),
            health(3, CheckName="notice", Verdict="digest", Reason="y", Details={"id": "2", "receiver": "boss"}),
        ],
        3,
        [health(), health(5, CheckName="notice", Verdict="began", InstanceId="other", Details={})],
        [health(70, CheckName="notice", Verdict="began", Details={})],
    ),
    "silent-export": Case(
        [
            health(5, Verdict="silent", RecordKind="Alerts", SubscriptionName="one", Reason="x"),
            health(5, Verdict="silent", RecordKind="AttackPaths", SubscriptionName="one", Reason="x"),
            health(5, Verdict="silent", SubscriptionId="b", SubscriptionName="two", Reason="x"),
        ],
        3,
        [
            health(),
            health(5, Verdict="quiet"),
            health(5, Verdict="silent", InstanceId="other"),
            health(70, Verdict="silent", SubscriptionId="no longer expected"),
        ],
        [health(65, Verdict="silent"), health(5)],
    ),
    "stored-less-than-uploaded": Case(
        [stored(20, 1, "missing"), stored(20, 2, "missing"), stored(20, 3, "stored")],
        2,
        [stored(20, 1, "stored"), stored(20, 1, "missing", InstanceId="other")],
        [stored(80, 1, "missing"), stored(20, 1, "stored")],
    ),
    "timer-stopped": Case(
        [*timers(without="check_freshness"), request(370, "check_freshness")],
        1,
        [*timers(without="retry_dead_letters"), request(200, "span", function="retry_dead_letters")],
        [request(500, "reconcile_exports"), *timers()],
    ),
    "updates-held-back": Case(
        [run(20, Guard="MAX_DELETES"), run(5, Outcome="Skipped"), run(4, Trigger="job")],
        1,
        [run(20, Guard="MAX_DELETES", InstanceId="other"), run(5, Trigger="cli", Complete=False)],
        [run(20, Complete=False), run(5)],
    ),
}


async def answer(alert: Query, rows: Iterable[Row], now: datetime = NOW) -> list[dict[str, Any]]:
    """The rows that a rule finds when it is evaluated, over its own window."""
    tables = {table.name: table for table in (*TABLES, *AZURES)}
    text = alert.text
    for name, value in OWN.items():
        text = text.replace(name, value)
    async with Workspace(tables=tables.values()) as opened:
        for row in rows:
            times = {"TimeGenerated": NOW - timedelta(minutes=row.minutes)}
            await opened.append(row.table, lambda row=row, times=times: arrow(tables[row.table], row, times), NOW)  # type: ignore[misc]
        found = await opened.kql(text, (now - timedelta(minutes=_WINDOW[alert.options["Window"]]), now), now)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def arrow(table: Table, row: Row, times: Mapping[str, datetime]) -> pa.Table:
    """A row with every column of its table; what is not given is null."""
    values = {**row.values, **times}
    assert values.keys() <= {column.name for column in table.columns}, row

    def cell(column: Column) -> Any:
        value = values.get(column.name)
        return json.dumps(value) if column.type == "dynamic" and value is not None else value

    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])
    return pa.table({column.name: [cell(column)] for column in table.columns}, schema=schema)


def dimensions(alert: Query) -> list[str]:
    return [name for name in alert.options.get("Dimensions", "").split(", ") if name]


def alerts_of(alert: Query, found: list[dict[str, Any]]) -> int:
    """How many alerts Azure opens: one for each combination of the dimensions' values."""
    return len({tuple(str(row[name]) for name in dimensions(alert)) for row in found})


def test_every_rule_has_its_case() -> None:
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("name", CASES)
async def test_a_rule_fires_once_for_each_that_is_concerned(name: str) -> None:
    found = await answer(ALERTS[name], CASES[name].fires)
    assert alerts_of(ALERTS[name], found) == CASES[name].alerts
    assert len(dimensions(ALERTS[name])) <= 6  # the most that a rule takes


@pytest.mark.parametrize("name", CASES)
async def test_a_rule_keeps_still_otherwise(name: str) -> None:
    assert await answer(ALERTS[name], CASES[name].quiet) == []


@pytest.mark.parametrize("name", CASES)
async def test_a_rule_resolves(name: str) -> None:
    assert await answer(ALERTS[name], CASES[name].resolves) == []


@pytest.mark.parametrize("days", [0.3, 1, 4, 30])
async def test_a_stopped_timer_fires_for_as_long_as_it_is_stopped(days: float) -> None:
    later = NOW + timedelta(days=days)
    for name in ("timer-stopped", "reconcile-not-running"):
        assert await answer(ALERTS[name], [*timers(), run()], later) != []


NARROWED = run(4, Scope={"subscriptions": ["cccc"]})


@pytest.mark.parametrize(
    "newer",
    [
        NARROWED,
        run(4, Scope={"exports": ["other"]}),
        run(4, Trigger="job"),
        run(4, Trigger="cli"),
        run(4, Outcome="Skipped"),
        run(4, Complete=False),
        run(4, Outcome="Failed"),
    ],
    ids=lambda row: str(row.values),
)
async def test_a_run_ends_no_alert_of_what_it_did_not_look_at(newer: Row) -> None:
    blocked = await answer(ALERTS["blocked-destination"], [BLOCKED])
    after = await answer(ALERTS["blocked-destination"], [BLOCKED, newer])
    assert [row for row in after if row["Subscription"]] == blocked
    if newer.values["Complete"]:
        held = run(20, Guard="MAX_DELETES")
        assert len(await answer(ALERTS["updates-held-back"], [held, newer])) == 1


async def test_a_finding_of_a_run_is_raised_until_a_newer_run_does_not_have_it() -> None:
    findings = [{"status": "finding", "reason": reason} for reason in ("soc: no group contosso", "1 can't be seen")]
    partial = run(20, Outcome="Partial", Problems=[*findings, problem("no role")])
    found = await answer(ALERTS["blocked-destination"], [partial])
    assert sorted((row["Subscription"], row["Reason"]) for row in found) == [
        ("", "1 can't be seen"), ("", "soc: no group contosso"), ("aaaa", "no role"),
    ]  # fmt: skip
    mended = await answer(ALERTS["blocked-destination"], [partial, run(4, Problems=findings[:1])])
    assert [row["Reason"] for row in mended] == ["soc: no group contosso"]


async def test_what_an_incomplete_run_saw_anew_takes_the_place_of_what_was_said_before() -> None:
    newer = run(4, Complete=False, Problems=[problem("another reason")])
    found = await answer(ALERTS["blocked-destination"], [BLOCKED, newer])
    assert sorted((row["Subscription"], row["Reason"]) for row in found) == [
        ("aaaa", "another reason"), ("bbbb", "locked"), ("bbbb", "no role"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["blocked-destination", "updates-held-back"])
async def test_a_stopped_timer_does_not_end_an_alert_within_a_day(name: str) -> None:
    rows = [run(20, Guard="MAX_DELETES", Problems=[problem("no role")])]
    assert len(await answer(ALERTS[name], rows, NOW + timedelta(hours=40))) == 1


def _trigger_of(function: Function) -> str:
    trigger = function.get_trigger()
    assert trigger is not None
    return str(trigger.get_binding_name())


async def test_every_function_that_nobody_waits_for_is_watched_for_failures_and_every_timer_for_stops() -> None:
    triggers = {str(each.get_function_name()): _trigger_of(each) for each in app_functions()}
    unattended = {name for name, kind in triggers.items() if kind != "httpTrigger"}
    failed = await answer(ALERTS["function-failures"], [request(5, name, success=False) for name in triggers])
    assert {row["Function"] for row in failed} == unattended
    stopped = await answer(ALERTS["timer-stopped"], [request(2, "get_status")])
    assert {row["Function"] for row in stopped} == {name for name, kind in triggers.items() if kind == "timerTrigger"}


@pytest.mark.parametrize("name", TIMERS)
async def test_one_timer_that_has_stopped_for_four_days_fires_whatever_else_runs(name: str) -> None:
    rows = [request(5760, name), *timers(without=name), request(3, "run_job"), request(2, "get_status"), run()]
    assert [row["Function"] for row in await answer(ALERTS["timer-stopped"], rows)] == [name]


async def test_a_check_that_stopped_does_not_end_its_alert_within_a_day() -> None:
    later = NOW + timedelta(hours=40)
    assert len(await answer(ALERTS["silent-export"], [health(5, Verdict="silent")], later)) == 1


@pytest.mark.parametrize("name", CASES)
async def test_a_rule_that_asks_for_another_case_is_found(name: str) -> None:
    """A query whose comparisons say something else does not return its own case."""
    text = re.sub(r"'\{\w+\}'|'/\{\w+\}'", "'nobody'", ALERTS[name].text)
    broken = Query(name, "", "", text, ALERTS[name].options)
    found = await answer(broken, CASES[name].fires)
    missing = name in {"reconcile-not-running", "timer-stopped"}  # these fire on what is absent
    assert alerts_of(broken, found) > CASES[name].alerts if name == "timer-stopped" else bool(found) == missing


def muted(row: Row, until: datetime) -> Row:
    """The row as it is written while what it tells of is muted."""
    if row.values.get("Problems"):
        problems = [{**each, "mutedUntil": utc_text(until)} for each in row.values["Problems"]]
        return row._replace(values={**row.values, "Problems": problems})
    return row._replace(values={**row.values, "MutedUntil": until})


MUTED = {name: CASES[name] for name in ("silent-export", "stored-less-than-uploaded", "blocked-destination")}
MUTED |= {"export-fought-over": CASES["export-fought-over"]}


@pytest.mark.parametrize("name", MUTED)
async def test_what_is_muted_fires_no_rule_until_the_end_and_fires_at_the_first_evaluation_from_then_on(
    name: str,
) -> None:
    case, end = CASES[name], NOW + timedelta(minutes=30)
    rows = [muted(row, end) for row in case.fires]
    for still in (NOW, end - timedelta(seconds=1)):
        assert await answer(ALERTS[name], rows, still) == []
    assert alerts_of(ALERTS[name], await answer(ALERTS[name], rows, end)) == case.alerts  # no row came meanwhile
    lifted = [*rows, *(row._replace(minutes=row.minutes - 1) for row in case.fires)]
    if name != "export-fought-over":  # there each row counts
        assert alerts_of(ALERTS[name], await answer(ALERTS[name], lifted)) == case.alerts


async def test_of_the_problems_of_a_run_only_those_that_are_muted_are_quiet() -> None:
    quiet = {**problem("no role", "aaaa"), "mutedUntil": utc_text(NOW + timedelta(days=1))}
    found = await answer(ALERTS["blocked-destination"], [run(Problems=[quiet, problem("no role", "bbbb")])])
    assert [row["Subscription"] for row in found] == ["bbbb"]


async def test_guards_and_failed_runs_are_never_muted() -> None:
    later = NOW + timedelta(days=1)
    held = muted(run(20, Guard="MAX_DELETES"), later)
    assert len(await answer(ALERTS["updates-held-back"], [held])) == 1
    failed = muted(run(20, Outcome="Failed", Reason="no role"), later)
    assert len(await answer(ALERTS["blocked-destination"], [failed])) == 1
    only = {alert.name for alert in alerts() if "MutedUntil" in alert.text}
    assert only == set(MUTED)


def test_no_rule_needs_a_saved_function() -> None:
    """A release that is deployed beside another writes its own functions over the other's."""
    names = {query.name for query in saved_functions()}
    assert [alert.name for alert in alerts() if names & set(re.findall(r"\w+", alert.text))] == []


class TestSwitchedOff:
    def test_each_trigger_is_on_in_one_app(self) -> None:
        off = {role: set(settings) for role, settings in switched_off().items()}
        assert off["all"] == set()
        for name in function_names():
            setting = f"AzureWebJobs.{name}.Disabled"
            where = [role for role in ("control", "data") if setting not in off[role]]
            assert where == (
                ["control", "data"] if name in SHARED_FUNCTIONS else ["data"] if name in DATA_FUNCTIONS else ["control"]
            )

    def test_the_names_are_those_of_the_app(self) -> None:
        assert sorted(function_names()) == sorted(str(function.get_function_name()) for function in app_functions())
        assert {*DATA_FUNCTIONS, *SHARED_FUNCTIONS} <= set(function_names())
