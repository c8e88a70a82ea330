"""`doctor` names the cause, and not what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from shared.cli.doctor import Fault, _tells_of_all, faults_of, without_consequences


def about(*names: str) -> list[str]:
    return [fault.about for fault in without_consequences([Fault(name, "x") for name in names])]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (["lastRun", "stored", "storage"], ["storage"]),
        (["deadLetters", "ingestion"], ["ingestion"]),
        (["freshness", "eventHub"], ["eventHub"]),
        (["inForce", "lastRun"], ["lastRun"]),
        (["storage", "ingestion", "identity"], ["identity"]),
        (["exports", "settings"], ["settings", "exports"]),
        (["deadLetters", "freshness", "inForce"], ["inForce", "freshness", "deadLetters"]),
        (["a check of a later release", "settings"], ["settings", "a check of a later release"]),
        ([], []),
    ],
)
def test_one_cause_is_told_once_and_first(seen: list[str], told: list[str]) -> None:
    assert about(*seen) == told


def test_every_fault_has_a_mend() -> None:
    checks = [{"name": name, "ok": False, "detail": "x"} for name in ("settings", "identity", "unheard-of")]
    assert [bool(fault.mend) for fault in faults_of(checks)] == [True] * 3


@pytest.mark.parametrize(
    ("members", "tells"),
    [
        ({}, True),
        ({"outcome": "Unreadable"}, True),
        ({"trigger": "cli"}, False),
        ({"asked": {"claim": True}}, False),
        ({"scope": {"exports": ["soc"]}}, False),
        ({"outcome": "Running"}, False),
        ({"outcome": "Skipped"}, False),
    ],
)
def test_what_is_in_force_is_told_by_a_run_of_the_app_that_looked_at_all(members: dict[str, Any], tells: bool) -> None:
    run = {"outcome": "Succeeded", "trigger": "timer", "scope": {}, "asked": {"claim": False}}
    assert _tells_of_all({**run, **members}) is tells
