"""Nothing is lost: each scalar of a record stands in a column, or in Raw at its path, whatever the record holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.records import KINDS, generate
from shared.enrich.records.field_mapping import BY_NAME
from shared.enrich.records.field_mapping import KINDS as READ_KINDS
from shared.enrich.records.model import Row
from shared.enrich.records.parser import Parser
from tests.unit.enrich.builders import NOW, event
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import SUB, Golden
from tests.unit.enrich.golden.casings import CASINGS, Casing

pytestmark = pytest.mark.slow  # draws many examples

PARSER = Parser()
Path = tuple[str | int, ...]


def scalars(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each text, number and boolean with the path that leads to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from scalars(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from scalars(inner, (*path, place))
    elif value is not None:
        yield path, value


def at(value: Any, path: Path) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def same(sent: Any, held: Any) -> bool:
    """A column has the value: converted to its type, an id in lower case, a link made whole."""
    if type(sent) is type(held) and sent == held:
        return True
    if isinstance(sent, bool) or isinstance(held, bool):
        return str(sent).lower() == str(held).lower()
    if isinstance(sent, str) and isinstance(held, str):
        left, right = sent.lower(), held.lower()
        return right in {left, f"https://{left}"} or _same_moment(sent, held)
    if isinstance(held, str) and str(sent) == held:
        return True
    try:
        return float(sent) == float(held)
    except ValueError:
        return False


def _same_moment(sent: str, held: str) -> bool:
    try:
        left, right = (datetime.fromisoformat(text[:26] + "Z" if "." in text else text) for text in (sent, held))
    except ValueError:
        return False
    left, right = (each.replace(tzinfo=None) if None in {left.tzinfo, right.tzinfo} else each for each in (left, right))
    return abs((left - right).total_seconds()) < 1e-5  # .NET's seventh digit is rounded


def part_of_a_column(path: Path, sent: Any, columns: dict[str, Any]) -> bool:
    """What an id or another column says as a part of itself."""
    if not isinstance(sent, str) or not sent:
        return False
    name, lowered = str(path[-1]).lower(), sent.lower()
    own = [path[-2:-1]] and str(path[-2]).lower() if len(path) > 1 else ""
    if len(path) == 1 and name == "type":
        kind = BY_NAME[columns["RecordKind"]]
        return lowered.strip("/") == kind.type
    if name == "name" and len(path) == 1:
        return str(columns["RecordId"]).endswith("/" + lowered)
    if own == "resourcedetails":
        kind_of_resource = str(columns.get("ResourceType", ""))
        return (name == "resourcetype" and kind_of_resource.endswith("/" + lowered)) or (
            name == "resourceprovider" and kind_of_resource.startswith(lowered + "/")
        )
    if name == "intent":
        return sent in {joint.join(columns.get("Tactics", [])) for joint in (", ", ",")}
    if path and str(path[-2 if isinstance(path[-1], int) else -1]).lower().endswith("remediationsteps"):
        return sent in str(columns.get("AdditionalRemediationSteps", "")).split("\n")
    return False


def lost(record: dict[str, Any], row: Row) -> list[tuple[Path, Any]]:
    """The scalars that stand nowhere."""
    columns = json.loads(row.json)
    raw = columns.pop("Raw", {})
    held = [value for name, value in columns.items() if name != "RecordKey" for _, value in scalars(value)]
    return [
        (path, value)
        for path, value in scalars(record)
        if path[-1] != "$type"
        and not same_in_raw(value, at(raw, path))
        and not any(same(value, each) for each in held)
        and not part_of_a_column(path, value, columns)
    ]


def same_in_raw(sent: Any, held: Any) -> bool:
    return type(sent) is type(held) and bool(sent == held)


def rows(record: dict[str, Any], *, patiently: bool = False) -> Row:
    body = json.dumps([record] if patiently else record, separators=(",", ":"), ensure_ascii=False).encode()
    parsed = PARSER.parse([event(body)], NOW)
    assert not parsed.bad
    (only,) = parsed.rows
    return only


@pytest.mark.parametrize("patiently", [False, True], ids=["alone", "in an array"])
@pytest.mark.parametrize("casing", CASINGS, ids=lambda casing: casing.name)
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_every_golden_in_every_casing(golden: Golden, casing: Casing, patiently: bool) -> None:
    record = casing.record(golden.record)
    assert lost(record, rows(record, patiently=patiently)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_is_generated(kind: str) -> None:
    for made in generate(21, [SUB], 60, kinds={kind: 1}, bad=0):
        record = json.loads(made.body)
        assert lost(record, rows(record)) == []


VALUES = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "7.10", "1e3", "true", SUB.upper()])
)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8).map("x{}".format), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = {kind.name: sorted(kind.fields) for kind in READ_KINDS}


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """A golden in some casing with unknown members anywhere, and values of other types in any of its kind's fields."""
    golden, casing = draw(st.sampled_from(GOLDENS)), draw(st.sampled_from(CASINGS))
    record = copy.deepcopy(golden.record)
    for path in draw(st.lists(st.sampled_from(FIELDS[golden.row["RecordKind"]] or ["id"]), max_size=6)):
        if path.lower() in {"type", "systemalertid"}:
            continue  # tell what kind it is
        *parents, leaf = path.split(".")
        level: Any = record
        for parent in parents:
            level = level.setdefault(parent, {}) if isinstance(level, dict) else level
        if isinstance(level, dict):
            level[leaf] = draw(ANYTHING)
    objects = [record, *(inner for _, inner in _objects(record))]
    for _ in range(draw(st.integers(0, 3))):
        draw(st.sampled_from(objects))[draw(st.sampled_from(["novelty", "Zone", "x y", "étage"]))] = draw(ANYTHING)
    return casing.record(record)


def _objects(value: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, dict):
            yield (), inner
        yield from _objects(inner)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed(), st.booleans())
def test_unknown_members_and_other_types_anywhere(record: dict[str, Any], patiently: bool) -> None:
    assert lost(record, rows(record, patiently=patiently)) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("properties", "resourceDetails", "id"), "mcr.microsoft.com/app/images@sha256:0200"),
        (("properties", "resourceDetails", "resourceType"), "GitHubRepository"),
        (("properties", "resourceDetails", "resourceProvider"), "ec2"),
        (("properties", "resourceDetails", "resourceName"), ""),
        (("subscriptionId",), "another"),
        (("name",), "another"),
        (("type",), "microsoft.security/assessments/"),
        (("securityEventDataEnrichment", "apiVersion"), "2031-01-01"),
        (("assessmentEventDataEnrichment", "interval"), "PT1H"),
        (("properties", "status", "statusChangeDate"), "0001-01-01T00:00:00+14:00"),
        (("properties", "additionalData"), "no object"),
        (("properties", "metadata", "severity"), 2**65),
    ],
)
def test_what_is_only_looked_at_is_kept(where: tuple[str, ...], value: Any) -> None:
    record = copy.deepcopy(next(golden for golden in GOLDENS if golden.name == "assessment").record)
    level = record
    for name in where[:-1]:
        level = level[name]
    level[where[-1]] = value
    for patiently in (False, True):
        row = rows(record, patiently=patiently)
        assert row.kind == "Assessment"
        assert lost(record, row) == []


def test_a_reader_that_loses_a_field_would_be_found() -> None:
    record = {"type": "Microsoft.Security/assessments", "id": "x", "properties": {"novelty": "unheard-of"}}
    row = rows(record)
    row.json = row.json.replace(b"unheard-of", b"something else")
    assert lost(record, row) == [(("properties", "novelty"), "unheard-of")]
