"""Whatever a body holds, it gives rows of the declared types or bad records with a reason, and never an exception."""

from __future__ import annotations

import gzip
import json
import string
from datetime import datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.records import KINDS, generate
from shared.enrich.delivery.packing import BODY_LIMIT, pack
from shared.enrich.delivery.truncation import VALUE_LIMIT
from shared.enrich.records.field_mapping import KINDS as READ_KINDS
from shared.enrich.records.model import Event, Parsed
from shared.enrich.records.parser import Parser
from shared.enrich.records.reader_selection import ReaderSelection
from shared.enrich.tables import BY_NAME
from tests.unit.enrich.builders import NOW, alert, assessment, event, finding
from tests.unit.enrich.golden.base import SUB
from tests.unit.enrich.golden.casings import recased
from tests.unit.enrich.golden.scores import SCORE

pytestmark = pytest.mark.slow  # draws many examples

PARSER = Parser()
SELECTION = ReaderSelection()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=40)
    | st.text(alphabet=st.characters(categories=["Cs", "Ll"]), max_size=6)
    | st.sampled_from(["2026-11-10T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59.9999999Z", "3", "true", SUB])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
PATHS = sorted({path for kind in READ_KINDS for path in kind.fields})
KIND_MARKS: list[dict[str, Any]] = [{"type": kind.type} for kind in READ_KINDS if kind.type] + [{"SystemAlertId": "a"}]


def put(record: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for parent in parents:
        record = record.setdefault(parent, {}) if isinstance(record.get(parent, {}), dict) else {}
    record[leaf] = value


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record of some kind with anything in any of its fields."""
    record = dict(draw(st.sampled_from(KIND_MARKS)))
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=12)):
        put(record, path, draw(JSON))
    return record | draw(st.dictionaries(st.text(alphabet=string.ascii_letters, max_size=8), JSON, max_size=2))


def fits(value: Any, kind: str) -> bool:
    if value is None or kind == "dynamic":
        return True
    if kind == "datetime":
        return isinstance(value, str) and datetime.fromisoformat(value) is not None
    if kind in {"int", "long"}:
        bound = 2**31 if kind == "int" else 2**63
        return type(value) is int and -bound <= value < bound
    if kind == "real":
        return type(value) in {int, float}
    return type(value) is {"string": str, "boolean": bool}[kind]


def check(parsed: Parsed, bodies: int = 1) -> None:
    """Every row has the declared types, every bad record a reason, and the bodies are sound."""
    assert len(parsed.rows) + len(parsed.bad) >= bodies
    assert all(bad.reason for bad in parsed.bad)
    for body in pack(parsed.rows).bodies:
        text = gzip.decompress(body.data)
        assert len(text) == body.size <= BODY_LIMIT
        types = BY_NAME[body.stream.removeprefix("Custom-")].types
        for row in json.loads(text.decode()):
            for name, value in row.items():
                assert fits(value, types[name]), (name, value)
                shown = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
                assert len(shown) <= VALUE_LIMIT
            assert row["RecordKey"]
            assert row["RecordId"]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
def test_any_json_in_any_field(record: dict[str, Any]) -> None:
    check(PARSER.parse([event(json.dumps(record).encode())], NOW))


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_at_all(value: Any) -> None:
    parsed = PARSER.parse([event(json.dumps(value).encode())], NOW)
    check(parsed, bodies=0)
    empty = value == [] or (isinstance(value, dict) and [*map(str.lower, value)] == ["records"])
    assert parsed.rows or parsed.bad or empty


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_at_all(body: bytes) -> None:
    check(PARSER.parse([event(body)], NOW), bodies=0)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([assessment(), alert(), finding({"cvss": {"3.0": {"base": 1}}})]), st.data())
def test_a_sound_record_cut_or_damaged_anywhere(record: dict[str, Any], data: st.DataObject) -> None:
    body = bytearray(json.dumps(record).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check(PARSER.parse([event(bytes(body[: data.draw(st.integers(0, len(body)))]))], NOW), bodies=0)


@pytest.mark.parametrize("depth", [200, *range(244, 260), 300, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("shape", [("[", "]"), ('{"a":', "}")])
def test_any_depth(depth: int, shape: tuple[str, str]) -> None:
    nested = shape[0] * depth + ("1" if ":" in shape[0] else "") + shape[1] * depth
    for record in (alert(), alert(ProcessingEndTime=None), assessment(), SCORE.record, {"id": "x"}):
        whole = json.dumps(record)[:-1]
        field = '"ConfidenceReasons"' if "AlertType" in whole else '"novelty"'
        check(PARSER.parse([event(f"{whole},{field}:{nested}}}".encode())], NOW))


@pytest.mark.parametrize("kind", KINDS)
def test_both_readers_give_the_same_row(kind: str) -> None:
    """A name that no shape knows sends the record to the patient reader; it alone is then in Raw."""
    events = [made.body for made in generate(4, [SUB], 40, kinds={kind: 1}, bad=0)]
    for body in events:
        odd = body.rstrip()[:-1] + b',"oddity":1}'
        fast, slow = (PARSER.parse([Event(text, NOW, "0", 1)], NOW).rows[0] for text in (body, odd))
        left, right = ({k: v for k, v in orjson.loads(row.json).items() if v is not None} for row in (fast, slow))
        rest = right.pop("Raw")
        assert rest.pop("oddity") == 1
        assert left.pop("Raw", {}) == rest
        if kind not in {"Assessment", "SubAssessment", "Alert"}:
            left.pop("RecordKey"), right.pop("RecordKey")  # made of the content, which differs by the oddity
        if kind == "Other":
            continue
        assert left == right


def test_most_generated_records_are_read_fast() -> None:
    made = [event for event in generate(4, [SUB], 500, bad=0) if event.kind != "Other"]
    for each in made:
        found = SELECTION.detect_shape(each.body)
        assert found is not None, each.kind
        found.read(each.body)


def test_upper_case_records_of_every_kind_are_recognised() -> None:
    for made in generate(4, [SUB], 200, bad=0, kinds={kind: 1 for kind in KINDS if kind != "Other"}):
        shouted = recased(json.loads(made.body), str.upper)
        (row,) = PARSER.parse([event(shouted)], NOW).rows
        assert row.kind == made.kind
