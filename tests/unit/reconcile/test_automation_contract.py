"""Only what the contract lets be written is sent."""

from typing import Any

import pytest

from shared.reconcile.arm.automation_contract import writable
from tests.unit.reconcile.bodies import HUB, body, rule, rule_set


def test_a_body_of_the_contract_goes_as_it_is() -> None:
    assert writable(body()) == body()


def test_what_azure_adds_to_its_answers_stays_behind_at_every_depth() -> None:
    noisy = body(
        metadata={"createdBy": "someone"},
        scopes=[{"description": "d", "scopePath": "/subscriptions/x", "note": 1}],
        sources=[
            {"eventSource": "Alerts", "ruleSets": [rule_set(rule()) | {"id": 1}], "note": 1},
            {"eventSource": "SecureScores", "ruleSets": None},
        ],
        actions=[
            {"actionType": "EventHub", "eventHubResourceId": HUB, "sasPolicyName": "r", "connectionString": "c", "x": 1}
        ],
    )
    sent = writable({**noisy, "id": "x", "systemData": {}, "etag": '"1"'})
    assert sent == {
        **body(
            scopes=[{"description": "d", "scopePath": "/subscriptions/x"}],
            sources=[
                {"eventSource": "Alerts", "ruleSets": [rule_set(rule())]},
                {"eventSource": "SecureScores", "ruleSets": None},
            ],
            actions=[{"actionType": "EventHub", "eventHubResourceId": HUB, "connectionString": "c"}],
        ),
        "etag": '"1"',
    }


@pytest.mark.parametrize("odd", [None, {}, "x", [None], [1], [{}]])
def test_lists_of_another_shape_are_no_crash(odd: Any) -> None:
    assert writable(body(actions=odd, sources=odd, scopes=odd))["properties"]["actions"] == odd
