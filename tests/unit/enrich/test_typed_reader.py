"""Which records are read fast, and how their shape is told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shared.enrich.records.parser import Parser
from shared.enrich.records.reader_selection import TYPE_WITHIN, ReaderSelection
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


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"$type": "Record, Contracts", "TenantId": "t", "Type": "Microsoft.Security/assessments"}, "Assessment"),
        ({"id": "x" * 300, "type": "microsoft.security/SecureScores"}, "SecureScore"),
        ({"VendorName": "Microsoft", "Entities": [{"Type": "host"}], "SystemAlertId": "x"}, "Alert"),
        ({"properties": "x" * TYPE_WITHIN, "attackPath": {}}, "AttackPath"),
    ],
    ids=["PascalCase", "far", "alert", "attack path"],
)
def test_a_shape_is_found_by_its_type_or_by_what_one_kind_has(record: dict[str, Any], kind: str) -> None:
    found = SELECTION.detect_shape(orjson.dumps(record))
    assert found is not None
    assert found.kind.name == kind


def test_what_begins_as_alerts_do_is_read_as_what_it_is() -> None:
    an_alert, no_alert, later = (
        orjson.dumps({"VendorName": "Microsoft"} | record)
        for record in (alert(), {"novelty": 1}, {"padding": "x" * 200, **assessment()})
    )
    parser = Parser()
    assert SELECTION.detect_shape(an_alert) is SELECTION.detect_shape(an_alert)
    for body in (no_alert, later):
        assert columns(body, parser) == columns(body, Parser())
