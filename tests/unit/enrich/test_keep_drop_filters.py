"""Cost filters speak the exports' rule-set language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.enrich.invocation.parser_factory import filter_problems, parser
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
    assert {**filter_problems(settings), **settings.problems}.keys() == {"DROP_RECORDS"}
