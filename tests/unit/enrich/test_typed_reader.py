"""Which records are read fast, and how their shape is told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shared.enrich.records.parser import Parser
from shared.enrich.records.reader_selection import MOST_MARKS, TYPE_WITHIN, ReaderSelection
from shared.enrich.records.typed_reader import Shape
from tests.unit.enrich.builders import alert, assessment, columns, event
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import Golden

FOR_THE_PATIENT_READER = {
    "secure score in Resource Graph",
    "unknown kind",
}


SELECTION = ReaderSelection()


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_records_as_exported_are_read_fast(golden: Golden) -> None:
    if golden.name in FOR_THE_PATIENT_READER:
        return
    body = event(golden.record).body
    shape = SELECTION.detect_shape(body)
    assert shape is not None
    assert shape.kind.name == golden.row["RecordKind"]
    assert shape.read(body).values is not None


def test_a_field_that_is_kept_in_raw_is_read_fast() -> None:
    body = event(assessment() | {"kind": "Policy"}).body
    shape = SELECTION.detect_shape(body)
    assert shape is not None
    assert shape.read(body).rest == {"kind": "Policy"}


@pytest.mark.parametrize("name", ["type", "Type"])
def test_a_type_is_found_wherever_it_begins_among_the_first_fields(name: str) -> None:
    for length in range(TYPE_WITHIN - 80):
        body = orjson.dumps({"location": "x" * length, name: "Microsoft.Security/assessments"})
        shape = SELECTION.detect_shape(body)
        assert shape is not None, length
        assert shape.kind.name == "Assessment"


class Counting(ReaderSelection):
    """Counts how often it has to search for a shape."""

    searches = 0

    def _search(self, body: bytes) -> Shape | None:
        self.searches += 1
        return super()._search(body)


@pytest.mark.parametrize(
    "record",
    [
        {"tenantId": "t", "type": "Microsoft.Security/assessments"},
        {"$type": "Record, Contracts", "TenantId": "t", "Type": "Microsoft.Security/assessments"},
        {"id": "x" * 300, "type": "Microsoft.Security/assessments"},
        {"VendorName": "Microsoft", "SystemAlertId": "x"},
    ],
    ids=["near", "PascalCase", "far", "alert"],
)
def test_a_shape_is_searched_for_once(record: dict[str, Any]) -> None:
    selection, other = Counting(), {"type": "Microsoft.Security/secureScores"}
    first, _, second = (
        selection.detect_shape(orjson.dumps(sent))
        for sent in (record | {"location": 1}, other, record | {"location": 2})
    )
    assert first is second is not None
    assert selection.searches == 2


def test_what_is_remembered_of_shapes_is_bounded() -> None:
    selection = Counting()
    for number in range(2 * MOST_MARKS):
        selection.detect_shape(orjson.dumps({f"member {number}": 0, "SystemAlertId": "x"}))
    assert selection.searches == 2 * MOST_MARKS
    assert 0 < len(selection._met) <= MOST_MARKS


def test_what_begins_as_alerts_do_is_read_as_what_it_is() -> None:
    an_alert, no_alert, later = (
        orjson.dumps({"VendorName": "Microsoft"} | record)
        for record in (alert(), {"novelty": 1}, {"padding": "x" * 200, **assessment()})
    )
    parser = Parser()
    assert SELECTION.detect_shape(an_alert) is SELECTION.detect_shape(an_alert)
    for body in (no_alert, later):
        assert columns(body, parser) == columns(body, Parser())
