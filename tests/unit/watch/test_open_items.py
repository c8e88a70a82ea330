"""A run speaks for what it looked at, and for nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.watch.open_items import known_destinations, open_items

A, B, C = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
ABOVE = {A: ["prod", "root"], B: ["test", "root"], C: ["prod", "root"]}


def item(subscription: str, export: str = "alerts", action: str = "blocked") -> dict[str, str]:
    name = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Security/automations/{export}"
    return {"id": name, "export": export, "action": action}


def run(*items: Mapping[str, str], scope: Mapping[str, Sequence[str]] | None = None, **members: Any) -> dict[str, Any]:
    sound = {"outcome": "Blocked", "trigger": "timer", "complete": True, "scope": scope or {}, "items": list(items)}
    return {**sound, **members}


DRIFTED = item(A, action="update")
WHOLE = run(item(A), item(B), item(C, "scores"))


@pytest.mark.parametrize(
    ("newer", "left"),
    [
        (run(scope={"subscriptions": [A]}), [item(B), item(C, "scores")]),
        (run(scope={"subscriptions": [A.upper()]}), [item(B), item(C, "scores")]),
        (run(DRIFTED, scope={"subscriptions": [A]}), [DRIFTED, item(B), item(C, "scores")]),
        (run(scope={"managementGroups": ["Prod"]}), [item(B)]),
        (run(scope={"managementGroups": ["none"]}), [item(A), item(B), item(C, "scores")]),
        (run(scope={"exports": ["alerts"]}), [item(C, "scores")]),
        (run(scope={"exports": ["alerts"], "subscriptions": [A]}), [item(B), item(C, "scores")]),
        (run(scope={"subscriptions": [B], "managementGroups": ["prod"]}), []),
        (run(), []),
        (run(outcome="Failed"), [item(A), item(B), item(C, "scores")]),
        (run(outcome="Running"), [item(A), item(B), item(C, "scores")]),
        (run(outcome="Skipped"), [item(A), item(B), item(C, "scores")]),
        (run(outcome="Unreadable"), [item(A), item(B), item(C, "scores")]),
        (run(trigger="cli"), [item(A), item(B), item(C, "scores")]),
        (run(asked={"claim": True}, outcome="Succeeded"), [item(A), item(B), item(C, "scores")]),
        (run(complete=False), [item(A), item(B), item(C, "scores")]),
        (run(item(B, action="update"), complete=False), [item(B, action="update"), item(A), item(C, "scores")]),
    ],
)  # fmt: skip
def test_a_newer_run_takes_the_place_of_what_it_looked_at(newer: dict[str, Any], left: list[Any]) -> None:
    assert open_items([newer, WHOLE, run(item(A, "older"))], ABOVE) == left


def test_narrowed_runs_lie_over_one_another_the_newest_first() -> None:
    found = open_items(
        [
            run(scope={"subscriptions": [A]}),
            run(item(A), item(B, action="update"), scope={"subscriptions": [A, B]}),
            WHOLE,
        ],
        ABOVE,
    )
    assert found == [item(B, action="update"), item(C, "scores")]


def test_reports_without_a_scope_are_those_of_earlier_releases() -> None:
    old = {name: value for name, value in WHOLE.items() if name != "scope"}
    assert open_items([old, run(item(A, "older"))], ABOVE) == old["items"]


def test_where_no_run_saw_all_what_each_saw_is_told() -> None:
    assert open_items([run(item(A), scope={"subscriptions": [A]})], ABOVE) == [item(A)]
    assert open_items([], ABOVE) == []


HUB, OTHER = "/subscriptions/a/hubs/Soc", "/subscriptions/a/hubs/other"


def known(place: str, state: str, *exports: str, reasons: Sequence[str] = (), verify: bool = True) -> dict[str, Any]:
    return {"id": place, "state": state, "reasons": list(reasons), "exports": list(exports), "verify": verify}


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        ([], []),
        ([[known(HUB, "ready", "a")]], [known(HUB, "ready", "a")]),
        # A run that looked at nothing else leaves what an earlier one said of it.
        (
            [[known(HUB.upper(), "ready", "a")], [known(HUB, "broken", "a", "b", reasons=["gone"])]],
            [known(HUB.upper(), "broken", "b", reasons=["gone"]), known(HUB.upper(), "ready", "a")],
        ),
        ([[], [known(OTHER, "ready", "b")]], [known(OTHER, "ready", "b")]),
        (
            [[known(HUB, "unverified", "a"), known(HUB, "unverified", "b", verify=False)]],
            [known(HUB, "unverified", "a"), known(HUB, "unverified", "b", verify=False)],
        ),
    ],
)
def test_a_destination_is_as_the_newest_run_that_looked_at_it_says(
    newest_first: list[list[dict[str, Any]]], expected: list[dict[str, Any]]
) -> None:
    found = known_destinations(run(destinations=each) for each in newest_first)
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_a_report_of_before_destinations_says_nothing_of_them() -> None:
    assert known_destinations([run()]) == []
