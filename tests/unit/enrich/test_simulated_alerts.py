"""Simulated alerts are recognised whatever else a record holds, are no arrival, and are told of once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.enrich.dead_letters.dead_letter_format import Letter
from shared.enrich.invocation.delivery_summary import Summary
from shared.enrich.invocation.preparation import Work
from shared.enrich.invocation.simulated_alerts import sightings, tell
from shared.enrich.records.keep_drop_filters import filters, parse_filter
from shared.enrich.records.model import Event, Parsed
from shared.enrich.records.parser import Parser
from shared.exports.known_values import is_simulated

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
SUB = "0a1b2c3d-0000-4000-8000-000000000001"


def alert(alert_type: Any, **more: Any) -> dict[str, Any]:
    resource = f"/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
    known = {"SystemAlertId": "a1", "AlertType": alert_type, "AzureResourceId": resource, "Severity": "High"}
    return {**known, **more}


def parsed(*records: Any, parser: Parser | None = None) -> Parsed:
    events = [Event(json.dumps(one).encode(), NOW, "0", place) for place, one in enumerate(records)]
    return (parser or Parser()).parse(events, NOW)


HOSTILE = {
    "another casing": (alert("simulated_VM_X"), True),
    "members in another casing": ({name.lower(): value for name, value in alert("SIMULATED_X").items()}, True),
    "the prefix alone": (alert("SIMULATED_"), True),
    "a space before it": (alert(" SIMULATED_X"), False),
    "within the type": (alert("VM_SIMULATED_X"), False),
    "without the line": (alert("SIMULATEDX"), False),
    "no type": (alert(None), False),
    "an empty type": (alert(""), False),
    "in the properties": (alert("VM_X", ExtendedProperties={"AlertType": "SIMULATED_X"}), False),
    "in the description": (alert("VM_X", Description='"AlertType":"SIMULATED_X"'), False),
    "a dotless i": (alert("S\u0131MULATED_X"), False),
    "another kind": ({"type": "Microsoft.Security/assessments", "id": "/x", "AlertType": "SIMULATED_X"}, False),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_only_the_type_of_an_alert_decides(name: str) -> None:
    record, expected = HOSTILE[name]
    (row,) = parsed(record).rows
    assert row.simulated is expected


@pytest.mark.parametrize("value", [None, 7, [], {"a": 1}, True, b"SIMULATED_X"])
def test_what_is_no_text_is_no_simulated_type(value: Any) -> None:
    assert not is_simulated(value)


def test_it_is_counted_as_a_record_and_not_as_an_arrival_also_where_a_filter_leaves_it_out() -> None:
    summary = Summary()
    summary.count_work(Work(parsed(alert("SIMULATED_X"), alert("SIMULATED_Y"))))
    assert (summary.kinds["Alert"], summary.sightings) == (2, {})
    summary.count_work(Work(parsed(alert("VM_X"))))
    assert summary.sightings == {(SUB, "Alert", False): NOW}
    drops = Parser(kept=filters((), parse_filter('[{"eventSource": "Alerts"}]')))
    assert parsed(alert("SIMULATED_X"), parser=drops).left_out == {}
    assert parsed(alert("VM_X"), parser=drops).left_out == {(SUB, "Alert", False): NOW}


def test_dropping_its_column_does_not_hide_what_it_is() -> None:
    (row,) = parsed(alert("SIMULATED_X"), parser=Parser(drop_columns=("AlertType", "Description"))).rows
    assert json.loads(row.json)["AlertType"] == "SIMULATED_X"


def letter(sequence: int, **more: Any) -> Letter:
    known: dict[str, Any] = {"reason": "refused", "table": "DefenderAlerts_CL", "row": b"{}", "enqueued": NOW}
    return Letter(**{**known, "failed": NOW, "partition": "0", "sequence": sequence, **more})


def test_each_is_told_with_what_became_of_its_row_at_both_places() -> None:
    rows = parsed(alert("SIMULATED_A"), alert("VM_X"), alert("SIMULATED_B"), alert("SIMULATED_C")).rows
    told = sightings(rows, [letter(2), letter(3, target="hub", reason="hub-unavailable")], NOW, forwards=True)
    assert [(one.accepted, one.refused, one.forwarded, one.unforwarded) for one in told] == [
        (NOW, "", NOW, ""),
        (None, "refused", NOW, ""),
        (NOW, "", None, "hub-unavailable"),
    ]
    assert {(one.alert, one.subscription, one.enqueued) for one in told} == {("a1", SUB, NOW)}
    assert [one.forwarded for one in sightings(rows, [], NOW, forwards=False)] == [None] * 3


def test_what_a_route_sends_elsewhere_is_told_as_that_and_letters_of_other_places_say_nothing() -> None:
    rows = parsed(*(alert("SIMULATED_X", SystemAlertId=name) for name in "abcd")).rows
    letters = [letter(1, route="cards", reason="no-access"), letter(3, route="payments")]
    first, second, *_ = (row.record_key for row in rows)
    elsewhere = {"payments": {first, second}, "cards": {second, rows[3].record_key}, "siem": set[str]()}
    told = sightings(rows, letters, NOW, forwards=True, own_rows=rows[2:], elsewhere=elsewhere)
    assert [(one.accepted, one.refused, one.forwarded, one.unforwarded, one.places) for one in told] == [
        (NOW, "", None, "", "payments"),
        (None, "cards: no-access", None, "", "payments,cards"),
        (NOW, "", NOW, "", ""),
        (NOW, "", NOW, "", ""),  # a copy, of which the letter says nothing here
    ]


async def test_what_follows_them_never_holds_up_or_fails_a_batch() -> None:
    async def fails(_: Any) -> None:
        raise RuntimeError("down")

    await tell(fails, sightings(parsed(alert("SIMULATED_A")).rows, [], NOW, forwards=False))
