"""What the local Azure takes of an automation, beside what the app sends and what others have sent."""

from __future__ import annotations

from typing import Any

import pytest

from local.arm.contract import V2023, problems
from shared.exports.automation_linter import lint_actions
from shared.exports.rule_sets import in_digits, read

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
NAMESPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ns-security"


def properties(hub: str = f"{NAMESPACE}/eventhubs/hub", **rule: str) -> dict[str, Any]:
    return {
        "description": "",
        "isEnabled": True,
        "scopes": [{"description": "", "scopePath": f"/subscriptions/{SUBSCRIPTION}"}],
        "sources": [{"eventSource": "SecureScores", "ruleSets": [{"rules": [rule]}] if rule else None}],
        "actions": [{"actionType": "EventHub", "eventHubResourceId": hub, "isTrustedServiceEnabled": True}],
    }


def test_a_namespace_is_taken_as_azure_did_and_the_linter_calls_it_broken() -> None:
    given = properties(NAMESPACE)
    assert problems(given, SUBSCRIPTION, V2023) == []
    assert [one.code for one in lint_actions(given, "")] == ["not-a-hub"]


@pytest.mark.parametrize("kind", ["Integer", "Number"])
@pytest.mark.parametrize(
    "written", ["5.0", "5", "1e3", "1e-5", "0.00001", "-0.0", "+7", " 8 ", ".5", "5.", "1E+2", "\u0665"]
)
def test_each_number_that_a_file_may_say_is_taken(kind: str, written: str) -> None:
    rule = {"propertyJPath": "x", "propertyType": kind, "operator": "Equals", "expectedValue": in_digits(kind, written)}
    assert (problems(properties(**rule), SUBSCRIPTION, V2023) == []) == (read(kind, written) is not None)
