"""What a deed that was cut off is judged by, and how deeds are noted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.audit.deed import DELETE, DONE, PUT, Deed, Origin, origin, read_deed, working_from
from shared.enrich.tables import BY_NAME
from shared.exports.noted_writes import was_done
from shared.jobs.job_deeds import deed_of, origin_of
from shared.jobs.model import Job
from shared.reconcile.report.run_deeds import lifting_deed
from shared.reconcile.report.run_report import Caller, Report
from shared.stored_format import KeptAsIs

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
JOB = Job("1-2", "reconcile", {}, "entra:a", NOW)


def deed(kind: str, replaces: int, leaves: int = 0, minute: int = 0, outcome: str = "Intended") -> Deed:
    marks = {"replaces": replaces, "leaves": leaves}
    return Deed(kind, "one", "entra:a", NOW + timedelta(minutes=minute), id=str(minute), marks=marks, outcome=outcome)


@pytest.mark.parametrize(
    ("mine", "others", "now", "done"),
    [
        (deed(PUT, 0, 5), [], 5, True),
        (deed(PUT, 0, 5), [], 0, False),
        (deed(PUT, 4, 5), [], 4, False),
        (deed(PUT, 4, 5), [], 9, None),  # somebody wrote without a note
        (deed(PUT, 4, 5), [deed(PUT, 5, 6, 1)], 6, True),
        (deed(PUT, 4, 5), [deed(PUT, 4, 6, -1)], 6, False),
        (deed(PUT, 4, 5), [deed(PUT, 4, 6, 1)], 6, False),
        (deed(PUT, 4, 5), [deed(DELETE, 5, 0, 1)], 0, True),
        (deed(PUT, 4, 5), [deed(DELETE, 4, 0, 1, DONE)], 0, False),
        (deed(PUT, 0, 5), [deed(PUT, 0, 6, 1)], 6, False),
        (deed(PUT, 0, 5), [deed(PUT, 5, 6, 1), deed(DELETE, 6, 0, 2)], 0, True),
        (deed(DELETE, 4), [], 0, True),
        (deed(DELETE, 4), [], 4, False),
        (deed(DELETE, 4), [], 9, None),
        (deed(DELETE, 4), [deed(PUT, 0, 6, 1)], 6, True),
        (deed(DELETE, 4), [deed(PUT, 4, 6, 1)], 6, False),
        (deed(DELETE, 4), [deed(PUT, 4, 6, 1)], 0, True),  # refused, for the file was gone
        (deed(DELETE, 4), [deed(DELETE, 4, 0, 1, DONE)], 0, False),
        (deed(DELETE, 4), [deed(DELETE, 4, 0, 1)], 0, None),  # one of the two
        (deed(DELETE, -1), [], -1, False),
    ],
)
def test_a_deed_is_judged_by_what_is_there_and_what_others_replaced(
    mine: Deed, others: list[Deed], now: int, done: bool | None
) -> None:
    assert was_done(mine, others, now) is done


def test_a_note_is_read_as_it_was_written() -> None:
    with working_from(Origin("api", "203.0.113.7", "curl-8")):
        noted = Deed.now(PUT, "one", "entra:a", before="a", after="b", marks={"leaves": 1}, details={"why": "x"})
    assert read_deed(json.dumps(noted.as_document()).encode()) == noted
    assert (noted.channel, noted.address, noted.agent) == ("api", "203.0.113.7", "curl-8")
    assert origin().channel == "direct"


@pytest.mark.parametrize(
    "wrong",
    [{"format": 2}, {"at": "yesterday"}, {"at": None}, {"id": ""}, {"deed": 5}, {"marks": []}, {"details": "x"}],
)
def test_a_note_that_can_not_be_read_is_kept(wrong: dict[str, Any]) -> None:
    document = Deed.now(PUT, "one", "entra:a").as_document() | wrong
    with pytest.raises(KeptAsIs):
        read_deed(json.dumps(document).encode())


def test_a_row_has_the_columns_of_its_table() -> None:
    columns = {column.name for column in BY_NAME["DefenderExportAudit_CL"].columns}
    assert set(deed(PUT, 0, 1).as_row("prod", NOW)) == columns


@pytest.mark.parametrize(
    ("kind", "arguments", "expected"),
    [
        ("reconcile", {}, None),
        ("reconcile", {"subscriptions": ["a"]}, None),
        ("reconcile", {"maxDeletes": 0}, "LiftGuard"),
        ("reconcile", {"acceptFewer": True}, "LiftGuard"),
        ("reconcile", {"causes": ["release"]}, "LiftGuard"),
        ("plan", {"maxDeletes": 5}, None),
        ("accept", {}, "AcceptStore"),
        ("claim", {}, "ClaimAutomations"),
        ("discard", {"name": "x"}, None),  # noted when it is done
    ],
)
def test_a_job_is_a_deed_where_it_lifts_a_guard(kind: str, arguments: dict[str, Any], expected: str | None) -> None:
    found = deed_of(replace(JOB, kind=kind, arguments=arguments))
    assert (found.deed if found else None) == expected


def test_a_job_of_an_earlier_release_does_not_say_from_where_it_was_asked_for() -> None:
    assert origin_of(JOB) == Origin("", "", "")


@pytest.mark.parametrize(
    ("trigger", "asked", "expected"),
    [
        ("cli", {}, None),
        ("cli", {"subscriptions": ["a"], "managementGroups": ["b"], "exports": ["c"]}, None),
        ("cli", {"accept_fewer": False, "causes": [], "claim": False}, None),
        ("cli", {"max_deletes": 0}, "LiftGuard"),
        ("cli", {"max_change_percent": 100, "subscriptions": ["a"]}, "LiftGuard"),
        ("cli", {"causes": ["release"]}, "LiftGuard"),
        ("cli", {"claim": True, "formerInstance": "old"}, "ClaimAutomations"),
        ("job", {"claim": True}, None),  # noted with the job
        ("timer", {"max_deletes": 5}, None),  # of a plan that was approved: noted with the approval
    ],
)
def test_a_run_of_a_terminal_is_a_deed_where_it_lifts_a_guard(
    trigger: str, asked: dict[str, Any], expected: str | None
) -> None:
    report = Report("20261127T120000000000Z-0", "prod", Caller(trigger, "cli me"), "apply", NOW, NOW, asked=asked)
    found = lifting_deed(report)
    assert (found.deed if found else None) == expected
    if found:
        assert (found.actor, found.target, found.outcome) == ("cli:me", f"run {report.run_id}", DONE)
