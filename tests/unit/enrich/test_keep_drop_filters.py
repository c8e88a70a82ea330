"""Cost filters speak the exports' rule-set language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.enrich.invocation.parser_factory import enrich_problems, parser
from shared.settings import Settings
from tests.unit.enrich.builders import NOW, alert, assessment, enrichment, event

HEALTHY_SNAPSHOTS = [
    {
        "eventSource": "AssessmentsSnapshot",
        "ruleSets": [
            {
                "rules": [
                    {
                        "propertyJPath": "properties.status.code",
                        "propertyType": "String",
                        "expectedValue": "Healthy",
                        "operator": "Equals",
                    }
                ]
            }
        ],
    }
]
HIGH_ALERTS = [
    {
        "eventSource": "Alerts",
        "ruleSets": [
            {
                "rules": [
                    {
                        "propertyJPath": "Severity",
                        "propertyType": "String",
                        "expectedValue": "high",
                        "operator": "Equals",
                    }
                ]
            }
        ],
    }
]


def kept(record: Any, **env: str) -> bool:
    parsed = parser(Settings.load(env)).parse([event(record)], NOW)
    assert len(parsed.rows) + parsed.dropped.total() == 1
    return bool(parsed.rows)


def state(code: str, *, snapshot: bool) -> dict[str, Any]:
    record = assessment(status={"code": code}) | enrichment(snapshot=snapshot)
    record.pop("assessmentEventDataEnrichment")
    return record


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (state("Healthy", snapshot=True), False),
        (state("Unhealthy", snapshot=True), True),
        (state("Healthy", snapshot=False), True),
        (alert(), True),
    ],
)
def test_drop(record: Any, expected: bool) -> None:
    assert kept(record, DROP_RECORDS=json.dumps(HEALTHY_SNAPSHOTS)) == expected


@pytest.mark.parametrize(
    ("record", "expected"), [(alert(), True), (alert(Severity="Low"), False), (assessment(), True)]
)
def test_keep_limits_the_kinds_that_it_names(record: Any, expected: bool) -> None:
    assert kept(record, KEEP_RECORDS=json.dumps(HIGH_ALERTS)) == expected


@pytest.mark.parametrize("text", ["not json", '{"eventSource": 1}', '[{"ruleSets": 3}]'])
def test_a_wrong_filter_keeps_all_and_is_named(text: str) -> None:
    assert kept(assessment(), DROP_RECORDS=text)
    settings = Settings.load({"DROP_RECORDS": text})
    assert {**enrich_problems(settings), **settings.problems}.keys() == {"DROP_RECORDS"}


def of(source: str, *rules: tuple[str, str, str]) -> str:
    parts = [
        {"propertyJPath": path, "propertyType": "String", "operator": operator, "expectedValue": value}
        for path, operator, value in rules
    ]
    return json.dumps([{"eventSource": source, "ruleSets": [{"rules": parts}] if parts else []}])


def nested(**properties: Any) -> dict[str, Any]:
    """An alert as Resource Graph and the API have it."""
    place = "/subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.Security/locations/westeurope"
    return {
        "id": f"{place}/alerts/a1",
        "name": "a1",
        "type": "Microsoft.Security/Locations/alerts",
        "properties": {"severity": "High", "status": "Active", "alertType": "T", **properties},
    }


HIGH = ("Severity", "Equals", "High")


@pytest.mark.parametrize(
    "record",
    [
        nested(),
        nested(systemAlertId=None),
        nested() | {"type": "/microsoft.security/locations/alerts/"},
        alert() | {"SystemAlertId": None, "Type": "Microsoft.Security/locations/alerts"},
        {name.upper(): value for name, value in alert().items()},
    ],
)
@pytest.mark.parametrize(
    ("rules", "met"),
    [
        ((), True),
        ((HIGH,), True),
        ((("$.Severity", "Equals", "high"),), True),
        ((("type", "Contains", "Microsoft.Security/locations/alerts"), HIGH), True),
        ((("Severity", "Equals", "Low"),), False),
        ((("Severity", "NotEquals", "High"),), False),
    ],
)
def test_a_filter_sees_a_record_as_it_was_read(record: Any, rules: Any, met: bool) -> None:
    assert kept(record, KEEP_RECORDS=of("Alerts", *rules)) == met
    assert kept(record, DROP_RECORDS=of("Alerts", *rules)) != met


def test_a_filter_sees_the_status_that_exported_events_bear() -> None:
    assert kept(nested(), KEEP_RECORDS=of("Alerts", ("Status", "Equals", "New")))
    assert kept(nested(status="active"), KEEP_RECORDS=of("Alerts", ("Status", "Equals", "New")))
    assert not kept(nested(status="Resolved"), KEEP_RECORDS=of("Alerts", ("Status", "Equals", "New")))
    assert not kept(nested(status={"code": 7}), KEEP_RECORDS=of("Alerts", ("Status", "Equals", "New")))


def test_an_attack_path_of_resource_graph_is_seen_as_the_exported_one() -> None:
    place = "/subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.Security/attackPaths/p"
    record = {"id": place, "type": "microsoft.security/attackpaths", "properties": {"riskLevel": "High"}}
    high = of("AttackPaths", ("attackPath.riskLevel", "Equals", "High"))
    assert kept(record, KEEP_RECORDS=high)
    assert not kept(record, DROP_RECORDS=high)


def test_a_severity_that_stands_elsewhere_is_the_rows_severity() -> None:
    record = state("Unhealthy", snapshot=False)
    record["properties"].pop("metadata", None)
    record["properties"]["status"]["severity"] = "High"
    high = ("properties.metadata.severity", "Equals", "High")
    assert kept(record, KEEP_RECORDS=of("Assessments", high))


def test_a_record_that_does_not_say_whether_it_is_of_a_snapshot_is_never_lost_for_it() -> None:
    record = state("Healthy", snapshot=True)
    record.pop("securityEventDataEnrichment")
    assert kept(record, KEEP_RECORDS=of("AssessmentsSnapshot"))
    assert kept(record, KEEP_RECORDS=of("Assessments"))
    assert kept(record, DROP_RECORDS=of("AssessmentsSnapshot"))


WRONG = [
    ("Alerts", ("properties.metadata.severity", "Equals", "High")),
    ("Alerts", ("properties.severity", "Equals", "High")),
    ("Alerts", ("Severity", "Equal", "High")),
    ("Alerts", ("Severity", "GreaterThan", "Low")),
    ("Alert", HIGH),
    ("AlertsSnapshot", HIGH),
    ("", HIGH),
]


@pytest.mark.parametrize("name", ["KEEP_RECORDS", "DROP_RECORDS"])
@pytest.mark.parametrize(("source", "rule"), WRONG)
def test_a_filter_that_the_linter_of_exports_finds_wrong_keeps_all_and_is_named(
    name: str, source: str, rule: tuple[str, str, str]
) -> None:
    text = of(source, rule)
    assert kept(alert(), **{name: text})
    assert kept(alert(Severity="Low"), **{name: text})
    (said,) = enrich_problems(Settings.load({name: text})).values()
    assert said.startswith(f"{name}: sources[0]")
    assert "all records are kept" in said


def test_what_the_linter_doubts_is_named_and_applied() -> None:
    text = of("Alerts", ("SeverityOfNextYear", "Equals", "High"))
    assert not kept(alert(), KEEP_RECORDS=text)
    assert "KEEP_RECORDS" in enrich_problems(Settings.load({"KEEP_RECORDS": text}))
    findings_alone = of("SubAssessments")
    assert enrich_problems(Settings.load({"KEEP_RECORDS": findings_alone})) == {}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("RecordKey", "RecordKey can't be dropped"),
        ("Raw, EnqueuedTime,TimeGenerated", "EnqueuedTime, TimeGenerated can't be dropped"),
        ("Rawr", "no table has a column Rawr"),
        ("recordkey", "no table has a column recordkey"),
    ],
)
def test_columns_that_no_row_can_do_without_stay(columns: str, said: str) -> None:
    settings = Settings.load({"DROP_COLUMNS": columns})
    assert said in enrich_problems(settings)["DROP_COLUMNS"]
    (row,) = parser(settings).parse([event(alert())], NOW).rows
    assert {"RecordKey", "EnqueuedTime", "TimeGenerated"} <= json.loads(row.json).keys()


def test_other_columns_can_be_left_out() -> None:
    assert enrich_problems(Settings.load({"DROP_COLUMNS": "Raw,Description"})) == {}
