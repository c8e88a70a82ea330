"""What an export brings a month, told from its present records: never a figure where nothing tells it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.enrich.records.model import Event, Parsed
from shared.enrich.records.parser import Parser
from shared.jobs.volume import SAMPLE, Volumes, billed_size
from shared.watch.present_records import Sent

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BOTH, STREAM, SNAPSHOT, NEITHER = Sent(True, True), Sent(streamed=True), Sent(in_snapshot=True), Sent()
PARSER = Parser()


def to_rows(records: Sequence[Mapping[str, Any]], at: datetime) -> Parsed:
    return PARSER.parse([Event(json.dumps(record).encode(), at, "", 0) for record in records], at)


def assessment(changed: Any = "2020-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"
        "/providers/Microsoft.Security/assessments/4fb67663-9ab9-475d-b026-8c544cced439",
        "type": "Microsoft.Security/assessments",
        "properties": {"displayName": "Encrypt disks", "status": {"code": "Unhealthy", "statusChangeDate": changed}},
    }


def told(*sources: str, complete: bool = True, **kinds: Sequence[tuple[Mapping[str, Any], Sent]]) -> dict[str, Any]:
    volumes = Volumes(sources, to_rows, NOW)
    for kind, records in kinds.items():
        for record, sent in records:
            volumes.add(kind, record, sent)
    return {each["kind"]: each for each in volumes.told(complete=complete)}


def test_a_snapshot_brings_everything_four_times_a_month() -> None:
    each = told("AssessmentsSnapshot", Assessments=[(assessment(), SNAPSHOT)] * 700 + [(assessment(), NEITHER)] * 300)
    (size,) = {billed_size(row.json) for row in to_rows([assessment()], NOW).rows}
    assert each["Assessments"] == {
        "kind": "Assessments",
        "present": 1_000,
        "sent": 700,
        "changedInThirtyDays": None,
        "rowsAMonth": 3_044,
        "bytesARow": size,
        "gigabytesAMonth": round(700 * 365.25 / 12 / 7 * size / 1e9, 6),
    }


def test_streaming_brings_what_changed_lately_at_least() -> None:
    changed = [(NOW - timedelta(days=days)).isoformat() for days in (0, 1, 29, 31, 400)]
    odd = ["", None, 7, "yesterday", "2026-11-27", "2026-11-27T10:00:00.1234567Z"]
    records = [(assessment(each), STREAM) for each in [*changed, *odd]]
    each = told("Assessments", Assessments=records)["Assessments"]
    assert (each["sent"], each["changedInThirtyDays"], each["rowsAMonth"]) == (11, 5, 5)
    twice = told("Assessments", "AssessmentsSnapshot", Assessments=[(assessment(changed[1]), BOTH)] * 100)
    assert twice["Assessments"]["rowsAMonth"] == round(100 * 365.25 / 12 / 7 + 100 * 365.25 / 12 / 30)


def test_what_nothing_tells_is_not_known_and_nothing_is_none() -> None:
    score = {"id": "/subscriptions/s/providers/Microsoft.Security/secureScores/ascScore", "properties": {}}
    each = told("SecureScores", "Alerts", SecureScores=[(score, STREAM)])
    assert (each["SecureScores"]["rowsAMonth"], each["SecureScores"]["gigabytesAMonth"]) == (None, None)
    assert (each["Alerts"]["rowsAMonth"], each["Alerts"]["gigabytesAMonth"], each["Alerts"]["bytesARow"]) == (
        0,
        0,
        None,
    )
    unseen = told("Alerts", complete=False)["Alerts"]
    assert (unseen["present"], unseen["rowsAMonth"], unseen["gigabytesAMonth"]) == (0, None, None)


def test_what_a_cost_filter_leaves_out_is_no_row() -> None:
    filtered = Parser(kept={"Assessment": lambda *_: False})
    volumes = Volumes(
        ["AssessmentsSnapshot"],
        lambda records, at: filtered.parse([Event(json.dumps(each).encode(), at, "", 0) for each in records], at),
        NOW,
    )
    for _ in range(SAMPLE * 2):
        volumes.add("Assessments", assessment(), SNAPSHOT)
    (each,) = volumes.told(complete=True)
    assert (each["sent"], each["rowsAMonth"], each["bytesARow"]) == (SAMPLE * 2, 0, None)


def test_it_goes_on_from_what_was_kept() -> None:
    def counted(*parts: int) -> list[dict[str, Any]]:
        kept: list[list[int]] = []
        for part in parts:
            volumes = Volumes(["Assessments", "AssessmentsSnapshot"], to_rows, NOW)
            if kept:
                volumes.restore(json.loads(json.dumps(kept)))
            for _ in range(part):
                volumes.add("Assessments", assessment("2026-11-20T00:00:00Z"), BOTH)
            kept = volumes.kept
        return volumes.told(complete=True)

    assert counted(100, 150, 50) == counted(300)


@pytest.mark.parametrize(
    ("row", "size"),
    [
        ({}, 0),
        ({"A": None, "B": "é"}, 2),
        ({"A": 1.5, "B": True, "C": {"d": [1, "x"]}}, 3 + 4 + 13),
        ({"A": "\ud800"}, 3),
    ],
    ids=str,
)
def test_names_of_columns_are_not_billed(row: dict[str, Any], size: int) -> None:
    assert billed_size(json.dumps(row).encode()) == size
