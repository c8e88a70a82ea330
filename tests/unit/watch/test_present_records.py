"""Present records in the form in which continuous export would send them."""

from __future__ import annotations

from typing import Any

import pytest

from shared.exports.evaluator import accepts
from shared.exports.rule_sets import Rule, Source
from shared.watch.present_records import as_exported

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
OPEN_AND_HIGH = Source(
    "Alerts", ((Rule("Severity", "String", "Equals", "High"), Rule("Status", "String", "Equals", "New")),)
)


def row(**properties: Any) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Security/locations/westeurope/alerts/25_aa",
        "name": "25_aa",
        "type": "microsoft.security/locations/alerts",
        "subscriptionId": SUBSCRIPTION,
        "properties": {"systemAlertId": "25_aa", "severity": "High", "alertType": "X", **properties},
    }


@pytest.mark.parametrize(
    ("status", "exported"),
    [("Active", "New"), ("active", "New"), ("ACTIVE", "New"), ("Resolved", "Resolved"), ("InProgress", "InProgress")],
)
def test_an_alert_has_the_status_that_its_event_bears(status: str, exported: str) -> None:
    record = as_exported(row(status=status))
    assert record["Status"] == exported
    assert accepts(OPEN_AND_HIGH, record) == (exported == "New")


@pytest.mark.parametrize("status", [None, 7, [], {"code": "Active"}], ids=str)
def test_a_status_of_another_shape_stays_as_it_is(status: Any) -> None:
    assert as_exported(row(status=status))["Status"] == status


@pytest.mark.parametrize("properties", [None, "text", [1], 0], ids=str)
def test_a_row_without_properties_is_a_record_all_the_same(properties: Any) -> None:
    record = as_exported({**row(), "properties": properties})
    assert record["SystemAlertId"] == "25_aa"
    assert record["AzureResourceId"] == f"/subscriptions/{SUBSCRIPTION}"
